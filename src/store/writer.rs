//! The writing thread and the handle to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::batch::{Batch, Committed};
use super::failpoint::failpoint;
use super::filling::Filling;
use super::fold::Fold;
use super::fulltext;
use super::place::Place;
use super::run;
use super::wal::{self, WalCap};
use super::{StoreError, StoreLock, disk, open, patience, plans};
use crate::telemetry::events;

/// Batches that may wait for the writer. The bound is the back-pressure on fetching.
const WAITING_BATCHES: usize = 8;

/// Records in one transaction, at the most, when waiting batches are folded together.
const FOLDED_RECORDS: usize = 4000;

/// How long the last checkpoint may wait for readers.
const LAST_CHECKPOINT: Duration = Duration::from_millis(500);

/// Gives back that the file is damaged, when it found it so.
type Task = Box<dyn FnOnce(Result<&mut Connection, StoreError>) -> Option<StoreError> + Send>;
/// With the batch, which takes a while to be taken down: whoever waits for the answer has the time.
type Answer = oneshot::Sender<Result<(Committed, Box<Batch>), StoreError>>;
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

/// A batch on its way into the store.
#[derive(Debug)]
pub struct Posted(oneshot::Receiver<Result<(Committed, Box<Batch>), StoreError>>);

impl Posted {
    /// Waits until it is stored.
    ///
    /// # Errors
    /// The transaction failed, or one of an earlier batch of its [`super::batch::Chain`]; nothing of the batch is stored.
    pub async fn done(self) -> Result<Committed, StoreError> {
        self.0.await.map_err(|_| StoreError::Gone)?.map(|(committed, _)| committed)
    }

    /// What became of it, if that is known by now; itself if not.
    ///
    /// # Errors
    /// It is not known yet.
    pub fn look(mut self) -> Result<Result<Committed, StoreError>, Self> {
        match self.0.try_recv() {
            Ok(outcome) => Ok(outcome.map(|(committed, _)| committed)),
            Err(oneshot::error::TryRecvError::Empty) => Err(self),
            Err(oneshot::error::TryRecvError::Closed) => Ok(Err(StoreError::Gone)),
        }
    }
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
        open::not_a_file(path)?;
        let lock = StoreLock::take(path, who)?;
        if let Some(kind) = disk::network_file_system(path) {
            tracing::warn!(
                event = "network_disk",
                kind,
                "the store lies on a network file system, where SQLite's locks and write-ahead log cannot be relied on; put \
                 it on a disk of this machine"
            );
        }
        let mut connection = open::open_writer(path, now_ms)?;
        let place = Place::of(path, &connection)?;
        run::close_abandoned(&connection, now_ms).map_err(StoreError::sql("closing runs of an earlier process"))?;
        fulltext::catch_up(&mut connection).map_err(StoreError::sql("building the full-text index"))?;
        if let Err(error) = plans::forget_small(&connection) {
            tracing::debug!(%error, "samples of small tables stay");
        }
        let (orders, mut inbox) = mpsc::channel(WAITING_BATCHES);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                // Locks of others are told of by whoever waits for them.
                if let Err(error) = patience::wait_for_locks(&mut connection) {
                    tracing::debug!(%error, "locks are not waited for");
                }
                let damaged = write_until_closed(&mut connection, &place, &mut inbox);
                failpoint!("close.checkpoint");
                if damaged {
                    // What is in the log stays there, for whoever looks into what is left.
                    drop(connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
                    return;
                }
                // A clean file for whoever copies it; a reader in the way is no harm, and not waited for.
                let tidied = plans::sample_after_changes(&connection)
                    .and_then(|()| wal::truncate(&mut connection, LAST_CHECKPOINT));
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
        self.post(batch).await?.done().await
    }

    /// Whether as many batches wait as may, of whichever source.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.orders.capacity() == 0
    }

    /// Sends a batch to be stored whole, or not at all, after all that was sent before. Waits while many others wait.
    ///
    /// # Errors
    /// The writing thread has ended.
    pub async fn post(&self, batch: Batch) -> Result<Posted, StoreError> {
        let (answer, outcome) = oneshot::channel();
        self.orders
            .send(Order::Commit(Box::new(batch), answer, Span::current()))
            .await
            .map_err(|_| StoreError::Gone)?;
        Ok(Posted(outcome))
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
            let damage = done.as_ref().err().and_then(damage);
            // The asker may have gone away; then nobody waits for the answer.
            drop(answer.send(done));
            damage
        });
        self.orders.send(Order::Do(task)).await.map_err(|_| StoreError::Gone)?;
        outcome.await.map_err(|_| StoreError::Gone)?
    }
}

/// The damage that an error tells of.
fn damage(error: &StoreError) -> Option<StoreError> {
    matches!(error, StoreError::Damaged { .. }).then(|| error.repeat())
}

/// Whether the file may be written to: it stands where it stood, and was not found damaged.
fn usable(place: &Place, damaged: Option<&StoreError>) -> Result<(), StoreError> {
    damaged.map_or_else(|| place.still_holds(), |damage| Err(damage.repeat()))
}

/// Returns whether the file was found damaged. From that moment on everybody is told so, and nothing is written.
fn write_until_closed(connection: &mut Connection, place: &Place, inbox: &mut mpsc::Receiver<Order>) -> bool {
    let (mut held, mut damaged) = (None, None);
    let mut cap = WalCap::new(connection);
    let mut filling = Filling::new(Instant::now());
    while let Some(order) = held.take().or_else(|| inbox.blocking_recv()) {
        match order {
            Order::End => break,
            Order::Do(task) => {
                let met = task(usable(place, damaged.as_ref()).map(|()| &mut *connection));
                damaged = damaged.or(met);
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
                let met = commit_together(connection, usable(place, damaged.as_ref()), waiting, &mut filling);
                damaged = damaged.or(met);
                cap.after_commit(connection, Instant::now());
            }
        }
    }
    damaged.is_some()
}

/// One transaction for all that wait. When it fails, each is tried alone, so that one cannot take others with it; but
/// not in a file that was found damaged, which is what is given back then.
fn commit_together(
    connection: &mut Connection,
    usable: Result<(), StoreError>,
    waiting: Vec<Waiting>,
    filling: &mut Filling,
) -> Option<StoreError> {
    let waiting = whole_chains(waiting);
    if waiting.is_empty() {
        return None;
    }
    let alone = waiting.len() == 1;
    let begun = Instant::now();
    match usable.and_then(|()| commit_all(connection, &waiting, filling)) {
        Ok(committed) => {
            let (took, batches) = (begun.elapsed(), waiting.len());
            let records = waiting.iter().map(|(batch, _, _)| batch.records.len()).sum();
            for ((batch, answer, _), committed) in waiting.into_iter().zip(committed) {
                drop(answer.send(Ok((committed, batch))));
            }
            // Told last: nobody waits for a line to be written.
            events::committed(batches, records, took);
            None
        }
        Err(error) if alone || damage(&error).is_some() => {
            events::commit_failed();
            for (batch, answer, _) in waiting {
                batch.chain.tear(&error);
                drop(answer.send(Err(error.repeat())));
            }
            damage(&error)
        }
        Err(_) => {
            let mut damaged = None;
            for one in waiting {
                let Some(one) = whole_chains(vec![one]).pop() else { continue };
                let one = [one];
                let begun = Instant::now();
                let outcome = commit_all(connection, &one, filling)
                    .map(|committed| committed.into_iter().next().unwrap_or_default());
                let [(batch, answer, _)] = one;
                match &outcome {
                    Ok(_) => events::committed(1, batch.records.len(), begun.elapsed()),
                    Err(error) => {
                        events::commit_failed();
                        batch.chain.tear(error);
                        damaged = damaged.or_else(|| damage(error));
                    }
                }
                drop(answer.send(outcome.map(|committed| (committed, batch))));
            }
            damaged
        }
    }
}

/// Those of whose chain everything before was stored. The others are told why not.
fn whole_chains(waiting: Vec<Waiting>) -> Vec<Waiting> {
    let mut whole = Vec::with_capacity(waiting.len());
    for (batch, answer, span) in waiting {
        match batch.chain.holds() {
            Ok(()) => whole.push((batch, answer, span)),
            Err(error) => drop(answer.send(Err(error))),
        }
    }
    whole
}

fn commit_all(
    connection: &mut Connection,
    batches: &[Waiting],
    filling: &mut Filling,
) -> Result<Vec<Committed>, StoreError> {
    let doing = "storing a page";
    #[cfg(debug_assertions)]
    if super::failpoint::faults().cursors_first {
        for (batch, _, _) in batches {
            super::commit::cursors_alone(connection, batch).map_err(StoreError::sql(doing))?;
        }
    }
    let bulk = batches.iter().all(|(batch, _, _)| batch.bulk);
    if !bulk {
        filling.before_others(connection, Instant::now());
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::sql(doing))?;
    failpoint!("commit.begun");
    let mut committed = Vec::with_capacity(batches.len());
    let mut fold = Fold::new(&transaction);
    for (batch, _, span) in batches {
        committed.push(span.in_scope(|| fold.apply(batch))?);
    }
    let waiting = if bulk { fold.messages_made() } else { 0 };
    fold.settle(bulk)?;
    failpoint!("commit.complete");
    transaction.commit().map_err(StoreError::sql(doing))?;
    failpoint!("commit.done");
    filling.note(waiting);
    filling.when_due(connection, Instant::now());
    Ok(committed)
}
