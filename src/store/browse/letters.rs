//! Dead letters: records that make no row, the newest first.

use rusqlite::Connection;
use serde::Serialize;

use super::{Conditions, cut};
use crate::store::StoreError;

/// Characters of a stored record that are given.
const BODY: i64 = 4_000;

/// Which letters are listed.
#[derive(Debug, Clone, Default)]
pub struct LetterFilter {
    pub source: Option<String>,
    /// Settled ones, too.
    pub resolved: bool,
    /// Kept before this one.
    pub after: Option<i64>,
    pub limit: u32,
}

/// One page of the list.
#[derive(Debug, Serialize)]
pub struct LetterPage {
    pub dead_letters: Vec<LetterRow>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<i64>,
}

/// One letter.
#[derive(Debug, Serialize)]
pub struct LetterRow {
    pub id: i64,
    pub source: String,
    pub stream: String,
    pub external_id: Option<String>,
    pub stage: String,
    pub error: String,
    #[serde(rename = "first_seen", serialize_with = "super::time")]
    pub first_seen_ms: i64,
    #[serde(rename = "last_seen", serialize_with = "super::time")]
    pub last_seen_ms: i64,
    #[serde(rename = "resolved_at", serialize_with = "super::time_if_known")]
    pub resolved_at_ms: Option<i64>,
    /// The record as it came, or its beginning.
    pub body: Option<String>,
    pub cut: bool,
}

/// Reads one page.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn letters(connection: &Connection, filter: &LetterFilter) -> Result<LetterPage, StoreError> {
    let mut all = Conditions::new();
    all.with(filter.after, ":after", "d.id < :after");
    all.with(filter.source.clone(), ":source", "d.source_id = (SELECT id FROM sources WHERE name = :source)");
    if !filter.resolved {
        all.add("d.resolved_at_ms IS NULL");
    }
    let sql = format!(
        "SELECT d.id, s.name, d.stream, d.external_id, d.stage, substr(d.error, 1, 1000), d.first_seen_ms,
                d.last_seen_ms, d.resolved_at_ms, substr(d.body, 1, {BODY}), coalesce(length(d.body) > {BODY}, 0)
         FROM dead_letters AS d CROSS JOIN sources AS s ON s.id = d.source_id WHERE {} ORDER BY d.id DESC LIMIT {}",
        all.sql,
        i64::from(filter.limit) + 1
    );
    let read = all.list(connection, &sql, |row| {
        Ok(LetterRow {
            id: row.get(0)?,
            source: row.get(1)?,
            stream: row.get(2)?,
            external_id: row.get(3)?,
            stage: row.get(4)?,
            error: row.get(5)?,
            first_seen_ms: row.get(6)?,
            last_seen_ms: row.get(7)?,
            resolved_at_ms: row.get(8)?,
            body: row.get(9)?,
            cut: row.get(10)?,
        })
    });
    let mut letters = read.map_err(StoreError::sql("listing dead letters"))?;
    let more = cut(&mut letters, filter.limit);
    let next = letters.last().map(|letter| letter.id).filter(|_| more);
    Ok(LetterPage { dead_letters: letters, next })
}
