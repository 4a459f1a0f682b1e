//! Stories of the store: what several records say about one row, in whatever order they come.

use serde_json::value::RawValue;

use super::*;
use crate::model::{
    AuthorKind, ChannelRow, ConversationRow, MessageRow, ParticipantRow, Patch, ProviderKind, RawRecord, Reject, Row,
    StreamKey,
};

mod missing_tests;
mod order_tests;

struct Bench {
    _folder: tempfile::TempDir,
    store: Store,
    _writer: WriterThread,
    source_id: i64,
    run: (i64, i64),
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, writer) = Store::open(&folder.path().join("t.db"), "a test", 1).unwrap();
        let source_id = store.source("s", ProviderKind::Zaia, "http://127.0.0.1/", None).await.unwrap().id;
        let run = store.start_run(source_id, RunMode::Incremental, 1).await.unwrap();
        Self { _folder: folder, store, _writer: writer, source_id, run }
    }

    async fn next_run(&mut self) {
        self.run = self.store.start_run(self.source_id, RunMode::Incremental, 2).await.unwrap();
    }

    fn batch(&self, records: Vec<Record>) -> Batch {
        Batch {
            source_id: self.source_id,
            run_id: self.run.0,
            run_start_rev: self.run.1,
            now_ms: 1000,
            records,
            ..Batch::default()
        }
    }

    async fn commit(&self, records: Vec<Record>) -> Counts {
        self.store.commit(self.batch(records)).await.unwrap().counts
    }

    fn text(&self, sql: &str) -> String {
        let connection = open_reader(self.store.path()).unwrap();
        connection
            .query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| match value {
                rusqlite::types::Value::Null => "NULL".to_owned(),
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Real(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                rusqlite::types::Value::Blob(bytes) => format!("{} bytes", bytes.len()),
            })
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn rev(&self) -> String {
        self.text("SELECT rev FROM change_counter")
    }
}

fn raw(id: &str, json: &str) -> RawRecord {
    let json = RawValue::from_string(json.to_owned()).unwrap();
    RawRecord { id: Some(id.to_owned()), key: None, parent: None, seq: 0, json }
}

fn record(stream: &'static str, id: &str, rows: Vec<Row>) -> Record {
    let json = serde_json::to_string(&format!("{rows:?}")).unwrap();
    Record::new(stream, raw(id, &json), Ok(rows))
}

fn message(id: &str, author: &str, text: &str) -> MessageRow {
    let mut row = MessageRow::new("c", id);
    row.author = Some(author.to_owned());
    row.body_text = text.to_owned();
    row.sent_at_ms = Some(10);
    row
}

fn said(row: MessageRow) -> Record {
    record("messages", &row.external_id.clone(), vec![Row::Message(row)])
}

fn thread(contact: &str, agents: &[&str]) -> Record {
    let row = ConversationRow {
        external_id: "c".to_owned(),
        contact: Patch::Set(contact.to_owned()),
        agents: Patch::Set(agents.iter().map(|agent| (*agent).to_owned()).collect()),
        ..ConversationRow::default()
    };
    record("threads", "1", vec![Row::Conversation(row)])
}

const KINDS: &str =
    "SELECT group_concat(author_kind, ' ') FROM (SELECT author_kind FROM messages ORDER BY external_id)";

#[tokio::test]
async fn times_that_a_clock_ahead_wrote_do_not_count_as_readings() {
    let bench = Bench::new().await;
    let reads = async |now| bench.store.last_reads("s", now).await.unwrap();
    let sweep = async |at: i64| {
        let (run_id, _) = bench.store.start_run(bench.source_id, RunMode::Sweep, at).await.unwrap();
        let usage = UsageNow::default();
        bench
            .store
            .finish_run(run_id, bench.source_id, RunStatus::Ok, None, usage, true, MessageList::Read, at + 1)
            .await
            .unwrap();
    };
    sweep(9_000).await;
    assert_eq!(reads(500).await, LastReads { any_ms: Some(1), everything_ms: Some(0) }, "long ago: it is due");
    sweep(400).await;
    assert_eq!(reads(500).await, LastReads { any_ms: Some(400), everything_ms: Some(400) });
    assert_eq!(reads(9_500).await, LastReads { any_ms: Some(9_000), everything_ms: Some(9_001) });
}

#[tokio::test]
async fn a_writer_that_is_dropped_before_its_stores_does_not_wait_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let (store, writer) = Store::open(&path, "a test", 1).unwrap();
    let other = store.clone();
    drop(writer);
    let refused = other.source("s", ProviderKind::Zaia, "http://127.0.0.1/", None).await;
    assert!(matches!(refused, Err(StoreError::Gone)), "{refused:?}");
    // The lock is free as well.
    let (_again, writer) = Store::open(&path, "a test", 1).unwrap();
    writer.close().await;
}

#[tokio::test]
async fn authors_are_known_by_their_role_whenever_the_thread_comes() {
    let bench = Bench::new().await;
    bench.commit(vec![said(message("1", "o", "a")), said(message("2", "r", "b")), said(message("3", "x", "c"))]).await;
    assert_eq!(bench.text(KINDS), "unknown unknown unknown");
    bench.commit(vec![thread("o", &["r"])]).await;
    assert_eq!(bench.text(KINDS), "contact agent unknown");
    // The other way round, and with a change of roles.
    bench.commit(vec![thread("x", &["o"]), said(message("4", "o", "d"))]).await;
    assert_eq!(bench.text(KINDS), "agent unknown contact agent");
}

#[tokio::test]
async fn a_contact_without_an_id_is_whoever_the_conversation_says() {
    let bench = Bench::new().await;
    let mut question = MessageRow::new("c", "1:q");
    question.author_kind = Some(AuthorKind::Contact);
    bench.commit(vec![said(question)]).await;
    assert_eq!(bench.text("SELECT author_id FROM messages"), "NULL");
    bench.commit(vec![thread("visitor", &[])]).await;
    let author = "SELECT p.external_id FROM messages AS m JOIN participants AS p ON p.id = m.author_id";
    assert_eq!(bench.text(author), "visitor");
}

#[tokio::test]
async fn a_sender_that_turns_out_to_be_a_bot_is_one_in_all_its_messages() {
    let bench = Bench::new().await;
    let mut row = message("1", "b", "a");
    row.kind_follows_participant = true;
    bench.commit(vec![said(row)]).await;
    let bot = ParticipantRow { external_id: "b".to_owned(), kind: Patch::Set(AuthorKind::Bot), ..Default::default() };
    bench.commit(vec![record("responders", "b", vec![Row::Participant(bot)])]).await;
    assert_eq!(bench.text(KINDS), "bot");
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_an_edit_keeps_what_stood_before() {
    let mut bench = Bench::new().await;
    bench.commit(vec![thread("o", &["r"]), said(message("1", "o", "first"))]).await;
    bench.next_run().await;
    let rev = bench.rev();
    let counts = bench.commit(vec![thread("o", &["r"]), said(message("1", "o", "first"))]).await;
    assert_eq!((bench.rev(), counts.messages.unchanged, counts.messages.updated), (rev, 1, 0));
    let counts = bench.commit(vec![said(message("1", "o", "second"))]).await;
    assert_eq!((counts.messages.updated, counts.messages.inserted), (1, 0));
    assert_eq!(bench.text("SELECT body_text FROM messages"), "second");
    assert_eq!(bench.text("SELECT revision || body_text FROM message_revisions"), "1first");
    assert_eq!(bench.text("SELECT edited_at_ms FROM messages"), "1000");
}

#[tokio::test]
async fn a_version_hours_ahead_of_the_clock_keeps_no_later_one_out() {
    let bench = Bench::new().await;
    let said_at = |text: &str, version| said(MessageRow { version: Some(version), ..message("1", "o", text) });
    bench.commit(vec![said_at("first", 1_000 + 20 * 3_600_000)]).await;
    bench.commit(vec![said_at("second", 60_000)]).await;
    assert_eq!(bench.text("SELECT body_text FROM messages"), "second");
}

#[tokio::test]
async fn an_older_version_never_overwrites_a_newer_one() {
    let bench = Bench::new().await;
    let version = |text: &str, version| MessageRow { version: Some(version), ..message("1", "o", text) };
    bench.commit(vec![said(version("new", 20))]).await;
    bench.commit(vec![said(version("old", 10))]).await;
    assert_eq!(bench.text("SELECT body_text FROM messages"), "new");
    bench.commit(vec![said(version("newer", 30))]).await;
    assert_eq!(bench.text("SELECT body_text || edited_at_ms FROM messages"), "newer30");
}

fn listed(fingerprint: i64) -> Record {
    let row = ConversationRow {
        external_id: "c".to_owned(),
        deleted_at_ms: Patch::Clear,
        fingerprint: Some(fingerprint),
        ..ConversationRow::default()
    };
    record("threads", "c", vec![Row::Conversation(row)])
}

fn mark(fingerprint: i64, gone: bool) -> Option<FetchMark> {
    Some(FetchMark {
        conversation: "c".to_owned(),
        fingerprint: Some(fingerprint),
        incomplete: None,
        whole: false,
        gone,
        present: None,
    })
}

const STATE: &str =
    "SELECT complete || coalesce(incomplete_reason, '-') || (deleted_at_ms IS NOT NULL) FROM conversations";

#[tokio::test]
async fn a_conversation_stays_stale_until_what_was_fetched_is_what_is_listed() {
    let bench = Bench::new().await;
    bench.commit(vec![listed(1)]).await;
    assert_eq!(bench.text(STATE), "0not_fetched0");
    // While it was fetched, the list moved on.
    bench.commit(vec![listed(2)]).await;
    bench.store.commit(Batch { fetched: mark(1, false), ..bench.batch(vec![]) }).await.unwrap();
    assert_eq!(bench.text(STATE), "0not_fetched0");
    assert_eq!(bench.store.stale(bench.source_id, (-1, 0, 0), 10).await.unwrap()[0].fingerprint, Some(2));
    bench.store.commit(Batch { fetched: mark(2, false), ..bench.batch(vec![]) }).await.unwrap();
    assert_eq!(bench.text(STATE), "1-0");
    assert!(bench.store.stale(bench.source_id, (-1, 0, 0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_gone_conversation_keeps_its_content_and_is_back_when_a_fetch_succeeds() {
    let bench = Bench::new().await;
    bench.commit(vec![listed(1), said(message("1", "o", "kept"))]).await;
    let counts = bench.store.commit(Batch { fetched: mark(1, true), ..bench.batch(vec![]) }).await.unwrap().counts;
    assert_eq!((bench.text(STATE), counts.conversations.deleted), ("1-1".to_owned(), 1));
    assert_eq!(bench.text("SELECT body_text FROM messages"), "kept");
    assert!(bench.store.stale(bench.source_id, (-1, 0, 0), 10).await.unwrap().is_empty());
    // The list shows it as if nothing had happened: only a fetch can tell.
    bench.commit(vec![listed(1)]).await;
    assert_eq!(bench.text(STATE), "1-1");
    assert_eq!(bench.store.stale(bench.source_id, (-1, 0, 0), 10).await.unwrap().len(), 1);
    bench.store.commit(Batch { fetched: mark(1, false), ..bench.batch(vec![]) }).await.unwrap();
    assert_eq!(bench.text(STATE), "1-0");
}

#[tokio::test]
async fn a_record_that_makes_no_row_is_kept_once_and_settled_when_it_does() {
    let bench = Bench::new().await;
    let bad = || Record {
        outcome: Err(Reject::decode("$.created_at", "expected a time")),
        ..record("messages", "7", vec![])
    };
    assert_eq!(bench.commit(vec![bad(), said(message("8", "o", "good"))]).await.dead, 1);
    assert_eq!(bench.commit(vec![bad()]).await.dead, 1);
    assert_eq!(
        bench.text("SELECT count(*) || min(stage) || min(error) FROM dead_letters"),
        "1decode$.created_at: expected a time"
    );
    bench.commit(vec![said(message("7", "o", "mended"))]).await;
    assert_eq!(bench.text("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), "0");
}

#[tokio::test]
async fn a_letter_of_somebody_forgotten_tells_nothing_of_what_it_said() {
    let bench = Bench::new().await;
    bench.commit(vec![said(message("1", "somebody", "hello"))]).await;
    let who = Who::Id { source: "s".to_owned(), external_id: "somebody".to_owned() };
    bench.store.forget(Forget { who, suppress: false, dry_run: false, now_ms: 2000 }).await.unwrap();
    let json = r#"{"author":"somebody","at":"birch"}"#;
    let bad = || Record::new("messages", raw("9", json), Err(Reject::normalise("$.at", "'birch' is not a time")));
    assert_eq!(bench.commit(vec![bad()]).await.dead, 1);
    assert_eq!(bench.commit(vec![bad()]).await.dead, 1);
    let kept = "SELECT count(*) || ' ' || count(body) || ' ' || min(stage) || ' ' || min(error) FROM dead_letters";
    assert_eq!(bench.text(kept), "1 0 normalise $.at: withheld");
    let plain = crate::model::Hasher::of_bytes(json.as_bytes());
    assert_ne!(bench.text("SELECT body_hash FROM dead_letters"), plain.to_string());
}

#[tokio::test]
async fn rows_and_cursor_stand_or_fall_together() {
    let bench = Bench::new().await;
    let mut broken = bench.batch(vec![said(message("1", "o", "a"))]);
    broken.cursors.push((StreamKey::plain("messages"), "not json".to_owned()));
    bench.store.commit(broken).await.unwrap_err();
    assert_eq!(bench.text("SELECT count(*) FROM messages"), "0");
    assert_eq!(bench.text("SELECT count(*) FROM raw_records"), "0");
    let mut good = bench.batch(vec![said(message("1", "o", "a"))]);
    good.cursors.push((StreamKey::plain("messages"), "{}".to_owned()));
    bench.store.commit(good).await.unwrap();
    assert_eq!(bench.text("SELECT count(*) FROM messages"), "1");
    assert_eq!(bench.store.cursor(bench.source_id, StreamKey::plain("messages")).await.unwrap().as_deref(), Some("{}"));
}

/// Pages are sent without waiting for one another: the cursor of a later one would claim the rows of one that failed.
#[tokio::test]
async fn nothing_is_stored_behind_what_could_not_be() {
    let bench = Bench::new().await;
    let page = |chain: &Chain, id: &str, cursor: &str| {
        let mut batch = Batch { chain: chain.clone(), ..bench.batch(vec![said(message(id, "o", "a"))]) };
        batch.cursors.push((StreamKey::plain("messages"), cursor.to_owned()));
        batch
    };
    let (chain, other) = (Chain::default(), Chain::default());
    let mut posted = Vec::new();
    for (chain, id, cursor) in
        [(&chain, "1", "{\"after\":1}"), (&chain, "2", "not json"), (&chain, "3", "{\"after\":3}"), (&other, "4", "{}")]
    {
        posted.push(bench.store.post(page(chain, id, cursor)).await.unwrap());
    }
    let mut stored = Vec::new();
    for posted in posted {
        stored.push(posted.done().await.is_ok());
    }
    assert_eq!(stored, [true, false, false, true]);
    assert_eq!(bench.text("SELECT group_concat(external_id) FROM messages"), "1,4");
    // However much later it is sent.
    bench.store.commit(page(&chain, "5", "{\"after\":5}")).await.unwrap_err();
    assert_eq!(bench.text("SELECT group_concat(external_id) FROM messages"), "1,4");
}
