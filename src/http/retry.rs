//! How long to wait before a request is made again.
//!
//! The only file that knows the crate `backoff`. It is unmaintained (RUSTSEC-2025-0012), so nothing but its
//! arithmetic of growing delays with jitter is used; clock, budget and waiting are ours.

use std::time::Duration;

use backoff::backoff::Backoff as _;

use super::resolve::{self, LookUp};

/// How failures are met. The default is what users are promised; tests use smaller numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// Requests made for one question, the first included.
    pub(super) tries: u32,
    /// All own delays of one question together. Waits that the provider asked for come on top.
    pub(super) budget: Duration,
    /// The first own delay, before jitter.
    pub(super) first: Duration,
    /// The longest own delay, before jitter.
    pub(super) longest: Duration,
    /// The wait after a 429 that does not say how long. Brilliant Directories never says and counts by the minute.
    pub(super) unspoken: Duration,
    /// The longest wait asked for that is waited out.
    pub(super) patience: Duration,
    /// The least delay when the provider says to come back after 0 seconds.
    pub(super) least: Duration,
    pub(super) connect_timeout: Duration,
    /// Who is asked for the addresses of the host.
    pub(super) look_up: LookUp,
    /// How many times faster than the world's the time of waits runs (tests; else 1).
    pub(super) haste: u32,
}

impl Policy {
    /// The same with shorter waits. `patience` is compared with what a provider says, so it stays.
    pub(super) fn hastened(self, haste: u32) -> Self {
        let haste = haste.max(1);
        Self {
            budget: self.budget / haste,
            first: self.first / haste,
            longest: self.longest / haste,
            least: self.least / haste,
            haste,
            ..self
        }
    }
}

/// Delays vary by a quarter to either side, so that streams that failed together do not return together.
const JITTER: f64 = 0.25;
const GROWTH: f64 = 3.0;

impl Default for Policy {
    fn default() -> Self {
        Self {
            tries: 5,
            budget: Duration::from_secs(25),
            first: Duration::from_millis(400),
            longest: Duration::from_secs(8),
            unspoken: Duration::from_secs(60),
            patience: Duration::from_secs(120),
            least: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(10),
            look_up: resolve::system,
            haste: 1,
        }
    }
}

/// The own delays of one question.
#[derive(Debug)]
pub(super) struct Delays {
    growing: backoff::ExponentialBackoff,
    left: Duration,
}

impl Delays {
    pub(super) fn new(policy: &Policy) -> Self {
        let growing = backoff::ExponentialBackoff {
            current_interval: policy.first,
            initial_interval: policy.first,
            randomization_factor: JITTER,
            multiplier: GROWTH,
            max_interval: policy.longest,
            // Its own limit counts time on the clock, in which waits asked for by the provider are included.
            max_elapsed_time: None,
            ..backoff::ExponentialBackoff::default()
        };
        Self { growing, left: policy.budget }
    }

    /// The next delay, `least` or longer; `None` when the budget is used up.
    pub(super) fn next(&mut self, least: Duration) -> Option<Duration> {
        let delay = self.growing.next_backoff()?.max(least);
        self.left = self.left.checked_sub(delay)?;
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_from_half_a_second_at_most_and_stay_within_the_budget() {
        let policy = Policy::default();
        for _ in 0..50 {
            let mut delays = Delays::new(&policy);
            let given: Vec<_> = std::iter::from_fn(|| delays.next(Duration::ZERO)).collect();
            assert!(given[0] <= Duration::from_millis(501) && given[0] >= Duration::from_millis(250));
            assert!(given[0] < given[1] && given[1] < given[2]);
            assert!(given.iter().all(|delay| *delay <= Duration::from_millis(10_001)));
            assert!(given.iter().sum::<Duration>() <= policy.budget);
            assert!(given.len() >= 4, "five tries fit into the budget");
        }
    }

    #[test]
    fn a_budget_that_is_used_up_ends_the_delays() {
        let mut delays = Delays::new(&Policy { budget: Duration::from_secs(1), ..Policy::default() });
        assert_eq!(delays.next(Duration::from_secs(1)), Some(Duration::from_secs(1)));
        assert_eq!(delays.next(Duration::ZERO), None);
    }
}
