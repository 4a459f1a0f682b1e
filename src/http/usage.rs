//! Counting what a source's requests came to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a source's requests came to so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests that were a repetition of one that failed.
    pub retries: u64,
    /// Time spent waiting because the provider asked for it, in milliseconds. Streams that wait side by side count once.
    pub throttled_ms: u64,
}

/// Signs of life of a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Requests that came to an end, good or bad.
    pub ended: u64,
    /// Requests that wait for something known: a turn, a pause that the provider wants, the next try.
    pub waiting: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    ended: AtomicU64,
    waiting: AtomicU64,
    throttled: Mutex<Throttled>,
}

#[derive(Debug, Default)]
struct Throttled {
    total: Duration,
    /// Up to here, on the pacer's clock, time is counted.
    until: Duration,
}

impl Counters {
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self) {
        self.ended.fetch_add(1, Relaxed);
    }

    /// A known wait begins; it ends when the guard is dropped.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Relaxed);
        Waiting(&self.waiting)
    }

    pub(super) fn pulse(&self) -> Pulse {
        Pulse { ended: self.ended.load(Relaxed), waiting: self.waiting.load(Relaxed) }
    }

    /// Somebody waited from `begin` to `end`, while the provider wanted `quiet`. Returns how much of it is new.
    pub(super) fn waited(&self, begin: Duration, end: Duration, quiet: (Duration, Duration)) -> Duration {
        let mut throttled = self.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = begin.max(quiet.0).max(throttled.until);
        let end = end.min(quiet.1);
        let new = end.saturating_sub(begin);
        if !new.is_zero() {
            throttled.total += new;
            throttled.until = end;
        }
        new
    }

    pub(super) fn usage(&self) -> Usage {
        let throttled = self.throttled.lock().unwrap_or_else(PoisonError::into_inner).total;
        Usage {
            requests: self.requests.load(Relaxed),
            retries: self.retries.load(Relaxed),
            throttled_ms: u64::try_from(throttled.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A known wait.
pub(super) struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_side_by_side_count_once_and_only_while_the_provider_wanted_quiet() {
        let seconds = Duration::from_secs;
        let counters = Counters::default();
        assert_eq!(counters.waited(seconds(1), seconds(12), (seconds(5), seconds(10))), seconds(5));
        assert_eq!(counters.waited(seconds(6), seconds(13), (seconds(5), seconds(10))), seconds(0));
        assert_eq!(counters.usage().throttled_ms, 5_000);
        counters.waited(seconds(14), seconds(15), (seconds(5), seconds(10)));
        assert_eq!(counters.usage().throttled_ms, 5_000);
        counters.waited(seconds(19), seconds(21), (seconds(20), seconds(80)));
        assert_eq!(counters.usage().throttled_ms, 6_000);
    }
}
