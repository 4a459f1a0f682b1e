//! The form in which a text is indexed and searched, and letters without their accents.
//!
//! The tokenizer of the index folds case and the accents of Latin, Greek and Cyrillic letters by itself. What it cannot
//! know is where a word ends in scripts that do not say so: there every character becomes a word of its own, parted by
//! zero-width spaces, and what is searched becomes a phrase of them.

use std::borrow::Cow;

/// Parts what stands without blanks. No letter, so the tokenizer breaks there; nothing to see where a form is shown.
pub const WORD_BREAK: char = '\u{200B}';

/// Changes whenever [`search_form`] does: an index that was built by other rules is built anew.
pub const FORM_RULES: i64 = 1;

/// Letters of scripts that are written without blanks between words.
fn runs_on(c: char) -> bool {
    matches!(c,
        '\u{0E01}'..='\u{0E3A}' | '\u{0E40}'..='\u{0E4E}'             // Thai
        | '\u{0E81}'..='\u{0EDF}'                                     // Lao
        | '\u{1000}'..='\u{103F}' | '\u{1050}'..='\u{109F}'           // Myanmar
        | '\u{1780}'..='\u{17D3}' | '\u{17DC}' | '\u{17DD}'           // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3031}'..='\u{3035}'           // marks of repetition
        | '\u{3041}'..='\u{3096}' | '\u{3099}' | '\u{309A}'           // hiragana
        | '\u{309D}'..='\u{309F}' | '\u{30A1}'..='\u{30FA}'
        | '\u{30FC}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}'           // katakana
        | '\u{FF66}'..='\u{FF9F}'
        | '\u{3105}'..='\u{312F}' | '\u{31A0}'..='\u{31BF}'           // bopomofo
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'           // Han
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFD}'
    )
}

/// Signs that belong to the letter before them.
fn leans_back(c: char) -> bool {
    matches!(c,
        '\u{0E31}' | '\u{0E34}'..='\u{0E3A}' | '\u{0E47}'..='\u{0E4E}'
        | '\u{0EB1}' | '\u{0EB4}'..='\u{0EBC}' | '\u{0EC8}'..='\u{0ECE}'
        | '\u{102B}'..='\u{103E}' | '\u{1056}'..='\u{1059}' | '\u{105E}'..='\u{1060}' | '\u{1062}'..='\u{1064}'
        | '\u{1067}'..='\u{106D}' | '\u{1071}'..='\u{1074}' | '\u{1082}'..='\u{108D}' | '\u{108F}'
        | '\u{109A}'..='\u{109D}'
        | '\u{17B4}'..='\u{17D3}' | '\u{17DD}'
        | '\u{3099}' | '\u{309A}' | '\u{FF9E}' | '\u{FF9F}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}'
    )
}

/// Signs that are seldom typed: the points of Hebrew and Arabic, Arabic stretching, hyphens that are not seen.
fn is_dropped(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{2060}' | '\u{FEFF}'
        | '\u{0591}'..='\u{05BD}' | '\u{05BF}' | '\u{05C1}' | '\u{05C2}' | '\u{05C4}' | '\u{05C5}' | '\u{05C7}'
        | '\u{0610}'..='\u{061A}' | '\u{0640}' | '\u{064B}'..='\u{065F}' | '\u{0670}'
        | '\u{06D6}'..='\u{06DC}' | '\u{06DF}'..='\u{06E8}' | '\u{06EA}'..='\u{06ED}'
    )
}

/// Latin letters and digits as wide as Han characters, in their usual width.
fn narrow(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

/// The form in which a text is indexed and searched; borrowed where that is the text itself.
#[must_use]
pub fn search_form(text: &str) -> Cow<'_, str> {
    // Below U+0580 only one sign is another in its form: the hyphen that is not seen. These bytes begin what lies beyond.
    let plain = text.is_ascii() || !text.bytes().any(|byte| byte >= 0xD6) && !text.contains('\u{AD}');
    if plain || !text.chars().any(|c| runs_on(c) || is_dropped(c) || narrow(c) != c) {
        return Cow::Borrowed(text);
    }
    let mut form = String::with_capacity(text.len() * 2);
    let mut before: Option<char> = None;
    for c in text.chars().filter(|c| !is_dropped(*c)).map(narrow) {
        let meets = before.is_some_and(|b| (runs_on(c) && is_in_word(b)) || (runs_on(b) && is_in_word(c)));
        if meets && !leans_back(c) {
            form.push(WORD_BREAK);
        }
        form.push(c);
        before = Some(c);
    }
    if form == text { Cow::Borrowed(text) } else { Cow::Owned(form) }
}

/// So many bytes of a text are indexed, from its beginning: an index of more costs memory, and nobody writes more.
const INDEXED: usize = 1 << 20;

/// The form in which a stored text is indexed; borrowed where that is the text itself.
#[must_use]
fn index_form(text: &str) -> Cow<'_, str> {
    if text.len() <= INDEXED {
        return search_form(text);
    }
    let end = (0..=INDEXED).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let (beginning, _) = text.split_at(end);
    Cow::Owned(search_form(beginning).into_owned())
}

/// The same where it is another text; `None` where the text itself is indexed.
#[must_use]
pub fn own_index_form(text: &str) -> Option<String> {
    match index_form(text) {
        Cow::Owned(form) => Some(form),
        Cow::Borrowed(_) => None,
    }
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || runs_on(c) || leans_back(c)
}

/// Whether there is anything in a text that can be searched.
#[must_use]
pub fn has_words(text: &str) -> bool {
    text.chars().any(is_in_word)
}

/// U+00C0 to U+017F without accents, in small letters; a dot where the letter is one of its own.
const LATIN: &str = "aaaaaa.ceeeeiiii.nooooo..uuuuy..aaaaaa.ceeeeiiii.nooooo..uuuuy.y\
    aaaaaaccccccccdd..eeeeeeeeeegggggggghh..iiiiiiiii...jjkk.llllll....nnnnnn...oooooo..rrrrrrssssss\
    sstttt..uuuuuuuuuuuuwwyyyzzzzzz";

/// Names as they are compared: small letters, the accents of Latin letters left out.
#[must_use]
pub fn fold(text: &str) -> String {
    let plain = |c: char| {
        let at = u32::from(c).checked_sub(0xC0).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| LATIN.as_bytes().get(at)).filter(|plain| **plain != b'.').map_or(c, |plain| char::from(*plain))
    };
    text.chars()
        .filter(|c| !matches!(c, '\u{0300}'..='\u{036F}') && !is_dropped(*c))
        .map(narrow)
        .flat_map(|c| plain(c).to_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> String {
        search_form(text).replace(WORD_BREAK, "|")
    }

    #[test]
    fn words_that_stand_apart_are_left_alone() {
        for text in ["", "Hello, não é 20.04", "Привет мир", "שלום", "안녕하세요 여러분", "हिन्दी", "🙂 ok"]
        {
            assert!(matches!(search_form(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn scripts_without_breaks_fall_into_characters() {
        assert_eq!(parts("東京に行く。"), "東|京|に|行|く。");
        assert_eq!(parts("iPhone15を買う"), "iPhone15|を|買|う");
        assert_eq!(parts("カード"), "カ|ー|ド");
        assert_eq!(parts("ที่นี่"), "ที่|นี่");
        assert_eq!(parts("ＡＢ１"), "AB1");
        assert_eq!(parts("退款 ok 退"), "退|款 ok 退");
    }

    #[test]
    fn points_and_unseen_hyphens_go() {
        assert_eq!(parts("שָׁלוֹם"), "שלום");
        assert_eq!(parts("مَرْحَبًا"), "مرحبا");
        assert_eq!(parts("Ver\u{AD}trag"), "Vertrag");
    }

    #[test]
    fn names_are_folded() {
        assert_eq!(LATIN.len(), 0x17F - 0xC0);
        assert_eq!(fold("JOÃO Ávila Łódź Çelik Žižek Ñandú ÿ Ø"), "joao avila łodz celik zizek nandu y ø");
        assert_eq!(fold("a\u{0303}O\u{0301}"), "ao");
    }

    proptest! {
        #[test]
        fn a_form_is_its_own_form(text in any::<String>()) {
            let form = search_form(&text).into_owned();
            prop_assert_eq!(search_form(&form).into_owned(), form.clone());
            prop_assert!(form.len() <= text.len() * 2 + text.len());
            prop_assert!(fold(&text).len() <= text.len() * 3);
        }
    }
}
