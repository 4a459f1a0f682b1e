//! Conversations, those with the newest message first.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow};
use serde::Serialize;

use super::{Conditions, cut};
use crate::store::StoreError;

/// Which conversations are listed. `None` leaves a condition out.
#[derive(Debug, Clone, Default)]
pub struct ConversationFilter {
    pub source: Option<String>,
    /// A kind of channel.
    pub channel: Option<String>,
    pub status: Option<String>,
    /// With their last message then or later.
    pub since_ms: Option<i64>,
    /// With their last message earlier.
    pub until_ms: Option<i64>,
    /// Where somebody waits for an answer.
    pub unanswered: bool,
    pub escalated: bool,
    /// That may miss messages.
    pub incomplete: bool,
    /// What was deleted, too.
    pub deleted: bool,
    /// Of this person alone.
    pub person: Option<i64>,
    /// Behind this one.
    pub after: Option<ConversationPlace>,
    pub limit: u32,
}

/// A place in the list: the last message's time, if there is one, and the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationPlace {
    last_ms: Option<i64>,
    id: i64,
}

impl fmt::Display for ConversationPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last_ms {
            Some(ms) => write!(f, "{ms}.{}", self.id),
            None => write!(f, "none.{}", self.id),
        }
    }
}

impl FromStr for ConversationPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (last, id) = text.split_once('.').ok_or(())?;
        let last_ms = if last == "none" { None } else { Some(last.parse().map_err(|_| ())?) };
        Ok(Self { last_ms, id: id.parse().map_err(|_| ())? })
    }
}

/// One page of the list.
#[derive(Debug, Serialize)]
pub struct ConversationPage {
    pub conversations: Vec<ConversationRow>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<String>,
}

/// One conversation.
#[derive(Debug, Serialize)]
pub struct ConversationRow {
    pub id: i64,
    pub source: String,
    pub provider: String,
    pub external_id: String,
    pub channel: Option<String>,
    pub channel_name: Option<String>,
    pub title: Option<String>,
    pub page_url: Option<String>,
    pub contact: Option<String>,
    pub person_id: Option<i64>,
    pub status: String,
    #[serde(rename = "started_at", serialize_with = "super::time_if_known")]
    pub started_at_ms: Option<i64>,
    #[serde(rename = "last_message_at", serialize_with = "super::time_if_known")]
    pub last_message_at_ms: Option<i64>,
    pub messages: i64,
    /// `None` where the provider has no bots.
    pub escalated: Option<bool>,
    #[serde(rename = "waiting_since", serialize_with = "super::time_if_known")]
    pub waiting_since_ms: Option<i64>,
    pub first_response_ms: Option<i64>,
    pub complete: bool,
    pub incomplete_reason: Option<String>,
    #[serde(rename = "deleted_at", serialize_with = "super::time_if_known")]
    pub deleted_at_ms: Option<i64>,
    /// How the first message of the contact begins.
    pub opening: Option<String>,
}

/// `m` is the contact's first message: found along an index, for the rows that are shown.
const COLUMNS: &str =
    "c.id, s.name, s.provider, c.external_id, ch.kind, ch.name, c.title, c.page_url, p.name, p.person_id,
    c.status, c.started_at_ms, k.last_message_at_ms, k.messages,
    CASE WHEN s.provider <> 'brilliant_directories' THEN coalesce(c.escalated, 0) OR k.agent_messages > 0 END,
    k.waiting_since_ms, k.first_response_ms, c.complete, c.incomplete_reason, c.deleted_at_ms,
    (SELECT substr(m.body_text, 1, 140) FROM messages AS m
      WHERE m.conversation_id = c.id AND m.author_kind = 'contact' AND m.deleted_at_ms IS NULL
      ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1)";
const NAMES: &str = "JOIN sources AS s ON s.id = c.source_id LEFT JOIN channels AS ch ON ch.id = c.channel_id
    LEFT JOIN participants AS p ON p.id = c.contact_id";
/// In the order of the index on the last message.
const NEWEST: &str = "conversation_stats AS k CROSS JOIN conversations AS c ON c.id = k.conversation_id";
/// Those of one person are few: their index first, then a sort.
const THEIRS: &str = "conversations AS c CROSS JOIN conversation_stats AS k ON k.conversation_id = c.id";

/// Reads one page.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn conversations(connection: &Connection, filter: &ConversationFilter) -> Result<ConversationPage, StoreError> {
    page(connection, filter).map_err(StoreError::sql("listing conversations"))
}

fn page(connection: &Connection, filter: &ConversationFilter) -> rusqlite::Result<ConversationPage> {
    let wanted = filter.limit.saturating_add(1);
    let untimed = filter.after.filter(|place| place.last_ms.is_none());
    let mut rows = match untimed {
        Some(_) => Vec::new(),
        None => stretch(connection, filter, true, wanted)?,
    };
    let left = wanted.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    // Those without any message come last, and only where no time was asked for.
    if left > 0 && filter.since_ms.is_none() && filter.until_ms.is_none() {
        rows.extend(stretch(connection, filter, false, left)?);
    }
    let more = cut(&mut rows, filter.limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|row| ConversationPlace { last_ms: row.last_message_at_ms, id: row.id }.to_string());
    Ok(ConversationPage { conversations: rows, next })
}

fn stretch(
    connection: &Connection,
    filter: &ConversationFilter,
    timed: bool,
    limit: u32,
) -> rusqlite::Result<Vec<ConversationRow>> {
    let mut all = Conditions::new();
    match (timed, filter.after) {
        (true, Some(ConversationPlace { last_ms: Some(ms), id })) => {
            all.add("(k.last_message_at_ms, k.conversation_id) < (:last, :id)");
            all.bind(":last", ms);
            all.bind(":id", id);
        }
        (true, _) => all.add("k.last_message_at_ms IS NOT NULL"),
        (false, Some(ConversationPlace { last_ms: None, id })) => {
            all.add("k.last_message_at_ms IS NULL AND k.conversation_id < :id");
            all.bind(":id", id);
        }
        (false, _) => all.add("k.last_message_at_ms IS NULL"),
    }
    all.with(filter.since_ms, ":since", "k.last_message_at_ms >= :since");
    all.with(filter.until_ms, ":until", "k.last_message_at_ms < :until");
    all.with(filter.source.clone(), ":source", "c.source_id = (SELECT id FROM sources WHERE name = :source)");
    all.with(filter.channel.clone(), ":channel", "c.channel_id IN (SELECT id FROM channels WHERE kind = :channel)");
    all.with(filter.status.clone(), ":status", "c.status = :status");
    all.with(filter.person, ":person", "c.contact_id IN (SELECT id FROM participants WHERE person_id = :person)");
    if filter.unanswered {
        all.add("k.waiting_since_ms IS NOT NULL");
    }
    if filter.escalated {
        all.add("s.provider <> 'brilliant_directories' AND (c.escalated = 1 OR k.agent_messages > 0)");
    }
    if filter.incomplete {
        all.add("c.complete = 0");
    }
    if !filter.deleted {
        all.add("c.deleted_at_ms IS NULL");
    }
    let tables = if filter.person.is_some() { THEIRS } else { NEWEST };
    let conditions = &all.sql;
    let sql = format!(
        "SELECT {COLUMNS} FROM {tables} {NAMES} WHERE {conditions}
         ORDER BY k.last_message_at_ms DESC, k.conversation_id DESC LIMIT {limit}"
    );
    all.list(connection, &sql, row)
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<ConversationRow> {
    Ok(ConversationRow {
        id: row.get(0)?,
        source: row.get(1)?,
        provider: row.get(2)?,
        external_id: row.get(3)?,
        channel: row.get(4)?,
        channel_name: row.get(5)?,
        title: row.get(6)?,
        page_url: row.get(7)?,
        contact: row.get(8)?,
        person_id: row.get(9)?,
        status: row.get(10)?,
        started_at_ms: row.get(11)?,
        last_message_at_ms: row.get(12)?,
        messages: row.get(13)?,
        escalated: row.get(14)?,
        waiting_since_ms: row.get(15)?,
        first_response_ms: row.get(16)?,
        complete: row.get(17)?,
        incomplete_reason: row.get(18)?,
        deleted_at_ms: row.get(19)?,
        opening: row.get(20)?,
    })
}

/// One conversation by its row id, a deleted one too.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn conversation(connection: &Connection, id: i64) -> Result<Option<ConversationRow>, StoreError> {
    connection
        .query_row(&format!("SELECT {COLUMNS} FROM {THEIRS} {NAMES} WHERE c.id = ?1"), [id], row)
        .optional()
        .map_err(StoreError::sql("looking for a conversation"))
}
