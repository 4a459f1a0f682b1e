//! Messages: a stretch of one conversation, and the feed of what changed.

use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};
use serde::Serialize;

use super::{Conditions, cut};
use crate::store::StoreError;

/// Characters of a message that are given; all of it is at an address of its own ([`message_text`]).
const TEXT: i64 = 20_000;
/// The same of what stood there before an edit.
const BEFORE: i64 = 4_000;
/// Characters after which a stretch ends, however few messages it has.
const STRETCH: i64 = 400_000;
/// Messages shown before the one that was asked for.
const CONTEXT: u32 = 10;
/// Characters of these: little enough that the one that was asked for always finds room in its stretch.
const BEFOREHAND: i64 = 100_000;
/// Citations, attachments and revisions that are given of one message.
const EACH: i64 = 50;

/// Which part of a conversation.
#[derive(Debug, Clone, Copy)]
pub enum Span {
    Start,
    /// The one with a message in it that is named by its row id, and some before it.
    Around(i64),
    /// Behind this message.
    After(i64),
    /// Before this message.
    Before(i64),
}

/// A part of a conversation, oldest first.
#[derive(Debug, Serialize)]
pub struct Stretch {
    pub messages: Vec<MessageRow>,
    /// The first message of this part, if there are earlier ones: ask for those before it.
    pub before: Option<i64>,
    /// The last message of this part, if there are later ones: ask for those after it.
    pub after: Option<i64>,
}

/// One message.
#[derive(Debug, Serialize)]
pub struct MessageRow {
    pub id: i64,
    pub conversation_id: i64,
    pub external_id: String,
    #[serde(rename = "sent_at", serialize_with = "super::time_if_known")]
    pub sent_at_ms: Option<i64>,
    pub author_kind: String,
    pub author: Option<String>,
    pub kind: String,
    pub event: Option<String>,
    pub body_text: String,
    /// Characters of the whole text.
    pub length: i64,
    /// Whether `body_text` is only its beginning.
    pub cut: bool,
    pub reaction: i64,
    pub model: Option<String>,
    #[serde(rename = "edited_at", serialize_with = "super::time_if_known")]
    pub edited_at_ms: Option<i64>,
    #[serde(rename = "deleted_at", serialize_with = "super::time_if_known")]
    pub deleted_at_ms: Option<i64>,
    /// When its conversation was found deleted.
    #[serde(rename = "conversation_deleted_at", serialize_with = "super::time_if_known")]
    pub conversation_deleted_at_ms: Option<i64>,
    #[serde(rename = "erased_at", serialize_with = "super::time_if_known")]
    pub erased_at_ms: Option<i64>,
    pub rev: i64,
    pub citations: Vec<Citation>,
    pub attachments: Vec<Attachment>,
    /// What it said before, the newest first.
    pub revisions: Vec<Revision>,
    /// How many of each there are: more than are given, where there are very many.
    pub citations_count: i64,
    pub attachments_count: i64,
    pub revisions_count: i64,
}

/// What an answer rests on.
#[derive(Debug, Serialize)]
pub struct Citation {
    pub url: Option<String>,
    pub title: Option<String>,
}

/// What the provider names beside a message; nothing of it was fetched.
#[derive(Debug, Serialize)]
pub struct Attachment {
    pub kind: String,
    pub url: Option<String>,
    pub name: Option<String>,
}

/// What a message said before an edit was seen.
#[derive(Debug, Serialize)]
pub struct Revision {
    /// Its number: all of its text is at an address of its own.
    pub revision: i64,
    pub body_text: String,
    pub cut: bool,
    #[serde(rename = "observed_at", serialize_with = "super::time")]
    pub observed_at_ms: i64,
}

const COLUMNS: &str = "m.id, m.conversation_id, m.external_id, m.sent_at_ms, m.author_kind, p.name, m.kind, m.event,
    substr(m.body_text, 1, 20000), length(m.body_text), m.reaction, m.model, m.edited_at_ms, m.deleted_at_ms,
    m.erased_at_ms, m.rev, m.seq, (SELECT c.deleted_at_ms FROM conversations AS c WHERE c.id = m.conversation_id)
    FROM messages AS m LEFT JOIN participants AS p ON p.id = m.author_id";

/// Reads a part of a conversation. `None`: the message that it was to begin at is none of this conversation.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn stretch(
    connection: &Connection,
    conversation: i64,
    span: Span,
    limit: u32,
) -> Result<Option<Stretch>, StoreError> {
    read(connection, conversation, span, limit).map_err(StoreError::sql("reading a transcript"))
}

/// Where a message stands in its conversation.
type Place = (Option<i64>, i64, i64);

fn read(connection: &Connection, conversation: i64, span: Span, limit: u32) -> rusqlite::Result<Option<Stretch>> {
    let place = |id: i64| {
        connection
            .query_row(
                "SELECT sent_at_ms, seq, id FROM messages WHERE id = ?1 AND conversation_id = ?2",
                params![id, conversation],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()
    };
    let asked = match span {
        Span::Start => None,
        Span::Around(id) | Span::After(id) | Span::Before(id) => match place(id)? {
            Some(place) => Some(place),
            None => return Ok(None),
        },
    };
    let (mut messages, before, after) = match (span, asked) {
        (Span::Before(_), Some(place)) => {
            let (mut earlier, more) = side(connection, conversation, Some(place), false, (limit, STRETCH))?;
            earlier.reverse();
            (earlier, more, true)
        }
        (Span::Around(_), Some(place)) => {
            let context = CONTEXT.min(limit.saturating_sub(1));
            let (earlier, more) = side(connection, conversation, Some(place), false, (context + 1, BEFOREHAND))?;
            // Behind the first that is not shown any more; from the start where there is none.
            let is_full = more || earlier.len() > usize::try_from(context).unwrap_or(usize::MAX);
            let from = earlier.last().filter(|_| is_full).map(|m| (m.sent_at_ms, m.seq, m.row.id));
            let (rows, more) = side(connection, conversation, from, true, (limit, STRETCH))?;
            (rows, from.is_some(), more)
        }
        (_, place) => {
            let (rows, more) = side(connection, conversation, place, true, (limit, STRETCH))?;
            (rows, place.is_some(), more)
        }
    };
    for message in &mut messages {
        furnish(connection, &mut message.row)?;
    }
    let edge = |message: Option<&Placed>, there: bool| message.filter(|_| there).map(|message| message.row.id);
    Ok(Some(Stretch {
        before: edge(messages.first(), before),
        after: edge(messages.last(), after),
        messages: messages.into_iter().map(|placed| placed.row).collect(),
    }))
}

struct Placed {
    row: MessageRow,
    sent_at_ms: Option<i64>,
    seq: i64,
}

/// Messages on one side of a place, the nearest first, and whether there are more. At most so many of them, and no more
/// once they have so many characters.
fn side(
    connection: &Connection,
    conversation: i64,
    place: Option<Place>,
    later: bool,
    (limit, most): (u32, i64),
) -> rusqlite::Result<(Vec<Placed>, bool)> {
    // Without a time is before every time.
    let condition = match (place, later) {
        (None, _) => "?2 IS ?2 AND ?3 IS ?3 AND ?4 IS ?4",
        (Some((Some(_), ..)), true) => "(m.sent_at_ms, m.seq, m.id) > (?2, ?3, ?4)",
        (Some((Some(_), ..)), false) => "(m.sent_at_ms IS NULL OR (m.sent_at_ms, m.seq, m.id) < (?2, ?3, ?4))",
        (Some((None, ..)), true) => "?2 IS NULL AND (m.sent_at_ms IS NOT NULL OR (m.seq, m.id) > (?3, ?4))",
        (Some((None, ..)), false) => "?2 IS NULL AND m.sent_at_ms IS NULL AND (m.seq, m.id) < (?3, ?4)",
    };
    let way = if later { "" } else { "DESC" };
    let sql = format!(
        "SELECT {COLUMNS} WHERE m.conversation_id = ?1 AND {condition}
         ORDER BY m.sent_at_ms {way}, m.seq {way}, m.id {way} LIMIT ?5"
    );
    let (ms, seq, id) = place.map_or((None, 0, 0), |(ms, seq, id)| (ms, seq, id));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![conversation, ms, seq, id, i64::from(limit) + 1])?;
    let (mut found, mut characters) = (Vec::new(), 0);
    while let Some(read) = rows.next()? {
        if found.len() >= usize::try_from(limit).unwrap_or(usize::MAX) || characters > most {
            return Ok((found, true));
        }
        let row = message(read)?;
        characters += given(&row);
        found.push(Placed { sent_at_ms: row.sent_at_ms, seq: read.get(16)?, row });
    }
    Ok((found, false))
}

/// Characters that are given of a message.
fn given(message: &MessageRow) -> i64 {
    message.length.min(TEXT)
}

fn message(row: &SqlRow<'_>) -> rusqlite::Result<MessageRow> {
    let length: i64 = row.get(9)?;
    Ok(MessageRow {
        id: row.get(0)?,
        conversation_id: row.get(1)?,
        external_id: row.get(2)?,
        sent_at_ms: row.get(3)?,
        author_kind: row.get(4)?,
        author: row.get(5)?,
        kind: row.get(6)?,
        event: row.get(7)?,
        body_text: row.get(8)?,
        length,
        cut: length > TEXT,
        reaction: row.get(10)?,
        model: row.get(11)?,
        edited_at_ms: row.get(12)?,
        deleted_at_ms: row.get(13)?,
        conversation_deleted_at_ms: row.get(17)?,
        erased_at_ms: row.get(14)?,
        rev: row.get(15)?,
        citations: Vec::new(),
        attachments: Vec::new(),
        revisions: Vec::new(),
        citations_count: 0,
        attachments_count: 0,
        revisions_count: 0,
    })
}

/// Puts beside a message what stands in other tables.
fn furnish(connection: &Connection, message: &mut MessageRow) -> rusqlite::Result<()> {
    message.citations = connection
        .prepare_cached("SELECT url, title FROM citations WHERE message_id = ?1 ORDER BY ordinal LIMIT ?2")?
        .query_map([message.id, EACH], |row| Ok(Citation { url: row.get(0)?, title: row.get(1)? }))?
        .collect::<rusqlite::Result<_>>()?;
    message.attachments = connection
        .prepare_cached("SELECT kind, url, name FROM attachments WHERE message_id = ?1 ORDER BY ordinal LIMIT ?2")?
        .query_map([message.id, EACH], |row| Ok(Attachment { kind: row.get(0)?, url: row.get(1)?, name: row.get(2)? }))?
        .collect::<rusqlite::Result<_>>()?;
    message.revisions = connection
        .prepare_cached(
            "SELECT revision, substr(body_text, 1, ?3), length(body_text) > ?3, observed_at_ms FROM message_revisions
             WHERE message_id = ?1 ORDER BY revision DESC LIMIT ?2",
        )?
        .query_map([message.id, EACH, BEFORE], |row| {
            Ok(Revision {
                revision: row.get(0)?,
                body_text: row.get(1)?,
                cut: row.get(2)?,
                observed_at_ms: row.get(3)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    (message.citations_count, message.attachments_count, message.revisions_count) = connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM citations WHERE message_id = ?1),
               (SELECT count(*) FROM attachments WHERE message_id = ?1),
               (SELECT count(*) FROM message_revisions WHERE message_id = ?1)",
        )?
        .query_row([message.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(())
}

/// The whole text of one message of a conversation: as it is, or as a revision of it was.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn message_text(
    connection: &Connection,
    conversation: i64,
    message: i64,
    revision: Option<i64>,
) -> Result<Option<String>, StoreError> {
    let sql = match revision {
        None => "SELECT body_text FROM messages WHERE id = ?1 AND conversation_id = ?2 AND ?3 IS NULL",
        Some(_) => {
            "SELECT r.body_text FROM message_revisions AS r JOIN messages AS m ON m.id = r.message_id
             WHERE m.id = ?1 AND m.conversation_id = ?2 AND r.revision = ?3"
        }
    };
    connection
        .query_row(sql, params![message, conversation, revision], |row| row.get(0))
        .optional()
        .map_err(StoreError::sql("reading a message"))
}

/// Which messages of the feed.
#[derive(Debug, Clone, Default)]
pub struct ChangeFilter {
    pub source: Option<String>,
    pub conversation: Option<i64>,
    pub author_kind: Option<String>,
    /// What was deleted, too, and what stands in deleted conversations.
    pub deleted: bool,
    /// Changed after this change number.
    pub after: i64,
    pub limit: u32,
}

/// One page of the feed.
#[derive(Debug, Serialize)]
pub struct ChangePage {
    /// In the order in which they changed.
    pub messages: Vec<MessageRow>,
    /// The change number to go on after, now or once there is more.
    pub next: i64,
    pub more: bool,
}

/// Reads messages in the order of their last change. A message that changes again comes again, later.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn changes(connection: &Connection, filter: &ChangeFilter) -> Result<ChangePage, StoreError> {
    let read = || -> rusqlite::Result<ChangePage> {
        let mut all = Conditions::new();
        all.add("m.rev > :after");
        all.bind(":after", filter.after);
        all.with(filter.conversation, ":conversation", "m.conversation_id = :conversation");
        all.with(filter.author_kind.clone(), ":kind", "m.author_kind = :kind");
        all.with(
            filter.source.clone(),
            ":source",
            "(SELECT c.source_id FROM conversations AS c WHERE c.id = m.conversation_id)
               = (SELECT id FROM sources WHERE name = :source)",
        );
        if !filter.deleted {
            all.add("m.deleted_at_ms IS NULL");
            all.add("(SELECT c.deleted_at_ms FROM conversations AS c WHERE c.id = m.conversation_id) IS NULL");
        }
        let sql = format!("SELECT {COLUMNS} WHERE {} ORDER BY m.rev LIMIT {}", all.sql, i64::from(filter.limit) + 1);
        let mut messages = all.list(connection, &sql, message)?;
        let mut more = cut(&mut messages, filter.limit);
        let mut characters = 0;
        if let Some(full) = messages.iter().position(|message| {
            characters += given(message);
            characters > STRETCH
        }) && full + 1 < messages.len()
        {
            messages.truncate(full + 1);
            more = true;
        }
        for message in &mut messages {
            furnish(connection, message)?;
        }
        let next = messages.last().map_or(filter.after, |message| message.rev);
        Ok(ChangePage { messages, next, more })
    };
    read().map_err(StoreError::sql("reading changes of messages"))
}
