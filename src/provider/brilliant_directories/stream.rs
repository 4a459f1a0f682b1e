//! The three lists: which table, which column orders them, and what becomes of one row.

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::RawRecord;
use crate::normalise::{decode, lenient, parse_timestamp, to_site_digits};

/// Threads by `thread_id`: new ones, and the complete enumeration.
pub(super) const THREAD_IDS: &str = "thread_ids";
/// Threads by `updated_at`: those that changed.
pub(super) const THREADS: &str = "threads";
/// Messages by `message_id`.
pub(super) const MESSAGES: &str = "messages";
/// Members that were looked up one by one.
pub(super) const USERS: &str = "users";

/// A list that feeds are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List {
    /// The model's name in the URL.
    pub model: &'static str,
    /// The primary key.
    pub id: &'static str,
    /// The column by which the stream is asked for.
    pub column: &'static str,
    /// Whether that column is a time in the site's own clock.
    pub timed: bool,
}

/// The list behind a stream.
pub(super) fn list(stream: &str) -> Option<List> {
    let threads = List { model: "chat_message_threads", id: "thread_id", column: "thread_id", timed: false };
    match stream {
        THREAD_IDS => Some(threads),
        THREADS => Some(List { column: "updated_at", timed: true, ..threads }),
        MESSAGES => Some(List { model: "chat_message_items", id: "message_id", column: "message_id", timed: false }),
        _ => None,
    }
}

/// Whether a model is one that feeds are read from.
pub(super) fn is_model(model: &str) -> bool {
    [THREAD_IDS, MESSAGES].iter().any(|stream| list(stream).is_some_and(|list| list.model == model))
}

/// The fields of a row that are needed before it is understood. A row that is no object has none of them.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Keys {
    #[serde(deserialize_with = "lenient::text")]
    thread_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    updated_at: Option<String>,
}

impl Keys {
    fn of(json: &RawValue) -> Self {
        // serde would take an array for the fields in their order.
        if json.get().starts_with('{') { decode(json.get()).unwrap_or_default() } else { Self::default() }
    }
}

/// An inclusive "at or after" question, as it was put: the moment, and the site's wall clock then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub after_ms: i64,
    pub digits: String,
}

/// Makes the raw record of a row: the one place where the feeds' records are made.
pub(super) fn record(list: List, json: Box<RawValue>, zone: Option<&TimeZone>, asked: Option<&Asked>) -> RawRecord {
    let keys = Keys::of(&json);
    let messages = list.id == "message_id";
    let id = id_text(if messages { keys.message_id } else { keys.thread_id });
    let number = id.as_deref().and_then(|id| id.parse::<i64>().ok());
    let key = if list.timed {
        zone.zip(keys.updated_at).and_then(|(zone, text)| time_key(&text, zone, asked))
    } else {
        number
    };
    RawRecord { id, key, parent: None, seq: if messages { number.unwrap_or(0) } else { 0 }, json }
}

/// The thread that a message says it stands in.
pub(super) fn thread_of(json: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Place {
        #[serde(default, deserialize_with = "lenient::text")]
        thread_token: Option<String>,
    }
    let place: Place = Some(json.get()).filter(|text| text.starts_with('{')).and_then(|text| decode(text).ok())?;
    place.thread_token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// An id as decimal text without ornament; `None` when there is none.
pub(super) fn id_text(sent: Option<String>) -> Option<String> {
    let text = sent?.trim().to_owned();
    if text.is_empty() { None } else { Some(text.parse::<i64>().map_or(text, |number| number.to_string())) }
}

/// The moment of a row's modification.
///
/// Where clocks go back, one wall-clock time is two moments and is taken as the earlier. A row that truthfully
/// answers "at or after" can then seem to lie up to an hour before the question; the comparison that the site
/// itself made, in its own digits, tells that it does not, and lifts the key to the question.
fn time_key(text: &str, zone: &TimeZone, asked: Option<&Asked>) -> Option<i64> {
    let moment = parse_timestamp(text, Some(zone)).ok().flatten()?;
    match asked {
        Some(asked) if moment < asked.after_ms && to_site_digits(moment, zone) >= asked.digits => Some(asked.after_ms),
        _ => Some(moment),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::{Asked, MESSAGES, THREAD_IDS, THREADS, list, record};
    use crate::model::RawRecord;
    use crate::normalise::to_site_digits;

    fn made(stream: &str, json: &str) -> RawRecord {
        let zone = TimeZone::get("America/New_York").unwrap();
        record(list(stream).unwrap(), RawValue::from_string(json.to_owned()).unwrap(), Some(&zone), None)
    }

    #[test]
    fn ids_come_as_text_or_number_and_are_one_id() {
        for json in [r#"{"message_id":"12"}"#, r#"{"message_id":12}"#, r#"{"message_id":" 012 "}"#] {
            let raw = made(MESSAGES, json);
            assert_eq!((raw.id.as_deref(), raw.key, raw.seq, raw.parent), (Some("12"), Some(12), 12, None), "{json}");
        }
        let raw = made(THREAD_IDS, r#"{"thread_id":"7","message_id":"9"}"#);
        assert_eq!((raw.id.as_deref(), raw.key, raw.seq), (Some("7"), Some(7), 0));
    }

    #[test]
    fn a_row_without_an_id_is_still_a_record() {
        for json in
            ["{}", r#"{"message_id":null}"#, r#"{"message_id":""}"#, r#"{"message_id":[1]}"#, r#"["1","2"]"#, "7"]
        {
            let raw = made(MESSAGES, json);
            assert_eq!((raw.id, raw.key, raw.json.get()), (None, None, json));
        }
        let raw = made(MESSAGES, r#"{"message_id":"abc"}"#);
        assert_eq!((raw.id.as_deref(), raw.key), (Some("abc"), None));
    }

    #[test]
    fn changed_threads_are_ordered_by_their_moment() {
        let at = |text| made(THREADS, &format!(r#"{{"thread_id":"1","updated_at":{text}}}"#)).key;
        assert_eq!(at(r#""20260101220405""#), Some(1_767_323_045_000));
        assert_eq!(at("20260101220405"), Some(1_767_323_045_000));
        assert_eq!(at(r#""2026-01-02T03:04:05+00:00""#), Some(1_767_323_045_000));
        assert_eq!((at(r#""""#), at(r#""00000000000000""#), at(r#""soon""#), at("null")), (None, None, None, None));
    }

    #[test]
    fn the_hour_that_happens_twice_still_obeys_the_question() {
        let zone = TimeZone::get("America/New_York").unwrap();
        // 01:30 for the second time, on 1 November 2026.
        let after_ms = 1_793_514_600_000;
        let asked = Asked { after_ms, digits: to_site_digits(after_ms, &zone) };
        assert_eq!(asked.digits, "20261101013000");
        let key = |digits: &str| {
            let json = RawValue::from_string(format!(r#"{{"thread_id":"1","updated_at":"{digits}"}}"#)).unwrap();
            record(list(THREADS).unwrap(), json, Some(&zone), Some(&asked)).key
        };
        assert_eq!(key("20261101013000"), Some(after_ms), "an honest answer");
        assert_eq!(key("20261101015959"), Some(after_ms));
        assert_eq!(key("20261101012959"), Some(after_ms - 3_601_000), "the filter was ignored, and it shows");
        assert_eq!(key("20261101020000"), Some(after_ms + 1_800_000));
    }

    proptest! {
        #[test]
        fn any_json_makes_a_record(json in "[\\[\\]{}:,\"a0-9.e tfn-]{0,30}") {
            if let Ok(json) = RawValue::from_string(json) {
                for stream in [THREAD_IDS, THREADS, MESSAGES] {
                    let _record = record(list(stream).unwrap(), json.clone(), Some(&TimeZone::UTC), None);
                }
            }
        }
    }
}
