//! What a pass does with a page: records of each provider, normalised, hashed, packed and committed.

use std::sync::Arc;
use std::time::Duration;

use chatloom::http::{Http, HttpSettings, Pacer};
use chatloom::model::{Hasher, ProviderKind, RawRecord, Row};
use chatloom::provider::{Facts, Provider, brilliant_directories as bd, sitegpt, zaia};
use chatloom::sim::Rng;
use chatloom::store::{Batch, Counts, Record, RunMode, Store, WriterThread};
use serde_json::json;
use serde_json::value::RawValue;

use crate::words::text;

/// Monday, 2 March 2026, 12:00 UTC.
const NOW_MS: i64 = 1_772_452_800_000;
pub(crate) const PAGE: usize = 100;
/// Bytes of a text, about.
const BYTES: usize = 500;
const PER_CONVERSATION: usize = 10;

/// The providers by name, as benchmarks and counts call them.
pub(crate) const PROVIDERS: [&str; 3] = ["brilliant_directories", "zaia", "sitegpt"];

/// One provider's adapter, which is never asked for anything.
pub(crate) fn adapter(provider: &str) -> Box<dyn Provider> {
    // The client is not made without.
    drop(rustls::crypto::ring::default_provider().install_default());
    let settings = HttpSettings {
        base_url: "http://127.0.0.1:9/".parse().expect("an address"),
        auth_header: "x-api-key",
        auth_value: "unused".to_owned().into(),
        private_network: false,
        roots: Vec::new(),
        timeout: Duration::from_secs(1),
        max_body_bytes: 1,
        subject: chatloom::telemetry::Subject::nobody(),
    };
    let http = Http::new(settings, Arc::new(Pacer::new(60)), Default::default()).expect("a client");
    let facts = Arc::new(Facts::default());
    match provider {
        "zaia" => {
            let settings = zaia::Settings { pagination: zaia::Pagination::Auto, lookback_ms: 3_600_000 };
            Box::new(zaia::Zaia::new(http, facts, settings))
        }
        "sitegpt" => {
            let settings = sitegpt::Settings { api: sitegpt::Api::V2, chatbots: Vec::new() };
            Box::new(sitegpt::Sitegpt::new(http, facts, settings))
        }
        _ => {
            let settings = bd::Settings { timezone: Some("America/New_York".to_owned()), ..bd::Settings::default() };
            Box::new(bd::BrilliantDirectories::new(http, facts, settings))
        }
    }
}

/// Messages as a provider sends them, from a number on.
pub(crate) fn messages(provider: &str, from: usize, count: usize) -> Vec<RawRecord> {
    let mut dice = Rng::new(u64::try_from(from).unwrap_or(0) + 11);
    (from..from + count).map(|number| message(provider, number, &mut dice)).collect()
}

fn message(provider: &str, number: usize, dice: &mut Rng) -> RawRecord {
    let said = text(dice, BYTES);
    let (conversation, minute) = (number / PER_CONVERSATION, number % 60);
    let hex = |what: &str| format!("{:016x}{:016x}", Hasher::of_bytes(what.as_bytes()), number);
    let (id, parent, json) = match provider {
        "zaia" => {
            let at = format!("2026-03-01T10:{minute:02}:00.000Z");
            let id = format!("{number:08x}-0000-4000-8000-000000000000");
            let role = if number.is_multiple_of(2) { "user" } else { "assistant" };
            let chat = format!("{conversation:08x}-0000-4000-8000-00000000000c");
            let json = json!({"chatId": chat, "chatThreadId": null, "content": said, "createdAt": at, "externalId": null,
                "id": id, "rawContent": null, "role": role, "senderId": format!("sender{}", number % 7), "updatedAt": at});
            (id, Some(chat), json)
        }
        "sitegpt" => {
            let id = format!("4123456789{number:08}");
            let at = |second: u32| format!("2026-03-01T10:{minute:02}:{second:02}.554714Z");
            let (question, answer) = said.split_once(' ').unwrap_or((&said, "yes"));
            let json = json!({"answer": {"text": answer, "timestamp": at(9)}, "gptModel": "gpt-4o-mini", "iconUrl": null,
                "messageId": id, "messageType": "NORMAL_MESSAGE", "prompts": [], "reaction": "NEUTRAL", "sources": [],
                "question": {"text": question, "timestamp": at(5)}, "systemMessageType": null});
            (id, Some(format!("361628903185318481/t{conversation}")), json)
        }
        _ => {
            let json = json!({"created_at": format!("2026030110{minute:02}00"), "message_content": format!("<p>{said}</p>"),
                "message_id": (number + 1).to_string(), "message_owner": hex(&format!("owner{}", number % 7)),
                "message_status": "0", "message_token": hex("token"), "thread_token": format!("thread{conversation}")});
            ((number + 1).to_string(), None, json)
        }
    };
    let json = RawValue::from_string(json.to_string()).expect("it is JSON");
    RawRecord { id: Some(id), key: i64::try_from(number + 1).ok(), parent, seq: 0, json }
}

/// Records with the rows they give.
pub(crate) fn normalise(adapter: &dyn Provider, messages: &[RawRecord]) -> Vec<Record> {
    let rows = |raw: &RawRecord| adapter.normalise("messages", raw);
    messages.iter().map(|raw| Record::new("messages", raw.clone(), rows(raw))).collect()
}

/// The hashes by which changes are known: of each raw record, and of each message.
pub(crate) fn hash(records: &[Record]) -> i64 {
    let of_row = |row: &Row| if let Row::Message(message) = row { message.content_hash() } else { 0 };
    let of_rows =
        |record: &Record| record.outcome.as_ref().map_or(0, |rows| rows.iter().map(of_row).fold(0, i64::wrapping_add));
    records
        .iter()
        .map(|record| Hasher::of_bytes(record.raw.json.get().as_bytes()).wrapping_add(of_rows(record)))
        .fold(0, i64::wrapping_add)
}

/// A store of its own, in a folder of its own.
pub(crate) struct Shop {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    store: Store,
    _writer: WriterThread,
    source_id: i64,
    run: (i64, i64),
}

impl Shop {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (store, writer) = Store::open(&folder.path().join("t.db"), "a benchmark", NOW_MS).expect("a new file");
        let (source_id, run) = runtime.block_on(async {
            let kind = ProviderKind::BrilliantDirectories;
            let source = store.source("s", kind, "https://www.example.test/", Some("UTC")).await.expect("a source");
            (source.id, store.start_run(source.id, RunMode::Backfill, NOW_MS).await.expect("a run"))
        });
        Self { folder, runtime, store, _writer: writer, source_id, run }
    }

    /// Stores records as one page. What belongs together is together when it returns, the full-text index included.
    pub(crate) fn commit(&self, records: Vec<Record>) -> Counts {
        let (run_id, run_start_rev) = self.run;
        let batch =
            Batch { source_id: self.source_id, run_id, run_start_rev, now_ms: NOW_MS, records, ..Batch::default() };
        self.runtime.block_on(self.store.commit(batch)).expect("it fits").counts
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("t.db")
    }
}
