//! Raw records: the newest JSON of each, and the cheap test whether one changed.

use rusqlite::{OptionalExtension as _, params};

use super::batch::Record;
use super::commit::Tx;
use crate::model::Hasher;

/// Level 3 is zstd's own default; higher levels gain little on texts this short.
const ZSTD_LEVEL: i32 = 3;

/// Below this, compression gains nothing.
const SMALLEST_COMPRESSED: usize = 256;

impl Tx<'_> {
    /// Stores a record's raw form. `false` when the very same record is stored already: then its rows need no look.
    pub(super) fn keep_raw(&self, record: &Record) -> rusqlite::Result<bool> {
        let Some(external_id) = record.raw.id.as_deref() else { return Ok(true) };
        let json = record.raw.json.get();
        let hash = Hasher::of_bytes(json.as_bytes());
        let stored: Option<(i64, Option<i64>)> = self
            .conn
            .prepare_cached(
                "SELECT id, hash FROM raw_records WHERE source_id = ?1 AND stream = ?2 AND external_id = ?3",
            )?
            .query_row(params![self.source_id, record.stream, external_id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if stored.is_some_and(|(_, before)| before == Some(hash)) {
            return Ok(false);
        }
        let (codec, body) = compress(json);
        match stored {
            Some((id, _)) => self
                .conn
                .prepare_cached(
                    "UPDATE raw_records SET parent = ?2, seq = ?3, hash = ?4, codec = ?5, body = ?6, observed_at_ms = ?7
                     WHERE id = ?1",
                )?
                .execute(params![id, record.raw.parent, record.raw.seq, hash, codec, body, self.now_ms])?,
            None => self
                .conn
                .prepare_cached(
                    "INSERT INTO raw_records (source_id, stream, external_id, parent, seq, hash, codec, body, observed_at_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    self.source_id,
                    record.stream,
                    external_id,
                    record.raw.parent,
                    record.raw.seq,
                    hash,
                    codec,
                    body,
                    self.now_ms
                ])?,
        };
        Ok(true)
    }
}

fn compress(json: &str) -> (&'static str, Vec<u8>) {
    if json.len() >= SMALLEST_COMPRESSED
        && let Ok(packed) = zstd::bulk::compress(json.as_bytes(), ZSTD_LEVEL)
        && packed.len() < json.len()
    {
        return ("zstd", packed);
    }
    ("json", json.as_bytes().to_vec())
}
