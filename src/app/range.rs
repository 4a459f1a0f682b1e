//! The range of a backfill.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Part of the history: from the first moment of a day (or a moment) up to, but not including, another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

/// A date that cannot be read, or a range that holds nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RangeError {
    #[error("`{0}` is not a date; write 2026-03-01, or a moment such as 2026-03-01T12:00:00Z")]
    Unreadable(String),
    #[error("`{0}` has no Z and no offset; write 2026-03-01T12:00:00Z, or -03:00, say, in place of the Z")]
    NoZone(String),
    #[error("--since must lie before --until")]
    Empty,
}

impl Range {
    /// Reads `--since` and `--until`. A day means its start in UTC; adjacent ranges share a bound and no moment.
    ///
    /// # Errors
    /// See [`RangeError`].
    pub fn parse(since: Option<&str>, until: Option<&str>) -> Result<Self, RangeError> {
        let range = Self { since_ms: since.map(moment).transpose()?, until_ms: until.map(moment).transpose()? };
        match (range.since_ms, range.until_ms) {
            (Some(since), Some(until)) if since >= until => Err(RangeError::Empty),
            _ => Ok(range),
        }
    }

    /// Whether the range leaves anything out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.since_ms.is_none() && self.until_ms.is_none()
    }
}

fn moment(text: &str) -> Result<i64, RangeError> {
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    let Some(day) = day(text) else {
        let unreadable = text.parse::<DateTime>().is_err();
        return Err(if unreadable { RangeError::Unreadable } else { RangeError::NoZone }(text.to_owned()));
    };
    day.to_zoned_datetime(TimeZone::UTC)
        .map(|zoned| zoned.timestamp().as_millisecond())
        .map_err(|_| RangeError::Unreadable(text.to_owned()))
}

/// A day and nothing more: read as a date, a time behind one would be passed over.
#[must_use]
pub fn day(text: &str) -> Option<Date> {
    let bare = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse().ok().filter(|_| bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_are_read_and_adjacent_ranges_touch() {
        let march = Range::parse(Some("2026-03-01"), Some("2026-04-01")).unwrap();
        let april = Range::parse(Some("2026-04-01T00:00:00Z"), None).unwrap();
        assert_eq!(march.until_ms, april.since_ms);
        assert_eq!(march.since_ms, Some(1_772_323_200_000));
        assert!(!march.is_whole() && Range::default().is_whole());
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Range::parse(Some("2026-03-01"), Some("2026-03-01")), Err(RangeError::Empty));
        for text in ["yesterday", "", "2026-02-30", "12:00"] {
            assert_eq!(Range::parse(Some(text), None), Err(RangeError::Unreadable(text.to_owned())));
        }
    }

    #[test]
    fn a_time_that_does_not_say_where_is_no_day() {
        for text in
            ["2026-03-01T12:00", "2026-03-01 12:00:00", "2026-03-01T12:00:00[America/New_York]", "2026-03-01T23"]
        {
            assert_eq!(Range::parse(None, Some(text)), Err(RangeError::NoZone(text.to_owned())));
            assert_eq!(day(text), None);
        }
        let noon = Range::parse(Some("2026-03-01T09:00:00-03:00"), None).unwrap();
        assert_eq!(noon.since_ms, Some(1_772_366_400_000));
    }
}
