//! Normalising again what is stored: dead letters, and raw records after the normaliser or a time zone changed.
//!
//! All of it is one transaction, so that readers never see a history half in one time zone, and an interrupted replay
//! leaves no trace. Records are applied in the order in which they were observed, which leaves the last word to the
//! record that had it. On the way a row may change and change back: what stands at the end as it stood at the
//! beginning keeps its `rev` (see `journal`).

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::batch::{Batch, Counts, Record, UsageNow};
use super::failpoint::failpoint;
use super::{StoreError, fold, journal, lacking, raw};
use crate::model::{RawRecord, Reject, Row};

/// Records applied together: what is held in memory at once.
const CHUNK: usize = 500;

/// What is to be normalised again.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    pub source_id: i64,
    pub run_id: i64,
    /// The change counter when the run began.
    pub run_start_rev: i64,
    pub now_ms: i64,
    /// Dead letters that are not settled.
    pub letters: bool,
    /// Every stored raw record.
    pub records: bool,
    /// The time zone that all rows are computed in afterwards, where it is another than before: cursors that count in
    /// times begin anew.
    pub timezone: Option<String>,
    /// Facts that are stored with it.
    pub facts: BTreeMap<String, String>,
    pub usage: UsageNow,
}

/// How a replay fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// `dead` counts the records that still make no row.
    pub counts: Counts,
    /// It was told to stop, and changed nothing.
    pub interrupted: bool,
}

/// Turns a stored record into rows, given the stream it is kept under.
pub(super) type Normalise = Box<dyn Fn(&str, &RawRecord) -> Result<Vec<Row>, Reject> + Send>;
/// Whether to stop.
pub(super) type Stopped = Box<dyn Fn() -> bool + Send>;

/// A stored record, as it was handed to the store.
struct Kept {
    id: i64,
    stream: String,
    raw: RawRecord,
}

/// Runs a replay in a transaction of its own.
pub(super) fn replay(
    connection: &mut Connection,
    asked: &Replay,
    normalise: &Normalise,
    stopped: &Stopped,
) -> Result<Replayed, StoreError> {
    // The journal may grow with the store: not in memory.
    let store_temporaries = |connection: &Connection, place: &str| {
        connection.execute_batch(&format!("PRAGMA temp_store = {place}")).map_err(StoreError::sql(DOING))
    };
    store_temporaries(connection, "FILE")?;
    let outcome = in_transaction(connection, asked, normalise, stopped);
    store_temporaries(connection, "MEMORY")?;
    outcome
}

const DOING: &str = "normalising stored records again";

fn in_transaction(
    connection: &mut Connection,
    asked: &Replay,
    normalise: &Normalise,
    stopped: &Stopped,
) -> Result<Replayed, StoreError> {
    let doing = DOING;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::sql(doing))?;
    journal::begin(&transaction).map_err(StoreError::sql(doing))?;
    let mut counts = Counts::default();
    if asked.letters && !letters(&transaction, asked, normalise, stopped, &mut counts)? {
        return Ok(Replayed { counts: Counts::default(), interrupted: true });
    }
    if asked.letters {
        lacking::letters_changed(&transaction, asked.source_id).map_err(StoreError::sql(doing))?;
    }
    if asked.records && !records(&transaction, asked, normalise, stopped, &mut counts)? {
        return Ok(Replayed { counts: Counts::default(), interrupted: true });
    }
    if let Some(timezone) = &asked.timezone {
        set_zone(&transaction, asked.source_id, timezone).map_err(StoreError::sql(doing))?;
    }
    fold::apply(&transaction, &Batch { facts: asked.facts.clone(), ..batch(asked) })?;
    let settled = journal::settle(&transaction, asked.run_start_rev).map_err(StoreError::sql(doing))?;
    let updated = |rows: &mut super::RowCounts, updated: u64| {
        rows.unchanged += rows.updated.saturating_sub(updated);
        (rows.updated, rows.deleted) = (updated, 0);
    };
    updated(&mut counts.conversations, settled.conversations);
    updated(&mut counts.messages, settled.messages);
    tell_run(&transaction, asked, &counts).map_err(StoreError::sql(doing))?;
    failpoint!("replay.settled");
    transaction.commit().map_err(StoreError::sql(doing))?;
    failpoint!("replay.committed");
    Ok(Replayed { counts, interrupted: false })
}

fn batch(asked: &Replay) -> Batch {
    Batch {
        source_id: asked.source_id,
        run_id: asked.run_id,
        run_start_rev: asked.run_start_rev,
        now_ms: asked.now_ms,
        usage: asked.usage,
        ..Batch::default()
    }
}

/// Tries the open dead letters. `false`: told to stop.
fn letters(
    connection: &Connection,
    asked: &Replay,
    normalise: &Normalise,
    stopped: &Stopped,
    counts: &mut Counts,
) -> Result<bool, StoreError> {
    let mut after = 0;
    loop {
        let open = open_letters(connection, asked.source_id, after).map_err(StoreError::sql("reading dead letters"))?;
        let Some(last) = open.last() else { return Ok(true) };
        after = last.id;
        if stopped() {
            return Ok(false);
        }
        for letter in open {
            match normalise(&letter.stream, &letter.raw) {
                Ok(rows) => {
                    let again = is_stored(connection, asked.source_id, &letter)
                        .map_err(StoreError::sql("looking up a record"))?;
                    let record = Record { again, ..Record::new(letter.stream, letter.raw, Ok(rows)) };
                    counts.add(&fold::apply(connection, &Batch { records: vec![record], ..batch(asked) })?.counts);
                    connection
                        .prepare_cached(
                            "UPDATE dead_letters SET resolved_at_ms = ?2 WHERE id = ?1 AND resolved_at_ms IS NULL",
                        )
                        .and_then(|mut statement| statement.execute([letter.id, asked.now_ms]))
                        .map_err(StoreError::sql("settling a dead letter"))?;
                }
                Err(reject) => {
                    (counts.dead, counts.rows_in) = (counts.dead + 1, counts.rows_in + 1);
                    connection
                        .prepare_cached("UPDATE dead_letters SET stage = ?2, error = ?3 WHERE id = ?1 AND error <> ?3")
                        .and_then(|mut statement| {
                            statement.execute(params![letter.id, reject.stage.as_str(), reject.to_string()])
                        })
                        .map_err(StoreError::sql("keeping a dead letter"))?;
                }
            }
        }
    }
}

fn open_letters(connection: &Connection, source_id: i64, after: i64) -> rusqlite::Result<Vec<Kept>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, stream, external_id, parent, seq, body FROM dead_letters
         WHERE source_id = ?1 AND id > ?2 AND resolved_at_ms IS NULL AND body IS NOT NULL ORDER BY id LIMIT 100",
    )?;
    let mut rows = statement.query(params![source_id, after])?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        let body: String = row.get(5)?;
        // A letter was JSON when it was kept; one that is none any more stays as it is.
        let Some(json) = raw::unpack(connection, "json", body.into_bytes(), None) else { continue };
        let raw = RawRecord { id: row.get(2)?, key: None, parent: row.get(3)?, seq: row.get(4)?, json };
        letters.push(Kept { id: row.get(0)?, stream: row.get(1)?, raw });
    }
    Ok(letters)
}

/// Whether the very record of a letter is stored as well (an earlier normaliser could read it).
fn is_stored(connection: &Connection, source_id: i64, letter: &Kept) -> rusqlite::Result<bool> {
    let hash = crate::model::Hasher::of_bytes(letter.raw.json.get().as_bytes());
    connection
        .prepare_cached("SELECT hash IS ?4 FROM raw_records WHERE source_id = ?1 AND stream = ?2 AND external_id = ?3")?
        .query_row(params![source_id, letter.stream, letter.raw.id, hash], |row| row.get(0))
        .optional()
        .map(|same| same.unwrap_or(false))
}

/// Applies every stored record again. `false`: told to stop.
fn records(
    connection: &Connection,
    asked: &Replay,
    normalise: &Normalise,
    stopped: &Stopped,
    counts: &mut Counts,
) -> Result<bool, StoreError> {
    let doing = "reading stored records";
    // Eight bytes a record: the one thing that grows with the store.
    let order: Vec<i64> = connection
        .prepare("SELECT id FROM raw_records WHERE source_id = ?1 AND body <> x'' ORDER BY observed_at_ms, id")
        .and_then(|mut statement| statement.query_map([asked.source_id], |row| row.get(0))?.collect())
        .map_err(StoreError::sql(doing))?;
    for ids in order.chunks(CHUNK) {
        if stopped() {
            return Ok(false);
        }
        let mut batch = batch(asked);
        for id in ids {
            let Some(kept) = record(connection, *id).map_err(StoreError::sql(doing))? else {
                tracing::warn!(
                    event = "record_unreadable",
                    record = id,
                    "a stored record cannot be read back; its rows stay as they are until `sync --full` brings it again"
                );
                connection
                    .execute("UPDATE raw_records SET hash = NULL WHERE id = ?1", [id])
                    .map_err(StoreError::sql(doing))?;
                counts.dead += 1;
                continue;
            };
            let outcome = normalise(&kept.stream, &kept.raw);
            let known =
                outcome.is_err() && has_letter(connection, asked.source_id, &kept).map_err(StoreError::sql(doing))?;
            if !known {
                batch.records.push(Record::from_store(kept.stream, kept.raw, outcome));
            }
        }
        counts.add(&fold::apply(connection, &batch)?.counts);
        failpoint!("replay.applied");
    }
    Ok(true)
}

fn record(connection: &Connection, id: i64) -> rusqlite::Result<Option<Kept>> {
    let Some(json) = raw::read(connection, id)? else { return Ok(None) };
    connection
        .prepare_cached("SELECT stream, external_id, parent, seq, id_number FROM raw_records WHERE id = ?1")?
        .query_row([id], |row| {
            let raw = RawRecord { id: row.get(1)?, key: row.get(4)?, parent: row.get(2)?, seq: row.get(3)?, json };
            Ok(Kept { id, stream: row.get(0)?, raw })
        })
        .optional()
}

fn has_letter(connection: &Connection, source_id: i64, kept: &Kept) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM dead_letters
             WHERE source_id = ?1 AND stream = ?2 AND external_id = ?3 AND resolved_at_ms IS NULL)",
        )?
        .query_row(params![source_id, kept.stream, kept.raw.id], |row| row.get(0))
}

/// Names the zone that all rows are in now. What cursors say in milliseconds was computed in the other one, and so
/// was what a ranged backfill under way left out.
fn set_zone(connection: &Connection, source_id: i64, timezone: &str) -> rusqlite::Result<()> {
    connection.execute("UPDATE sources SET timezone = ?2 WHERE id = ?1", params![source_id, timezone])?;
    connection.execute(
        "DELETE FROM cursors WHERE source_id = ?1 AND (json_extract(cursor, '$.unit') = 'ms' OR instr(scope, '@') > 0)",
        [source_id],
    )?;
    // Records that were dropped cannot be computed anew: they are looked at again when they are read again.
    connection.execute("UPDATE raw_records SET hash = NULL WHERE source_id = ?1 AND body = x''", [source_id])?;
    Ok(())
}

/// The run counts what changed in the end, not what changed on the way.
fn tell_run(connection: &Connection, asked: &Replay, counts: &Counts) -> rusqlite::Result<()> {
    let Counts { rows_in, conversations, messages, dead, .. } = *counts;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    connection.execute(
        "UPDATE sync_runs SET rows_in = ?2, inserted = ?3, updated = ?4, deleted = 0, dead = ?5 WHERE id = ?1",
        params![
            asked.run_id,
            number(rows_in),
            number(conversations.inserted + messages.inserted),
            number(conversations.updated + messages.updated),
            number(dead)
        ],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use crate::model::{ContactHint, ConversationRow, Patch, ProviderKind, RawRecord, Row};
    use crate::store::{Batch, Record, Replay, Replayed, RunMode, Store, WriterThread, open_reader};

    fn opened(folder: &tempfile::TempDir) -> (WriterThread, Store) {
        let (store, writer) = Store::open(&folder.path().join("t.db"), "a test", 1).unwrap();
        (writer, store)
    }

    fn record(stream: &'static str, title: &str) -> Record {
        let json = RawValue::from_string(serde_json::to_string(title).unwrap()).unwrap();
        let raw = RawRecord { id: Some("c".to_owned()), key: None, parent: None, seq: 0, json };
        let outcome = Ok(rows(&raw));
        Record::new(stream, raw, outcome)
    }

    /// A record is a title.
    fn rows(raw: &RawRecord) -> Vec<Row> {
        let title: String = serde_json::from_str(raw.json.get()).unwrap();
        let hint = ContactHint { conversation: "c".to_owned(), name: Some(title.clone()), email: None, phone: None };
        let contact = Patch::Set("somebody".to_owned());
        let row = ConversationRow { external_id: "c".into(), title: Patch::Set(title), contact, ..Default::default() };
        vec![Row::Conversation(row), Row::Contact(hint)]
    }

    #[tokio::test]
    async fn the_last_word_stays_the_last_and_a_row_that_changes_back_keeps_its_rev() {
        let folder = tempfile::tempdir().unwrap();
        // The writer goes last: it waits for every handle.
        let (_writer, store) = opened(&folder);
        let source_id = store.source("s", ProviderKind::Zaia, "http://127.0.0.1/", None).await.unwrap().id;
        let (run_id, run_start_rev) = store.start_run(source_id, RunMode::Incremental, 1).await.unwrap();
        // Two streams speak of one conversation, and the one that was seen first has the last word.
        for (now_ms, stream, title) in [(10, "list", "old"), (20, "head", "newer"), (30, "list", "newest")] {
            let records = vec![record(stream, title)];
            store
                .commit(Batch { source_id, run_id, run_start_rev, now_ms, records, ..Batch::default() })
                .await
                .unwrap();
        }
        let look = || -> (String, i64, i64) {
            let sql = "SELECT title, rev, (SELECT rev FROM change_counter) FROM conversations";
            open_reader(store.path())
                .unwrap()
                .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .unwrap()
        };
        let before = look();
        assert_eq!(before.0, "newest");
        let (run_id, run_start_rev) = store.start_run(source_id, RunMode::Retry, 2).await.unwrap();
        let asked = Replay { source_id, run_id, run_start_rev, now_ms: 40, records: true, ..Replay::default() };
        let Replayed { counts, interrupted } =
            store.replay(asked.clone(), |_, raw| Ok(rows(raw)), || false).await.unwrap();
        assert_eq!((look(), interrupted), (before.clone(), false));
        assert_eq!((counts.conversations.updated, counts.conversations.unchanged, counts.rows_in), (0, 1, 2));

        // A mended normaliser changes the row, once.
        let mended = |_: &str, raw: &RawRecord| {
            let mut rows = rows(raw);
            if let Some(Row::Conversation(row)) = rows.first_mut() {
                row.page_url = Patch::Set("https://example.test/".to_owned());
            }
            Ok(rows)
        };
        let mut revs = Vec::new();
        for _ in 0..2 {
            let (run_id, run_start_rev) = store.start_run(source_id, RunMode::Retry, 2).await.unwrap();
            let asked = Replay { run_id, run_start_rev, ..asked.clone() };
            let updated = store.replay(asked, mended, || false).await.unwrap().counts.conversations.updated;
            revs.push((updated, look().1));
        }
        assert!(revs[0].0 == 1 && revs[0].1 > before.1, "{revs:?}");
        assert_eq!(revs[1], (0, revs[0].1));
    }

    #[tokio::test]
    async fn a_replay_that_is_stopped_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        // The writer goes last: it waits for every handle.
        let (_writer, store) = opened(&folder);
        let source_id = store.source("s", ProviderKind::Zaia, "http://127.0.0.1/", None).await.unwrap().id;
        let (run_id, run_start_rev) = store.start_run(source_id, RunMode::Incremental, 1).await.unwrap();
        let records = vec![record("list", "kept")];
        store.commit(Batch { source_id, run_id, run_start_rev, records, ..Batch::default() }).await.unwrap();
        let asked = Replay {
            source_id,
            run_id,
            run_start_rev,
            records: true,
            timezone: Some("UTC".to_owned()),
            ..Replay::default()
        };
        assert!(store.replay(asked.clone(), |_, _| Ok(Vec::new()), || true).await.unwrap().interrupted);
        let zone = || store.source("s", ProviderKind::Zaia, "http://127.0.0.1/", None);
        assert_eq!(zone().await.unwrap().timezone, None);
        // And the next one finds everything in its place.
        assert!(!store.replay(asked, |_, _| Ok(Vec::new()), || false).await.unwrap().interrupted);
        assert_eq!(zone().await.unwrap().timezone.as_deref(), Some("UTC"));
    }
}
