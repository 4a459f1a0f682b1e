//! Filling the full-text index with messages that wait for it: when, and how.
//!
//! Rows are stored without the index where very many come; what waits follows in a transaction of its own. That needs no
//! savepoint: as long as there is one, SQLite keeps a copy of every page that changes, in memory, and the index changes
//! very many when it merges its parts.

use std::time::{Duration, Instant};

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, TransactionBehavior};

use super::failpoint::failpoint;
use super::fulltext::{LEAVE_BEHIND, filled_to, flush, is_damage, is_exact, is_sound};
use super::{Store, StoreError};
use crate::telemetry::events;

/// New messages that may wait for the index, and for how long they may while pages come: who searches while a history is
/// brought misses no more than that, and what came before a long pause.
const WAITING: usize = 10_000;
const WAIT: Duration = Duration::from_millis(500);

/// What is known between transactions of new messages that wait. Only for when to fill the index: what waits is read
/// from the tables.
#[derive(Debug)]
pub(super) struct Filling {
    waiting: usize,
    last: Instant,
}

impl Filling {
    pub(super) fn new(now: Instant) -> Self {
        Self { waiting: 0, last: now }
    }

    /// A transaction made so many more that wait.
    pub(super) fn note(&mut self, made: usize) {
        self.waiting += made;
    }

    /// Puts in what waits if enough has come together, or if it waits for too long. Between transactions.
    pub(super) fn when_due(&mut self, conn: &mut Connection, now: Instant) {
        let late = now.saturating_duration_since(self.last) >= WAIT;
        if self.waiting >= WAITING || (self.waiting > 0 && late) {
            self.fill(conn, now);
        }
    }

    /// Puts in what waits before a transaction whose own messages follow at once. It would put in the others as well, since
    /// the index has no gaps, but under its savepoint.
    pub(super) fn before_others(&mut self, conn: &mut Connection, now: Instant) {
        if self.waiting > 0 {
            self.fill(conn, now);
        }
    }

    fn fill(&mut self, conn: &mut Connection, now: Instant) {
        *self = Self::new(now);
        fill_apart(conn);
    }
}

/// A statement for each: of one for all, SQLite would take back half, and keep copies for that as a savepoint does.
pub(super) fn fill_beyond(conn: &Connection, filled_to: i64) -> rusqlite::Result<()> {
    let mut texts = conn.prepare_cached("SELECT id, body_text FROM search_texts WHERE id > ?1 ORDER BY id")?;
    let mut put = conn.prepare_cached("INSERT INTO message_search (rowid, body_text) VALUES (?1, ?2)")?;
    let mut waiting = texts.query([filled_to])?;
    while let Some(text) = waiting.next()? {
        put.execute([ToSqlOutput::Borrowed(text.get_ref(0)?), ToSqlOutput::Borrowed(text.get_ref(1)?)])?;
    }
    failpoint!("search.filled");
    Ok(())
}

/// Puts what waits into the index, inside a transaction of the caller's.
fn fill(conn: &Connection) -> rusqlite::Result<()> {
    if !is_sound(conn)? || is_exact(conn)? {
        return Ok(());
    }
    fill_beyond(conn, filled_to(conn)?)?;
    flush(conn)
}

/// The same in a transaction of its own. It is no harm if that fails: what waits stays plain from the tables, and is put in
/// by whoever comes next, into an index that is built anew where it is damaged.
pub(super) fn fill_apart(conn: &mut Connection) {
    let filled = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .and_then(|filling| fill(&filling).and_then(|()| filling.commit()));
    let Err(error) = filled else { return };
    if is_damage(&error) && conn.execute(LEAVE_BEHIND, []).is_ok() {
        events::search_index_behind(&error);
    } else {
        tracing::warn!(event = "search_index_waits", %error, "new messages are not in the search index yet");
    }
}

impl Store {
    /// Puts what waits into the index now.
    ///
    /// # Errors
    /// The writing thread has ended. Whatever else goes wrong is no harm: it waits on.
    pub async fn fill_search(&self) -> Result<(), StoreError> {
        self.on_writer("filling the full-text index", |conn| {
            fill_apart(conn);
            Ok(())
        })
        .await
    }
}
