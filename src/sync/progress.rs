//! What a pass is doing right now, for progress bars and log lines.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::http::Http;

/// Live figures of one source's pass. Written by the pass, read by whoever shows it.
pub struct Progress {
    /// The source's name.
    pub source: String,
    http: Http,
    messages: AtomicU64,
    conversations: AtomicU64,
    fetched: AtomicU64,
    to_fetch: AtomicU64,
    doing: Mutex<String>,
    /// Steps made: pages stored, streams begun.
    steps: AtomicU64,
    long_work: AtomicBool,
}

/// Signs of life of a pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pulse {
    /// Grows with everything that the pass gets done.
    pub moved: u64,
    /// It waits for something known: its pace, a pause that the provider wants, the next try.
    pub waiting: bool,
    /// It works on the whole store, in one transaction.
    pub long_work: bool,
}

/// A moment of a pass.
#[derive(Debug, Clone, Default)]
pub struct Moment {
    /// Messages and conversations read so far.
    pub messages: u64,
    pub conversations: u64,
    /// Conversation fetches done, and how many there are (0: not known yet).
    pub fetched: u64,
    pub to_fetch: u64,
    /// Requests sent.
    pub requests: u64,
    /// What is being read.
    pub doing: String,
    /// How long the provider still keeps us waiting.
    pub waiting: Option<Duration>,
}

impl Progress {
    /// Figures of a pass that has not begun.
    #[must_use]
    pub fn new(source: String, http: Http) -> Self {
        Self {
            source,
            http,
            messages: AtomicU64::new(0),
            conversations: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            to_fetch: AtomicU64::new(0),
            doing: Mutex::new(String::new()),
            steps: AtomicU64::new(0),
            long_work: AtomicBool::new(false),
        }
    }

    /// Whether the pass moves.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        let requests = self.http.pulse();
        Pulse {
            moved: self.steps.load(Ordering::Relaxed).wrapping_add(requests.ended),
            waiting: requests.waiting > 0,
            long_work: self.long_work.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn long_work(&self, is: bool) {
        self.long_work.store(is, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, conversations: u64, messages: u64) {
        self.conversations.fetch_add(conversations, Ordering::Relaxed);
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fetched_one(&self) {
        self.fetched.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn will_fetch(&self, count: u64) {
        self.to_fetch.store(self.fetched.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    pub(crate) fn doing(&self, what: impl Into<String>) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        *self.doing.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = what.into();
    }

    /// The figures now.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment {
            messages: self.messages.load(Ordering::Relaxed),
            conversations: self.conversations.load(Ordering::Relaxed),
            fetched: self.fetched.load(Ordering::Relaxed),
            to_fetch: self.to_fetch.load(Ordering::Relaxed),
            requests: self.http.usage().requests,
            doing: self.doing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
            waiting: self.http.waiting(),
        }
    }
}
