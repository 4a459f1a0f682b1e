//! Everything that is printed goes through here: broken pipes are no panic, and what visitors wrote is never
//! interpreted by a terminal.

use std::borrow::Cow;
use std::io::Write as _;

/// Prints a result. A reader that went away (`| head`) is no failure.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(
        out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") }),
    );
    drop(out.flush());
}

/// Prints a document as JSON.
pub(crate) fn print_json<T: serde::Serialize>(document: &T) {
    match serde_json::to_string_pretty(document) {
        Ok(json) => print(&json),
        Err(error) => complain(&format!("cannot write the result as JSON: {error}")),
    }
}

/// Tells the operator something on stderr.
pub(crate) fn complain(text: &str) {
    if !super::unread::take(&format!("chatloom: {text}\n")) {
        drop(writeln!(std::io::stderr().lock(), "chatloom: {text}"));
    }
}

/// Asks the operator something on stderr; the answer is typed behind it.
pub(crate) fn ask(text: &str) {
    let mut err = std::io::stderr().lock();
    drop(write!(err, "{text}").and_then(|()| err.flush()));
}

/// Text of strangers, made fit for a terminal: control and bidirectional-override characters become visible
/// replacement characters; line breaks and tabs stay.
pub(crate) fn tame(text: &str) -> Cow<'_, str> {
    let wild = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{061C}')
    };
    if text.contains(wild) {
        Cow::Owned(text.chars().map(|c| if wild(c) { '\u{FFFD}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The same for a place where one line must stay one line.
pub(crate) fn tame_line(text: &str) -> String {
    tame(text).chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{tame, tame_line};
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_are_made_harmless() {
        assert_eq!(tame("a\u{1b}[31mred\u{9b}0m\r\n\u{202e}b"), "a\u{fffd}[31mred\u{fffd}0m\u{fffd}\n\u{fffd}b");
        assert_eq!(tame_line("two\nlines\t"), "two lines ");
        assert_eq!(tame("שלום 🙂 café"), "שלום 🙂 café");
    }

    proptest! {
        #[test]
        fn nothing_wild_comes_out(text in any::<String>()) {
            for c in tame(&text).chars() {
                prop_assert!(!c.is_control() || c == '\n' || c == '\t');
            }
        }
    }
}
