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
    /// When the last pass ended that read everything, in milliseconds. A backfill of a range is none.
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

/// Runs behind this many newer ones are not looked at: with a pass every two seconds a day has 43,200 of a source.
const RUNS: i64 = 100_000;

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
               (SELECT finished_at_ms FROM sync_runs WHERE source_id = s.id AND status = 'ok'
                 AND (mode IN ('incremental', 'sweep') OR (mode = 'backfill' AND started_at_ms <= s.first_pass_at_ms))
                 ORDER BY id DESC LIMIT 1),
               max(
                 (SELECT coalesce(max(took), 0) FROM (SELECT finished_at_ms - started_at_ms AS took FROM sync_runs
                   WHERE source_id = s.id AND id > newest - ?1 AND status = 'ok' AND mode = 'incremental' ORDER BY id DESC LIMIT 10)),
                 (SELECT coalesce(max(took), 0) FROM (SELECT finished_at_ms - started_at_ms AS took FROM sync_runs
                   WHERE source_id = s.id AND id > newest - ?1 AND status = 'ok' AND mode = 'sweep' ORDER BY id DESC LIMIT 3))),
               coalesce((SELECT status <> 'ok' FROM sync_runs WHERE source_id = s.id AND mode <> 'retry'
                 AND status NOT IN ('running', 'interrupted') ORDER BY id DESC LIMIT 1), 0),
               (SELECT count(*) FROM conversations WHERE source_id = s.id AND complete = 0 AND deleted_at_ms IS NULL),
               (SELECT count(*) FROM conversations WHERE source_id = s.id
                 AND list_fingerprint IS NOT fetched_fingerprint AND incomplete_reason IS NOT 'forbidden'),
               (SELECT count(*) FROM dead_letters WHERE source_id = s.id AND resolved_at_ms IS NULL)
             FROM sources AS s, (SELECT coalesce(max(id), 0) AS newest FROM sync_runs) ORDER BY s.id",
        )?
        .query_map(params![RUNS], |row| {
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

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;

    #[test]
    fn figures_are_of_the_last_runs_and_of_what_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let writer = open::open_writer(&path, 0).unwrap();
        writer
            .execute_batch(
                "INSERT INTO sources (id, name, provider, base_url, first_pass_at_ms) VALUES
                   (1, 'a', 'zaia', 'x', 99000),
                   (2, 'b', 'zaia', 'x', NULL), (3, 'c', 'zaia', 'x', 500);
                 INSERT INTO sync_runs (source_id, mode, status, started_at_ms, finished_at_ms) VALUES
                   (2, 'backfill', 'ok', 1, 2), (3, 'backfill', 'ok', 400, 500), (3, 'backfill', 'ok', 600, 700);
                 INSERT INTO sync_runs (source_id, mode, status, started_at_ms, finished_at_ms) VALUES
                   (1, 'incremental', 'ok', 1000, 99000), (1, 'sweep', 'ok', 100000, 130000);
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
                 INSERT INTO sync_runs (source_id, mode, status, started_at_ms, finished_at_ms)
                   SELECT 1, 'incremental', 'ok', 200000 + i * 1000, 200000 + i * 1000 + i FROM n;
                 INSERT INTO sync_runs (source_id, mode, status, started_at_ms, finished_at_ms) VALUES
                   (1, 'incremental', 'partial', 300000, 399000), (1, 'retry', 'ok', 400000, 400001);
                 INSERT INTO sync_runs (source_id, mode, status, started_at_ms) VALUES (1, 'incremental', 'running', 5);
                 INSERT INTO conversations (source_id, external_id, status, complete, incomplete_reason, list_fingerprint,
                   fetched_fingerprint, deleted_at_ms, rev) VALUES
                   (1, '1', 'open', 1, NULL, 7, 7, NULL, 1), (1, '2', 'open', 0, 'not_fetched', 7, NULL, NULL, 2),
                   (1, '3', 'open', 0, 'forbidden', 7, 6, NULL, 3), (1, '4', 'open', 0, 'limit', 7, 7, 9, 4);
                 INSERT INTO dead_letters (source_id, stream, stage, error, body, body_hash, first_seen_ms, last_seen_ms,
                   resolved_at_ms) VALUES (1, 's', 'decode', 'e', '{}', 1, 1, 1, NULL), (1, 's', 'decode', 'e', '{}', 2, 1, 1, 2);",
            )
            .unwrap();
        let reader = open::open_reader(&path).unwrap();
        let read = figures(&reader, &path).unwrap();
        let a = SourceFigures {
            name: "a".to_owned(),
            provider: "zaia".to_owned(),
            last_success_ms: Some(210_010),
            // The sweep's half minute, and not the 98 seconds of a pass long ago.
            usual_ms: 30_000,
            failing: true,
            incomplete: 2,
            waiting: 1,
            dead_letters: 1,
        };
        let b = SourceFigures { name: "b".to_owned(), provider: "zaia".to_owned(), ..SourceFigures::default() };
        // Not its backfill of a range.
        let c = SourceFigures { name: "c".to_owned(), last_success_ms: Some(500), ..b.clone() };
        assert_eq!(read.sources, [a, b, c]);
        assert!(read.store_bytes > 0 && read.wal_bytes > 0, "{read:?}");
        // Size counts where the file really is.
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let through = figures(&open::open_reader(&link).unwrap(), &link).unwrap();
        assert_eq!((through.store_bytes, through.wal_bytes), (read.store_bytes, read.wal_bytes));
    }
}
