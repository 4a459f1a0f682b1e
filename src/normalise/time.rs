//! The timestamps of the world, as milliseconds since 1970 UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    /// It has none of the known spellings.
    #[error("not a time")]
    Unreadable,
    /// There is no such date, or it lies outside 1990 to 2200. Better no time than one in a wrong century.
    #[error("not a plausible time")]
    Implausible,
    /// It is a site's wall-clock time, and the site's zone is not known.
    #[error("a local time, and the time zone of the site is not known")]
    NoZone,
}

/// 1990-01-01 to the end of 2200, in milliseconds.
const PLAUSIBLE_MS: std::ops::Range<i64> = 631_152_000_000..7_289_654_400_000;
/// 0001-01-01 to the last second that `jiff` knows, in milliseconds: years of four digits.
const PRINTABLE_MS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_207_199_999;

/// Reads a time as milliseconds since 1970 UTC, fractions cut off. `None`: the provider says that there is none
/// (empty, all zeros, or the very start of 1970 by which databases say "never").
///
/// Known spellings: `YYYYMMDDHHmmss` (wall clock of the site: needs `zone`), ISO 8601 with or without an offset
/// (without one: the wall clock of `zone`, else UTC), a date alone (its midnight), and the digits of the epoch in
/// seconds (10), milliseconds (13), microseconds (16) or nanoseconds (19). A local time that happens twice is the
/// earlier one; one that never happened moves forward by the gap. A leap second is the second before it.
///
/// # Errors
/// The text is no time: see [`TimeFault`].
pub fn parse_timestamp(text: &str, zone: Option<&TimeZone>) -> Result<Option<i64>, TimeFault> {
    let text = text.trim();
    let zeros = |c: char| matches!(c, '0' | '-' | ':' | '.' | ' ' | '+' | 'T' | 't' | 'Z' | 'z');
    if text.is_empty() || (text.contains('0') && text.chars().all(zeros)) {
        return Ok(None);
    }
    if text.bytes().all(|b| b.is_ascii_digit()) && !matches!(text.len(), 8 | 14) {
        return plausible(epoch(text)?).map(Some);
    }
    let mut rest = Cursor(text);
    let written = Written::read(&mut rest)?;
    if written.is_sentinel() {
        return Ok(None);
    }
    let civil = written.civil()?;
    let utc = |civil: DateTime| TimeZone::UTC.to_timestamp(civil);
    let instant = match (written.offset_secs, zone) {
        (Some(_), _) => utc(civil),
        (None, Some(zone)) => zone.to_ambiguous_timestamp(civil).compatible(),
        (None, None) if written.digits_only => return Err(TimeFault::NoZone),
        (None, None) => utc(civil),
    };
    let second = instant.map_err(|_| TimeFault::Implausible)?.as_second() - written.offset_secs.unwrap_or(0);
    let ms = second * 1000 + written.millis;
    if ms == 0 { Ok(None) } else { plausible(ms).map(Some) }
}

fn plausible(ms: i64) -> Result<i64, TimeFault> {
    if PLAUSIBLE_MS.contains(&ms) { Ok(ms) } else { Err(TimeFault::Implausible) }
}

fn epoch(digits: &str) -> Result<i64, TimeFault> {
    let number: i64 = digits.parse().map_err(|_| TimeFault::Unreadable)?;
    match digits.len() {
        10 => Ok(number * 1000),
        13 => Ok(number),
        16 => Ok(number / 1000),
        19 => Ok(number / 1_000_000),
        _ => Err(TimeFault::Unreadable),
    }
}

/// A date and a time of day as written, not checked against the calendar.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Written {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    millis: i64,
    offset_secs: Option<i64>,
    digits_only: bool,
}

impl Written {
    fn read(rest: &mut Cursor<'_>) -> Result<Self, TimeFault> {
        let digits_only = rest.0.len() == 14 && rest.0.bytes().all(|b| b.is_ascii_digit());
        let mut written = Self { digits_only, ..Self::default() };
        written.year = rest.number(4)?;
        let dashed = rest.eat(&['-']);
        written.month = rest.small(2)?;
        if dashed && !rest.eat(&['-']) {
            return Err(TimeFault::Unreadable);
        }
        written.day = rest.small(2)?;
        if rest.0.is_empty() {
            return Ok(written);
        }
        if !rest.eat(&['T', 't', ' ']) && !written.digits_only {
            return Err(TimeFault::Unreadable);
        }
        written.hour = rest.small(2)?;
        let coloned = rest.eat(&[':']);
        written.minute = rest.small(2)?;
        if rest.eat(&[':']) || (!coloned && rest.0.starts_with(|c: char| c.is_ascii_digit())) {
            written.second = rest.small(2)?;
        }
        if rest.eat(&['.', ',']) {
            written.millis = rest.millis()?;
        }
        if rest.0.starts_with(' ') {
            rest.0 = rest.0.trim_start();
        }
        written.offset_secs = rest.offset()?;
        if rest.0.is_empty() { Ok(written) } else { Err(TimeFault::Unreadable) }
    }

    /// Whether it is the start of 1970 on whatever clock.
    fn is_sentinel(&self) -> bool {
        *self
            == Self {
                year: 1970,
                month: 1,
                day: 1,
                offset_secs: self.offset_secs,
                digits_only: self.digits_only,
                ..Self::default()
            }
    }

    fn civil(&self) -> Result<DateTime, TimeFault> {
        let second = if self.second == 60 { 59 } else { self.second };
        DateTime::new(self.year, self.month, self.day, self.hour, self.minute, second, 0)
            .map_err(|_| TimeFault::Implausible)
    }
}

/// What is left to read.
struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn eat(&mut self, wanted: &[char]) -> bool {
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn number(&mut self, digits: usize) -> Result<i16, TimeFault> {
        let (number, rest) = self.0.split_at_checked(digits).ok_or(TimeFault::Unreadable)?;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TimeFault::Unreadable);
        }
        self.0 = rest;
        number.parse().map_err(|_| TimeFault::Unreadable)
    }

    fn small(&mut self, digits: usize) -> Result<i8, TimeFault> {
        self.number(digits).and_then(|number| number.try_into().map_err(|_| TimeFault::Unreadable))
    }

    fn millis(&mut self) -> Result<i64, TimeFault> {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = self.0.len() - rest.len();
        if digits == 0 {
            return Err(TimeFault::Unreadable);
        }
        let millis = self.0.bytes().take(digits).chain(std::iter::repeat(b'0')).take(3);
        let millis = millis.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        self.0 = rest;
        Ok(millis)
    }

    fn offset(&mut self) -> Result<Option<i64>, TimeFault> {
        if self.0.is_empty() {
            return Ok(None);
        }
        if self.eat(&['Z', 'z']) {
            return Ok(Some(0));
        }
        let sign = if self.eat(&['+']) {
            1
        } else if self.eat(&['-', '\u{2212}']) {
            -1
        } else {
            return Err(TimeFault::Unreadable);
        };
        let hours = i64::from(self.number(2)?);
        let _colon = self.eat(&[':']);
        let minutes = if self.0.is_empty() { 0 } else { i64::from(self.number(2)?) };
        if hours > 23 || minutes > 59 {
            Err(TimeFault::Implausible)
        } else {
            Ok(Some(sign * (hours * 60 + minutes) * 60))
        }
    }
}

/// The time on a site's clock as `YYYYMMDDHHmmss`. Times outside the years 1 to 9999 become the nearest inside.
#[must_use]
pub fn to_site_digits(ms: i64, zone: &TimeZone) -> String {
    let t = zone.to_datetime(stamp(ms));
    format!("{:04}{:02}{:02}{:02}{:02}{:02}", t.year(), t.month(), t.day(), t.hour(), t.minute(), t.second())
}

/// The time as `YYYY-MM-DDTHH:MM:SS.sssZ`. Times outside the years 1 to 9999 become the nearest inside.
#[must_use]
pub fn to_iso(ms: i64) -> String {
    let t = TimeZone::UTC.to_datetime(stamp(ms));
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond()
    )
}

fn stamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms.clamp(*PRINTABLE_MS.start(), *PRINTABLE_MS.end())).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
