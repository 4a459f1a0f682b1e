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
use crate::store::{FetchMark, QueuePlace, Record, StaleConversation};
use crate::telemetry::events;

/// Stale conversations read from the store at once.
const QUEUE: u32 = 200;

/// How the detail begins of an error for something that cannot be asked for at all.
const NOT_ASKED: &str = "not asked:";

/// So many failures in a row mean that the provider fails, not the conversation.
const FAILURES_IN_A_ROW: u32 = 5;

/// So many in a row that the network brings no answer for mean the same, sooner: each of them takes long to give up.
const UNREACHABLE_IN_A_ROW: u32 = 3;

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
    /// The place of the last one taken.
    after: QueuePlace,
    tried: HashSet<i64>,
    started_over: bool,
}

/// Failures since the last conversation was read, by which a provider that fails is told from conversations that do.
#[derive(Debug, Default)]
struct Streak {
    /// Fetches that the provider answered, whatever it said.
    answered: u64,
    failures: u32,
    unreachable: u32,
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
        let mut queue = Queue { after: (i64::MIN, i64::MIN, i64::MIN), tried: HashSet::new(), started_over: false };
        self.progress.will_fetch(self.store.stale_count(self.source_id).await?);
        self.progress.doing("conversations");
        let mut streak = Streak::default();
        while outcome.ended_by.is_none() {
            let Some(waiting) = self.next_in(&mut queue, failing).await? else { break };
            let mut waiting = waiting.into_iter();
            let mut under_way = JoinSet::new();
            loop {
                while under_way.len() < self.source.concurrency.max(1) && outcome.ended_by.is_none() {
                    let Some(conversation) = waiting.next() else { break };
                    let runner = Arc::clone(self);
                    let began_after = streak.answered;
                    let fetch = async move {
                        let result = runner.fetch_one(&conversation).await;
                        (conversation.external_id, began_after, result)
                    };
                    under_way.spawn(fetch.in_current_span());
                }
                let Some(joined) = under_way.join_next().await else { break };
                // A panic in a task is a bug; it must not pass for a conversation that was read.
                let (conversation, began_after, result) =
                    joined.unwrap_or_else(|_| ("(unknown)".to_owned(), 0, Err(PassError::Stalled)));
                self.progress.fetched_one();
                match result {
                    Ok(End { refetch_all, gone }) => {
                        streak.read();
                        outcome.read += 1;
                        outcome.gone += u64::from(gone);
                        let fetched = if gone { events::Fetch::Gone } else { events::Fetch::Read };
                        events::conversation_fetched(&self.source.subject(), fetched);
                        if refetch_all && !queue.started_over {
                            queue = Queue {
                                after: (i64::MIN, i64::MIN, i64::MIN),
                                tried: HashSet::new(),
                                started_over: true,
                            };
                        }
                    }
                    Err(error) => {
                        let ends = streak.failed(&error, began_after);
                        if failing == Failing::WaitsForLists {
                            if !ends || is_unreachable(&error) {
                                self.move_back(conversation).await?;
                            }
                            outcome.ended_by = outcome.ended_by.take().or(ends.then_some(error));
                        } else {
                            self.note_failure(&mut outcome, conversation, error, ends).await?;
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
            queue.after = last.place;
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
        ends: bool,
    ) -> Result<(), PassError> {
        outcome.failed += 1;
        events::conversation_fetched(&self.source.subject(), events::Fetch::Failed);
        // Also in an outage: it may be the very one that the next pass would begin with, and fail by.
        if !error.ends_source() || is_unreachable(&error) {
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
        // An outage is told once, not of every conversation that it kept from being read.
        if outcome.ended_by.as_ref().is_some_and(is_unreachable) {
            outcome.first_error.take_if(|(_, first)| is_unreachable(first));
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
            whole: false,
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
                        batch.fetched = Some(FetchMark {
                            present: present.take(),
                            whole: fetched.whole,
                            ..mark(fingerprint, fetched.incomplete, false)
                        });
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

impl Streak {
    /// A conversation was read, or found gone.
    fn read(&mut self) {
        *self = Self { answered: self.answered + 1, ..Self::default() };
    }

    /// Takes the failure of a fetch that began after so many were answered. Whether it ends the fetches.
    fn failed(&mut self, error: &PassError, began_after: u64) -> bool {
        if !is_unreachable(error) {
            (self.answered, self.unreachable) = (self.answered + 1, 0);
            self.failures += u32::from(error.is_the_providers());
            return error.ends_source() || error.is_deferred() || self.failures >= FAILURES_IN_A_ROW;
        }
        // While others were answered the provider was there: that is this conversation's own trouble.
        if began_after == self.answered {
            (self.failures, self.unreachable) = (self.failures + 1, self.unreachable + 1);
        }
        self.unreachable >= UNREACHABLE_IN_A_ROW || self.failures >= FAILURES_IN_A_ROW
    }
}

/// Whether no try brought any answer. Of one conversation among others that is no outage: a connection may be closed, or
/// time run out, over what this one holds.
fn is_unreachable(error: &PassError) -> bool {
    matches!(error, PassError::Fetch(FetchError::Unavailable { unreachable: true, .. }))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(unreachable: bool) -> PassError {
        FetchError::Unavailable { endpoint: "chats/1".to_owned(), tries: 5, cause: String::new(), unreachable }.into()
    }

    #[test]
    fn three_conversations_in_a_row_that_are_not_reached_are_an_outage() {
        let mut streak = Streak::default();
        streak.read();
        let ends = [1, 2, 3].map(|_| streak.failed(&failure(true), 1));
        assert_eq!(ends, [false, false, true]);
        // One that is answered in between, with a refusal even, shows that the provider is there.
        let mut streak = Streak::default();
        let ends = [true, true, false, true].map(|unreachable| {
            let began_after = streak.answered;
            streak.failed(&failure(unreachable), began_after)
        });
        assert_eq!(ends, [false; 4]);
    }

    #[test]
    fn conversations_that_are_not_reached_while_others_are_read_are_no_outage() {
        let mut streak = Streak::default();
        streak.read();
        // They were all under way when that one was read.
        assert!((0..9).all(|_| !streak.failed(&failure(true), 0)));
    }
}
