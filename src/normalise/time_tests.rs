use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::{TimeFault, parse_timestamp, to_iso, to_site_digits};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn iso(text: &str, zone: Option<&TimeZone>) -> String {
    to_iso(parse_timestamp(text, zone).unwrap().unwrap())
}

#[test]
fn every_known_spelling_is_read() {
    let lisbon = zone("Europe/Lisbon");
    for (text, wanted) in [
        ("20260102030405", "2026-01-02T03:04:05.000Z"),
        ("20260702030405", "2026-07-02T02:04:05.000Z"),
        ("2026-07-02T03:04:05", "2026-07-02T02:04:05.000Z"),
        ("2026-07-02 03:04:05", "2026-07-02T02:04:05.000Z"),
        ("2026-07-02", "2026-07-01T23:00:00.000Z"),
        ("20260702", "2026-07-01T23:00:00.000Z"),
        ("2026-07-02T03:04:05Z", "2026-07-02T03:04:05.000Z"),
        ("2026-07-02t03:04:05.1z", "2026-07-02T03:04:05.100Z"),
        ("2026-07-02T03:04:05.123456789+02:00", "2026-07-02T01:04:05.123Z"),
        ("2026-07-02T03:04:05.9999999999999-0330", "2026-07-02T06:34:05.999Z"),
        ("2026-07-02 03:04:05 +00", "2026-07-02T03:04:05.000Z"),
        ("2026-07-02T03:04Z", "2026-07-02T03:04:00.000Z"),
        ("20260702T030405Z", "2026-07-02T03:04:05.000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"),
        ("1767323045", "2026-01-02T03:04:05.000Z"),
        ("1767323045678", "2026-01-02T03:04:05.678Z"),
        (" 1767323045678901 ", "2026-01-02T03:04:05.678Z"),
        ("1767323045678901234", "2026-01-02T03:04:05.678Z"),
    ] {
        assert_eq!(iso(text, Some(&lisbon)), wanted, "{text}");
    }
    assert_eq!(iso("2026-07-02 03:04:05", None), "2026-07-02T03:04:05.000Z");
}

#[test]
fn no_time_is_not_a_fault() {
    for text in [
        "",
        "  ",
        "0",
        "00000000000000",
        "0000-00-00 00:00:00",
        "0000-00-00T00:00:00.000Z",
        "0000-00-00",
        "19700101000000",
        "19700101",
        "1970-01-01T00:00:00Z",
        "1970-01-01 00:00:00",
        "1970-01-01T00:00:00+01:00",
        "1969-12-31T19:00:00-05:00",
    ] {
        assert_eq!(parse_timestamp(text, None), Ok(None), "{text}");
        assert_eq!(parse_timestamp(text, Some(&zone("America/New_York"))), Ok(None), "{text}");
    }
    assert_eq!(parse_timestamp("19691231190000", Some(&zone("America/New_York"))), Ok(None));
}

#[test]
fn what_is_no_time_is_a_fault() {
    for text in
        ["soon", "2026", "2026-07", "2026-7-2", "2026-07-02T", "2026-07-02T3:04", "02/07/2026", "-5", "1e9", "+"]
    {
        assert_eq!(parse_timestamp(text, Some(&TimeZone::UTC)), Err(TimeFault::Unreadable), "{text}");
    }
    for text in
        ["2026-07-02T03:04:05.Z", "2026-07-02T03:04:05Zx", "2026-07-0２", "123456789", "99999999999999999999", "-", "Z"]
    {
        assert_eq!(parse_timestamp(text, Some(&TimeZone::UTC)), Err(TimeFault::Unreadable), "{text}");
    }
    for text in ["20261301000000", "2026-02-30", "20260702240000", "2026-07-02T03:60:00Z", "2026-07-02T03:04:61Z"] {
        assert_eq!(parse_timestamp(text, Some(&TimeZone::UTC)), Err(TimeFault::Implausible), "{text}");
    }
    for text in ["1989-12-31T23:59:59Z", "2201-01-01", "9999-12-31T23:59:59Z", "0000-00-01", "0000000001", "9999999999"]
    {
        assert_eq!(parse_timestamp(text, Some(&TimeZone::UTC)), Err(TimeFault::Implausible), "{text}");
    }
    assert_eq!(parse_timestamp("2026-07-02T03:04:05+99:00", None), Err(TimeFault::Implausible));
    assert_eq!(parse_timestamp("20260702030405", None), Err(TimeFault::NoZone));
}

#[test]
fn local_times_that_happen_twice_or_never_are_settled() {
    for (name, local, wanted) in [
        // 2026-11-01 02:00 goes back to 01:00, 2026-03-08 02:00 on to 03:00.
        ("America/New_York", "20261101013000", "2026-11-01T05:30:00.000Z"),
        ("America/New_York", "20261101020000", "2026-11-01T07:00:00.000Z"),
        ("America/New_York", "20260308023000", "2026-03-08T07:30:00.000Z"),
        ("America/New_York", "20260308015959", "2026-03-08T06:59:59.000Z"),
        // 2026-10-25 02:00 goes back to 01:00, 2026-03-29 01:00 on to 02:00.
        ("Europe/Lisbon", "20261025013000", "2026-10-25T00:30:00.000Z"),
        ("Europe/Lisbon", "20260329013000", "2026-03-29T01:30:00.000Z"),
        // Half an hour: 2026-04-05 02:00 goes back to 01:30, 2026-10-04 02:00 on to 02:30.
        ("Australia/Lord_Howe", "20260405014500", "2026-04-04T14:45:00.000Z"),
        ("Australia/Lord_Howe", "20261004021500", "2026-10-03T15:45:00.000Z"),
    ] {
        assert_eq!(iso(local, Some(&zone(name))), wanted, "{name} {local}");
    }
}

#[test]
fn times_are_written_back_and_extremes_are_bounded() {
    let ms = parse_timestamp("2026-07-02T03:04:05.678Z", None).unwrap().unwrap();
    assert_eq!(to_site_digits(ms, &zone("America/New_York")), "20260701230405");
    assert_eq!(to_iso(i64::MIN), "0001-01-01T00:00:00.000Z");
    assert_eq!(to_iso(i64::MAX), "9999-12-30T21:59:59.999Z");
    assert_eq!(to_iso(-1), "1969-12-31T23:59:59.999Z");
    for ms in [i64::MIN, -1, 0, i64::MAX] {
        assert_eq!(to_site_digits(ms, &zone("Pacific/Kiritimati")).len(), 14);
        assert_eq!(to_site_digits(ms, &zone("Pacific/Pago_Pago")).len(), 14);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in r"[0-9TZ:+. -]{0,30}|\PC{0,20}") {
        for zone in [None, Some(&zone("Europe/Lisbon"))] {
            if let Ok(Some(ms)) = parse_timestamp(&text, zone) {
                prop_assert_eq!(parse_timestamp(&to_iso(ms), None), Ok(Some(ms)));
            }
        }
    }

    #[test]
    fn any_number_can_be_written(ms: i64) {
        prop_assert_eq!(to_iso(ms).len(), 24);
        prop_assert_eq!(to_site_digits(ms, &TimeZone::UTC).len(), 14);
    }

    #[test]
    fn iso_comes_back(ms in 631_152_000_000_i64..7_289_654_400_000) {
        prop_assert_eq!(parse_timestamp(&to_iso(ms), None), Ok(Some(ms)));
        prop_assert_eq!(parse_timestamp(&to_iso(ms), Some(&zone("America/New_York"))), Ok(Some(ms)));
    }

    #[test]
    fn site_digits_come_back_never_later_and_at_most_the_repeated_hour_earlier(s in 631_238_400_i64..7_289_568_000) {
        for name in ["America/New_York", "Europe/Lisbon", "Australia/Lord_Howe"] {
            let back = parse_timestamp(&to_site_digits(s * 1000, &zone(name)), Some(&zone(name))).unwrap().unwrap();
            prop_assert!(back <= s * 1000 && s * 1000 - back <= 3_600_000, "{} {}", name, s);
        }
    }
}
