//! One line stays one line, whatever stands in it.

use std::borrow::Cow;

/// The longest value in a log line, in characters. An error that quotes more than this has lost its point.
const LONGEST: usize = 2_000;

/// Whether a character steers a terminal, ends a line, turns the direction of writing, or hides.
fn is_wild(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text with every wild character written out (`\n`, `\u{1b}`), and no longer than makes sense.
pub(super) fn tame(text: &str) -> Cow<'_, str> {
    let long = text.char_indices().nth(LONGEST).map(|(end, _)| end);
    if long.is_none() && !text.contains(is_wild) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for c in text.chars().take(LONGEST) {
        if is_wild(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if long.is_some() {
        out.push('…');
    }
    Cow::Owned(out)
}

/// A value of a text line: bare where it is one word, else in quotes.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@+%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return tame(text);
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in tame(text).chars() {
        if c == '"' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    Cow::Owned(out)
}

/// JSON text in which wild characters that JSON itself lets through are written as `\uXXXX`.
pub(super) fn tame_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_wild) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_wild(c) {
            // All of them fit into one unit of UTF-16.
            out.push_str(&format_args!("\\u{:04x}", u32::from(c)).to_string());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_is_written_out() {
        assert_eq!(tame("a\nb\u{1b}[2J\u{9b}\u{202e}c"), "a\\nb\\u{1b}[2J\\u{9b}\\u{202e}c");
        assert_eq!(tame("café 🙂 שלום"), "café 🙂 שלום");
        assert_eq!(quoted("two words"), "\"two words\"");
        assert_eq!(quoted("x=\"1\""), "\"x=\\\"1\\\"\"");
        assert_eq!((quoted(""), quoted("a/b-1")), ("\"\"".into(), "a/b-1".into()));
        assert_eq!(tame_json("\"\u{9b}\u{2028}\""), "\"\\u009b\\u2028\"");
    }

    proptest! {
        #[test]
        fn nothing_wild_comes_out_and_nothing_endless(text in any::<String>()) {
            prop_assert!(!tame(&text).contains(is_wild) && !quoted(&text).contains(is_wild));
            let long = text.repeat(3_000);
            prop_assert!(tame(&long).chars().count() <= 12 * LONGEST);
            let json = serde_json::to_string(&text).unwrap();
            let back: String = serde_json::from_str(&tame_json(&json)).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
