//! The site's time zone: its times are wall-clock digits without an offset (section 6 of the provider page).

use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use serde_json::Value;

/// What to do when the zone cannot be learnt.
pub(super) const ADVICE: &str =
    "set `timezone = \"Area/City\"` for the source, or allow `site_info/get` for the key in Developer Hub -> API keys";

/// The part of it that needs no answer of the site.
pub(super) const SETTING: &str = "set `timezone = \"Area/City\"` for the source";

/// Reads a zone's name: IANA names with their old spellings (`US/Eastern`, `UTC`), and offsets (`-05:00`).
///
/// Nothing else: `UTC-5` is read by PHP's users as five hours behind and by POSIX as five hours ahead.
pub(super) fn parse(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    if name.starts_with(['+', '-']) {
        return DateTimeParser::new().parse_time_zone(name).ok();
    }
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())
}

/// The zone's name in a row of `site_info/get`.
pub(super) fn of_site(row: &str) -> Option<String> {
    let row: Value = serde_json::from_str(row).ok()?;
    ["timezone", "time_zone"]
        .iter()
        .filter_map(|name| row.get(name)?.as_str())
        .map(str::trim)
        .find(|name| !name.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{of_site, parse};

    #[test]
    fn names_of_every_age_and_offsets_are_zones() {
        for name in ["America/New_York", "america/new_york", "US/Eastern", "UTC", " Europe/London ", "-05:00", "+0530"]
        {
            assert!(parse(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_no_zone() {
        for name in ["", "UTC-5", "GMT+2 (Berlin)", "Eastern", "Etc/Unknown", "5", "-", "+99:00", "EST5EDT4"] {
            assert!(parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_site_names_its_zone_in_either_spelling() {
        assert_eq!(of_site(r#"{"timezone":"US/Eastern"}"#).as_deref(), Some("US/Eastern"));
        assert_eq!(of_site(r#"{"timezone":"","time_zone":" UTC "}"#).as_deref(), Some("UTC"));
        assert_eq!(of_site(r#"{"timezone":null}"#), None);
        assert_eq!(of_site("[]"), None);
    }
}
