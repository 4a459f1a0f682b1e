//! Pages on their way into the store: the next one is asked for while they are stored.

use std::collections::VecDeque;

use super::runner::Runner;
use super::tell;
use crate::model::Row;
use crate::store::{Batch, Committed, Posted, StoreError};
use crate::telemetry::events;

/// Pages that may be under way: where the provider is quicker than the store, these share a transaction. A run that is
/// killed asks for them again.
const PAGES: usize = 16;

/// Bytes of records that may be under way; a larger page goes alone.
const BYTES: usize = 4 * 1024 * 1024;

/// Batches that were sent to the store and whose outcome is not known yet, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    under_way: VecDeque<UnderWay>,
    bytes: usize,
}

#[derive(Debug)]
struct UnderWay {
    posted: Posted,
    bytes: usize,
    rows: RowsOf,
}

/// What a batch shows to whoever watches.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowsOf {
    conversations: u64,
    messages: u64,
}

impl RowsOf {
    pub(super) fn batch(batch: &Batch) -> Self {
        let mut rows = Self { conversations: 0, messages: 0 };
        for row in batch.records.iter().filter_map(|record| record.outcome.as_ref().ok()).flatten() {
            match row {
                Row::Conversation(_) => rows.conversations += 1,
                Row::Message(_) => rows.messages += 1,
                Row::Channel(_) | Row::Participant(_) | Row::Contact(_) => {}
            }
        }
        rows
    }
}

impl Runner {
    /// Sends a batch to the store behind those of the outbox, and waits only while too much is under way.
    pub(crate) async fn post(&self, outbox: &mut Outbox, batch: Batch) -> Result<(), StoreError> {
        let rows = RowsOf::batch(&batch);
        let bytes = batch.records.iter().map(|record| record.raw.json.get().len()).sum();
        while outbox.under_way.len() >= PAGES || outbox.bytes > 0 && outbox.bytes + bytes > BYTES {
            self.note_store_behind();
            self.settle_oldest(outbox).await?;
        }
        if self.store.is_behind() {
            self.note_store_behind();
        }
        let posted = self.store.post(batch).await?;
        outbox.bytes += bytes;
        outbox.under_way.push_back(UnderWay { posted, bytes, rows });
        // What is known by now is told of now.
        while let Some(oldest) = outbox.under_way.pop_front() {
            match oldest.posted.look() {
                Ok(outcome) => {
                    outbox.bytes -= oldest.bytes;
                    self.stored(oldest.rows, outcome?);
                }
                Err(posted) => {
                    outbox.under_way.push_front(UnderWay { posted, ..oldest });
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits until everything is stored.
    pub(crate) async fn settle(&self, outbox: &mut Outbox) -> Result<(), StoreError> {
        while !outbox.under_way.is_empty() {
            self.settle_oldest(outbox).await?;
        }
        Ok(())
    }

    async fn settle_oldest(&self, outbox: &mut Outbox) -> Result<(), StoreError> {
        let Some(oldest) = outbox.under_way.pop_front() else { return Ok(()) };
        outbox.bytes -= oldest.bytes;
        self.stored(oldest.rows, oldest.posted.done().await?);
        Ok(())
    }

    /// Counts what a batch did.
    pub(super) fn stored(&self, rows: RowsOf, committed: Committed) {
        events::rows_stored(&self.source.subject(), &tell::rows(&committed.counts));
        self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&committed.counts);
        self.progress.read(rows.conversations, rows.messages);
    }
}
