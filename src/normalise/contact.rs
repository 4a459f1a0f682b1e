//! What an identifier that a channel gives for a person looks like (Zaia: user name, e-mail or phone in one field).

/// What kind of address an identifier is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identifier {
    /// An e-mail address, trimmed, else as written.
    Email(String),
    /// A phone number, trimmed, else as written.
    Phone(String),
    /// A user name, an opaque id, nothing.
    Other,
}

/// Digits of the shortest number that can be dialled from abroad, and the longest E.164 allows.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Sorts an identifier by its look alone; nothing is verified.
#[must_use]
pub fn classify_identifier(text: &str) -> Identifier {
    let text = text.trim();
    if is_email(text) {
        Identifier::Email(text.to_owned())
    } else if is_phone(text) {
        Identifier::Phone(text.to_owned())
    } else {
        Identifier::Other
    }
}

/// Whether two spellings are of one e-mail address. Capitals tell nothing apart: no provider in use minds them.
#[must_use]
pub fn same_email(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim(), b.trim());
    is_email(a) && a.to_lowercase() == b.to_lowercase()
}

/// Whether two spellings are of one phone number.
///
/// They are if the digits are the same, whatever stands between them, with `+`, `00` or nothing before the country's
/// code. A number without its country's code is another one: nothing is guessed.
#[must_use]
pub fn same_phone(a: &str, b: &str) -> bool {
    let digits = |text: &str| -> Option<String> {
        let text = text.trim();
        if !is_phone(text) && !is_phone(text.trim_start_matches('0')) {
            return None;
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        Some(digits.strip_prefix("00").map(str::to_owned).unwrap_or(digits))
    };
    digits(a).is_some_and(|a| digits(b) == Some(a))
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let spaced = text.chars().any(|c| c.is_whitespace() || c.is_control());
    let dotted = host.split_once('.').is_some_and(|(left, _)| !left.is_empty()) && !host.ends_with('.');
    !name.is_empty() && !spaced && !host.contains('@') && dotted
}

fn is_phone(text: &str) -> bool {
    let number = text.strip_prefix('+').unwrap_or(text);
    let known = number.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '.' | '(' | ')' | '/'));
    known && PHONE_DIGITS.contains(&number.chars().filter(char::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use super::{Identifier, classify_identifier, same_email, same_phone};

    #[test]
    fn spellings_of_one_address_are_one() {
        assert!(same_email(" Ana@Example.test", "ana@example.TEST "));
        assert!(!same_email("ana@example.test", "anna@example.test"));
        assert!(!same_email("", "") && !same_email("ana", "ana"));
        for spelling in ["+55 11 5555-0100", "0055 11 55550100", "551155550100", "(55) 11.5555/0100"] {
            assert!(same_phone(spelling, "+551155550100"), "{spelling}");
        }
        for other in ["11 5555-0100", "+55 11 5555-0101", "", "0", "abc"] {
            assert!(!same_phone(other, "+551155550100"), "{other}");
        }
    }

    #[test]
    fn identifiers_are_sorted_by_their_look() {
        for email in ["ana@example.test", "  ana@mail.example.test ", "a+b@example.test"] {
            assert_eq!(classify_identifier(email), Identifier::Email(email.trim().to_owned()));
        }
        for phone in ["5500000000000", "+1 (202) 555-0100", "202.555.0100", "2025550"] {
            assert_eq!(classify_identifier(phone), Identifier::Phone(phone.to_owned()));
        }
        for other in ["", "ana", "@ana", "ana@host", "a@b@c.test", "ana@.test", "ana@host.", "a b@c.test"] {
            assert_eq!(classify_identifier(other), Identifier::Other, "{other}");
        }
        for other in ["12345", "1234567890123456", "+", "1+234567890", "12345678a", "7c0e2b54-0000"] {
            assert_eq!(classify_identifier(other), Identifier::Other, "{other}");
        }
    }
}
