//! What is left to do: stale conversations, undescribed ids, and where streams stand.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::model::StreamKey;

/// A place in the queue of stale conversations: failures since the last fetch that was none, when that was, row id.
pub type Place = (i64, i64, i64);

/// A conversation whose messages are to be fetched.
#[derive(Debug, Clone)]
pub struct StaleConversation {
    pub id: i64,
    pub external_id: String,
    pub fingerprint: Option<i64>,
    pub reported_messages: Option<i64>,
    pub reported_last_ms: Option<i64>,
    pub stored_messages: i64,
    /// Fetches that failed in a row.
    pub failures: i64,
    /// Where it stands in the queue.
    pub place: Place,
}

/// Ids that rows refer to and that no record has described.
#[derive(Debug, Clone, Default)]
pub struct UnknownIds {
    /// External id, and a conversation of which it is the contact.
    pub participants: Vec<(String, Option<String>)>,
    pub channels: Vec<String>,
    /// Rows that the source has in its lists: conversations and messages.
    pub conversations: u64,
    pub messages: u64,
    /// Participants that were looked up one by one.
    pub looked_up: u64,
}

/// Stale conversations behind a [`Place`] in the queue: those that failed least come first, so that some that always
/// fail never hold up the rest, and of these the ones that were fetched longest ago, so that passes none of which gets
/// through see all of them. Those that the key may not read are not asked for.
pub(super) fn stale(
    conn: &Connection,
    source_id: i64,
    after: Place,
    limit: u32,
) -> rusqlite::Result<Vec<StaleConversation>> {
    conn.prepare_cached(
        "SELECT c.id, c.external_id, c.list_fingerprint, c.reported_messages, c.reported_last_at_ms,
                (SELECT count(*) FROM messages AS m WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL),
                c.fetch_failures, coalesce(c.fetched_at_ms, 0) AS fetched
         FROM conversations AS c
         WHERE c.source_id = ?1 AND (c.fetch_failures, coalesce(c.fetched_at_ms, 0), c.id) > (?2, ?3, ?4)
           AND c.list_fingerprint IS NOT c.fetched_fingerprint AND c.incomplete_reason IS NOT 'forbidden'
         ORDER BY c.fetch_failures, fetched, c.id LIMIT ?5",
    )?
    .query_map(params![source_id, after.0, after.1, after.2, limit], |row| {
        let (id, failures) = (row.get(0)?, row.get(6)?);
        Ok(StaleConversation {
            id,
            external_id: row.get(1)?,
            fingerprint: row.get(2)?,
            reported_messages: row.get(3)?,
            reported_last_ms: row.get(4)?,
            stored_messages: row.get(5)?,
            failures,
            place: (failures, row.get(7)?, id),
        })
    })?
    .collect()
}

/// How many conversations are stale.
pub(super) fn stale_count(conn: &Connection, source_id: i64) -> rusqlite::Result<u64> {
    conn.query_row(
        "SELECT count(*) FROM conversations WHERE source_id = ?1 AND list_fingerprint IS NOT fetched_fingerprint
         AND incomplete_reason IS NOT 'forbidden'",
        [source_id],
        |row| row.get::<_, i64>(0),
    )
    .map(|count| u64::try_from(count).unwrap_or(0))
}

/// Ids that no record has described: never looked up, or looked up in vain before `retry_before_ms`.
pub(super) fn unknown(conn: &Connection, source_id: i64, retry_before_ms: i64) -> rusqlite::Result<UnknownIds> {
    let participants: Vec<(String, Option<String>)> = conn
        .prepare_cached(
            "SELECT p.external_id, (SELECT c.external_id FROM conversations AS c WHERE c.contact_id = p.id LIMIT 1)
             FROM participants AS p
             WHERE p.source_id = ?1 AND p.resolved <> 1 AND (p.looked_up_at_ms IS NULL OR p.looked_up_at_ms < ?2)
             ORDER BY p.looked_up_at_ms IS NOT NULL, p.id LIMIT 1000",
        )?
        .query_map(params![source_id, retry_before_ms], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let channels = conn
        .prepare_cached("SELECT external_id FROM channels WHERE source_id = ?1 AND resolved = 0 ORDER BY id")?
        .query_map([source_id], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let anybody = !participants.is_empty();
    // Counting all messages takes a while on a large store, and only look-ups need to know.
    let count = |sql: &str| {
        if !anybody {
            return Ok(0);
        }
        conn.query_row(sql, [source_id], |row| row.get::<_, i64>(0)).map(|count| u64::try_from(count).unwrap_or(0))
    };
    Ok(UnknownIds {
        participants,
        channels,
        conversations: count("SELECT count(*) FROM conversations WHERE source_id = ?1")?,
        messages: count(
            "SELECT count(*) FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
             WHERE c.source_id = ?1",
        )?,
        looked_up: count("SELECT count(*) FROM participants WHERE source_id = ?1 AND looked_up_at_ms IS NOT NULL")?,
    })
}

/// Makes conversations stale whose messages were not looked at for long: votes and edits deep in a conversation leave
/// its list row as it was. The longer a conversation rests, the seldomer: a quarter of its rest, from six hours to a
/// week. Those that are known to lack what their list told of are looked at sooner: after a sixteenth of their rest, from
/// five minutes on. A twentieth of the conversations at most, the longest waiting first, so that no pass is swamped.
pub(super) fn mark_due(conn: &Connection, source_id: i64, now_ms: i64) -> rusqlite::Result<usize> {
    conn.execute(
        "UPDATE conversations SET fetched_fingerprint = NULL WHERE id IN (
           SELECT id FROM conversations
           WHERE source_id = ?1 AND list_fingerprint IS NOT NULL AND deleted_at_ms IS NULL
             AND incomplete_reason IS NOT 'forbidden'
             AND fetched_at_ms < ?2 - CASE WHEN incomplete_reason IN ('behind', 'count')
               THEN max(300000, min(604800000, (?2 - coalesce(last_message_at_ms, 0)) / 16))
               ELSE max(21600000, min(604800000, (?2 - coalesce(last_message_at_ms, 0)) / 4)) END
           ORDER BY fetched_at_ms
           LIMIT max(20, (SELECT count(*) / 20 FROM conversations WHERE source_id = ?1)))",
        params![source_id, now_ms],
    )
}

/// When that stream of a source was last put to the proof which waits longest, among those read to their end since a time.
pub(super) fn oldest_probe(conn: &Connection, source_id: i64, finished_since: i64) -> rusqlite::Result<Option<i64>> {
    conn.query_row(
        "SELECT min(json_extract(cursor, '$.probed_at')) FROM cursors
         WHERE source_id = ?1 AND json_extract(cursor, '$.finished_at') >= ?2",
        params![source_id, finished_since],
        |row| row.get(0),
    )
}

/// The newest modification time of a source's conversations.
pub(super) fn newest_update(conn: &Connection, source_id: i64) -> rusqlite::Result<Option<i64>> {
    conn.query_row("SELECT max(updated_at_ms) FROM conversations WHERE source_id = ?1", [source_id], |row| row.get(0))
}

/// The greatest id of a stream's stored records that is no greater than a bound.
pub(super) fn greatest_id(
    conn: &Connection,
    source_id: i64,
    stream: &str,
    up_to: i64,
) -> rusqlite::Result<Option<i64>> {
    conn.query_row(
        "SELECT max(id_number) FROM raw_records WHERE source_id = ?1 AND stream = ?2 AND id_number <= ?3",
        params![source_id, stream, up_to],
        |row| row.get(0),
    )
}

/// Where a stream stands, as JSON.
pub(super) fn cursor(conn: &Connection, source_id: i64, key: &StreamKey) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT cursor FROM cursors WHERE source_id = ?1 AND stream = ?2 AND scope = ?3")?
        .query_row(params![source_id, key.stream, key.scope], |row| row.get(0))
        .optional()
}

/// What was found out about a source's API before.
pub(super) fn facts(conn: &Connection, source_id: i64) -> rusqlite::Result<BTreeMap<String, String>> {
    conn.prepare_cached("SELECT name, value FROM facts WHERE source_id = ?1")?
        .query_map([source_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
