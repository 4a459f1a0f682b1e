//! The reader of a page: in whose zone times are told, and how.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::ask::{Ask, short};
use super::trouble::Trouble;
use crate::page::which;
use crate::store::browse::iso;

/// A zone by its name, as `?zone=` or the `[reporting]` table names it.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) zone: TimeZone,
    /// It was chosen for this page, so links carry it along.
    pub(super) chosen: bool,
}

impl Zone {
    /// The zone that was asked for, or the one that the store reports in.
    ///
    /// # Errors
    /// Nobody knows the zone.
    pub(super) fn of(ask: &Ask, reporting: &str) -> Result<Self, Trouble> {
        let asked = ask.text("zone");
        let name = asked.unwrap_or(reporting);
        let plain =
            name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
        match TimeZone::get(name).ok().filter(|_| plain) {
            Some(zone) => Ok(Self { name: name.to_owned(), zone, chosen: asked.is_some() }),
            None => Err(Trouble::Refused(format!(
                "there is no time zone {:?}; zones are named such as Europe/Lisbon or America/New_York",
                short(name)
            ))),
        }
    }

    pub(super) fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC, chosen: false }
    }

    /// A time of day, with its offset where clocks going back make it come twice.
    fn exact(&self, ms: i64, how: &str) -> String {
        match (self.written(ms, how), jiff::Timestamp::from_millisecond(ms)) {
            (Some(shown), Ok(at)) => shown + &which(&self.zone, at),
            _ => ms.to_string(),
        }
    }

    fn written(&self, ms: i64, how: &str) -> Option<String> {
        let at = self.zone.to_datetime(jiff::Timestamp::from_millisecond(ms).ok()?);
        jiff::fmt::strtime::format(how, at).ok()
    }

    /// A moment, to the minute; exact and in UTC for machines and on hovering.
    pub(super) fn time(&self, ms: i64) -> Markup {
        let shown = self.exact(ms, "%-d %b %Y, %H:%M");
        self.told(ms, &shown)
    }

    /// The time of day alone.
    pub(super) fn clock(&self, ms: i64) -> Markup {
        let shown = self.exact(ms, "%H:%M");
        self.told(ms, &shown)
    }

    /// The day alone, in words.
    pub(super) fn day(&self, ms: i64) -> String {
        self.written(ms, "%A, %-d %B %Y").unwrap_or_default()
    }

    fn told(&self, ms: i64, shown: &str) -> Markup {
        let exact = iso(ms);
        let title = format!("{} UTC", exact.replace('T', " ").replace('Z', ""));
        html! { time datetime=(exact) title=(title) { (shown) } }
    }

    pub(super) fn time_or(&self, ms: Option<i64>, otherwise: &str) -> Markup {
        match ms {
            Some(ms) => self.time(ms),
            None => html! { (otherwise) },
        }
    }
}

/// How long, in one unit.
pub(super) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    match seconds {
        s if s < 10.0 && s.fract() > 0.05 => format!("{s:.1} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6_000.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// A number with thin groups of three.
pub(super) fn number(n: impl TryInto<i64>) -> String {
    let digits = n.try_into().unwrap_or(i64::MAX).to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many of something.
pub(super) fn count(n: i64, one: &str, more: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { more })
}

/// A share in whole percent.
pub(super) fn percent(part: u64, whole: u64) -> Option<u64> {
    (whole > 0).then(|| (part * 100 + whole / 2) / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_readers_zone_and_exactly_in_utc() {
        let ask = Ask::of(&"/?zone=America/New_York".parse().unwrap(), &["zone"]).unwrap();
        let zone = Zone::of(&ask, "UTC").unwrap();
        assert_eq!(
            zone.time(1_772_359_200_120).into_string(),
            "<time datetime=\"2026-03-01T10:00:00.120Z\" title=\"2026-03-01 10:00:00.120 UTC\">1 Mar 2026, 05:00</time>"
        );
        // Half past one comes twice on the day that clocks go back.
        for (ms, told) in [(1_793_511_000_000, "01:30 -04:00<"), (1_793_514_600_000, "01:30 -05:00<")] {
            assert!(zone.time(ms).into_string().contains(told) && zone.clock(ms).into_string().contains(told));
        }
        for wrong in ["../etc/passwd", "Mars/Phobos", "%00", "EST5EDT,M3.2.0"] {
            let ask = Ask::of(&format!("/?zone={wrong}").parse().unwrap(), &["zone"]).unwrap();
            assert!(Zone::of(&ask, "UTC").is_err(), "{wrong}");
        }
    }

    #[test]
    fn figures_read_well() {
        let told: Vec<String> = [0.0, 3.25, 42.0, 300.0, 7_200.0, 400_000.0].map(span).into();
        assert_eq!(told, ["0 s", "3.2 s", "42 s", "5 min", "2 h", "5 days"]);
        let told: Vec<String> = [0, 999, 1_000, -1_234_567].map(number).into();
        assert_eq!(told, ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!((percent(1, 3), percent(0, 0)), (Some(33), None));
    }
}
