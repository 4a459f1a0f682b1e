//! Brilliant Directories: the member chat of a directory site, read through its REST API v2.
//!
//! Threads and messages are two tables with immutable numeric ids, so both are read as a keyset; threads are asked
//! for a second time by their modification time. Members appear as opaque tokens and are looked up one by one.
//! `query` builds the questions, `wire` reads the envelope, `stream` makes raw records of rows, `fetch` joins these
//! to the client; `normalise` and `users` are pure; `check` serves `chatloom check`.

mod check;
mod fetch;
pub(crate) mod fuzzed;
mod normalise;
mod query;
mod stream;
mod users;
mod wire;
mod zone;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::tz::TimeZone;

use crate::http::{FetchError, Http};
use crate::model::{ProviderKind, RawRecord, Reject, Row, StreamKey};
use crate::provider::{
    Ask, Checked, Counted, Facts, Feed, Fetched, Job, LookedUp, Page, Pass, Provider, Resolution, Shape, Unknown,
    UnknownParticipant,
};
use stream::{MESSAGES, THREAD_IDS, THREADS, USERS};

/// Name of the fact that holds the site's time zone.
const ZONE_FACT: &str = "timezone";
/// Name of the fact that tells who named the zone: `site` or `settings`.
const ZONE_ORIGIN_FACT: &str = "timezone_origin";

/// Look-ups that a pass may always make.
const LOOKUPS_ALWAYS: u64 = 5;
/// Misses in a row after which a site is taken to refuse look-ups by token.
const MISSES_IN_A_ROW: u32 = 5;

/// What the configuration says about a source of this provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The site's time zone (`Area/City`, or an offset such as `-05:00`). `None`: the site is asked.
    pub timezone: Option<String>,
    /// How far before the watermark changed threads are read again, in milliseconds (default two hours, which
    /// covers the hour that clocks repeat).
    pub lookback_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timezone: None, lookback_ms: 2 * 60 * 60 * 1000 }
    }
}

/// One directory site.
pub struct BrilliantDirectories {
    http: Http,
    facts: Arc<Facts>,
    settings: Settings,
    /// The zone that was read last, by its name: reading one costs more than reading a time.
    zone: Mutex<Option<(String, TimeZone)>>,
    /// In this pass no further list is proven to be empty: one is enough where nothing but news is asked for.
    proven_empty: AtomicBool,
    /// A first pass or a full one is under way, which proves each.
    thorough: AtomicBool,
}

impl BrilliantDirectories {
    /// Makes the adapter of one site. `http` carries the key in the header `X-Api-Key`.
    #[must_use]
    pub fn new(http: Http, facts: Arc<Facts>, settings: Settings) -> Self {
        Self {
            http,
            facts,
            settings,
            zone: Mutex::new(None),
            proven_empty: AtomicBool::new(false),
            thorough: AtomicBool::new(true),
        }
    }

    /// The site's zone, as far as it is known: the setting, else what the site said.
    fn zone(&self) -> Option<TimeZone> {
        let name = self.settings.timezone.clone().or_else(|| self.facts.get(ZONE_FACT))?;
        let mut read = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, zone)) = read.as_ref()
            && *known == name
        {
            return Some(zone.clone());
        }
        let zone = zone::parse(&name)?;
        *read = Some((name, zone.clone()));
        Some(zone)
    }

    fn remember_zone(&self, name: &str, origin: &str) {
        self.facts.set(ZONE_FACT, name);
        self.facts.set(ZONE_ORIGIN_FACT, origin);
    }
}

#[async_trait]
impl Provider for BrilliantDirectories {
    fn kind(&self) -> ProviderKind {
        ProviderKind::BrilliantDirectories
    }

    async fn prepare(&self, pass: &Pass) -> Result<(), FetchError> {
        self.proven_empty.store(false, Ordering::Relaxed);
        self.thorough.store(pass.first || pass.full, Ordering::Relaxed);
        if let Some(name) = &self.settings.timezone {
            if zone::parse(name).is_none() {
                let detail = format!("the configured time zone is not known; {}", zone::ADVICE);
                return Err(FetchError::Rejected { endpoint: "timezone".to_owned(), status: 0, detail });
            }
            self.remember_zone(name, "settings");
            return Ok(());
        }
        // A zone that only the configuration once named says nothing about the site.
        let known = self.facts.get(ZONE_ORIGIN_FACT).as_deref() != Some("settings") && self.zone().is_some();
        if known && !pass.full {
            return Ok(());
        }
        match self.site_zone().await {
            Ok(name) => self.remember_zone(&name, "site"),
            Err(error @ FetchError::Cancelled) => return Err(error),
            // What the site once said holds until it says something else.
            Err(error) if known => tracing::warn!(%error, "the site's time zone could not be asked for again"),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn is_prepared(&self) -> bool {
        self.zone().is_some()
    }

    async fn count(&self) -> Result<Vec<Counted>, FetchError> {
        let mut counts = Vec::new();
        for stream in [THREAD_IDS, MESSAGES] {
            let page = self.page(&StreamKey::plain(stream), &Ask::Newest { limit: 1 }).await?;
            counts.extend(page.total.map(|total| Counted { stream: self.record_stream(stream), total }));
        }
        Ok(counts)
    }

    fn plan(&self, pass: &Pass) -> Vec<Feed> {
        feeds(pass, self.settings.lookback_ms, |stream| self.page_size(stream))
    }

    async fn page(&self, stream: &StreamKey, ask: &Ask) -> Result<Page, FetchError> {
        self.list_page(stream, ask).await
    }

    async fn conversation(&self, _job: &Job, _page: Option<&str>) -> Result<Fetched, FetchError> {
        Err(fetch::never("messages are one list here and are not fetched by conversation".to_owned()))
    }

    fn resolve(&self, unknown: &Unknown, pass: &Pass) -> Resolution {
        look_ups(unknown, pass)
    }

    async fn lookup(&self, participant: &UnknownParticipant) -> Result<Option<LookedUp>, FetchError> {
        let record = self.look_up(&participant.external_id).await?;
        Ok(record.map(|record| LookedUp { stream: USERS, record }))
    }

    fn normalise(&self, stream: &str, raw: &RawRecord) -> Result<Vec<Row>, Reject> {
        if stream == USERS {
            return users::normalise(raw);
        }
        let zone = self.zone().ok_or_else(|| Reject::normalise("$", "the site's time zone is not known"))?;
        match stream {
            THREAD_IDS | THREADS => normalise::thread(raw, &zone),
            MESSAGES => normalise::message(raw, &zone),
            _ => Err(Reject::normalise("$", "not a stream of this provider")),
        }
    }

    fn conversation_of(&self, stream: &str, raw: &RawRecord) -> Option<String> {
        (stream == MESSAGES).then(|| stream::thread_of(&raw.json)).flatten()
    }

    fn record_stream(&self, stream: &'static str) -> &'static str {
        if stream == THREAD_IDS { THREADS } else { stream }
    }

    fn timezone(&self) -> Option<String> {
        self.settings.timezone.clone().or_else(|| self.facts.get(ZONE_FACT))
    }

    fn advice(&self, error: &FetchError) -> Option<String> {
        match error {
            FetchError::Unauthorized { .. } => {
                Some("make or check the key in Developer Hub, API keys, and see that it is active".to_owned())
            }
            // Any other refusal of an endpoint says itself what to allow: see `ask`.
            FetchError::Forbidden { detail, .. } if fetch::is_firewalls(detail) => Some(
                "try again later; if it stays so, ask the site's support to let this machine's address through"
                    .to_owned(),
            ),
            FetchError::Unavailable { unreachable: true, .. } => {
                Some("check base_url and this machine's network".to_owned())
            }
            _ => None,
        }
    }

    async fn check(&self) -> Vec<Checked> {
        self.check_all().await
    }
}

/// The feeds of a pass. Threads are asked for a second time, by their changes, unless all of them are read anyway.
///
/// A thread's time never decides whether its messages are read: some clients add messages without touching it.
fn feeds(pass: &Pass, lookback_ms: i64, page_size: impl Fn(&str) -> u32) -> Vec<Feed> {
    let feed = |stream, shape| Feed::new(StreamKey::plain(stream), shape, page_size(stream));
    let mut feeds = vec![Feed { complete: pass.full, ..feed(THREAD_IDS, Shape::Ids) }];
    if !pass.first && !pass.full {
        feeds.push(Feed { lookback_ms, ..feed(THREADS, Shape::Changes) });
    }
    feeds.push(Feed { complete: pass.full, ..feed(MESSAGES, Shape::Ids) });
    feeds
}

/// The look-ups that a pass may make: member records are heavy, and the site's rate is low. A pass that reads all lists
/// may make one for twenty of their pages. What a first pass may make does not depend on how often it was cut short.
fn look_ups(unknown: &Unknown, pass: &Pass) -> Resolution {
    let share = if pass.first || pass.full { unknown.list_pages / 20 } else { 0 };
    let made = if pass.first { unknown.looked_up } else { 0 };
    let budget = usize::try_from(share.max(LOOKUPS_ALWAYS).saturating_sub(made)).unwrap_or(usize::MAX);
    let wanted = unknown.participants.iter().filter(|one| !one.external_id.trim().is_empty());
    Resolution {
        lookups: wanted.take(budget).cloned().collect(),
        misses_in_a_row: MISSES_IN_A_ROW,
        ..Resolution::default()
    }
}

#[cfg(test)]
mod site_tests;

#[cfg(test)]
mod tests {
    use super::{Settings, feeds, look_ups};
    use crate::provider::{Pass, Shape, Unknown, UnknownParticipant};

    fn planned(first: bool, full: bool) -> Vec<(&'static str, Shape, bool, i64)> {
        let feeds = feeds(&Pass { first, full, ranged: false }, Settings::default().lookback_ms, |_| 100);
        feeds.iter().map(|feed| (feed.key.stream, feed.shape, feed.complete, feed.lookback_ms)).collect()
    }

    #[test]
    fn threads_come_before_their_messages() {
        const TWO_HOURS: i64 = 7_200_000;
        assert_eq!(
            planned(false, false),
            [
                ("thread_ids", Shape::Ids, false, 0),
                ("threads", Shape::Changes, false, TWO_HOURS),
                ("messages", Shape::Ids, false, 0)
            ]
        );
        assert_eq!(planned(true, false), [("thread_ids", Shape::Ids, false, 0), ("messages", Shape::Ids, false, 0)]);
        let full = [("thread_ids", Shape::Ids, true, 0), ("messages", Shape::Ids, true, 0)];
        assert_eq!((planned(false, true).as_slice(), planned(true, true).as_slice()), (&full[..], &full[..]));
    }

    #[test]
    fn look_ups_take_a_small_share_of_a_pass() {
        let unknown = |count: usize, list_pages, looked_up| Unknown {
            participants: (0..count)
                .map(|n| UnknownParticipant { external_id: format!("token{n}"), contact_of: None })
                .chain([UnknownParticipant { external_id: " ".to_owned(), contact_of: None }])
                .collect(),
            channels: Vec::new(),
            list_pages,
            looked_up,
        };
        let [ordinary, first, full] =
            [(false, false), (true, false), (false, true)].map(|(first, full)| Pass { first, full, ranged: false });
        let made = |count, pages, before, pass| look_ups(&unknown(count, pages, before), pass).lookups.len();
        assert_eq!([0, 19, 119, 1000].map(|pages| made(100, pages, 0, &first)), [5, 5, 5, 50]);
        assert_eq!((made(100, 1000, 40, &first), made(100, 1000, 60, &first)), (10, 0), "cut short and gone on with");
        assert_eq!((made(100, 1000, 40, &full), made(100, 1000, 40, &ordinary)), (50, 5));
        assert_eq!((made(2, 1000, 0, &first), made(0, 1000, 0, &first)), (2, 0));
        assert_eq!(look_ups(&unknown(9, 0, 0), &first).misses_in_a_row, 5);
    }
}
