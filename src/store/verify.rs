//! What `chatloom verify` reads from the file: whether it is sound, and what is known to be missing.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::{StoreError, altered};

/// Problems that are told at the most: one damaged page can cause thousands.
const PROBLEMS: usize = 20;

/// Something that is missing, or counted differently by the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// External id of the conversation; `None` for a whole list.
    pub conversation: Option<String>,
    /// The list, for those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// How many messages (or rows of the list) are stored, counted as the provider counts.
    pub have: i64,
    /// How many the provider says there are, where it says so.
    pub provider: Option<i64>,
    /// `conversations.incomplete_reason`; `count` for a list that is counted differently; `first_pass` for a source
    /// that was never read to its end.
    pub reason: String,
}

/// What the file itself suffers from; nothing for a sound one. A damaged file is described as far as SQLite gets.
/// Apart from that, what the full-text index suffers from, which is only derived.
#[must_use]
pub fn integrity(connection: &Connection) -> (Vec<String>, Option<String>) {
    let check = || -> rusqlite::Result<Vec<String>> {
        let mut problems: Vec<String> = connection
            .prepare(&format!("PRAGMA integrity_check({PROBLEMS})"))?
            .query_map([], |row| row.get::<_, String>(0))?
            .filter(|line| line.as_ref().map_or(true, |line| line != "ok"))
            .collect::<rusqlite::Result<_>>()?;
        let mut orphans = connection.prepare("PRAGMA foreign_key_check")?;
        let mut rows = orphans.query([])?;
        let mut counted: Vec<(String, String, u64)> = Vec::new();
        while let Some(row) = rows.next()? {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            match counted.iter_mut().find(|(from, to, _)| *from == table && *to == parent) {
                Some((.., count)) => *count += 1,
                None => counted.push((table, parent, 1)),
            }
        }
        problems.extend(counted.into_iter().map(|(table, parent, count)| {
            format!("{count} rows of {table} refer to rows of {parent} that are not there")
        }));
        Ok(problems)
    };
    let all = check().unwrap_or_else(|error| vec![error.to_string()]);
    let (index, file): (Vec<String>, Vec<String>) =
        all.into_iter().partition(|problem| problem.contains("message_search"));
    (file, (!index.is_empty()).then(|| index.join("; ")))
}

/// Lets every question to this connection end, with an error, once it is `stopped`.
///
/// # Errors
/// SQLite failed.
pub fn until(connection: &mut Connection, stopped: impl Fn() -> bool + Send + 'static) -> Result<(), StoreError> {
    /// Of SQLite's virtual machine, or pages that are checked, between two looks: some milliseconds.
    const STEPS: i32 = 1_000;
    connection.progress_handler(STEPS, Some(stopped)).map_err(StoreError::sql("opening the store"))
}

/// Messages and raw records that do not say what they said when they were stored. Reads everything there is, so it is
/// for a file that is [sound](integrity) otherwise.
///
/// # Errors
/// SQLite failed.
pub fn changed_texts(connection: &Connection) -> Result<Vec<String>, StoreError> {
    altered::altered(connection, PROBLEMS).map_err(StoreError::sql("comparing texts with their hashes"))
}

/// What the store knows to be missing of a source. `None` where it does not have the source.
///
/// # Errors
/// SQLite failed.
pub fn known_gaps(connection: &Connection, source: &str) -> Result<Option<Vec<Gap>>, StoreError> {
    let read = || -> rusqlite::Result<Option<Vec<Gap>>> {
        let found: Option<(i64, bool)> = connection
            .query_row("SELECT id, first_pass_at_ms IS NOT NULL FROM sources WHERE name = ?1", [source], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((id, whole)) = found else { return Ok(None) };
        let mut gaps = Vec::new();
        if !whole {
            let have = connection.query_row(
                "SELECT count(*) FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
                 WHERE c.source_id = ?1 AND c.deleted_at_ms IS NULL AND m.deleted_at_ms IS NULL",
                [id],
                |row| row.get(0),
            )?;
            gaps.push(Gap { conversation: None, stream: None, have, provider: None, reason: "first_pass".to_owned() });
        }
        let mut forbidden = connection.prepare(
            "SELECT stream || '/' || scope, (SELECT count(*) FROM conversations AS c JOIN channels AS h ON h.id = c.channel_id
               WHERE c.source_id = ?1 AND h.external_id = scope)
             FROM cursors WHERE source_id = ?1 AND json_extract(cursor, '$.note') LIKE 'forbidden:%' ORDER BY stream, scope",
        )?;
        for gap in forbidden.query_map([id], |row| {
            let reason = "forbidden".to_owned();
            Ok(Gap { conversation: None, stream: row.get(0)?, have: row.get(1)?, provider: None, reason })
        })? {
            gaps.push(gap?);
        }
        // Where the provider's own count is one of exchanges (SiteGPT), questions and answers are counted as one.
        let by_objects: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM facts WHERE source_id = ?1 AND name = 'total_counts' AND value LIKE 'objects%')",
            [id],
            |row| row.get(0),
        )?;
        let mut incomplete = connection.prepare(
            "SELECT c.external_id, c.reported_messages, coalesce(c.incomplete_reason, 'unknown'),
                    (SELECT count(DISTINCT iif(?2, substr(m.external_id, 1, length(m.external_id) - 2), m.external_id))
                     FROM messages AS m WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL)
             FROM conversations AS c
             WHERE c.source_id = ?1 AND c.complete = 0 AND c.deleted_at_ms IS NULL
               -- Before the source was read to its end, one gap tells it of all.
               AND (?3 OR c.incomplete_reason IS NOT 'unread') ORDER BY c.id",
        )?;
        for gap in incomplete.query_map(params![id, by_objects, whole], |row| {
            Ok(Gap {
                conversation: row.get(0)?,
                stream: None,
                have: row.get(3)?,
                provider: row.get(1)?,
                reason: row.get(2)?,
            })
        })? {
            gaps.push(gap?);
        }
        Ok(Some(gaps))
    };
    read().map_err(StoreError::sql("looking for gaps"))
}

/// How many rows of a list are stored that the provider would still list: those it deleted softly are, those that are
/// missing from its lists are not. `stream` is the one that the records are kept under.
///
/// # Errors
/// SQLite failed.
pub fn kept(connection: &Connection, source: &str, stream: &str) -> Result<i64, StoreError> {
    let table = if stream == "messages" { "messages" } else { "conversations" };
    connection
        .query_row(
            &format!(
                "SELECT count(*) FROM raw_records AS r JOIN sources AS s ON s.id = r.source_id
                 JOIN {table} AS t ON t.id = r.row_id
                 WHERE s.name = ?1 AND r.stream = ?2 AND coalesce(t.deleted_reason, 'provider') = 'provider'"
            ),
            params![source, stream],
            |row| row.get(0),
        )
        .map_err(StoreError::sql("counting rows"))
}

/// The names of the sources that the store has.
///
/// # Errors
/// SQLite failed.
pub fn source_names(connection: &Connection) -> Result<Vec<String>, StoreError> {
    connection
        .prepare("SELECT name FROM sources ORDER BY id")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(StoreError::sql("reading the sources"))
}
