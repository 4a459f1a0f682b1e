//! What a key may not read any more: its conversations may miss messages until it may again.

use rusqlite::{Connection, params};

use super::batch::Access;
use super::commit::Tx;

/// `conversations.incomplete_reason` of a conversation that the key may not read at present.
pub(super) const FORBIDDEN: &str = "forbidden";

impl Tx<'_> {
    /// Notes that a channel was closed to the key, or is open again.
    pub(super) fn access(&mut self, access: &Access) -> rusqlite::Result<()> {
        match access {
            // What was incomplete for another reason has to be fetched once it can be, to learn that reason again.
            Access::Forbidden(channel) => self.set_reason(
                channel,
                "c.deleted_at_ms IS NULL AND c.incomplete_reason IS NOT ?3",
                "complete = 0, incomplete_reason = ?3,
                 fetched_fingerprint = iif(complete = 1, fetched_fingerprint, NULL)",
            ),
            Access::Open(channel) => self.set_reason(
                channel,
                "c.incomplete_reason IS ?3",
                "complete = list_fingerprint IS fetched_fingerprint,
                 incomplete_reason = iif(list_fingerprint IS fetched_fingerprint, NULL, 'not_fetched')",
            ),
        }
    }

    fn set_reason(&mut self, channel: &str, which: &str, columns: &str) -> rusqlite::Result<()> {
        let found: Vec<(i64, i64)> = self
            .conn
            .prepare_cached(&format!(
                "SELECT c.id, c.rev FROM conversations AS c JOIN channels AS h ON h.id = c.channel_id
                 WHERE c.source_id = ?1 AND h.external_id = ?2 AND {which} ORDER BY c.id"
            ))?
            .query_map(params![self.source_id, channel, FORBIDDEN], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let sql = format!("UPDATE conversations SET {columns}, rev = ?2 WHERE id = ?1 AND ?3 IS NOT NULL");
        for (id, before) in found {
            self.counts.conversations.updated += u64::from(!self.counted(before));
            let rev = self.next_rev();
            self.conn.prepare_cached(&sql)?.execute(params![id, rev, FORBIDDEN])?;
        }
        Ok(())
    }
}

/// External ids of the channels that the key may not read, as far as conversations of them are stored.
pub(super) fn forbidden_channels(conn: &Connection, source_id: i64) -> rusqlite::Result<Vec<String>> {
    conn.prepare_cached(
        "SELECT DISTINCT h.external_id FROM conversations AS c JOIN channels AS h ON h.id = c.channel_id
         WHERE c.source_id = ?1 AND c.complete = 0 AND c.incomplete_reason = ?2",
    )?
    .query_map(params![source_id, FORBIDDEN], |row| row.get(0))?
    .collect()
}

/// Takes the note off lists that are no longer among those read. Most passes find none, and write nothing.
pub(super) fn forget_forbidden_lists(conn: &Connection, source_id: i64, scopes: &[String]) -> rusqlite::Result<()> {
    let noted: Vec<(String, String)> = conn
        .prepare_cached(
            "SELECT stream, scope FROM cursors WHERE source_id = ?1 AND json_extract(cursor, '$.note') LIKE 'forbidden:%'",
        )?
        .query_map([source_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (stream, scope) in noted.iter().filter(|(_, scope)| !scopes.contains(scope)) {
        conn.execute(
            "UPDATE cursors SET cursor = json_remove(cursor, '$.note') WHERE source_id = ?1 AND stream = ?2 AND scope = ?3",
            params![source_id, stream, scope],
        )?;
    }
    Ok(())
}
