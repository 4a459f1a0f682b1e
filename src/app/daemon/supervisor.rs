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
use super::plan::{Plan, Timetable, spread};
use super::reload::{Files, Wish, needs_restart, wishes};
use super::worker::{Word, Worker};
use crate::app::build::{Pacers, client, speed};
use crate::app::watched;
use crate::config::{Config, Problems};
use crate::store::{Store, StoreError, WriterThread};
use crate::sync::Clock;
use crate::telemetry::Subject;
use crate::telemetry::sources::source_ended;
use crate::web::{self, Board, Served, WebError};

/// Sources read at once.
const SOURCES_AT_ONCE: usize = 8;

/// A beat that comes so much too early still is the one that was waited for, in milliseconds.
const SLACK_MS: i64 = 400;

/// How long workers may take to store or drop the page in flight, and the store to close.
const LAST_PAGE: Duration = Duration::from_millis(6_500);
const LAST_CHECKPOINT: Duration = Duration::from_secs(2);
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long a configuration may take to be read. A key may lie on a disk that does not answer.
const READING_TIME: Duration = Duration::from_secs(5);

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
    /// No beat comes any more, so nothing would be read.
    #[error("the scheduler has ended, which is a mistake in chatloom; start it again")]
    NoBeats,
    /// Nothing can be served where the configuration says so.
    #[error(transparent)]
    Web(#[from] WebError),
}

/// One source's worker, seen from here.
struct Slot {
    wish: Wish,
    face: Arc<Face>,
    cancel: CancellationToken,
    /// Cancelled once the task has ended, however it did.
    ended: CancellationToken,
    task: JoinHandle<()>,
}

struct Supervisor {
    config: Config,
    asked: Asked,
    store: Store,
    notifier: Notifier,
    beats: watch::Receiver<u64>,
    turns: Arc<Semaphore>,
    words: mpsc::UnboundedSender<Word>,
    pacers: Pacers,
    slots: Vec<Slot>,
    /// Workers that were told to end. Until they have, they are watched over, and none of their source follows.
    leaving: Vec<Slot>,
    /// Keepers that were told to end.
    leaving_keepers: Vec<JoinHandle<()>>,
    keeper: Option<Keeper>,
    files: Files,
    /// What the `[http]` listener shows.
    board: Board,
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
    let (beat, beats) = watch::channel(0);
    let beating = tokio::spawn(clock::beat(beat, asked.cancel.clone()));
    let (words, mut told) = mpsc::unbounded_channel();
    let mut supervisor = Supervisor {
        files: Files::of(&config),
        board,
        config,
        asked,
        store,
        notifier,
        beats,
        turns: Arc::new(Semaphore::new(SOURCES_AT_ONCE)),
        words,
        pacers: Pacers::default(),
        slots: Vec::new(),
        leaving: Vec::new(),
        leaving_keepers: Vec::new(),
        keeper: None,
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
    let ending = supervisor.end(beating, served, writer).await;
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
                beat = beats.changed() => {
                    if beat.is_err() {
                        tracing::error!("the scheduler has ended; ending");
                        return Some(RunError::NoBeats);
                    }
                    if let Some(period) = period {
                        self.feed(period);
                    }
                    let stopped = |slot: &Slot| slot.face.condition() == Condition::Stopped;
                    if self.slots.iter().any(stopped) && self.files.changed() {
                        self.read_again(false).await;
                    }
                }
            }
        }
    }

    /// Tells the watchdog that all is well, if it is. Called at beats alone: a clock that stands still is not well.
    fn feed(&mut self, period: Duration) {
        let now = Instant::now();
        self.leaving.retain(|slot| !slot.task.is_finished());
        let still: Vec<&str> = self
            .slots
            .iter()
            .chain(&self.leaving)
            // A worker that ended by itself has left its source to nobody, whatever its face shows.
            .filter(|slot| slot.task.is_finished() || !slot.face.moves(now, speed()))
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

    /// Reads the configuration again and takes it over, or keeps the old one and says why. `asked`: somebody wants it;
    /// otherwise only sources that are stopped take over what changed for them.
    async fn read_again(&mut self, asked: bool) {
        // Looked at before, so that a change while they are read is noticed at the next beat.
        self.files.changed();
        let load = Arc::clone(&self.asked.load);
        let loading = tokio::time::timeout(READING_TIME, tokio::task::spawn_blocking(move || load()));
        let loaded = tokio::select! {
            () = self.asked.cancel.cancelled() => return,
            loaded = loading => loaded,
        };
        let kept =
            |why: &str| tracing::error!(problems = why, "the new configuration cannot be used; the old one stays");
        let config = match loaded {
            Ok(Ok(Ok(config))) => config,
            Ok(Ok(Err(problems))) => return kept(&one_line(&problems.to_string())),
            Ok(Err(_)) => return kept("reading it ended badly"),
            Err(_) => return kept("it could not be read in time"),
        };
        let (wanted, maintain) = match wishes(&config) {
            Ok(wanted) => wanted,
            Err(problem) => return kept(&problem),
        };
        self.files = Files::of_newer(&config, &self.files);
        let changes = if asked {
            // These stay as they were, so that they are told of again next time.
            for setting in needs_restart(&self.config, &config) {
                tracing::warn!(setting, "this change needs a restart; until then the old value holds");
            }
            self.board.watch(watched(&config));
            self.config.keeping = config.keeping;
            self.keep(&maintain);
            self.settle(wanted)
        } else {
            self.revive(wanted)
        };
        if asked || !changes.is_empty() {
            let changes = if changes.is_empty() { "nothing changed".to_owned() } else { changes.join(", ") };
            tracing::info!(changes, "the configuration was read again");
        }
    }

    /// Sees that the store is tidied up as the configuration says.
    fn keep(&mut self, times: &Timetable) {
        let keeping = &self.config.keeping;
        if self.keeper.as_ref().is_some_and(|keeper| keeper.keeping == *keeping) {
            return;
        }
        self.leaving_keepers.extend(self.keeper.take().map(Keeper::cancel));
        let slack = SLACK_MS * i64::from(speed());
        let (store, clock) = (self.store.clone(), Arc::clone(&self.asked.clock));
        let cancel = self.asked.cancel.child_token();
        self.keeper = Some(Keeper::start(keeping, times, store, clock, slack, self.beats.clone(), cancel));
    }

    /// Restarts the stopped ones among the sources for which something changed.
    fn revive(&mut self, wanted: Vec<Wish>) -> Vec<String> {
        let mut changes = Vec::new();
        for wish in wanted {
            let changed = |slot: &Slot| slot.face.source == wish.config.name && !slot.wish.is_like(&wish);
            let stopped = |slot: &Slot| slot.face.condition() == Condition::Stopped;
            if let Some(at) = self.slots.iter().position(|slot| changed(slot) && stopped(slot)) {
                changes.push(self.restart(at, wish));
            }
        }
        changes
    }

    /// Replaces a worker.
    fn restart(&mut self, at: usize, wish: Wish) -> String {
        let slot = self.slots.swap_remove(at);
        slot.cancel.cancel();
        let told = format!("{} restarted", slot.face.source);
        self.leaving.push(slot);
        if let Some(slot) = self.start(wish, 0) {
            self.slots.push(slot);
        }
        told
    }

    /// Starts, restarts and ends workers until the wishes are met; says what was done. Stopped sources are tried
    /// again whatever changed.
    fn settle(&mut self, wanted: Vec<Wish>) -> Vec<String> {
        let mut changes = Vec::new();
        self.leaving.retain(|slot| !slot.task.is_finished());
        self.leaving_keepers.retain(|task| !task.is_finished());
        for slot in std::mem::take(&mut self.slots) {
            if wanted.iter().any(|wish| wish.config.name == slot.wish.config.name) {
                self.slots.push(slot);
            } else {
                slot.cancel.cancel();
                source_ended(&Subject::new(&slot.face.source, slot.wish.config.kind().as_str()));
                changes.push(format!("{} ended", slot.face.source));
                self.leaving.push(slot);
            }
        }
        let sources = wanted.len();
        for (place, wish) in wanted.into_iter().enumerate() {
            let name = wish.config.name.clone();
            let running = self.slots.iter().position(|slot| slot.face.source == name);
            let Some(at) = running else {
                let offset = spread(place, sources, &wish.config.poll);
                if let Some(slot) = self.start(wish, offset) {
                    self.slots.push(slot);
                    changes.push(format!("{name} started"));
                }
                continue;
            };
            let stopped = self.slots[at].face.condition() == Condition::Stopped;
            if stopped || !self.slots[at].wish.is_like(&wish) {
                changes.push(self.restart(at, wish));
            }
        }
        self.pacers.forget_unused();
        changes
    }

    /// Starts a worker, once all of its source before it have ended.
    fn start(&mut self, wish: Wish, offset_ms: i64) -> Option<Slot> {
        let cancel = self.asked.cancel.child_token();
        let http = match client(&wish.config, self.pacers.of(&wish.config, wish.rate), cancel.clone()) {
            Ok(http) => http,
            Err(error) => {
                tracing::error!(source = %wish.config.name, %error, "the source cannot be read");
                return None;
            }
        };
        let face = Face::new(wish.config.name.clone(), wish.config.timeout);
        let slack = SLACK_MS * i64::from(speed());
        let now = (self.asked.clock)();
        face.waits(now.saturating_add(offset_ms));
        let worker = Worker {
            http,
            store: self.store.clone(),
            clock: Arc::clone(&self.asked.clock),
            plan: Plan::new(wish.poll.clone(), wish.sweep.clone(), now, offset_ms, slack),
            face: Arc::clone(&face),
            turns: Arc::clone(&self.turns),
            words: self.words.clone(),
            cancel: cancel.clone(),
            config: wish.config.clone(),
        };
        let beats = self.beats.clone();
        let same = |slot: &&Slot| slot.face.source == wish.config.name;
        let before: Vec<_> = self.leaving.iter().filter(same).map(|slot| slot.ended.clone()).collect();
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _guard = guard;
            for before in before {
                before.cancelled().await;
            }
            worker.run(beats).await;
        });
        Some(Slot { wish, face, cancel, ended, task })
    }

    /// Waits for the page in flight, closes the store, and says whether all of that came to its end.
    async fn end(self, beating: JoinHandle<()>, served: Option<Served>, writer: WriterThread) -> Ending {
        let Self { slots, leaving, leaving_keepers, keeper, notifier, .. } = self;
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

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
