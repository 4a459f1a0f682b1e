//! The one who starts workers, watches over them, and ends them.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clock;
use super::face::{Condition, Face, status_line};
use super::keeper::Keeper;
use super::notify::{self, Notifier};
use super::reload::{Files, wishes};
use super::settle::Unread;
use super::slot::{Slot, pause};
use super::worker::Word;
use crate::app::build::{Pacers, speed};
use crate::app::watched;
use crate::config::{Config, Problems};
use crate::store::{Store, StoreError, WriterThread};
use crate::sync::Clock;
use crate::web::{self, Board, Served, WebError};

/// Sources read at once, and beside them those that failed the last time: however many hang, they hold up no
/// other.
const SOURCES_AT_ONCE: usize = 8;
const FAILING_AT_ONCE: usize = 4;

/// How long workers may take to store or drop the page in flight, and the store to close.
const LAST_PAGE: Duration = Duration::from_millis(6_500);
const LAST_CHECKPOINT: Duration = Duration::from_secs(2);
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The longest pause before the scheduler is started anew, should it end again and again.
const LONGEST_BEATLESS: Duration = Duration::from_secs(60);

/// What the daemon is given.
pub struct Asked {
    /// Reads the configuration again, keys included.
    pub load: Arc<dyn Fn() -> Result<Config, Problems> + Send + Sync>,
    /// Told when the configuration is to be read again.
    pub reload: mpsc::Receiver<()>,
    /// Ends the daemon.
    pub cancel: CancellationToken,
    pub clock: Clock,
    /// `NOTIFY_SOCKET`.
    pub notify_socket: Option<OsString>,
}

/// How the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything in flight was stored or dropped whole, and the store is closed.
    Clean,
    /// Something would not end in time. Nothing half-written is kept all the same; do not wait for it.
    Abrupt,
}

/// Why the daemon could not begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Configuration(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing can be served where the configuration says so.
    #[error(transparent)]
    Web(#[from] WebError),
}

pub(super) struct Supervisor {
    pub(super) config: Config,
    pub(super) asked: Asked,
    pub(super) store: Store,
    notifier: Notifier,
    /// Kept, so that beats go on when the task that makes them has to be started anew.
    heart: watch::Sender<u64>,
    pub(super) beats: watch::Receiver<u64>,
    beating: JoinHandle<()>,
    beating_ended: u32,
    pub(super) turns: Arc<Semaphore>,
    pub(super) failing_turns: Arc<Semaphore>,
    pub(super) words: mpsc::UnboundedSender<Word>,
    pub(super) pacers: Pacers,
    pub(super) slots: Vec<Slot>,
    /// Workers that were told to end. Until they have, they are watched over, and none of their source follows.
    pub(super) leaving: Vec<Slot>,
    /// Keepers that were told to end.
    pub(super) leaving_keepers: Vec<JoinHandle<()>>,
    pub(super) keeper: Option<Keeper>,
    pub(super) files: Files,
    /// A configuration that could not be read.
    pub(super) unread: Option<Unread>,
    /// What the `[http]` listener shows.
    pub(super) board: Board,
    fed: Option<Instant>,
    starving: bool,
    status: String,
}

/// Runs until told to end.
///
/// # Errors
/// See [`RunError`].
pub async fn run(config: Config, asked: Asked) -> Result<Ending, RunError> {
    let notifier = Notifier::new(asked.notify_socket.clone());
    let (wanted, maintain) = wishes(&config).map_err(RunError::Configuration)?;
    let (store, writer) = Store::open(&config.store_path, "chatloom run", (asked.clock)())?;
    store.report_in(&config.reporting.timezone).await?;
    let board = Board::new(config.store_path.clone(), watched(&config), Arc::clone(&asked.clock));
    let served = match &config.http {
        Some(http) => Some(web::start(http.listen, http.token.clone(), board.clone(), asked.cancel.clone()).await?),
        None => None,
    };
    let (heart, beats) = watch::channel(0);
    let beating = tokio::spawn(clock::beat(heart.clone(), asked.cancel.clone()));
    let (words, mut told) = mpsc::unbounded_channel();
    let mut supervisor = Supervisor {
        files: Files::of(&config),
        board,
        config,
        asked,
        store,
        notifier,
        heart,
        beats,
        beating,
        beating_ended: 0,
        turns: Arc::new(Semaphore::new(SOURCES_AT_ONCE)),
        failing_turns: Arc::new(Semaphore::new(FAILING_AT_ONCE)),
        words,
        pacers: Pacers::default(),
        slots: Vec::new(),
        leaving: Vec::new(),
        leaving_keepers: Vec::new(),
        keeper: None,
        unread: None,
        fed: None,
        starving: false,
        status: String::new(),
    };
    supervisor.keep(&maintain);
    supervisor.settle(wanted);
    supervisor.notifier.ready();
    tracing::info!(sources = supervisor.slots.len(), store = %supervisor.config.store_path.display(), "running");
    let gone = supervisor.watch(&mut told).await;
    supervisor.notifier.stopping();
    supervisor.asked.cancel.cancel();
    let ending = supervisor.end(served, writer).await;
    match gone {
        Some(error) => Err(error),
        None => Ok(ending),
    }
}

impl Supervisor {
    /// Beat by beat, until told to end (`None`) or nothing can be stored any more.
    async fn watch(&mut self, told: &mut mpsc::UnboundedReceiver<Word>) -> Option<RunError> {
        let period = notify::watchdog();
        let mut beats = self.beats.clone();
        loop {
            self.show_status();
            tokio::select! {
                biased;
                () = self.asked.cancel.cancelled() => return None,
                word = told.recv() => match word {
                    // The key file may have changed since it was read.
                    Some(Word::KeyRefused) => self.read_again(false).await,
                    Some(Word::StoreGone(error)) => {
                        tracing::error!(%error, "nothing can be stored any more; ending");
                        return Some(error.into());
                    }
                    None => return None,
                },
                Some(()) = self.asked.reload.recv() => {
                    self.notifier.reloading();
                    self.read_again(true).await;
                    self.notifier.ready();
                }
                _ = &mut self.beating => self.beat_anew(),
                // The sender is ours: it is never gone.
                Ok(()) = beats.changed() => self.look_after(period).await,
            }
        }
    }

    /// What is done at every beat.
    async fn look_after(&mut self, watchdog: Option<Duration>) {
        self.mend();
        if let Some(period) = watchdog {
            self.feed(period);
        }
        let stopped = |slot: &Slot| slot.face.condition() == Condition::Stopped;
        if self.slots.iter().any(stopped) && (self.files.changed() || self.is_to_be_read_again()) {
            self.read_again(false).await;
        }
    }

    /// The task that makes the beats has ended by itself.
    fn beat_anew(&mut self) {
        self.beating_ended = self.beating_ended.saturating_add(1);
        let pause = pause(self.beating_ended, Some(1_000)).min(LONGEST_BEATLESS);
        tracing::error!(
            event = "beats_ended",
            "the scheduler has ended by itself, which is a mistake in chatloom; it is started anew"
        );
        let (heart, cancel) = (self.heart.clone(), self.asked.cancel.clone());
        self.beating = tokio::spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(pause) => clock::beat(heart, cancel.clone()).await,
            }
        });
    }

    /// Tells the watchdog that all is well, if it is. Called at beats alone: a clock that stands still is not well.
    fn feed(&mut self, period: Duration) {
        let now = Instant::now();
        let still: Vec<&str> = self
            .slots
            .iter()
            .chain(&self.leaving)
            .filter(|slot| !slot.face.moves(now, speed()))
            .map(|slot| slot.face.source.as_str())
            .collect();
        if still.is_empty() {
            self.starving = false;
            if self.fed.is_none_or(|fed| now.duration_since(fed) >= period / 4) {
                self.fed = Some(now);
                self.notifier.alive();
            }
        } else if !self.starving {
            self.starving = true;
            tracing::error!(sources = still.join(", "), "no progress within the time that it may take");
        }
    }

    fn show_status(&mut self) {
        let faces: Vec<Arc<Face>> = self.slots.iter().map(|slot| Arc::clone(&slot.face)).collect();
        let status = status_line(&faces);
        if status != self.status {
            self.notifier.status(&status);
            self.status = status;
        }
    }

    /// Waits for the page in flight, closes the store, and says whether all of that came to its end.
    async fn end(self, served: Option<Served>, writer: WriterThread) -> Ending {
        let Self { slots, leaving, leaving_keepers, keeper, notifier, beating, .. } = self;
        let mut tasks: Vec<JoinHandle<()>> = slots.into_iter().chain(leaving).map(|slot| slot.task).collect();
        tasks.extend(leaving_keepers);
        tasks.push(beating);
        tasks.extend(keeper.map(|keeper| keeper.task));
        let all = async {
            for task in tasks {
                // A worker that ended badly has ended.
                drop(task.await);
            }
            if let Some(served) = served {
                served.ended().await;
            }
        };
        let workers_ended = tokio::time::timeout(LAST_PAGE, all).await.is_ok();
        // Even under workers that would not end: from here on they are told that it is gone.
        let closed = tokio::time::timeout(LAST_CHECKPOINT, writer.close()).await.is_ok() && workers_ended;
        // All of it together stays within the 10 seconds that are promised.
        drop(tokio::time::timeout(LAST_WORDS, notifier.flush()).await);
        if closed {
            tracing::info!("ended");
            Ending::Clean
        } else {
            tracing::warn!("something would not end in time; what was not stored is read again after the next start");
            Ending::Abrupt
        }
    }
}
