//! The order of messages that share one time.
//!
//! `messages.seq` tells it, and is a place in the list that a message was read from. Where messages before it were deleted
//! since, or come now, places have moved, and an unchanged message keeps the one that it had.

use std::collections::{HashMap, HashSet};

use rusqlite::params;

use super::batch::Batch;
use super::commit::Tx;
use crate::model::{MessageRow, RawRecord, Row};

/// Where a message stands in the store.
struct Place {
    id: i64,
    seq: i64,
    rev: i64,
    is_live: bool,
}

impl Tx<'_> {
    /// Messages of one time stand in the order in which the batch has them. What stands so already is left alone, whatever
    /// its numbers: they say nothing to messages of other times.
    pub(super) fn settle_order(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let rows = || {
            let read = batch.records.iter().filter(|record| !record.again);
            let read = read.filter_map(|record| Some((&record.raw, record.outcome.as_ref().ok()?)));
            read.flat_map(|(raw, rows)| rows.iter().map(move |row| (raw, row))).filter_map(|(raw, row)| match row {
                Row::Message(row) => Some((raw, row)),
                _ => None,
            })
        };
        // All of them are new, and have places of one list.
        if self.counts.messages.inserted == u64::try_from(rows().count()).unwrap_or(u64::MAX) {
            return Ok(());
        }
        let mut by_time: HashMap<(&str, i64), Vec<(&RawRecord, &MessageRow)>> = HashMap::new();
        for (raw, row) in rows() {
            if let Some(sent) = row.sent_at_ms {
                by_time.entry((&row.conversation, sent)).or_default().push((raw, row));
            }
        }
        let mut together: Vec<_> = by_time.into_iter().filter(|(_, rows)| rows.len() > 1).collect();
        together.sort_unstable_by_key(|(of, _)| *of);
        for ((conversation, sent), mut rows) in together {
            rows.sort_by_key(|(_, row)| row.seq);
            // One that the provider gives twice has one place.
            let mut met = HashSet::new();
            rows.retain(|(_, row)| met.insert(row.external_id.as_str()));
            let conversation = self.conversation_id(conversation)?;
            let stored = self.places(conversation, sent)?;
            let placed: Vec<_> =
                rows.iter().filter_map(|(raw, row)| Some((stored.get(&row.external_id)?, *raw, row.seq))).collect();
            if placed.is_sorted_by_key(|(place, ..)| (place.seq, place.id)) {
                continue;
            }
            // Others of that time may stand on another page, whose places these do not know.
            if stored.iter().any(|(id, place)| place.is_live && !met.contains(id.as_str())) {
                continue;
            }
            for (place, raw, seq) in placed.into_iter().filter(|(place, _, seq)| place.seq != *seq) {
                self.put(place, raw, seq)?;
            }
        }
        Ok(())
    }

    /// Gives a message another place, and its record, from which the message may be made anew.
    fn put(&mut self, place: &Place, raw: &RawRecord, seq: i64) -> rusqlite::Result<()> {
        let rev = self.next_rev();
        self.conn
            .prepare_cached("UPDATE messages SET seq = ?2, rev = ?3 WHERE id = ?1")?
            .execute(params![place.id, seq, rev])?;
        self.conn
            .prepare_cached(
                "UPDATE raw_records SET seq = ?3 WHERE source_id = ?1 AND stream = 'messages' AND external_id = ?2",
            )?
            .execute(params![self.source_id, raw.id, raw.seq])?;
        if !self.counted(place.rev) {
            let counts = &mut self.counts.messages;
            (counts.updated, counts.unchanged) = (counts.updated + 1, counts.unchanged.saturating_sub(1));
        }
        Ok(())
    }

    fn places(&self, conversation: i64, sent_at_ms: i64) -> rusqlite::Result<HashMap<String, Place>> {
        self.conn
            .prepare_cached(
                "SELECT external_id, id, seq, rev, deleted_at_ms IS NULL FROM messages
                 WHERE conversation_id = ?1 AND sent_at_ms = ?2",
            )?
            .query_map([conversation, sent_at_ms], |row| {
                Ok((row.get(0)?, Place { id: row.get(1)?, seq: row.get(2)?, rev: row.get(3)?, is_live: row.get(4)? }))
            })?
            .collect()
    }
}
