//! One source's worker as the supervisor sees it: whether it ended by itself and when the next one begins, or how long
//! ago it was told to leave.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::face::{Condition, Face};
use super::plan::{LONGEST_BACK_OFF, back_off};
use super::reload::Wish;
use crate::app::build::speed;
use crate::telemetry::Subject;
use crate::telemetry::sources::{worker_cut_off, worker_fell};

/// How long a worker that was told to leave may take for the page in flight before it is cut off. The one that follows
/// it waits for so long.
const LEAVING: Duration = Duration::from_secs(30);

/// One source's worker.
pub(super) struct Slot {
    pub(super) wish: Wish,
    pub(super) face: Arc<Face>,
    pub(super) cancel: CancellationToken,
    /// Cancelled once the task has ended, however it did.
    pub(super) ended: CancellationToken,
    pub(super) task: JoinHandle<()>,
    pub(super) began: Instant,
    /// How many workers of this source in a row ended by themselves.
    pub(super) falls: u32,
    /// When the next one begins, after one that did.
    again: Option<Instant>,
    left: Option<Instant>,
    cut_off: bool,
}

impl Slot {
    /// A worker that was just started, after so many that ended by themselves.
    pub(super) fn new(
        wish: Wish,
        face: Arc<Face>,
        cancel: CancellationToken,
        ended: CancellationToken,
        task: JoinHandle<()>,
        falls: u32,
    ) -> Self {
        Self { wish, face, cancel, ended, task, began: Instant::now(), falls, again: None, left: None, cut_off: false }
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.face.source, self.wish.config.kind().as_str())
    }

    /// Whether a worker that ended by itself is to be followed by another now. Notes that it ended, and says so, when
    /// that is new. `now_ms` is the daemon's clock.
    pub(super) fn is_to_be_mended(&mut self, now: Instant, now_ms: i64) -> bool {
        if !self.task.is_finished() || self.cancel.is_cancelled() {
            return false;
        }
        match self.again {
            Some(again) => again <= now,
            None => {
                self.falls = falls(self.falls, now.saturating_duration_since(self.began).saturating_mul(speed()));
                let pause = back_off(self.falls, self.wish.poll.reach());
                self.again = Some(now + shortened(pause));
                self.face.set_condition(Condition::Failing);
                self.face.waits(now_ms.saturating_add(pause));
                worker_fell(&self.subject(), self.falls, pause);
                false
            }
        }
    }

    /// No worker could be made in its place: another try after a longer pause.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.falls = self.falls.saturating_add(1);
        self.again = Some(now + pause(self.falls, self.wish.poll.reach()));
    }

    /// Tells it to end.
    pub(super) fn leave(&mut self, now: Instant) {
        self.cancel.cancel();
        self.left = Some(now);
    }

    /// Cuts it off if it was told to end and has not in time. A task that holds on to its thread is beyond that too:
    /// none of its source follows it, and the watchdog goes hungry.
    pub(super) fn hurry(&mut self, now: Instant) {
        let late = self.left.is_some_and(|at| now.saturating_duration_since(at).saturating_mul(speed()) > LEAVING);
        if late && !self.cut_off && !self.task.is_finished() {
            self.cut_off = true;
            self.task.abort();
            worker_cut_off(&self.subject());
        }
    }
}

/// How long to wait before something that ended by itself so often in a row is started anew.
pub(super) fn pause(falls: u32, interval: Option<i64>) -> Duration {
    shortened(back_off(falls, interval))
}

fn shortened(pause_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(pause_ms).unwrap_or(0)) / speed()
}

/// Falls in a row, after another one: whoever lived longer than any pause begins anew.
fn falls(before: u32, lived: Duration) -> u32 {
    let long = u64::try_from(LONGEST_BACK_OFF).is_ok_and(|longest| lived > Duration::from_millis(longest));
    if long { 1 } else { before.saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_in_a_row_make_pauses_longer_and_a_long_life_makes_them_short_again() {
        let seconds = |falls| pause(falls, Some(300_000)).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 100].map(seconds), [60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(falls(0, Duration::ZERO), 1);
        assert_eq!(falls(7, Duration::from_secs(900)), 8);
        assert_eq!(falls(7, Duration::from_secs(901)), 1);
    }
}
