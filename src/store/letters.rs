//! Dead letters: records that make no row, kept whole until they do.

use rusqlite::{Connection, params};

use super::batch::Record;
use super::commit::Tx;
use crate::model::{Hasher, Reject};

/// Whether a source has open letters. Most have none, and then no record has to look for its own.
pub(super) fn any_open(conn: &Connection, source_id: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM dead_letters WHERE source_id = ?1 AND resolved_at_ms IS NULL)")?
        .query_row([source_id], |row| row.get(0))
}

/// So many letters are known by heart to whoever tells of new ones.
const KNOWN: i64 = 10_000;

/// What letters are told apart by: stream, and a hash of the id, or of the body where there is none.
pub(super) fn known_by(stream: &str, external_id: Option<&str>, body_hash: i64) -> (String, i64) {
    (stream.to_owned(), external_id.map_or(body_hash, |id| Hasher::of_bytes(id.as_bytes())))
}

/// Open letters of a source, as [`known_by`] has them.
pub(super) fn open_ones(conn: &Connection, source_id: i64) -> rusqlite::Result<Vec<(String, i64)>> {
    conn.prepare_cached(
        "SELECT stream, external_id, body_hash FROM dead_letters WHERE source_id = ?1 AND resolved_at_ms IS NULL LIMIT ?2",
    )?
    .query_map([source_id, KNOWN], |row| {
        let (stream, id): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        Ok(known_by(&stream, id.as_deref(), row.get(2)?))
    })?
    .collect()
}

impl Tx<'_> {
    /// Keeps a record that makes no row. The same record met again is not kept twice, but counts in its run again:
    /// a run that could not store what it read says so every time.
    pub(super) fn dead_letter(&mut self, record: &Record, reject: &Reject) -> rusqlite::Result<()> {
        self.counts.dead += 1;
        let raw = &record.raw;
        let private = self.names_forgotten(record)?;
        // Of somebody forgotten not even what was computed from the record stays, except under the store's key, and
        // of what was wrong only where it was: a reason may quote what it found.
        let hash = self.keyed_hash(record.hash).filter(|_| private).unwrap_or(record.hash);
        let error = if private { format!("{}: withheld", reject.path) } else { reject.to_string() };
        let body = (!private).then(|| raw.json.get());
        let parent = raw.parent.as_ref().filter(|_| !private);
        let external_id = match &raw.id {
            Some(id) if self.forgotten_participant(id)?.is_some() => None,
            id => id.as_ref(),
        };
        let known: bool = self
            .conn
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM dead_letters WHERE source_id = ?1 AND stream = ?2 AND external_id IS ?3
                 AND body_hash = ?4 AND resolved_at_ms IS NULL)",
            )?
            .query_row(params![self.source_id, record.stream, external_id, hash], |row| row.get(0))?;
        if known {
            self.conn
                .prepare_cached(
                    "UPDATE dead_letters SET last_seen_ms = ?5, parent = coalesce(parent, ?6)
                     WHERE source_id = ?1 AND stream = ?2 AND external_id IS ?3 AND body_hash = ?4 AND resolved_at_ms IS NULL",
                )?
                .execute(params![self.source_id, record.stream, external_id, hash, self.now_ms, parent])?;
            return self.lacks_letter(&record.stream, parent.map(String::as_str));
        }
        self.letters = true;
        // An older unreadable form of the same record is superseded by this one.
        self.resolve_letters(record)?;
        self.conn
            .prepare_cached(
                "INSERT INTO dead_letters
                 (source_id, stream, external_id, parent, seq, stage, error, body, body_hash, first_seen_ms, last_seen_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
            )?
            .execute(params![
                self.source_id,
                record.stream,
                external_id,
                parent,
                raw.seq,
                reject.stage.as_str(),
                error,
                body,
                hash,
                self.now_ms
            ])?;
        self.lacks_letter(&record.stream, parent.map(String::as_str))
    }

    /// Everything was read again, and some letters were not met: their records are gone or mended. Those of names are not
    /// read again every time.
    pub(super) fn settle_nameless_letters(&mut self, unseen_since_ms: i64) -> rusqlite::Result<()> {
        let settled = self
            .conn
            .prepare_cached(
                "UPDATE dead_letters SET resolved_at_ms = ?3
                 WHERE source_id = ?1 AND (external_id IS NULL OR stream = 'messages') AND resolved_at_ms IS NULL
                 AND last_seen_ms < ?2",
            )?
            .execute(params![self.source_id, unseen_since_ms, self.now_ms])?;
        self.letters_settled |= settled > 0;
        Ok(())
    }

    /// A record that makes rows now: earlier letters of it are settled.
    pub(super) fn resolve_letters(&mut self, record: &Record) -> rusqlite::Result<()> {
        if let Some(external_id) = record.raw.id.as_deref() {
            let settled = self
                .conn
                .prepare_cached(
                    "UPDATE dead_letters SET resolved_at_ms = ?4
                     WHERE source_id = ?1 AND stream = ?2 AND external_id = ?3 AND resolved_at_ms IS NULL",
                )?
                .execute(params![self.source_id, record.stream, external_id, self.now_ms])?;
            self.letters_settled |= settled > 0;
        }
        Ok(())
    }
}
