//! Raw records: the newest JSON of each, and the cheap test whether one changed.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::value::RawValue;

use super::batch::Record;
use super::commit::{Tx, hot};
use super::pack::{self, Packed};
use crate::model::Hasher;

const INSERT: &str = "INSERT INTO raw_records (source_id, stream, external_id, id_number, row_id, parent, seq, hash, codec, \
    body, observed_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// What is stored of a raw record already.
pub(super) struct RawState {
    id: Option<i64>,
    hash: i64,
    /// The very same record is stored: its rows need no look.
    pub(super) same: bool,
}

/// An id as a number, where it is one.
fn number_of(external_id: &str) -> Option<i64> {
    external_id.parse().ok()
}

/// The raw records that a message was made from: kept under the message's own id, or under `conversation/message`
/// without the half that a question or an answer is.
pub(super) fn of_message(conn: &Connection, message: i64) -> rusqlite::Result<Vec<i64>> {
    conn.prepare_cached(
        "SELECT r.id FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
         JOIN raw_records AS r ON r.source_id = c.source_id AND r.stream = 'messages'
         AND r.external_id IN (m.external_id,
           c.external_id || '/' || substr(m.external_id, 1, length(m.external_id) - 2))
         WHERE m.id = ?1",
    )?
    .query_map([message], |row| row.get(0))?
    .collect()
}

impl Tx<'_> {
    /// Looks a record's raw form up. `None` for one without an id, which cannot be kept.
    pub(super) fn raw_state(&mut self, record: &Record) -> rusqlite::Result<Option<RawState>> {
        let Some(external_id) = record.raw.id.as_deref() else { return Ok(None) };
        let hash = record.hash;
        let sql = "SELECT id, hash FROM raw_records WHERE source_id = ?1 AND stream = ?2 AND external_id = ?3";
        let stored: Option<(i64, Option<i64>)> = if self.is_beyond(&record.stream, external_id)? {
            None
        } else {
            hot(&mut self.hot.raw_state, self.conn, sql)?
                .query_row(params![self.source_id, record.stream, external_id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
        };
        let before = stored.and_then(|(_, before)| before);
        let same = before.is_some() && (before == Some(hash) || before == self.keyed_hash(hash));
        Ok(Some(RawState { id: stored.map(|(id, _)| id), hash, same }))
    }

    /// Whether an id is a number, and greater than those of all raw records of its stream: then none has it.
    fn is_beyond(&mut self, stream: &str, external_id: &str) -> rusqlite::Result<bool> {
        let Some(number) = number_of(external_id) else { return Ok(false) };
        if let Some((_, greatest)) = self.greatest.as_ref().filter(|(known, _)| known == stream) {
            return Ok(number > *greatest);
        }
        let greatest: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT max(id_number) FROM raw_records WHERE source_id = ?1 AND stream = ?2 AND id_number IS NOT NULL",
            )?
            .query_row(params![self.source_id, stream], |row| row.get(0))?;
        let greatest = greatest.unwrap_or(i64::MIN);
        self.greatest = Some((stream.to_owned(), greatest));
        Ok(number > greatest)
    }

    /// Stores a record's raw form, with the row it made. One that speaks of somebody forgotten, or whose text is too
    /// old to be kept, leaves no body.
    pub(super) fn keep_raw(&mut self, record: &Record, state: &RawState) -> rusqlite::Result<()> {
        let (raw, row_id) = (&record.raw, self.made);
        let private = self.shroud.private || self.names_them_aside(record);
        // A record that describes somebody is known by their id: not even that stays.
        if private && row_id.is_none() {
            return Ok(());
        }
        let old = self.shroud.old || self.lost_texts(&record.stream)?;
        let packed = match (private, old) {
            (true, _) => Cow::Owned(Packed::FORGOTTEN),
            (false, true) => Cow::Owned(Packed::DROPPED),
            (false, false) => record.body(self.says.is_some() && self.says == row_id),
        };
        let (codec, body) = (packed.codec, packed.body.as_slice());
        let hash = if private { self.keyed_hash(state.hash) } else { Some(state.hash) };
        match state.id {
            Some(id) => {
                self.conn.prepare_cached(
                    "UPDATE raw_records SET parent = ?2, seq = ?3, hash = ?4, codec = ?5, body = ?6, observed_at_ms = ?7,
                     row_id = coalesce(?8, row_id) WHERE id = ?1",
                )?
                .execute(params![id, raw.parent, raw.seq, hash, codec, body, self.now_ms, row_id])?;
            }
            None => {
                let number = raw.id.as_deref().and_then(number_of);
                hot(&mut self.hot.raw_insert, self.conn, INSERT)?.execute(params![
                    self.source_id,
                    record.stream,
                    raw.id,
                    number,
                    row_id,
                    raw.parent,
                    raw.seq,
                    hash,
                    codec,
                    body,
                    self.now_ms
                ])?;
                if let (Some((stream, greatest)), Some(number)) = (&mut self.greatest, number)
                    && *stream == record.stream
                {
                    *greatest = number.max(*greatest);
                }
            }
        }
        Ok(())
    }

    /// Whether the record under way is a list's or a conversation's own, and texts of that conversation became too old to
    /// be kept: such records quote its last messages.
    fn lost_texts(&self, stream: &str) -> rusqlite::Result<bool> {
        let Some(conversation) = self.made.filter(|_| stream != "messages") else { return Ok(false) };
        if self.shroud.messages_before_ms.is_none() {
            return Ok(false);
        }
        self.conn
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = ?1 AND erased_at_ms IS NOT NULL)",
            )?
            .query_row([conversation], |row| row.get(0))
    }

    /// A record that makes another row than it did has moved: a message of a Brilliant Directories site that stands in
    /// another thread now, or a thread that was given another token. The provider has one of it, so the row that it made
    /// before is no longer there.
    pub(super) fn leave_old_place(&mut self, stream: &str, state: &RawState) -> rusqlite::Result<()> {
        let (Some(raw), Some(now)) = (state.id, self.made) else { return Ok(()) };
        let before: Option<i64> = self
            .conn
            .prepare_cached("SELECT row_id FROM raw_records WHERE id = ?1 AND row_id <> ?2")?
            .query_row([raw, now], |row| row.get(0))
            .optional()?;
        let Some(before) = before else { return Ok(()) };
        // One record of SiteGPT makes a question and an answer: both stay where they are.
        let elsewhere: bool = stream != "messages"
            || self
                .conn
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM messages AS a JOIN messages AS b ON b.id = ?2
                     WHERE a.id = ?1 AND a.conversation_id <> b.conversation_id)",
                )?
                .query_row([before, now], |row| row.get(0))?;
        if elsewhere { self.delete_row(stream, before) } else { Ok(()) }
    }

    /// Notes which row a stored raw record makes: a row that was made anew has another id.
    pub(super) fn point_raw(&self, state: &RawState, row_id: Option<i64>) -> rusqlite::Result<()> {
        if let (Some(id), Some(row_id)) = (state.id, row_id) {
            let before: Option<i64> = self
                .conn
                .prepare_cached("SELECT row_id FROM raw_records WHERE id = ?1 AND row_id <> ?2")?
                .query_row([id, row_id], |row| row.get(0))
                .optional()?;
            // The row that it was cut beside is not its own any more.
            before.map_or(Ok(()), |before| make_whole(self.conn, before))?;
            self.conn
                .prepare_cached("UPDATE raw_records SET row_id = ?2 WHERE id = ?1 AND row_id IS NOT ?2")?
                .execute([id, row_id])?;
        }
        Ok(())
    }
}

/// The JSON text of a stored body. `None` where it cannot be read back. `row` is the message that the record made: its
/// HTML may have been cut out of the record.
pub(super) fn unpack(conn: &Connection, codec: &str, body: Vec<u8>, row: Option<i64>) -> Option<Box<RawValue>> {
    pack::unpack(codec, body, || {
        let mut statement = conn.prepare_cached("SELECT body_html FROM messages WHERE id = ?1").ok()?;
        statement.query_row([row?], |row| row.get(0)).ok()
    })
}

/// A stored raw record, if it is what its hash vouches for. `None` also where there is no body.
pub(super) fn read(conn: &Connection, id: i64) -> rusqlite::Result<Option<Box<RawValue>>> {
    conn.prepare_cached("SELECT codec, body, row_id, hash FROM raw_records WHERE id = ?1 AND body <> x''")?
        .query_row([id], |row| {
            let json = unpack(conn, &row.get::<_, String>(0)?, row.get(1)?, row.get(2)?);
            let hash: Option<i64> = row.get(3)?;
            Ok(json.filter(|json| hash.is_none_or(|hash| hash == Hasher::of_bytes(json.get().as_bytes()))))
        })
        .optional()
        .map(Option::flatten)
}

/// The JSON text of a stored raw record, for whoever reads them outside of SQL. `None` where there is none, or where it
/// is not what was stored.
///
/// # Errors
/// SQLite failed.
pub fn raw_record(connection: &Connection, id: i64) -> rusqlite::Result<Option<String>> {
    Ok(read(connection, id)?.map(|json| json.get().to_owned()))
}

/// Before the HTML of a message changes: the records that it was cut out of get it back.
pub(super) fn make_whole(conn: &Connection, message: i64) -> rusqlite::Result<()> {
    for record in of_message(conn, message)? {
        let (codec, body, row): (String, Vec<u8>, Option<i64>) = conn
            .prepare_cached("SELECT codec, body, row_id FROM raw_records WHERE id = ?1")?
            .query_row([record], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if row != Some(message) || !pack::is_cut(&codec, &body) {
            continue;
        }
        if let Some(json) = unpack(conn, &codec, body, row) {
            let packed = pack::whole(json.get());
            conn.prepare_cached("UPDATE raw_records SET codec = ?2, body = ?3 WHERE id = ?1")?.execute(params![
                record,
                packed.codec,
                packed.body
            ])?;
        }
    }
    Ok(())
}
