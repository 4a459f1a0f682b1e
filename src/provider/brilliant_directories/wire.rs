//! The envelope around every answer, as PHP really sends it.
//!
//! Source of every oddity read here: sections 2, 5 and 6 of the provider page. Numbers come as text or as
//! numbers, an empty list as `[]`, `{}`, `""`, `null` or `false`, a list with gaps as an object with numeric
//! keys, and a refusal with HTTP status 200.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::http::{Unfit, parse};

/// An answer that the provider calls a success.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    /// Where the rows belong stands `null`.
    pub(super) is_null: bool,
    /// The rows, each with its own bytes, so that one strange row cannot spoil its page.
    pub rows: Vec<Box<RawValue>>,
    /// Rows that match the question. Of no meaning for `/get/{id}`, where it counts the whole table.
    pub total: Option<u64>,
    pub current_page: Option<u64>,
    pub total_pages: Option<u64>,
    /// The token of a following page. It may be filled on the last page too.
    pub next_page: Option<String>,
}

impl Envelope {
    /// Whether this is the last page. `None` where the numbers are missing or contradict the rows.
    pub(super) fn last(&self) -> Option<bool> {
        match (self.current_page, self.total_pages) {
            (_, Some(0)) => self.rows.is_empty().then_some(true),
            (Some(current), Some(pages)) => Some(current >= pages),
            _ => None,
        }
    }

    /// Whether it counts rows and shows none, on a page that is not behind the last one.
    fn withholds(&self) -> bool {
        let behind = self.current_page.zip(self.total_pages).is_some_and(|(current, pages)| current > pages);
        self.rows.is_empty() && self.total.is_some_and(|total| total > 0) && !behind
    }

    /// The token to go on with: none on the last page, whatever the answer says.
    pub(super) fn next(&self) -> Option<String> {
        if self.last() == Some(true) { None } else { self.next_page.clone() }
    }
}

/// Reads a body.
///
/// # Errors
/// `Refused` where the provider says no in words, with the status that those words stand for; `Broken` for anything
/// that is not the envelope (HTML, a page cut short, text where rows belong): never taken for an empty page.
pub(super) fn read(body: &[u8]) -> Result<Envelope, Unfit> {
    let outer: Outer = parse(body)?;
    let status = outer.status.as_deref().and_then(text_of).unwrap_or_default();
    if ["error", "fail", "failed"].iter().any(|word| status.eq_ignore_ascii_case(word)) {
        return Err(refusal(&outer.message.as_deref().map(words).unwrap_or_default()));
    }
    if !status.eq_ignore_ascii_case("success") {
        return Err(Unfit::Broken("the envelope has no `status` of success or error".to_owned()));
    }
    let message = outer.message.ok_or_else(|| Unfit::Broken("the envelope has no `message`".to_owned()))?;
    Ok(Envelope {
        is_null: message.get().trim() == "null",
        rows: rows(message)?,
        total: outer.total.as_deref().and_then(count),
        current_page: outer.current_page.as_deref().and_then(count),
        total_pages: outer.total_pages.as_deref().and_then(count),
        next_page: outer.next_page.as_deref().and_then(text_of).filter(|token| !token.trim().is_empty()),
    })
}

/// Reads a page of a list. Whether `total` counts what a filter leaves or the whole table is not documented: an empty list
/// beside it contradicts nothing where the question had a filter, and the walk asks again where it has its doubts.
///
/// # Errors
/// As [`read`]; and `Broken` for a page without rows whose own numbers say that there are some.
pub(super) fn read_page(body: &[u8], filtered: bool) -> Result<Envelope, Unfit> {
    let page = read(body)?;
    if page.withholds() && (page.is_null || !filtered) {
        return Err(Unfit::Broken("`message` has no rows, though `total` counts some".to_owned()));
    }
    Ok(page)
}

/// Every field raw, and `null` told apart from a missing field.
#[derive(Deserialize)]
struct Outer {
    #[serde(default, deserialize_with = "present")]
    status: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    message: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    total: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    current_page: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    total_pages: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    next_page: Option<Box<RawValue>>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

fn rows(message: Box<RawValue>) -> Result<Vec<Box<RawValue>>, Unfit> {
    let text = message.get();
    match text.trim_start().chars().next() {
        Some('[') => parse(text.as_bytes()),
        Some('{') => {
            let Entries(entries) = parse(text.as_bytes())?;
            if entries.is_empty() {
                Ok(Vec::new())
            } else if entries.iter().all(|(key, _)| !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit())) {
                Ok(entries.into_iter().map(|(_, row)| row).collect())
            } else {
                Ok(vec![message])
            }
        }
        Some('n' | 'f') => Ok(Vec::new()),
        Some('"') => {
            let said = text_of(&message).unwrap_or_default();
            if said.trim().is_empty() {
                Ok(Vec::new())
            } else if says_not_found(&said) {
                Err(refusal(&said))
            } else {
                Err(Unfit::Broken("`message` is a text where rows belong".to_owned()))
            }
        }
        _ => Err(Unfit::Broken("`message` is neither rows nor empty".to_owned())),
    }
}

/// The entries of an object in the order in which they stand.
struct Entries(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(InOrder)
    }
}

/// The text of a JSON string; `None` for anything else.
fn text_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A count sent as a number or as text.
fn count(raw: &RawValue) -> Option<u64> {
    text_of(raw).unwrap_or_else(|| raw.get().to_owned()).trim().parse().ok()
}

/// The longest refusal that is passed on, in characters.
const WORDS_MAX: usize = 200;

/// What a refusal says, whether it came as text, a list or an object. Rows that stand where the words belong (a list of
/// objects with many fields) are people's words and none of the provider's.
fn words(raw: &RawValue) -> String {
    const FIELDS_OF_A_REASON: usize = 3;
    fn gather(value: &serde_json::Value, into: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) => into.push(text.trim().to_owned()),
            serde_json::Value::Array(items) => items.iter().for_each(|item| gather(item, into)),
            serde_json::Value::Object(fields) if fields.len() <= FIELDS_OF_A_REASON => {
                fields.values().for_each(|field| gather(field, into));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(raw.get()) {
        gather(&value, &mut found);
    }
    found.retain(|text| !text.is_empty());
    found.join(", ").chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect()
}

/// Whether a refusal says that there is no such row or table.
pub(super) fn says_not_found(words: &str) -> bool {
    words.to_ascii_lowercase().contains("not found")
}

/// The status that a refusal inside a 200 should have had.
fn refusal(words: &str) -> Unfit {
    let lower = words.to_ascii_lowercase();
    let status = if lower.contains("too many") {
        429
    } else if lower.contains("permission") {
        403
    } else if lower.contains("key") && (lower.contains("invalid") || lower.contains("inactive")) {
        401
    } else if says_not_found(&lower) {
        404
    } else {
        400
    };
    Unfit::Refused { status, detail: words.to_owned() }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
