//! Reading of JSON objects whose keys may be missing, null or of a neighbouring type.
//!
//! Values stay [`RawValue`]s until they are asked for: ids keep every digit (a message id is larger than 2^53),
//! and one odd field spoils nothing but itself.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::normalise::lenient::without_nul;
use crate::normalise::{TimeFault, parse_timestamp};

/// The members of one JSON object.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// The members of `raw`; `None` when it is not an object. Of a key that stands twice the last one counts.
    pub(super) fn of(raw: &'a RawValue) -> Option<Self> {
        let members: Members<'a> = serde_json::from_str(raw.get()).ok()?;
        Some(Self(members.0.into_iter().collect()))
    }

    /// The value as it stands, `null` included; `None` when the key is missing.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }

    /// The value, unless it is missing or null.
    pub(super) fn some(&self, name: &str) -> Option<&'a RawValue> {
        self.get(name).filter(|raw| !is_null(raw))
    }

    /// Whether the key is there with the value null.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_null)
    }

    /// A text, or the exact digits of a number, or `true`/`false`.
    pub(super) fn scalar(&self, name: &str) -> Option<String> {
        self.some(name).and_then(scalar)
    }

    /// A text that says something: an empty or blank one is none.
    pub(super) fn words(&self, name: &str) -> Option<String> {
        self.scalar(name).filter(|text| !text.trim().is_empty())
    }

    /// The first of these keys that holds a usable id: a text that is not empty, or a number with its digits.
    pub(super) fn id(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| {
            let raw = self.some(name)?;
            (!matches!(raw.get(), "true" | "false")).then_some(())?;
            scalar(raw).filter(|text| !text.trim().is_empty())
        })
    }

    /// A flag, also where it is sent as a text or a number.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.scalar(name)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// A whole number, also where it is sent as a text.
    pub(super) fn whole(&self, name: &str) -> Option<i64> {
        self.scalar(name)?.trim().parse().ok()
    }

    /// A time in milliseconds; `None` when the key is missing, null, or says that there is none.
    ///
    /// # Errors
    /// There is a value, and it is no time.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, TimeFault> {
        let Some(raw) = self.some(name) else { return Ok(None) };
        parse_timestamp(&scalar(raw).ok_or(TimeFault::Unreadable)?, None)
    }

    /// An object's members.
    pub(super) fn object(&self, name: &str) -> Option<Fields<'a>> {
        self.some(name).and_then(Fields::of)
    }

    /// An array's elements.
    pub(super) fn array(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        self.some(name).and_then(array)
    }
}

/// Whether a value is null.
pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The elements of an array; `None` for any other value.
pub(super) fn array(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// A text as it reads, a number or a flag as it is spelled; `None` for null, objects and arrays.
pub(super) fn scalar(raw: &RawValue) -> Option<String> {
    match raw.get().chars().next()? {
        '"' => text(raw),
        '{' | '[' | 'n' => None,
        _ => Some(raw.get().to_owned()),
    }
}

/// A text; `None` for any other value.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok().map(without_nul)
}

/// An object without its member `name`; what is left stands as the provider spelled it. Anything that has no such
/// member is returned byte for byte.
pub(super) fn without_member(raw: &RawValue, name: &str) -> Box<RawValue> {
    let Ok(members) = serde_json::from_str::<Members<'_>>(raw.get()) else { return raw.to_owned() };
    if members.0.iter().all(|(key, _)| key != name) {
        return raw.to_owned();
    }
    let kept = members.0.iter().filter(|(key, _)| key != name).map(|(key, value)| {
        let key = serde_json::to_string(key).unwrap_or_default();
        format!("{key}:{}", value.get())
    });
    let json = format!("{{{}}}", kept.collect::<Vec<_>>().join(","));
    RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Members in the order in which they were sent.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::raw;
    use super::*;

    #[test]
    fn ids_keep_every_digit_whether_they_come_as_text_or_number() {
        let raw =
            raw(r#"{"a":361628903185318481,"b":"361628903185318481","c":123456789012345678901234567890,"d":true}"#);
        let fields = Fields::of(&raw).unwrap();
        assert_eq!(fields.id(&["a"]).unwrap(), "361628903185318481");
        assert_eq!(fields.id(&["b"]).unwrap(), "361628903185318481");
        assert_eq!(fields.id(&["c"]).unwrap(), "123456789012345678901234567890");
        assert_eq!(fields.id(&["d"]), None);
        assert_eq!(fields.id(&["missing", "b"]).unwrap(), "361628903185318481");
    }

    #[test]
    fn missing_and_null_are_told_apart() {
        let raw = raw(r#"{"a":null,"blank":"  "}"#);
        let fields = Fields::of(&raw).unwrap();
        assert!(fields.is_null("a") && !fields.is_null("b"));
        assert!(fields.some("a").is_none());
        assert_eq!(fields.words("blank"), None);
        assert_eq!(fields.id(&["blank"]), None);
    }

    #[test]
    fn a_member_goes_and_the_rest_stays_as_it_was_spelled() {
        let sent = raw(r#"{ "a" : 1.50, "messages":[1],"deep":{"messages":2,"b":"\u00e9"}}"#);
        assert_eq!(without_member(&sent, "messages").get(), r#"{"a":1.50,"deep":{"messages":2,"b":"\u00e9"}}"#);
        for clean in [r#"{ "a" : 1.50 }"#, "[ ]", "null"] {
            assert_eq!(without_member(&raw(clean), "messages").get(), clean);
        }
    }

    #[test]
    fn no_time_is_told_apart_from_a_bad_one() {
        let raw = raw(r#"{"z":"2024-05-07T06:26:01.674375Z","ms":1715063161674,"none":null,"bad":"soon","odd":[]}"#);
        let fields = Fields::of(&raw).unwrap();
        assert_eq!(fields.time("z"), Ok(Some(1_715_063_161_674)));
        assert_eq!(fields.time("ms"), Ok(Some(1_715_063_161_674)));
        assert_eq!(fields.time("none"), Ok(None));
        assert_eq!(fields.time("missing"), Ok(None));
        assert!(fields.time("bad").is_err() && fields.time("odd").is_err());
    }

    proptest! {
        #[test]
        fn reading_takes_any_json(json in crate::provider::sitegpt::testing::any_json()) {
            let raw = raw(&json);
            let kept = without_member(&raw, "messages");
            if let Some(fields) = Fields::of(&kept) {
                drop((fields.scalar("a"), fields.array("a"), fields.id(&["a"]), fields.time("a")));
                prop_assert!(!fields.is_null("a") || (fields.flag("a").is_none() && fields.whole("a").is_none()));
                prop_assert!(fields.get("messages").is_none());
            }
        }
    }
}
