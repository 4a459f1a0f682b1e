//! When the clocks of a zone differ from UTC, and by how much.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A stretch of time in which a zone's clocks differ from UTC by one amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// Milliseconds since 1970 UTC, inclusive.
    pub from_ms: i64,
    /// Exclusive.
    pub to_ms: i64,
    /// What is added to UTC, in seconds.
    pub seconds: i32,
}

/// The years 1 to 9999. Clocks are known to change until `LAST_CHANGE_MS`, which is far enough for what was written.
const BEGIN_MS: i64 = -62_135_596_800_000;
const END_MS: i64 = 253_402_300_800_000;

/// 1 January 2100.
const LAST_CHANGE_MS: i64 = 4_102_444_800_000;

/// The stretches of a zone by its IANA name, in order and without a gap. `None` for a zone that nobody knows.
#[must_use]
pub fn offsets(timezone: &str) -> Option<Vec<Offset>> {
    let zone = TimeZone::get(timezone).ok()?;
    let at = |ms: i64| Timestamp::from_millisecond(ms).ok();
    let first = zone.to_offset(at(BEGIN_MS)?).seconds();
    let mut stretches = vec![Offset { from_ms: BEGIN_MS, to_ms: END_MS, seconds: first }];
    for change in zone.following(at(BEGIN_MS)?) {
        let from_ms = change.timestamp().as_millisecond();
        let seconds = change.offset().seconds();
        if from_ms > LAST_CHANGE_MS {
            break;
        }
        // A change of name or of what counts as summer alone is none.
        if let Some(last) = stretches.last_mut().filter(|last| last.seconds != seconds) {
            last.to_ms = from_ms;
            stretches.push(Offset { from_ms, to_ms: END_MS, seconds });
        }
    }
    Some(stretches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_all_time_and_agree_with_the_zone() {
        for name in ["UTC", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"] {
            let stretches = offsets(name).unwrap();
            assert_eq!((stretches[0].from_ms, stretches.last().unwrap().to_ms), (BEGIN_MS, END_MS));
            assert!(stretches.windows(2).all(|two| two[0].to_ms == two[1].from_ms), "{name}");
            let zone = TimeZone::get(name).unwrap();
            for stretch in &stretches {
                for ms in [stretch.from_ms, stretch.to_ms - 1] {
                    if ms < LAST_CHANGE_MS {
                        let there = zone.to_offset(Timestamp::from_millisecond(ms).unwrap());
                        assert_eq!(there.seconds(), stretch.seconds, "{name} at {ms}");
                    }
                }
            }
        }
        assert_eq!(offsets("UTC").unwrap().len(), 1);
        assert_eq!(offsets("Nowhere/Land"), None);
    }
}
