//! For `crate::fuzzing`: a body read as the answer to every question that this provider is asked.

use jiff::tz::TimeZone;

use super::stream::{Asked, MESSAGES, THREAD_IDS, THREADS, USERS, list};
use super::{fetch, normalise, users, wire, zone};
use crate::normalise::to_site_digits;
use crate::provider::fuzzed::Normalised;

/// 01:30 for the second time, on the day on which clocks in New York go back.
const ASKED_MS: i64 = 1_793_514_600_000;
/// Whom a look-up was for.
const MEMBER: &str = "4711";

/// Threads, changed threads, messages, a member by token and by number, and the site's zone.
pub(crate) fn read(body: &[u8]) -> Vec<Normalised> {
    let mut read = Vec::new();
    let zone = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
    for stream in [THREAD_IDS, THREADS, MESSAGES] {
        let (Ok(envelope), Some(list)) = (wire::read(body), list(stream)) else { continue };
        let asked = Asked { after_ms: ASKED_MS, digits: to_site_digits(ASKED_MS, &zone) };
        let page = fetch::page_of(list, envelope, Some(&zone), list.timed.then_some(&asked));
        read.extend(page.records.into_iter().map(|raw| {
            let rows =
                if stream == MESSAGES { normalise::message(&raw, &zone) } else { normalise::thread(&raw, &zone) };
            (stream, raw, rows)
        }));
    }
    for by_id in [false, true] {
        let Some(row) = wire::read(body).ok().and_then(|envelope| users::accept(envelope, MEMBER, by_id)) else {
            continue;
        };
        let raw = users::record(MEMBER, &row);
        let rows = users::normalise(&raw);
        read.push((USERS, raw, rows));
    }
    if let Ok(envelope) = wire::read(body) {
        for row in &envelope.rows {
            drop(zone::of_site(row.get()).and_then(|name| zone::parse(&name)));
        }
    }
    read
}
