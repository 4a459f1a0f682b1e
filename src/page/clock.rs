//! Times of the store on the clocks of one zone.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A zone, and what it is called.
#[derive(Debug, Clone)]
pub struct Clock {
    name: String,
    zone: TimeZone,
}

impl Clock {
    /// The zone of this IANA name; UTC, and so named, where this machine does not know it.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match TimeZone::get(name) {
            Ok(zone) => Self { name: name.to_owned(), zone },
            Err(_) => Self { name: "UTC".to_owned(), zone: TimeZone::UTC },
        }
    }

    /// What the zone is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A time of the store (`2026-03-01T09:00:00.000Z`) as an element of a page: local to the second, exact within.
    #[must_use]
    pub fn time<'a>(&'a self, iso: &'a str) -> Time<'a> {
        Time { clock: self, iso }
    }
}

/// See [`Clock::time`].
#[derive(Debug)]
pub struct Time<'a> {
    clock: &'a Clock,
    iso: &'a str,
}

impl fmt::Display for Time<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = self.iso.parse::<Timestamp>() else { return f.write_str("time unknown") };
        let local = self.clock.zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S");
        write!(f, "<time datetime=\"{at:.3}\">{local}{}</time>", which(&self.clock.zone, at))
    }
}

/// The offset from UTC, to stand behind a local time that comes twice since clocks go back; else nothing.
#[must_use]
pub fn which(zone: &TimeZone, at: Timestamp) -> String {
    if !zone.to_ambiguous_timestamp(zone.to_datetime(at)).is_ambiguous() {
        return String::new();
    }
    let seconds = zone.to_offset(at).seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
    format!(" {sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_and_carry_the_exact_one() {
        let clock = Clock::of("America/New_York");
        assert_eq!(
            clock.time("2026-03-01T09:00:00.120Z").to_string(),
            "<time datetime=\"2026-03-01T09:00:00.120Z\">2026-03-01 04:00:00</time>"
        );
        for (utc, told) in [("05:30", "01:30:00 -04:00<"), ("06:30", "01:30:00 -05:00<"), ("07:30", "02:30:00<")] {
            let iso = format!("2026-11-01T{utc}:00.000Z");
            assert!(clock.time(&iso).to_string().contains(told), "{}", clock.time(&iso));
        }
        assert_eq!(clock.time("<b>").to_string(), "time unknown");
        assert_eq!(Clock::of("Nowhere/Land").name(), "UTC");
    }
}
