//! Passes, the newest first.

use rusqlite::Connection;
use serde::Serialize;

use super::{Conditions, cut};
use crate::store::StoreError;

/// Which runs are listed.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub source: Option<String>,
    pub status: Option<String>,
    /// Begun before this one.
    pub after: Option<i64>,
    pub limit: u32,
}

/// One page of the list.
#[derive(Debug, Serialize)]
pub struct RunPage {
    pub runs: Vec<RunRow>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<i64>,
}

/// One run.
#[derive(Debug, Serialize)]
pub struct RunRow {
    pub id: i64,
    pub source: String,
    pub mode: String,
    pub status: String,
    #[serde(rename = "started_at", serialize_with = "super::time")]
    pub started_at_ms: i64,
    #[serde(rename = "finished_at", serialize_with = "super::time_if_known")]
    pub finished_at_ms: Option<i64>,
    pub requests: i64,
    pub retries: i64,
    pub rows_in: i64,
    pub inserted: i64,
    pub updated: i64,
    pub deleted: i64,
    pub dead: i64,
    pub error: Option<String>,
}

/// Reads one page.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn runs(connection: &Connection, filter: &RunFilter) -> Result<RunPage, StoreError> {
    let mut all = Conditions::new();
    all.with(filter.after, ":after", "r.id < :after");
    all.with(filter.source.clone(), ":source", "r.source_id = (SELECT id FROM sources WHERE name = :source)");
    all.with(filter.status.clone(), ":status", "r.status = :status");
    let sql = format!(
        "SELECT r.id, s.name, r.mode, r.status, r.started_at_ms, r.finished_at_ms, r.requests, r.retries, r.rows_in,
                r.inserted, r.updated, r.deleted, r.dead, r.error
         FROM sync_runs AS r CROSS JOIN sources AS s ON s.id = r.source_id WHERE {} ORDER BY r.id DESC LIMIT {}",
        all.sql,
        i64::from(filter.limit) + 1
    );
    let read = all.list(connection, &sql, |row| {
        Ok(RunRow {
            id: row.get(0)?,
            source: row.get(1)?,
            mode: row.get(2)?,
            status: row.get(3)?,
            started_at_ms: row.get(4)?,
            finished_at_ms: row.get(5)?,
            requests: row.get(6)?,
            retries: row.get(7)?,
            rows_in: row.get(8)?,
            inserted: row.get(9)?,
            updated: row.get(10)?,
            deleted: row.get(11)?,
            dead: row.get(12)?,
            error: row.get(13)?,
        })
    });
    let mut runs = read.map_err(StoreError::sql("listing runs"))?;
    let more = cut(&mut runs, filter.limit);
    let next = runs.last().map(|run| run.id).filter(|_| more);
    Ok(RunPage { runs, next })
}
