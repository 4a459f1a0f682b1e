//! One line stays one line, whatever stands in it.

use std::borrow::Cow;

/// The longest value in a log line, in characters. An error that quotes more than this has lost its point.
const LONGEST: usize = 2_000;

/// Whether a character steers a terminal, ends a line, turns the direction of writing, or hides: whatever is shown
/// anywhere, in a log, in a table, in an error, goes by this one list.
#[must_use]
pub fn is_wild(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// So many marks may stand on one letter; no script needs more. A flood of them covers the lines above and below.
const MARKS: usize = 8;

/// Counts the marks that stand on one letter.
#[derive(Debug, Default)]
pub struct Marks(usize);

impl Marks {
    /// Takes the next character of a text, and says whether it is a mark too many.
    pub fn is_flood(&mut self, c: char) -> bool {
        // What would combine with the quotes around it is written out by `escape_debug`: the standard library's
        // own table of such characters, which it offers in no other way.
        let combines = !c.is_ascii() && c.escape_debug().next() == Some('\\');
        self.0 = if combines { self.0.saturating_add(1) } else { 0 };
        self.0 > MARKS
    }
}

/// Text with every wild character written out (`\n`, `\u{1b}`), and no longer than makes sense.
pub(super) fn tame(text: &str) -> Cow<'_, str> {
    let long = text.char_indices().nth(LONGEST).map(|(end, _)| end);
    let mut marks = Marks::default();
    if long.is_none() && !text.contains(|c| is_wild(c) || marks.is_flood(c)) {
        return Cow::Borrowed(text);
    }
    let mut marks = Marks::default();
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for c in text.chars().take(LONGEST) {
        if is_wild(c) | marks.is_flood(c) {
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

/// JSON text in which wild characters that JSON itself lets through are written as `\uXXXX`. Line ends of its layout
/// stay: inside of strings there are none.
#[must_use]
pub fn tame_json(json: &str) -> Cow<'_, str> {
    let is_wild = |c: char| c != '\n' && is_wild(c);
    if !json.contains(is_wild) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_wild(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format_args!("\\u{unit:04x}").to_string());
            }
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
        assert_eq!(tame_json("\"\u{9b}\u{2028}\u{e0041}\""), "\"\\u009b\\u2028\\udb40\\udc41\"");
    }

    #[test]
    fn floods_of_marks_are_written_out_and_honest_ones_stay() {
        for honest in ["é", "e\u{301}\u{328}", "กำลัง", "שָׁלוֹם", "हिन्दी", "❤️"] {
            assert_eq!(tame(honest), honest);
        }
        let flood = format!("e{}!", "\u{301}".repeat(10_000));
        let shown = tame(&flood);
        assert_eq!(shown.chars().filter(|c| *c == '\u{301}').count(), MARKS, "{shown}");
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
