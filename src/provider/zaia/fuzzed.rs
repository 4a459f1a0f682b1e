//! For `crate::fuzzing`: a body read as the answer to every question that this provider is asked.

use std::collections::HashSet;

use super::messages::{Direction, Gathered, direction, items};
use super::wire::{self, Peek};
use super::{normalise, records, senders};
use crate::model::RawRecord;
use crate::provider::fuzzed::Normalised;

/// The chat whose messages are read.
const CHAT: &str = "5f1d7a3e-0000-4000-8000-000000000001";

/// The lists, one chat's messages with their senders, and a single item.
pub(crate) fn read(body: &[u8]) -> Vec<Normalised> {
    let mut read = Vec::new();
    let mut take = |stream: &'static str, raw: RawRecord| {
        let rows = normalise::normalise(stream, &raw);
        read.push((stream, raw, rows));
    };
    for stream in ["channels", "responders", "external_users", "chats", "details"] {
        let Ok(rows) = wire::read_list(body) else { break };
        records(stream, rows).into_iter().for_each(|raw| take(stream, raw));
    }
    if let Ok(rows) = wire::read_list(body) {
        let wanted: HashSet<String> = rows.iter().filter_map(|row| Peek::of(row).sender_id).collect();
        let found = senders::records(&rows, &wanted);
        assert!(found.len() <= wanted.len(), "a sender is found twice");
        found.into_iter().for_each(|raw| take(senders::STREAM, raw));
        gathered(rows).into_records().into_iter().for_each(|raw| take("messages", raw));
    }
    for stream in ["chats", "details"] {
        let Ok(json) = wire::read_item(body) else { break };
        take(stream, wire::record(Peek::of(&json).id, None, json));
    }
    read
}

/// The answer's messages, added a second time the other way round: what has an id must not double.
fn gathered(rows: Vec<Box<serde_json::value::RawValue>>) -> Gathered {
    let mut gathered = Gathered::new(CHAT);
    let first = items(rows.clone());
    let runs = direction(&first);
    gathered.add(first, runs);
    let nameless = gathered.peeks().filter(|peek| peek.id.is_none()).count();
    let once = gathered.len();
    gathered.add(items(rows), Some(Direction::Descending));
    assert_eq!(gathered.len(), once + nameless, "an answer read twice brings only what has no id");
    gathered
}
