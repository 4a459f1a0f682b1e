//! Sources and their runs.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::batch::Batch;
use super::commit::Tx;
use super::failpoint::failpoint;
use super::{Counts, StoreError, UsageNow, filling, lacking};
use crate::model::ProviderKind;

/// A configured source, as the store keeps it.
#[derive(Debug, Clone)]
pub struct SourceRow {
    pub id: i64,
    /// Whether a pass ever reached the end of every stream.
    pub first_pass_done: bool,
    /// The time zone that its rows are computed in, where the provider has one.
    pub timezone: Option<String>,
}

/// What a run was for: `sync_runs.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    Backfill,
    Incremental,
    Sweep,
    Retry,
}

impl RunMode {
    /// The spelling in `sync_runs.mode`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Incremental => "incremental",
            Self::Sweep => "sweep",
            Self::Retry => "retry",
        }
    }
}

/// How a run ended: `sync_runs.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    Ok,
    Partial,
    Failed,
    Interrupted,
}

impl RunStatus {
    /// The spelling in `sync_runs.status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Finds or makes a source by name. Its provider never changes: ids of two providers do not mix. A time zone is taken
/// only where none is in force yet: to change one, all rows have to be computed anew (see `replay`).
pub(super) fn source(
    conn: &Connection,
    name: &str,
    provider: ProviderKind,
    base_url: &str,
    timezone: Option<&str>,
) -> rusqlite::Result<Result<SourceRow, String>> {
    let found: Option<(String, SourceRow)> = conn
        .query_row(
            "SELECT provider, id, first_pass_at_ms IS NOT NULL, coalesce(timezone, ?2) FROM sources WHERE name = ?1",
            params![name, timezone],
            |row| Ok((row.get(0)?, SourceRow { id: row.get(1)?, first_pass_done: row.get(2)?, timezone: row.get(3)? })),
        )
        .optional()?;
    match found {
        Some((stored, _)) if stored != provider.as_str() => Ok(Err(stored)),
        Some((_, row)) => {
            conn.execute(
                "UPDATE sources SET base_url = ?2, timezone = ?3
                 WHERE id = ?1 AND (base_url <> ?2 OR timezone IS NOT ?3)",
                params![row.id, base_url, row.timezone],
            )?;
            Ok(Ok(row))
        }
        None => {
            conn.execute(
                "INSERT INTO sources (name, provider, base_url, timezone) VALUES (?1, ?2, ?3, ?4)",
                params![name, provider.as_str(), base_url, timezone],
            )?;
            let id = conn.last_insert_rowid();
            Ok(Ok(SourceRow { id, first_pass_done: false, timezone: timezone.map(str::to_owned) }))
        }
    }
}

/// The provider that the store has a source's history of; `None` where it does not have the source.
///
/// # Errors
/// SQLite failed.
pub fn stored_provider(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    connection
        .query_row("SELECT provider FROM sources WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(StoreError::sql("reading the sources"))
}

/// The id of a source that the store has.
pub(super) fn known(conn: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    conn.query_row("SELECT id FROM sources WHERE name = ?1", [name], |row| row.get(0)).optional()
}

/// Why a source was not renamed.
pub(super) enum NotRenamed {
    /// The store has only these.
    Unknown(Vec<String>),
    /// The new name belongs to another source, of so many conversations.
    Taken(i64),
}

/// Renames a source.
pub(super) fn rename(conn: &Connection, old: &str, new: &str) -> rusqlite::Result<Option<NotRenamed>> {
    if known(conn, old)?.is_none() {
        let names = conn
            .prepare("SELECT name FROM sources ORDER BY name")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        return Ok(Some(NotRenamed::Unknown(names)));
    }
    if let Some(taken) = known(conn, new)? {
        let count = "SELECT count(*) FROM conversations WHERE source_id = ?1";
        return conn.query_row(count, [taken], |row| row.get(0)).map(|count| Some(NotRenamed::Taken(count)));
    }
    conn.execute("UPDATE sources SET name = ?2 WHERE name = ?1", [old, new])?;
    Ok(None)
}

/// Runs that a killed process left behind are over.
pub(super) fn close_abandoned(conn: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE sync_runs SET status = 'interrupted', finished_at_ms = ?1, error = 'the process ended before the run did'
         WHERE status = 'running'",
        [now_ms],
    )?;
    Ok(())
}

/// The runs of one source that nobody carries on any more are over.
pub(super) fn abandon(conn: &Connection, source_id: i64, why: &str, now_ms: i64) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE sync_runs SET status = 'failed', finished_at_ms = ?2, error = ?3
         WHERE status = 'running' AND source_id = ?1",
        params![source_id, now_ms, why],
    )?;
    Ok(())
}

/// When a source was last read, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastReads {
    /// When the last pass began.
    pub any_ms: Option<i64>,
    /// When the last reading of everything began that came to its end; or when the first pass ended, if that was later.
    pub everything_ms: Option<i64>,
}

/// When a source was last read. Nothing for a source that the store does not have. Times later than now were written
/// by a clock that was ahead, and say nothing: were the first pass's such a time, everything was last read long ago.
pub(super) fn last_reads(conn: &Connection, name: &str, now_ms: i64) -> rusqlite::Result<LastReads> {
    conn.query_row(
        "SELECT (SELECT max(started_at_ms) FROM sync_runs
                 WHERE source_id = s.id AND mode <> 'retry' AND started_at_ms <= ?2),
                max(iif(first_pass_at_ms > ?2, 0, first_pass_at_ms),
                    coalesce((SELECT max(started_at_ms) FROM sync_runs
                              WHERE source_id = s.id AND mode = 'sweep'
                              AND status IN ('ok', 'partial') AND started_at_ms <= ?2), 0))
         FROM (SELECT max(id) AS id, max(first_pass_at_ms) AS first_pass_at_ms FROM sources WHERE name = ?1) AS s",
        params![name, now_ms],
        |row| Ok(LastReads { any_ms: row.get(0)?, everything_ms: row.get(1)? }),
    )
}

/// Whether the last run of a source did not come to its end: killed, stopped or failed.
pub(super) fn was_cut_short(conn: &Connection, source_id: i64) -> rusqlite::Result<bool> {
    conn.query_row(
        "SELECT coalesce((SELECT status NOT IN ('ok', 'partial') FROM sync_runs WHERE source_id = ?1
         AND mode <> 'retry' ORDER BY id DESC LIMIT 1), 0)",
        [source_id],
        |row| row.get(0),
    )
}

/// Begins a run: its id, and the change counter at its start.
pub(super) fn start(conn: &Connection, source_id: i64, mode: RunMode, now_ms: i64) -> rusqlite::Result<(i64, i64)> {
    conn.execute(
        "INSERT INTO sync_runs (source_id, mode, status, started_at_ms) VALUES (?1, ?2, 'running', ?3)",
        params![source_id, mode.as_str(), now_ms],
    )?;
    let id = conn.last_insert_rowid();
    failpoint!("run.started");
    let rev = conn.query_row("SELECT rev FROM change_counter WHERE id = 1", [], |row| row.get(0))?;
    Ok((id, rev))
}

/// How a run is closed.
#[derive(Debug, Clone)]
pub(super) struct Finish {
    pub(super) run_id: i64,
    pub(super) source_id: i64,
    pub(super) status: RunStatus,
    pub(super) error: Option<String>,
    pub(super) usage: UsageNow,
    pub(super) now_ms: i64,
    pub(super) reached_end: bool,
    pub(super) messages: MessageList,
}

/// What a run did of the list of messages, where messages come with one.
#[derive(Debug, Clone, Copy)]
pub enum MessageList {
    /// Read to its end.
    Read,
    /// Not read to its end; with the change counter when the run began.
    Unread(i64),
    /// Not asked for, or a part of it alone.
    Untold,
}

/// Ends a run: its record and its source's, together.
pub(super) fn finish(conn: &mut Connection, end: &Finish) -> rusqlite::Result<()> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "UPDATE sync_runs SET status = ?2, finished_at_ms = ?3, error = ?4, requests = ?5, retries = ?6 WHERE id = ?1",
        params![
            end.run_id,
            end.status.as_str(),
            end.now_ms,
            end.error,
            count(end.usage.requests),
            count(end.usage.retries)
        ],
    )?;
    failpoint!("run.recorded");
    if end.reached_end {
        transaction.execute(
            "UPDATE sources SET first_pass_at_ms = ?2 WHERE id = ?1 AND first_pass_at_ms IS NULL",
            params![end.source_id, end.now_ms],
        )?;
    }
    match end.messages {
        MessageList::Read => lacking::messages_read(&transaction, end.source_id)?,
        MessageList::Unread(rev) => lacking::messages_unread(&transaction, end.source_id, rev)?,
        MessageList::Untold => {}
    }
    transaction.commit()?;
    failpoint!("run.finished");
    filling::fill_apart(conn);
    Ok(())
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Tx<'_> {
    /// Adds what this batch did to its run.
    pub(super) fn run_progress(&self, batch: &Batch) -> rusqlite::Result<()> {
        let Counts { rows_in, conversations, messages, dead, .. } = self.counts;
        self.conn
            .prepare_cached(
                "UPDATE sync_runs SET requests = ?2, retries = ?3, rows_in = rows_in + ?4, inserted = inserted + ?5,
                 updated = updated + ?6, deleted = deleted + ?7, dead = dead + ?8 WHERE id = ?1",
            )?
            .execute(params![
                batch.run_id,
                count(batch.usage.requests),
                count(batch.usage.retries),
                count(rows_in),
                count(conversations.inserted + messages.inserted),
                count(conversations.updated + messages.updated),
                count(conversations.deleted + messages.deleted),
                count(dead)
            ])?;
        Ok(())
    }
}

/// Makes the error of a source whose name belongs to another provider readable.
pub(super) fn provider_changed(name: &str, stored: &str, configured: ProviderKind) -> StoreError {
    StoreError::ProviderChanged { name: name.to_owned(), stored: stored.to_owned(), configured: configured.to_string() }
}
