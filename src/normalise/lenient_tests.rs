use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{boolean_of, decode, integer_of, records, text_of};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[derive(Debug, Deserialize, PartialEq, Default)]
struct Child {
    name: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct Wire<'a> {
    #[serde(deserialize_with = "super::text")]
    id: Option<String>,
    #[serde(deserialize_with = "super::any_text")]
    body: String,
    #[serde(deserialize_with = "super::flag")]
    read: bool,
    #[serde(deserialize_with = "super::integer")]
    total: Option<i64>,
    #[serde(borrow, deserialize_with = "super::list")]
    rows: Vec<&'a RawValue>,
    #[serde(deserialize_with = "super::list")]
    tags: Vec<String>,
    #[serde(deserialize_with = "super::object")]
    child: Option<Child>,
    children: Vec<Child>,
}

#[test]
fn text_comes_of_many_types_with_all_digits() {
    for (json, wanted) in [
        (r#""a""#, Some("a")),
        (r#"" a ""#, Some(" a ")),
        (r#""""#, None),
        ("null", None),
        ("false", None),
        ("true", Some("true")),
        ("0", Some("0")),
        ("-9223372036854775808", Some("-9223372036854775808")),
        ("18446744073709551616123456789", Some("18446744073709551616123456789")),
        ("1.50", Some("1.50")),
        (r#""\u00e9\ud83d\ude00\n\"""#, Some("é😀\n\"")),
        (r#""cut \ud83d""#, Some("cut \u{fffd}")),
        (r#""\ude00\\ud83d\ud83d\ud83d\ude00 é\u0041""#, Some("\u{fffd}\\ud83d\u{fffd}😀 éA")),
    ] {
        assert_eq!(text_of(&raw(json)).unwrap().as_deref(), wanted, "{json}");
    }
    assert_eq!(text_of(&raw(r#"{"a":"private"}"#)).unwrap_err(), "expected text, found an object");
    assert_eq!(text_of(&raw("[1]")).unwrap_err(), "expected text, found an array");
}

#[test]
fn a_text_has_no_nul_at_which_sqlite_would_stop() {
    assert_eq!(text_of(&raw(r#""before\u0000behind""#)), Ok(Some("beforebehind".to_owned())));
    assert_eq!(text_of(&raw(r#""\u0000""#)), Ok(None), "and none that is nothing else");
    assert_eq!(text_of(&raw(r#""a\\u0000""#)), Ok(Some("a\\u0000".to_owned())), "written out it is six characters");
}

#[test]
fn yes_and_no_come_in_many_spellings() {
    for json in ["true", "1", r#""1""#, r#""true""#, r#""YES""#, r#"" on ""#] {
        assert_eq!(boolean_of(&raw(json)), Ok(Some(true)), "{json}");
    }
    for json in ["false", "0", r#""0""#, r#""False""#, r#""no""#, r#""off""#] {
        assert_eq!(boolean_of(&raw(json)), Ok(Some(false)), "{json}");
    }
    for json in ["null", r#""""#, r#"" ""#] {
        assert_eq!(boolean_of(&raw(json)), Ok(None), "{json}");
    }
    assert_eq!(boolean_of(&raw("2")).unwrap_err(), "expected yes or no, found a number");
    assert_eq!(boolean_of(&raw(r#""maybe""#)).unwrap_err(), "expected yes or no, found text");
    assert_eq!(boolean_of(&raw("[]")).unwrap_err(), "expected yes or no, found an array");
}

#[test]
fn integers_come_as_numbers_or_text() {
    for (json, wanted) in [
        ("5", Some(5)),
        (r#"" 5 ""#, Some(5)),
        ("5.0", Some(5)),
        ("1e3", Some(1000)),
        (r#""-7""#, Some(-7)),
        ("9223372036854775807", Some(i64::MAX)),
        ("null", None),
        ("false", None),
        (r#""""#, None),
    ] {
        assert_eq!(integer_of(&raw(json)), Ok(wanted), "{json}");
    }
    for json in ["9223372036854775808", "1.5", "1e300", r#""x""#, r#""NaN""#, r#""inf""#, "true", "[]", "{}"] {
        assert!(integer_of(&raw(json)).unwrap_err().starts_with("expected an integer, found "), "{json}");
    }
}

#[test]
fn a_record_is_read_whatever_shape_its_empty_fields_have() {
    let json = r#"{"id":12345678901234567890123,"body":null,"read":"1","total":"42","rows":[{"a":1e0},null],
        "tags":{"0":"x","2":"y"},"child":{"name":"n"},"more":1}"#;
    let wire: Wire<'_> = decode(json).unwrap();
    assert_eq!(wire.id.as_deref(), Some("12345678901234567890123"));
    assert_eq!((wire.body.as_str(), wire.read, wire.total), ("", true, Some(42)));
    assert_eq!(wire.rows.iter().map(|row| row.get()).collect::<Vec<_>>(), [r#"{"a":1e0}"#, "null"]);
    assert_eq!(wire.tags, ["x", "y"]);
    assert_eq!(wire.child, Some(Child { name: "n".to_owned() }));
    for empty in ["[]", "[ ]", "{}", "{ }", "null", "false", r#""""#] {
        let json = format!(r#"{{"tags":{empty},"rows":{empty},"child":{empty}}}"#);
        let wire: Wire<'_> = decode(&json).unwrap();
        assert!(wire.tags.is_empty() && wire.rows.is_empty() && wire.child.is_none(), "{empty}");
    }
    let wire: Wire<'_> = decode("{}").unwrap();
    assert!(wire.id.is_none());
}

#[test]
fn rejects_tell_the_place_and_never_the_value() {
    for (json, path, reason) in [
        (r#"{"id":{"private":1}}"#, "$.id", "expected text, found an object"),
        (r#"{"total":"private"}"#, "$.total", "expected an integer, found text"),
        (r#"{"tags":["a",7]}"#, "$.tags[1]", "expected a string, found a number"),
        (r#"{"tags":{"0":"a","private@example.test":"b","c":1}}"#, "$.tags", "expected a list, found an object"),
        (r#"{"tags":"private"}"#, "$.tags", "expected a list, found text"),
        (r#"{"tags":true}"#, "$.tags", "expected a list, found a boolean"),
        (r#"{"tags":7}"#, "$.tags", "expected a list, found a number"),
        (r#"{"children":[{"name":"a"},{"name":"b"},{}]}"#, "$.children[2]", "missing field `name`"),
        (
            r#"{"children":[{"name":["private, expected "]}]}"#,
            "$.children[0].name",
            "expected a string, found an array",
        ),
        (r#"{"children":"private, expected x"}"#, "$.children", "expected a sequence, found text"),
        (
            r#"{"child":{"name":1}}"#,
            "$.child",
            "expected an object as documented, but at name: expected a string, found a number",
        ),
        (r#"{"child":"private"}"#, "$.child", "expected an object, found text"),
        ("7", "$", "expected struct Wire, found a number"),
        ("{} x", "$", "not valid JSON: trailing characters"),
        (r#"{"id":"a""#, "$", "not valid JSON: EOF while parsing an object"),
    ] {
        let reject = decode::<Wire<'_>>(json).unwrap_err();
        assert_eq!((reject.path.as_str(), reject.reason.as_str()), (path, reason), "{json}");
    }
}

#[test]
fn foreign_error_texts_and_names_are_not_repeated() {
    #[derive(Debug, Deserialize)]
    enum Word {
        #[serde(rename = "a")]
        _A,
    }
    fn loud<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
        Err(serde::de::Error::custom(format!("bad {}", String::deserialize(d)?)))
    }
    #[derive(Debug, Deserialize)]
    struct Loud {
        #[serde(rename = "x", deserialize_with = "loud")]
        _x: String,
    }
    assert_eq!(decode::<Word>(r#""private""#).unwrap_err().reason, "unknown variant");
    assert_eq!(decode::<Loud>(r#"{"x":"private"}"#).unwrap_err().reason, "not of the documented shape");
    type ByName = std::collections::BTreeMap<String, i64>;
    assert_eq!(decode::<ByName>(r#"{"ana@example.test":"x"}"#).unwrap_err().path, "$.*");
}

#[test]
fn lists_are_split_without_reading() {
    let json = raw(r#"[{"a":"\ud83d"},[[1]],2]"#);
    assert_eq!(
        records(&json).unwrap().iter().map(|r| r.get()).collect::<Vec<_>>(),
        [r#"{"a":"\ud83d"}"#, "[[1]]", "2"]
    );
    assert_eq!(records(&raw("false")).unwrap().len(), 0);
    assert_eq!(records(&raw(r#"{"0":1,"1":2}"#)).unwrap().len(), 2);
    assert_eq!(records(&raw("3")).unwrap_err().to_string(), "$: expected a list, found a number");
    let deep = raw(&format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000)));
    assert_eq!(records(&deep).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn any_text_survives_json(text in "\\PC{0,30}|[\"\\\\a/\\n]{0,10}") {
        let json = raw(&serde_json::to_string(&text).unwrap());
        prop_assert_eq!(text_of(&json).unwrap().unwrap_or_default(), text);
    }

    #[test]
    fn any_escapes_give_some_text(json in r#""(\\u(d83d|de00|0041|dfff)|\\\\|\\"|a|é|u){0,12}""#) {
        let text = text_of(&raw(&json)).unwrap();
        prop_assert_eq!(text.is_none(), json == "\"\"");
    }

    #[test]
    fn nothing_panics(json in "[\\[\\]{}:,\"a0-9.e tfn-]{0,30}") {
        drop(decode::<Wire<'_>>(&json));
    }
}
