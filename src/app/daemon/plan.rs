//! When a source is read next: arithmetic over times that are passed in, in milliseconds since 1970 UTC.

use super::timetable::Timetable;

/// The longest that a failing source is left alone, unless its schedule leaves it alone for longer.
pub(super) const LONGEST_BACK_OFF: i64 = 15 * 60 * 1000;

/// What a source is to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Poll,
    /// Everything again.
    Sweep,
}

/// How a pass ended, as far as the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Well,
    /// Begin anew, less and less often.
    Badly,
    /// The process wants to end.
    Cut,
}

/// The plan of one source.
#[derive(Debug)]
pub(super) struct Plan {
    poll: Timetable,
    sweep: Timetable,
    /// A beat that comes less than this before a time is that time's beat.
    slack: i64,
    next_poll: i64,
    /// When everything was last read; `None` while the first pass is not done, which reads everything itself.
    swept: Option<i64>,
    failures: u32,
    /// A failing source is left alone until then.
    rests_until: i64,
    /// What the pass that began last reads, and when it began.
    begun: Option<(Due, i64)>,
    /// Sweeps that failed in a row, and until when no other is tried. Polls that end well in between are no reason to
    /// try sooner, and a sweep that keeps failing is none to leave out polls.
    failed_sweeps: u32,
    sweep_rests_until: i64,
    last_seen: i64,
}

impl Plan {
    /// A plan whose first poll comes `offset` after `now`.
    pub(super) fn new(poll: Timetable, sweep: Timetable, now: i64, offset: i64, slack: i64) -> Self {
        let next_poll = now.saturating_add(offset);
        Self {
            poll,
            sweep,
            slack,
            next_poll,
            swept: None,
            failures: 0,
            rests_until: 0,
            begun: None,
            failed_sweeps: 0,
            sweep_rests_until: 0,
            last_seen: now,
        }
    }

    /// Takes over when the source was last read. A cron table is kept to from the start: it says when a provider may
    /// be asked, not only how often. What was missed while nothing ran is made up for.
    pub(super) fn polled(&mut self, at: Option<i64>) {
        if let (Timetable::Cron(table), Some(at)) = (&self.poll, at) {
            let at = at.min(self.last_seen);
            self.next_poll = self.next_poll.max(table.after(at).unwrap_or(i64::MAX));
        }
    }

    /// Takes over when everything was last read, as the store knows it. A time later than now, which a clock that was
    /// ahead wrote, moves nothing: told after every pass, it would put the next sweep off for ever.
    pub(super) fn swept(&mut self, at: Option<i64>) {
        self.swept = match at {
            Some(at) if at > self.last_seen => self.swept.or(Some(self.last_seen)),
            at => at,
        };
    }

    /// What is due.
    pub(super) fn due(&mut self, now: i64) -> Option<Due> {
        self.mind_the_clock(now);
        let soon = now.saturating_add(self.slack);
        if soon < self.rests_until {
            return None;
        }
        let poll = (self.next_poll <= soon).then_some(Due::Poll);
        if poll.is_some() && self.failed_sweeps > 0 && self.begun.is_some_and(|(last, _)| last == Due::Sweep) {
            return poll;
        }
        let sweep = self.swept.is_some_and(|at| self.sweep.again(at) <= soon) && self.sweep_rests_until <= soon;
        if sweep { Some(Due::Sweep) } else { poll }
    }

    /// A pass begins. A sweep is a poll as well.
    pub(super) fn began(&mut self, due: Due, now: i64) {
        self.begun = Some((due, now));
        if self.next_poll <= now.saturating_add(self.slack) {
            self.next_poll = self.poll.following(self.next_poll, now.max(self.next_poll));
        }
    }

    /// A pass ended. Times that came while it ran fold into one, which is due at once.
    pub(super) fn ended(&mut self, how: Ended, now: i64) {
        self.last_seen = self.last_seen.max(now);
        match how {
            Ended::Well => (self.failures, self.rests_until) = (0, 0),
            Ended::Badly => {
                self.failures = self.failures.saturating_add(1);
                self.rests_until = now.saturating_add(back_off(self.failures, self.poll.reach()));
            }
            Ended::Cut => {}
        }
        match (self.begun, how) {
            (Some((Due::Sweep, at)), Ended::Well) => {
                (self.failed_sweeps, self.sweep_rests_until) = (0, 0);
                self.swept = Some(at);
            }
            (Some((Due::Sweep, _)), Ended::Badly) => {
                self.failed_sweeps = self.failed_sweeps.saturating_add(1);
                self.sweep_rests_until = now.saturating_add(back_off(self.failed_sweeps, self.poll.reach()));
            }
            _ => {}
        }
    }

    /// When the source will be read next, as far as is known now.
    pub(super) fn next(&self) -> i64 {
        let sweep = self.swept.map_or(i64::MAX, |at| self.sweep.again(at)).max(self.sweep_rests_until);
        self.next_poll.min(sweep).max(self.rests_until)
    }

    /// A clock that was set back must not leave a source alone until the old time is reached again.
    fn mind_the_clock(&mut self, now: i64) {
        if now < self.last_seen {
            let latest = self.poll.again(now);
            self.next_poll = self.next_poll.min(latest);
            self.rests_until = self.rests_until.min(now.saturating_add(back_off(self.failures, self.poll.reach())));
            let rest = now.saturating_add(back_off(self.failed_sweeps, self.poll.reach()));
            self.sweep_rests_until = self.sweep_rests_until.min(rest);
            self.swept = self.swept.map(|at| at.min(now));
        }
        self.last_seen = now;
    }
}

/// How long a source that failed so often in a row is left alone: twice as long each time, up to a quarter of an hour.
pub(super) fn back_off(failures: u32, interval: Option<i64>) -> i64 {
    if failures == 0 {
        return 0;
    }
    let first = interval.unwrap_or(60_000).clamp(1_000, 60_000);
    let doubled = first.saturating_mul(1_i64.checked_shl(failures - 1).unwrap_or(i64::MAX).max(1));
    doubled.clamp(first, LONGEST_BACK_OFF.max(interval.unwrap_or(0).min(LONGEST_BACK_OFF)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Schedule;

    const SECOND: i64 = 1000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    /// Monday, 2 March 2026, 12:00 UTC.
    const NOON: i64 = 1_772_452_800_000;

    fn every(ms: i64) -> Timetable {
        Timetable::Every(ms)
    }

    fn cron(text: &str) -> Timetable {
        Timetable::new(&Schedule::Cron(text.to_owned())).unwrap()
    }

    fn plan(poll: Timetable, sweep: Timetable) -> Plan {
        Plan::new(poll, sweep, NOON, 0, 400)
    }

    /// Plays a poll of this length that begins at `now`.
    fn pass(plan: &mut Plan, now: i64, length: i64, how: Ended) {
        plan.began(Due::Poll, now);
        plan.ended(how, now + length);
    }

    fn sweep(plan: &mut Plan, now: i64, length: i64, how: Ended) {
        plan.began(Due::Sweep, now);
        plan.ended(how, now + length);
    }

    #[test]
    fn polls_keep_their_rhythm_and_missed_ones_fold_into_one() {
        let mut plan = plan(every(5 * MINUTE), every(DAY));
        assert_eq!(plan.due(NOON), Some(Due::Poll));
        pass(&mut plan, NOON, SECOND, Ended::Well);
        assert_eq!(plan.due(NOON + 4 * MINUTE), None);
        assert_eq!(plan.due(NOON + 5 * MINUTE - 300), Some(Due::Poll), "the beat just before belongs to it");
        // A pass of 18 minutes: three polls were missed, one is made up for, then the old rhythm goes on.
        pass(&mut plan, NOON + 5 * MINUTE, 18 * MINUTE, Ended::Well);
        assert_eq!(plan.due(NOON + 23 * MINUTE), Some(Due::Poll));
        pass(&mut plan, NOON + 23 * MINUTE, SECOND, Ended::Well);
        assert_eq!(plan.due(NOON + 24 * MINUTE), None);
        // The machine slept for a day.
        assert_eq!(plan.due(NOON + DAY), Some(Due::Poll));
        pass(&mut plan, NOON + DAY, SECOND, Ended::Well);
        assert_eq!(plan.due(NOON + DAY + MINUTE), None);
    }

    #[test]
    fn a_cron_table_is_kept_to() {
        let mut plan = plan(cron("0 9-17 * * MON-FRI"), every(DAY));
        assert_eq!(plan.due(NOON), Some(Due::Poll), "a source that was never read");
        plan.polled(Some(NOON - 59 * MINUTE));
        assert_eq!(plan.due(NOON), Some(Due::Poll), "noon has come");
        plan.polled(Some(NOON));
        assert_eq!(plan.due(NOON), None);
        plan.next_poll = NOON;
        pass(&mut plan, NOON, MINUTE, Ended::Well);
        assert_eq!(plan.due(NOON + 59 * MINUTE), None);
        assert_eq!(plan.due(NOON + HOUR), Some(Due::Poll));
        pass(&mut plan, NOON + 5 * HOUR, MINUTE, Ended::Well);
        assert_eq!(plan.next(), NOON + 21 * HOUR, "tomorrow at nine");
    }

    #[test]
    fn the_first_poll_comes_when_it_is_told_to() {
        let mut plan = Plan::new(every(5 * MINUTE), every(DAY), NOON, 7_500, 400);
        assert_eq!(plan.due(NOON + 7_000), None);
        assert_eq!(plan.due(NOON + 7_500), Some(Due::Poll));
    }

    #[test]
    fn a_failing_source_is_asked_less_and_less_often_and_recovers_at_once() {
        let mut plan = plan(every(2 * SECOND), every(DAY));
        let mut now = NOON;
        let mut waits = Vec::new();
        for _ in 0..12 {
            pass(&mut plan, now, 0, Ended::Badly);
            let tried = now;
            while plan.due(now).is_none() {
                now += SECOND;
            }
            waits.push((now - tried) / SECOND);
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        pass(&mut plan, now, 0, Ended::Well);
        assert_eq!(plan.due(now + 2 * SECOND), Some(Due::Poll));
    }

    #[test]
    fn a_back_off_never_makes_a_source_be_asked_more_often_than_its_schedule() {
        let mut plan = plan(every(2 * HOUR), every(DAY));
        pass(&mut plan, NOON, 0, Ended::Badly);
        assert_eq!(plan.due(NOON + HOUR), None);
        assert_eq!(plan.due(NOON + 2 * HOUR), Some(Due::Poll));
    }

    #[test]
    fn whether_a_sweep_is_due_follows_from_the_last_one_whenever_that_was() {
        let mut plan = plan(every(5 * MINUTE), every(DAY));
        assert_eq!(plan.due(NOON), Some(Due::Poll), "the first pass reads everything by itself");
        plan.swept(Some(NOON - 20 * HOUR));
        assert_eq!(plan.due(NOON), Some(Due::Poll));
        plan.swept(Some(NOON - 30 * HOUR));
        assert_eq!(plan.due(NOON), Some(Due::Sweep), "it came due while nothing ran");
        sweep(&mut plan, NOON, HOUR, Ended::Badly);
        assert_eq!(plan.due(NOON + HOUR), None, "a sweep that failed rests");
        assert_eq!(plan.due(NOON + HOUR + MINUTE), Some(Due::Poll), "polls go first");
        pass(&mut plan, NOON + HOUR + MINUTE, SECOND, Ended::Well);
        assert_eq!(plan.due(NOON + HOUR + 2 * MINUTE), Some(Due::Sweep), "and it is due again");
        sweep(&mut plan, NOON + 2 * HOUR, HOUR, Ended::Well);
        plan.swept(Some(NOON + 2 * HOUR));
        assert_eq!(plan.due(NOON + 3 * HOUR), Some(Due::Poll));

        plan.sweep = cron("15 3 * * *");
        plan.swept(Some(NOON));
        pass(&mut plan, NOON + 3 * HOUR, 0, Ended::Well);
        assert_eq!(plan.due(NOON + 15 * HOUR + 14 * MINUTE), Some(Due::Poll));
        assert_eq!(plan.due(NOON + 15 * HOUR + 15 * MINUTE), Some(Due::Sweep));
    }

    #[test]
    fn a_sweep_wakes_a_source_that_is_seldom_polled() {
        let mut plan = plan(every(DAY), every(HOUR));
        pass(&mut plan, NOON, 0, Ended::Well);
        plan.swept(Some(NOON));
        assert_eq!(plan.due(NOON + HOUR), Some(Due::Sweep));
        assert_eq!(plan.next(), NOON + HOUR);
    }

    #[test]
    fn a_sweep_that_keeps_failing_leaves_out_no_poll() {
        let mut plan = plan(every(5 * MINUTE), every(DAY));
        plan.swept(Some(NOON - 2 * DAY));
        let (mut now, mut polled, mut swept) = (NOON, Vec::new(), 0);
        while now < NOON + 4 * HOUR {
            match plan.due(now) {
                Some(Due::Sweep) => {
                    swept += 1;
                    sweep(&mut plan, now, 2 * MINUTE, Ended::Badly);
                    now += 2 * MINUTE;
                }
                Some(Due::Poll) => {
                    polled.push(now);
                    pass(&mut plan, now, 0, Ended::Well);
                }
                None => {}
            }
            now += SECOND;
        }
        let longest = polled.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        assert!(polled.len() >= 40 && longest <= 15 * MINUTE, "{} polls, {longest} ms apart", polled.len());
        assert!((10..30).contains(&swept), "{swept} sweeps: less and less often, though polls end well");
    }

    #[test]
    fn a_clock_that_once_was_ahead_puts_no_sweep_off() {
        let mut plan = plan(every(5 * MINUTE), every(DAY));
        let (mut now, mut sweeps) = (NOON, Vec::new());
        while now < NOON + 3 * DAY {
            if let Some(due) = plan.due(now) {
                if due == Due::Sweep {
                    sweeps.push((now - NOON) / HOUR);
                }
                plan.began(due, now);
                plan.ended(Ended::Well, now);
                plan.swept(Some(NOON + 3650 * DAY));
            }
            now += MINUTE;
        }
        assert_eq!(sweeps, [24, 48]);
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nobody() {
        let mut plan = plan(every(5 * MINUTE), every(DAY));
        pass(&mut plan, NOON, 0, Ended::Badly);
        plan.swept(Some(NOON));
        let yesterday = NOON - DAY;
        assert_eq!(plan.due(yesterday), None);
        assert_eq!(plan.due(yesterday + 5 * MINUTE), Some(Due::Poll));
        pass(&mut plan, yesterday + 5 * MINUTE, 0, Ended::Well);
        assert_eq!(plan.due(NOON), Some(Due::Sweep));
    }

    proptest! {
        #[test]
        fn no_source_is_asked_too_often_or_forgotten(
            interval in 1_000i64..4_000_000,
            beats in prop::collection::vec((1i64..5_000, 0i64..20_000, 0u8..4), 1..200),
        ) {
            let mut plan = plan(every(interval), every(DAY * 365));
            let mut now = NOON;
            let mut passes = 0;
            for (pause, length, how) in beats {
                now += pause;
                if plan.due(now).is_some() {
                    passes += 1;
                    prop_assert!(passes <= (now - NOON + 400) / interval + 1, "no more than the rhythm has");
                    let how = if how == 0 { Ended::Badly } else { Ended::Well };
                    pass(&mut plan, now, length, how);
                    now += length;
                }
                prop_assert!(plan.next() <= now + interval.max(LONGEST_BACK_OFF));
            }
        }
    }
}
