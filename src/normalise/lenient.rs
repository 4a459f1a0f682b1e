//! Fields of APIs that change their types: numbers as text, empty lists as `false`, lists as objects.
//!
//! For use as `#[serde(default, deserialize_with = "lenient::text")]`. The readers of single values look at the
//! JSON text itself, so that integers of any length keep their digits; they work from JSON only, and not inside
//! `#[serde(flatten)]` or untagged enums, which pass on parsed values. No error repeats a value.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::Reject;

/// Reads text: from text, a number (its digits as written) or `true`. `null`, `false` and `""` are `None`.
///
/// # Errors
/// It is an object or an array.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    read(deserializer, text_of)
}

/// Reads text that must be there, such as an id; see [`text`].
///
/// # Errors
/// It is empty, an object or an array.
pub fn some_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    read(deserializer, |raw| text_of(raw)?.ok_or_else(|| format!("expected text, found {}", found(raw))))
}

/// Reads text where none is the same as empty text; see [`text`].
///
/// # Errors
/// It is an object or an array.
pub fn any_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer).map(Option::unwrap_or_default)
}

/// Reads yes or no: from a boolean, 1 or 0, or those or `yes`, `no`, `on`, `off` as text. `null` and `""` are `None`.
///
/// # Errors
/// It is anything else.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    read(deserializer, boolean_of)
}

/// Reads yes or no where nothing means no; see [`boolean`].
///
/// # Errors
/// It is anything else.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    boolean(deserializer).map(Option::unwrap_or_default)
}

/// Reads an integer: from a number without a fraction, or one as text. `null`, `false` and `""` are `None`.
///
/// # Errors
/// It is anything else, or does not fit.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    read(deserializer, integer_of)
}

/// Reads an object that may be missing as `null`, `false`, `""`, `[]` or `{}`.
///
/// # Errors
/// It is something else, or an object that is no `T`.
pub fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    read(deserializer, |raw| {
        if is_empty(raw) {
            return Ok(None);
        }
        if !raw.get().starts_with('{') {
            return Err(format!("expected an object, found {}", found(raw)));
        }
        decode(raw.get()).map(Some).map_err(|reject| match reject.path.strip_prefix("$.") {
            Some(path) => format!("expected an object as documented, but at {path}: {}", reject.reason),
            None => reject.reason,
        })
    })
}

/// Reads a list: from an array, or an object with numbers for names (PHP's lists with holes), in its order.
///
/// `null`, `false`, `""` and `{}` are empty. With `T = &RawValue` or `Box<RawValue>` it splits without looking inside.
///
/// # Errors
/// It is something else, or holds something that is no `T`.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(ListVisitor(PhantomData))
}

/// Splits a value that should be a list into its records, unread; see [`list`].
///
/// # Errors
/// The value is no list.
pub fn records(value: &RawValue) -> Result<Vec<&RawValue>, Reject> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Records<'a>(#[serde(borrow, deserialize_with = "list")] Vec<&'a RawValue>);
    decode::<Records<'_>>(value.get()).map(|records| records.0)
}

/// Reads a record. The reject tells where the JSON differs from the documented shape, never what stands there.
///
/// # Errors
/// It is not JSON, or not a `T`.
pub fn decode<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Reject> {
    // Where it stands is only followed once something is wrong: following takes about as long as reading does.
    if let Ok(value) = serde_json::from_str(json) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| Reject::decode(json_path(error.path()), reason(error.inner())))?;
    deserializer.end().map_err(|error| Reject::decode("$", reason(&error)))?;
    Ok(value)
}

/// What a value is, in words for an error.
#[must_use]
pub fn found(value: &RawValue) -> &'static str {
    match value.get().as_bytes() {
        b"\"\"" => "empty text",
        [b'{', ..] => "an object",
        [b'[', ..] => "an array",
        [b'"', ..] => "text",
        [b't' | b'f', ..] => "a boolean",
        [b'n', ..] => "null",
        _ => "a number",
    }
}

/// Reads a value as [`text`] does.
///
/// # Errors
/// It is an object or an array.
pub fn text_of(value: &RawValue) -> Result<Option<String>, String> {
    match value.get() {
        "null" | "false" | "\"\"" => Ok(None),
        json if json.starts_with('"') => Ok(Some(unquote(json)).filter(|text| !text.is_empty())),
        json if json.starts_with(['{', '[']) => Err(format!("expected text, found {}", found(value))),
        json => Ok(Some(json.to_owned())),
    }
}

/// Reads a value as [`boolean`] does.
///
/// # Errors
/// It is neither yes nor no nor nothing.
pub fn boolean_of(value: &RawValue) -> Result<Option<bool>, String> {
    let text = scalar(value).map(|text| text.to_ascii_lowercase());
    match text.as_deref() {
        Some("" | "null") => Ok(None),
        Some("true" | "1" | "yes" | "on") => Ok(Some(true)),
        Some("false" | "0" | "no" | "off") => Ok(Some(false)),
        _ => Err(format!("expected yes or no, found {}", found(value))),
    }
}

/// Reads a value as [`integer`] does.
///
/// # Errors
/// It is no integer, or does not fit.
pub fn integer_of(value: &RawValue) -> Result<Option<i64>, String> {
    match scalar(value).as_deref() {
        Some("" | "null" | "false") => Ok(None),
        Some(text) => whole(text).map(Some).ok_or_else(|| format!("expected an integer, found {}", found(value))),
        None => Err(format!("expected an integer, found {}", found(value))),
    }
}

/// The text of anything but objects and arrays.
fn scalar(value: &RawValue) -> Option<String> {
    match value.get() {
        json if json.starts_with('"') => Some(unquote(json).trim().to_owned()),
        json if json.starts_with(['{', '[']) => None,
        json => Some(json.to_owned()),
    }
}

fn whole(text: &str) -> Option<i64> {
    /// Up to here a float tells whole numbers apart.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    // `5.0` and `1e3`, but not `nan` or `inf`.
    let float: f64 = text.parse().ok().filter(|_| text.contains(|c: char| c.is_ascii_digit()))?;
    if float.fract() == 0.0 && float.abs() <= EXACT { format!("{float:.0}").parse().ok() } else { None }
}

fn is_empty(value: &RawValue) -> bool {
    let inner = |open, close| value.get().strip_prefix(open)?.strip_suffix(close);
    matches!(value.get(), "null" | "false" | "\"\"")
        || inner('{', '}').or_else(|| inner('[', ']')).is_some_and(|inner| inner.trim().is_empty())
}

fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    with: impl FnOnce(&RawValue) -> Result<T, String>,
) -> Result<T, D::Error> {
    let value = Box::<RawValue>::deserialize(deserializer)?;
    with(&value).map_err(D::Error::custom)
}

/// The text of a JSON string. JavaScript cuts emoji in half and sends the half (`"\ud83d"`), which no UTF-8 can
/// hold: it becomes U+FFFD instead of costing the whole record.
pub(super) fn unquote(json: &str) -> String {
    without_nul(serde_json::from_str(json).unwrap_or_else(|_| serde_json::from_str(&mend(json)).unwrap_or_default()))
}

/// Text without U+0000, at which SQLite's text functions stop: behind one, nothing would be found, counted or
/// forgotten. The raw record keeps it.
#[must_use]
pub fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text }
}

/// Replaces the escapes of lone surrogates by that of U+FFFD.
fn mend(json: &str) -> String {
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::with_capacity(json.len());
    let mut at = 0;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        let step = match (unit(at), unit(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                out.push_str("\\ufffd");
                at += 6;
                continue;
            }
            (Some(_), _) => 6,
            (None, _) if rest.starts_with('\\') => 2,
            (None, _) => rest.find('\\').unwrap_or(rest.len()),
        };
        out.push_str(json.get(at..at + step).unwrap_or_default());
        at += step;
    }
    out
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Vec<T>, E> {
        if value { Err(E::custom("expected a list, found a boolean")) } else { Ok(Vec::new()) }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Vec<T>, E> {
        if value.is_empty() { Ok(Vec::new()) } else { Err(E::custom("expected a list, found text")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_digit()) {
                return Err(A::Error::custom("expected a list, found an object"));
            }
            list.push(members.next_value()?);
        }
        Ok(list)
    }
}

/// A path as `$.a[0].b`. Names that are no plain words may be data, and stand as `*`.
fn json_path(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut out = String::from("$");
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                out.push('[');
                out.push_str(&index.to_string());
                out.push(']');
            }
            // The name under which serde_json hands out raw values.
            Segment::Map { key } if key.starts_with("$serde_json") => {}
            Segment::Map { key } => {
                let word = key.len() <= 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                out.push('.');
                out.push_str(if word { key } else { "*" });
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    out
}

/// What is wrong, without the values that serde's messages quote.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    if !error.is_data() {
        return format!("not valid JSON: {message}");
    }
    // Ours (a custom reader's message may begin so, if it repeats no value), or made of names in our own code.
    if ["expected ", "missing field `", "duplicate field `"].iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    if let Some(rest) = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))
        && let Some(expected) = expected
    {
        return format!("expected {expected}, found {}", unexpected(rest));
    }
    ["unknown variant", "unknown field", "invalid length"]
        .iter()
        .find(|start| message.starts_with(*start))
        .map_or_else(|| "not of the documented shape".to_owned(), |start| (*start).to_owned())
}

fn unexpected(message: &str) -> &'static str {
    match message.split([' ', ',']).next().unwrap_or_default() {
        "string" | "character" => "text",
        "integer" | "floating" | "number" => "a number",
        "boolean" => "a boolean",
        "null" | "unit" | "Option" => "null",
        "sequence" => "an array",
        "map" => "an object",
        _ => "something else",
    }
}

#[cfg(test)]
#[path = "lenient_tests.rs"]
mod tests;
