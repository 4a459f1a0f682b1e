//! Finding messages: what was asked, already taken apart, in; rows out.
//!
//! Everything that was asked is bound. A statement is put together from fixed pieces, one for each kind of condition.

use std::collections::HashMap;

use rusqlite::{Connection, Row as SqlRow, ToSql, params};
use serde::Serialize;

use super::{StoreError, fulltext};
use crate::normalise::{WORD_BREAK, fold};

/// Of a word that stands in more messages than these, those that were stored last are compared for how well they fit: in
/// so many messages no word says much. A beginning of a word is gathered from many words each time that the index is asked,
/// and to compare is to ask it twice more: in so many messages, those that were stored last come first.
const RANKED: usize = 10_000;
/// Characters of a message that are shown where no word was asked for.
const OPENING: usize = 160;
/// Around what was found, inside the text that comes back. A text that has them itself is shown with odd marks.
const MARK: char = '\u{1}';
const UNMARK: char = '\u{2}';

/// What is looked for. Several values of one kind are alternatives; several kinds narrow each other down.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// An expression of the index's own language, made by [`crate::normalise::search_form`] and quoted; `None`: any text.
    pub expression: Option<String>,
    /// Kinds of authors, or parts of names, or whole addresses and ids.
    pub from: Vec<String>,
    /// Names of sources or of providers.
    pub source: Vec<String>,
    /// Kinds of channels, or parts of their names.
    pub channel: Vec<String>,
    /// Sent then or later.
    pub after_ms: Option<i64>,
    /// Sent earlier.
    pub before_ms: Option<i64>,
    /// Voted down.
    pub negative: bool,
    /// What was deleted, too.
    pub deleted: bool,
    /// By time, the newest first, and not by how well they fit.
    pub newest: bool,
    pub limit: u32,
}

/// One message that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Hit {
    pub source: String,
    pub provider: String,
    pub channel: Option<String>,
    pub conversation_id: i64,
    pub conversation_external_id: String,
    pub message_id: i64,
    pub message_external_id: String,
    pub sent_at: Option<String>,
    pub author_kind: String,
    pub author: Option<String>,
    pub reaction: i64,
    /// When it, or its conversation, was found deleted.
    pub deleted_at: Option<String>,
    pub snippet: Vec<Piece>,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    pub text: String,
    /// Whether it is what was looked for.
    pub found: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub hits: Vec<Hit>,
    /// There are more than were asked for.
    pub more: bool,
    /// The index is in step with the messages; otherwise some may be missing.
    pub exact: bool,
}

/// Looks for messages.
///
/// # Errors
/// The index is damaged, or SQLite failed.
pub fn search(connection: &Connection, wanted: &Wanted) -> Result<Found, StoreError> {
    let read = || -> rusqlite::Result<Found> {
        let exact = fulltext::is_exact(connection)?;
        let mut ids = ids(connection, wanted)?;
        let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        let more = ids.len() > limit;
        ids.truncate(limit);
        Ok(Found { hits: hits(connection, wanted, &ids)?, more, exact })
    };
    read().map_err(|error| match fulltext::is_damage(&error) {
        true => StoreError::SearchIndex { cause: error.to_string() },
        false => StoreError::sql("searching")(error),
    })
}

/// One condition more.
struct Conditions {
    sql: String,
    bound: Vec<(&'static str, Box<dyn ToSql>)>,
}

impl Conditions {
    fn add(&mut self, sql: &'static str, name: &'static str, value: impl ToSql + 'static) {
        self.sql.push_str(sql);
        self.bound.push((name, Box::new(value)));
    }

    /// The ids that a question under these conditions gives.
    fn ask(&self, connection: &Connection, sql: &str) -> rusqlite::Result<Vec<i64>> {
        let bound: Vec<(&str, &dyn ToSql)> = self.bound.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        connection.prepare(sql)?.query_map(bound.as_slice(), |row| row.get(0))?.collect()
    }
}

/// Row ids of messages in the order in which they are shown, one more than were asked for if there are more.
fn ids(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<Vec<i64>> {
    let mut all = Conditions { sql: String::new(), bound: Vec::new() };
    if let Some(expression) = &wanted.expression {
        all.add("message_search MATCH :expression", ":expression", expression.clone());
    } else {
        // No word of these is left to be found by.
        all.sql.push_str("m.erased_at_ms IS NULL");
    }
    if !wanted.from.is_empty() {
        let (kinds, people) = authors(connection, &wanted.from)?;
        all.add(" AND (m.author_kind IN (SELECT value FROM json_each(:kinds))", ":kinds", kinds);
        all.add(" OR m.author_id IN (SELECT value FROM json_each(:people)))", ":people", people);
    }
    if !wanted.source.is_empty() {
        all.add(
            " AND c.source_id IN (SELECT value FROM json_each(:sources))",
            ":sources",
            sources(connection, wanted)?,
        );
    }
    if !wanted.channel.is_empty() {
        let channels = channels(connection, wanted)?;
        all.add(" AND c.channel_id IN (SELECT value FROM json_each(:channels))", ":channels", channels);
    }
    if let Some(after) = wanted.after_ms {
        all.add(" AND m.sent_at_ms >= :after", ":after", after);
    }
    if let Some(before) = wanted.before_ms {
        all.add(" AND m.sent_at_ms < :before", ":before", before);
    }
    if wanted.negative {
        all.sql.push_str(" AND m.reaction = -1");
    }
    if !wanted.deleted {
        all.sql.push_str(" AND m.deleted_at_ms IS NULL AND c.deleted_at_ms IS NULL");
    }
    const WORDS: &str = "message_search JOIN messages AS m ON m.id = message_search.rowid";
    const CONVERSATION: &str = "JOIN conversations AS c ON c.id = m.conversation_id";
    let conditions = &all.sql;
    let latest = |columns: &str| {
        format!(
            "SELECT {columns} FROM {WORDS} {CONVERSATION} WHERE {conditions}
             ORDER BY message_search.rowid DESC LIMIT {RANKED}"
        )
    };
    let sql = match (&wanted.expression, wanted.newest) {
        (Some(expression), false) => {
            if has_beginning(expression) {
                let latest = all.ask(connection, &latest("m.id"))?;
                if latest.len() >= RANKED {
                    return Ok(latest);
                }
            }
            let met = latest("m.id AS id, message_search.rank AS fit");
            format!("SELECT id FROM ({met}) ORDER BY fit, id DESC LIMIT :limit")
        }
        (words, _) => {
            let tables = if words.is_some() { WORDS } else { "messages AS m" };
            format!(
                "SELECT m.id FROM {tables} {CONVERSATION} WHERE {conditions}
                 ORDER BY m.sent_at_ms DESC, m.id DESC LIMIT :limit"
            )
        }
    };
    all.bound.push((":limit", Box::new(i64::from(wanted.limit) + 1)));
    all.ask(connection, &sql)
}

fn json<T: Serialize>(values: &[T]) -> String {
    serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned())
}

/// Kinds of authors, and row ids of participants.
fn authors(connection: &Connection, asked: &[String]) -> rusqlite::Result<(String, String)> {
    let asked: Vec<String> = asked.iter().map(|value| fold(value)).collect();
    let (kinds, names): (Vec<&String>, Vec<&String>) =
        asked.iter().partition(|value| matches!(value.as_str(), "contact" | "agent" | "bot" | "system" | "unknown"));
    let mut people = Vec::new();
    if !names.is_empty() {
        let mut statement = connection.prepare("SELECT id, name, email, external_id FROM participants")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text = |at: usize| -> rusqlite::Result<String> {
                Ok(row.get::<_, Option<String>>(at)?.as_deref().map(fold).unwrap_or_default())
            };
            let (name, email, external_id) = (text(1)?, text(2)?.trim().to_owned(), text(3)?);
            if names.iter().any(|asked| name.contains(*asked) || email == **asked || external_id == **asked) {
                people.push(row.get::<_, i64>(0)?);
            }
        }
    }
    Ok((json(&kinds), json(&people)))
}

fn sources(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<String> {
    let asked: Vec<String> = wanted.source.iter().map(|value| fold(value)).collect();
    named(connection, "SELECT id, name, provider FROM sources", |name, provider| {
        asked.iter().any(|asked| *asked == fold(name) || *asked == fold(provider))
    })
}

fn channels(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<String> {
    let asked: Vec<String> = wanted.channel.iter().map(|value| fold(value)).collect();
    named(connection, "SELECT id, coalesce(name, ''), kind FROM channels", |name, kind| {
        asked.iter().any(|asked| fold(name).contains(asked) || *asked == kind)
    })
}

fn named(connection: &Connection, sql: &str, fits: impl Fn(&str, &str) -> bool) -> rusqlite::Result<String> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        let (first, second): (String, String) = (row.get(1)?, row.get(2)?);
        if fits(&first, &second) {
            ids.push(row.get::<_, i64>(0)?);
        }
    }
    Ok(json(&ids))
}

/// The two dozen words around what was found, that between [`MARK`] and [`UNMARK`].
const SNIPPET: &str = "snippet(message_search, 0, char(1), char(2), '…', 24)";
const HIT: &str =
    "s.name, s.provider, ch.kind, c.id, c.external_id, m.id, m.external_id, m.sent_at, m.author_kind, p.name,
    m.reaction, coalesce(m.deleted_at, c.deleted_at)";
const JOINED: &str = "JOIN conversations AS c ON c.id = m.conversation_id JOIN sources AS s ON s.id = c.source_id
    LEFT JOIN channels AS ch ON ch.id = c.channel_id LEFT JOIN participants AS p ON p.id = m.author_id";

/// The rows behind `ids`, in their order. Snippets are made for these alone: it takes the whole text of a message.
fn hits(connection: &Connection, wanted: &Wanted, ids: &[i64]) -> rusqlite::Result<Vec<Hit>> {
    let listed = json(ids);
    let mut hits: Vec<Hit> = match &wanted.expression {
        Some(expression) if has_beginning(expression) => {
            let mut snippets = snippets_apart(connection, expression, &listed)?;
            let sql =
                format!("SELECT {HIT}, '' FROM messages AS m {JOINED} WHERE m.id IN (SELECT value FROM json_each(?1))");
            let mut hits: Vec<Hit> =
                connection.prepare(&sql)?.query_map([&listed], hit)?.collect::<rusqlite::Result<_>>()?;
            for hit in &mut hits {
                hit.snippet = snippets.remove(&hit.message_id).unwrap_or_default();
            }
            hits
        }
        Some(expression) => {
            let sql = format!(
                "SELECT {HIT}, {SNIPPET} FROM message_search JOIN messages AS m ON m.id = message_search.rowid {JOINED}
                 WHERE message_search MATCH ?1 AND message_search.rowid IN (SELECT value FROM json_each(?2))"
            );
            connection.prepare(&sql)?.query_map(params![expression, listed], hit)?.collect::<rusqlite::Result<_>>()?
        }
        None => {
            let sql = format!(
                "SELECT {HIT}, substr(m.body_text, 1, {OPENING}) || iif(length(m.body_text) > {OPENING}, '…', '')
                 FROM messages AS m {JOINED} WHERE m.id IN (SELECT value FROM json_each(?1))"
            );
            connection.prepare(&sql)?.query_map([&listed], hit)?.collect::<rusqlite::Result<_>>()?
        }
    };
    hits.sort_by_key(|hit| ids.iter().position(|id| *id == hit.message_id));
    Ok(hits)
}

/// Whether a word of an expression is only the beginning of one.
fn has_beginning(expression: &str) -> bool {
    expression.contains("\"*")
}

/// Snippets by message, from an index of these messages alone: to ask the large one, a beginning would be gathered from
/// all its words once more.
fn snippets_apart(
    connection: &Connection,
    expression: &str,
    listed: &str,
) -> rusqlite::Result<HashMap<i64, Vec<Piece>>> {
    let apart = Connection::open_in_memory()?;
    let tokenize = fulltext::TOKENIZE;
    apart.execute_batch(&format!("CREATE VIRTUAL TABLE message_search USING fts5(body_text, {tokenize})"))?;
    let mut insert = apart.prepare("INSERT INTO message_search (rowid, body_text) VALUES (?1, ?2)")?;
    let sql = "SELECT id, body_text FROM search_texts WHERE id IN (SELECT value FROM json_each(?1))";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([listed])?;
    while let Some(row) = rows.next()? {
        insert.execute(params![row.get::<_, i64>(0)?, row.get::<_, String>(1)?])?;
    }
    apart
        .prepare(&format!("SELECT rowid, {SNIPPET} FROM message_search WHERE message_search MATCH ?1"))?
        .query_map([expression], |row| Ok((row.get(0)?, pieces(&row.get::<_, String>(1)?))))?
        .collect()
}

fn hit(row: &SqlRow<'_>) -> rusqlite::Result<Hit> {
    let snippet: String = row.get(12)?;
    Ok(Hit {
        source: row.get(0)?,
        provider: row.get(1)?,
        channel: row.get(2)?,
        conversation_id: row.get(3)?,
        conversation_external_id: row.get(4)?,
        message_id: row.get(5)?,
        message_external_id: row.get(6)?,
        sent_at: row.get(7)?,
        author_kind: row.get(8)?,
        author: row.get(9)?,
        reaction: row.get(10)?,
        deleted_at: row.get(11)?,
        snippet: pieces(&snippet),
    })
}

/// Takes a marked text apart; the breaks that only the index needs go.
fn pieces(marked: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut text, mut found) = (String::new(), false);
    for c in marked.chars().chain([UNMARK, MARK]) {
        if c != MARK && c != UNMARK {
            if c != WORD_BREAK {
                text.push(c);
            }
            continue;
        }
        if !text.is_empty() {
            pieces.push(Piece { text: std::mem::take(&mut text), found });
        }
        found = c == MARK;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_text_falls_into_pieces() {
        let piece = |text: &str, found| Piece { text: text.to_owned(), found };
        assert_eq!(pieces("…a \u{1}b\u{2} c"), [piece("…a ", false), piece("b", true), piece(" c", false)]);
        assert_eq!(pieces("東\u{200b}\u{1}京\u{200b}都\u{2}"), [piece("東", false), piece("京都", true)]);
        assert_eq!(pieces(""), []);
        assert_eq!(pieces("\u{2}x\u{1}"), [piece("x", false)]);
    }
}
