//! Taking the text out of messages for good. The rows stay: counts, times and keys are still true.

use ring::hmac;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::fulltext::Texts;
use super::shroud;
use crate::model::{Attachment, AuthorKind, Citation, MessageKind, MessageRow};

/// Why a text goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Why<'k> {
    /// It is older than texts may be kept. The record's hash stays, so that it is known again when it is read again.
    Old,
    /// It is somebody's who was forgotten. Nothing that was computed from it stays, except under the store's key.
    Forgotten(&'k hmac::Key),
}

/// Erases messages by row id, inside a transaction of the caller's, with the change counter as the database has it.
pub(super) fn messages(conn: &Connection, ids: &[i64], why: Why<'_>, now_ms: i64) -> rusqlite::Result<()> {
    let mut rev: i64 = conn.query_row("SELECT rev FROM change_counter WHERE id = 1", [], |row| row.get(0))?;
    let mut texts = Texts::default();
    for id in ids {
        rev += 1;
        message(conn, *id, why, now_ms, rev, &mut texts)?;
    }
    conn.execute("UPDATE change_counter SET rev = ?1 WHERE id = 1", [rev])?;
    texts.settle(conn)?;
    Ok(())
}

/// Erases one message; `rev` is its new revision number, and `texts` learns what goes: the caller settles them.
pub(super) fn message(
    conn: &Connection,
    id: i64,
    why: Why<'_>,
    now_ms: i64,
    rev: i64,
    texts: &mut Texts,
) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM message_revisions WHERE message_id = ?1")?.execute([id])?;
    conn.prepare_cached("UPDATE citations SET url = NULL, title = NULL WHERE message_id = ?1")?.execute([id])?;
    conn.prepare_cached("UPDATE attachments SET url = NULL, name = NULL WHERE message_id = ?1")?.execute([id])?;
    // The raw record: kept under the message's own id, or under `conversation/message` without the half.
    let records: Vec<i64> = conn
        .prepare_cached(
            "SELECT r.id FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
             JOIN raw_records AS r ON r.source_id = c.source_id AND r.stream = 'messages'
             AND r.external_id IN (m.external_id,
               c.external_id || '/' || substr(m.external_id, 1, length(m.external_id) - 2))
             WHERE m.id = ?1",
        )?
        .query_map([id], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for record in records {
        match why {
            Why::Forgotten(key) => shroud::drop_raw(conn, key, record)?,
            Why::Old => {
                conn.prepare_cached("UPDATE raw_records SET codec = 'json', body = x'' WHERE id = ?1 AND body <> x''")?
                    .execute([record])?;
            }
        }
    }
    derived(conn, id, texts)?;
    let Some(blank) = blank_of(conn, id)? else { return Ok(()) };
    conn.prepare_cached(
        "UPDATE messages SET body_text = '', body_html = NULL, content_hash = ?2, rev = ?3,
         erased_at_ms = coalesce(erased_at_ms, ?4) WHERE id = ?1",
    )?
    .execute(params![id, blank.content_hash(), rev, now_ms])?;
    Ok(())
}

/// What is computed from the text of a message and stored elsewhere: the full-text index, which follows when `texts` are
/// settled. Whoever adds more takes the message out of it here, while its text still stands in `messages`.
fn derived(conn: &Connection, message: i64, texts: &mut Texts) -> rusqlite::Result<()> {
    let before: Option<String> = conn
        .prepare_cached("SELECT body_text FROM messages WHERE id = ?1")?
        .query_row([message], |row| row.get(0))
        .optional()?;
    if let Some(before) = before {
        texts.erased(message, &before);
    }
    Ok(())
}

/// What an erased message's record comes to, read from its row: when the record is met again, this is what it must
/// hash to.
fn blank_of(conn: &Connection, id: i64) -> rusqlite::Result<Option<MessageRow>> {
    /// `messages.author_rule`: the record says who wrote it (0), or that the contact did, without an id (3).
    const GIVEN: [i64; 2] = [0, 3];
    let row = conn
        .prepare_cached(
            "SELECT m.external_id, p.external_id, m.author_kind, m.author_rule, m.kind, m.event, m.sent_at_ms, m.read,
                    m.reaction, m.model, m.thread_external_id
             FROM messages AS m LEFT JOIN participants AS p ON p.id = m.author_id WHERE m.id = ?1",
        )?
        .query_row([id], |row| {
            let rule: i64 = row.get(3)?;
            let kind: String = row.get(2)?;
            let event_or_text: String = row.get(4)?;
            Ok(MessageRow {
                author: if rule == 3 { None } else { row.get(1)? },
                author_kind: AuthorKind::parse(&kind).filter(|_| GIVEN.contains(&rule)),
                kind: if event_or_text == "event" { MessageKind::Event } else { MessageKind::Text },
                event: row.get(5)?,
                sent_at_ms: row.get(6)?,
                read: row.get(7)?,
                reaction: row.get(8)?,
                model: row.get(9)?,
                thread: row.get(10)?,
                ..MessageRow::new("", row.get::<_, String>(0)?)
            })
        })
        .optional()?;
    let Some(mut row) = row else { return Ok(None) };
    let citations: usize = count(conn, "citations", id)?;
    row.citations = vec![Citation { url: None, title: None }; citations];
    row.attachments = conn
        .prepare_cached("SELECT kind FROM attachments WHERE message_id = ?1 ORDER BY ordinal")?
        .query_map([id], |row| Ok(Attachment { kind: row.get(0)?, url: None, name: None }))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(row))
}

fn count(conn: &Connection, table: &str, message: i64) -> rusqlite::Result<usize> {
    let sql = format!("SELECT count(*) FROM {table} WHERE message_id = ?1");
    let count: i64 = conn.prepare_cached(&sql)?.query_row([message], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// A record's message as it may be stored once it was erased. `author` takes the place of the author's id where that
/// is a forgotten one.
pub(super) fn blanked(row: &MessageRow, author: Option<String>) -> MessageRow {
    MessageRow {
        author: author.or_else(|| row.author.clone()),
        body_text: String::new(),
        body_html: None,
        citations: row.citations.iter().map(|_| Citation { url: None, title: None }).collect(),
        attachments: row
            .attachments
            .iter()
            .map(|file| Attachment { kind: file.kind.clone(), url: None, name: None })
            .collect(),
        ..row.clone()
    }
}
