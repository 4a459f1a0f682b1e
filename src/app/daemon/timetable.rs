//! Schedules that can be reckoned with, in milliseconds since 1970 UTC.

use std::time::Duration;

use super::clock::CronTable;
use crate::config::Schedule;

/// The first polls are spread over so much time at most: a start should not be slow.
const LONGEST_SPREAD: i64 = 30 * 1000;

/// A schedule that can be reckoned with.
#[derive(Debug, Clone)]
pub(super) enum Timetable {
    Every(i64),
    Cron(Box<CronTable>),
}

impl Timetable {
    /// # Errors
    /// A cron expression that cannot be used.
    pub(super) fn new(schedule: &Schedule) -> Result<Self, String> {
        Ok(match schedule {
            Schedule::Every(interval) => Self::Every(millis(*interval).max(1)),
            Schedule::Cron(text) => Self::Cron(Box::new(CronTable::parse(text)?)),
        })
    }

    /// The first time after `now` that belongs to a row of which `one` is a member. Times between are left out: what
    /// was missed is not made up for.
    pub(super) fn following(&self, one: i64, now: i64) -> i64 {
        match self {
            Self::Every(interval) => {
                let gone = now.saturating_sub(one).max(0) / interval;
                one.saturating_add(interval.saturating_mul(gone + 1))
            }
            Self::Cron(table) => table.after(now).unwrap_or(i64::MAX),
        }
    }

    /// When something that was last done at `at` is to be done again.
    pub(super) fn again(&self, at: i64) -> i64 {
        self.following(at, at)
    }

    /// The farthest that the next time can lie ahead, where that is known.
    pub(super) fn reach(&self) -> Option<i64> {
        match self {
            Self::Every(interval) => Some(*interval),
            Self::Cron(_) => None,
        }
    }
}

/// How long after the start the source at this place among so many is read first.
pub(super) fn spread(place: usize, sources: usize, poll: &Schedule) -> i64 {
    let span = match poll {
        Schedule::Every(interval) => millis(*interval).min(LONGEST_SPREAD),
        Schedule::Cron(_) => LONGEST_SPREAD,
    };
    let share = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    span.saturating_mul(share(place)) / share(sources.max(1))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_do_not_start_together() {
        let five_minutes = Schedule::Every(Duration::from_secs(300));
        let offsets: Vec<i64> = (0..4).map(|place| spread(place, 4, &five_minutes)).collect();
        assert_eq!(offsets, [0, 7_500, 15_000, 22_500]);
        let often = Schedule::Every(Duration::from_secs(2));
        assert_eq!(spread(1, 2, &often), 1_000);
        assert_eq!(spread(0, 0, &often), 0);
    }
}
