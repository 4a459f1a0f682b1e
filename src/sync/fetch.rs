//! Fetching the messages of stale conversations, several at a time.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::error::PassError;
use super::runner::Runner;
use crate::http::FetchError;
use crate::model::Row;
use crate::provider::{ConversationPage, Fetched, Job};
use crate::store::failpoint::failpoint;
use crate::store::{FetchMark, Record, StaleConversation};
use crate::telemetry::events;

/// Stale conversations read from the store at once.
const QUEUE: u32 = 200;

/// How the detail begins of an error for something that cannot be asked for at all.
const NOT_ASKED: &str = "not asked:";

/// So many failures in a row mean that the provider fails, not the conversation.
const FAILURES_IN_A_ROW: u32 = 5;

/// So many conversations gone at once are worth a word, if they are most of those asked for.
const MASS: u64 = 20;

/// What becomes of a conversation that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It counts as not read, and moves back in the queue.
    Counts,
    /// It is passed over: the same pass asks for it again, when its lists were read and tell more about it.
    WaitsForLists,
}

/// Where the fetches of a pass are in the queue of stale conversations.
struct Queue {
    /// Failures and row id of the last one taken.
    after: (i64, i64),
    tried: HashSet<i64>,
    started_over: bool,
}

/// How a fetch ended.
#[derive(Debug, Clone, Copy, Default)]
struct End {
    /// Every conversation of the source is worth fetching again.
    refetch_all: bool,
    gone: bool,
}

/// How the fetches of a pass went.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    /// Conversations that were read, those found gone included.
    pub(crate) read: u64,
    /// Conversations that the provider does not have any more.
    pub(crate) gone: u64,
    /// Conversations that could not be read; they stay stale.
    pub(crate) failed: u64,
    /// The first failure, with the conversation it befell.
    pub(crate) first_error: Option<(String, PassError)>,
    /// What ended the fetches early.
    pub(crate) ended_by: Option<PassError>,
}

impl Runner {
    /// Fetches every stale conversation of the source.
    pub(crate) async fn fetch_stale(self: &Arc<Self>, failing: Failing) -> Result<Fetches, PassError> {
        let mut outcome = Fetches::default();
        let mut queue = Queue { after: (i64::MIN, i64::MIN), tried: HashSet::new(), started_over: false };
        self.progress.will_fetch(self.store.stale_count(self.source_id).await?);
        self.progress.doing("conversations");
        let mut failures_in_a_row = 0;
        while outcome.ended_by.is_none() {
            let Some(waiting) = self.next_in(&mut queue, failing).await? else { break };
            let mut waiting = waiting.into_iter();
            let mut under_way = JoinSet::new();
            loop {
                while under_way.len() < self.source.concurrency.max(1) && outcome.ended_by.is_none() {
                    let Some(conversation) = waiting.next() else { break };
                    let runner = Arc::clone(self);
                    let fetch = async move {
                        let result = runner.fetch_one(&conversation).await;
                        (conversation.external_id, result)
                    };
                    under_way.spawn(fetch.in_current_span());
                }
                let Some(joined) = under_way.join_next().await else { break };
                // A panic in a task is a bug; it must not pass for a conversation that was read.
                let (conversation, result) =
                    joined.unwrap_or_else(|_| ("(unknown)".to_owned(), Err(PassError::Stalled)));
                self.progress.fetched_one();
                match result {
                    Ok(End { refetch_all, gone }) => {
                        failures_in_a_row = 0;
                        outcome.read += 1;
                        outcome.gone += u64::from(gone);
                        let fetched = if gone { events::Fetch::Gone } else { events::Fetch::Read };
                        events::conversation_fetched(&self.source.subject(), fetched);
                        if refetch_all && !queue.started_over {
                            queue = Queue { after: (i64::MIN, i64::MIN), tried: HashSet::new(), started_over: true };
                        }
                    }
                    Err(error) => {
                        failures_in_a_row += u32::from(error.is_the_providers());
                        let many = failures_in_a_row >= FAILURES_IN_A_ROW;
                        if failing == Failing::WaitsForLists {
                            let ends = error.ends_source() || error.is_deferred() || many;
                            if !ends {
                                self.move_back(conversation).await?;
                            }
                            outcome.ended_by = outcome.ended_by.take().or(ends.then_some(error));
                        } else {
                            self.note_failure(&mut outcome, conversation, error, many).await?;
                        }
                    }
                }
            }
        }
        if outcome.gone >= MASS && outcome.gone * 2 > outcome.read {
            tracing::warn!(
                source = %self.source.name, event = "mass_gone", items.gone = outcome.gone, items.read = outcome.read,
                "most conversations that were asked for are gone at the provider; they are kept, marked as deleted"
            );
        }
        Ok(outcome)
    }

    /// The next conversations to fetch; `None` when the queue is through.
    async fn next_in(&self, queue: &mut Queue, failing: Failing) -> Result<Option<Vec<StaleConversation>>, PassError> {
        loop {
            let stale = self.store.stale(self.source_id, queue.after, QUEUE).await?;
            let Some(last) = stale.last() else { return Ok(None) };
            queue.after = (last.failures, last.id);
            // What failed in this pass moved back in the queue, and is not tried twice.
            let fresh: Vec<StaleConversation> = stale
                .into_iter()
                .filter(|conversation| !self.is_closed(&conversation.external_id))
                // What failed before is not asked for until its list was read.
                .filter(|conversation| failing == Failing::Counts || conversation.failures == 0)
                .filter(|conversation| queue.tried.insert(conversation.id))
                .collect();
            if !fresh.is_empty() {
                return Ok(Some(fresh));
            }
        }
    }

    async fn note_failure(
        &self,
        outcome: &mut Fetches,
        conversation: String,
        error: PassError,
        many: bool,
    ) -> Result<(), PassError> {
        outcome.failed += 1;
        events::conversation_fetched(&self.source.subject(), events::Fetch::Failed);
        let ends = error.ends_source() || error.is_deferred() || many;
        if !error.ends_source() {
            if self.told_before {
                tracing::debug!(source = %self.source.name, item = %conversation, %error, "still not read");
            } else {
                tracing::warn!(
                    source = %self.source.name, event = "conversation_failed", stream = "messages", item = %conversation, %error,
                    "a conversation could not be read; it stays marked for the next run"
                );
            }
            self.move_back(conversation.clone()).await?;
        }
        if ends && outcome.ended_by.is_none() {
            outcome.ended_by = Some(error);
        } else if outcome.first_error.is_none() {
            outcome.first_error = Some((conversation, error));
        }
        Ok(())
    }

    /// A conversation that could not be read goes to the end of the queue.
    async fn move_back(&self, conversation: String) -> Result<(), PassError> {
        let mut batch = self.batch();
        batch.fetch_failed = Some(conversation);
        Ok(self.commit(batch).await?)
    }

    /// Fetches one conversation, page by page; the last page's commit takes the stale mark away.
    async fn fetch_one(&self, conversation: &StaleConversation) -> Result<End, PassError> {
        let job = Job {
            external_id: conversation.external_id.clone(),
            reported_messages: conversation.reported_messages,
            reported_last_ms: conversation.reported_last_ms,
            stored_messages: conversation.stored_messages,
            unlisted: self.is_unlisted(&conversation.external_id),
        };
        let mark = |fingerprint, incomplete, gone| FetchMark {
            conversation: conversation.external_id.clone(),
            fingerprint,
            incomplete,
            gone,
            present: None,
        };
        let mut present = Some(HashSet::new());
        let mut fingerprint = conversation.fingerprint;
        let mut page = None;
        let refetches_before = *self.refetches.read().await;
        loop {
            failpoint!("fetch.before");
            let mut end = End::default();
            let fetched = match self.source.provider.conversation(&job, page.as_deref()).await {
                // No request can name it: that will not change, and is no failure of any run.
                Err(FetchError::Rejected { detail, .. }) if detail.starts_with(NOT_ASKED) => {
                    Fetched::Page(ConversationPage { incomplete: Some("unaskable"), ..ConversationPage::default() })
                }
                fetched => fetched?,
            };
            failpoint!("fetch.after");
            let mut batch = self.batch();
            let next = match fetched {
                Fetched::Gone => {
                    tracing::info!(source = %self.source.name, event = "conversation_gone", item = %job.external_id, "a listed conversation is gone");
                    batch.fetched = Some(mark(fingerprint, None, true));
                    end.gone = true;
                    None
                }
                Fetched::Page(fetched) => {
                    batch.records = fetched.records.into_iter().map(|(stream, raw)| self.record(stream, raw)).collect();
                    note_present(&mut present, &batch.records);
                    if page.is_none() {
                        fingerprint = own_fingerprint(&batch.records, &job.external_id).or(fingerprint);
                    }
                    if fetched.next.is_none() {
                        batch.fetched =
                            Some(FetchMark { present: present.take(), ..mark(fingerprint, fetched.incomplete, false) });
                        batch.refetch_all = fetched.refetch_all || self.source.facts.owes_refetch();
                    }
                    fetched.next
                }
            };
            end.refetch_all = batch.refetch_all;
            if end.refetch_all {
                let mut refetches = self.refetches.write().await;
                if *refetches == refetches_before || self.source.facts.owes_refetch() {
                    *refetches += 1;
                    batch.facts.extend([self.source.facts.pay_refetch()]);
                } else {
                    // Another fetch marked them meanwhile, this one's conversation included.
                    (batch.refetch_all, batch.fetched) = (false, None);
                }
                self.commit(batch).await?;
            } else {
                let refetches = self.refetches.read().await;
                if *refetches != refetches_before {
                    batch.fetched = None;
                }
                self.source.facts.forget_paid(&mut batch.facts);
                self.commit(batch).await?;
            }
            if next.is_none() {
                return Ok(end);
            }
            page = next;
        }
    }
}

/// The fingerprint of the conversation's own record, where the first page brought one beside the messages: these are no
/// older than it, so the fetch was made for it.
fn own_fingerprint(records: &[Record], conversation: &str) -> Option<i64> {
    records.iter().filter_map(|record| record.outcome.as_ref().ok()).flatten().find_map(|row| match row {
        Row::Conversation(row) if row.external_id == conversation => row.fingerprint,
        _ => None,
    })
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
