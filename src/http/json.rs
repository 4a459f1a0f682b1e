//! Reading the JSON that providers send, however it was mangled on the way.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::Unfit;

/// Most values that a body may hold. A value is a byte or two on the wire and a hundred in memory, so the cap on bytes
/// alone would let a small body become gigabytes. Pages of chats hold a thousandth of it.
const MOST_VALUES: usize = 2_000_000;

/// Sees that a body holds no more values than are worth reading. It reads no JSON: whatever stands outside of texts is
/// counted by its commas.
pub(super) fn bounded(bytes: &[u8]) -> Result<(), Unfit> {
    if bytes.len() <= MOST_VALUES {
        return Ok(());
    }
    let (mut commas, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b',' if !in_text => commas += 1,
            _ => {}
        }
    }
    if commas < MOST_VALUES {
        return Ok(());
    }
    Err(Unfit::Broken(format!("it holds more than {MOST_VALUES} values")))
}

/// Reads a body as JSON.
///
/// A byte-order mark is passed over, and what [`mend`] can mend is mended: one broken character must not cost
/// a page. A type with borrowed parts can be read with `serde_json` from what `mend` returns.
///
/// # Errors
/// [`Unfit::Broken`], saying at which path of the document. It names no value of the document: those are
/// people's words.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unfit> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match bytes.trim_ascii_start().first() {
        None => return Err(Unfit::Broken("an empty body where JSON was promised".to_owned())),
        Some(b'<') => return Err(Unfit::Broken("an HTML page where JSON was promised".to_owned())),
        Some(_) => {}
    }
    let mended = mend(bytes);
    // From text: its characters are not looked at once more.
    let mut json = serde_json::Deserializer::from_str(&mended);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| Unfit::Broken(describe(&error.path().to_string(), error.inner())))?;
    json.end().map_err(|_| Unfit::Broken("something follows the end of the JSON".to_owned()))?;
    Ok(value)
}

fn describe(path: &str, error: &serde_json::Error) -> String {
    let place = if path == "." { String::new() } else { format!(" at {path}") };
    match error.classify() {
        Category::Eof | Category::Io => {
            format!("JSON cut short{place} (line {}, column {})", error.line(), error.column())
        }
        Category::Syntax => format!("not JSON{place}: {error}"),
        Category::Data => format!("unexpected JSON{place}: {}", without_values(&error.to_string())),
    }
}

/// `invalid type: string "words", expected u64 at line 1 column 2` without the words.
fn without_values(message: &str) -> String {
    for start in ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant ", "unknown field "] {
        let Some(rest) = message.strip_prefix(start) else { continue };
        let kind = rest.split(['"', '`', ',']).next().unwrap_or_default().trim_end();
        let start = format!("{start}{kind}");
        // The last one: the words themselves may hold anything, what was expected is ours.
        return match rest.rsplit_once(", expected ") {
            Some((_, expected)) => format!("{}, expected {expected}", start.trim_end_matches([' ', ':'])),
            None => start,
        };
    }
    message.to_owned()
}

/// Replaces what makes JSON readers refuse a whole document though it stands inside texts only.
///
/// That is bytes that are no UTF-8, and halves of surrogate pairs (`\ud83d` alone: an emoji that was cut in the
/// middle). Both become U+FFFD. Borrowed when nothing is wrong.
#[must_use]
pub fn mend(bytes: &[u8]) -> Cow<'_, str> {
    // The quick look first: what is lossy looks at every character.
    let mut mended = str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
    let mut at = 0;
    while let Some(found) = mended.as_bytes().get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        at += match unit(mended.as_bytes(), at) {
            // Any other escape is two bytes long; skipping both keeps `\\u` from being read as `\u`.
            None => 2,
            Some(0xd800..=0xdbff) if matches!(unit(mended.as_bytes(), at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                mended.to_mut().replace_range(at..at + 6, "\\ufffd");
                6
            }
            Some(_) => 6,
        };
    }
    mended
}

/// The UTF-16 unit of the escape `\uXXXX` that starts at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct List {
        #[serde(rename = "message")]
        rows: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    struct Line {
        id: u64,
        text: String,
    }

    fn broken<T: DeserializeOwned + std::fmt::Debug>(bytes: &[u8]) -> String {
        match parse::<T>(bytes).unwrap_err() {
            Unfit::Broken(why) => why,
            Unfit::Refused { .. } => unreachable!("parse only ever says Broken"),
        }
    }

    #[test]
    fn a_wrong_type_is_named_by_its_path_and_not_by_its_words() {
        let why = broken::<List>(br#"{"message":[{"id":1,"text":"a"},{"id":"my secret, expected soon","text":"b"}]}"#);
        assert!(why.contains("message[1].id"), "{why}");
        assert!(why.contains("expected u64"), "{why}");
        assert!(!why.contains("secret") && !why.contains("soon"), "{why}");
        let why = broken::<List>(br#"{"message":[{"id":1}]}"#);
        assert!(why.contains("missing field `text`"), "{why}");
    }

    #[test]
    fn what_is_not_json_says_what_it_is() {
        assert!(broken::<List>(b"  <!doctype html>").contains("an HTML page"));
        assert!(broken::<List>(b"").contains("empty"));
        assert!(broken::<List>(b"\xef\xbb\xbf \n").contains("empty"));
        assert!(broken::<List>(br#"{"message":[{"id":1,"te"#).contains("cut short"));
        assert!(broken::<Value>(b"{} {}").contains("follows the end"));
        assert!(broken::<Value>(b"Fatal error").contains("not JSON"));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let list: List = parse(b"\xef\xbb\xbf{\"message\":[]}").unwrap();
        assert!(list.rows.is_empty());
    }

    #[test]
    fn half_an_emoji_and_a_broken_byte_cost_one_character_each() {
        let list: List =
            parse(b"{\"message\":[{\"id\":1,\"text\":\"a\\ud83d b\\uDE00 c\xff d\\ud83d\\ude00 e\\\\ud83d\"}]}")
                .unwrap();
        assert_eq!(list.rows[0].text, "a\u{fffd} b\u{fffd} c\u{fffd} d\u{1f600} e\\ud83d");
        assert_eq!(list.rows[0].id, 1);
        let pair: String = parse(br#""\ud83d\ud83d\ude00""#).unwrap();
        assert_eq!(pair, "\u{fffd}\u{1f600}");
    }

    #[test]
    fn raw_records_keep_their_bytes() {
        #[derive(Debug, Deserialize)]
        struct Raws {
            rows: Vec<Box<RawValue>>,
        }
        let raws: Raws = parse(br#"{"rows":[{"a": 1.50}, "\ud83d"]}"#).unwrap();
        assert_eq!(raws.rows[0].get(), r#"{"a": 1.50}"#);
        assert_eq!(raws.rows[1].get(), r#""\ufffd""#);
    }

    #[test]
    fn bottomless_nesting_is_an_error_and_no_crash() {
        let deep = [b"[".repeat(200_000), b"]".repeat(200_000)].concat();
        assert!(broken::<Value>(&deep).contains("recursion"));
        let raw: Box<RawValue> = parse(&deep).unwrap();
        assert!(broken::<Value>(raw.get().as_bytes()).contains("recursion"));
    }

    #[test]
    fn values_are_counted_outside_of_texts() {
        let words = format!("[\"{}\\\",\"]", ",".repeat(2 * MOST_VALUES));
        assert!(bounded(words.as_bytes()).is_ok());
        assert!(bounded(format!("[{}0]", "0,".repeat(MOST_VALUES - 1)).as_bytes()).is_ok());
        let many = bounded(format!("[{}0]", "0,".repeat(MOST_VALUES)).as_bytes());
        assert!(matches!(many, Err(Unfit::Broken(why)) if why.contains("more than 2000000 values")));
    }

    const PARTS: &[&[u8]] =
        &[b"\\ud83d", b"\\uDE00", b"\\\\", b"\\n", b"u", b"\\u00e9", b"\xf0\x9f", b"d83d", "é".as_bytes()];

    proptest! {
        #[test]
        fn whatever_arrives_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(parse::<Value>(&bytes));
        }

        #[test]
        fn a_text_full_of_escapes_can_always_be_read(
            parts in prop::collection::vec(prop::sample::select(PARTS), 0..30)
        ) {
            let text = [b"\"", &parts.concat()[..], b"\""].concat();
            prop_assert!(parse::<String>(&text).is_ok(), "{:?}", String::from_utf8_lossy(&text));
        }

        #[test]
        fn sound_json_is_not_copied(text in any::<String>()) {
            let json = serde_json::to_vec(&text).unwrap();
            prop_assert!(matches!(mend(&json), Cow::Borrowed(_)));
        }
    }
}
