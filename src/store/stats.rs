//! `conversation_stats`: what the view `conversation_metrics` says, kept for every conversation.
//!
//! The view is the definition; here the same is computed from one reading of a conversation, since the view reads it once
//! for every column. Tests hold both equal. Whoever changes rows calls [`refresh`] in the same transaction, so table and
//! definition never differ, whenever a process dies. A change of content is known by its `rev`.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

/// Silence after which a conversation that goes on is a new episode: the view `episode_gap`.
const EPISODE_GAP_MS: i64 = 86_400_000;

/// Conversations that changed, themselves or in one of their messages. Two questions: of a `UNION`, SQLite scans both
/// tables whole to merge them.
const CHANGED: [&str; 2] =
    ["SELECT conversation_id FROM messages WHERE rev > ?1", "SELECT id FROM conversations WHERE rev > ?1"];

const MESSAGES: &str =
    "SELECT sent_at_ms, seq, id, author_kind FROM messages WHERE conversation_id = ?1 AND deleted_at_ms IS NULL";

/// Tried before [`MAKE`]. For one statement that does either, SQLite would keep a copy of every page that it touches, to
/// take it back halfway.
const RENEW: &str = "UPDATE conversation_stats SET messages = ?2, contact_messages = ?3, bot_messages = ?4, \
    agent_messages = ?5, first_message_at_ms = ?6, last_message_at_ms = ?7, first_contact_at_ms = ?8, \
    last_contact_at_ms = ?9, first_response_by = ?10, first_response_ms = ?11, first_bot_response_ms = ?12, \
    first_agent_response_ms = ?13, answered = ?14, waiting_since_ms = ?15, reopened = ?16 WHERE conversation_id = ?1";

const MAKE: &str = "INSERT INTO conversation_stats (conversation_id, messages, contact_messages, bot_messages, \
    agent_messages, first_message_at_ms, last_message_at_ms, first_contact_at_ms, last_contact_at_ms, first_response_by, \
    first_response_ms, first_bot_response_ms, first_agent_response_ms, answered, waiting_since_ms, reopened) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    Contact,
    Bot,
    Agent,
    /// Notices of the system, and whoever is not known.
    Nobody,
}

impl Voice {
    fn of(author_kind: &str) -> Self {
        match author_kind {
            "contact" => Self::Contact,
            "bot" => Self::Bot,
            "agent" => Self::Agent,
            _ => Self::Nobody,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Bot => "bot",
            Self::Agent => "agent",
            Self::Nobody => "",
        }
    }
}

/// A message that is not deleted: its place in time (time, `seq`, row id) and who speaks.
type Said = ((Option<i64>, i64, i64), Voice);

/// What a conversation comes to.
#[derive(Debug, Default)]
struct Sums {
    messages: i64,
    by_contact: i64,
    by_bot: i64,
    by_agent: i64,
    first_contact: Option<i64>,
    last_contact: Option<i64>,
    first_response_by: Option<&'static str>,
    first_response: Option<i64>,
    first_bot_response: Option<i64>,
    first_agent_response: Option<i64>,
    contact_spoke_last: bool,
    waiting_since: Option<i64>,
    reopened: i64,
}

impl Sums {
    /// Goes once through the messages of a conversation, in their order.
    fn of(said: &[Said]) -> Self {
        let mut sums = Self::default();
        let (mut bot_answered, mut agent_answered) = (false, false);
        let mut spoken_at: Option<i64> = None;
        for ((sent, _, _), voice) in said {
            sums.messages += 1;
            match voice {
                Voice::Contact => sums.by_contact += 1,
                Voice::Bot => sums.by_bot += 1,
                Voice::Agent => sums.by_agent += 1,
                Voice::Nobody => {}
            }
            let (Some(sent), true) = (*sent, *voice != Voice::Nobody) else { continue };
            // Of messages that share a time, the first stands for all.
            sums.reopened += i64::from(spoken_at.is_some_and(|before| sent.saturating_sub(before) > EPISODE_GAP_MS));
            spoken_at = Some(sent);
            sums.contact_spoke_last = *voice == Voice::Contact;
            if *voice == Voice::Contact {
                sums.first_contact = sums.first_contact.or(Some(sent));
                sums.last_contact = Some(sent);
                sums.waiting_since = sums.waiting_since.or(Some(sent));
                continue;
            }
            sums.waiting_since = None;
            let Some(asked) = sums.first_contact else { continue };
            // Where question and answer carry one time, how long it took is not known.
            let took = (sent > asked).then(|| sent.saturating_sub(asked));
            if sums.first_response_by.is_none() {
                (sums.first_response_by, sums.first_response) = (Some(voice.name()), took);
            }
            if *voice == Voice::Bot && !std::mem::replace(&mut bot_answered, true) {
                sums.first_bot_response = took;
            }
            if *voice == Voice::Agent && !std::mem::replace(&mut agent_answered, true) {
                sums.first_agent_response = took;
            }
        }
        sums
    }
}

fn renew(conn: &Connection, conversation: i64) -> rusqlite::Result<()> {
    let mut said: Vec<Said> = conn
        .prepare_cached(MESSAGES)?
        .query_map([conversation], |row| {
            Ok(((row.get(0)?, row.get(1)?, row.get(2)?), Voice::of(row.get_ref(3)?.as_str()?)))
        })?
        .collect::<rusqlite::Result<_>>()?;
    said.sort_unstable_by_key(|(place, _)| *place);
    let times = || said.iter().filter_map(|((sent, _, _), _)| *sent);
    let sums = Sums::of(&said);
    let row = params![
        conversation,
        sums.messages,
        sums.by_contact,
        sums.by_bot,
        sums.by_agent,
        times().next(),
        times().next_back(),
        sums.first_contact,
        sums.last_contact,
        sums.first_response_by,
        sums.first_response,
        sums.first_bot_response,
        sums.first_agent_response,
        !sums.contact_spoke_last,
        sums.waiting_since,
        sums.reopened
    ];
    if conn.prepare_cached(RENEW)?.execute(row)? == 0 {
        conn.prepare_cached(MAKE)?.execute(row)?;
    }
    Ok(())
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
    changed.into_iter().try_for_each(|id| renew(conn, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open;
    use proptest::prelude::*;

    const COLUMNS: &str = "conversation_id, messages, contact_messages, bot_messages, agent_messages, \
        first_message_at_ms, last_message_at_ms, first_contact_at_ms, last_contact_at_ms, first_response_by, \
        first_response_ms, first_bot_response_ms, first_agent_response_ms, answered, waiting_since_ms, reopened";

    /// A message by kind, time in half days, `seq`, and whether it is deleted.
    fn any_message() -> impl Strategy<Value = (&'static str, Option<i64>, i64, bool)> {
        (
            prop::sample::select(vec!["contact", "contact", "bot", "agent", "system", "unknown"]),
            prop::option::weighted(0.9, 0..9_i64),
            0..3_i64,
            prop::bool::weighted(0.1),
        )
    }

    proptest! {
        /// The definition is the view's.
        #[test]
        fn what_is_kept_is_what_the_view_says(said in prop::collection::vec(any_message(), 0..14)) {
            let conn = Connection::open_in_memory().unwrap();
            for sql in [
                include_str!("../../migrations/0001_tables.sql"),
                include_str!("../../migrations/0001_views.sql"),
                include_str!("../../migrations/0002_keeping.sql"),
                include_str!("../../migrations/0003_metrics.sql"),
                "INSERT INTO sources (id, name, provider, base_url) VALUES (1, 's', 'p', 'u');
                 INSERT INTO conversations (id, source_id, external_id, rev) VALUES (7, 1, 'c', 1)",
            ] {
                conn.execute_batch(sql).unwrap();
            }
            for (n, (kind, half_day, seq, deleted)) in said.iter().enumerate() {
                conn.execute(
                    "INSERT INTO messages (conversation_id, external_id, author_kind, kind, seq, sent_at_ms, body_text,
                     content_hash, rev, deleted_at_ms) VALUES (7, ?1, ?2, 'text', ?3, ?4, '', 0, 2, ?5)",
                    params![n.to_string(), kind, seq, half_day.map(|n| n * EPISODE_GAP_MS / 2), deleted.then_some(1)],
                )
                .unwrap();
            }
            refresh(&conn, 0).unwrap();
            let rows = |table: &str| {
                conn.query_row(
                    &format!("SELECT json_array({COLUMNS}) FROM {table}"), [], |row| row.get::<_, String>(0),
                ).unwrap()
            };
            prop_assert_eq!(rows("conversation_stats"), rows("conversation_metrics"));
            let gap: i64 = conn.query_row("SELECT ms FROM episode_gap", [], |row| row.get(0)).unwrap();
            prop_assert_eq!(gap, EPISODE_GAP_MS);
        }
    }

    /// SQLite may plan a statement anew for every value that it is given, unless its connection says otherwise
    /// (`open::settle`).
    #[test]
    fn renewing_is_planned_once() {
        let folder = tempfile::tempdir().unwrap();
        let conn = open::open_writer(&folder.path().join("t.db"), 1).unwrap();
        for question in [CHANGED[0], CHANGED[1], MESSAGES] {
            let mut statement = conn.prepare(question).unwrap();
            for id in 0..5 {
                statement.query_map([id], |_| Ok(())).unwrap().for_each(drop);
            }
            assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0, "{question}");
        }
    }

    /// What is renewed must not cost more the larger the store is.
    #[test]
    fn nothing_is_read_whole_to_renew_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let conn = open::open_writer(&folder.path().join("t.db"), 1).unwrap();
        for question in [CHANGED[0], CHANGED[1], MESSAGES] {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
            let plan: Vec<String> =
                statement.query_map([1], |row| row.get(3)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
            let scans: Vec<&String> = plan.iter().filter(|step| step.starts_with("SCAN")).collect();
            assert!(scans.is_empty(), "{question}: {scans:?}");
        }
    }
}
