//! What the header `Retry-After` asks for.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Longer waits are taken for this: far beyond what any run waits, and safe to add to any clock.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// The wait that an answer's headers ask for, rounded up to whole seconds; `None` where nothing usable is said
/// (no header, garbage, a negative number, a date that is over).
///
/// A date is measured from the answer's own `Date`, so that a clock that is wrong here changes nothing.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let date =
        headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(|date| httpdate::parse_http_date(date).ok());
    let reference = date.unwrap_or_else(wall_clock);
    let values = headers.get_all(RETRY_AFTER).iter();
    values.filter_map(|value| wait(value.to_str().ok()?, reference)).max()
}

#[expect(clippy::disallowed_methods, reason = "a date can only be compared with the time it is now")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

fn wait(value: &str, reference: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.split_once('.') {
        Some((whole, part)) if digits(whole) && digits(part) => {
            whole_seconds(whole).saturating_add(u64::from(part.bytes().any(|digit| digit != b'0')))
        }
        Some(_) => return None,
        None if digits(value) => whole_seconds(value),
        None => {
            let left = httpdate::parse_http_date(value).ok()?.duration_since(reference).ok()?;
            let seconds = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
            // A date that is just now says nothing about how long.
            if seconds == 0 { return None } else { seconds }
        }
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The value of a text of digits; the largest there is when it does not fit.
fn whole_seconds(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(date: Option<&'static str>, retry_after: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(retry_after));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        headers
    }

    #[test]
    fn seconds_are_taken_as_they_stand_and_fractions_rounded_up() {
        for (value, seconds) in [("0", 0), ("7", 7), (" 120 ", 120), ("1.2", 2), ("3.0", 3)] {
            assert_eq!(asked(&headers(None, value)), Some(Duration::from_secs(seconds)), "{value}");
        }
    }

    #[test]
    fn a_date_is_measured_from_the_answers_own_date_whatever_the_clock_here_says() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked(&headers(date, "Sun, 06 Nov 1994 08:50:00 GMT")), Some(Duration::from_secs(23)));
        assert_eq!(asked(&headers(date, "Sunday, 06-Nov-94 08:49:38 GMT")), Some(Duration::from_secs(1)));
        assert_eq!(asked(&headers(None, "Sun, 06 Nov 1994 08:50:00 GMT")), None, "long over");
    }

    #[test]
    fn what_is_no_time_to_come_back_at_says_nothing() {
        for value in ["", "  ", "-5", "soon", "1.", ".5", "1.2.3", "+3", "0x10", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(asked(&headers(Some("Sun, 06 Nov 1994 08:49:37 GMT"), value)), None, "{value:?}");
        }
    }

    #[test]
    fn a_huge_number_becomes_a_long_wait() {
        assert_eq!(asked(&headers(None, "99999999999999999999999999")), Some(LONGEST));
        assert_eq!(asked(&headers(None, "18446744073709551615.5")), Some(LONGEST));
    }

    #[test]
    fn of_two_answers_the_later_one_is_kept() {
        let mut headers = headers(None, "3");
        headers.append(RETRY_AFTER, HeaderValue::from_static("9"));
        assert_eq!(asked(&headers), Some(Duration::from_secs(9)));
    }

    proptest! {
        #[test]
        fn nothing_a_provider_sends_breaks_it(value in "\\PC*") {
            prop_assert!(wait(&value, SystemTime::UNIX_EPOCH).is_none_or(|wait| wait <= LONGEST));
        }
    }
}
