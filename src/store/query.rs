//! Reading conversations back.

use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, Statement};
use serde::Serialize;

use super::StoreError;

/// What stands above a transcript.
#[derive(Debug, Serialize)]
pub struct ConversationHead {
    pub id: i64,
    pub source: String,
    pub provider: String,
    pub external_id: String,
    pub channel: Option<String>,
    pub title: Option<String>,
    pub contact: Option<String>,
    pub status: String,
    pub started_at: Option<String>,
    pub last_message_at: Option<String>,
    pub complete: bool,
    pub incomplete_reason: Option<String>,
    pub deleted_at: Option<String>,
}

/// One message of a transcript.
#[derive(Debug, Serialize)]
pub struct Line {
    pub external_id: String,
    pub sent_at: Option<String>,
    pub author_kind: String,
    pub author: Option<String>,
    pub kind: String,
    pub event: Option<String>,
    pub body_text: String,
    pub reaction: i64,
    pub model: Option<String>,
    pub edited_at: Option<String>,
    pub deleted_at: Option<String>,
    /// When its text was taken away, by `forget` or by retention.
    pub erased_at: Option<String>,
    pub citations: Vec<String>,
}

/// What stands beside a message in other tables.
#[derive(Debug, Default)]
pub struct Beside {
    /// Address and title of each source that a bot names.
    pub citations: Vec<(Option<String>, Option<String>)>,
    /// Kind, address and name of each attachment.
    pub attachments: Vec<(String, Option<String>, Option<String>)>,
    /// What it said before, the oldest first, and when that was found changed.
    pub revisions: Vec<(String, Option<String>)>,
}

/// Why no single conversation was found.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// Nothing matches.
    #[error(
        "no conversation has the id {0}; `SELECT conversation_id, conversation_external_id FROM v_conversations` lists them"
    )]
    NotFound(String),
    /// Several sources use the same external id.
    #[error("several conversations have the id {asked}; name one of {ids:?}")]
    Ambiguous { asked: String, ids: Vec<i64> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

const HEAD: &str = "SELECT c.id, s.name, s.provider, c.external_id, ch.kind, c.title, p.name, c.status, c.started_at,
    c.last_message_at, c.complete, c.incomplete_reason, c.deleted_at
    FROM conversations AS c JOIN sources AS s ON s.id = c.source_id
    LEFT JOIN channels AS ch ON ch.id = c.channel_id LEFT JOIN participants AS p ON p.id = c.contact_id";

/// Finds a conversation by its external id or by its row id in the store.
///
/// # Errors
/// None or several match.
pub fn find_conversation(connection: &Connection, asked: &str) -> Result<ConversationHead, TranscriptError> {
    let doing = "looking for a conversation";
    let mut found: Vec<ConversationHead> = connection
        .prepare(&format!("{HEAD} WHERE c.external_id = ?1 ORDER BY c.id LIMIT 20"))
        .and_then(|mut statement| statement.query_map([asked], head)?.collect())
        .map_err(StoreError::sql(doing))?;
    if found.is_empty()
        && let Ok(id) = asked.parse::<i64>()
    {
        found.extend(
            connection
                .query_row(&format!("{HEAD} WHERE c.id = ?1"), [id], head)
                .optional()
                .map_err(StoreError::sql(doing))?,
        );
    }
    if found.len() > 1 {
        let ids = found.iter().map(|head| head.id).collect();
        return Err(TranscriptError::Ambiguous { asked: asked.to_owned(), ids });
    }
    found.pop().ok_or_else(|| TranscriptError::NotFound(asked.to_owned()))
}

pub(super) fn head(row: &SqlRow<'_>) -> rusqlite::Result<ConversationHead> {
    Ok(ConversationHead {
        id: row.get(0)?,
        source: row.get(1)?,
        provider: row.get(2)?,
        external_id: row.get(3)?,
        channel: row.get(4)?,
        title: row.get(5)?,
        contact: row.get(6)?,
        status: row.get(7)?,
        started_at: row.get(8)?,
        last_message_at: row.get(9)?,
        complete: row.get(10)?,
        incomplete_reason: row.get(11)?,
        deleted_at: row.get(12)?,
    })
}

/// A statement that finds the head of a conversation by its row id.
pub(super) fn head_by_id(connection: &Connection) -> rusqlite::Result<Statement<'_>> {
    connection.prepare(&format!("{HEAD} WHERE c.id = ?1"))
}

/// The messages of a conversation, oldest first, deleted ones included.
///
/// # Errors
/// SQLite failed.
pub fn transcript(connection: &Connection, conversation: i64) -> Result<Vec<(Line, Beside)>, StoreError> {
    let mut lines = Vec::new();
    each_line(connection, conversation, |id, line| -> Result<(), StoreError> {
        lines.push((line, beside(connection, id)?));
        Ok(())
    })?;
    Ok(lines)
}

/// Visits the same one at a time, each with its row id.
pub(super) fn each_line<E: From<StoreError>>(
    connection: &Connection,
    conversation: i64,
    mut visit: impl FnMut(i64, Line) -> Result<(), E>,
) -> Result<(), E> {
    let failed = StoreError::sql;
    let doing = "reading a transcript";
    let mut citations = connection
        .prepare_cached("SELECT coalesce(url, title, '') FROM citations WHERE message_id = ?1 ORDER BY ordinal")
        .map_err(failed(doing))?;
    let mut messages = connection
        .prepare_cached(
            "SELECT m.id, m.external_id, m.sent_at, m.author_kind, p.name, m.kind, m.event, m.body_text, m.reaction,
                    m.model, m.edited_at, m.deleted_at, m.erased_at
             FROM messages AS m LEFT JOIN participants AS p ON p.id = m.author_id
             WHERE m.conversation_id = ?1 ORDER BY m.sent_at_ms, m.seq, m.id",
        )
        .map_err(failed(doing))?;
    let mut rows = messages.query([conversation]).map_err(failed(doing))?;
    while let Some(row) = rows.next().map_err(failed(doing))? {
        let (id, line) = line(row, &mut citations).map_err(failed(doing))?;
        visit(id, line)?;
    }
    Ok(())
}

fn line(row: &SqlRow<'_>, citations: &mut Statement<'_>) -> rusqlite::Result<(i64, Line)> {
    let id: i64 = row.get(0)?;
    let line = Line {
        external_id: row.get(1)?,
        sent_at: row.get(2)?,
        author_kind: row.get(3)?,
        author: row.get(4)?,
        kind: row.get(5)?,
        event: row.get(6)?,
        body_text: row.get(7)?,
        reaction: row.get(8)?,
        model: row.get(9)?,
        edited_at: row.get(10)?,
        deleted_at: row.get(11)?,
        erased_at: row.get(12)?,
        citations: citations.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?,
    };
    Ok((id, line))
}

/// What stands beside a message, by its row id.
///
/// # Errors
/// SQLite failed.
pub(super) fn beside(connection: &Connection, message: i64) -> Result<Beside, StoreError> {
    let read = || -> rusqlite::Result<Beside> {
        let citations = connection
            .prepare_cached("SELECT url, title FROM citations WHERE message_id = ?1 ORDER BY ordinal")?
            .query_map([message], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let attachments = connection
            .prepare_cached("SELECT kind, url, name FROM attachments WHERE message_id = ?1 ORDER BY ordinal")?
            .query_map([message], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let revisions = connection
            .prepare_cached(
                "SELECT body_text, observed_at FROM message_revisions WHERE message_id = ?1 ORDER BY revision",
            )?
            .query_map([message], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Beside { citations, attachments, revisions })
    };
    read().map_err(StoreError::sql("reading a transcript"))
}
