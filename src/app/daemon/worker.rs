//! The worker of one source: waits for its schedule, reads, and never ends because a pass did.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::face::{Condition, Face};
use super::plan::{Due, Ended, Plan};
use crate::app::build::assemble;
use crate::config::SourceConfig;
use crate::http::Http;
use crate::store::failpoint::failpoint;
use crate::store::{RunStatus, Store, StoreError};
use crate::sync::{Clock, Progress, SourceReport, Wanted, run_pass};
use crate::telemetry::Subject;
use crate::telemetry::sources::{Change, SourceState, source_changed};

/// What a worker tells the supervisor.
pub(super) enum Word {
    /// The provider refused the key. The source is not asked before the key changes.
    KeyRefused,
    /// Nothing can be stored any more, by nobody.
    StoreGone(StoreError),
}

/// Everything that a worker needs.
pub(super) struct Worker {
    pub(super) config: SourceConfig,
    pub(super) http: Http,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) plan: Plan,
    pub(super) face: Arc<Face>,
    /// Sources that may be read at once.
    pub(super) turns: Arc<Semaphore>,
    /// The same of those that failed the last time.
    pub(super) failing_turns: Arc<Semaphore>,
    pub(super) words: mpsc::UnboundedSender<Word>,
    pub(super) cancel: CancellationToken,
    /// Another of this source was there before, and may have ended in the middle of a pass.
    pub(super) follows: bool,
}

/// What came of a pass.
enum Outcome {
    Report(SourceReport),
    Store(StoreError),
    /// A mistake of ours. What the pass stored before stands.
    Panic,
}

impl Worker {
    /// Reads the source whenever its schedule says so, until cancelled.
    pub(super) async fn run(mut self, mut beats: watch::Receiver<u64>) {
        if self.follows {
            self.close_runs("the pass was cut off").await;
        }
        self.remember().await;
        loop {
            self.face.waits(self.plan.next());
            let due = loop {
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => return,
                    // Beats that came meanwhile are one.
                    beat = beats.changed() => if beat.is_err() { return },
                }
                if self.face.condition() == Condition::Stopped {
                    continue;
                }
                if let Some(due) = self.plan.due((self.clock)()) {
                    break due;
                }
            };
            self.face.queues();
            let turns = match self.face.condition() {
                Condition::Failing => Arc::clone(&self.failing_turns),
                _ => Arc::clone(&self.turns),
            };
            let _turn = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                turn = turns.acquire() => turn,
            };
            self.plan.began(due, (self.clock)());
            failpoint!(async "worker.begins");
            let outcome = self.read(due).await;
            self.judge(outcome).await;
        }
    }

    /// Takes over from the store when the source was last read. Asked anew after each pass.
    async fn remember(&mut self) {
        match self.store.last_reads(&self.config.name, (self.clock)()).await {
            Ok(last) => {
                self.plan.polled(last.any_ms);
                self.plan.swept(last.everything_ms);
            }
            Err(error) => tracing::warn!(source = %self.config.name, %error, "it is not known when it was last read"),
        }
    }

    async fn read(&self, due: Due) -> Outcome {
        let wanted = Wanted {
            full: due == Due::Sweep,
            told_before: matches!(self.face.condition(), Condition::Failing | Condition::Partly),
            watched_over: true,
            ..Wanted::default()
        };
        let progress = Arc::new(Progress::new(self.config.name.clone(), self.http.clone()));
        self.face.reads(wanted.full, Some(Arc::clone(&progress)));
        let (config, http, store) = (self.config.clone(), self.http.clone(), self.store.clone());
        let (clock, cancel) = (Arc::clone(&self.clock), self.cancel.clone());
        // A task of its own: a panic ends the pass, not the worker. A worker that is cut off takes it along.
        let pass = AbortOnDropHandle::new(tokio::spawn(async move {
            let row = store.source(&config.name, config.kind(), config.base_url.as_str(), None).await?;
            // Made anew for every pass, from what the store knows: a pass of the daemon is one of `chatloom sync`.
            let source = assemble(&config, http, store.facts(row.id).await?);
            run_pass(source, store, wanted, clock, progress, cancel).await
        }));
        match pass.await {
            Ok(Ok(report)) => Outcome::Report(report),
            Ok(Err(error)) => Outcome::Store(error),
            Err(_) => Outcome::Panic,
        }
    }

    async fn judge(&mut self, outcome: Outcome) {
        let now = (self.clock)();
        match outcome {
            Outcome::Report(report) => {
                let ended = self.tell(&report);
                self.plan.ended(ended, now);
            }
            Outcome::Store(
                error @ (StoreError::Gone
                | StoreError::Moved { .. }
                | StoreError::Torn { .. }
                | StoreError::Damaged { .. }),
            ) => {
                // Told of by the supervisor, who ends.
                drop(self.words.send(Word::StoreGone(error)));
                self.plan.ended(Ended::Badly, now);
            }
            Outcome::Store(error) => self.failed(&error.to_string(), now).await,
            Outcome::Panic => self.failed("its pass ended badly, which is a mistake in chatloom", now).await,
        }
        self.remember().await;
    }

    async fn failed(&mut self, error: &str, now: i64) {
        self.changes_to(Condition::Failing, &Change { error: Some(error), ..Change::default() });
        tracing::debug!(source = %self.config.name, error, "a pass ended badly");
        self.close_runs(error).await;
        self.plan.ended(Ended::Badly, now);
    }

    /// No pass of this source is under way: what is left of earlier ones is over.
    async fn close_runs(&self, why: &str) {
        let source = &self.config.name;
        if let Err(error) = self.store.abandon_runs(source, why, (self.clock)()).await {
            tracing::debug!(%source, %error, "the run could not be closed");
        }
    }

    fn tell(&self, report: &SourceReport) -> Ended {
        let change = Change {
            run: report.run,
            stream: report.stream.as_deref(),
            error: report.error.as_deref(),
            first: self.face.condition() == Condition::New,
        };
        match report.run_status {
            RunStatus::Interrupted => Ended::Cut,
            RunStatus::Failed if report.key_refused => {
                self.changes_to(Condition::Stopped, &change);
                drop(self.words.send(Word::KeyRefused));
                Ended::Badly
            }
            RunStatus::Failed => {
                self.changes_to(Condition::Failing, &change);
                Ended::Badly
            }
            RunStatus::Partial => {
                self.changes_to(Condition::Partly, &change);
                Ended::Well
            }
            RunStatus::Ok => {
                self.changes_to(Condition::Well, &change);
                Ended::Well
            }
        }
    }

    /// Told of once, when it is a change.
    fn changes_to(&self, condition: Condition, change: &Change<'_>) {
        let state = match condition {
            Condition::New => return,
            Condition::Well => SourceState::Well,
            Condition::Partly => SourceState::Partly,
            Condition::Failing => SourceState::Failing,
            Condition::Stopped => SourceState::Stopped,
        };
        if self.face.condition() != condition {
            self.face.set_condition(condition);
            source_changed(&self.subject(), state, change);
        }
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.config.name, self.config.kind().as_str())
    }
}
