//! One pass over one source, from its plan to the closing of its run.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::error::PassError;
use super::fetch::Failing;
use super::progress::Progress;
use super::report::SourceReport;
use super::runner::{Clock, Purpose, Runner, Source};
use crate::provider::{Feed, Pass, Shape};
use crate::store::failpoint::failpoint;
use crate::store::{Access, MessageList, RunMode, RunStatus, Store, StoreError};
use crate::telemetry::events;

/// What kind of pass is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Read everything again.
    pub full: bool,
    /// Called a backfill in the run's record.
    pub backfill: bool,
    /// Bring only what happened in this range, and leave the forward cursors alone.
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
    /// What fails was told of before: it is worth a line for developers only.
    pub told_before: bool,
    /// The caller tells when the source begins to fail, stops, or recovers.
    pub watched_over: bool,
}

impl Wanted {
    fn is_ranged(&self) -> bool {
        self.since_ms.is_some() || self.until_ms.is_some()
    }
}

/// How the streams of a pass fared.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Essential streams that could not be read, and why.
    failed: Vec<(String, PassError)>,
    /// Streams of one scope among several, or put off: the rest of the source was read.
    pub(crate) partly: Vec<(String, PassError)>,
    scopes_read: u64,
    /// Scopes that could not be read, and were not put off either.
    scopes_failed: u64,
    conversations_failed: u64,
    /// Every list was read to its end; what is left to fetch stands marked in the store.
    lists_read: bool,
}

impl Outcome {
    /// Whether the list of messages was not read to its end.
    fn misses_messages(&self, ended: bool) -> bool {
        let failed = self.failed.iter().chain(&self.partly).any(|(stream, _)| stream.starts_with("messages"));
        failed || (ended && !self.lists_read)
    }
}

/// Runs a pass. Failures of the provider end up in the report; only the store's own failures are returned.
///
/// # Errors
/// The store cannot be used.
pub async fn run_pass(
    source: Arc<Source>,
    store: Store,
    wanted: Wanted,
    clock: Clock,
    progress: Arc<Progress>,
    cancel: CancellationToken,
) -> Result<SourceReport, StoreError> {
    let row = store.source(&source.name, source.provider.kind(), &source.base_url, None).await?;
    let mode = match wanted {
        Wanted { full: true, .. } => RunMode::Sweep,
        Wanted { backfill: true, .. } => RunMode::Backfill,
        Wanted { .. } if row.first_pass_done && !wanted.is_ranged() => RunMode::Incremental,
        Wanted { .. } => RunMode::Backfill,
    };
    let purpose = Purpose {
        mode,
        pass: Pass { first: !row.first_pass_done || wanted.is_ranged(), full: wanted.full, ranged: wanted.is_ranged() },
        range: wanted.is_ranged().then_some((wanted.since_ms, wanted.until_ms)),
        told_before: wanted.told_before,
        watched_over: wanted.watched_over,
    };
    let runner = Runner::start(source, row.id, store.clone(), purpose, Arc::clone(&clock), progress, cancel).await?;
    let mut outcome = Outcome::default();
    let ended_by = runner.read_everything(&mut outcome).instrument(runner.span()).await.err();
    let report = runner.report(&outcome, ended_by.as_ref(), clock());
    let reached_end = outcome.lists_read && ended_by.is_none() && !wanted.is_ranged();
    let closed = store
        .finish_run(
            runner.run_id,
            row.id,
            report.run_status,
            report.error.clone(),
            runner.usage(),
            reached_end,
            match outcome.misses_messages(ended_by.is_some()) {
                true => MessageList::Unread(runner.run_start_rev),
                false if wanted.is_ranged() => MessageList::Untold,
                false => MessageList::Read,
            },
            clock(),
        )
        .await;
    let lasting = outcome.failed.iter().any(|(_, error)| error.is_lasting());
    runner.tell_end(mode, &report, ended_by.as_ref(), lasting, &closed);
    closed.map(|()| report)
}

impl Runner {
    async fn read_everything(self: &Arc<Self>, outcome: &mut Outcome) -> Result<(), PassError> {
        self.source.provider.prepare(&self.pass).await?;
        self.settle_zone().await?;
        if self.range.is_none() {
            self.seed_watermarks().await?;
        }
        let forbidden = self.store.forbidden_channels(self.source_id).await?;
        let resumed_from = self.begin_history().await?;
        if self.after_cut {
            self.fetch_backlog().await?;
        }
        let mut feeds: VecDeque<Feed> = self.source.provider.plan(&self.pass).into();
        let mut scopes: Vec<String> = Vec::new();
        while let Some(mut feed) = feeds.pop_front() {
            if self.cancel.is_cancelled() {
                return Err(crate::http::FetchError::Cancelled.into());
            }
            if !feed.key.scope.is_empty() {
                scopes.push(feed.key.scope.clone());
            }
            if let Some(began_at) = resumed_from
                && self.was_read_since(&feed, began_at).await?
            {
                if feed.optional {
                    self.read_whole.lock().unwrap_or_else(PoisonError::into_inner).insert(feed.key.stream);
                    continue;
                }
                // Read whole before the interruption: only what came since is wanted. But what a list leaves out can be
                // told only by the process that read all of it.
                feed.complete &= self.pass.full && feed.shape == Shape::Windows;
            }
            match self.feed(&feed).await {
                Ok(ids) if feed.fans_out => {
                    let opened = self.source.provider.fan_out(&feed, &ids, &self.pass);
                    for opened in self.unfinished_first(opened).await?.into_iter().rev() {
                        feeds.push_front(opened);
                    }
                }
                Ok(_) => {
                    outcome.scopes_read += u64::from(!feed.key.scope.is_empty());
                    if forbidden.contains(&feed.key.scope) {
                        self.note_access(Access::Open(feed.key.scope.clone())).await?;
                    }
                }
                Err(error) if error.ends_source() => return Err(error),
                Err(error) if feed.optional => {
                    self.warn(&feed.key.to_string(), &error);
                    if !error.is_lasting() {
                        outcome.partly.push((feed.key.to_string(), error));
                    }
                }
                Err(error) => {
                    let stream = feed.key.to_string();
                    events::stream_failed(&self.source.subject(), &stream, &error, self.told_before);
                    if !feed.key.scope.is_empty() {
                        if error.is_forbidden() {
                            self.note_access(Access::Forbidden(feed.key.scope.clone())).await?;
                            self.note_forbidden(&feed).await?;
                        }
                        // What it listed before it failed is fetched all the same, unless the key has lost it.
                        if error.is_lasting() {
                            let mut closed = self.closed_scopes.lock().unwrap_or_else(PoisonError::into_inner);
                            closed.push(feed.key.scope.clone());
                        }
                    }
                    let partly = error.is_deferred() || !feed.key.scope.is_empty();
                    outcome.scopes_failed += u64::from(!feed.key.scope.is_empty() && !error.is_deferred());
                    let list = if partly { &mut outcome.partly } else { &mut outcome.failed };
                    list.push((stream, error));
                }
            }
        }
        let range_read = self.range.is_some() && outcome.failed.is_empty() && outcome.partly.is_empty();
        if outcome.failed.is_empty() {
            self.store.forget_forbidden_lists(self.source_id, scopes).await?;
        }
        failpoint!("pass.listed");
        outcome.lists_read = outcome.failed.is_empty() && outcome.partly.is_empty();
        if outcome.lists_read && self.range.is_none() {
            self.settle_watermarks().await?;
            if resumed_from.is_some() {
                self.read_changes(outcome).await?;
            }
        }
        if !self.pass.full && self.range.is_none() {
            self.store.mark_due(self.source_id, self.now()).await?;
        }
        if self.source.facts.owes_refetch() {
            self.pay_refetch().await?;
        }
        let fetches = self.fetch_stale(Failing::Counts).await?;
        outcome.conversations_failed = fetches.failed;
        if let Some((conversation, error)) = fetches.first_error {
            outcome.partly.push((format!("messages of {conversation}"), error));
        }
        if let Some(error) = fetches.ended_by {
            if error.ends_source() {
                return Err(error);
            }
            outcome.partly.push(("messages".to_owned(), error));
        }
        failpoint!("pass.fetched");
        let named = self.resolve_names().await;
        if named.as_ref().is_err_and(PassError::is_cancelled) {
            return named;
        }
        // A pass that failed somewhere was still no pass cut short: the next one begins anew.
        let everything = self.pass.full && outcome.lists_read && outcome.conversations_failed == 0;
        self.end_history(everything).await?;
        if !self.pass.full && self.range.is_none() && outcome.lists_read {
            self.void_full_pass().await?;
        }
        if range_read {
            self.close_range().await?;
        }
        named
    }

    /// The run before this one was cut short: what its lists marked stale is fetched before any list is asked for news.
    /// So runs that are killed again and again get on with the fetches, and pay for the lists once, in the run that
    /// gets through. Not where a full pass needs its list first, to look closer at what that leaves out.
    async fn fetch_backlog(self: &Arc<Self>) -> Result<(), PassError> {
        let by_list =
            self.pass.full && self.source.provider.plan(&self.pass).iter().any(|feed| feed.shape == Shape::Windows);
        if by_list {
            return Ok(());
        }
        if self.source.facts.owes_refetch() {
            self.pay_refetch().await?;
        }
        match self.fetch_stale(Failing::WaitsForLists).await?.ended_by {
            Some(error) if error.ends_source() => Err(error),
            _ => Ok(()),
        }
    }

    /// A scope is a channel: what became of the key's access to it stands in its conversations.
    async fn note_access(&self, access: Access) -> Result<(), PassError> {
        let mut batch = self.batch();
        batch.access = Some(access);
        Ok(self.commit(batch).await?)
    }

    /// An earlier pass learnt that every conversation is worth fetching again, and ended before it could mark them.
    async fn pay_refetch(&self) -> Result<(), PassError> {
        let mut batch = self.batch();
        batch.refetch_all = true;
        batch.facts.extend([self.source.facts.pay_refetch()]);
        Ok(self.commit(batch).await?)
    }

    fn report(&self, outcome: &Outcome, ended_by: Option<&PassError>, now_ms: i64) -> SourceReport {
        let counts = self.counted();
        let interrupted = ended_by.is_some_and(PassError::is_cancelled);
        // Lists that only tell names are no scopes: what they lack is less than the source.
        let nothing_read = outcome.scopes_read == 0 && outcome.scopes_failed > 0;
        let only_scopes_failed = outcome.partly.iter().all(|(stream, _)| !stream.starts_with("messages"));
        let status = if interrupted {
            RunStatus::Interrupted
        } else if ended_by.is_some() || !outcome.failed.is_empty() || (nothing_read && only_scopes_failed) {
            RunStatus::Failed
        } else if !outcome.partly.is_empty() || counts.dead > 0 {
            RunStatus::Partial
        } else {
            RunStatus::Ok
        };
        let error = self.error_text(outcome, ended_by);
        let key_refused = ended_by.is_some_and(PassError::is_unauthorized);
        let mut told = outcome.failed.iter().chain(&outcome.partly);
        let stream = if ended_by.is_some() { None } else { told.next().map(|(stream, _)| stream.clone()) };
        let failures = outcome.conversations_failed;
        SourceReport { stream, key_refused, ..SourceReport::new(self, status, counts, failures, error, now_ms) }
    }

    /// One sentence per kind of failure: source, stream, endpoint, what happened, what to do.
    fn error_text(&self, outcome: &Outcome, ended_by: Option<&PassError>) -> Option<String> {
        let say = |stream: Option<&str>, error: &PassError| {
            let mut text = format!("source {}", self.source.name);
            if let Some(stream) = stream {
                text.push_str(", stream ");
                text.push_str(stream);
            }
            text.push_str(": ");
            text.push_str(&error.to_string());
            if let PassError::Fetch(fetch) = error
                && let Some(advice) = self.source.provider.advice(fetch)
            {
                text.push_str("; ");
                text.push_str(&advice);
            }
            text
        };
        let mut texts: Vec<String> = Vec::new();
        if let Some(error) = ended_by {
            texts.push(if error.is_cancelled() {
                let next = match self.pass.full && !self.pass.first && !self.watched_over {
                    true => "what was read is stored; the next `sync --full` begins anew",
                    false => "the next run goes on from here",
                };
                format!("source {}: stopped by a signal; {next}", self.source.name)
            } else {
                say(None, error)
            });
        }
        texts.extend(outcome.failed.iter().map(|(stream, error)| say(Some(stream), error)));
        texts.extend(outcome.partly.iter().take(3).map(|(stream, error)| say(Some(stream), error)));
        if outcome.conversations_failed > 1 {
            texts.push(format!("{} conversations were not read and stay marked", outcome.conversations_failed));
        }
        match self.counted().dead {
            0 => {}
            1 => texts.push(format!("source {}: a record went to the dead letters", self.source.name)),
            dead => texts.push(format!("source {}: {dead} records went to the dead letters", self.source.name)),
        }
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}
