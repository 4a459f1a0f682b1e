//! Whether the plain list of a chat's messages holds those of its side threads.
//!
//! The reference does not say. Asking every chat for its threads doubles the requests, so a few chats are probed
//! until one of them tells; the outcome is the fact `threads` (`included` or `omitted`).
//!
//! A thread may be a rare thing. Passes that read everything again therefore probe a tenth of all chats each, another
//! tenth every time (fact `threads_round`), so that after ten of them no chat was left out. A first pass probes a few in
//! all, however often it is cut short (fact `threads_probes`).

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::wire::Peek;
use crate::model::Hasher;
use crate::provider::{Facts, Pass};

/// Chats probed in one pass though nothing about them looks amiss.
const PROBES_PER_PASS: u32 = 5;
/// Probes of one pass that may fail before they are left alone.
const FAILURES_PER_PASS: u32 = 3;

/// Passes that read everything until every chat was probed.
const ROUNDS: u64 = 10;

const FACT: &str = "threads";
const ROUND_FACT: &str = "threads_round";
const PROBES_FACT: &str = "threads_probes";

/// What is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    Undecided,
    /// The plain list holds everything: threads are never asked for.
    Included,
    /// Threads are asked for with every chat.
    Omitted,
}

/// What one chat's threads tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing.
    None,
    /// A threaded message stands in the plain list.
    Included,
    /// A threaded message is missing from the plain list (or was sent after that was read).
    Missing,
}

/// Compares threads' messages with the plain list. A list that was cut proves nothing by what it lacks.
pub(super) fn weigh<'a>(
    plain: &HashSet<&str>,
    plain_cut: bool,
    threaded: impl IntoIterator<Item = &'a Peek>,
) -> Evidence {
    let mut evidence = Evidence::None;
    for peek in threaded {
        let Some(id) = peek.id.as_deref() else { continue };
        if !plain.contains(id) {
            return if plain_cut { Evidence::None } else { Evidence::Missing };
        }
        // The message that a thread hangs on may come with the thread and says nothing.
        if peek.chat_thread_id.is_some() {
            evidence = Evidence::Included;
        }
    }
    evidence
}

/// The fact, and the budget of probes.
pub(super) struct ThreadWatch {
    facts: Arc<Facts>,
    probes: AtomicU32,
    failures: AtomicU32,
    /// The tenth of the chats that is probed in this pass, if it reads everything again.
    tenth: Mutex<Option<u64>>,
    /// This is a first pass: its probes are counted in the store.
    first: AtomicBool,
}

impl ThreadWatch {
    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self {
            facts,
            probes: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            tenth: Mutex::new(None),
            first: AtomicBool::new(false),
        }
    }

    /// A pass begins.
    pub(super) fn renew(&self, pass: &Pass) {
        let full = pass.full && !pass.first;
        let round = self.facts.get(ROUND_FACT).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let tenth = (full && self.state() == Threads::Undecided).then_some(round % ROUNDS);
        if tenth.is_some() {
            self.facts.set(ROUND_FACT, (round + 1).to_string());
        }
        *self.tenth.lock().unwrap_or_else(PoisonError::into_inner) = tenth;
        let made = match (full, pass.first) {
            (true, _) => PROBES_PER_PASS,
            (_, true) => self.facts.get(PROBES_FACT).and_then(|text| text.parse().ok()).unwrap_or(0),
            _ => 0,
        };
        self.probes.store(made, Ordering::Relaxed);
        self.first.store(pass.first, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> Threads {
        match self.facts.get(FACT).as_deref() {
            Some("included") => Threads::Included,
            Some("omitted") => Threads::Omitted,
            _ => Threads::Undecided,
        }
    }

    pub(super) fn decide(&self, state: Threads) {
        match state {
            Threads::Undecided => {}
            Threads::Included => self.facts.set(FACT, "included"),
            Threads::Omitted => {
                // Chats fetched while it was not known lack their threads.
                self.facts.owe_refetch();
                self.facts.set(FACT, "omitted");
            }
        }
    }

    /// Whether to probe a chat while undecided: always when its newest message did not come, else a few per pass,
    /// of those with an exchange to hang a thread on, or the tenth whose turn it is.
    pub(super) fn worth_probing(&self, chat: &str, messages: usize, behind: bool) -> bool {
        if self.failures.load(Ordering::Relaxed) >= FAILURES_PER_PASS {
            return false;
        }
        let tenth = *self.tenth.lock().unwrap_or_else(PoisonError::into_inner);
        let of_chat = Hasher::of_bytes(chat.as_bytes()).unsigned_abs() % ROUNDS;
        if tenth == Some(of_chat) && messages > 0 {
            return true;
        }
        if behind {
            return true;
        }
        let made = if messages >= 2 { self.probes.fetch_add(1, Ordering::Relaxed) } else { PROBES_PER_PASS };
        if made < PROBES_PER_PASS && self.first.load(Ordering::Relaxed) {
            self.facts.set(PROBES_FACT, (made + 1).to_string());
        }
        made < PROBES_PER_PASS
    }

    /// A probe could not be made.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peek(id: &str, thread: Option<&str>) -> Peek {
        Peek { id: Some(id.to_owned()), chat_thread_id: thread.map(str::to_owned), ..Peek::default() }
    }

    #[test]
    fn one_missing_message_tells_that_threads_are_left_out() {
        let plain = HashSet::from(["a", "b"]);
        let thread = [peek("a", None), peek("x", Some("t"))];
        assert_eq!(weigh(&plain, false, &thread), Evidence::Missing);
        assert_eq!(weigh(&plain, true, &thread), Evidence::None, "a cut list lacks messages anyway");
    }

    #[test]
    fn a_thread_whose_messages_all_stand_in_the_plain_list_is_included() {
        let plain = HashSet::from(["a", "b"]);
        assert_eq!(weigh(&plain, false, &[peek("a", None), peek("b", Some("t"))]), Evidence::Included);
        assert_eq!(weigh(&plain, false, &[peek("a", None)]), Evidence::None, "the message it hangs on");
        assert_eq!(weigh(&plain, false, &[]), Evidence::None);
    }

    #[test]
    fn probes_are_few_but_a_chat_that_is_behind_is_always_worth_one() {
        let watch = ThreadWatch::new(Arc::new(Facts::default()));
        assert!(!watch.worth_probing("c", 1, false));
        let asked = (0..30).filter(|_| watch.worth_probing("c", 2, false)).count();
        assert_eq!(asked, 5);
        assert!(watch.worth_probing("c", 0, true));
        watch.renew(&Pass { first: false, full: false, ranged: false });
        assert!(watch.worth_probing("c", 2, false), "a new pass, a new budget");
        for _ in 0..3 {
            watch.failed();
        }
        assert!(!watch.worth_probing("c", 9, true), "a route that keeps failing is left alone for the pass");
    }

    #[test]
    fn ten_full_passes_probe_every_chat() {
        let facts = Arc::new(Facts::default());
        let mut probed = HashSet::new();
        for _ in 0..ROUNDS {
            let watch = ThreadWatch::new(Arc::clone(&facts));
            watch.renew(&Pass { first: false, full: true, ranged: false });
            let chats = (0..300).map(|n| format!("chat {n}"));
            let now: Vec<String> = chats.filter(|chat| watch.worth_probing(chat, 1, false)).collect();
            assert!(now.len() < 60, "{} of 300", now.len());
            probed.extend(now);
        }
        assert_eq!(probed.len(), 300);
    }

    #[test]
    fn a_first_pass_that_is_cut_short_does_not_probe_anew() {
        let facts = Arc::new(Facts::default());
        let probed = |chats: usize| {
            let watch = ThreadWatch::new(Arc::clone(&facts));
            watch.renew(&Pass { first: true, full: false, ranged: false });
            (0..chats).filter(|_| watch.worth_probing("c", 2, false)).count()
        };
        assert_eq!([probed(3), probed(30), probed(30)], [3, 2, 0]);
    }

    #[test]
    fn the_decision_is_remembered() {
        let facts = Arc::new(Facts::default());
        let watch = ThreadWatch::new(Arc::clone(&facts));
        assert_eq!(watch.state(), Threads::Undecided);
        watch.decide(Threads::Omitted);
        assert_eq!(ThreadWatch::new(facts).state(), Threads::Omitted);
    }
}
