//! Keeps the write-ahead log from growing without bound.
//!
//! SQLite starts the log over only when no reader needs what stands in it. A reader that keeps one transaction open
//! for hours makes it grow for hours, and nothing but that reader's end can help. So: it is said, and once the log is
//! above its limit it is cut short soon after the reader has gone, whether or not other readers come and go.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Bytes of log above which it is cut short: some hundred times what stands in it while nobody lingers.
const LIMIT: u64 = 256 * 1024 * 1024;

/// How long one attempt may wait for readers. Writing stands still meanwhile.
const ATTEMPT: Duration = Duration::from_millis(250);

/// After an attempt in vain: the first wait until the next one, doubled each time up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The warning is repeated at most this often.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Looks after the log of one writing connection.
pub(super) struct WalCap {
    log: Option<PathBuf>,
    limit: u64,
    wait: Duration,
    next_attempt: Option<Instant>,
    warned: Option<Instant>,
}

impl WalCap {
    /// For this connection, with the usual limit.
    pub(super) fn new(connection: &Connection) -> Self {
        #[cfg(debug_assertions)]
        let limit = super::failpoint::faults().wal_limit.unwrap_or(LIMIT);
        #[cfg(not(debug_assertions))]
        let limit = LIMIT;
        Self::with_limit(connection, limit)
    }

    fn with_limit(connection: &Connection, limit: u64) -> Self {
        // SQLite's own full path: beside the file that a symbolic link leads to, not beside the link.
        let log = connection.path().map(|path| PathBuf::from(format!("{path}-wal")));
        Self { log, limit, wait: FIRST_WAIT, next_attempt: None, warned: None }
    }

    /// To be called between transactions, after each one.
    pub(super) fn after_commit(&mut self, connection: &mut Connection, now: Instant) {
        let size = self.log.as_ref().and_then(|log| std::fs::metadata(log).ok()).map_or(0, |log| log.len());
        if size <= self.limit {
            (self.wait, self.next_attempt) = (FIRST_WAIT, None);
            return;
        }
        if self.next_attempt.is_some_and(|at| now < at) {
            return;
        }
        match truncate(connection, ATTEMPT) {
            Ok(true) => {
                (self.wait, self.next_attempt) = (FIRST_WAIT, None);
                tracing::debug!(event = "wal_cut", store.wal_bytes = size, "the write-ahead log was cut short");
            }
            outcome => {
                self.next_attempt = Some(now + self.wait);
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
                if self.warned.is_none_or(|at| now.saturating_duration_since(at) >= WARN_EVERY) {
                    self.warned = Some(now);
                    match outcome {
                        Err(error) => {
                            tracing::warn!(event = "wal_large", store.wal_bytes = size, %error, "the -wal file beside the store cannot be cut short")
                        }
                        Ok(_) => tracing::warn!(
                            event = "wal_large",
                            store.wal_bytes = size,
                            "another program keeps a reading transaction open on the store, so the -wal file beside it \
                             grows; it is cut short when that transaction ends"
                        ),
                    }
                }
            }
        }
    }
}

/// Brings the whole log into the file and empties it, waiting at most so long for readers. Whether it came off.
pub(super) fn truncate(connection: &mut Connection, patience: Duration) -> rusqlite::Result<bool> {
    connection.busy_timeout(patience)?;
    let busy: rusqlite::Result<i64> = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    super::patience::wait_for_locks(connection)?;
    Ok(busy? == 0)
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;

    const TEST_LIMIT: u64 = 200_000;

    fn commit_some(connection: &Connection) {
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS filler (body TEXT);
                 INSERT INTO filler VALUES (hex(randomblob(50000))), (hex(randomblob(50000)))",
            )
            .unwrap();
    }

    #[test]
    fn the_log_is_cut_short_once_the_lingering_reader_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = open::open_writer(&path, 1).unwrap();
        let log = folder.path().join("a.db-wal");
        let size = || std::fs::metadata(&log).unwrap().len();
        let mut cap = WalCap::with_limit(&writer, TEST_LIMIT);
        let mut now = Instant::now();
        commit_some(&writer);
        let reader = open::open_reader(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM filler").unwrap();
        commit_some(&writer);
        cap.after_commit(&mut writer, now);
        assert!(size() > TEST_LIMIT && cap.warned == Some(now));

        // Gone, but it was just tried: not at every commit.
        reader.execute_batch("COMMIT").unwrap();
        commit_some(&writer);
        cap.after_commit(&mut writer, now);
        assert!(size() > TEST_LIMIT);
        now += FIRST_WAIT;
        cap.after_commit(&mut writer, now);
        assert_eq!(size(), 0);
        let rows: i64 = reader.query_row("SELECT count(*) FROM filler", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 6);
    }

    #[test]
    fn attempts_grow_rare_and_warnings_stay_a_minute_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = open::open_writer(&path, 1).unwrap();
        let mut cap = WalCap::with_limit(&writer, TEST_LIMIT);
        commit_some(&writer);
        let reader = open::open_reader(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM filler").unwrap();
        commit_some(&writer);
        let start = Instant::now();
        let (mut attempts, mut warnings) = (0, 0);
        for second in 0..=90 {
            let before = (cap.next_attempt, cap.warned);
            cap.after_commit(&mut writer, start + Duration::from_secs(second));
            attempts += u32::from(cap.next_attempt != before.0);
            warnings += u32::from(cap.warned != before.1);
        }
        assert_eq!((attempts, warnings), (7, 2), "at 0, 1, 3, 7, 15, 31 and 63 seconds; warned at 0 and 63");
    }
}
