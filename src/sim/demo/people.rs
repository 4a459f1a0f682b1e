//! Made-up people: a name, an address under example.test, and a number that is reserved for fiction.

use super::lines::{TONGUES, Tongue};
use crate::sim::rng::Rng;

/// Which language every so many-th person speaks, by its place in [`TONGUES`].
const SHARES: &[usize] = &[0, 1, 2, 0, 3, 1, 4, 0, 1, 2, 5, 3, 0, 1, 6, 2];

/// Somebody who may write through more than one provider.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) tongue: &'static Tongue,
    pub(super) first: &'static str,
    pub(super) last: &'static str,
    pub(super) email: String,
    /// International format with spaces.
    pub(super) phone: String,
}

impl Person {
    /// First and last name.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }

    /// The number's digits, as WhatsApp identifies people.
    pub(super) fn digits(&self) -> String {
        self.phone.chars().filter(char::is_ascii_digit).collect()
    }
}

/// So many people of every language.
pub(super) fn people(rng: &mut Rng, count: usize) -> Vec<Person> {
    (0..count).filter_map(|index| person(rng, index)).collect()
}

fn person(rng: &mut Rng, index: usize) -> Option<Person> {
    let tongue = *SHARES.get(index % SHARES.len()).and_then(|tongue| TONGUES.get(*tongue))?;
    let n = index % 1000;
    // Ranges set aside for drama: North America (555-01xx), United Kingdom (Ofcom), Berlin (Bundesnetzagentur).
    let phone = match rng.between(0, 2) {
        0 => format!("+1 {} 555 01{:02}", 202 + index / 100, n % 100),
        1 => format!("+44 7700 900{n:03}"),
        _ => format!("+49 30 23125{n:03}"),
    };
    let (first, last) = (rng.word(tongue.first_names), rng.word(tongue.last_names));
    Some(Person { tongue, first, last, email: format!("person{index}@example.test"), phone })
}
