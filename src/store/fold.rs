//! Batches that share a transaction, and what follows from their rows once for all of them.

use rusqlite::Connection;

use super::batch::Batch;
use super::commit::Tx;
use super::fulltext::Texts;
use super::{Committed, StoreError, people, stats};

/// The batches of a transaction being applied. The caller holds the transaction, and rolls it back on an error.
pub(super) struct Fold<'c> {
    conn: &'c Connection,
    /// What is known of the source of the last batch.
    tx: Option<Tx<'c>>,
    /// The change counter before the first batch that changed anything.
    since: Option<i64>,
}

/// Applies one batch and all that follows from it.
pub(super) fn apply(conn: &Connection, batch: &Batch) -> Result<Committed, StoreError> {
    let mut fold = Fold::new(conn);
    let committed = fold.apply(batch)?;
    fold.settle(false)?;
    Ok(committed)
}

impl<'c> Fold<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        Self { conn, tx: None, since: None }
    }

    /// Applies a batch. What has to follow is noted, and follows with [`Fold::settle`].
    pub(super) fn apply(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        self.apply_rows(batch).map_err(StoreError::sql("storing a page"))
    }

    fn apply_rows(&mut self, batch: &Batch) -> rusqlite::Result<Committed> {
        let tx = match self.tx.take() {
            Some(tx) if tx.source_id == batch.source_id => tx,
            other => Tx::new(self.conn, batch, other.map(|tx| tx.texts).unwrap_or_default())?,
        };
        let tx = self.tx.insert(tx);
        let before = tx.rev;
        let counts = tx.apply(batch)?;
        if tx.rev != before {
            self.since.get_or_insert(before);
        }
        Ok(Committed { counts })
    }

    /// How many messages were made.
    pub(super) fn messages_made(&self) -> usize {
        self.tx.as_ref().map_or(0, |tx| tx.texts.count_made())
    }

    /// Lets the full-text index, the statistics and who is one person follow, at the end of the transaction. `texts_wait`:
    /// new messages may be left to a later filling of the index.
    pub(super) fn settle(self, texts_wait: bool) -> Result<(), StoreError> {
        let texts = self.tx.map(|tx| tx.texts).unwrap_or_default();
        follow(self.conn, texts, self.since, texts_wait).map_err(StoreError::sql("storing a page"))
    }
}

fn follow(conn: &Connection, mut texts: Texts, since: Option<i64>, texts_wait: bool) -> rusqlite::Result<()> {
    texts.settle(conn, texts_wait)?;
    let Some(since) = since else { return Ok(()) };
    stats::refresh(conn, since)?;
    let before: i64 =
        conn.prepare_cached("SELECT rev FROM change_counter WHERE id = 1")?.query_row([], |row| row.get(0))?;
    let mut rev = before;
    people::refresh(conn, since, || {
        rev += 1;
        rev
    })?;
    if rev != before {
        conn.prepare_cached("UPDATE change_counter SET rev = ?1 WHERE id = 1")?.execute([rev])?;
    }
    Ok(())
}
