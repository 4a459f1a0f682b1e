//! How the store stands, read no more often than it makes sense to, and which sources are behind their time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::model::ProviderKind;
use crate::store::{self, Figures, SourceFigures, StoreError};
use crate::telemetry::{SourceStanding, Standing, Subject};

/// A reading is good for so long, whoever asks.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// No source is stale before its lag is at least this.
const LEAST_LIMIT_MS: i64 = 5 * 60 * 1000;

/// A source is stale once it has missed so many polls.
const POLLS: i64 = 3;

/// What the configuration says about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub name: String,
    pub provider: &'static str,
    pub enabled: bool,
    /// The longest time between two polls.
    pub interval: Duration,
}

/// What is known of the store and its sources. Clones share it.
#[derive(Clone)]
pub struct Board {
    inner: Arc<Inner>,
}

struct Inner {
    store_path: PathBuf,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    started_ms: i64,
    watched: RwLock<Vec<Watched>>,
    /// Held while the store is read: a reading that takes long is waited for, and not begun a second time.
    last: Arc<tokio::sync::Mutex<Option<Reading>>>,
    /// The last problem that was told, so that each is told once.
    told: Mutex<Option<String>>,
}

#[derive(Clone)]
struct Reading {
    at: Instant,
    figures: Result<Figures, String>,
}

impl Board {
    /// The board of a store. `clock` gives milliseconds since 1970 UTC.
    #[must_use]
    pub fn new(store_path: PathBuf, watched: Vec<Watched>, clock: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        let started_ms = clock();
        let inner = Inner {
            store_path,
            clock,
            started_ms,
            watched: RwLock::new(watched),
            last: Arc::default(),
            told: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes over what a configuration read anew says.
    pub fn watch(&self, watched: Vec<Watched>) {
        *self.inner.watched.write().unwrap_or_else(PoisonError::into_inner) = watched;
    }

    /// The sources of the configuration.
    pub(super) fn source_names(&self) -> Vec<String> {
        let watched = self.inner.watched.read().unwrap_or_else(PoisonError::into_inner);
        watched.iter().map(|source| source.name.clone()).collect()
    }

    pub(super) fn store_path(&self) -> &std::path::Path {
        &self.inner.store_path
    }

    /// Milliseconds since 1970 UTC, now.
    pub(super) fn now_ms(&self) -> i64 {
        (self.inner.clock)()
    }

    /// How everything stands now. `Err` says why the store cannot be read.
    pub(super) async fn standing(&self) -> (Standing, Result<(), String>) {
        let figures = self.figures().await;
        self.tell(figures.as_ref().err());
        let mut standing = Standing { started_ms: self.inner.started_ms, ..Standing::default() };
        let figures = match figures {
            Ok(figures) => figures,
            Err(problem) => return (standing, Err(problem)),
        };
        let now_ms = (self.inner.clock)();
        let mut by_name: HashMap<String, SourceFigures> =
            figures.sources.into_iter().map(|source| (source.name.clone(), source)).collect();
        standing.store_open = true;
        (standing.store_bytes, standing.wal_bytes) = (figures.store_bytes, figures.wal_bytes);
        let watched = self.inner.watched.read().unwrap_or_else(PoisonError::into_inner);
        standing.sources = watched
            .iter()
            .map(|source| {
                stand(source, &by_name.remove(&source.name).unwrap_or_default(), self.inner.started_ms, now_ms)
            })
            .collect();
        let unread = |figures: &SourceFigures| {
            let provider = ProviderKind::parse(&figures.provider)?.as_str();
            let watched = Watched { name: figures.name.clone(), provider, enabled: false, interval: Duration::ZERO };
            Some(stand(&watched, figures, self.inner.started_ms, now_ms))
        };
        standing.others = by_name.values().filter_map(unread).collect();
        standing.others.sort_by(|one, other| one.subject.source.cmp(&other.subject.source));
        (standing, Ok(()))
    }

    async fn figures(&self) -> Result<Figures, String> {
        let mut last = Arc::clone(&self.inner.last).lock_owned().await;
        if let Some(reading) = last.as_ref().filter(|reading| reading.at.elapsed() < GOOD_FOR) {
            return reading.figures.clone();
        }
        let path = self.inner.store_path.clone();
        // The lock goes along: should the asker go away, the reading is still the only one.
        let read = tokio::task::spawn_blocking(move || {
            let figures = store::open_reader(&path)
                .and_then(|connection| store::figures(&connection, &path))
                .map_err(|error: StoreError| error.to_string());
            *last = Some(Reading { at: Instant::now(), figures: figures.clone() });
            figures
        });
        read.await.unwrap_or_else(|_| Err("reading the store ended badly".to_owned()))
    }

    fn tell(&self, problem: Option<&String>) {
        let mut told = self.inner.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref() == problem {
            return;
        }
        match problem {
            Some(problem) => tracing::error!(event = "store_unreadable", error = %problem, "the store cannot be read"),
            None => tracing::info!(event = "store_readable", "the store can be read again"),
        }
        *told = problem.cloned();
    }
}

/// Whether a source is behind its time: a few polls missed, and the time that a pass takes on top.
fn stand(watched: &Watched, figures: &SourceFigures, started_ms: i64, now_ms: i64) -> SourceStanding {
    let interval_ms = i64::try_from(watched.interval.as_millis()).unwrap_or(i64::MAX);
    let limit_ms = interval_ms.saturating_mul(POLLS).saturating_add(figures.usual_ms).max(LEAST_LIMIT_MS);
    // A source that was never read whole is waited for since this process began.
    let lag_ms = now_ms.saturating_sub(figures.last_success_ms.unwrap_or(started_ms)).max(0);
    SourceStanding {
        subject: Subject::new(&watched.name, watched.provider),
        enabled: watched.enabled,
        last_success_ms: figures.last_success_ms,
        lag_ms,
        limit_ms,
        stale: watched.enabled && lag_ms > limit_ms,
        failing: watched.enabled && figures.failing,
        incomplete: figures.incomplete,
        waiting: figures.waiting,
        dead_letters: figures.dead_letters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn watched(interval_secs: u64, enabled: bool) -> Watched {
        let interval = Duration::from_secs(interval_secs);
        Watched { name: "agents".to_owned(), provider: "zaia", enabled, interval }
    }

    fn at(last_success_ms: Option<i64>, usual_ms: i64) -> SourceFigures {
        SourceFigures { last_success_ms, usual_ms, ..SourceFigures::default() }
    }

    #[test]
    fn a_source_is_stale_after_some_polls_and_the_time_of_a_pass() {
        let stale = |interval, figures, now| stand(&watched(interval, true), &figures, 0, now).stale;
        // Every five minutes, passes of two minutes: seventeen.
        assert!(!stale(300, at(Some(0), 2 * MINUTE), 17 * MINUTE));
        assert!(stale(300, at(Some(0), 2 * MINUTE), 17 * MINUTE + 1));
        // Every two seconds: still some minutes, so that a retry or two alarms nobody.
        assert!(!stale(2, at(Some(0), 0), 5 * MINUTE));
        assert!(stale(2, at(Some(0), 0), 5 * MINUTE + 1));
        // A schedule beyond all reason does not overflow.
        assert!(!stale(u64::MAX, at(Some(0), i64::MAX), i64::MAX));
    }

    #[test]
    fn a_source_never_read_is_waited_for_since_the_start_and_a_disabled_one_not_at_all() {
        assert!(!stand(&watched(60, true), &at(None, 0), 10 * MINUTE, 15 * MINUTE).stale);
        let waited = stand(&watched(60, true), &at(None, 0), 10 * MINUTE, 15 * MINUTE + 1);
        assert!(waited.stale && waited.lag_ms == 5 * MINUTE + 1 && waited.last_success_ms.is_none());
        assert!(!stand(&watched(60, false), &at(Some(0), 0), 0, i64::MAX).stale);
        assert_eq!(stand(&watched(60, true), &at(Some(MINUTE), 0), 0, 0).lag_ms, 0, "a clock that was set back");
    }
}
