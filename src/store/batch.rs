//! What is committed together.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::pack::{self, Packed};
use super::{StoreError, letters};
use crate::model::{Hasher, MessageRow, Patch, RawRecord, Reject, Row, StreamKey};
use crate::normalise::{own_index_form, read_phone_tables};

/// One page's worth of writing. Everything in it happens, or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    pub source_id: i64,
    pub run_id: i64,
    /// What it shares with the other batches of its run.
    pub chain: Chain,
    /// One of very many (of a first pass, a full one, one that brings more than the store takes in): the full-text index
    /// follows when some have come together.
    pub bulk: bool,
    /// The change counter when the run began: rows above it were already counted in this run.
    pub run_start_rev: i64,
    /// The clock when the page was read, in milliseconds.
    pub now_ms: i64,
    /// Records with what became of them.
    pub records: Vec<Record>,
    /// Where each stream that moved stands now, as JSON.
    pub cursors: Vec<(StreamKey, String)>,
    /// Everything was read again since this time: dead letters without an id that were not met since are settled.
    pub everything_read_since_ms: Option<i64>,
    /// Forget this cursor.
    pub drop_cursor: Option<StreamKey>,
    /// Forget the cursors whose scope ends so (a ranged backfill that is done).
    pub drop_cursors_marked: Option<String>,
    /// What was learnt about the provider's API.
    pub facts: BTreeMap<String, String>,
    /// Requests of this run so far.
    pub usage: UsageNow,
    /// A conversation whose messages are all here.
    pub fetched: Option<FetchMark>,
    /// A conversation whose fetch failed: it goes to the end of the queue.
    pub fetch_failed: Option<String>,
    /// The stretch of ids that this page of a sweep holds whole.
    pub stretch: Option<Stretch>,
    /// Ids that earlier pages of the same reading held, where the stretch is more than this batch's page.
    pub held: HashSet<i64>,
    /// A sweep begins or ends with this batch.
    pub sweep: Option<SweepPoint>,
    /// A channel that the key may not read any more, or may read again.
    pub access: Option<Access>,
    /// Make every conversation of the source stale.
    pub refetch_all: bool,
    /// Participants that were looked up in vain.
    pub misses: Vec<String>,
    /// Participants who must be of a kind since no directory describes them.
    pub by_exclusion: Option<(crate::model::ParticipantKind, Vec<String>)>,
    /// Channels that no directory describes.
    pub channel_misses: Vec<String>,
}

/// Batches of one run that are sent without waiting for one another. A cursor claims that all before it is stored: once a
/// batch could not be stored, none of those that were sent after it is.
#[derive(Debug, Clone, Default)]
pub struct Chain(Arc<Mutex<Option<StoreError>>>);

impl Chain {
    /// A batch could not be stored.
    pub(super) fn tear(&self, error: &StoreError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.repeat());
    }

    /// Whether all before was stored.
    ///
    /// # Errors
    /// What kept an earlier batch from being stored.
    pub(super) fn holds(&self) -> Result<(), StoreError> {
        let torn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        torn.as_ref().map_or(Ok(()), |error| Err(error.repeat()))
    }
}

/// A raw record and the rows it gave, or why it gave none.
#[derive(Debug)]
pub struct Record {
    /// The stream its raw form is kept under.
    pub stream: Cow<'static, str>,
    pub raw: RawRecord,
    pub outcome: Result<Vec<Row>, Reject>,
    /// The raw record comes from the store and was only normalised anew: rows are compared column by column, and a
    /// difference is no doing of the provider's (no revision, no deletion taken back, nothing to fetch).
    pub again: bool,
    /// The hash of the raw form.
    pub(super) hash: i64,
    /// What was made ready before the record reached the writer.
    pub(super) ready: Option<Ready>,
}

/// What the writer would have to work out of a record that is new to it.
#[derive(Debug)]
pub(super) struct Ready {
    /// The raw form as it is stored.
    packed: Packed,
    /// Of its messages, in their order.
    messages: Vec<Known>,
}

/// What was worked out of a message before it reached the writer.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) content_hash: i64,
    /// The form in which its text is indexed, where that is another text.
    pub(super) form: Option<String>,
}

impl Known {
    fn of(message: &MessageRow) -> Self {
        Self { content_hash: message.content_hash(), form: own_index_form(&message.body_text) }
    }
}

impl Record {
    /// A record as the provider sent it, or as a dead letter has it.
    #[must_use]
    pub fn new(stream: impl Into<Cow<'static, str>>, raw: RawRecord, outcome: Result<Vec<Row>, Reject>) -> Self {
        let hash = Hasher::of_bytes(raw.json.get().as_bytes());
        Self { stream: stream.into(), raw, outcome, again: false, hash, ready: None }
    }

    /// What its dead letter is known by, should it be one: see [`super::Store::open_letters`].
    pub(crate) fn letter(&self) -> (String, i64) {
        letters::known_by(&self.stream, self.raw.id.as_deref(), self.hash)
    }

    /// The same, from the store: see [`Record::again`].
    #[must_use]
    pub fn from_store(stream: impl Into<Cow<'static, str>>, raw: RawRecord, outcome: Result<Vec<Row>, Reject>) -> Self {
        Self { again: true, ..Self::new(stream, raw, outcome) }
    }

    /// Packs and hashes now, which spares the writer the work. Only worth it where the record is most likely new.
    #[must_use]
    pub fn made_ready(mut self) -> Self {
        if let (Ok(rows), Some(_)) = (&self.outcome, &self.raw.id) {
            if rows.iter().any(has_phone) {
                read_phone_tables();
            }
            let messages = messages(rows).map(Known::of).collect();
            self.ready = Some(Ready { packed: self.pack(), messages });
        }
        self
    }

    /// What was worked out already of one of its messages, counted from the first.
    pub(super) fn known(&self, message: usize) -> Option<&Known> {
        self.ready.as_ref()?.messages.get(message)
    }

    /// The raw form as it is stored. `says`: the message that it made says what the record does.
    pub(super) fn body(&self, says: bool) -> Cow<'_, Packed> {
        match self.ready.as_ref().map(|ready| &ready.packed) {
            Some(packed) if packed.fits(says) => Cow::Borrowed(packed),
            None if says => Cow::Owned(self.pack()),
            _ => Cow::Owned(pack::whole(self.raw.json.get())),
        }
    }

    fn pack(&self) -> Packed {
        let json = self.raw.json.get();
        match self.own_html() {
            Some(html) => pack::without_html(json, html),
            None => pack::whole(json),
        }
    }

    /// The HTML of the message whose record it is, and no other's.
    fn own_html(&self) -> Option<&str> {
        let mut messages = messages(self.outcome.as_ref().ok()?);
        let message = messages.next().filter(|_| messages.next().is_none())?;
        // By this its record is found again when its HTML changes.
        let own = self.stream == "messages" && self.raw.id.as_deref() == Some(message.external_id.as_str());
        message.body_html.as_deref().filter(|_| own)
    }
}

fn has_phone(row: &Row) -> bool {
    match row {
        Row::Participant(row) => matches!(row.phone, Patch::Set(_)),
        Row::Contact(hint) => hint.phone.is_some(),
        Row::Channel(_) | Row::Conversation(_) | Row::Message(_) => false,
    }
}

fn messages(rows: &[Row]) -> impl Iterator<Item = &MessageRow> {
    rows.iter().filter_map(|row| match row {
        Row::Message(message) => Some(message),
        _ => None,
    })
}

/// A run's requests and retries so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageNow {
    pub requests: u64,
    pub retries: u64,
}

/// The end of a conversation fetch.
#[derive(Debug, Clone)]
pub struct FetchMark {
    pub conversation: String,
    /// The fingerprint that the fetch was made for.
    pub fingerprint: Option<i64>,
    /// Why messages may still be missing.
    pub incomplete: Option<&'static str>,
    /// The provider's own count says that the fetch brought all there is.
    pub whole: bool,
    /// The provider does not have the conversation any more.
    pub gone: bool,
    /// External ids of all messages that the fetch brought, where it brought the conversation whole and every record
    /// of it could be read.
    pub present: Option<std::collections::HashSet<String>>,
}

/// What a page of a sweep along numeric ids proves: which ids of a stretch are there.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The stream that the raw records are kept under.
    pub stream: &'static str,
    /// The page holds every row with a greater id (`None`: from the first) …
    pub after: Option<i64>,
    /// … up to this one (`None`: to the end).
    pub up_to: Option<i64>,
}

/// What became of a key's access to a channel, named by its external id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// The provider refuses it: its conversations may miss messages from now on.
    Forbidden(String),
    /// It was read: its conversations are what they were before, those that changed meanwhile to be fetched.
    Open(String),
}

/// Where a sweep along numeric ids begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepPoint {
    /// A sweep of this stream begins anew: what an earlier, unfinished one found is forgotten.
    Begin(&'static str),
    /// It reached the end, having met this many rows: what it did not meet is missing once more.
    End(&'static str),
}

/// How rows of one kind fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct RowCounts {
    pub inserted: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub deleted: u64,
}

/// How a batch, or a whole run, fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub rows_in: u64,
    pub conversations: RowCounts,
    pub messages: RowCounts,
    pub dead: u64,
    /// Names, channels and the like that changed.
    pub directory_changes: u64,
}

impl Counts {
    /// Adds another batch's counts.
    pub fn add(&mut self, other: &Self) {
        self.rows_in += other.rows_in;
        self.dead += other.dead;
        self.directory_changes += other.directory_changes;
        for (mine, theirs) in [(&mut self.conversations, &other.conversations), (&mut self.messages, &other.messages)] {
            mine.inserted += theirs.inserted;
            mine.updated += theirs.updated;
            mine.unchanged += theirs.unchanged;
            mine.deleted += theirs.deleted;
        }
    }

    /// Whether anything was written beyond bookkeeping.
    #[must_use]
    pub fn changed_anything(&self) -> bool {
        let changed = |rows: &RowCounts| rows.inserted + rows.updated + rows.deleted > 0;
        changed(&self.conversations) || changed(&self.messages) || self.dead > 0
    }
}

/// What a commit did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Committed {
    pub counts: Counts,
}
