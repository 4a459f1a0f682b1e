//! What strangers wrote, made fit to be shown: on a terminal as on a page, by one rule.

use std::borrow::Cow;

use crate::telemetry::{Marks, is_wild};

/// Text of strangers, made fit to be shown: what steers, hides or turns the direction of writing becomes a visible
/// replacement character, and so does a flood of marks; line breaks and tabs stay.
#[must_use]
pub fn tame(text: &str) -> Cow<'_, str> {
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
#[must_use]
pub fn tame_line(text: &str) -> String {
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
