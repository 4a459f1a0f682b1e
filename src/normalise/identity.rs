//! Addresses in the one spelling by which people are told to be the same.

use std::sync::Once;

use super::contact::{Identifier, classify_identifier};

/// An e-mail address in small letters without spaces around it; `None` for what is none.
#[must_use]
pub fn email_key(text: &str) -> Option<String> {
    match classify_identifier(text) {
        Identifier::Email(email) => Some(format!("e:{}", email.to_lowercase())),
        Identifier::Phone(_) | Identifier::Other => None,
    }
}

/// A phone number as E.164 writes it. `None` for what is no number that can be dialled from abroad: a number without its
/// country's code may be anybody's, and nothing is guessed.
#[must_use]
pub fn phone_key(text: &str) -> Option<String> {
    let text = text.trim();
    let number: String = text.chars().filter(char::is_ascii_digit).collect();
    let number = if text.starts_with('+') {
        number
    } else if let Some(number) = number.strip_prefix("00") {
        number.to_owned()
    } else {
        // Channels such as WhatsApp give whole numbers without the plus.
        Some(number).filter(|number| number.len() >= WHOLE)?
    };
    if text.chars().any(char::is_alphabetic) {
        return None;
    }
    let number = phonenumber::parse(None, format!("+{number}")).ok().filter(phonenumber::PhoneNumber::is_valid)?;
    Some(format!("p:{}", number.format().mode(phonenumber::Mode::E164)))
}

/// Has the tables of the world's phone numbers read now, once in a process. It takes a twentieth of a second, which
/// whoever calls [`phone_key`] first would take.
pub fn read_phone_tables() {
    static READ: Once = Once::new();
    READ.call_once(|| drop(phonenumber::parse(None, "+12025550123")));
}

/// Has them read by a thread of its own, so that they are there when somebody's number comes.
pub fn read_phone_tables_aside() {
    static ASKED: Once = Once::new();
    ASKED.call_once(|| drop(std::thread::Builder::new().name("phone-tables".to_owned()).spawn(read_phone_tables)));
}

/// Digits from which on a number without a plus may hold its country's code.
const WHOLE: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_make_one_key() {
        for spelling in ["ana@example.test", " Ana@Example.TEST "] {
            assert_eq!(email_key(spelling).as_deref(), Some("e:ana@example.test"));
        }
        for spelling in ["+1 202-555-0123", "0012025550123", "12025550123", "+1 (202) 555 0123"] {
            assert_eq!(phone_key(spelling).as_deref(), Some("p:+12025550123"), "{spelling}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for other in ["", "ana", "ana@host", "2025550123"] {
            assert_eq!(email_key(other), None, "{other}");
        }
        for other in ["", "202-555-0123", "5550123", "+999 12345678901", "ana", "+1 202 555 01", "0", "00", "+"] {
            assert_eq!(phone_key(other), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in ".{0,40}", digits in "\\+?[0-9 ()-]{0,30}") {
            let _nothing = (email_key(&text), phone_key(&text));
            if let Some(key) = phone_key(&digits) {
                proptest::prop_assert_eq!(phone_key(key.trim_start_matches("p:")), Some(key.clone()));
            }
        }
    }
}
