//! Times and schedules as people write them: `30s`, `1h30m`, `2d`, or a cron expression.

use std::time::Duration;

use super::problem::{Complaint, shown};
use super::settings::Schedule;

const DAY_SECS: u64 = 86_400;
/// Nothing that is waited for or looked back to is longer than a year.
const LONGEST: Duration = Duration::from_secs(366 * DAY_SECS);
const SYNTAX: &str = r#"write numbers with units, the largest first: "30s", "5m", "1h30m", "2d", "1w""#;

/// Reads a duration of at least `least`.
pub(super) fn duration(text: &str, least: Duration) -> Result<Duration, Complaint> {
    let Some(parsed) = parse(text) else {
        return Err(Complaint::new(format!("{} is not a time", shown(text))).suggest(hint(text)));
    };
    bounded(text, parsed, least)
}

/// Reads how long something is kept: at least a day, at most a century.
pub(super) fn retention(text: &str) -> Result<Duration, Complaint> {
    const LONGEST_KEPT: Duration = Duration::from_secs(36_525 * DAY_SECS);
    let parsed = parse(text).ok_or_else(|| {
        Complaint::new(format!("{} is not a time", shown(text))).suggest("write days or weeks: \"90d\", \"52w\"")
    })?;
    if parsed < Duration::from_secs(DAY_SECS) || parsed > LONGEST_KEPT {
        let message = format!("{} must be between 1 and 36525 days", shown(text));
        return Err(Complaint::new(message).suggest("leave the key out to keep everything"));
    }
    Ok(parsed)
}

/// Reads an interval of at least one second, or a cron expression of 5 or 6 fields.
pub(super) fn schedule(text: &str) -> Result<Schedule, Complaint> {
    if let Some(every) = parse(text) {
        return bounded(text, every, Duration::from_secs(1)).map(Schedule::Every);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() < 2 && !text.contains('*') {
        let message = format!("{} is neither an interval nor a cron expression", shown(text));
        return Err(Complaint::new(message).suggest(hint(text)));
    }
    cron(text, &fields)
}

fn bounded(text: &str, parsed: Duration, least: Duration) -> Result<Duration, Complaint> {
    if parsed < least {
        return Err(Complaint::new(format!("{} is too short: at least {} s", shown(text), least.as_secs())));
    }
    if parsed > LONGEST {
        return Err(Complaint::new(format!("{} is too long: at most 366 days", shown(text))));
    }
    Ok(parsed)
}

fn hint(text: &str) -> String {
    let text = text.trim();
    if !text.is_empty() && text.len() < 10 && text.chars().all(|c| c.is_ascii_digit()) {
        return format!(r#"add a unit: "{text}s" is {text} seconds, "{text}m" is {text} minutes"#);
    }
    SYNTAX.to_owned()
}

/// `None` for anything but numbers with units in descending order, spaces between the parts allowed; `0` needs no unit.
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total_secs: u64 = 0;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() || last_unit == u64::MAX {
        let (number, tail) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let unit_ends = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_ends)?;
        let unit_secs = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => DAY_SECS,
            "w" => 7 * DAY_SECS,
            _ => return None,
        };
        if unit_secs >= last_unit {
            return None;
        }
        last_unit = unit_secs;
        total_secs = total_secs.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_secs)?)?;
        rest = tail.trim_start();
    }
    Some(Duration::from_secs(total_secs))
}

/// A field of a cron expression: its name, the numbers it takes, and the words it takes.
struct Field(&'static str, u32, u32, &'static [&'static str]);

const SECOND: Field = Field("second", 0, 59, &[]);
const FIELDS: [Field; 5] = [
    Field("minute", 0, 59, &[]),
    Field("hour", 0, 23, &[]),
    Field("day of the month", 1, 31, &["l", "w", "lw"]),
    Field("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    Field("weekday", 0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat", "l"]),
];

/// Looks at the syntax only: number of fields, characters, ranges. The scheduler reads it for good.
fn cron(text: &str, fields: &[&str]) -> Result<Schedule, Complaint> {
    const FORM: &str = "five fields: minute hour day month weekday (\"15 3 * * *\" is 03:15 every day), or six with \
                        seconds first";
    let (second, rest) = match fields {
        [_, _, _, _, _] => (None, fields),
        [second, rest @ ..] if rest.len() == 5 => (Some(*second), rest),
        _ => {
            let message = format!("{} is not a cron expression: it has {} fields", shown(text), fields.len());
            return Err(Complaint::new(message).suggest(FORM));
        }
    };
    let named = second.map(|field| (&SECOND, field)).into_iter().chain(FIELDS.iter().zip(rest.iter().copied()));
    for (field, written) in named {
        if !field.takes(written) {
            let Field(name, low, high, _) = field;
            let message = format!("{}: {} is no {name} ({low} to {high})", shown(text), shown(written));
            return Err(Complaint::new(message).suggest(FORM));
        }
    }
    Ok(Schedule::Cron(fields.join(" ")))
}

impl Field {
    /// Whether the text is a list of `*`, `?`, values or ranges, each with an optional step.
    fn takes(&self, text: &str) -> bool {
        text.split(',').all(|item| {
            let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
            if !step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| step > 0 && !text.contains('+'))) {
                return false;
            }
            match range.split_once('-') {
                Some((from, to)) => self.value(from) && self.value(to),
                None => range == "*" || range == "?" || self.value(range),
            }
        })
    }

    fn value(&self, text: &str) -> bool {
        let Self(_, low, high, words) = self;
        let text = text.to_ascii_lowercase();
        if words.contains(&text.as_str()) {
            return true;
        }
        // `5#2` is the second Friday, `5l` the last one, `15w` the working day nearest to the 15th.
        let number = match text.split_once('#') {
            Some((day, "1" | "2" | "3" | "4" | "5")) if *high == 7 => day,
            Some(_) => return false,
            None if words.contains(&"l") => text.strip_suffix(['l', 'w']).unwrap_or(&text),
            None => &text,
        };
        words.contains(&number)
            || number.chars().all(|c| c.is_ascii_digit())
                && number.parse::<u32>().is_ok_and(|number| (*low..=*high).contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_units() {
        for (text, secs) in [
            ("30s", 30),
            ("5m", 300),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            (" 2d ", 172_800),
            ("1w", 604_800),
            ("0s", 0),
            ("0", 0),
        ] {
            assert_eq!(duration(text, Duration::ZERO), Ok(Duration::from_secs(secs)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            " ",
            "5",
            "m",
            "5 m",
            "-5m",
            "1.5h",
            "5x",
            "5m5m",
            "30m1h",
            "5minutes",
            "1h30",
            "99999999999999999999s",
        ] {
            assert!(duration(text, Duration::ZERO).is_err(), "{text}");
        }
        let bare = duration("30", Duration::ZERO).unwrap_err();
        assert!(bare.suggestion.unwrap().contains(r#""30s""#));
        assert!(duration("400d", Duration::ZERO).unwrap_err().message.contains("366"));
    }

    #[test]
    fn schedules_are_intervals_or_cron() {
        assert_eq!(schedule("5m"), Ok(Schedule::Every(Duration::from_secs(300))));
        for text in [
            "*/5 * * * *",
            "0 */5 * * * *",
            "15 3 * * *",
            "0 9-17 * * MON-FRI",
            "0,30 8-18/2 1,15 jan-jun ?",
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * 5#2",
            "0 0 * * fri#1",
            "0 0 * * 5L",
        ] {
            assert_eq!(schedule(text), Ok(Schedule::Cron(text.to_owned())), "{text}");
        }
        assert_eq!(schedule(" 15  3 * *\t* "), Ok(Schedule::Cron("15 3 * * *".to_owned())));
    }

    #[test]
    fn schedules_that_would_never_work_are_refused() {
        for text in [
            "0s",
            "daily",
            "@daily",
            "*",
            "* * * *",
            "* * * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "*/+5 * * * *",
            "a * * * *",
            "1- * * * *",
            ", * * * *",
            "* * * * 1#6",
            "5#2 * * * *",
            "; * * * *",
            "5 m",
        ] {
            assert!(schedule(text).is_err(), "{text}");
        }
        assert!(schedule("61 * * * *").unwrap_err().message.contains("minute"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            drop((schedule(&text), duration(&text, Duration::ZERO)));
        }

        #[test]
        fn cron_like_text_is_read_or_refused(text in "[0-9a-zL#W*/,? -]{0,30}") {
            drop(schedule(&text));
        }
    }
}
