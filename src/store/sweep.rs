//! Deletions that nobody announced: a row that two complete readings of its place did not meet is gone.
//!
//! One reading is never enough, a reading that failed or was cut short counts for nothing, and a row that comes back
//! is un-marked. What was deleted keeps its content.

use std::collections::HashSet;

use rusqlite::{OptionalExtension as _, params};

use super::batch::{Batch, Stretch};
use super::commit::Tx;
use super::failpoint::failpoint;
use super::raw;

/// Complete readings, one after the other, that must miss a row before it counts as deleted.
const READINGS: i64 = 2;

/// So many messages missing at one end of a conversation look cut off.
const AN_END: usize = 5;

/// What the end of a sweep tells.
struct Missing {
    /// Whether any row was met.
    met_any: bool,
    /// Rows that are not deleted yet.
    known: i64,
    /// Those of them that were not met.
    absent: i64,
}

impl Tx<'_> {
    /// A sweep begins anew.
    pub(super) fn begin_sweep(&self, stream: &str) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("DELETE FROM sweep_absent WHERE source_id = ?1 AND stream = ?2")?
            .execute(params![self.source_id, stream])?;
        Ok(())
    }

    /// Notes which stored rows of a stretch were not met in it.
    pub(super) fn note_absent(&self, stretch: &Stretch, batch: &Batch) -> rusqlite::Result<()> {
        self.note_met(stretch.stream, batch)?;
        let held: HashSet<i64> =
            batch.records.iter().filter_map(|record| record.raw.id.as_deref().and_then(|id| id.parse().ok())).collect();
        let stored: Vec<(i64, i64)> = self
            .conn
            .prepare_cached(
                "SELECT id, id_number FROM raw_records
                 WHERE source_id = ?1 AND stream = ?2 AND id_number > ?3 AND id_number <= ?4",
            )?
            .query_map(
                params![
                    self.source_id,
                    stretch.stream,
                    stretch.after.unwrap_or(i64::MIN),
                    stretch.up_to.unwrap_or(i64::MAX)
                ],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .collect::<rusqlite::Result<_>>()?;
        for (id, _) in stored.iter().filter(|(_, number)| !held.contains(number) && !batch.held.contains(number)) {
            self.conn
                .prepare_cached("INSERT OR IGNORE INTO sweep_absent (source_id, stream, raw_id) VALUES (?1, ?2, ?3)")?
                .execute(params![self.source_id, stretch.stream, id])?;
        }
        Ok(())
    }

    /// What a page of a sweep holds is there, whatever an earlier page made of it: one that led too far with a wrong id left
    /// rows out that are met when the sweep goes back.
    fn note_met(&self, stream: &str, batch: &Batch) -> rusqlite::Result<()> {
        let any = self
            .conn
            .prepare_cached("SELECT 1 FROM sweep_absent WHERE source_id = ?1 AND stream = ?2 LIMIT 1")?
            .exists(params![self.source_id, stream])?;
        let met =
            batch.records.iter().filter_map(|record| record.raw.id.as_deref().and_then(|id| id.parse::<i64>().ok()));
        for number in met.filter(|_| any) {
            self.conn
                .prepare_cached(
                    "DELETE FROM sweep_absent WHERE source_id = ?1 AND stream = ?2 AND raw_id IN (
                       SELECT id FROM raw_records WHERE source_id = ?1 AND stream = ?2 AND id_number = ?3)",
                )?
                .execute(params![self.source_id, stream, number])?;
        }
        Ok(())
    }

    /// A sweep reached its end: what it did not meet is missing once more, what it met is not.
    pub(super) fn end_sweep(&mut self, stream: &str) -> rusqlite::Result<()> {
        let Missing { met_any, known, absent } = self.missing(stream)?;
        let vanished = match met_any {
            false if absent > 0 => {
                Some("a list that had rows answered without a single one: nothing was marked as deleted")
            }
            true if absent * 2 > known && absent > 20 => Some("most rows of a list are missing from it"),
            _ => None,
        };
        if let Some(what) = vanished {
            tracing::warn!(event = "mass_missing", stream, rows.missing = absent, rows.known = known, "{what}");
        }
        // A sweep that met nothing at all proves nothing.
        if met_any {
            self.conn
                .prepare_cached(
                    "UPDATE raw_records SET missed = 0 WHERE source_id = ?1 AND stream = ?2 AND missed > 0
                     AND id NOT IN (SELECT raw_id FROM sweep_absent WHERE source_id = ?1 AND stream = ?2)",
                )?
                .execute(params![self.source_id, stream])?;
            self.conn
                .prepare_cached(
                    "UPDATE raw_records SET missed = missed + 1
                     WHERE id IN (SELECT raw_id FROM sweep_absent WHERE source_id = ?1 AND stream = ?2)",
                )?
                .execute(params![self.source_id, stream])?;
            failpoint!("sweep.counted");
            // A row that a record which was met makes as well is not gone: its other record only gave a wrong id.
            let gone: Vec<(i64, i64)> = self
                .conn
                .prepare_cached(
                    "SELECT id, row_id FROM raw_records
                     WHERE id IN (SELECT raw_id FROM sweep_absent WHERE source_id = ?1 AND stream = ?2)
                     AND missed >= ?3 AND row_id IS NOT NULL
                     AND row_id NOT IN (SELECT row_id FROM raw_records WHERE source_id = ?1 AND stream = ?2
                                        AND missed = 0 AND row_id IS NOT NULL)",
                )?
                .query_map(params![self.source_id, stream, READINGS], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            for (raw_id, row_id) in gone {
                self.delete_row(stream, row_id)?;
                self.forget_hash(raw_id)?;
            }
            self.unlisted_are_missing()?;
        }
        failpoint!("sweep.ended");
        self.begin_sweep(stream)
    }

    /// What a sweep did not meet. Rows that earlier ones missed so often that they count as deleted are no news.
    fn missing(&self, stream: &str) -> rusqlite::Result<Missing> {
        self.conn
            .prepare_cached(
                "SELECT count(*) > (SELECT count(*) FROM sweep_absent WHERE source_id = ?1 AND stream = ?2),
                        count(*) FILTER (WHERE missed < ?3),
                        (SELECT count(*) FROM sweep_absent AS a JOIN raw_records AS r ON r.id = a.raw_id
                         WHERE a.source_id = ?1 AND a.stream = ?2 AND r.missed < ?3)
                 FROM raw_records WHERE source_id = ?1 AND stream = ?2 AND id_number IS NOT NULL",
            )?
            .query_row(params![self.source_id, stream, READINGS], |row| {
                Ok(Missing { met_any: row.get(0)?, known: row.get(1)?, absent: row.get(2)? })
            })
    }

    pub(super) fn delete_row(&mut self, stream: &str, row_id: i64) -> rusqlite::Result<()> {
        let messages = stream == "messages";
        let table = if messages { "messages" } else { "conversations" };
        let before: Option<Option<String>> = self
            .conn
            .prepare_cached(&format!("SELECT deleted_reason FROM {table} WHERE id = ?1"))?
            .query_row([row_id], |row| row.get(0))
            .optional()?;
        let Some(before) = before else { return Ok(()) };
        // What the provider had deleted softly it has dropped since, and lists no longer; when it was deleted stays.
        if before.as_deref().is_some_and(|reason| reason != "provider") {
            return Ok(());
        }
        let rev = self.next_rev();
        self.conn
            .prepare_cached(&format!(
                "UPDATE {table} SET deleted_at_ms = coalesce(deleted_at_ms, ?2), deleted_reason = 'missing', rev = ?3
                 WHERE id = ?1"
            ))?
            .execute(params![row_id, self.now_ms, rev])?;
        let deleted = u64::from(before.is_none());
        if messages {
            self.counts.messages.deleted += deleted;
            self.last_message_left(row_id)?;
        } else {
            self.counts.conversations.deleted += deleted;
        }
        Ok(())
    }

    /// A message was deleted: if it was its conversation's last, that is another one now, or none.
    fn last_message_left(&mut self, message: i64) -> rusqlite::Result<()> {
        let moved: Option<(i64, Option<i64>, i64)> = self
            .conn
            .prepare_cached(
                "SELECT c.id,
                   max(coalesce(c.reported_last_at_ms, n.newest), coalesce(n.newest, c.reported_last_at_ms)), c.rev
                 FROM messages AS m
                 JOIN conversations AS c ON c.id = m.conversation_id AND c.last_message_at_ms = m.sent_at_ms
                 JOIN (SELECT max(l.sent_at_ms) AS newest FROM messages AS d JOIN messages AS l
                         ON l.conversation_id = d.conversation_id AND l.deleted_at_ms IS NULL WHERE d.id = ?1) AS n
                 WHERE m.id = ?1",
            )?
            .query_row([message], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((conversation, last, before)) = moved else { return Ok(()) };
        let rev = self.next_rev();
        let changed = self
            .conn
            .prepare_cached(
                "UPDATE conversations SET last_message_at_ms = ?2, rev = ?3
                 WHERE id = ?1 AND last_message_at_ms IS NOT ?2",
            )?
            .execute(params![conversation, last, rev])?;
        match changed {
            0 => self.give_back_rev(),
            _ => self.counts.conversations.updated += u64::from(!self.counted(before)),
        }
        Ok(())
    }

    /// Should the record come back as it was, it must be looked at again.
    fn forget_hash(&self, raw_id: i64) -> rusqlite::Result<()> {
        self.conn.prepare_cached("UPDATE raw_records SET hash = NULL WHERE id = ?1")?.execute([raw_id])?;
        Ok(())
    }

    /// Whether what a reading lacks is one whole end of the conversation: that is how a provider that has begun to
    /// cut its answers looks, not how messages are deleted.
    pub(super) fn is_cut_off(&self, conversation: i64, present: &HashSet<String>) -> rusqlite::Result<bool> {
        let lacking: Vec<bool> = self
            .conn
            .prepare_cached(
                "SELECT external_id FROM messages WHERE conversation_id = ?1 AND deleted_at_ms IS NULL
                 ORDER BY sent_at_ms, seq, id",
            )?
            .query_map([conversation], |row| row.get::<_, String>(0))?
            .map(|id| id.map(|id| !present.contains(&id)))
            .collect::<rusqlite::Result<_>>()?;
        let count = lacking.iter().filter(|lacks| **lacks).count();
        let in_front = lacking.iter().take_while(|lacks| **lacks).count();
        let at_the_end = lacking.iter().rev().take_while(|lacks| **lacks).count();
        Ok(count >= AN_END && count < lacking.len() && (count == in_front || count == at_the_end))
    }

    /// A conversation was read whole: stored messages that were not in it are missing once more.
    pub(super) fn missing_messages(&mut self, conversation: i64, present: &HashSet<String>) -> rusqlite::Result<()> {
        let stored: Vec<(i64, String, i64)> = self
            .conn
            .prepare_cached(
                "SELECT id, external_id, missed FROM messages WHERE conversation_id = ?1 AND deleted_at_ms IS NULL",
            )?
            .query_map([conversation], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        // A whole conversation without a single message it once had proves nothing by itself.
        if present.is_empty() {
            return Ok(());
        }
        for (id, external_id, missed) in stored {
            let missed_now = if present.contains(&external_id) { 0 } else { missed + 1 };
            if missed_now == missed {
                continue;
            }
            self.conn.prepare_cached("UPDATE messages SET missed = ?2 WHERE id = ?1")?.execute([id, missed_now])?;
            if missed_now >= READINGS {
                self.delete_row("messages", id)?;
                for record in raw::of_message(self.conn, id)? {
                    self.forget_hash(record)?;
                }
            }
        }
        Ok(())
    }
}
