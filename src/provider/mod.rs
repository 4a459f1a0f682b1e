//! What chatloom asks of a provider, and the recipe for adding one.
//!
//! To add a provider: (1) a folder here with `wire` (shapes as sent), `fetch` (requests) and `normalise` (pure);
//! (2) a value of [`ProviderKind`] and one arm in `app`; (3) a simulator in `sim`; (4) fixtures in
//! `tests/fixtures/<provider>`. Nothing else changes: walking, committing, cursors and retries are shared.

use async_trait::async_trait;

use crate::http::FetchError;
use crate::model::{ProviderKind, RawRecord, Reject, Row, StreamKey};

pub use facts::Facts;

pub mod brilliant_directories;
mod facts;
pub(crate) mod fuzzed;
pub mod sitegpt;
pub mod zaia;

/// One remote account that conversations are copied from.
///
/// `page`, `conversation` and `lookup` are network only; `normalise` is pure; neither sees the store.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Which provider this is.
    fn kind(&self) -> ProviderKind;

    /// Learns what a pass needs to know first (a site's time zone). What was learnt is kept in [`Facts`]; a full pass
    /// looks whether it still holds.
    ///
    /// # Errors
    /// Without it nothing can be read: the whole source stops, saying what to do.
    async fn prepare(&self, _pass: &Pass) -> Result<(), FetchError> {
        Ok(())
    }

    /// Whether [`Provider::normalise`] has all that it rests on, without anything being asked for.
    fn is_prepared(&self) -> bool {
        true
    }

    /// How many records the provider says its lists hold, for `chatloom verify`. Nothing where it does not count.
    ///
    /// # Errors
    /// See [`FetchError`].
    async fn count(&self) -> Result<Vec<Counted>, FetchError> {
        Ok(Vec::new())
    }

    /// The feeds of a pass, in the order in which they are read.
    fn plan(&self, pass: &Pass) -> Vec<Feed>;

    /// The feeds that follow from the ids that a feed with `fans_out` brought (SiteGPT: a thread list per chatbot).
    fn fan_out(&self, _feed: &Feed, _ids: &[String], _pass: &Pass) -> Vec<Feed> {
        Vec::new()
    }

    /// One page of a feed.
    async fn page(&self, stream: &StreamKey, ask: &Ask) -> Result<Page, FetchError>;

    /// One page of one conversation's messages (`page` is the `next` of the page before). Feeds whose rows
    /// carry no fingerprint never lead here.
    async fn conversation(&self, job: &Job, page: Option<&str>) -> Result<Fetched, FetchError>;

    /// What can be done about ids that no record has described yet.
    fn resolve(&self, _unknown: &Unknown, _pass: &Pass) -> Resolution {
        Resolution::default()
    }

    /// Asks for one participant. `None` when the provider does not know it.
    async fn lookup(&self, _participant: &UnknownParticipant) -> Result<Option<LookedUp>, FetchError> {
        Ok(None)
    }

    /// Turns one raw record of a stream into rows. Pure: it depends on the record and the facts alone.
    ///
    /// # Errors
    /// The record becomes a dead letter.
    fn normalise(&self, stream: &str, raw: &RawRecord) -> Result<Vec<Row>, Reject>;

    /// The conversation of a message's record, where the record alone tells: if it makes no row, that lacks it.
    fn conversation_of(&self, _stream: &str, _raw: &RawRecord) -> Option<String> {
        None
    }

    /// The stream that the raw records of `stream` are kept under: two streams that bring the same records share it.
    fn record_stream(&self, stream: &'static str) -> &'static str {
        stream
    }

    /// The time zone of the account's clock, where the provider has one.
    fn timezone(&self) -> Option<String> {
        None
    }

    /// What to do about a failed fetch, as a sentence that ends the error message.
    fn advice(&self, error: &FetchError) -> Option<String> {
        match error {
            FetchError::Unauthorized { .. } => Some("check the key of this source".to_owned()),
            FetchError::Forbidden { .. } => Some("give the key the permission, or use another key".to_owned()),
            FetchError::Unavailable { unreachable: true, .. } => {
                Some("check base_url and this machine's network".to_owned())
            }
            _ => None,
        }
    }

    /// Tries key and endpoints for `chatloom check`, one line each.
    async fn check(&self) -> Vec<Checked>;
}

/// One line of `chatloom check`.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What was tried (`key`, `chat_message_items/get`).
    pub what: String,
    /// What came of it, and what to do if it failed.
    pub result: Result<String, String>,
    /// Whether syncing works without it.
    pub optional: bool,
}

/// A count by the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The stream that the records are kept under.
    pub stream: &'static str,
    /// How many of them its list holds, deleted ones that it still lists included.
    pub total: u64,
}

/// What kind of pass is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// No pass over this source ever reached its end.
    pub first: bool,
    /// Everything is read again.
    pub full: bool,
    /// Only what happened in a range is wanted (`backfill --since`, `--until`).
    pub ranged: bool,
}

/// How a feed's rows can be asked for: the rung of the ladder that it starts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Rows have an immutable numeric id, and "greater than" on it can be asked: [`Ask::After`], strictly greater.
    /// Falls to walking the whole list by [`Ask::Token`].
    Ids,
    /// Rows have a modification time, and "at or after" on it can be asked: [`Ask::After`], inclusive.
    /// Read from the watermark less the lookback. Falls to walking the whole list by [`Ask::Token`].
    Changes,
    /// Rows have a time by which windows can be asked ([`Ask::Window`]), and plain numbered pages of all rows.
    Windows,
    /// The server hands out a cursor: [`Ask::Token`] from the start to the end, every pass.
    Cursor,
    /// Numbered pages ([`Ask::Number`]) from the start to the end, every pass.
    Pages,
}

/// A list to read.
#[derive(Debug, Clone)]
pub struct Feed {
    pub key: StreamKey,
    pub shape: Shape,
    /// Rows asked for per page.
    pub page_size: u32,
    /// How far before the watermark reading starts again (`Changes`, `Windows`), in milliseconds.
    pub lookback_ms: i64,
    /// Whether the ids of its records open further feeds.
    pub fans_out: bool,
    /// A feed that only brings names: when it cannot be read, that is a warning.
    pub optional: bool,
    /// Read in this pass only as a complete enumeration (no watermark), even where the shape has one.
    pub complete: bool,
}

impl Feed {
    /// A feed with no lookback that is essential and opens no others.
    #[must_use]
    pub fn new(key: StreamKey, shape: Shape, page_size: u32) -> Self {
        Self { key, shape, page_size, lookback_ms: 0, fans_out: false, optional: false, complete: false }
    }
}

/// One request for a page of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Rows in ascending order of the key: all of them for `after: None` (no filter is sent), else only those
    /// greater (`Shape::Ids`) or at least as great (`Shape::Changes`). `token` continues the same question.
    After { after: Option<i64>, token: Option<String>, limit: u32 },
    /// The page a server's token names; the first page without one. No filter.
    Token { token: Option<String>, limit: u32 },
    /// Page `number`, counted from 1. No filter.
    Number { number: u32, limit: u32 },
    /// Rows whose key lies in the window, bounds included; an open side is not sent.
    Window { from: Option<i64>, to: Option<i64>, number: u32, limit: u32 },
    /// The rows with the greatest keys, greatest first, without a filter: proof that a filter told the truth.
    Newest { limit: u32 },
}

/// A page of a feed.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub records: Vec<RawRecord>,
    /// How many rows the provider says match the question.
    pub total: Option<u64>,
    /// The token of the following page, where the provider hands one out.
    pub next: Option<String>,
    /// Whether the provider says that this is the last page. `None`: it does not say.
    pub last: Option<bool>,
    /// The provider cannot be asked for further pages of this list at all: what is not on this one is out of reach.
    pub alone: bool,
}

/// A conversation whose messages are to be fetched.
#[derive(Debug, Clone)]
pub struct Job {
    pub external_id: String,
    /// What the list said last: see [`crate::model::ConversationRow`].
    pub reported_messages: Option<i64>,
    /// What the list said last about the newest message, in milliseconds.
    pub reported_last_ms: Option<i64>,
    /// The conversation's stored messages, to see whether a fetch brought news worth a closer look.
    pub stored_messages: i64,
    /// A complete reading of the list did not show it: it may have been removed without its messages saying so.
    pub unlisted: bool,
}

/// What a conversation fetch brought.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// One page of it.
    Page(ConversationPage),
    /// The provider does not have it any more (404 on the item).
    Gone,
}

/// A page of a conversation's messages, with the records that came beside them.
#[derive(Debug, Clone, Default)]
pub struct ConversationPage {
    /// Records to normalise and store, each with the stream it belongs to (`messages`, and for instance `thread`).
    pub records: Vec<(&'static str, RawRecord)>,
    /// Ask again with this for the following page.
    pub next: Option<String>,
    /// Why messages may be missing though every page was read, as a short word (`limit`, `count`, `behind`).
    pub incomplete: Option<&'static str>,
    /// The provider's own count says that what was read is all there is.
    pub whole: bool,
    /// The provider learnt something that makes every conversation of the source worth fetching again.
    pub refetch_all: bool,
}

/// Ids that rows refer to and that no record has described.
#[derive(Debug, Clone, Default)]
pub struct Unknown {
    pub participants: Vec<UnknownParticipant>,
    pub channels: Vec<String>,
    /// Pages of a hundred rows that the source's conversations and messages fill.
    pub list_pages: u64,
    /// Participants that were looked up one by one so far.
    pub looked_up: u64,
}

/// A participant whom no record has described yet.
#[derive(Debug, Clone)]
pub struct UnknownParticipant {
    pub external_id: String,
    /// A conversation of which it is the contact, if there is one.
    pub contact_of: Option<String>,
}

/// What a provider offers to do about [`Unknown`].
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    /// Directories to read again.
    pub feeds: Vec<Feed>,
    /// Single look-ups, one request each.
    pub lookups: Vec<UnknownParticipant>,
    /// So many misses in a row end the look-ups of this pass.
    pub misses_in_a_row: u32,
    /// Who somebody must be whom no directory describes.
    pub by_exclusion: Option<ByExclusion>,
}

/// A conclusion from what directories do not hold: it stands only if all of them were read whole in this pass.
#[derive(Debug, Clone)]
pub struct ByExclusion {
    /// The directories.
    pub directories: &'static [&'static str],
    /// Whom it is about, as far as they are still undescribed afterwards.
    pub participants: Vec<String>,
    /// What they must be.
    pub kind: crate::model::ParticipantKind,
}

/// The record that a look-up brought.
#[derive(Debug, Clone)]
pub struct LookedUp {
    /// The stream it is stored and normalised under.
    pub stream: &'static str,
    pub record: RawRecord,
}
