//! What rows were before a replay: every row that is about to be changed is copied once, by temporary triggers, so
//! that what changed back in the end can be told from what changed.

use rusqlite::{Connection, params};

/// A table, and its columns that are content.
struct Watched {
    table: &'static str,
    columns: &'static [&'static str],
}

const WATCHED: [Watched; 4] = [
    Watched { table: "channels", columns: &["kind", "name", "resolved"] },
    Watched {
        table: "participants",
        columns: &["kind", "kind_given", "name", "email", "phone", "person_id", "provider_user_id", "resolved"],
    },
    Watched {
        table: "conversations",
        columns: &[
            "channel_id",
            "contact_id",
            "status",
            "title",
            "page_url",
            "started_at_ms",
            "updated_at_ms",
            "last_message_at_ms",
            "escalated",
            "complete",
            "incomplete_reason",
            "deleted_at_ms",
            "deleted_reason",
            "reported_messages",
            "reported_last_at_ms",
        ],
    },
    Watched {
        table: "messages",
        columns: &[
            "author_id",
            "author_kind",
            "kind",
            "event",
            "seq",
            "sent_at_ms",
            "read",
            "reaction",
            "model",
            "thread_external_id",
            "edited_at_ms",
            "deleted_at_ms",
            "deleted_reason",
        ],
    },
];

/// What a message is made of beside the columns above. Texts are not copied: they do not change back.
const PARTS: [&str; 2] = ["citations", "attachments"];

/// How many rows that stood before are different now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Settled {
    pub(super) conversations: u64,
    pub(super) messages: u64,
}

impl Watched {
    /// The columns, each behind `prefix`.
    fn list(&self, prefix: &str) -> String {
        self.columns.iter().map(|column| format!("{prefix}{column}")).collect::<Vec<_>>().join(", ")
    }
}

/// Begins to copy.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP TABLE before_parts (id INTEGER PRIMARY KEY);
         CREATE TEMP TRIGGER watch_text BEFORE UPDATE ON main.messages
         WHEN OLD.body_text IS NOT NEW.body_text OR OLD.body_html IS NOT NEW.body_html BEGIN
           INSERT OR IGNORE INTO before_parts (id) VALUES (OLD.id);
         END;",
    )?;
    for watched in &WATCHED {
        let (table, columns, old) = (watched.table, watched.list(""), watched.list("OLD."));
        connection.execute_batch(&format!(
            "CREATE TEMP TABLE before_{table} (id INTEGER PRIMARY KEY, rev, {columns});
             CREATE TEMP TRIGGER watch_{table} BEFORE UPDATE ON main.{table} BEGIN
               INSERT OR IGNORE INTO before_{table} (id, rev, {columns}) VALUES (OLD.id, OLD.rev, {old});
             END;"
        ))?;
    }
    for part in PARTS {
        connection.execute_batch(&format!(
            "CREATE TEMP TRIGGER watch_{part}_more AFTER INSERT ON main.{part} BEGIN
               INSERT OR IGNORE INTO before_parts (id) VALUES (NEW.message_id);
             END;
             CREATE TEMP TRIGGER watch_{part}_less AFTER DELETE ON main.{part} BEGIN
               INSERT OR IGNORE INTO before_parts (id) VALUES (OLD.message_id);
             END;"
        ))?;
    }
    Ok(())
}

/// Ends the copying: conversations whose messages moved in time get their last time anew, and rows that are what
/// they were get their `rev` back. `start_rev` is the change counter at the beginning; it goes back there if nothing
/// was changed at all.
pub(super) fn settle(connection: &Connection, start_rev: i64) -> rusqlite::Result<Settled> {
    settle_last_messages(connection)?;
    connection.execute_batch("DROP TRIGGER temp.watch_text;")?;
    for Watched { table, .. } in &WATCHED {
        connection.execute_batch(&format!("DROP TRIGGER temp.watch_{table};"))?;
    }
    for part in PARTS {
        connection
            .execute_batch(&format!("DROP TRIGGER temp.watch_{part}_more; DROP TRIGGER temp.watch_{part}_less;"))?;
    }
    let mut settled = Settled::default();
    for watched in &WATCHED {
        let table = watched.table;
        let (own, before) = (watched.list("t."), watched.list("b."));
        let parts = if table == "messages" { "AND t.id NOT IN (SELECT id FROM before_parts)" } else { "" };
        connection.execute_batch(&format!(
            "UPDATE {table} AS t SET rev = b.rev FROM before_{table} AS b
             WHERE b.id = t.id AND b.rev <> t.rev AND ({own}) IS ({before}) {parts};"
        ))?;
        let different: i64 = connection.query_row(
            &format!(
                "SELECT count(*) FROM before_{table} AS b JOIN {table} AS t ON t.id = b.id
                 WHERE b.rev <= ?1 AND t.rev > ?1"
            ),
            [start_rev],
            |row| row.get(0),
        )?;
        let different = u64::try_from(different).unwrap_or(0);
        match table {
            "conversations" => settled.conversations = different,
            "messages" => settled.messages = different,
            _ => {}
        }
    }
    connection.execute(
        "UPDATE change_counter SET rev = ?1 WHERE id = 1
         AND NOT EXISTS (SELECT 1 FROM conversations WHERE rev > ?1) AND NOT EXISTS (SELECT 1 FROM messages WHERE rev > ?1)
         AND NOT EXISTS (SELECT 1 FROM participants WHERE rev > ?1) AND NOT EXISTS (SELECT 1 FROM channels WHERE rev > ?1)",
        params![start_rev],
    )?;
    for Watched { table, .. } in &WATCHED {
        connection.execute_batch(&format!("DROP TABLE temp.before_{table};"))?;
    }
    connection.execute_batch("DROP TABLE temp.before_parts;")?;
    Ok(settled)
}

fn settle_last_messages(connection: &Connection) -> rusqlite::Result<()> {
    let moved: Vec<(i64, Option<i64>)> = connection
        .prepare(
            "SELECT c.id, max(coalesce(c.reported_last_at_ms, n.newest), coalesce(n.newest, c.reported_last_at_ms))
             FROM conversations AS c
             JOIN (SELECT m.conversation_id AS id,
                     (SELECT max(l.sent_at_ms) FROM messages AS l
                      WHERE l.conversation_id = m.conversation_id AND l.deleted_at_ms IS NULL) AS newest
                   FROM before_messages AS b JOIN messages AS m ON m.id = b.id
                   WHERE b.sent_at_ms IS NOT m.sent_at_ms GROUP BY m.conversation_id) AS n ON n.id = c.id",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (conversation, last) in moved {
        let changed = connection
            .prepare_cached(
                "UPDATE conversations SET last_message_at_ms = ?2, rev = (SELECT rev + 1 FROM change_counter)
                 WHERE id = ?1 AND last_message_at_ms IS NOT ?2",
            )?
            .execute(params![conversation, last])?;
        if changed > 0 {
            connection.prepare_cached("UPDATE change_counter SET rev = rev + 1 WHERE id = 1")?.execute([])?;
        }
    }
    Ok(())
}
