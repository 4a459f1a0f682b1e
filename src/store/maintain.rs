//! Tidying up: what is older than it may be kept goes, free pages go back to the disk, the log is cut short.
//!
//! All of it runs on the writer, in slices that each take a few milliseconds: batches that wait are committed between
//! them. A slice that was done stays done, so that maintenance may be broken off at any point.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;

use super::failpoint::failpoint;
use super::{Store, StoreError, erase, fulltext, plans, wal};

/// Rows looked at in one slice.
const ROWS: i64 = 2_000;

/// Free pages given back in one slice: 4 MiB.
const PAGES: i64 = 1_000;

/// Runs that found nothing are kept for so long: a source that is asked every two seconds makes 43,200 of them a day.
const QUIET_RUNS_KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// How long cutting the log short may wait for readers.
const PATIENCE: Duration = Duration::from_millis(250);

/// What may go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Maintain {
    pub now_ms: i64,
    /// Raw records observed before this are dropped.
    pub raw_before_ms: Option<i64>,
    /// Messages sent before this lose their text.
    pub messages_before_ms: Option<i64>,
}

impl Maintain {
    /// For these retentions, counted from now.
    #[must_use]
    pub fn at(now_ms: i64, raw: Option<Duration>, messages: Option<Duration>) -> Self {
        let before = |kept: Duration| now_ms.saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
        Self { now_ms, raw_before_ms: raw.map(before), messages_before_ms: messages.map(before) }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Maintained {
    /// Messages whose text was dropped.
    pub messages_erased: u64,
    /// Raw records that were dropped.
    pub raw_dropped: u64,
    /// Records of runs that found nothing, a month ago or earlier.
    pub runs_dropped: u64,
    /// Pages that went back to the disk.
    pub pages_freed: u64,
    /// Whether the write-ahead log is empty now; a reader in the way is no failure.
    pub log_truncated: bool,
    pub size_bytes: u64,
}

impl Store {
    /// Tidies the store up, slice by slice between the batches of others.
    ///
    /// # Errors
    /// SQLite failed; what was done before stays done.
    pub async fn maintain(&self, asked: Maintain) -> Result<Maintained, StoreError> {
        let mut done = Maintained::default();
        let doing = "noting how long texts are kept";
        self.on_writer(doing, move |conn| note_retention(conn, asked.messages_before_ms)).await?;
        if let Some(before_ms) = asked.messages_before_ms {
            let mut after = 0;
            loop {
                let work = move |conn: &mut Connection| old_messages(conn, after, before_ms, asked.now_ms);
                let Some(slice) = self.on_writer("dropping old texts", work).await? else { break };
                after = slice.up_to;
                done.messages_erased += slice.rows;
            }
            let mut after = 0;
            loop {
                let work = move |conn: &mut Connection| quoting_raw(conn, after);
                let Some(slice) = self.on_writer("dropping records that quote old texts", work).await? else { break };
                after = slice.up_to;
                done.raw_dropped += slice.rows;
            }
            let letters = "dropping what settled dead letters say";
            while self.on_writer(letters, |conn| erased(conn, settled_letters)).await? > 0 {}
        }
        // Words of erased messages, in parts of the index that were written before.
        while self
            .on_writer("taking old words out of the full-text index", |conn| erased(conn, fulltext::merge_slice))
            .await?
        {}
        if let Some(before_ms) = asked.raw_before_ms {
            let mut after = 0;
            loop {
                let work = move |conn: &mut Connection| old_raw(conn, after, before_ms);
                let Some(slice) = self.on_writer("dropping old raw records", work).await? else { break };
                after = slice.up_to;
                done.raw_dropped += slice.rows;
            }
        }
        let quiet_before_ms = asked.now_ms.saturating_sub(QUIET_RUNS_KEPT_MS);
        loop {
            let work = move |conn: &mut Connection| quiet_runs(conn, quiet_before_ms);
            let dropped = self.on_writer("dropping old runs that found nothing", work).await?;
            done.runs_dropped += dropped;
            if dropped == 0 {
                break;
            }
        }
        self.on_writer("looking at indexes", |conn| plans::sample(conn)).await?;
        loop {
            let freed = self.on_writer("giving free pages back", |conn| free_pages(conn)).await?;
            done.pages_freed += freed;
            if freed == 0 {
                break;
            }
        }
        done.log_truncated = self.on_writer("cutting the log short", |conn| wal::truncate(conn, PATIENCE)).await?;
        done.size_bytes = std::fs::metadata(self.path()).map_or(0, |file| file.len());
        Ok(done)
    }
}

/// One slice: how far it came, and how many rows it changed.
struct Slice {
    up_to: i64,
    rows: u64,
}

/// Messages that arrive later, and were sent before this, are kept without text too.
fn note_retention(conn: &Connection, before_ms: Option<i64>) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE erasure SET messages_before_ms = ?1 WHERE id = 1 AND messages_before_ms IS NOT ?1",
        [before_ms],
    )
    .map(|_| ())
}

/// Drops a slice of the runs that found nothing and ended well, but for the newest of each source.
fn quiet_runs(conn: &Connection, before_ms: i64) -> rusqlite::Result<u64> {
    let dropped = conn.execute(
        "DELETE FROM sync_runs WHERE id IN (
           SELECT id FROM sync_runs AS r
           WHERE mode = 'incremental' AND status = 'ok' AND inserted + updated + deleted + dead = 0
             AND started_at_ms < ?1 AND id < (SELECT max(id) FROM sync_runs AS n WHERE n.source_id = r.source_id AND n.status = 'ok')
           LIMIT ?2)",
        params![before_ms, ROWS],
    )?;
    Ok(u64::try_from(dropped).unwrap_or(0))
}

/// The last row id of the next slice of a table.
fn end_of_slice(conn: &Connection, table: &str, after: i64) -> rusqlite::Result<Option<i64>> {
    let sql = format!("SELECT max(id) FROM (SELECT id FROM {table} WHERE id > ?1 ORDER BY id LIMIT ?2)");
    conn.query_row(&sql, [after, ROWS], |row| row.get(0))
}

fn old_messages(conn: &mut Connection, after: i64, before_ms: i64, now_ms: i64) -> rusqlite::Result<Option<Slice>> {
    let Some(up_to) = end_of_slice(conn, "messages", after)? else { return Ok(None) };
    let old: Vec<i64> = conn
        .prepare_cached(
            "SELECT id FROM messages WHERE id > ?1 AND id <= ?2 AND sent_at_ms < ?3 AND erased_at_ms IS NULL",
        )?
        .query_map([after, up_to, before_ms], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if !old.is_empty() {
        erased(conn, |conn| erase::messages(conn, &old, erase::Why::Old, now_ms))?;
    }
    Ok(Some(Slice { up_to, rows: u64::try_from(old.len()).unwrap_or(0) }))
}

/// The row stays with the hash of the record: an unchanged record is still known when it is read again, and sweeps
/// still know what should be there.
fn old_raw(conn: &mut Connection, after: i64, before_ms: i64) -> rusqlite::Result<Option<Slice>> {
    let Some(up_to) = end_of_slice(conn, "raw_records", after)? else { return Ok(None) };
    let rows = erased(conn, |conn| {
        conn.execute(
            "UPDATE raw_records SET codec = 'json', body = x'' WHERE id > ?1 AND id <= ?2 AND observed_at_ms < ?3
             AND body <> x''",
            params![after, up_to, before_ms],
        )
    })?;
    Ok(Some(Slice { up_to, rows: u64::try_from(rows).unwrap_or(0) }))
}

/// Records of lists, and of conversations themselves, that may quote messages whose text is gone: a chat's last message,
/// say. What they told of the conversation stands in its row.
fn quoting_raw(conn: &mut Connection, after: i64) -> rusqlite::Result<Option<Slice>> {
    let Some(up_to) = end_of_slice(conn, "raw_records", after)? else { return Ok(None) };
    let rows = erased(conn, |conn| {
        conn.execute(
            "UPDATE raw_records SET codec = 'json', body = x'' WHERE id > ?1 AND id <= ?2 AND stream <> 'messages'
             AND body <> x'' AND EXISTS (SELECT 1 FROM messages AS m
               WHERE m.conversation_id = raw_records.row_id AND m.erased_at_ms IS NOT NULL)",
            params![after, up_to],
        )
    })?;
    Ok(Some(Slice { up_to, rows: u64::try_from(rows).unwrap_or(0) }))
}

/// What was unreadable once is among the messages now, or gone: it may be an old text.
fn settled_letters(conn: &Connection) -> rusqlite::Result<usize> {
    conn.execute(
        "UPDATE dead_letters SET body = NULL WHERE id IN (
           SELECT id FROM dead_letters WHERE resolved_at_ms IS NOT NULL AND body IS NOT NULL LIMIT ?1)",
        [ROWS],
    )
}

/// A transaction that overwrites what it deletes.
fn erased<T>(conn: &mut Connection, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    conn.execute_batch("PRAGMA secure_delete = ON")?;
    let outcome = conn.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
        let done = work(&transaction)?;
        failpoint!("maintain.slice");
        transaction.commit()?;
        Ok(done)
    });
    conn.execute_batch("PRAGMA secure_delete = FAST")?;
    outcome
}

/// Gives some free pages back; how many.
fn free_pages(conn: &Connection) -> rusqlite::Result<u64> {
    let free = || conn.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
    let before = free()?;
    if before == 0 {
        return Ok(0);
    }
    // Every step frees one page: the statement has to be read to its end.
    let mut statement = conn.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(u64::try_from(before - free()?).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::{MessageRow, ProviderKind, RawRecord, Row};
    use crate::store::{Batch, Record, RunMode, WriterThread, open_reader};

    fn record(id: i64) -> Record {
        let json = RawValue::from_string(format!("{{\"id\":{id}}}")).unwrap();
        let row =
            MessageRow { sent_at_ms: Some(id), body_text: "t".repeat(9_000), ..MessageRow::new("c", id.to_string()) };
        let raw = RawRecord { id: Some(id.to_string()), key: Some(id), parent: None, seq: 0, json };
        Record::new("messages", raw, Ok(vec![Row::Message(row)]))
    }

    /// The writer goes last: it waits for every handle.
    fn opened(folder: &tempfile::TempDir) -> (WriterThread, Store) {
        let (store, writer) = Store::open(&folder.path().join("t.db"), "a test", 1).unwrap();
        (writer, store)
    }

    #[tokio::test]
    async fn batches_go_on_between_its_slices_and_pages_go_back_to_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (_writer, store) = opened(&folder);
        let source_id = store.source("s", ProviderKind::Zaia, "http://127.0.0.1/", None).await.unwrap().id;
        let (run_id, run_start_rev) = store.start_run(source_id, RunMode::Incremental, 1).await.unwrap();
        let batch = |ids: std::ops::Range<i64>| Batch {
            source_id,
            run_id,
            run_start_rev,
            now_ms: 10_000_000,
            records: ids.map(record).collect(),
            ..Batch::default()
        };
        store.commit(batch(1..601)).await.unwrap();
        let asked = Maintain { now_ms: 10_000_000, raw_before_ms: Some(10_000_001), messages_before_ms: Some(501) };
        let maintained = store.maintain(asked);
        let committed = async {
            for n in 0..10 {
                store.commit(batch(6_001 + n * 10..6_011 + n * 10)).await.unwrap();
            }
        };
        let (done, ()) = tokio::join!(maintained, committed);
        let done = done.unwrap();
        assert_eq!(done.messages_erased, 500);
        assert!(done.raw_dropped >= 100 && done.pages_freed > 250 && done.log_truncated, "{done:?}");
        // Once more there is nothing to do but what came meanwhile.
        let again = store.maintain(asked).await.unwrap();
        assert_eq!((again.messages_erased, again.pages_freed), (0, 0));
        let reader = open_reader(store.path()).unwrap();
        let count = |sql: &str| reader.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM messages WHERE length(body_text) = 9000"), 200);
        assert_eq!(count("SELECT count(*) FROM messages WHERE erased_at_ms = 10000000 AND body_text = ''"), 500);
        assert_eq!(count("SELECT count(*) FROM raw_records WHERE hash IS NULL"), 0);
    }

    #[tokio::test]
    async fn settled_letters_keep_no_body_where_texts_may_grow_too_old() {
        let folder = tempfile::tempdir().unwrap();
        let (_writer, store) = opened(&folder);
        store.source("s", ProviderKind::Zaia, "http://127.0.0.1/", None).await.unwrap();
        let letters = |conn: &mut Connection| {
            conn.execute_batch(
                "INSERT INTO dead_letters (source_id, stream, external_id, stage, error, body, body_hash, last_seen_ms, first_seen_ms, resolved_at_ms)
                 VALUES (1, 'messages', 'a', 'normalise', 'no time', '{}', 1, 1, 1, 2), (1, 'messages', 'b', 'normalise', 'no time', '{}', 1, 1, 1, NULL)",
            )
        };
        store.on_writer("making letters", letters).await.unwrap();
        let reader = open_reader(store.path()).unwrap();
        let left =
            || -> i64 { reader.query_row("SELECT count(body) FROM dead_letters", [], |row| row.get(0)).unwrap() };
        store.maintain(Maintain::at(600, None, None)).await.unwrap();
        assert_eq!(left(), 2);
        store.maintain(Maintain { messages_before_ms: Some(1), ..Maintain::at(600, None, None) }).await.unwrap();
        assert_eq!(left(), 1);
    }

    #[tokio::test]
    async fn old_runs_that_found_nothing_go_and_all_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (_writer, store) = opened(&folder);
        store.source("s", ProviderKind::Zaia, "http://127.0.0.1/", None).await.unwrap();
        const DAY: i64 = 24 * 3_600_000;
        let runs = |conn: &mut Connection| {
            conn.execute_batch(
                "WITH n (day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM n WHERE day < 60)
                 INSERT INTO sync_runs (source_id, mode, status, started_at_ms) SELECT 1, 'incremental', 'ok', day * 86400000 FROM n;
                 UPDATE sync_runs SET inserted = 1 WHERE id = 3; UPDATE sync_runs SET status = 'failed' WHERE id = 4;
                 UPDATE sync_runs SET mode = 'sweep' WHERE id = 5",
            )
        };
        store.on_writer("making runs", runs).await.unwrap();
        let done = store.maintain(Maintain::at(60 * DAY, None, None)).await.unwrap();
        assert_eq!(done.runs_dropped, 26);
        // A source that rests keeps the run by which it is judged.
        let later = store.maintain(Maintain::at(600 * DAY, None, None)).await.unwrap();
        assert_eq!(later.runs_dropped, 30);
        let reader = open_reader(store.path()).unwrap();
        let left: Vec<i64> = reader
            .prepare("SELECT id FROM sync_runs ORDER BY id")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(left, [3, 4, 5, 60]);
    }
}
