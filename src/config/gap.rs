//! The longest time between two ticks of a schedule: what monitoring waits for before it calls a source late.

use std::time::Duration;

use super::settings::Schedule;

const MINUTES_A_DAY: usize = 24 * 60;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// The longest time between two ticks; of a cron expression rather too long than too short, and by whole minutes.
    #[must_use]
    pub fn longest_gap(&self) -> Duration {
        match self {
            Self::Every(interval) => *interval,
            Self::Cron(expression) => minutes(of_cron(expression)),
        }
    }
}

fn of_cron(expression: &str) -> usize {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let [.., minute, hour, day, month, weekday] = fields.as_slice() else { return MINUTES_A_DAY };
    let (minute, hour) = (values(minute, 0, 60, &[]), values(hour, 0, 24, &[]));
    let times = hour.iter().flat_map(|hour| minute.iter().map(move |minute| hour * 60 + minute)).collect();
    let within_days = widest(times, MINUTES_A_DAY);
    let mut days = widest(values(day, 1, 31, &[]), 31).max(widest(values(weekday, 0, 7, &WEEKDAYS), 7));
    let months = widest(values(month, 1, 12, &MONTHS), 12);
    if months > 1 {
        days = days.max(1) + months * 31;
    }
    // From the last tick of one day to the first of the next one that has any.
    (days - 1) * MINUTES_A_DAY + within_days
}

/// The values that a field stands for, in order. What names no fixed ones (`L`, `15W`, `5#2`) stands for the first
/// alone: that leaves the widest gap.
fn values(field: &str, low: usize, count: usize, names: &[&str]) -> Vec<usize> {
    let number = |text: &str| {
        let named = || names.iter().position(|name| text.eq_ignore_ascii_case(name)).map(|at| at + low);
        text.parse().ok().or_else(named).map(|value: usize| if value >= low + count { low } else { value })
    };
    let mut found = Vec::new();
    for item in field.split(',') {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, step.parse().ok()));
        let last = low + count - 1;
        let (from, to) = match (range, range.split_once('-')) {
            ("*" | "?", _) => (low, last),
            (_, Some((from, to))) => (number(from).unwrap_or(low), number(to).unwrap_or(low)),
            (one, None) => {
                let one = number(one).unwrap_or(low);
                // `5/10` begins at 5 and goes on to the end.
                (one, if step.is_some() { last } else { one })
            }
        };
        let to = if to < from { to + count } else { to };
        found.extend((from..=to).step_by(step.unwrap_or(1).max(1)).map(|value| (value - low) % count + low));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The widest step from one value to the next, going round.
fn widest(mut values: Vec<usize>, round: usize) -> usize {
    values.sort_unstable();
    let Some(first) = values.first().copied() else { return round };
    values.push(first + round);
    values
        .windows(2)
        .map(|pair| pair.iter().rev().copied().reduce(|later, before| later - before).unwrap_or(round))
        .max()
        .unwrap_or(round)
}

fn minutes(count: usize) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_gap_of_a_schedule() {
        assert_eq!(Schedule::Every(Duration::from_secs(90)).longest_gap(), Duration::from_secs(90));
        const HOUR: usize = 60;
        for (expression, minutes) in [
            ("*/5 * * * *", 5),
            ("*/10 * * * * *", 1),
            ("0 */10 * * * *", 10),
            ("* * * * *", 1),
            ("7,50 * * * *", 43),
            ("15 3 * * *", 24 * HOUR),
            ("0 9,21 * * *", 12 * HOUR),
            ("0/30 8-17 * * *", 14 * HOUR + 30),
            ("0 22-2 * * *", 20 * HOUR),
            ("0 3 * * mon", 7 * 24 * HOUR),
            ("0 3 * * 7", 7 * 24 * HOUR),
            ("*/5 9-17 * * Mon-Fri", 2 * 24 * HOUR + 15 * HOUR + 5),
            ("0 0 1,15 * *", 17 * 24 * HOUR),
            ("0 0 L * *", 31 * 24 * HOUR),
            ("0 0 * * 5#2", 7 * 24 * HOUR),
        ] {
            assert_eq!(of_cron(expression), minutes, "{expression}");
        }
        assert!(of_cron("0 0 1 jan *") >= 365 * 24 * HOUR);
        assert_eq!(of_cron("nonsense"), MINUTES_A_DAY);
    }
}
