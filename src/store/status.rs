//! What `chatloom status` tells, read from the store alone.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::{SCHEMA_VERSION, StoreError};

/// The document of `status --json`.
#[derive(Debug, Serialize)]
pub struct StatusReport {
    pub store: StoreInfo,
    pub sources: Vec<SourceStatus>,
}

/// The file itself.
#[derive(Debug, Serialize)]
pub struct StoreInfo {
    pub path: String,
    pub schema: i64,
    pub size_bytes: u64,
}

/// One source.
#[derive(Debug, Serialize)]
pub struct SourceStatus {
    pub name: String,
    pub provider: String,
    /// `ok`, `failing`, `never` or `disabled`.
    pub state: &'static str,
    pub last_success_at: Option<String>,
    pub lag_seconds: Option<i64>,
    pub conversations: i64,
    pub messages: i64,
    pub incomplete: i64,
    /// How many of them for which reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub incomplete_reasons: BTreeMap<String, i64>,
    pub dead_letters: i64,
    pub error: Option<String>,
    pub streams: Vec<StreamStatus>,
}

/// One stream of a source.
#[derive(Debug, Serialize)]
pub struct StreamStatus {
    pub name: String,
    pub scope: String,
    /// The rung of the ladder: `keyset`, `cursor`, `window`, `anchored`, `best_effort`.
    pub method: String,
    pub watermark: Option<String>,
    pub lookback_seconds: i64,
    /// The watermark is saved no later than this long before a pass began: what comes late is met by the next.
    pub hold_back_seconds: i64,
    /// Why it stands on this rung, where that needs saying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What the configuration says about a source.
#[derive(Debug, Clone)]
pub struct Configured {
    pub name: String,
    pub provider: &'static str,
    pub enabled: bool,
}

/// The part of a cursor that `status` shows: see [`StreamStatus`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCursor {
    pub method: String,
    pub watermark: Option<String>,
    pub lookback_seconds: i64,
    pub hold_back_seconds: i64,
    pub note: Option<String>,
}

/// Reads a cursor's JSON.
pub(crate) type ReadCursor = fn(&str) -> Option<ShownCursor>;

/// Reads the state of every configured source, and of sources that only the store knows.
///
/// # Errors
/// SQLite failed.
pub fn status(
    connection: &Connection,
    path: &std::path::Path,
    configured: &[Configured],
    now_ms: i64,
    read_cursor: ReadCursor,
) -> Result<StatusReport, StoreError> {
    let doing = "reading the state of the sources";
    let size_bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    let mut sources = Vec::new();
    for source in configured {
        sources.push(one(connection, source, now_ms, read_cursor).map_err(StoreError::sql(doing))?);
    }
    let others: Vec<Configured> = connection
        .prepare("SELECT name, provider FROM sources ORDER BY id")
        .and_then(|mut statement| {
            statement
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(StoreError::sql(doing))?
        .into_iter()
        .filter(|(name, _)| !configured.iter().any(|known| known.name == *name))
        .map(|(name, provider)| Configured {
            name,
            provider: crate::model::ProviderKind::parse(&provider)
                .map_or("unknown", crate::model::ProviderKind::as_str),
            enabled: false,
        })
        .collect();
    for source in &others {
        sources.push(one(connection, source, now_ms, read_cursor).map_err(StoreError::sql(doing))?);
    }
    Ok(StatusReport {
        store: StoreInfo { path: path.display().to_string(), schema: SCHEMA_VERSION, size_bytes },
        sources,
    })
}

fn one(
    connection: &Connection,
    source: &Configured,
    now_ms: i64,
    read_cursor: ReadCursor,
) -> rusqlite::Result<SourceStatus> {
    let mut report = SourceStatus {
        name: source.name.clone(),
        provider: source.provider.to_owned(),
        state: if source.enabled { "never" } else { "disabled" },
        last_success_at: None,
        lag_seconds: None,
        conversations: 0,
        messages: 0,
        incomplete: 0,
        incomplete_reasons: BTreeMap::new(),
        dead_letters: 0,
        error: None,
        streams: Vec::new(),
    };
    let id: Option<i64> =
        connection.query_row("SELECT id FROM sources WHERE name = ?1", [&source.name], |row| row.get(0)).optional()?;
    let Some(id) = id else { return Ok(report) };
    (report.conversations, report.messages, report.incomplete, report.dead_letters) = connection.query_row(
        "SELECT conversations, messages, incomplete, dead_letters FROM v_sources WHERE source = ?1",
        [&source.name],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    report.incomplete_reasons = connection
        .prepare(
            "SELECT coalesce(incomplete_reason, 'unknown'), count(*) FROM conversations
             WHERE source_id = ?1 AND complete = 0 AND deleted_at_ms IS NULL GROUP BY 1",
        )?
        .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let success: Option<(String, i64)> = connection
        .query_row(
            "SELECT finished_at, finished_at_ms FROM sync_runs WHERE source_id = ?1 AND status = 'ok' AND mode <> 'retry'
             ORDER BY id DESC LIMIT 1",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((at, at_ms)) = success {
        report.last_success_at = Some(at);
        report.lag_seconds = Some((now_ms - at_ms).max(0) / 1000);
    }
    let last: Option<(String, Option<String>)> = connection
        .query_row(
            "SELECT status, error FROM sync_runs WHERE source_id = ?1 AND status NOT IN ('running', 'interrupted')
             AND mode <> 'retry' ORDER BY id DESC LIMIT 1",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((status, error)) = last {
        if source.enabled {
            report.state = if status == "ok" { "ok" } else { "failing" };
        }
        report.error = error;
    }
    report.streams = connection
        .prepare(
            "SELECT stream, scope, cursor FROM cursors WHERE source_id = ?1 AND instr(scope, '@') = 0
             ORDER BY stream, scope",
        )?
        .query_map(params![id], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?
        .filter_map(|row| {
            row.map(|(name, scope, cursor)| {
                let ShownCursor { method, watermark, lookback_seconds, hold_back_seconds, note } =
                    read_cursor(&cursor)?;
                Some(StreamStatus { name, scope, method, watermark, lookback_seconds, hold_back_seconds, note })
            })
            .transpose()
        })
        .collect::<rusqlite::Result<_>>()?;
    Ok(report)
}
