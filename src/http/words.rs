//! What may be said in an error: a provider's own short reason, clean, and without the key.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::telemetry::is_wild;

/// Longest text taken from outside into an error, in characters.
const LONGEST: usize = 200;
/// How much is shown of a body that is neither JSON nor HTML, in characters.
const GLIMPSE: usize = 80;
const MASK: &str = "[key]";

/// A key shorter than this may stand in any text by chance, and is not looked for in what is stored; no provider's is.
const SHORTEST_KEY: usize = 16;
/// So much of a key's end is a secret as well: `key ending in …` is how some services tell keys apart.
const TAIL: usize = 8;

/// Makes text from outside fit to be shown, knowing what must never be.
pub(super) struct Words {
    /// The key in every form in which it might be echoed, longest first. Wiped with the client.
    secrets: Vec<Zeroizing<String>>,
    /// Those of them that must not even be stored.
    unstored: Vec<Zeroizing<String>>,
}

impl Words {
    /// `auth_value` is the whole header value; what follows a scheme such as `Bearer ` is a secret by itself.
    pub(super) fn new(auth_value: &str) -> Self {
        let whole = auth_value.trim();
        let key = whole.rsplit(' ').next().unwrap_or(whole);
        let mut secrets = Vec::new();
        for form in [whole, key] {
            let encoded = super::address::encode(form);
            let lower = encoded.to_ascii_lowercase();
            secrets
                .extend([form.to_owned(), lower, encoded, base64(form.as_bytes()), escaped(form)].map(Zeroizing::new));
        }
        secrets.retain(|secret| !secret.is_empty());
        let unstored = if key.len() < SHORTEST_KEY { Vec::new() } else { secrets.clone() };
        if let Some(tail) = key.len().checked_sub(TAIL).filter(|_| !unstored.is_empty()).and_then(|at| key.get(at..)) {
            secrets.push(Zeroizing::new(tail.to_owned()));
        }
        let tidy = |mut secrets: Vec<Zeroizing<String>>| {
            secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            secrets.dedup();
            secrets
        };
        Self { secrets: tidy(secrets), unstored: tidy(unstored) }
    }

    /// A body without the key, should a provider repeat it among what is kept.
    pub(super) fn hide<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let mut body = Cow::Borrowed(body);
        for secret in &self.unstored {
            let finder = memmem::Finder::new(secret.as_bytes());
            if finder.find(&body).is_none() {
                continue;
            }
            let mut without = Vec::with_capacity(body.len());
            let mut rest = 0;
            for at in finder.find_iter(&body) {
                without.extend_from_slice(body.get(rest..at).unwrap_or_default());
                without.extend_from_slice(MASK.as_bytes());
                rest = at + secret.len();
            }
            without.extend_from_slice(body.get(rest..).unwrap_or_default());
            body = Cow::Owned(without);
        }
        body
    }

    /// One line, no control characters, no key, at most [`LONGEST`] characters.
    pub(super) fn clean(&self, text: &str) -> String {
        // Twice: what is unsightly may stand inside an echo of the key, or be a part of it.
        shorten(&self.without_key(&one_line(&self.without_key(text))), LONGEST)
    }

    /// The reason that a body gives, or what kind of thing the body is; empty for an empty one.
    pub(super) fn reason(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim();
        if is_html(text) {
            return "an HTML page".to_owned();
        }
        match serde_json::from_str::<Value>(&super::mend(text.as_bytes())) {
            Ok(json) => stated(&json).map(|reason| self.clean(&reason)).unwrap_or_default(),
            Err(_) => shorten(&self.clean(text), GLIMPSE),
        }
    }

    fn without_key(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), MASK) } else { text }
        })
    }
}

/// Whether a body's text is a page for people.
pub(super) fn is_html(text: &str) -> bool {
    let head: String = text.trim_start().chars().take(400).collect::<String>().to_ascii_lowercase();
    head.starts_with('<') && (head.contains("<html") || !head.starts_with("<?xml"))
}

/// `message` (Brilliant Directories also sends lists and objects there), else `error.message`, `error` or a code; with
/// the code behind it where there are both: a code says what a message leaves open.
fn stated(json: &Value) -> Option<String> {
    let said = said(json)?;
    let code = json.pointer("/error/code").or_else(|| json.get("code")).and_then(Value::as_str).map(str::trim);
    let told = said.to_ascii_lowercase();
    match code.filter(|code| !code.is_empty() && !told.contains(&code.to_ascii_lowercase())) {
        Some(code) => Some(format!("{said} ({code})")),
        None => Some(said),
    }
}

fn said(json: &Value) -> Option<String> {
    let error = json.get("error");
    [
        json.get("message"),
        error.and_then(|error| error.get("message")),
        error.and_then(|error| error.get("code")),
        error,
    ]
    .into_iter()
    .chain([json.get("detail"), json.get("code")])
    .flatten()
    .find_map(first_string)
    .or_else(|| json.as_str().map(str::to_owned))
}

fn first_string(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Array(items) => items.iter().find_map(first_string),
        Value::Object(fields) => fields.values().find_map(first_string),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn one_line(text: &str) -> String {
    let shown: String = text.chars().map(|c| if is_wild(c) { ' ' } else { c }).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shorten(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// A text as PHP writes it into JSON.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len().saturating_mul(2));
    for c in text.chars() {
        escaped.extend((c == '/').then_some('\\'));
        escaped.push(c);
    }
    escaped
}

/// Standard base64 without padding: how servers echo a header they took for a basic one.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 3);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let index = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap_or_default();
            text.extend(ALPHABET.get(index).map(|letter| char::from(*letter)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "sk+made/up=0123456789";

    fn words() -> Words {
        Words::new(&format!("Bearer {KEY}"))
    }

    #[test]
    fn reasons_are_found_where_providers_put_them() {
        for (body, reason) in [
            (r#"{"status":"error","message":"Too many API requests per minute"}"#, "Too many API requests per minute"),
            (r#"{"message":[{"field":1,"why":"bad value"}]}"#, "bad value"),
            (r#"{"message":{"a":null,"b":["wrong column"]}}"#, "wrong column"),
            (r#"{"message":"","error":{"code":"X","message":"no such bot"}}"#, "no such bot (X)"),
            (r#"{"message":"Not found","error":{"code":"CHATBOT_NOT_FOUND"}}"#, "Not found (CHATBOT_NOT_FOUND)"),
            (r#"{"ok":false,"error":{"code":"FORBIDDEN"}}"#, "FORBIDDEN"),
            (r#"{"error":"nope"}"#, "nope"),
            (r#"{"success":false}"#, ""),
            ("Fatal error: out of memory", "Fatal error: out of memory"),
            ("\u{feff} <html><body>Denied", "an HTML page"),
            ("", ""),
        ] {
            assert_eq!(words().reason(body.as_bytes()), reason, "{body}");
        }
        assert!(words().reason("x".repeat(500).as_bytes()).chars().count() <= GLIMPSE + 1);
    }

    #[test]
    fn the_key_is_masked_in_every_form_in_which_it_may_come_back() {
        let encoded = "sk%2Bmade%2Fup%3D0123456789";
        for echo in [
            format!("Bearer {KEY}"),
            KEY.to_owned(),
            encoded.to_owned(),
            encoded.to_lowercase(),
            base64(KEY.as_bytes()),
            KEY.replace('/', "\\/"),
            "23456789".to_owned(),
        ] {
            let shown = words().clean(&format!("bad key '{echo}' given"));
            assert!(shown.starts_with("bad key '[key]") && shown.ends_with("' given"), "{shown}");
        }
        let cut_in_the_middle = format!("{}{KEY}", "x".repeat(LONGEST - 5));
        assert!(!words().clean(&cut_in_the_middle).contains("sk"));
    }

    #[test]
    fn what_is_stored_has_the_key_masked_and_nothing_else() {
        let escaped = KEY.replace('/', "\\/");
        let body =
            [b"{\"a\":\"", KEY.as_bytes(), b"\",\"b\":\"", escaped.as_bytes(), KEY.as_bytes(), b"\xff\"}"].concat();
        let hidden = b"{\"a\":\"[key]\",\"b\":\"[key][key]\xff\"}";
        assert_eq!(words().hide(&body).as_ref(), hidden);
        let harmless = b"\xffa body that holds 23456789 and no key";
        assert!(matches!(words().hide(harmless), Cow::Borrowed(same) if same == harmless));
        // A short key might be any word.
        assert!(matches!(Words::new("x").hide(b"xxx"), Cow::Borrowed(_)));
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(words().clean("a\u{1b}[2J\nb\u{202e}c\u{0}\u{2066}d"), "a [2J b c d");
    }

    #[test]
    fn base64_is_the_usual_one() {
        assert_eq!(base64(b"Man"), "TWFu");
        assert_eq!(base64(b"Ma"), "TWE");
        assert_eq!(base64(b"M"), "TQ");
    }

    proptest! {
        #[test]
        fn whatever_a_provider_sends_is_short_clean_and_keyless(text in "\\PC*|[\\x00-\\xff]*", at in 0usize..40) {
            let text: String = text.chars().take(at).chain(KEY.chars()).chain(text.chars().skip(at)).collect();
            for shown in [words().clean(&text), words().reason(text.as_bytes())] {
                prop_assert!(shown.chars().count() <= LONGEST + 1);
                prop_assert!(!shown.contains(KEY) && !shown.chars().any(is_wild));
            }
        }
    }
}
