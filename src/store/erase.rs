//! Taking the text out of messages for good. The rows stay: counts, times and keys are still true.

use ring::hmac;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::fulltext::Texts;
use super::{altered, raw, shroud};
use crate::model::{Attachment, Citation, MessageRow};

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
    texts.settle(conn, false)?;
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
    for record in raw::of_message(conn, id)? {
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
    let row = conn
        .prepare_cached(&format!(
            "SELECT {} FROM messages AS m LEFT JOIN participants AS p ON p.id = m.author_id WHERE m.id = ?1",
            altered::COLUMNS
        ))?
        .query_row([id], |row| altered::record_of(conn, row))
        .optional()?;
    Ok(row.map(|row| blanked(&row, None)))
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
