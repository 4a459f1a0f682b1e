//! Words of a language that nobody speaks: a few stand in every message, most are rare, as in any language. Every
//! benchmark speaks it.

use chatloom::sim::Rng;

const SYLLABLES: [&str; 20] = [
    "ca", "lo", "men", "ti", "ra", "ção", "ve", "no", "sto", "pri", "da", "que", "lho", "fi", "gu", "tem", "é", "ba",
    "zo", "xi",
];

/// The n-th word: two to four syllables.
pub(crate) fn word(number: u64) -> String {
    let (mut rest, mut text) = (number, String::new());
    for place in 0..4 {
        text.push_str(SYLLABLES[usize::try_from(rest % 20).unwrap_or(0)]);
        rest /= 20;
        if rest == 0 && place > 0 {
            break;
        }
    }
    text
}

/// A number below `sides`.
pub(crate) fn roll(rng: &mut Rng, sides: u64) -> u64 {
    rng.bits() % sides
}

/// Words of about so many bytes: half to one and a half times.
pub(crate) fn text(rng: &mut Rng, bytes: usize) -> String {
    let wanted = bytes / 2 + usize::try_from(roll(rng, bytes as u64 + 1)).unwrap_or(0);
    let mut text = String::new();
    while text.is_empty() || text.len() < wanted {
        say_more(&mut text, rng);
    }
    text
}

/// One word more, the earlier ones of the language far more often.
pub(crate) fn say_more(text: &mut String, rng: &mut Rng) {
    if !text.is_empty() {
        text.push(' ');
    }
    // Of each magnitude of rank about as many words: what Zipf found.
    let magnitude = 1 << roll(rng, 15);
    text.push_str(&word(magnitude + roll(rng, magnitude)));
}
