//! `conversation_stats`: what the view `conversation_metrics` says, kept for every conversation.
//!
//! The view is the definition. Whoever changes rows calls [`refresh`] in the same transaction, so table and definition
//! never differ, whenever a process dies. A change of content is known by its `rev`.

use std::collections::BTreeSet;

use rusqlite::Connection;

/// The columns of both, in one order.
const COLUMNS: &str = "conversation_id, messages, contact_messages, bot_messages, agent_messages, first_message_at_ms, \
    last_message_at_ms, first_contact_at_ms, last_contact_at_ms, first_response_by, first_response_ms, \
    first_bot_response_ms, first_agent_response_ms, answered, waiting_since_ms, reopened";

/// Conversations that changed, themselves or in one of their messages. Two questions: of a `UNION`, SQLite scans both
/// tables whole to merge them.
const CHANGED: [&str; 2] =
    ["SELECT conversation_id FROM messages WHERE rev > ?1", "SELECT id FROM conversations WHERE rev > ?1"];

/// What renews one row.
fn renew() -> String {
    format!(
        "INSERT OR REPLACE INTO conversation_stats ({COLUMNS})
         SELECT {COLUMNS} FROM conversation_metrics WHERE conversation_id = ?1"
    )
}

/// Renews the rows of every conversation that changed, itself or in one of its messages, after `rev`.
pub(super) fn refresh(conn: &Connection, rev: i64) -> rusqlite::Result<()> {
    let mut changed = BTreeSet::new();
    for question in CHANGED {
        let mut statement = conn.prepare_cached(question)?;
        for id in statement.query_map([rev], |row| row.get::<_, i64>(0))? {
            changed.insert(id?);
        }
    }
    let mut renew = conn.prepare_cached(&renew())?;
    for id in changed {
        renew.execute([id])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open;

    /// SQLite may plan a statement anew for every value that it is given, unless its connection says otherwise
    /// (`open::settle`): this one costs far more to plan than to run.
    #[test]
    fn renewing_is_planned_once() {
        let folder = tempfile::tempdir().unwrap();
        let conn = open::open_writer(&folder.path().join("t.db"), 1).unwrap();
        for question in [CHANGED[0], CHANGED[1], &renew()] {
            let mut statement = conn.prepare(question).unwrap();
            for id in 0..5 {
                if statement.column_count() == 0 {
                    statement.execute([id]).unwrap();
                } else {
                    statement.query_map([id], |_| Ok(())).unwrap().for_each(drop);
                }
            }
            assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0, "{question}");
        }
    }

    /// What is renewed must not cost more the larger the store is.
    #[test]
    fn nothing_is_read_whole_to_renew_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let conn = open::open_writer(&folder.path().join("t.db"), 1).unwrap();
        for question in [CHANGED[0], CHANGED[1], &renew()] {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
            let plan: Vec<String> =
                statement.query_map([1], |row| row.get(3)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
            let scans: Vec<&String> = plan
                .iter()
                .filter(|step| step.starts_with("SCAN") && !step.contains("CONSTANT") && !step.contains("episode_gap"))
                .collect();
            assert!(scans.is_empty(), "{question}: {scans:?}");
        }
    }
}
