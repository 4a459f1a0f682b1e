//! Whatever is typed is a query, and none of them is an error of the index.

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;

fn words(typed: &str) -> Vec<(String, bool)> {
    Query::parse(typed).terms.into_iter().map(|term| (term.text, term.prefix)).collect()
}

fn plain(words: &[&str]) -> Vec<(String, bool)> {
    words.iter().map(|word| ((*word).to_owned(), false)).collect()
}

#[test]
fn words_phrases_and_beginnings() {
    assert_eq!(words("  two words "), plain(&["two", "words"]));
    assert_eq!(words("\"a phrase\" word"), plain(&["a phrase", "word"]));
    assert_eq!(words("ref* \"my mon\"*"), [("ref".to_owned(), true), ("my mon".to_owned(), true)]);
    assert_eq!(Query::parse("ref* \"my mon\"* x").expression().unwrap(), "\"ref\"* \"my mon\"* \"x\"");
    assert_eq!(Query::parse("東京 o\"k").expression().unwrap(), "\"東\u{200b}京\" \"o\" \"k\"");
}

#[test]
fn operators_narrow_down() {
    let query = Query::parse("from:\"Ada Quill\" From:bot source:agents channel:whatsapp has:NEGATIVE money");
    assert_eq!(query.from, ["Ada Quill", "bot"]);
    assert_eq!((query.source, query.channel), (vec!["agents".to_owned()], vec!["whatsapp".to_owned()]));
    assert!(query.negative && query.notes.is_empty());
    assert_eq!(query.terms, [Term { text: "money".to_owned(), prefix: false }]);
    let days = Query::parse("after:2026-03-01 before:2026-03-02 before:2026-04-01");
    assert_eq!((days.after_ms, days.before_ms), (Some(1_772_323_200_000), Some(1_772_409_600_000)));
    assert_eq!((days.expression(), days.is_empty()), (None, false));
}

#[test]
fn what_is_no_operator_is_words() {
    assert_eq!(words("from: colour:red :x"), plain(&["from:", "colour:red", ":x"]));
    let query = Query::parse("after:yesterday has:wings before:2026-02-30");
    assert_eq!(query.terms.len(), 3);
    assert_eq!(query.notes.len(), 3, "{:?}", query.notes);
    assert_eq!((query.after_ms, query.before_ms), (None, None));
    assert_eq!(words("\"never closed phrase"), plain(&["never", "closed", "phrase"]));
    assert_eq!(words("say \"hi\" \"and go"), plain(&["say", "hi", "and", "go"]));
    assert_eq!(words("* \"\" \"*\" - ( 🙂"), []);
    assert!(Query::parse(" \u{3000} ").is_empty());
}

/// A table of the schema's own kind with something in it.
fn index() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    let schema = include_str!("../../migrations/0003_search.sql");
    let table = schema.split_once("CREATE VIRTUAL TABLE").unwrap().1.split_once(");\n").unwrap().0;
    let table = table.replace("content = 'search_texts',", "").replace("content_rowid = 'id',", "");
    connection.execute_batch(&format!("CREATE VIRTUAL TABLE {table});")).unwrap();
    connection
        .execute("INSERT INTO message_search (body_text) VALUES (?1)", ["não sei who's 20.04 C++ multi-agent"])
        .unwrap();
    connection
}

fn found(index: &Connection, typed: &str) -> rusqlite::Result<usize> {
    let Some(expression) = Query::parse(typed).expression() else { return Ok(0) };
    let mut statement = index.prepare_cached("SELECT rowid FROM message_search WHERE message_search MATCH ?1")?;
    let rows: rusqlite::Result<Vec<i64>> = statement.query_map([expression], |row| row.get(0))?.collect();
    rows.map(|rows| rows.len())
}

#[test]
fn what_looks_like_the_language_of_the_index_is_words_too() {
    let index = index();
    for typed in ["who's", "multi-agent", "C++", "20.04", "nao", "NÃO", "na\u{303}o", "se* nao", "\"nao sei\"", "nao *"]
    {
        assert_eq!(found(&index, typed), Ok(1), "{typed}");
    }
    let long = "long ".repeat(40_000);
    for typed in [
        "\"",
        "*",
        "AND",
        "NEAR(",
        "-x",
        "col:x",
        "",
        "body_text:x",
        "a OR b",
        "NOT",
        "^x",
        "{a b}:c",
        "a + b",
        "(",
        ")",
        "\"\"\"",
        "NEAR(a b, 5)",
        "x*y",
        "**",
        "\0",
        "a\0b",
        "\u{200b}",
        "ⓐ",
        "'; DROP TABLE messages; --",
        &long,
    ] {
        assert_eq!(found(&index, typed), Ok(0), "{typed:.40}");
    }
}

proptest! {
    #[test]
    fn no_query_is_an_error(typed in prop_oneof![any::<String>(), "[\"*:() a-c\\-^+{}'\0東ก]{0,40}", "((from|has|after|AND|NEAR|x)[:(\" *]){0,12}"]) {
        let index = index();
        prop_assert!(found(&index, &typed).is_ok(), "{:?}", Query::parse(&typed).expression());
    }

    #[test]
    fn a_word_finds_the_text_that_has_it(text in "[a-zà-öø-ý東京ก-ฮ]{1,12}", around in "[a-z ]{0,10}") {
        let index = index();
        let stored = crate::normalise::search_form(&format!("{around} {text} {around}")).into_owned();
        index.execute("INSERT INTO message_search (rowid, body_text) VALUES (7, ?1)", [stored]).unwrap();
        let quoted = format!("\"{text}\"");
        prop_assert!(found(&index, &quoted).unwrap() >= 1, "{text}");
    }
}
