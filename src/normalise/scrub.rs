//! Takes secrets out of records before anything keeps them.

use serde_json::value::RawValue;

use super::lenient::unquote;

/// Parts of member names that are never stored (Brilliant Directories user records carry some of these).
const SECRET_WORDS: [&str; 9] =
    ["password", "passwd", "passcode", "token", "cookie", "secret", "session", "apikey", "credential"];

/// Whether a member of a user record holds a secret, by its name: in any case, with or without `_` and `-`.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let plain: String =
        key.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '\0')).flat_map(char::to_lowercase).collect();
    SECRET_WORDS.iter().any(|word| plain.contains(word))
}

/// Removes every member whose name is secret, at any depth. `None` when there is none: keep the original.
///
/// Order and spelling of what stays are kept; white space between tokens is not. Works without recursion, as
/// records may be nested however deep their sender likes.
#[must_use]
pub fn scrub(json: &RawValue, is_secret_key: impl Fn(&str) -> bool) -> Option<Box<RawValue>> {
    let mut tokens = Tokens(json.get());
    let mut out = String::with_capacity(json.get().len());
    // For every open container: whether something was written into it.
    let mut filled: Vec<bool> = Vec::new();
    let mut removed = false;
    let mut key: Option<&str> = None;
    while let Some(token) = tokens.next() {
        match token {
            // Written again before the next element that stays.
            "," => continue,
            ":" => {
                if let Some(name) = key.take() {
                    if is_secret_key(&unquote(name)) {
                        removed = true;
                        tokens.skip_value();
                        continue;
                    }
                    comma(&mut out, &mut filled);
                    out.push_str(name);
                    out.push(':');
                    tokens.copy_value_start(&mut out, &mut filled);
                }
            }
            "}" | "]" => {
                filled.pop();
                out.push_str(token);
            }
            _ if token.starts_with('"') && tokens.0.trim_start().starts_with(':') => key = Some(token),
            _ => {
                comma(&mut out, &mut filled);
                open(token, &mut out, &mut filled);
            }
        }
    }
    // Unreadable output cannot come of readable input; if it did, losing the record is better than keeping a secret.
    removed.then(|| RawValue::from_string(out).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}

fn comma(out: &mut String, filled: &mut [bool]) {
    if let Some(filled) = filled.last_mut()
        && std::mem::replace(filled, true)
    {
        out.push(',');
    }
}

fn open(token: &str, out: &mut String, filled: &mut Vec<bool>) {
    out.push_str(token);
    if matches!(token, "{" | "[") {
        filled.push(false);
    }
}

/// The tokens of valid JSON; holds what is left.
struct Tokens<'a>(&'a str);

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start();
        let length = match rest.bytes().next()? {
            b'"' => string_length(rest),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => rest.find([',', ':', '}', ']', ' ', '\t', '\n', '\r']).unwrap_or(rest.len()),
        };
        let (token, rest) = rest.split_at_checked(length.max(1))?;
        self.0 = rest;
        Some(token)
    }

    fn skip_value(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            match token {
                "{" | "[" => depth += 1,
                "}" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }

    /// The value of a member needs no comma before it.
    fn copy_value_start(&mut self, out: &mut String, filled: &mut Vec<bool>) {
        if let Some(token) = self.next() {
            open(token, out, filled);
        }
    }
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::{is_secret_key, scrub};

    fn scrubbed(json: &str) -> Option<String> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        scrub(&raw, is_secret_key).map(|raw| raw.get().to_owned())
    }

    #[test]
    fn secrets_go_and_the_rest_stays_in_order() {
        for (json, wanted) in [
            (r#"{"z":1,"password":"x","a":2}"#, r#"{"z":1,"a":2}"#),
            (r#"{"password":"x"}"#, "{}"),
            (r#"{ "token" : {"a":[1,"}"]} , "b" : [ ] }"#, r#"{"b":[]}"#),
            (r#"{"a":1,"Token":1,"auth_cookie":null}"#, r#"{"a":1}"#),
            (r#"[{"a":{"webhookToken":"s","b":[{"Session-Id":1},2]}},3]"#, r#"[{"a":{"b":[{},2]}},3]"#),
            (
                r#"{"pass\u0077ord":"x","n":1.50e3,"t":"a, \"token\": b \\"}"#,
                r#"{"n":1.50e3,"t":"a, \"token\": b \\"}"#,
            ),
            (
                r#"{"id":123456789012345678901234567890,"API-KEY":[[]],"x":{}}"#,
                r#"{"id":123456789012345678901234567890,"x":{}}"#,
            ),
        ] {
            assert_eq!(scrubbed(json).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn records_without_secrets_are_left_alone() {
        for json in [r#"{ "a" : "token", "b": ["password"] }"#, "[]", "3", r#""token""#, "null", r#"{"":{}}"#] {
            assert_eq!(scrubbed(json), None);
        }
    }

    #[test]
    fn depth_overflows_nothing() {
        let json = format!("{}{{\"token\":1}}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(scrubbed(&json).map(|out| out.len()), Some(200_002));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "\\PC{0,6}|[\"\\\\{}:,]{0,4}".prop_map(Into::into),
        ];
        let name = "a|b|token|my_password|[\"\\\\:,]{0,3}|\\PC{0,3}";
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::vec((name, inner), 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn without_secrets(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Array(items) => items.into_iter().map(without_secrets).collect(),
            serde_json::Value::Object(members) => serde_json::Value::Object(
                members.into_iter().filter(|(k, _)| !is_secret_key(k)).map(|(k, v)| (k, without_secrets(v))).collect(),
            ),
            other => other,
        }
    }

    proptest! {
        #[test]
        fn scrubbing_is_leaving_members_out(value in any_json(), pretty: bool) {
            let json = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let wanted = without_secrets(value.clone());
            match scrubbed(&json) {
                Some(out) => prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), wanted),
                None => prop_assert_eq!(value, wanted),
            }
        }
    }
}
