//! Fetching the messages of stale conversations, several at a time.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::error::PassError;
use super::runner::Runner;
use crate::model::Row;
use crate::provider::{Fetched, Job};
use crate::store::{FetchMark, Record, StaleConversation};

/// Stale conversations read from the store at once.
const QUEUE: u32 = 200;

/// So many failures in a row mean that the provider fails, not the conversation.
const FAILURES_IN_A_ROW: u32 = 5;

/// How the fetches of a pass went.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    /// Conversations that could not be read; they stay stale.
    pub(crate) failed: u64,
    /// The first failure, with the conversation it befell.
    pub(crate) first_error: Option<(String, PassError)>,
    /// What ended the fetches early.
    pub(crate) ended_by: Option<PassError>,
}

impl Runner {
    /// Fetches every stale conversation of the source.
    pub(crate) async fn fetch_stale(self: &Arc<Self>) -> Result<Fetches, PassError> {
        let mut outcome = Fetches::default();
        let mut after = 0;
        let mut failures_in_a_row = 0;
        let mut started_over = false;
        self.progress.will_fetch(self.store.stale_count(self.source_id).await?);
        loop {
            let queue = self.store.stale(self.source_id, after, QUEUE).await?;
            let Some(last) = queue.last() else { return Ok(outcome) };
            after = last.id;
            self.progress.doing("conversations");
            let mut waiting = queue.into_iter();
            let mut under_way = JoinSet::new();
            loop {
                while under_way.len() < self.source.concurrency.max(1) && outcome.ended_by.is_none() {
                    let Some(conversation) = waiting.next() else { break };
                    let runner = Arc::clone(self);
                    under_way.spawn(async move {
                        let result = runner.fetch_one(&conversation).await;
                        (conversation.external_id, result)
                    });
                }
                let Some(joined) = under_way.join_next().await else { break };
                // A panic in a task is a bug; it must not pass for a conversation that was read.
                let (conversation, result) = match joined {
                    Ok(result) => result,
                    Err(_) => ("(unknown)".to_owned(), Err(PassError::Stalled)),
                };
                self.progress.fetched_one();
                match result {
                    Ok(refetch_all) => {
                        failures_in_a_row = 0;
                        if refetch_all && !started_over {
                            (after, started_over) = (0, true);
                        }
                    }
                    Err(error) => {
                        failures_in_a_row += 1;
                        outcome.failed += 1;
                        if !error.is_cancelled() {
                            tracing::warn!(
                                source = %self.source.name, stream = "messages", item = %conversation, error = %error,
                                "a conversation could not be read; it stays marked for the next run"
                            );
                        }
                        let ends = error.ends_source() || error.is_deferred() || failures_in_a_row >= FAILURES_IN_A_ROW;
                        if ends && outcome.ended_by.is_none() {
                            outcome.ended_by = Some(error);
                        } else if outcome.first_error.is_none() {
                            outcome.first_error = Some((conversation, error));
                        }
                    }
                }
            }
            if outcome.ended_by.is_some() {
                return Ok(outcome);
            }
        }
    }

    /// Fetches one conversation, page by page; the last page's commit takes the stale mark away.
    async fn fetch_one(&self, conversation: &StaleConversation) -> Result<bool, PassError> {
        let job = Job {
            external_id: conversation.external_id.clone(),
            reported_messages: conversation.reported_messages,
            reported_last_ms: conversation.reported_last_ms,
            stored_messages: conversation.stored_messages,
            unlisted: self.is_unlisted(&conversation.external_id),
        };
        let mark = |incomplete, gone| FetchMark {
            conversation: conversation.external_id.clone(),
            fingerprint: conversation.fingerprint,
            incomplete,
            gone,
            present: None,
        };
        let mut present = Some(HashSet::new());
        let mut page = None;
        let refetches_before = *self.refetches.read().await;
        loop {
            let fetched = self.source.provider.conversation(&job, page.as_deref()).await?;
            let mut batch = self.batch();
            let next = match fetched {
                Fetched::Gone => {
                    tracing::info!(source = %self.source.name, item = %job.external_id, "a listed conversation is gone");
                    batch.fetched = Some(mark(None, true));
                    batch.refetch_all = false;
                    None
                }
                Fetched::Page(fetched) => {
                    batch.records = fetched.records.into_iter().map(|(stream, raw)| self.record(stream, raw)).collect();
                    note_present(&mut present, &batch.records);
                    if fetched.next.is_none() {
                        batch.fetched = Some(FetchMark { present: present.take(), ..mark(fetched.incomplete, false) });
                        batch.refetch_all = fetched.refetch_all;
                    }
                    fetched.next
                }
            };
            let refetch_all = batch.refetch_all;
            if refetch_all {
                let mut refetches = self.refetches.write().await;
                *refetches += 1;
                self.commit(batch).await?;
            } else {
                let refetches = self.refetches.read().await;
                if *refetches != refetches_before {
                    batch.fetched = None;
                }
                self.commit(batch).await?;
            }
            if next.is_none() {
                return Ok(refetch_all);
            }
            page = next;
        }
    }
}

/// Adds the messages of a page to those met. A record that could not be read leaves open which message it was.
fn note_present(present: &mut Option<HashSet<String>>, records: &[Record]) {
    for record in records {
        let Ok(rows) = &record.outcome else {
            *present = None;
            return;
        };
        if let Some(present) = present {
            present.extend(rows.iter().filter_map(|row| match row {
                Row::Message(message) => Some(message.external_id.clone()),
                _ => None,
            }));
        }
    }
}
