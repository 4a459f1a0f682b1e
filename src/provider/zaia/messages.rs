//! One chat's messages from several answers, merged into one ascending list without doubles.
//!
//! Neither the order of the array nor the end that a limit keeps is documented, so nothing is taken from either
//! but the order of messages that share one time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::value::RawValue;

use super::wire::{self, Peek};
use crate::model::RawRecord;
use crate::provider::Facts;

/// A message as it came, with what is needed to place it.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) peek: Peek,
    sent_at_ms: Option<i64>,
    json: Box<RawValue>,
}

impl Item {
    fn of(json: Box<RawValue>) -> Self {
        let peek = Peek::of(&json);
        let sent_at_ms = peek.created_at.as_deref().and_then(wire::millis);
        Self { peek, sent_at_ms, json }
    }
}

/// Reads the rows of an answer.
pub(super) fn items(rows: Vec<Box<RawValue>>) -> Vec<Item> {
    rows.into_iter().map(Item::of).collect()
}

/// The order of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// Which way an array runs by its times; `None` when they do not tell.
pub(super) fn direction(items: &[Item]) -> Option<Direction> {
    let times: Vec<i64> = items.iter().filter_map(|item| item.sent_at_ms).collect();
    let up = times.windows(2).filter(|pair| matches!(pair, [a, b] if a < b)).count();
    let down = times.windows(2).filter(|pair| matches!(pair, [a, b] if a > b)).count();
    match up.cmp(&down) {
        std::cmp::Ordering::Greater => Some(Direction::Ascending),
        std::cmp::Ordering::Less => Some(Direction::Descending),
        std::cmp::Ordering::Equal => None,
    }
}

/// Remembers which way arrays run (fact `message_order`), for those whose times do not tell.
pub(super) struct OrderWatch {
    facts: Arc<Facts>,
}

impl OrderWatch {
    const FACT: &str = "message_order";

    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self { facts }
    }

    /// The direction of an answer: what its times tell, else what earlier ones told.
    pub(super) fn learn(&self, seen: Option<Direction>) -> Option<Direction> {
        match seen {
            Some(Direction::Ascending) => self.facts.set(Self::FACT, "ascending"),
            Some(Direction::Descending) => self.facts.set(Self::FACT, "descending"),
            None => {}
        }
        seen.or_else(|| match self.facts.get(Self::FACT).as_deref() {
            Some("ascending") => Some(Direction::Ascending),
            Some("descending") => Some(Direction::Descending),
            _ => None,
        })
    }
}

/// The messages gathered for one chat.
#[derive(Debug)]
pub(super) struct Gathered {
    chat: String,
    items: Vec<Item>,
    places: HashMap<String, usize>,
}

impl Gathered {
    pub(super) fn new(chat: &str) -> Self {
        Self { chat: chat.to_owned(), items: Vec::new(), places: HashMap::new() }
    }

    /// Adds an answer whose array runs in `direction`. Of two records with one id the later version stays.
    pub(super) fn add(&mut self, mut items: Vec<Item>, direction: Option<Direction>) {
        if direction == Some(Direction::Descending) {
            items.reverse();
        }
        for item in items {
            let place = item.peek.id.as_ref().and_then(|id| self.places.get(id)).copied();
            match place.and_then(|place| self.items.get_mut(place)) {
                Some(before) => {
                    let version = |item: &Item| item.peek.updated_at.as_deref().and_then(wire::millis);
                    if version(&item) > version(before) {
                        *before = item;
                    }
                }
                None => {
                    if let Some(id) = &item.peek.id {
                        self.places.insert(id.clone(), self.items.len());
                    }
                    self.items.push(item);
                }
            }
        }
    }

    /// What came so far, in no order.
    pub(super) fn peeks(&self) -> impl Iterator<Item = &Peek> {
        self.items.iter().map(|item| &item.peek)
    }

    /// The ids that came so far.
    pub(super) fn ids(&self) -> HashSet<&str> {
        self.places.keys().map(String::as_str).collect()
    }

    /// How many messages came so far.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether the list of chats told of a message newer than any that came.
    pub(super) fn is_behind(&self, reported_last_ms: Option<i64>) -> bool {
        let own = self.items.iter().filter(|item| self.is_own(&item.peek));
        reported_last_ms.is_some_and(|reported| own.filter_map(|item| item.sent_at_ms).max() < Some(reported))
    }

    fn is_own(&self, peek: &Peek) -> bool {
        peek.chat_id.as_deref().is_none_or(|chat| chat.eq_ignore_ascii_case(&self.chat))
    }

    /// The records, oldest first. A message names its own chat where it says one, in case a filter was ignored.
    pub(super) fn into_records(mut self) -> Vec<RawRecord> {
        // Stable: equal times keep the order of their array. A message without a readable time comes last.
        self.items.sort_by_key(|item| (item.sent_at_ms.is_none(), item.sent_at_ms));
        let mut ranks: HashMap<(String, Option<i64>), i64> = HashMap::new();
        let mut records = Vec::with_capacity(self.items.len());
        for item in std::mem::take(&mut self.items) {
            let parent = if self.is_own(&item.peek) { None } else { item.peek.chat_id };
            let parent = parent.unwrap_or_else(|| self.chat.clone());
            let rank = ranks.entry((parent.clone(), item.sent_at_ms)).or_insert(0);
            let mut record = wire::record(item.peek.id, item.sent_at_ms, item.json);
            record.parent = Some(parent);
            record.seq = *rank;
            *rank += 1;
            records.push(record);
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &[u8]) -> Vec<Item> {
        items(wire::read_list(body).unwrap())
    }

    fn gathered(bodies: &[&[u8]]) -> Gathered {
        let mut gathered = Gathered::new("c1");
        for body in bodies {
            let items = answer(body);
            let direction = direction(&items);
            gathered.add(items, direction);
        }
        gathered
    }

    fn told(gathered: Gathered) -> Vec<(String, i64)> {
        gathered.into_records().into_iter().map(|record| (record.id.unwrap(), record.seq)).collect()
    }

    const ASCENDING: &[u8] = br#"[
        {"id":"a","chatId":"c1","createdAt":"2026-01-02T10:00:00.000Z"},
        {"id":"b","chatId":"c1","createdAt":"2026-01-02T10:00:01.000Z"},
        {"id":"c","chatId":"c1","createdAt":"2026-01-02T10:00:01.000Z"},
        {"id":"d","chatId":"c1","createdAt":"2026-01-02T10:00:02.000Z"}]"#;
    const DESCENDING: &[u8] = br#"[
        {"id":"d","chatId":"c1","createdAt":"2026-01-02T10:00:02.000Z"},
        {"id":"c","chatId":"c1","createdAt":"2026-01-02T10:00:01.000Z"},
        {"id":"b","chatId":"c1","createdAt":"2026-01-02T10:00:01.000Z"},
        {"id":"a","chatId":"c1","createdAt":"2026-01-02T10:00:00.000Z"}]"#;

    #[test]
    fn an_array_gives_the_same_records_whichever_way_it_runs() {
        let expected = [("a", 0), ("b", 0), ("c", 1), ("d", 0)].map(|(id, seq)| (id.to_owned(), seq));
        assert_eq!(told(gathered(&[ASCENDING])), expected);
        assert_eq!(told(gathered(&[DESCENDING])), expected);
        assert_eq!(told(gathered(&[ASCENDING, DESCENDING])), expected, "and twice the same is once");
    }

    #[test]
    fn of_two_records_with_one_id_the_later_version_stays() {
        let records = gathered(&[
            br#"[
            {"id":"a","updatedAt":"2026-01-02T10:00:05.000Z","content":"new","createdAt":"2026-01-02T10:00:00.000Z"},
            {"id":"a","updatedAt":"2026-01-02T10:00:01.000Z","content":"old","createdAt":"2026-01-02T10:00:00.000Z"}]"#,
        ])
        .into_records();
        assert_eq!(records.len(), 1);
        assert!(records[0].json.get().contains("new"));
        assert_eq!(records[0].parent.as_deref(), Some("c1"));
    }

    #[test]
    fn a_message_of_another_chat_keeps_its_own_and_proves_nothing_here() {
        let chat = gathered(&[br#"[{"id":"x","chatId":"c2","createdAt":"2026-01-02T11:00:00.000Z"},
            {"id":"a","chatId":"C1","createdAt":"2026-01-02T10:00:00.000Z"}]"#]);
        let reported = wire::millis("2026-01-02T10:30:00.000Z");
        assert!(chat.is_behind(reported));
        let parents: Vec<_> = chat.into_records().into_iter().map(|record| record.parent.unwrap()).collect();
        assert_eq!(parents, ["c1", "c2"]);
    }

    #[test]
    fn an_answer_of_one_moment_follows_the_order_of_others() {
        let watch = OrderWatch::new(Arc::new(Facts::default()));
        assert_eq!(watch.learn(None), None);
        assert_eq!(watch.learn(direction(&answer(DESCENDING))), Some(Direction::Descending));
        let same =
            answer(br#"[{"id":"b","createdAt":"2026-01-02T10:00:00Z"},{"id":"a","createdAt":"2026-01-02T10:00:00Z"}]"#);
        let mut chat = Gathered::new("c1");
        let direction = watch.learn(direction(&same));
        chat.add(same, direction);
        assert_eq!(told(chat), [("a".to_owned(), 0), ("b".to_owned(), 1)]);
    }

    #[test]
    fn behind_is_told_at_the_millisecond() {
        let chat = gathered(&[br#"[{"id":"a","createdAt":"2026-01-02T10:00:00.123Z"}]"#]);
        assert!(!chat.is_behind(wire::millis("2026-01-02T10:00:00.123456Z")));
        assert!(chat.is_behind(wire::millis("2026-01-02T10:00:00.124Z")));
        assert!(!chat.is_behind(None));
        assert!(gathered(&[b"[]"]).is_behind(Some(0)), "an empty chat that is said to have a message");
    }

    #[test]
    fn records_without_id_or_time_are_kept() {
        let records = gathered(&[br#"[{"createdAt":"soon"},{},null,{"id":"a","createdAt":"2026-01-02T10:00:00Z"}]"#])
            .into_records();
        assert_eq!(records.len(), 4);
        assert_eq!(records[0].id.as_deref(), Some("a"));
    }
}
