//! The writing thread and the handle to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::batch::{Batch, Committed, UsageNow};
use super::failpoint::failpoint;
use super::place::Place;
use super::replay::{self, Replay, Replayed};
use super::run::{self, Finish, LastReads, RunMode, RunStatus, SourceRow};
use super::wal::{self, WalCap};
use super::work::{self, StaleConversation, UnknownIds};
use super::{StoreError, StoreLock, access, commit, fulltext, open};
use crate::model::{ProviderKind, RawRecord, Reject, Row, StreamKey};
use crate::telemetry::events;

/// Batches that may wait for the writer. The bound is the back-pressure on fetching.
const WAITING_BATCHES: usize = 8;

/// Records in one transaction, at the most, when waiting batches are folded together.
const FOLDED_RECORDS: usize = 4000;

/// How long the last checkpoint may wait for readers.
const LAST_CHECKPOINT: Duration = Duration::from_millis(500);

type Task = Box<dyn FnOnce(Result<&mut Connection, StoreError>) + Send>;
type Answer = oneshot::Sender<Result<Committed, StoreError>>;
type Waiting = (Box<Batch>, Answer, Span);

enum Order {
    /// With the span of whoever asks: what is told while it is stored is told of their run.
    Commit(Box<Batch>, Answer, Span),
    Do(Task),
    /// What was sent before is still done; nothing after it.
    End,
}

/// The store, as those who sync see it. Clones share the one writing thread.
#[derive(Clone)]
pub struct Store {
    orders: mpsc::Sender<Order>,
    path: Arc<PathBuf>,
}

/// The writing thread's end.
///
/// Dropped, it tells the thread to end after what it was sent so far, and waits for that:
/// whatever [`Store`]s are left are told [`StoreError::Gone`] from then on. So no order of dropping waits for ever.
#[derive(Debug)]
pub struct WriterThread {
    thread: Option<std::thread::JoinHandle<()>>,
    orders: mpsc::WeakSender<Order>,
    _lock: StoreLock,
}

impl WriterThread {
    /// Ends the writing thread without holding up others: its last checkpoint may take a moment.
    pub async fn close(self) {
        drop(tokio::task::spawn_blocking(move || drop(self)).await);
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if let Some(orders) = self.orders.upgrade() {
            // The queue may be full, and whoever drops this may stand in a runtime, where blocking is refused.
            let told = std::thread::spawn(move || orders.blocking_send(Order::End));
            drop(told.join());
        }
        if thread.join().is_err() {
            tracing::error!("the store's writer ended badly; nothing half-written was kept");
        }
    }
}

impl Store {
    /// Opens the store for writing, making it if there is none. `who` is what others are told who find it locked.
    ///
    /// # Errors
    /// The file cannot be used, or another process writes to it.
    pub fn open(path: &Path, who: &str, now_ms: i64) -> Result<(Self, WriterThread), StoreError> {
        if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            return Err(StoreError::NoFolder { path: path.to_owned() });
        }
        if path.is_dir() {
            return Err(StoreError::Foreign { path: path.to_owned(), found: "a folder".to_owned() });
        }
        let lock = StoreLock::take(path, who)?;
        let mut connection = open::open_writer(path, now_ms)?;
        let place = Place::of(path)?;
        run::close_abandoned(&connection, now_ms).map_err(StoreError::sql("closing runs of an earlier process"))?;
        fulltext::catch_up(&mut connection).map_err(StoreError::sql("building the full-text index"))?;
        let (orders, mut inbox) = mpsc::channel(WAITING_BATCHES);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                write_until_closed(&mut connection, &place, &mut inbox);
                failpoint!("close.checkpoint");
                // A clean file for whoever copies it; a reader in the way is no harm, and not waited for.
                let tidied = connection
                    .execute_batch("PRAGMA optimize")
                    .and_then(|()| wal::truncate(&connection, LAST_CHECKPOINT));
                if !matches!(tidied, Ok(true)) {
                    tracing::debug!(?tidied, "the last checkpoint was left to the next opening");
                }
            })
            .map_err(|error| StoreError::Unopenable { path: path.to_owned(), cause: error.to_string() })?;
        let writer = WriterThread { thread: Some(thread), orders: orders.downgrade(), _lock: lock };
        Ok((Self { orders, path: Arc::new(path.to_owned()) }, writer))
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores a batch whole, or not at all.
    ///
    /// # Errors
    /// The transaction failed; nothing of the batch is stored.
    pub async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        let (answer, outcome) = oneshot::channel();
        self.orders
            .send(Order::Commit(Box::new(batch), answer, Span::current()))
            .await
            .map_err(|_| StoreError::Gone)?;
        outcome.await.map_err(|_| StoreError::Gone)?
    }

    /// Runs `work` on the writing connection, between transactions.
    pub(super) async fn on_writer<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let span = Span::current();
        let task: Task = Box::new(move |connection| {
            let done =
                connection.and_then(|connection| span.in_scope(|| work(connection)).map_err(StoreError::sql(doing)));
            // The asker may have gone away; then nobody waits for the answer.
            drop(answer.send(done));
        });
        self.orders.send(Order::Do(task)).await.map_err(|_| StoreError::Gone)?;
        outcome.await.map_err(|_| StoreError::Gone)?
    }

    /// Normalises stored records again, in one transaction. `normalise` gets the stream that a record is kept under;
    /// where `stopped` says so, nothing is changed.
    ///
    /// # Errors
    /// SQLite failed; nothing is changed.
    pub async fn replay(
        &self,
        asked: Replay,
        normalise: impl Fn(&str, &RawRecord) -> Result<Vec<Row>, Reject> + Send + 'static,
        stopped: impl Fn() -> bool + Send + 'static,
    ) -> Result<Replayed, StoreError> {
        self.on_writer("normalising stored records again", move |conn| {
            Ok(replay::replay(conn, &asked, &(Box::new(normalise) as _), &(Box::new(stopped) as _)))
        })
        .await?
    }

    /// Finds or makes a source.
    ///
    /// # Errors
    /// Its name belongs to another provider's history, or SQLite failed.
    pub async fn source(
        &self,
        name: &str,
        provider: ProviderKind,
        base_url: &str,
        timezone: Option<&str>,
    ) -> Result<SourceRow, StoreError> {
        let (owned_name, base_url, timezone) = (name.to_owned(), base_url.to_owned(), timezone.map(str::to_owned));
        self.on_writer("looking up a source", move |conn| {
            run::source(conn, &owned_name, provider, &base_url, timezone.as_deref())
        })
        .await?
        .map_err(|stored| run::provider_changed(name, &stored, provider))
    }

    /// The id of a source, if the store has it.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn known_source(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let name = name.to_owned();
        self.on_writer("looking up a source", move |conn| run::known(conn, &name)).await
    }

    /// Gives a source another name; its history, cursors and runs stay with it.
    ///
    /// # Errors
    /// There is no source of the old name, or one of the new name already, or SQLite failed.
    pub async fn rename_source(&self, old: &str, new: &str) -> Result<(), StoreError> {
        let (from, to) = (old.to_owned(), new.to_owned());
        let refused = self.on_writer("renaming a source", move |conn| run::rename(conn, &from, &to)).await?;
        match refused {
            None => Ok(()),
            Some(run::NotRenamed::Unknown(known)) => {
                Err(StoreError::NoSuchSource { name: old.to_owned(), known: known.join(", ") })
            }
            Some(run::NotRenamed::Taken(conversations)) => {
                Err(StoreError::NameTaken { name: new.to_owned(), conversations })
            }
        }
    }

    /// Whether the last run of a source did not come to its end.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn was_cut_short(&self, source_id: i64) -> Result<bool, StoreError> {
        self.on_writer("looking up the last run", move |conn| run::was_cut_short(conn, source_id)).await
    }

    /// When a source was last read, and last read whole, as far as that is not later than now.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn last_reads(&self, name: &str, now_ms: i64) -> Result<LastReads, StoreError> {
        let name = name.to_owned();
        self.on_writer("looking up the last runs", move |conn| run::last_reads(conn, &name, now_ms)).await
    }

    /// Closes what is left of a source's runs after one ended badly.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn abandon_runs(&self, name: &str, why: &str, now_ms: i64) -> Result<(), StoreError> {
        let (name, why) = (name.to_owned(), why.to_owned());
        self.on_writer("closing a run that ended badly", move |conn| match run::known(conn, &name)? {
            Some(id) => run::abandon(conn, id, &why, now_ms),
            None => Ok(()),
        })
        .await
    }

    /// Begins a run: its id, and the change counter at its start.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn start_run(&self, source_id: i64, mode: RunMode, now_ms: i64) -> Result<(i64, i64), StoreError> {
        self.on_writer("beginning a run", move |conn| run::start(conn, source_id, mode, now_ms)).await
    }

    /// Ends a run. `reached_end`: every stream was read to its end.
    ///
    /// # Errors
    /// SQLite failed.
    #[expect(clippy::too_many_arguments, reason = "the columns of one row")]
    pub async fn finish_run(
        &self,
        run_id: i64,
        source_id: i64,
        status: RunStatus,
        error: Option<String>,
        usage: UsageNow,
        reached_end: bool,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let end = Finish { run_id, source_id, status, error, usage, now_ms, reached_end };
        self.on_writer("ending a run", move |conn| run::finish(conn, &end)).await
    }

    /// Makes conversations stale that were not looked at for long; returns how many.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn mark_due(&self, source_id: i64, now_ms: i64) -> Result<usize, StoreError> {
        self.on_writer("choosing conversations to look at again", move |conn| work::mark_due(conn, source_id, now_ms))
            .await
    }

    /// The newest modification time of a source's conversations, in milliseconds.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn newest_update(&self, source_id: i64) -> Result<Option<i64>, StoreError> {
        self.on_writer("reading the newest change", move |conn| work::newest_update(conn, source_id)).await
    }

    /// Where a stream stands, as JSON.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn cursor(&self, source_id: i64, key: StreamKey) -> Result<Option<String>, StoreError> {
        self.on_writer("reading a cursor", move |conn| work::cursor(conn, source_id, &key)).await
    }

    /// What was found out about a source's API before.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn facts(&self, source_id: i64) -> Result<BTreeMap<String, String>, StoreError> {
        self.on_writer("reading what is known of the provider's API", move |conn| work::facts(conn, source_id)).await
    }

    /// Stale conversations behind a place in the queue: failures in a row, row id.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn stale(
        &self,
        source_id: i64,
        after: (i64, i64),
        limit: u32,
    ) -> Result<Vec<StaleConversation>, StoreError> {
        self.on_writer("looking for stale conversations", move |conn| work::stale(conn, source_id, after, limit)).await
    }

    /// How many conversations are stale.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn stale_count(&self, source_id: i64) -> Result<u64, StoreError> {
        self.on_writer("counting stale conversations", move |conn| work::stale_count(conn, source_id)).await
    }

    /// Takes back the word that a list may not be read, for lists that are read no more: all but those of these scopes.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn forget_forbidden_lists(&self, source_id: i64, scopes: Vec<String>) -> Result<(), StoreError> {
        self.on_writer("looking at lists that may not be read", move |conn| {
            access::forget_forbidden_lists(conn, source_id, &scopes)
        })
        .await
    }

    /// Channels that the key may not read, as far as conversations of them are stored.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn forbidden_channels(&self, source_id: i64) -> Result<Vec<String>, StoreError> {
        self.on_writer("looking for channels that may not be read", move |conn| {
            access::forbidden_channels(conn, source_id)
        })
        .await
    }

    /// Ids that no record has described, those looked up in vain after `retry_before_ms` left out.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn unknown(&self, source_id: i64, retry_before_ms: i64) -> Result<UnknownIds, StoreError> {
        self.on_writer("looking for undescribed ids", move |conn| work::unknown(conn, source_id, retry_before_ms)).await
    }
}

fn write_until_closed(connection: &mut Connection, place: &Place, inbox: &mut mpsc::Receiver<Order>) {
    let mut held = None;
    let mut cap = WalCap::new(connection);
    while let Some(order) = held.take().or_else(|| inbox.blocking_recv()) {
        match order {
            Order::End => return,
            Order::Do(task) => {
                task(place.still_holds().map(|()| &mut *connection));
                cap.after_commit(connection, Instant::now());
            }
            Order::Commit(batch, answer, span) => {
                let mut records = batch.records.len();
                let mut waiting = vec![(batch, answer, span)];
                while records < FOLDED_RECORDS {
                    match inbox.try_recv() {
                        Ok(Order::Commit(batch, answer, span)) => {
                            records += batch.records.len();
                            waiting.push((batch, answer, span));
                        }
                        Ok(other) => {
                            held = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                commit_together(connection, place, waiting);
                cap.after_commit(connection, Instant::now());
            }
        }
    }
}

/// One transaction for all that wait. When it fails, each is tried alone, so that one cannot take others with it.
fn commit_together(connection: &mut Connection, place: &Place, waiting: Vec<Waiting>) {
    let alone = waiting.len() == 1;
    let begun = Instant::now();
    match place.still_holds().and_then(|()| commit_all(connection, &waiting)) {
        Ok(committed) => {
            let (took, batches) = (begun.elapsed(), waiting.len());
            let records = waiting.iter().map(|(batch, _, _)| batch.records.len()).sum();
            for ((_, answer, _), committed) in waiting.into_iter().zip(committed) {
                drop(answer.send(Ok(committed)));
            }
            // Told last: nobody waits for a line to be written.
            events::committed(batches, records, took);
        }
        Err(error) if alone => {
            events::commit_failed();
            for (_, answer, _) in waiting {
                drop(answer.send(Err(error.repeat())));
            }
        }
        Err(_) => {
            for (batch, answer, span) in waiting {
                let one = [(batch, answer, span)];
                let begun = Instant::now();
                let outcome =
                    commit_all(connection, &one).map(|committed| committed.into_iter().next().unwrap_or_default());
                let [(batch, answer, _)] = one;
                match outcome {
                    Ok(_) => events::committed(1, batch.records.len(), begun.elapsed()),
                    Err(_) => events::commit_failed(),
                }
                drop(answer.send(outcome));
            }
        }
    }
}

fn commit_all(connection: &mut Connection, batches: &[Waiting]) -> Result<Vec<Committed>, StoreError> {
    let doing = "storing a page";
    #[cfg(debug_assertions)]
    if super::failpoint::faults().cursors_first {
        for (batch, _, _) in batches {
            commit::cursors_alone(connection, batch).map_err(StoreError::sql(doing))?;
        }
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::sql(doing))?;
    failpoint!("commit.begun");
    let mut committed = Vec::with_capacity(batches.len());
    for (batch, _, span) in batches {
        committed.push(span.in_scope(|| commit::apply(&transaction, batch))?);
    }
    failpoint!("commit.complete");
    transaction.commit().map_err(StoreError::sql(doing))?;
    failpoint!("commit.done");
    Ok(committed)
}
