//! Answers as Zaia sends them: bare JSON arrays, split into records byte for byte.
//!
//! The reference is an alpha (docs.zaia.app, api-reference-alpha), so everything here tolerates more than it
//! documents: a wrapper around the array, unknown fields, values of another type.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{Unfit, parse};
use crate::model::RawRecord;
use crate::normalise::lenient::text_of;
use crate::normalise::parse_timestamp;

/// How much of a provider's own words an error repeats, in characters.
const DETAIL_CHARS: usize = 200;

/// The wrappers that are looked into when the body is an object.
const WRAPPERS: [&str; 2] = ["data", "items"];

/// Reads the body of a list.
///
/// # Errors
/// [`Unfit::Refused`] for the documented error body (`{code, message, …}`), [`Unfit::Broken`] for anything else
/// that is not a list: such a page is never the end of a stream.
pub(super) fn read_list(body: &[u8]) -> Result<Vec<Box<RawValue>>, Unfit> {
    let whole: Box<RawValue> = parse(body)?;
    if let Ok(rows) = serde_json::from_str::<Vec<Box<RawValue>>>(whole.get()) {
        return Ok(rows);
    }
    let fields = object(&whole).ok_or_else(|| Unfit::Broken("neither a list nor an object".to_owned()))?;
    for name in WRAPPERS {
        let rows = fields.get(name).and_then(|inner| serde_json::from_str::<Vec<Box<RawValue>>>(inner.get()).ok());
        if let Some(rows) = rows {
            return Ok(rows);
        }
    }
    Err(refusal(&fields).unwrap_or_else(|| Unfit::Broken("an object where a list belongs".to_owned())))
}

/// Reads the body of a single item.
///
/// # Errors
/// As [`read_list`].
pub(super) fn read_item(body: &[u8]) -> Result<Box<RawValue>, Unfit> {
    let whole: Box<RawValue> = parse(body)?;
    let fields = object(&whole).ok_or_else(|| Unfit::Broken("not an object".to_owned()))?;
    if fields.contains_key("id") {
        return Ok(whole.clone());
    }
    if let Some(inner) = WRAPPERS.iter().find_map(|name| fields.get(*name))
        && object(inner).is_some()
    {
        return Ok((*inner).to_owned());
    }
    Err(refusal(&fields).unwrap_or_else(|| Unfit::Broken("an object without an id".to_owned())))
}

type Fields<'a> = std::collections::BTreeMap<String, &'a RawValue>;

fn object(value: &RawValue) -> Option<Fields<'_>> {
    serde_json::from_str(value.get()).ok()
}

/// The documented error body, sent with a status that says success.
fn refusal(fields: &Fields<'_>) -> Option<Unfit> {
    let text = |name: &str| fields.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let (code, message) = (text("code"), text("message"));
    if code.is_none() && message.is_none() {
        return None;
    }
    let status = ["statusCode", "status"]
        .iter()
        .find_map(|name| fields.get(*name).and_then(|raw| serde_json::from_str::<u16>(raw.get()).ok()))
        .filter(|status| (400..600).contains(status))
        .unwrap_or(400);
    let detail: Vec<String> = [code, message].into_iter().flatten().collect();
    Some(Unfit::Refused { status, detail: detail.join(": ").chars().take(DETAIL_CHARS).collect() })
}

/// What fetching needs to know of a record before anybody normalises it. Everything may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Peek {
    #[serde(deserialize_with = "loose")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub(super) chat_id: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub(super) chat_thread_id: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub(super) sender_id: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub(super) role: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub(super) created_at: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub(super) updated_at: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub(super) last_chat_message_created_at: Option<String>,
}

impl Peek {
    /// Looks into a record; a record that is no object tells nothing.
    pub(super) fn of(raw: &RawValue) -> Self {
        serde_json::from_str(raw.get()).unwrap_or_default()
    }
}

/// A text or a number as text; anything else is nothing.
fn loose<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let raw = <&RawValue>::deserialize(from)?;
    Ok(text_of(raw).ok().flatten())
}

/// A date-time as milliseconds since 1970 UTC. The reference shows no time zone: UTC where none is written.
pub(super) fn millis(text: &str) -> Option<i64> {
    parse_timestamp(text, None).ok().flatten()
}

/// Makes the record of a list row; `key` is its time in milliseconds where its list is windowed by one.
pub(super) fn record(id: Option<String>, key: Option<i64>, json: Box<RawValue>) -> RawRecord {
    RawRecord { id, key, parent: None, seq: 0, json }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(body: &str) -> Result<Vec<Option<String>>, Unfit> {
        Ok(read_list(body.as_bytes())?.iter().map(|raw| Peek::of(raw).id).collect())
    }

    #[test]
    fn a_list_comes_bare_or_wrapped() {
        let expected = vec![Some("a".to_owned()), Some("7".to_owned()), None];
        assert_eq!(ids(r#"[{"id":"a"},{"id":7},{}]"#).unwrap(), expected);
        assert_eq!(ids(r#"{"data":[{"id":"a"},{"id":7},{}]}"#).unwrap(), expected);
        assert_eq!(ids(r#"{"items":[{"id":"a"},{"id":7},null],"message":"ok"}"#).unwrap(), expected);
        assert_eq!(ids(" [ ] ").unwrap(), Vec::<Option<String>>::new());
    }

    #[test]
    fn what_is_no_list_is_never_taken_for_an_empty_one() {
        for body in ["null", "", "[", "{}", "<html>", r#"{"data":null}"#, r#""x""#, "[{}", "3"] {
            assert!(matches!(ids(body), Err(Unfit::Broken(_))), "{body}");
        }
    }

    #[test]
    fn the_error_body_is_a_refusal_in_the_provider_s_words() {
        let body = include_bytes!("../../../tests/fixtures/zaia/error.json");
        let Err(Unfit::Refused { status, detail }) = read_list(body) else { panic!("a refusal") };
        assert_eq!((status, detail.as_str()), (400, "invalid-data: The query is not valid."));
        let Err(Unfit::Refused { status, .. }) = read_item(br#"{"statusCode":404,"message":"no"}"#) else {
            panic!("a refusal")
        };
        assert_eq!(status, 404);
    }

    #[test]
    fn an_item_comes_bare_or_wrapped() {
        assert_eq!(Peek::of(&read_item(br#"{"id":"a","message":"x"}"#).unwrap()).id.as_deref(), Some("a"));
        assert_eq!(Peek::of(&read_item(br#"{"data":{"id":"a"}}"#).unwrap()).id.as_deref(), Some("a"));
        assert!(matches!(read_item(b"null"), Err(Unfit::Broken(_))));
        assert!(matches!(read_item(b"[]"), Err(Unfit::Broken(_))));
    }

    #[test]
    fn a_broken_character_costs_a_character() {
        let rows = read_list(b"\xef\xbb\xbf[{\"id\":\"a\",\"content\":\"caf\xe9 \\ud83d\"}]").unwrap();
        assert_eq!(rows[0].get(), "{\"id\":\"a\",\"content\":\"caf\u{fffd} \\ufffd\"}");
    }

    #[test]
    fn records_keep_their_bytes() {
        let rows = read_list(br#"[{"id":"a",  "n":1.10}]"#).unwrap();
        assert_eq!(rows[0].get(), r#"{"id":"a",  "n":1.10}"#);
    }

    #[test]
    fn a_peek_survives_odd_values() {
        let raw =
            RawValue::from_string(r#"{"id":"a","role":{},"chatId":null,"content":"\ud800","senderId":[]}"#.to_owned());
        let peek = Peek::of(&raw.unwrap());
        assert_eq!((peek.id.as_deref(), peek.role, peek.chat_id, peek.sender_id), (Some("a"), None, None, None));
    }
}
