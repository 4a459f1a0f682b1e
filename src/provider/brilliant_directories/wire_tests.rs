use proptest::prelude::*;

use super::{read, read_page};
use crate::http::Unfit;

const THREADS: &str = include_str!("../../../tests/fixtures/brilliant_directories/threads.json");
const MESSAGES: &str = include_str!("../../../tests/fixtures/brilliant_directories/messages.json");
const PHP_LIST: &str = include_str!("../../../tests/fixtures/brilliant_directories/messages_php_list.json");

#[test]
fn numbers_are_read_as_text_and_as_numbers() {
    let threads = read(THREADS.as_bytes()).unwrap();
    assert_eq!((threads.rows.len(), threads.total, threads.last(), threads.next()), (5, Some(5), Some(true), None));
    let messages = read(MESSAGES.as_bytes()).unwrap();
    assert_eq!((messages.rows.len(), messages.total, messages.last()), (5, Some(205), Some(false)));
    assert_eq!(messages.next().as_deref(), Some("MipfKjEwMA=="));
}

#[test]
fn a_token_on_the_last_page_leads_nowhere() {
    let page = read(PHP_LIST.as_bytes()).unwrap();
    assert!(page.next_page.is_some());
    assert_eq!((page.last(), page.next()), (Some(true), None));
}

#[test]
fn a_php_list_with_gaps_is_a_list_in_its_own_order() {
    let page = read(PHP_LIST.as_bytes()).unwrap();
    let ids: Vec<_> = page.rows.iter().filter_map(|row| row.get().split('"').nth(3)).collect();
    assert_eq!(ids, ["3", "5", "9"]);
}

#[test]
fn a_single_object_is_one_row_and_keeps_its_bytes() {
    let page = read(br#"{"status":"success","message":{ "thread_id" : "5" }}"#).unwrap();
    assert_eq!(page.rows.iter().map(|row| row.get()).collect::<Vec<_>>(), [r#"{ "thread_id" : "5" }"#]);
    assert_eq!((page.total, page.last(), page.next()), (None, None, None));
}

#[test]
fn every_way_of_saying_nothing_is_no_rows() {
    for empty in ["[]", "{}", "\"\"", "\" \"", "null", "false", " [ ] "] {
        for rest in [
            r#""total":0,"current_page":1,"total_pages":0,"next_page":"""#,
            r#""total":"0","current_page":0,"total_pages":"0","next_page":null"#,
            r#""total":0,"total_pages":0"#,
        ] {
            let body = format!(r#"{{"status":"success","message":{empty},{rest}}}"#);
            let page = read(body.as_bytes()).unwrap();
            assert_eq!(
                (page.rows.len(), page.total, page.last(), page.next()),
                (0, Some(0), Some(true), None),
                "{body}"
            );
        }
    }
}

#[test]
fn numbers_that_contradict_the_rows_prove_no_end() {
    let page = read(br#"{"status":"success","message":[{}],"total":0,"current_page":1,"total_pages":0}"#).unwrap();
    assert_eq!(page.last(), None);
    let page = read(br#"{"status":"success","message":[{}],"total":"many","current_page":1,"next_page":2}"#).unwrap();
    assert_eq!((page.total, page.last(), page.next()), (None, None, None), "page numbers are never built");
}

#[test]
fn a_page_without_the_rows_that_it_counts_is_broken() {
    for empty in ["[]", "{}", "null", "false", "\"\""] {
        let body = |numbers: &str| format!(r#"{{"status":"success","message":{empty},{numbers}}}"#);
        for withheld in [r#""total":"55","current_page":1,"total_pages":1"#, r#""total":55"#] {
            assert!(matches!(read_page(body(withheld).as_bytes(), false), Err(Unfit::Broken(_))), "{empty} {withheld}");
        }
        let behind = body(r#""total":"55","current_page":2,"total_pages":1"#);
        assert!(read_page(behind.as_bytes(), false).unwrap().rows.is_empty(), "a page behind the last one is empty");
    }
}

#[test]
fn rows_where_a_reason_belongs_are_not_repeated() {
    let row = r#"{"message_id":"1","thread_token":"t","message_owner":"o","message_content":"<p>secret</p>"}"#;
    for message in [format!("[{row}]"), row.to_owned()] {
        let body = format!(r#"{{"status":"error","message":{message}}}"#);
        let Err(Unfit::Refused { detail, .. }) = read(body.as_bytes()) else { panic!("not refused") };
        assert_eq!(detail, "");
    }
}

#[test]
fn refusals_inside_a_200_get_the_status_they_should_have_had() {
    for (words, wanted) in [
        (r#""Too many API requests per minute""#, 429),
        (r#""API Key does not have permission to access this endpoint""#, 403),
        (r#""Invalid API key""#, 401),
        (r#""The API Key is inactive""#, 401),
        (r#""chat_message_items not found""#, 404),
        (r#"["Unknown column", {"why": "bad order"}]"#, 400),
        (r#"{"error":"Too many API requests per minute"}"#, 429),
        ("null", 400),
        ("false", 400),
        ("[]", 400),
    ] {
        let body = format!(r#"{{"status":"error","message":{words},"total":0}}"#);
        match read(body.as_bytes()) {
            Err(Unfit::Refused { status, .. }) => assert_eq!(status, wanted, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    assert!(matches!(read(br#"{"status":"ERROR"}"#), Err(Unfit::Refused { status: 400, .. })));
    let body = br#"{"status":"success","message":"chat_message_threads not found"}"#;
    assert!(matches!(read(body), Err(Unfit::Refused { status: 404, .. })), "whatever it calls itself");
}

#[test]
fn a_long_refusal_is_cut_and_cleaned() {
    let body = format!(r#"{{"status":"error","message":"a\u001b[31m{}"}}"#, "ü".repeat(500));
    let Err(Unfit::Refused { detail, .. }) = read(body.as_bytes()) else { panic!("not refused") };
    assert_eq!(detail.chars().count(), 200);
    assert!(!detail.contains('\u{1b}'));
}

#[test]
fn what_is_not_the_envelope_is_never_an_empty_page() {
    for body in [
        "",
        "<!DOCTYPE html><title>Just a moment...</title>",
        "[]",
        "null",
        "{}",
        r#"{"status":"success"}"#,
        r#"{"message":[]}"#,
        r#"{"status":true,"message":[]}"#,
        r#"{"status":"success","message":true}"#,
        r#"{"status":"success","message":7}"#,
        r#"{"status":"success","message":"record was deleted"}"#,
        r#"{"status":"success","message":[{"message_id":"1"},{"mess"#,
        r#"{"status":"success","message":[]} trailing"#,
    ] {
        assert!(matches!(read(body.as_bytes()), Err(Unfit::Broken(_))), "{body}");
    }
}

#[test]
fn a_page_cut_anywhere_is_broken() {
    let whole = MESSAGES.trim_end();
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        let part = whole.get(..end).unwrap();
        assert!(matches!(read(part.as_bytes()), Err(Unfit::Broken(_))), "cut at {end}");
    }
}

#[test]
fn a_byte_order_mark_and_a_stray_byte_hold_up_nothing() {
    let mut body = b"\xef\xbb\xbf{\"status\":\"success\",\"message\":[{\"message_content\":\"caf".to_vec();
    body.extend_from_slice(b"\xe9\"}]}");
    assert_eq!(read(&body).unwrap().rows.len(), 1);
}

proptest! {
    #[test]
    fn reading_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _unread = read(&body).is_ok();
    }

    #[test]
    fn no_message_brings_a_panic(message in "[\\[\\]{}\":,0-9a-f nulltrue]{0,40}") {
        let body = format!(r#"{{"status":"success","message":{message},"total":{message}}}"#);
        let _unread = read(body.as_bytes()).is_ok();
    }
}
