//! Applying a batch inside a transaction: the only code that writes rows, cursors and counters.

use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::batch::{Batch, Counts, Record, SweepPoint};
use super::failpoint::failpoint;
use super::fulltext::Texts;
use super::message::Roles;
use super::shroud::Shroud;
use super::{lacking, letters};
use crate::model::{Row, StreamKey};

/// The batches of one source being applied, one after the other. What it knows of the store holds as long as the
/// transaction.
pub(super) struct Tx<'c> {
    pub(super) conn: &'c Connection,
    pub(super) source_id: i64,
    pub(super) now_ms: i64,
    pub(super) run_start_rev: i64,
    /// The change counter.
    pub(super) rev: i64,
    /// How the batch under way fares.
    pub(super) counts: Counts,
    pub(super) conversations: HashMap<String, i64>,
    pub(super) participants: HashMap<String, i64>,
    pub(super) channels: HashMap<String, i64>,
    pub(super) roles: HashMap<i64, Rc<Roles>>,
    /// The greatest number that a raw record of this stream has.
    pub(super) greatest: Option<(String, i64)>,
    /// The conversation or message that the record under way made.
    pub(super) made: Option<i64>,
    /// The message that says what the record under way does, word for word, if there is one.
    pub(super) says: Option<i64>,
    /// The record under way comes from the store: see [`Record::again`].
    pub(super) again: bool,
    pub(super) hot: Hot<'c>,
    /// Some dead letters of the source are open.
    pub(super) letters: bool,
    /// Dead letters were settled by the batch under way.
    pub(super) letters_settled: bool,
    /// The source was never read to its end.
    pub(super) first_pass: bool,
    /// Conversations that messages were met of, with the newest time of these.
    pub(super) newest: HashMap<i64, Option<i64>>,
    /// What was erased and must not come back.
    pub(super) shroud: Shroud,
    /// Messages whose text changed: the index follows at the end of the transaction.
    pub(super) texts: Texts,
}

impl<'c> Tx<'c> {
    /// For the first batch of a source. The caller holds the transaction.
    pub(super) fn new(conn: &'c Connection, batch: &Batch, texts: Texts) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            source_id: batch.source_id,
            now_ms: batch.now_ms,
            run_start_rev: batch.run_start_rev,
            rev: conn.prepare_cached("SELECT rev FROM change_counter WHERE id = 1")?.query_row([], |row| row.get(0))?,
            counts: Counts::default(),
            conversations: HashMap::new(),
            participants: HashMap::new(),
            channels: HashMap::new(),
            roles: HashMap::new(),
            greatest: None,
            made: None,
            says: None,
            again: false,
            hot: Hot::default(),
            letters: letters::any_open(conn, batch.source_id)?,
            letters_settled: false,
            first_pass: lacking::in_first_pass(conn, batch.source_id)?,
            newest: HashMap::new(),
            shroud: Shroud::load(conn, batch.source_id)?,
            texts,
        })
    }

    /// The next value of the change counter: one for every row whose content changes.
    pub(super) fn next_rev(&mut self) -> i64 {
        self.rev += 1;
        self.rev
    }

    /// Takes back the number that was just given, since nothing was changed with it.
    pub(super) fn give_back_rev(&mut self) {
        self.rev -= 1;
    }

    /// The row id behind an external id of this source, by a query of the shape
    /// `SELECT id … WHERE source_id = ?1 AND external_id = ?2`.
    pub(super) fn id_of(&self, query: &str, external_id: &str) -> rusqlite::Result<Option<i64>> {
        self.conn.prepare_cached(query)?.query_row(params![self.source_id, external_id], |row| row.get(0)).optional()
    }

    /// A modification time that can be believed. One of the future (a damaged answer, a clock that was wrong) would keep
    /// every true one out until it has come.
    pub(super) fn credible(&self, version: Option<i64>) -> Option<i64> {
        /// Clocks differ, by minutes. Believed further ahead, one wrong time would keep every true one out for as long.
        const AHEAD_MS: i64 = 600_000;
        version.filter(|at| *at <= self.now_ms.saturating_add(AHEAD_MS))
    }

    /// Whether a row with one modification time is older than what is stored with another.
    pub(super) fn is_older(&self, stored: Option<i64>, told: Option<i64>) -> bool {
        self.credible(stored).zip(self.credible(told)).is_some_and(|(stored, told)| told < stored)
    }

    /// Whether a row that stands at `rev` was already counted as inserted or updated by this run.
    pub(super) fn counted(&self, rev: i64) -> bool {
        rev > self.run_start_rev
    }
}

/// Statements that run for every record, taken out of the connection's cache once a transaction: looking one up there
/// takes the hash of its whole text.
#[derive(Default)]
pub(super) struct Hot<'c> {
    pub(super) raw_state: Option<CachedStatement<'c>>,
    pub(super) raw_insert: Option<CachedStatement<'c>>,
    pub(super) message_state: Option<CachedStatement<'c>>,
    pub(super) message_insert: Option<CachedStatement<'c>>,
}

/// The statement in a place of [`Hot`], put there if it is the first time.
pub(super) fn hot<'h, 'c>(
    place: &'h mut Option<CachedStatement<'c>>,
    conn: &'c Connection,
    sql: &str,
) -> rusqlite::Result<&'h mut CachedStatement<'c>> {
    match place {
        Some(statement) => Ok(statement),
        None => Ok(place.insert(conn.prepare_cached(sql)?)),
    }
}

fn save_cursor(conn: &Connection, batch: &Batch, key: &StreamKey, cursor: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO cursors (source_id, stream, scope, cursor, updated_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (source_id, stream, scope) DO UPDATE
         SET cursor = excluded.cursor, updated_at_ms = excluded.updated_at_ms
         WHERE cursor <> excluded.cursor",
    )?
    .execute(params![batch.source_id, key.stream, key.scope, cursor, batch.now_ms])?;
    Ok(())
}

/// The mistake that the tests of crash safety must notice, made on purpose: where streams stand, and which
/// conversations are fetched, in a transaction of its own before the rows.
#[cfg(debug_assertions)]
pub(super) fn cursors_alone(conn: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    for (key, cursor) in &batch.cursors {
        save_cursor(conn, batch, key, cursor)?;
    }
    if let Some(mark) = &batch.fetched {
        conn.execute(
            "UPDATE conversations SET fetched_fingerprint = ?3 WHERE source_id = ?1 AND external_id = ?2",
            params![batch.source_id, mark.conversation, mark.fingerprint],
        )?;
    }
    Ok(())
}

impl Tx<'_> {
    /// Applies a batch of the source: how it fared.
    pub(super) fn apply(&mut self, batch: &Batch) -> rusqlite::Result<Counts> {
        let before = self.rev;
        (self.now_ms, self.run_start_rev, self.counts) = (batch.now_ms, batch.run_start_rev, Counts::default());
        for record in &batch.records {
            self.record(record)?;
        }
        self.settle_order(batch)?;
        failpoint!("commit.rows");
        for participant in &batch.misses {
            self.participant_missed(participant)?;
        }
        if let Some((kind, participants)) = &batch.by_exclusion {
            for participant in participants {
                self.participant_by_exclusion(participant, *kind)?;
            }
        }
        for channel in &batch.channel_misses {
            self.channel_missed(channel)?;
        }
        self.settle_last_messages()?;
        if let Some(SweepPoint::Begin(stream)) = batch.sweep {
            self.begin_sweep(stream)?;
        }
        if let Some(stretch) = &batch.stretch {
            self.note_absent(stretch, batch)?;
        }
        if let Some(SweepPoint::End(stream)) = batch.sweep {
            self.end_sweep(stream)?;
        }
        if let Some(mark) = &batch.fetched {
            self.fetched(mark)?;
        }
        if let Some(access) = &batch.access {
            self.access(access)?;
        }
        if let Some(conversation) = &batch.fetch_failed {
            self.conn
                .prepare_cached(
                    "UPDATE conversations SET fetch_failures = fetch_failures + 1 WHERE source_id = ?1 AND external_id = ?2",
                )?
                .execute(params![self.source_id, conversation])?;
        }
        if batch.refetch_all {
            self.refetch_all()?;
            failpoint!("refetch.marked");
        }
        for (key, cursor) in &batch.cursors {
            save_cursor(self.conn, batch, key, cursor)?;
        }
        if let Some(since) = batch.everything_read_since_ms {
            self.settle_nameless_letters(since)?;
        }
        failpoint!("commit.cursor");
        if let Some(key) = &batch.drop_cursor {
            self.conn
                .prepare_cached("DELETE FROM cursors WHERE source_id = ?1 AND stream = ?2 AND scope = ?3")?
                .execute(params![self.source_id, key.stream, key.scope])?;
        }
        if let Some(mark) = &batch.drop_cursors_marked {
            self.conn
                .prepare_cached("DELETE FROM cursors WHERE source_id = ?1 AND substr(scope, -length(?2)) = ?2")?
                .execute(params![self.source_id, mark])?;
        }
        for (name, value) in &batch.facts {
            self.conn
                .prepare_cached(
                    "INSERT INTO facts (source_id, name, value, learned_at_ms) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (source_id, name) DO UPDATE
                     SET value = excluded.value, learned_at_ms = excluded.learned_at_ms",
                )?
                .execute(params![self.source_id, name, value, self.now_ms])?;
        }
        if std::mem::take(&mut self.letters_settled) {
            self.settle_letters()?;
        }
        self.run_progress(batch)?;
        if self.rev != before {
            self.conn.prepare_cached("UPDATE change_counter SET rev = ?1 WHERE id = 1")?.execute(params![self.rev])?;
        }
        Ok(self.counts)
    }

    fn record(&mut self, record: &Record) -> rusqlite::Result<()> {
        self.counts.rows_in += 1;
        let rows = match &record.outcome {
            Ok(rows) => rows,
            Err(reject) => return self.dead_letter(record, reject),
        };
        let state = self.raw_state(record)?;
        if record.again || state.as_ref().is_none_or(|state| !state.same) {
            (self.made, self.says, self.again) = (None, None, record.again);
            (self.shroud.private, self.shroud.old) = (false, false);
            let mut messages = 0;
            for row in rows {
                match row {
                    Row::Channel(row) => self.channel(row)?,
                    Row::Participant(row) => self.participant(row)?,
                    Row::Contact(hint) => self.contact_hint(hint)?,
                    Row::Conversation(row) => self.conversation(row)?,
                    Row::Message(row) => {
                        self.message(row, record.known(messages))?;
                        messages += 1;
                    }
                }
            }
            match &state {
                Some(state) if record.again => self.point_raw(state, self.made)?,
                Some(state) => {
                    self.leave_old_place(&record.stream, state)?;
                    self.keep_raw(record, state)?;
                }
                None => {}
            }
            if self.letters {
                self.resolve_letters(record)?;
            }
        } else {
            if self.letters {
                // A damaged answer came in between.
                self.resolve_letters(record)?;
            }
            for row in rows {
                match row {
                    // What this run brought itself is not unchanged when it is met again.
                    Row::Conversation(row) => {
                        let rev = self.id_of(
                            "SELECT rev FROM conversations WHERE source_id = ?1 AND external_id = ?2",
                            &row.external_id,
                        )?;
                        let brought = rev.is_some_and(|rev| self.counted(rev));
                        self.counts.conversations.unchanged += u64::from(!brought);
                    }
                    Row::Message(_) => self.counts.messages.unchanged += 1,
                    Row::Channel(_) | Row::Participant(_) | Row::Contact(_) => {}
                }
            }
        }
        Ok(())
    }
}
