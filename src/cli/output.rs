//! Everything that is printed goes through here: broken pipes are no panic, and what visitors wrote is never
//! interpreted by a terminal.

use std::borrow::Cow;
use std::io::Write as _;

use crate::telemetry::{Marks, is_wild, tame_json};

/// Prints a result. A reader that went away (`| head`) is no failure.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(
        out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") }),
    );
    drop(out.flush());
}

/// Prints a document as JSON: every value exact, and what could steer a terminal written as `\uXXXX`.
pub(crate) fn print_json<T: serde::Serialize>(document: &T) {
    match serde_json::to_string_pretty(document) {
        Ok(json) => print(&tame_json(&json)),
        Err(error) => complain(&format!("cannot write the result as JSON: {error}")),
    }
}

/// Tells the operator something on stderr. Whatever it quotes does nothing to the terminal.
pub(crate) fn complain(text: &str) {
    let text = tame(text);
    if !super::unread::take(&format!(
        "chatloom: {text}
"
    )) {
        drop(writeln!(std::io::stderr().lock(), "chatloom: {text}"));
    }
}

/// The same for a text that says itself who speaks, line ends included.
pub(crate) fn warn(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

/// Asks the operator something on stderr; the answer is typed behind it.
pub(crate) fn ask(text: &str) {
    let mut err = std::io::stderr().lock();
    drop(write!(err, "{text}").and_then(|()| err.flush()));
}

/// Text of strangers, made fit for a terminal: what steers, hides or turns the direction of writing becomes a visible
/// replacement character, and so does a flood of marks; line breaks and tabs stay.
pub(crate) fn tame(text: &str) -> Cow<'_, str> {
    let mut marks = Marks::default();
    let harmless = |c: char| c == '\n' || c == '\t' || !is_wild(c);
    if !text.contains(|c| !harmless(c) || marks.is_flood(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut marks, mut flooded) = (Marks::default(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let was_flooded = std::mem::replace(&mut flooded, marks.is_flood(c));
        if flooded {
            // One sign for all of them.
            out.extend((!was_flooded).then_some('\u{fffd}'));
        } else if harmless(c) || joins(out.chars().next_back(), c, rest.peek().copied()) {
            out.push(c);
        } else {
            out.push('\u{fffd}');
        }
    }
    Cow::Owned(out)
}

/// Whether it is one of the two joiners, between characters of a script or a sequence that needs them (Persian,
/// Hindi, pictures of families). Among Latin letters they only hide.
fn joins(before: Option<char>, c: char, after: Option<char>) -> bool {
    let needs = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && c != '\u{fffd}' && !is_wild(c));
    matches!(c, '\u{200c}' | '\u{200d}') && needs(before) && needs(after)
}

/// The same for a place where one line must stay one line.
pub(crate) fn tame_line(text: &str) -> String {
    tame(text).chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{tame, tame_line};
    use crate::telemetry::is_wild;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_are_made_harmless() {
        assert_eq!(tame("a\u{1b}[31mred\u{9b}0m\r\n\u{202e}b"), "a\u{fffd}[31mred\u{fffd}0m\u{fffd}\n\u{fffd}b");
        assert_eq!(tame_line("two\nlines\t"), "two lines ");
        assert_eq!(tame("שלום 🙂 café"), "שלום 🙂 café");
        assert_eq!(tame("pay\u{200b}pal\u{ad}\u{2066}\u{e0041}"), "pay\u{fffd}pal\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn what_a_script_needs_stays_and_floods_do_not() {
        for honest in ["می\u{200c}خواهم", "👨\u{200d}👩\u{200d}👧", "e\u{301}\u{328}", "हिन्दी", "❤\u{fe0f}"]
        {
            assert_eq!(tame(honest), honest);
        }
        assert_eq!(tame("ad\u{200d}min"), "ad\u{fffd}min");
        let flood = format!("e{}!", "\u{301}".repeat(10_000));
        assert_eq!(tame(&flood), format!("e{}\u{fffd}!", "\u{301}".repeat(8)));
    }

    proptest! {
        #[test]
        fn nothing_wild_comes_out(text in any::<String>()) {
            for c in tame(&text).chars() {
                let is_harmless = !is_wild(c) || matches!(c, '\n' | '\t' | '\u{200c}' | '\u{200d}');
                prop_assert!(is_harmless, "{:?}", c);
            }
        }
    }
}
