//! What a disk may change without breaking the file: a flipped bit in a text is as good a text. Messages and raw records
//! carry a hash of what they said when they were stored.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Row};

use super::raw;
use crate::model::{Attachment, AuthorKind, Citation, Hasher, MessageKind, MessageRow};

/// Columns of `messages AS m LEFT JOIN participants AS p ON p.id = m.author_id` that [`record_of`] reads.
pub(super) const COLUMNS: &str = "m.id, m.external_id, p.external_id, m.author_kind, m.author_rule, m.kind, m.event, m.sent_at_ms, \
     m.body_text, m.body_html, m.read, m.reaction, m.model, m.thread_external_id";

/// A message's record, as far as it is hashed, read back from its row.
pub(super) fn record_of(conn: &Connection, row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    /// `messages.author_rule`: the record says who wrote it (0), or that the contact did, without an id (3).
    const GIVEN: [i64; 2] = [0, 3];
    let (id, author_kind, rule, kind): (i64, String, i64, String) =
        (row.get(0)?, row.get(3)?, row.get(4)?, row.get(5)?);
    Ok(MessageRow {
        author: if rule == 3 { None } else { row.get(2)? },
        author_kind: AuthorKind::parse(&author_kind).filter(|_| GIVEN.contains(&rule)),
        kind: if kind == "event" { MessageKind::Event } else { MessageKind::Text },
        event: row.get(6)?,
        sent_at_ms: row.get(7)?,
        body_text: row.get(8)?,
        body_html: row.get(9)?,
        read: row.get(10)?,
        reaction: row.get(11)?,
        model: row.get(12)?,
        thread: row.get(13)?,
        citations: citations(conn, id)?,
        attachments: attachments(conn, id)?,
        ..MessageRow::new("", row.get::<_, String>(1)?)
    })
}

/// The citations of a message, in order.
pub(super) fn citations(conn: &Connection, message: i64) -> rusqlite::Result<Vec<Citation>> {
    conn.prepare_cached("SELECT url, title FROM citations WHERE message_id = ?1 ORDER BY ordinal")?
        .query_map([message], |row| Ok(Citation { url: row.get(0)?, title: row.get(1)? }))?
        .collect()
}

/// The attachments of a message, in order.
pub(super) fn attachments(conn: &Connection, message: i64) -> rusqlite::Result<Vec<Attachment>> {
    conn.prepare_cached("SELECT kind, url, name FROM attachments WHERE message_id = ?1 ORDER BY ordinal")?
        .query_map([message], |row| Ok(Attachment { kind: row.get(0)?, url: row.get(1)?, name: row.get(2)? }))?
        .collect()
}

/// Messages and raw records that are not what was stored: at most `most` of them by name, and how many more.
pub(super) fn altered(conn: &Connection, most: usize) -> rusqlite::Result<Vec<String>> {
    // What is asked for every message is planned once, and not for each value anew.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let mut found = Found { most, named: Vec::new(), more: 0 };
    messages(conn, &mut found)?;
    raw_records(conn, &mut found)?;
    if found.more > 0 {
        found.named.push(format!("and {} more that are not what was stored", found.more));
    }
    Ok(found.named)
}

struct Found {
    most: usize,
    named: Vec<String>,
    more: u64,
}

impl Found {
    fn add(&mut self, what: impl FnOnce() -> String) {
        if self.named.len() < self.most {
            self.named.push(what());
        } else {
            self.more += 1;
        }
    }
}

fn messages(conn: &Connection, found: &mut Found) -> rusqlite::Result<()> {
    // What forgotten people write afterwards bears a pseudonym in the place of the id that was hashed.
    let mut statement = conn.prepare(&format!(
        "SELECT {COLUMNS}, m.content_hash, s.name, c.external_id FROM messages AS m
         LEFT JOIN participants AS p ON p.id = m.author_id
         LEFT JOIN conversations AS c ON c.id = m.conversation_id LEFT JOIN sources AS s ON s.id = c.source_id
         WHERE m.erased_at_ms IS NOT NULL OR NOT EXISTS (SELECT 1 FROM forgotten AS f WHERE f.participant_id = m.author_id)"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // Text that is no text any more cannot even be read.
        let sound =
            record_of(conn, row).is_ok_and(|record| row.get(14).is_ok_and(|hash: i64| hash == record.content_hash()));
        if !sound {
            let text = |at: usize| row.get::<_, Option<String>>(at).ok().flatten().unwrap_or_else(|| "?".to_owned());
            found.add(|| {
                format!("message {} of {} conversation {} is not what was stored", text(1), text(15), text(16))
            });
        }
    }
    Ok(())
}

fn raw_records(conn: &Connection, found: &mut Found) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(
        "SELECT r.codec, r.body, r.hash, s.name, r.stream, r.external_id, r.row_id FROM raw_records AS r
         LEFT JOIN sources AS s ON s.id = r.source_id WHERE r.body <> x''",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let json = raw::unpack(conn, &row.get::<_, String>(0)?, row.get(1)?, row.get(6)?);
        let hash: Option<i64> = row.get(2).unwrap_or_default();
        let same = |json: &str| hash.is_none_or(|hash| hash == Hasher::of_bytes(json.as_bytes()));
        if json.is_none_or(|json| !same(json.get())) {
            let text = |at: usize| row.get::<_, Option<String>>(at).ok().flatten().unwrap_or_else(|| "?".to_owned());
            found.add(|| format!("raw record {} of {} {} is not what was stored", text(5), text(3), text(4)));
        }
    }
    Ok(())
}
