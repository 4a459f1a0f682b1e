//! Figures for monitoring: cheap enough to be read every few seconds, however large the store is.

use std::path::Path;

use rusqlite::{Connection, params};

use super::StoreError;

/// How the store stands.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub store_bytes: u64,
    pub wal_bytes: u64,
    pub sources: Vec<SourceFigures>,
}

/// How a source stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFigures {
    pub name: String,
    pub provider: String,
    /// When the last pass ended that read everything, in milliseconds.
    pub last_success_ms: Option<i64>,
    /// How long passes take of late, the longest of them, in milliseconds.
    pub usual_ms: i64,
    /// Whether the last pass left something unread.
    pub failing: bool,
    pub incomplete: u64,
    /// Conversations that wait to be fetched.
    pub waiting: u64,
    pub dead_letters: u64,
}

/// Reads the figures of every source that the store knows. Nothing here counts messages: each number comes from the
/// end of an index, or from an index that holds only what is counted.
///
/// # Errors
/// SQLite failed.
pub fn figures(connection: &Connection, path: &Path) -> Result<Figures, StoreError> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    // SQLite's own full path: beside the file that a symbolic link leads to, not beside the link.
    let file = connection.path().map_or_else(|| path.to_owned(), Into::into);
    let mut log = file.clone().into_os_string();
    log.push("-wal");
    let sources = sources(connection).map_err(StoreError::sql("reading the figures of the sources"))?;
    Ok(Figures { store_bytes: size(&file), wal_bytes: size(Path::new(&log)), sources })
}

fn sources(connection: &Connection) -> rusqlite::Result<Vec<SourceFigures>> {
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    connection
        .prepare_cached(
            "SELECT s.name, s.provider,
               (SELECT finished_at_ms FROM sync_runs WHERE source_id = s.id AND status = 'ok' AND mode <> 'retry'
                 ORDER BY id DESC LIMIT 1),
               max(
                 (SELECT coalesce(max(took), 0) FROM (SELECT finished_at_ms - started_at_ms AS took FROM sync_runs
                   WHERE source_id = s.id AND status = 'ok' AND mode = 'incremental' ORDER BY id DESC LIMIT 10)),
                 (SELECT coalesce(max(took), 0) FROM (SELECT finished_at_ms - started_at_ms AS took FROM sync_runs
                   WHERE source_id = s.id AND status = 'ok' AND mode = 'sweep' ORDER BY id DESC LIMIT 3))),
               coalesce((SELECT status <> 'ok' FROM sync_runs WHERE source_id = s.id AND mode <> 'retry'
                 AND status NOT IN ('running', 'interrupted') ORDER BY id DESC LIMIT 1), 0),
               (SELECT count(*) FROM conversations WHERE source_id = s.id AND complete = 0 AND deleted_at_ms IS NULL),
               (SELECT count(*) FROM conversations WHERE source_id = s.id
                 AND list_fingerprint IS NOT fetched_fingerprint AND incomplete_reason IS NOT 'forbidden'),
               (SELECT count(*) FROM dead_letters WHERE source_id = s.id AND resolved_at_ms IS NULL)
             FROM sources AS s ORDER BY s.id",
        )?
        .query_map(params![], |row| {
            Ok(SourceFigures {
                name: row.get(0)?,
                provider: row.get(1)?,
                last_success_ms: row.get(2)?,
                usual_ms: row.get::<_, i64>(3)?.max(0),
                failing: row.get(4)?,
                incomplete: count(row.get(5)?),
                waiting: count(row.get(6)?),
                dead_letters: count(row.get(7)?),
            })
        })?
        .collect()
}
