//! Pages may be cut anywhere, come in another order where order means nothing, and come again after a crash: the
//! tables end up the same, and what was stored already changes nothing.

use std::path::Path;
use std::sync::Arc;

use chatloom::http::{Http, HttpSettings, Pacer};
use chatloom::model::{ProviderKind, RawRecord};
use chatloom::provider::{Facts, Provider as _, brilliant_directories as bd};
use chatloom::store::{Batch, Record, RunMode, Store};
use proptest::prelude::*;
use rusqlite::Connection;
use secrecy::SecretString;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::NOW_MS;

/// What a site shows of one row: the stream and the record.
type Shown = (&'static str, RawRecord);

fn adapter() -> bd::BrilliantDirectories {
    let settings = HttpSettings {
        base_url: "http://127.0.0.1:9/".parse().unwrap(),
        auth_header: "x-api-key",
        auth_value: SecretString::from("unused".to_owned()),
        private_network: false,
        roots: Vec::new(),
        timeout: std::time::Duration::from_secs(1),
        max_body_bytes: 1,
        subject: chatloom::telemetry::Subject::nobody(),
    };
    let http = Http::new(settings, Arc::new(Pacer::new(60)), CancellationToken::new()).unwrap();
    let settings = bd::Settings { timezone: Some("America/New_York".to_owned()), ..bd::Settings::default() };
    bd::BrilliantDirectories::new(http, Arc::new(Facts::default()), settings)
}

fn record(stream: &'static str, id: usize, json: &serde_json::Value) -> Shown {
    let json = serde_json::value::RawValue::from_string(json.to_string()).unwrap();
    let key = i64::try_from(id).ok();
    (stream, RawRecord { id: Some(id.to_string()), key, parent: None, seq: 0, json })
}

/// A thread between two of four people, or of one who also answers elsewhere.
fn thread(id: usize, owner: usize, responders: &[usize], deleted: bool) -> Shown {
    let responders: Vec<String> = responders.iter().map(|one| format!("person{one}")).collect();
    record(
        "threads",
        id,
        &json!({
            "thread_id": id, "thread_token": format!("token{id}"), "thread_owner": format!("person{owner}"),
            "thread_responders": responders.join(","), "thread_status": "1", "created_at": "20260301090000",
            "updated_at": "20260301100000", "deleted_at": if deleted { "20260302000000" } else { "" },
        }),
    )
}

fn message(id: usize, thread: usize, owner: usize, minute: u32, version: u32) -> Shown {
    record(
        "messages",
        id,
        &json!({
            "message_id": id.to_string(), "thread_token": format!("token{thread}"),
            "message_owner": format!("person{owner}"), "message_status": "0",
            "message_content": format!("<p>text {id}, version {version}</p>"),
            "created_at": format!("202603011{:01}{:02}00", minute / 60, minute % 60),
        }),
    )
}

/// Each thread and message once.
fn site() -> impl Strategy<Value = Vec<Shown>> {
    let threads =
        proptest::collection::vec((0..4_usize, proptest::collection::vec(0..4_usize, 0..3), any::<bool>()), 0..5);
    // Messages of six threads, of which at most five are listed.
    let messages = proptest::collection::vec((0..6_usize, 0..4_usize, 0..120_u32), 0..25);
    (threads, messages).prop_map(|(threads, messages)| {
        let mut shown = Vec::new();
        for (id, (owner, responders, deleted)) in threads.iter().enumerate() {
            shown.push(thread(id, *owner, responders, *deleted));
        }
        for (id, (of, owner, minute)) in messages.iter().enumerate() {
            shown.push(message(id, *of, *owner, *minute, 1));
        }
        shown
    })
}

/// Commits pages one after the other to a new store, and again from the start for `rounds` rounds.
/// Returns the change counter after each round.
fn store_pages(file: &Path, pages: &[Vec<Shown>], rounds: usize) -> Vec<i64> {
    let adapter = adapter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, writer) = Store::open(file, "a test", NOW_MS).unwrap();
        let kind = ProviderKind::BrilliantDirectories;
        let source = store.source("bd", kind, "http://127.0.0.1:9/", None).await.unwrap();
        let (run_id, run_start_rev) = store.start_run(source.id, RunMode::Backfill, NOW_MS).await.unwrap();
        let mut revs = Vec::new();
        for _ in 0..rounds {
            for page in pages {
                let records =
                    page.iter().map(|(stream, raw)| Record::new(*stream, raw.clone(), adapter.normalise(stream, raw)));
                let batch = Batch {
                    source_id: source.id,
                    run_id,
                    run_start_rev,
                    now_ms: NOW_MS,
                    records: records.collect(),
                    ..Batch::default()
                };
                store.commit(batch).await.unwrap();
            }
            let reader = Connection::open(file).unwrap();
            revs.push(reader.query_row("SELECT rev FROM change_counter", [], |row| row.get(0)).unwrap());
        }
        drop(store);
        drop(writer);
        revs
    })
}

/// Everything that stands in the tables, without ids and change counters.
fn tables(file: &Path) -> Vec<String> {
    let connection = Connection::open(file).unwrap();
    let mut told = Vec::new();
    for sql in [
        "SELECT 'conversation', c.external_id, ch.external_id, p.external_id, c.status, c.title, c.page_url,
                c.started_at_ms, c.updated_at_ms, c.last_message_at_ms, c.complete, c.deleted_at_ms, c.deleted_reason
         FROM conversations AS c LEFT JOIN channels AS ch ON ch.id = c.channel_id
         LEFT JOIN participants AS p ON p.id = c.contact_id ORDER BY 2",
        "SELECT 'role', c.external_id, p.external_id, a.role FROM conversation_roles AS a
         JOIN conversations AS c ON c.id = a.conversation_id JOIN participants AS p ON p.id = a.participant_id
         ORDER BY 2, 3",
        "SELECT 'participant', external_id, kind, name, resolved FROM participants ORDER BY 2",
        "SELECT 'message', c.external_id, m.external_id, p.external_id, m.author_kind, m.author_rule, m.seq,
                m.sent_at_ms, m.body_text, m.body_html, m.read, m.content_hash, m.deleted_at_ms
         FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
         LEFT JOIN participants AS p ON p.id = m.author_id ORDER BY 2, 3",
        "SELECT 'revision', m.external_id, r.revision, r.body_text FROM message_revisions AS r
         JOIN messages AS m ON m.id = r.message_id ORDER BY 2, 3",
        "SELECT 'raw', stream, external_id, hash FROM raw_records ORDER BY 2, 3",
        "SELECT 'letter', stream, external_id, error FROM dead_letters ORDER BY 2, 3",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = (0..width).map(|at| format!("{:?}", row.get::<_, rusqlite::types::Value>(at).unwrap()));
            told.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    told
}

/// Cuts records into pages at the given places.
fn cut(records: &[Shown], places: &[prop::sample::Index]) -> Vec<Vec<Shown>> {
    let mut at: Vec<usize> = places.iter().map(|place| place.index(records.len() + 1)).collect();
    at.extend([0, records.len()]);
    at.sort_unstable();
    at.windows(2).map(|ends| records[ends[0]..ends[1]].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_and_any_order_of_pages_give_the_same_tables(
        (records, shuffled) in site().prop_flat_map(|records| (Just(records.clone()), Just(records).prop_shuffle())),
        places in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (whole, cut_up) = (folder.path().join("whole.db"), folder.path().join("cut.db"));
        store_pages(&whole, std::slice::from_ref(&records), 1);
        let revs = store_pages(&cut_up, &cut(&shuffled, &places), 2);
        prop_assert_eq!(tables(&whole), tables(&cut_up));
        prop_assert_eq!(revs[0], revs[1], "what was stored already changes nothing");
    }

    #[test]
    fn a_page_that_comes_again_after_a_crash_changes_nothing(
        mut records in site(),
        edits in proptest::collection::vec((0..25_usize, 2..5_u32), 0..8),
        places in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        again in proptest::collection::vec(any::<bool>(), 40),
    ) {
        // Edits come on later pages of their own, as a later reading shows them.
        let first = records.len();
        for (id, version) in edits {
            let known = records[..first].iter().find(|(stream, raw)| *stream == "messages" && raw.id == Some(id.to_string()));
            if let Some((_, raw)) = known {
                let text = raw.json.get().replace("version 1", &format!("version {version}"));
                let json = serde_json::from_str::<serde_json::Value>(&text).unwrap();
                records.push(record("messages", id, &json));
            }
        }
        let mut pages = cut(&records[..first], &places);
        pages.extend(records[first..].iter().map(|edit| vec![edit.clone()]));
        let mut repeated = Vec::new();
        for (page, again) in pages.iter().zip(again) {
            repeated.push(page.clone());
            if again {
                repeated.push(page.clone());
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let (once, twice) = (folder.path().join("once.db"), folder.path().join("twice.db"));
        let plain = store_pages(&once, &pages, 1);
        let with_repeats = store_pages(&twice, &repeated, 1);
        prop_assert_eq!(tables(&once), tables(&twice));
        prop_assert_eq!(plain, with_repeats, "a repetition spends no change number");
    }
}
