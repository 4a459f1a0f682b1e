//! From the digest to what is drawn: sums of a range of days, stretches of time, hours of the week.

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use serde::Serialize;

use super::ask::Ask;
use super::reader::Zone;
use super::trouble::Trouble;
use crate::store::browse::{Day, Digest, QUARTER_MS};

const DAY_MS: i64 = 86_400_000;

/// Days back from today, today included; `None`: all there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) days: Option<i64>,
    /// Days since 1970 UTC, both included.
    from: i64,
    to: i64,
}

pub(super) const RANGES: [(&str, &str); 4] = [("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("all", "all")];

impl Range {
    /// What was asked for; 90 days otherwise.
    pub(super) fn of(ask: &Ask, digest: &Digest, now_ms: i64) -> Result<Self, Trouble> {
        let asked = ask.one_of("days", &RANGES.map(|(value, _)| value))?;
        let to = now_ms.div_euclid(DAY_MS);
        let days = match asked.as_deref() {
            Some("all") => None,
            Some(days) => days.parse().ok(),
            None => Some(90),
        };
        let earliest = digest.days.keys().next().map_or(to, |(day, _)| *day).min(to);
        Ok(Self { days, from: days.map_or(earliest, |days| to - days + 1), to })
    }

    pub(super) fn value(self) -> String {
        self.days.map_or("all".to_owned(), |days| days.to_string())
    }

    fn holds(self, day: i64) -> bool {
        (self.from..=self.to).contains(&day)
    }

    pub(super) fn since(self) -> String {
        date(self.from).to_string()
    }

    /// Stretches short enough to tell something, and few enough to be drawn.
    fn step(self) -> Step {
        match self.to.saturating_sub(self.from) {
            ..101 => Step::Day,
            101..801 => Step::Week,
            _ => Step::Month,
        }
    }
}

/// How long one stretch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Day,
    Week,
    Month,
}

impl Step {
    fn begin(self, day: i64) -> Date {
        let date = date(day);
        match self {
            Self::Day => date,
            Self::Week => date
                .nth_weekday(-1, Weekday::Monday)
                .map_or(date, |monday| if date.weekday() == Weekday::Monday { date } else { monday }),
            Self::Month => date.first_of_month(),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

fn date(day: i64) -> Date {
    let at = jiff::Timestamp::from_millisecond(day.saturating_mul(DAY_MS)).unwrap_or_default();
    jiff::tz::TimeZone::UTC.to_datetime(at).date()
}

/// Sums over some days.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Sums {
    pub(super) conversations: u64,
    pub(super) contact_messages: i64,
    pub(super) bot_messages: i64,
    pub(super) agent_messages: i64,
    /// Conversations with a provider that has bots: `contained` and `escalated` are shares of these.
    pub(super) with_bots: u64,
    /// `None`, like `escalated`: there are no such conversations, which is not the same as none of them.
    pub(super) contained: Option<u64>,
    pub(super) escalated: Option<u64>,
    pub(super) unanswered: u64,
    /// First responses whose time is known.
    pub(super) first_responses: usize,
    pub(super) first_response_median_seconds: Option<f64>,
    pub(super) first_response_p90_seconds: Option<f64>,
    #[serde(skip)]
    responses_ms: Vec<i64>,
}

impl Sums {
    fn add(&mut self, day: &Day) {
        self.conversations += day.conversations;
        self.contact_messages += day.contact_messages;
        self.bot_messages += day.bot_messages;
        self.agent_messages += day.agent_messages;
        self.with_bots += day.with_bots;
        if day.with_bots > 0 {
            *self.contained.get_or_insert_default() += day.contained;
            *self.escalated.get_or_insert_default() += day.escalated;
        }
        self.unanswered += day.unanswered;
        self.responses_ms.extend_from_slice(&day.first_responses);
    }

    /// The same arithmetic as in `v_response_quantiles`.
    fn settle(mut self) -> Self {
        let mut responses = std::mem::take(&mut self.responses_ms);
        responses.sort_unstable();
        let n = responses.len();
        let at = |place: usize| responses.get(place.saturating_sub(1)).map(|ms| *ms as f64 / 1000.0);
        self.first_responses = n;
        self.first_response_median_seconds =
            at(n.div_ceil(2)).zip(at((n + 2) / 2)).map(|(low, high)| f64::midpoint(low, high));
        self.first_response_p90_seconds = at((n * 9).div_ceil(10).max(1));
        self
    }
}

/// All of the range.
pub(super) fn total(digest: &Digest, range: Range) -> Sums {
    let mut sums = Sums::default();
    digest.days.iter().filter(|((day, _), _)| range.holds(*day)).for_each(|(_, day)| sums.add(day));
    sums.settle()
}

/// One stretch of time.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stretch {
    /// Its first day, in UTC.
    pub(super) from: String,
    #[serde(flatten)]
    pub(super) sums: Sums,
}

/// The range in stretches, empty ones included.
pub(super) fn stretches(digest: &Digest, range: Range) -> (Step, Vec<Stretch>) {
    let step = range.step();
    let mut all: BTreeMap<Date, Sums> = BTreeMap::new();
    // Twenty thousand days are 54 years: no time that a provider tells is older (times before 1990 are not believed).
    for day in range.from.max(range.to - 20_000)..=range.to {
        all.entry(step.begin(day)).or_default();
    }
    for ((day, _), of_day) in digest.days.iter().filter(|((day, _), _)| range.holds(*day)) {
        if let Some(sums) = all.get_mut(&step.begin(*day)) {
            sums.add(of_day);
        }
    }
    let told = all.into_iter().map(|(from, sums)| Stretch { from: from.to_string(), sums: sums.settle() });
    (step, told.collect())
}

/// A day of a source.
#[derive(Debug, Serialize)]
pub(super) struct DayOfSource {
    day: String,
    source: String,
    #[serde(flatten)]
    sums: Sums,
}

/// Day by day and source by source, only where something began.
pub(super) fn daily(digest: &Digest, range: Range, source: Option<&str>) -> Vec<DayOfSource> {
    let name = |at: usize| digest.sources.get(at).map(|source| source.name.clone()).unwrap_or_default();
    digest
        .days
        .iter()
        .filter(|((day, _), _)| range.holds(*day))
        .map(|((day, at), figures)| {
            let mut sums = Sums::default();
            sums.add(figures);
            DayOfSource { day: date(*day).to_string(), source: name(*at), sums: sums.settle() }
        })
        .filter(|day| source.is_none_or(|source| source == day.source))
        .collect()
}

/// The range of each source.
#[derive(Debug, Serialize)]
pub(super) struct OfSource {
    pub(super) source: String,
    pub(super) provider: String,
    #[serde(flatten)]
    pub(super) sums: Sums,
}

pub(super) fn by_source(digest: &Digest, range: Range) -> Vec<OfSource> {
    let of = |at: usize| {
        let mut sums = Sums::default();
        let days = digest.days.iter().filter(|((day, source), _)| *source == at && range.holds(*day));
        days.for_each(|(_, day)| sums.add(day));
        sums.settle()
    };
    let sources = digest.sources.iter().enumerate();
    sources
        .map(|(at, source)| OfSource { source: source.name.clone(), provider: source.provider.clone(), sums: of(at) })
        .collect()
}

/// Contact messages by weekday (0 is Sunday) and hour on the clocks of a zone.
pub(super) fn hours(digest: &Digest, range: Range, zone: &Zone) -> [[u64; 24]; 7] {
    let mut week = [[0_u64; 24]; 7];
    let first = |day: i64| day.saturating_mul(DAY_MS) / QUARTER_MS;
    let quarters = first(range.from)..first(range.to.saturating_add(1)).max(first(range.from));
    for (quarter, messages) in digest.asked.range(quarters) {
        let Ok(at) = jiff::Timestamp::from_millisecond(quarter.saturating_mul(QUARTER_MS)) else { continue };
        let local = zone.zone.to_datetime(at);
        let weekday = usize::try_from(local.weekday().to_sunday_zero_offset()).unwrap_or(0);
        let hour = usize::try_from(local.hour()).unwrap_or(0);
        if let Some(cell) = week.get_mut(weekday).and_then(|day| day.get_mut(hour)) {
            *cell += u64::from(*messages);
        }
    }
    week
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        let day = |ms: &[i64]| Day { conversations: 2, first_responses: ms.to_vec(), ..Day::default() };
        Digest {
            rev: 1,
            zone: "UTC".to_owned(),
            days: BTreeMap::from([
                ((10, 0), day(&[4_000, 1_000])),
                ((12, 0), day(&[2_000])),
                ((500, 0), day(&[9_000])),
            ]),
            sources: vec![crate::store::browse::SourceSums { name: "a".to_owned(), ..Default::default() }],
            asked: BTreeMap::from([(0, 3), (4, 1)]),
            waiting: Vec::new(),
            waiting_count: 0,
        }
    }

    fn range(query: &str, now_day: i64) -> Range {
        let ask = Ask::of(&format!("/?{query}").parse().unwrap(), &["days"]).unwrap();
        Range::of(&ask, &digest(), now_day * DAY_MS).unwrap()
    }

    #[test]
    fn a_range_has_its_days_and_no_others() {
        let (step, told) = stretches(&digest(), range("days=30", 12));
        assert_eq!((step, told.len()), (Step::Day, 30));
        assert_eq!(told.last().unwrap().from, "1970-01-13");
        assert_eq!(total(&digest(), range("days=30", 12)).conversations, 4);
        let all = total(&digest(), range("days=all", 600));
        assert_eq!((all.conversations, all.first_responses), (6, 4));
        assert_eq!((all.first_response_median_seconds, all.first_response_p90_seconds), (Some(3.0), Some(9.0)));
        let (step, told) = stretches(&digest(), range("days=all", 600));
        assert_eq!((step, told[0].from.as_str()), (Step::Week, "1970-01-05"));
        assert_eq!(told.iter().map(|week| week.sums.conversations).sum::<u64>(), 6);
        assert_eq!(stretches(&digest(), range("days=all", 2_000)).0, Step::Month);
    }

    #[test]
    fn days_beyond_all_reason_do_no_harm() {
        for far in [i64::MIN / 1_000, i64::MIN / DAY_MS - 1, i64::MIN] {
            let mut odd = digest();
            odd.days.insert((far, 0), Day::default());
            odd.asked.insert(i64::MIN, 1);
            let ask = Ask::of(&"/?days=all".parse().unwrap(), &["days"]).unwrap();
            let all = Range::of(&ask, &odd, 600 * DAY_MS).unwrap();
            assert_eq!(hours(&odd, all, &Zone::utc()).iter().flatten().sum::<u64>(), 4);
            assert!(!stretches(&odd, all).1.is_empty());
        }
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let ask = Ask::of(&"/?zone=Asia/Kolkata".parse().unwrap(), &["zone"]).unwrap();
        let zone = Zone::of(&ask, "UTC").unwrap();
        let week = hours(&digest(), range("days=all", 600), &Zone::utc());
        assert_eq!((week[4][0], week[4][1]), (0, 0), "before the first day of the range");
        let mut early = digest();
        early.days.insert((0, 0), Day::default());
        let ask = Ask::of(&"/?days=all".parse().unwrap(), &["days"]).unwrap();
        let all = Range::of(&ask, &early, 600 * DAY_MS).unwrap();
        let week = hours(&early, all, &Zone::utc());
        assert_eq!((week[4][0], week[4][1]), (3, 1));
        // Half past five there.
        let week = hours(&early, all, &zone);
        assert_eq!((week[4][5], week[4][6]), (3, 1));
    }
}
