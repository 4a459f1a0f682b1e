//! What pages and API share: bounded reading of the store, and the digest behind the overview.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::ask::Ask;
use super::board::Board;
use super::trouble::Trouble;
use crate::store::browse::{self, Digest, LONGEST, Reader};
use crate::store::{StoreError, source_names};

/// Readings of the store at once. One more waits.
const READERS: usize = 4;
/// How long it waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// A digest is good for at least so long, whatever changes.
const FRESH: Duration = Duration::from_secs(5);
/// And for so many times as long as it took to make: no more than a twentieth of the time goes into it.
const SHARE: u32 = 20;
/// An older one is not shown while a new one is made: the new one is waited for.
const STALE: Duration = Duration::from_secs(60);
/// A digest takes no longer.
const DIGESTING: Duration = Duration::from_secs(15);

/// Shared by all requests.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) board: Board,
    readers: Arc<Semaphore>,
    held: Arc<Mutex<Option<Arc<Held>>>>,
    /// Held while a digest is made.
    making: Arc<tokio::sync::Mutex<()>>,
}

/// A digest and when it was made.
pub(super) struct Held {
    pub(super) digest: Arc<Digest>,
    pub(super) as_of_ms: i64,
    read_at: Instant,
    took: Duration,
}

impl Site {
    pub(super) fn new(board: Board) -> Self {
        Self { board, readers: Arc::new(Semaphore::new(READERS)), held: Arc::default(), making: Arc::default() }
    }

    /// Asks the store something, on a thread that may block. Bounded in time, and in how many do so at once.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reader) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let path = self.board.store_path().to_owned();
        self.on_a_thread(move || question(&mut browse::open_bounded(&path, LONGEST)?)).await
    }

    /// Refuses a `source` that neither the configuration nor the store knows: a name that is spelt wrong is no source
    /// without conversations.
    pub(super) async fn check_source(&self, ask: &Ask) -> Result<(), Trouble> {
        let Some(asked) = ask.text("source") else { return Ok(()) };
        let mut known = self.board.source_names();
        if !known.iter().any(|name| name == asked) {
            let stored = self.read(|store| Ok(source_names(store)?)).await?;
            known.extend(stored);
            known.sort_unstable();
            known.dedup();
        }
        ask.one_of("source", &known.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.readers).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Trouble::Busy) };
        // The permit goes along: should the asker go away, the reading still counts.
        let read = tokio::task::spawn_blocking(move || {
            let answer = work();
            drop(permit);
            answer
        });
        read.await.unwrap_or(Err(Trouble::Store(StoreError::Gone)))
    }

    /// The digest: as it stands while it is fresh, or stands for a moment still while a new one is made.
    pub(super) async fn digest(&self) -> Result<Arc<Held>, Trouble> {
        // From memory or not: nothing is shown of a store that cannot be read.
        self.read(|_| Ok(())).await?;
        if let Some(held) = self.held() {
            let age = held.read_at.elapsed();
            if age < FRESH.max(held.took.saturating_mul(SHARE)) {
                return Ok(held);
            }
            if age < STALE {
                let site = self.clone();
                tokio::spawn(async move {
                    if let Ok(guard) = Arc::clone(&site.making).try_lock_owned() {
                        drop(site.make().await);
                        drop(guard);
                    }
                });
                return Ok(held);
            }
        }
        let asked = Instant::now();
        let _making = self.making.lock().await;
        // Somebody else may have waited for it as well.
        match self.held().filter(|held| held.read_at >= asked) {
            Some(held) => Ok(held),
            None => self.make().await,
        }
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn make(&self) -> Result<Arc<Held>, Trouble> {
        let before = self.held();
        let path = self.board.store_path().to_owned();
        let (begun, as_of_ms) = (Instant::now(), self.board.now_ms());
        let digest = self
            .on_a_thread(move || {
                let mut reader = browse::open_bounded(&path, DIGESTING)?;
                let now = (browse::change_number(&reader)?, browse::reporting_zone(&reader)?);
                match before.filter(|held| (held.digest.rev, held.digest.zone.as_str()) == (now.0, now.1.as_str())) {
                    // Nothing changed: it is as true as it was.
                    Some(held) => Ok((Arc::clone(&held.digest), held.took)),
                    None => Ok((Arc::new(browse::digest(&mut reader)?), begun.elapsed())),
                }
            })
            .await;
        let made = digest.map(|(digest, took)| Arc::new(Held { digest, as_of_ms, read_at: Instant::now(), took }));
        // What cannot be read any more is not shown from memory either.
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = made.as_ref().ok().cloned();
        made
    }
}
