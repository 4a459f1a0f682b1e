//! A large store, made once through the store's own commits and kept in `target/bench`.
//!
//! Three sources, ten messages to a conversation, two years. The text is made of words drawn so that a few are in
//! every message and most are rare, as in any language.

use std::path::PathBuf;

use chatloom::model::{
    AuthorKind, ChannelKind, ChannelRow, ConversationRow, MessageRow, ParticipantRow, Patch, ProviderKind, RawRecord,
    Row, StreamKey,
};
use chatloom::sim::Rng;
use chatloom::store::{Batch, MessageList, Record, RunMode, RunStatus, SCHEMA_VERSION, Store, UsageNow};
use serde_json::value::RawValue;

use crate::words::{roll, say_more};

/// Monday, 2 March 2026, 12:00 UTC.
pub(crate) const NOW_MS: i64 = 1_772_452_800_000;
const SPAN_MS: i64 = 730 * 86_400_000;
const PER_CONVERSATION: u64 = 10;
/// Records in one batch: a page.
const PAGE: usize = 100;

/// So many words.
fn text(dice: &mut Rng, words: u64) -> String {
    let mut text = String::new();
    (0..words).for_each(|_| say_more(&mut text, dice));
    text
}

/// How many messages the store is to hold: a million, or what `CHATLOOM_BENCH_MESSAGES` says.
pub(crate) fn size() -> u64 {
    std::env::var("CHATLOOM_BENCH_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000)
}

/// The large store, made now if it is not there.
pub(crate) fn large() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder).expect("a folder below target");
    let path = folder.join(format!("v{SCHEMA_VERSION}-{}.db", size()));
    if !path.exists() {
        let started = std::time::Instant::now();
        eprintln!("making {} messages, once", size());
        let draft = folder.join("draft.db");
        for name in ["draft.db", "draft.db-wal", "draft.db-shm"] {
            drop(std::fs::remove_file(folder.join(name)));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
        runtime.block_on(make(&draft, size()));
        std::fs::rename(&draft, &path).expect("the same folder");
        eprintln!("made in {:.0} s", started.elapsed().as_secs_f64());
    }
    path
}

/// Fills a store with so many messages.
pub(crate) async fn make(path: &std::path::Path, messages: u64) {
    let (store, writer) = Store::open(path, "a benchmark", NOW_MS).expect("a new file");
    let mut pages = Pages::new(messages);
    for (number, (name, provider)) in KINDS.iter().enumerate() {
        let url = format!("https://{name}.example.test/");
        let source = store.source(name, *provider, &url, Some("UTC")).await.expect("a source");
        let (run_id, run_start_rev) = store.start_run(source.id, RunMode::Backfill, NOW_MS).await.expect("a run");
        let mut waiting = tokio::task::JoinSet::new();
        while let Some((records, last)) = pages.next(number) {
            let cursors = vec![(StreamKey::plain("messages"), format!("{{\"after\":{last}}}"))];
            let batch = Batch {
                source_id: source.id,
                run_id,
                run_start_rev,
                now_ms: NOW_MS,
                records,
                cursors,
                ..Batch::default()
            };
            let store = store.clone();
            // As many as the writer lets wait: that is how a quick provider meets it.
            while waiting.len() >= 8 {
                waiting.join_next().await;
            }
            waiting.spawn(async move { store.commit(batch).await.expect("it fits").counts });
        }
        while waiting.join_next().await.is_some() {}
        store
            .finish_run(run_id, source.id, RunStatus::Ok, None, UsageNow::default(), true, MessageList::Read, NOW_MS)
            .await
            .expect("the end of a run");
    }
    drop(store);
    writer.close().await;
}

const KINDS: [(&str, ProviderKind); 3] = [
    ("directory", ProviderKind::BrilliantDirectories),
    ("agents", ProviderKind::Zaia),
    ("bots", ProviderKind::Sitegpt),
];

/// Pages of records, made as they are asked for.
struct Pages {
    dice: Rng,
    conversations: u64,
    /// The next conversation of each source.
    next: [u64; 3],
}

impl Pages {
    fn new(messages: u64) -> Self {
        Self { dice: Rng::new(7), conversations: messages / PER_CONVERSATION, next: [0, 1, 2] }
    }

    fn next(&mut self, kind: usize) -> Option<(Vec<Record>, u64)> {
        let (mut records, mut last) = (Vec::with_capacity(PAGE + 20), 0);
        while records.len() < PAGE && self.next[kind] < self.conversations {
            last = self.next[kind];
            self.next[kind] += 3;
            conversation(&mut self.dice, kind, last, self.conversations, &mut records);
        }
        (!records.is_empty()).then_some((records, last))
    }
}

fn conversation(dice: &mut Rng, kind: usize, number: u64, of: u64, records: &mut Vec<Record>) {
    let id = format!("c{number}");
    // As conversations come in: the earlier number is the earlier one.
    let mut at = NOW_MS - SPAN_MS + SPAN_MS / i64::try_from(of).unwrap_or(1) * i64::try_from(number).unwrap_or(0);
    let who = format!("p{}", roll(dice, of / 2 + 1) / 3);
    let channel = roll(dice, 2);
    let contact = ParticipantRow {
        external_id: who.clone(),
        kind: Patch::Set(AuthorKind::Contact),
        name: Patch::Set(format!("Person {who}")),
        email: if kind == 1 { Patch::Keep } else { Patch::Set(format!("{who}@example.test")) },
        ..ParticipantRow::default()
    };
    let head = ConversationRow {
        external_id: id.clone(),
        channel: Patch::Set(format!("ch{channel}")),
        contact: Patch::Set(who.clone()),
        title: Patch::Set(text(dice, 4)),
        started_at_ms: Patch::Set(at),
        escalated: if kind == 0 { Patch::Keep } else { Patch::Set(roll(dice, 10) == 0) },
        ..ConversationRow::default()
    };
    let place = ChannelRow {
        external_id: format!("ch{channel}"),
        kind: Patch::Set(match (kind, channel) {
            (0, _) => ChannelKind::LiveChat,
            (1, 0) => ChannelKind::Whatsapp,
            _ => ChannelKind::Widget,
        }),
        name: Patch::Keep,
    };
    let rows = vec![Row::Channel(place), Row::Participant(contact), Row::Conversation(head)];
    records.push(record("conversations", &id, format!("{{\"id\":\"{id}\",\"contact\":\"{who}\",\"at\":{at}}}"), rows));
    let other = match (kind, roll(dice, 4)) {
        (0, _) | (_, 0) => AuthorKind::Agent,
        _ => AuthorKind::Bot,
    };
    // Some conversations end with a question.
    let count = if roll(dice, 20) == 0 { PER_CONVERSATION - 1 } else { PER_CONVERSATION };
    for n in 0..count {
        let mut row = MessageRow::new(&id, format!("{number}-{n}"));
        let contact = n % 2 == 0;
        row.author = Some(if contact { who.clone() } else { format!("a{}", roll(dice, 12)) });
        row.author_kind = Some(if contact { AuthorKind::Contact } else { other });
        row.seq = i64::try_from(n).unwrap_or(0);
        row.sent_at_ms = Some(at);
        let words = 4 + roll(dice, 40);
        row.body_text = text(dice, words);
        row.reaction = if !contact && roll(dice, 50) == 0 { -1 } else { 0 };
        at += 1_000 * i64::try_from(5 + roll(dice, 600)).unwrap_or(5);
        let json =
            serde_json::json!({ "id": row.external_id, "chat": id, "by": row.author, "at": at, "text": row.body_text });
        records.push(record("messages", &row.external_id.clone(), json.to_string(), vec![Row::Message(row)]));
    }
}

fn record(stream: &'static str, id: &str, json: String, rows: Vec<Row>) -> Record {
    let json = RawValue::from_string(json).expect("it is JSON");
    let raw = RawRecord { id: Some(id.to_owned()), key: None, parent: None, seq: 0, json };
    Record::new(stream, raw, Ok(rows))
}
