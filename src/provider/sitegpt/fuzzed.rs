//! For `crate::fuzzing`: a body read as the answer to every question of either generation.

use serde_json::value::RawValue;

use super::records::{self, ConversationId};
use super::wire::{Answer, read};
use super::{CHATBOTS, MESSAGES, THREADS, normalise, v0, v2};
use crate::model::RawRecord;
use crate::provider::Job;
use crate::provider::fuzzed::Normalised;

const CHATBOT: &str = "361628903185318481";
const CONVERSATION: &str = "361628903185318481/t1";

fn job() -> Job {
    Job {
        external_id: CONVERSATION.to_owned(),
        reported_messages: Some(3),
        reported_last_ms: None,
        stored_messages: 0,
        unlisted: false,
    }
}

/// Lists and a whole thread of the first generation.
pub(crate) fn v0(body: &[u8]) -> Vec<Normalised> {
    let mut found = Vec::new();
    lists(body, &["threads"], &mut found);
    let job = job();
    let whole = |answer: &Answer<'_>| match ConversationId::parse(&job.external_id) {
        Ok(id) => v0::whole(answer, id, &job).map(|(page, tally)| (page.records, tally)),
        Err(_) => Err(super::wire::broken("no conversation")),
    };
    if let Ok((records, tally)) = read(body, whole) {
        assert!(tally.halves >= tally.objects, "halves are never fewer");
        records.into_iter().for_each(|(stream, raw)| take(stream, raw, &mut found));
    }
    found
}

/// Lists, a page of messages, and the place to go on at, of the second generation.
pub(crate) fn v2(body: &[u8]) -> Vec<Normalised> {
    let mut found = Vec::new();
    lists(body, &["conversations", "threads", "items"], &mut found);
    let messages = read(body, |answer| {
        drop(answer.next_cursor(1, 2));
        let rows = answer.rows(&["messages"])?;
        Ok((0_i64..).zip(rows).map(|(seq, raw)| records::message(CONVERSATION, seq, raw)).collect::<Vec<_>>())
    });
    messages.into_iter().flatten().for_each(|raw| take(MESSAGES, raw, &mut found));
    v2::fuzzed(body);
    found
}

fn lists(body: &[u8], threads: &[&str], found: &mut Vec<Normalised>) {
    list(body, CHATBOTS, &["chatbots"], records::chatbot, found);
    list(body, THREADS, threads, |raw| records::thread(CHATBOT, raw), found);
}

fn list(
    body: &[u8],
    stream: &'static str,
    names: &[&str],
    record: impl Fn(&RawValue) -> RawRecord,
    found: &mut Vec<Normalised>,
) {
    let rows = read(body, |answer| Ok(answer.rows(names)?.into_iter().map(&record).collect::<Vec<_>>()));
    rows.into_iter().flatten().for_each(|raw| take(stream, raw, found));
}

fn take(stream: &'static str, raw: RawRecord, found: &mut Vec<Normalised>) {
    let rows = normalise::rows(stream, &raw);
    found.push((stream, raw, rows));
}
