//! The worker of one source: waits for its schedule, reads, and never ends because a pass did.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::face::{Condition, Face};
use super::plan::{Due, Ended, Plan};
use crate::app::build::assemble;
use crate::config::SourceConfig;
use crate::http::Http;
use crate::store::{RunStatus, Store, StoreError};
use crate::sync::{Clock, Progress, SourceReport, Wanted, run_pass};

/// What a worker tells the supervisor.
pub(super) enum Word {
    /// The provider refused the key. The source is not asked before the key changes.
    KeyRefused,
    /// Nothing can be stored any more, by nobody.
    StoreGone(String),
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
    pub(super) words: mpsc::UnboundedSender<Word>,
    pub(super) cancel: CancellationToken,
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
        self.remember().await;
        loop {
            self.face.waits(self.plan.next());
            let due = loop {
                tokio::select! {
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
            let turns = Arc::clone(&self.turns);
            let _turn = tokio::select! {
                () = self.cancel.cancelled() => return,
                turn = turns.acquire() => turn,
            };
            self.plan.began((self.clock)());
            let outcome = self.read(due).await;
            self.judge(outcome).await;
        }
    }

    /// Takes over from the store when the source was last read. Asked anew after each pass.
    async fn remember(&mut self) {
        match self.store.last_reads(&self.config.name).await {
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
            ..Wanted::default()
        };
        let progress = Arc::new(Progress::new(self.config.name.clone(), self.http.clone()));
        self.face.reads(wanted.full, Some(Arc::clone(&progress)));
        let (config, http, store) = (self.config.clone(), self.http.clone(), self.store.clone());
        let (clock, cancel) = (Arc::clone(&self.clock), self.cancel.clone());
        // A task of its own: a panic ends the pass, not the worker.
        let pass = tokio::spawn(async move {
            let row = store.source(&config.name, config.kind(), config.base_url.as_str(), None).await?;
            // Made anew for every pass, from what the store knows: a pass of the daemon is one of `chatloom sync`.
            let source = assemble(&config, http, store.facts(row.id).await?);
            run_pass(source, store, wanted, clock, progress, cancel).await
        });
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
            Outcome::Store(StoreError::Gone) => {
                // Told of by the supervisor, who ends.
                drop(self.words.send(Word::StoreGone(StoreError::Gone.to_string())));
                self.plan.ended(Ended::Badly, now);
            }
            Outcome::Store(error) => self.failed(&error.to_string(), now).await,
            Outcome::Panic => self.failed("its pass ended badly, which is a mistake in chatloom", now).await,
        }
        self.remember().await;
    }

    async fn failed(&mut self, error: &str, now: i64) {
        let source = &self.config.name;
        if self.changes_to(Condition::Failing) {
            tracing::error!(%source, error, "the source fails; what was stored stands, and it is tried again");
        } else {
            tracing::debug!(%source, error, "the source still fails");
        }
        if let Err(error) = self.store.abandon_runs(source, error, now).await {
            tracing::debug!(%source, %error, "the run could not be closed");
        }
        self.plan.ended(Ended::Badly, now);
    }

    /// One line for every change of state, none for a pass like the one before.
    fn tell(&self, report: &SourceReport) -> Ended {
        let source = &self.config.name;
        let (run, stream, error) = (report.run, report.stream.as_deref(), report.error.as_deref());
        match report.run_status {
            RunStatus::Interrupted => return Ended::Cut,
            RunStatus::Failed if report.key_refused => {
                if self.changes_to(Condition::Stopped) {
                    tracing::error!(
                        %source, run, error,
                        "the source is stopped until its key or the configuration changes"
                    );
                }
                drop(self.words.send(Word::KeyRefused));
                return Ended::Badly;
            }
            RunStatus::Failed => {
                if self.changes_to(Condition::Failing) {
                    tracing::error!(%source, run, stream, error, "the source fails; it is tried again, ever more seldom");
                } else {
                    tracing::debug!(%source, run, stream, error, "the source still fails");
                }
                return Ended::Badly;
            }
            RunStatus::Partial => {
                if self.changes_to(Condition::Partly) {
                    tracing::warn!(%source, run, stream, error, "the source was read in part");
                }
            }
            RunStatus::Ok => {
                let before = self.face.condition();
                if self.changes_to(Condition::Well) && before != Condition::New {
                    tracing::info!(%source, run, "the source has recovered");
                }
            }
        }
        let (messages, conversations) = (&report.messages, &report.conversations);
        tracing::debug!(
            %source, run, requests = report.requests, duration_ms = report.duration_ms,
            messages_inserted = messages.inserted, messages_updated = messages.updated,
            conversations_inserted = conversations.inserted, conversations_updated = conversations.updated,
            "the source was read"
        );
        Ended::Well
    }

    fn changes_to(&self, condition: Condition) -> bool {
        let before = self.face.condition();
        self.face.set_condition(condition);
        before != condition
    }
}
