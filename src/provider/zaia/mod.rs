//! Zaia ("Endless" public API, docs.zaia.app, api-reference-alpha).
//!
//! Chats are listed by windows over `lastChatMessageCreatedAt`; their messages are fetched per chat, with no cursor
//! and at most 1,000 at a time. What the reference leaves open is found out and remembered as facts:
//! `pagination` and `pagination_proven` ([`limits`]), `threads` ([`threads`]), `senders` ([`senders`]),
//! `message_order` ([`messages`]) and `page_size` ([`request`]).

mod attachments;
mod check;
mod fetch;
pub(crate) mod fuzzed;
mod limits;
mod messages;
mod normalise;
mod request;
mod senders;
mod shapes;
mod threads;
mod wire;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::http::{FetchError, Http};
use crate::model::{ParticipantKind, ProviderKind, RawRecord, Reject, Row, StreamKey};
use crate::normalise::{is_secret_key, scrub, to_iso};
use crate::provider::{
    Ask, ByExclusion, Checked, Facts, Feed, Fetched, Job, LookedUp, Page, Pass, Provider, Resolution, Shape, Unknown,
    UnknownParticipant,
};

pub use limits::Pagination;

/// So many unknown contacts are asked for one by one; for more, the directory is read.
const LOOKUPS_PER_PASS: usize = 20;
const MISSES_IN_A_ROW: u32 = 5;

/// What a source of this provider can be told.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How the limit on messages is written.
    pub pagination: Pagination,
    /// How far before the watermark windows start again, in milliseconds.
    pub lookback_ms: i64,
}

/// One workspace: the key selects it, nothing in a request names it.
pub struct Zaia {
    http: Http,
    lookback_ms: i64,
    limits: limits::Limits,
    threads: threads::ThreadWatch,
    senders: senders::SenderWatch,
    order: messages::OrderWatch,
    pages: request::PageWatch,
    /// Ids that this process already tried to resolve.
    sought: Mutex<HashSet<String>>,
}

impl Zaia {
    /// Makes the adapter. The authorization header, prefix included, is set on `http`.
    #[must_use]
    pub fn new(http: Http, facts: Arc<Facts>, settings: Settings) -> Self {
        Self {
            http,
            lookback_ms: settings.lookback_ms,
            limits: limits::Limits::new(settings.pagination, Arc::clone(&facts)),
            threads: threads::ThreadWatch::new(Arc::clone(&facts)),
            senders: senders::SenderWatch::new(Arc::clone(&facts)),
            order: messages::OrderWatch::new(Arc::clone(&facts)),
            pages: request::PageWatch::new(facts),
            sought: Mutex::new(HashSet::new()),
        }
    }
}

fn directory(stream: &'static str) -> Feed {
    Feed { optional: true, ..Feed::new(StreamKey::plain(stream), Shape::Pages, request::PAGE_SIZE) }
}

/// The feeds of a pass. Directories come before the chats that refer to them. Details come after: they only add
/// to chats, have no window, and are re-read with every sweep.
fn feeds(pass: &Pass, lookback_ms: i64) -> Vec<Feed> {
    let everything = pass.first || pass.full;
    let chats = Feed {
        lookback_ms,
        // Windows cannot see a chat without messages, a new title, or a removal that adds no message.
        complete: everything,
        ..Feed::new(StreamKey::plain("chats"), Shape::Windows, request::PAGE_SIZE)
    };
    if !everything {
        return vec![chats];
    }
    let mut feeds = vec![directory("channels"), directory("responders"), directory("external_users"), chats];
    // Details name chats of all times, and do not say when they were: a range keeps to the chats that it found.
    if !pass.ranged {
        feeds.push(directory("details"));
    }
    feeds
}

/// What to do about unknown ids, given which of them directories were read for before: those that a directory
/// does not have (a human attendant, say) must not have it read in every pass.
fn resolution(unknown: &Unknown, pass: &Pass, sought: &mut HashSet<String>) -> Resolution {
    // Identities are users, external users, agents, squads and workflows, and users alone have no directory: who is
    // in none of them, and nobody's contact, is a human of the business.
    let nobodys = unknown.participants.iter().filter(|participant| participant.contact_of.is_none());
    let by_exclusion = ByExclusion {
        directories: if pass.first || pass.full { &["responders", "external_users"] } else { &["responders"] },
        participants: nobodys.map(|participant| participant.external_id.clone()).collect(),
        kind: ParticipantKind::Agent,
    };
    let mut resolution =
        Resolution { misses_in_a_row: MISSES_IN_A_ROW, by_exclusion: Some(by_exclusion), ..Resolution::default() };
    if pass.first || pass.full {
        // This pass read every directory already.
        return resolution;
    }
    let new_channels: Vec<String> =
        unknown.channels.iter().map(|id| format!("channel/{id}")).filter(|id| !sought.contains(id)).collect();
    if !new_channels.is_empty() {
        resolution.feeds.push(directory("channels"));
        sought.extend(new_channels);
    }
    let (contacts, others): (Vec<&UnknownParticipant>, Vec<_>) =
        unknown.participants.iter().partition(|participant| participant.contact_of.is_some());
    let mut new_of = |participants: &[&UnknownParticipant], at_most: usize| {
        let keys = participants.iter().map(|participant| format!("participant/{}", participant.external_id));
        let new: Vec<String> = keys.filter(|key| !sought.contains(key)).collect();
        let many = new.len() > at_most;
        if many {
            sought.extend(new);
        }
        many
    };
    if new_of(&others, 0) {
        resolution.feeds.push(directory("responders"));
    }
    if new_of(&contacts, LOOKUPS_PER_PASS) {
        resolution.feeds.push(directory("external_users"));
    } else {
        resolution.lookups.extend(contacts.into_iter().take(LOOKUPS_PER_PASS).cloned());
    }
    resolution
}

/// The records of a page of a feed.
fn records(stream: &str, rows: Vec<Box<serde_json::value::RawValue>>) -> Vec<RawRecord> {
    let record = |json: Box<serde_json::value::RawValue>| {
        let peek = wire::Peek::of(&json);
        let time = peek.last_chat_message_created_at.filter(|_| stream == "chats");
        // A channel's settings may hold keys of the channel's own provider.
        let clean = if matches!(stream, "chats" | "details") { None } else { scrub(&json, is_secret_key) };
        wire::record(peek.id, time.as_deref().and_then(wire::millis), clean.unwrap_or(json))
    };
    rows.into_iter().map(record).collect()
}

#[async_trait]
impl Provider for Zaia {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Zaia
    }

    async fn prepare(&self, pass: &Pass) -> Result<(), FetchError> {
        // Here, not in `plan`: that is asked for more than once in a pass.
        self.threads.renew(pass);
        self.pages.renew(pass.first || pass.full);
        Ok(())
    }

    fn plan(&self, pass: &Pass) -> Vec<Feed> {
        feeds(pass, self.lookback_ms)
    }

    async fn page(&self, stream: &StreamKey, ask: &Ask) -> Result<Page, FetchError> {
        let asked = request::list_path(stream.stream).zip(request::list_query(stream.stream, ask, to_iso));
        let Some((rest, (query, limit))) = asked else {
            return Err(FetchError::Rejected {
                endpoint: stream.to_string(),
                status: 400,
                detail: "this list cannot be asked that way".to_owned(),
            });
        };
        let rows = self.list(&request::path(rest), &query).await?;
        let (Ask::Number { number, .. } | Ask::Window { number, .. }) = ask else { return Ok(Page::default()) };
        let last = Some(self.pages.is_last(stream.stream, *number, rows.len(), limit));
        Ok(Page { records: records(stream.stream, rows), last, ..Page::default() })
    }

    async fn conversation(&self, job: &Job, _page: Option<&str>) -> Result<Fetched, FetchError> {
        self.fetch(job).await
    }

    fn resolve(&self, unknown: &Unknown, pass: &Pass) -> Resolution {
        resolution(unknown, pass, &mut self.sought.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn lookup(&self, participant: &UnknownParticipant) -> Result<Option<LookedUp>, FetchError> {
        let Some(chat) = participant.contact_of.as_deref() else { return Ok(None) };
        let path = request::path(&["chats", chat, "details"]);
        match self.http.get(&path, &[], wire::read_item).await {
            Ok(json) => {
                let id = wire::Peek::of(&json).id;
                Ok(Some(LookedUp { stream: "details", record: wire::record(id, None, json) }))
            }
            Err(FetchError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn normalise(&self, stream: &str, raw: &RawRecord) -> Result<Vec<Row>, Reject> {
        normalise::normalise(stream, raw)
    }

    async fn check(&self) -> Vec<Checked> {
        check::check(self).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDINARY: Pass = Pass { first: false, full: false, ranged: false };
    const FULL: Pass = Pass { first: false, full: true, ranged: false };

    fn names(feeds: &[Feed]) -> Vec<&str> {
        feeds.iter().map(|feed| feed.key.stream).collect()
    }

    #[test]
    fn an_ordinary_pass_reads_chats_alone_and_a_full_one_everything_around_them() {
        let ordinary = feeds(&ORDINARY, 3_600_000);
        assert_eq!(names(&ordinary), ["chats"]);
        assert_eq!((ordinary[0].complete, ordinary[0].lookback_ms, ordinary[0].optional), (false, 3_600_000, false));
        let full = feeds(&FULL, 0);
        assert_eq!(names(&full), ["channels", "responders", "external_users", "chats", "details"]);
        assert!(full[3].complete);
        assert!(full.iter().all(|feed| feed.optional == (feed.key.stream != "chats")));
    }

    fn unknown(contacts: usize, others: usize) -> Unknown {
        let participant = |id: usize, contact: bool| UnknownParticipant {
            external_id: format!("p{id}"),
            contact_of: contact.then(|| format!("c{id}")),
        };
        let participants = (0..contacts + others).map(|id| participant(id, id < contacts)).collect();
        Unknown { participants, channels: vec!["ch".to_owned()], list_pages: 1, looked_up: 0 }
    }

    #[test]
    fn a_few_contacts_are_looked_up_and_many_are_read_from_the_directory() {
        let few = resolution(&unknown(20, 0), &ORDINARY, &mut HashSet::new());
        assert_eq!((names(&few.feeds), few.lookups.len()), (vec!["channels"], 20));
        let many = resolution(&unknown(21, 1), &ORDINARY, &mut HashSet::new());
        assert_eq!((names(&many.feeds), many.lookups.len()), (vec!["channels", "responders", "external_users"], 0));
    }

    #[test]
    fn no_directory_is_read_twice_for_the_same_ids_or_after_everything_was_read() {
        let mut sought = HashSet::new();
        let full = resolution(&unknown(30, 1), &FULL, &mut sought);
        assert!(full.feeds.is_empty() && full.lookups.is_empty());
        let first = resolution(&unknown(30, 1), &ORDINARY, &mut sought);
        assert_eq!((first.feeds.len(), first.lookups.len()), (3, 0));
        let again = resolution(&unknown(30, 1), &ORDINARY, &mut sought);
        assert_eq!((again.feeds.len(), again.lookups.len()), (0, 20), "what the directory lacks is asked for singly");
    }

    #[test]
    fn keys_in_a_channel_s_settings_are_not_kept() {
        let rows = wire::read_list(include_bytes!("../../../tests/fixtures/zaia/channels.json")).unwrap();
        let records = records("channels", rows);
        assert_eq!(records.len(), 6);
        assert!(records.iter().all(|record| !record.json.get().contains("token") && record.key.is_none()));
    }

    #[test]
    fn chats_carry_the_time_of_their_window() {
        let rows = wire::read_list(
            br#"[{"id":"a","lastChatMessageCreatedAt":"2026-01-02T10:00:00.001999Z"},
                 {"id":"b","lastChatMessageCreatedAt":null},{"id":"c","lastChatMessageCreatedAt":"soon"},{"id":"d"}]"#,
        )
        .unwrap();
        let keys: Vec<_> = records("chats", rows).iter().map(|record| record.key).collect();
        assert_eq!(keys, [wire::millis("2026-01-02T10:00:00.001Z"), None, None, None]);
        assert!(keys[0].is_some());
    }
}
