//! The pace of one credential: who may send when.
//!
//! [`Schedule`] is the arithmetic and knows no clock; [`Pacer`] is what streams wait at.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Requests that may follow each other at once after a pause.
const BURST: u32 = 5;

/// A little more than a minute. Times are taken when a request may leave, the provider counts when it arrives:
/// the surplus keeps a slow connection in front and a quick one behind from sharing the provider's minute.
const WINDOW: Duration = Duration::from_millis(60_500);

/// What a request is told that wants to leave now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It may, and is counted.
    Go,
    /// It has to ask again at this time.
    Wait(Duration),
}

/// Who may send when: at most so many in any sliding minute, evenly spaced, in bursts of at most [`BURST`].
///
/// Two rules, both of which must allow. A theoretical arrival time (GCRA) spaces requests; alone it would let
/// rate plus burst through in some minutes. A record of the last minute's requests forbids just that.
/// Times are durations since an epoch of the caller's choice and never run backwards.
#[derive(Debug)]
struct Schedule {
    limit: usize,
    period: Duration,
    tolerance: Duration,
    /// When the next request would be due if all were evenly spaced.
    due: Duration,
    /// Requests of the last minute, oldest first: it grows with what is sent, not with the limit.
    sent: VecDeque<Duration>,
    /// When the pause that ends at `closed_until` was asked for.
    closed_from: Duration,
    closed_until: Duration,
}

impl Schedule {
    fn new(requests_per_minute: u32) -> Self {
        let limit = requests_per_minute.max(1);
        let period = WINDOW / limit;
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            period,
            tolerance: period * (BURST - 1),
            due: Duration::ZERO,
            sent: VecDeque::new(),
            closed_from: Duration::ZERO,
            closed_until: Duration::ZERO,
        }
    }

    fn ask(&mut self, now: Duration) -> Turn {
        while self.sent.front().is_some_and(|sent| sent.saturating_add(WINDOW) <= now) {
            self.sent.pop_front();
        }
        let mut earliest = self.closed_until.max(self.due.saturating_sub(self.tolerance));
        if self.sent.len() >= self.limit
            && let Some(oldest) = self.sent.front()
        {
            earliest = earliest.max(oldest.saturating_add(WINDOW));
        }
        if earliest > now {
            return Turn::Wait(earliest);
        }
        self.due = self.due.max(now).saturating_add(self.period);
        self.sent.push_back(now);
        Turn::Go
    }

    /// Nothing leaves before `until`, and what waits then leaves evenly spaced: no burst greets a provider
    /// that has just asked for quiet.
    fn close(&mut self, now: Duration, until: Duration) {
        if now > self.closed_until {
            self.closed_from = now;
        }
        self.closed_until = self.closed_until.max(until);
        self.due = self.due.max(self.closed_until.saturating_add(self.tolerance));
    }

    fn closed_for(&self, now: Duration) -> Duration {
        self.closed_until.saturating_sub(now)
    }
}

/// Why no turn was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// The provider asked for a pause that is longer than the caller's patience; so much of it is left.
    Closed(Duration),
    Cancelled,
}

/// Keeps one credential's requests within its rate. Share it among all sources that use the credential.
#[derive(Debug)]
pub struct Pacer {
    epoch: Instant,
    schedule: Mutex<Schedule>,
    /// Whoever holds it is first in the queue; the lock is fair, so turns come in the order of asking.
    turnstile: tokio::sync::Mutex<()>,
    /// Tells the first in the queue that the provider asked for a pause.
    closed: Notify,
}

impl Pacer {
    /// A pace of at most `requests_per_minute` in any sliding minute, evenly spaced, in bursts of at most 5. 0 counts as 1.
    #[must_use]
    pub fn new(requests_per_minute: u32) -> Self {
        Self {
            epoch: Instant::now(),
            schedule: Mutex::new(Schedule::new(requests_per_minute)),
            turnstile: tokio::sync::Mutex::new(()),
            closed: Notify::new(),
        }
    }

    /// How long the provider still wants no request with this credential.
    #[must_use]
    pub fn closed_for(&self) -> Option<Duration> {
        let left = self.schedule().closed_for(self.now());
        (!left.is_zero()).then_some(left)
    }

    /// No request of this credential leaves for so long. A longer pause already asked for stands.
    pub(super) fn close_for(&self, wait: Duration) {
        let now = self.now();
        self.schedule().close(now, now.saturating_add(wait));
        self.closed.notify_one();
    }

    /// Waits until a request may leave.
    ///
    /// # Errors
    /// The provider wants a pause longer than `patience`, or the run is being stopped.
    pub(super) async fn turn(&self, patience: Duration, cancel: &CancellationToken) -> Result<(), NoTurn> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(NoTurn::Cancelled),
            turn = self.queue(patience) => turn,
        }
    }

    async fn queue(&self, patience: Duration) -> Result<(), NoTurn> {
        let _first = self.turnstile.lock().await;
        loop {
            if let Some(left) = self.closed_for().filter(|left| *left > patience) {
                return Err(NoTurn::Closed(left));
            }
            let turn = self.schedule().ask(self.now());
            let Turn::Wait(until) = turn else { return Ok(()) };
            tokio::select! {
                () = tokio::time::sleep_until(self.epoch + until) => {}
                () = self.closed.notified() => {}
            }
        }
    }

    /// From when until when the provider last wanted quiet, on the clock of [`Pacer::now`].
    pub(super) fn quiet(&self) -> (Duration, Duration) {
        let schedule = self.schedule();
        (schedule.closed_from, schedule.closed_until)
    }

    /// Time since the pacer was made.
    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// Asks after each pause, waits as told, and gives the times at which requests left.
    fn sent(schedule: &mut Schedule, pauses: &[u64]) -> Vec<Duration> {
        let mut now = Duration::ZERO;
        pauses
            .iter()
            .map(|pause| {
                now += Duration::from_millis(*pause);
                while let Turn::Wait(until) = schedule.ask(now) {
                    assert!(until > now, "waiting must move time on");
                    now = until;
                }
                now
            })
            .collect()
    }

    fn most_within(sent: &[Duration], span: Duration) -> usize {
        sent.iter().map(|from| sent.iter().filter(|at| *at >= from && **at - *from < span).count()).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_sliding_minute_holds_more_than_the_limit(
            rpm in 1u32..200,
            pauses in prop::collection::vec(prop_oneof![6 => Just(0u64), 3 => 0u64..2_000, 1 => 0u64..90_000], 1..400),
        ) {
            let sent = sent(&mut Schedule::new(rpm), &pauses);
            prop_assert!(most_within(&sent, Duration::from_secs(60)) <= rpm as usize);
        }

        #[test]
        fn idleness_is_worth_at_most_five_requests(
            rpm in 1u32..5_000,
            pauses in prop::collection::vec(prop_oneof![4 => Just(0u64), 1 => 0u64..90_000], 1..200),
        ) {
            let mut schedule = Schedule::new(rpm);
            let period = schedule.period;
            let sent = sent(&mut schedule, &pauses);
            prop_assert!(most_within(&sent, period) <= 5);
            prop_assert!(most_within(&sent, period * 3) <= 5 + 2);
        }

        #[test]
        fn nothing_leaves_while_the_provider_wants_quiet(rpm in 1u32..1_000, before in 0usize..20, quiet in 1u64..200_000) {
            let mut schedule = Schedule::new(rpm);
            let last = sent(&mut schedule, &vec![0; before]).last().copied().unwrap_or_default();
            let until = last + Duration::from_millis(quiet);
            schedule.close(last, until);
            schedule.close(last, last);
            prop_assert!(matches!(schedule.ask(last), Turn::Wait(at) if at >= until));
            let after = sent(&mut schedule, &[0; 3]);
            prop_assert!(after.iter().all(|at| *at >= until));
            // A full sliding minute opens in the rhythm in which it was filled; that is not the pause's doing.
            if before + after.len() <= rpm as usize {
                prop_assert!(most_within(&after, schedule.period) == 1, "no burst after a pause");
            }
        }
    }

    #[test]
    fn a_hundred_a_minute_start_with_five_and_go_on_evenly() {
        let sent = sent(&mut Schedule::new(100), &[0; 8]);
        assert_eq!(sent[4], Duration::ZERO);
        assert_eq!(sent[6] - sent[5], WINDOW / 100);
        assert_eq!(sent[7] - sent[6], WINDOW / 100);
    }

    #[test]
    fn a_huge_rate_costs_no_memory_and_an_absurd_pause_no_panic() {
        let mut schedule = Schedule::new(u32::MAX);
        assert_eq!(schedule.sent.capacity(), 0);
        assert_eq!(schedule.ask(Duration::ZERO), Turn::Go);
        schedule.close(Duration::ZERO, Duration::MAX);
        assert_eq!(schedule.ask(Duration::ZERO), Turn::Wait(Duration::MAX));
    }

    #[tokio::test]
    async fn those_who_queue_hear_at_once_of_a_pause_beyond_their_patience() {
        let pacer = Arc::new(Pacer::new(1));
        let cancel = CancellationToken::new();
        let patience = Duration::from_secs(120);
        assert_eq!(pacer.turn(patience, &cancel).await, Ok(()));
        let queue: Vec<_> = (0..3)
            .map(|_| {
                let (pacer, cancel) = (Arc::clone(&pacer), cancel.clone());
                tokio::spawn(async move { pacer.turn(patience, &cancel).await })
            })
            .collect();
        tokio::task::yield_now().await;
        pacer.close_for(Duration::from_secs(3_600));
        for waiting in queue {
            assert!(matches!(waiting.await.unwrap(), Err(NoTurn::Closed(left)) if left > patience));
        }
        assert!(pacer.closed_for().is_some());
    }

    #[tokio::test]
    async fn a_stopped_run_leaves_the_queue_at_once() {
        let pacer = Pacer::new(1);
        let cancel = CancellationToken::new();
        assert_eq!(pacer.turn(Duration::ZERO, &cancel).await, Ok(()));
        let (turn, ()) = tokio::join!(pacer.turn(Duration::ZERO, &cancel), async { cancel.cancel() });
        assert_eq!(turn, Err(NoTurn::Cancelled));
    }
}
