//! The form in which a text is indexed and searched, and letters without their accents.
//!
//! The tokenizer of the index folds case and the accents of Latin letters by itself. What it cannot know is where a word
//! ends in scripts that do not say so: there every character becomes a word of its own, parted by zero-width spaces, and
//! what is searched becomes a phrase of them. Nor does it know signs that are younger than its tables, and takes them for
//! letters: these are parted from words in the same way.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// Parts what stands without blanks. No letter, so the tokenizer breaks there; nothing to see where a form is shown.
pub const WORD_BREAK: char = '\u{200B}';

/// Changes whenever [`search_form`] does: an index that was built by other rules is built anew.
pub const FORM_RULES: i64 = 2;

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
    )
}

/// Signs that the tokenizer takes for letters, since they are younger than its tables: what is no letter, digit or mark
/// and is yet no break to `unicode61`. Whole stretches of signs, also where it knows some of them.
fn is_young_sign(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{2066}'..='\u{2069}' | '\u{20BA}'..='\u{20CF}' | '\u{218A}' | '\u{218B}'
        | '\u{23F4}'..='\u{23FF}' | '\u{2427}'..='\u{243F}' | '\u{244B}'..='\u{245F}' | '\u{2700}'
        | '\u{2B4D}'..='\u{2BFF}' | '\u{2E3C}'..='\u{2E7F}'
        | '\u{1F02C}'..='\u{1F02F}' | '\u{1F094}'..='\u{1F09F}' | '\u{1F0AF}' | '\u{1F0B0}'
        | '\u{1F0BF}'..='\u{1F0FF}' | '\u{1F10D}'..='\u{1F1E5}' | '\u{1F203}'..='\u{1F20F}'
        | '\u{1F23B}'..='\u{1F2FF}' | '\u{1F321}'..='\u{1F336}' | '\u{1F37D}'..='\u{1F3FA}'
        | '\u{1F43F}'..='\u{1F441}' | '\u{1F4F8}'..='\u{1F5FA}' | '\u{1F641}'..='\u{1F67F}'
        | '\u{1F6C6}'..='\u{1F6FF}' | '\u{1F774}'..='\u{1FBEF}'
    ) && !c.is_alphanumeric()
}

/// Signs that are seldom typed, or only say how the one before them looks: the points of Hebrew and Arabic, Arabic
/// stretching, hyphens that are not seen, variants.
fn is_dropped(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{2060}' | '\u{FEFF}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}'
        | '\u{0591}'..='\u{05BD}' | '\u{05BF}' | '\u{05C1}' | '\u{05C2}' | '\u{05C4}' | '\u{05C5}' | '\u{05C7}'
        | '\u{0610}'..='\u{061A}' | '\u{0640}' | '\u{064B}'..='\u{065F}' | '\u{0670}'
        | '\u{06D6}'..='\u{06DC}' | '\u{06DF}'..='\u{06E8}' | '\u{06EA}'..='\u{06ED}'
    )
}

/// Latin letters and digits as wide as Han characters, in their usual width. What only frames or colours the sign before it
/// parts words, as that sign does.
fn narrow(c: char) -> char {
    match c {
        '\u{20E3}' | '\u{1F3FB}'..='\u{1F3FF}' => WORD_BREAK,
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

/// What parts words whatever stands beside it.
fn parts(c: char) -> bool {
    c.is_whitespace() || c.is_ascii_punctuation() || c == WORD_BREAK
}

/// Marks that stand behind the letter they belong to; there is a letter with most of them, too.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}')
}

/// Where a letter and its accent are one sign, the tokenizer knows them better. What has no accent stays as it is: a word
/// has the same form in every text.
fn composed(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.chars().any(is_accent) {
        return text;
    }
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    let mut form = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let mut letter = String::from(c);
        while let Some(accent) = rest.next_if(|c| is_accent(*c)) {
            letter.push(accent);
        }
        match letter.len() > c.len_utf8() {
            true => form.push_str(&nfc.normalize(&letter)),
            false => form.push(c),
        }
    }
    Cow::Owned(form)
}

fn usual(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.chars().any(|c| is_dropped(c) || narrow(c) != c) {
        true => Cow::Owned(text.chars().filter(|c| !is_dropped(*c)).map(narrow).collect()),
        false => text,
    }
}

/// The form in which a text is indexed and searched; borrowed where that is the text itself.
#[must_use]
pub fn search_form(text: &str) -> Cow<'_, str> {
    // Below U+0580 only accents and one sign are another in their form: the hyphen that is not seen. These bytes begin
    // accents, and what lies beyond.
    let may_differ = |byte| byte >= 0xD6 || byte == 0xCC || byte == 0xCD;
    let plain = text.is_ascii() || !text.bytes().any(may_differ) && !text.contains('\u{AD}');
    let differs = |c| is_accent(c) || runs_on(c) || is_dropped(c) || is_young_sign(c) || narrow(c) != c;
    if plain || !text.chars().any(differs) {
        return Cow::Borrowed(text);
    }
    // Once more behind what was left out: it may have stood between a letter and its accent.
    let kept = composed(usual(composed(Cow::Borrowed(text))));
    if !kept.chars().any(|c| runs_on(c) || is_young_sign(c)) {
        return if kept == text { Cow::Borrowed(text) } else { kept };
    }
    let mut form = String::with_capacity(text.len() * 2);
    let mut before: Option<char> = None;
    for c in kept.chars() {
        let meets = before.is_some_and(|b| (runs_on(c) && is_in_word(b)) || (runs_on(b) && is_in_word(c)));
        let touches = before.is_some_and(|b| is_young_sign(b) != is_young_sign(c) && !parts(b) && !parts(c));
        if meets && !leans_back(c) || touches {
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

    fn parted(text: &str) -> String {
        search_form(text).replace(WORD_BREAK, "|")
    }

    #[test]
    fn words_that_stand_apart_are_left_alone() {
        for text in ["", "Hello, não é 20.04", "Привет, мой мир", "שלום", "안녕하세요 여러분", "हिन्दी", "🙂 ok", "👍ok"]
        {
            assert!(matches!(search_form(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn scripts_without_breaks_fall_into_characters() {
        assert_eq!(parted("東京に行く。"), "東|京|に|行|く。");
        assert_eq!(parted("iPhone15を買う"), "iPhone15|を|買|う");
        assert_eq!(parted("カード"), "カ|ー|ド");
        assert_eq!(parted("ที่นี่"), "ที่|นี่");
        assert_eq!(parted("ＡＢ１"), "AB1");
        assert_eq!(parted("退款 ok 退"), "退|款 ok 退");
    }

    #[test]
    fn points_and_unseen_hyphens_go() {
        assert_eq!(parted("שָׁלוֹם"), "שלום");
        assert_eq!(parted("مَرْحَبًا"), "مرحبا");
        assert_eq!(parted("Ver\u{AD}trag"), "Vertrag");
    }

    #[test]
    fn signs_that_the_tokenizer_does_not_know_are_no_part_of_words() {
        assert_eq!(parted("obrigado🙂🤣ok, 🤗"), "obrigado|🙂🤣|ok, 🤗");
        assert_eq!(parted("money ❤\u{FE0F} back👍\u{1F3FD}, 1\u{FE0F}\u{20E3}"), "money ❤ back👍|, 1|");
        assert_eq!(parted("100₽ 退🙂"), "100|₽ 退|🙂");
    }

    /// Against the tokenizer itself: marks of letters and of signs aside, whatever is no letter parts what it stands between.
    #[test]
    fn no_sign_hides_the_word_beside_it() {
        let index = rusqlite::Connection::open_in_memory().unwrap();
        let tokenize = crate::store::TOKENIZE;
        index.execute_batch(&format!("CREATE VIRTUAL TABLE t USING fts5(x, {tokenize})")).unwrap();
        let signs: Vec<u32> = [0x2010..=0x205F, 0x20A0..=0x20CF, 0x2190..=0x2BFF, 0x2E00..=0x2E7F, 0x1F000..=0x1FAFF]
            .into_iter()
            .flatten()
            .filter(|code| char::from_u32(*code).is_some_and(|c| !c.is_alphanumeric()))
            .collect();
        for code in &signs {
            let sign = char::from_u32(*code).unwrap();
            index
                .execute("INSERT INTO t (rowid, x) VALUES (?1, ?2)", (code, search_form(&format!("danke{sign}bitte"))))
                .unwrap();
        }
        let hidden: Vec<u32> = {
            let mut found = index.prepare("SELECT rowid FROM t WHERE t MATCH 'danke'").unwrap();
            let found: Vec<u32> = found.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
            signs.into_iter().filter(|code| !found.contains(code)).collect()
        };
        assert!(hidden.is_empty(), "{hidden:X?}");
    }

    #[test]
    fn letters_and_their_accents_are_one_sign() {
        assert_eq!(parted("мои\u{306} Αθη\u{301}να nа\u{303}o"), "мой Αθήνα nа\u{303}o");
        assert_eq!(parted("Lo\u{301}pez"), "L\u{f3}pez");
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
