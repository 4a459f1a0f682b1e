use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::super::{stream, users, wire};
use super::{message, thread};
use crate::model::{ConversationRow, ConversationStatus, MessageRow, Patch, RawRecord, Reject, Row, Stage};

const THREADS: &str = include_str!("../../../tests/fixtures/brilliant_directories/threads.json");
const MESSAGES: &str = include_str!("../../../tests/fixtures/brilliant_directories/messages.json");
const REJECTED: &str = include_str!("../../../tests/fixtures/brilliant_directories/messages_rejected.json");

const OWNER: &str = "0986d338d31285f7578138137f8a7c87";
const RESPONDER: &str = "eed4fb943e7170dffe8ed9d96650140a";

fn zone() -> TimeZone {
    TimeZone::get("America/New_York").unwrap()
}

fn records(stream: &str, body: &str) -> Vec<RawRecord> {
    let list = stream::list(stream).unwrap();
    let rows = wire::read(body.as_bytes()).unwrap().rows;
    rows.into_iter().map(|row| stream::record(list, row, Some(&zone()), None)).collect()
}

fn threads() -> Vec<Result<Vec<Row>, Reject>> {
    records(stream::THREAD_IDS, THREADS).iter().map(|raw| thread(raw, &zone())).collect()
}

fn conversation(rows: &[Row]) -> &ConversationRow {
    rows.iter().find_map(|row| if let Row::Conversation(row) = row { Some(row) } else { None }).unwrap()
}

fn messages(body: &str) -> Vec<Result<MessageRow, Reject>> {
    let one = |raw| match message(raw, &zone())?.pop() {
        Some(Row::Message(row)) => Ok(row),
        other => panic!("{other:?}"),
    };
    records(stream::MESSAGES, body).iter().map(one).collect()
}

#[test]
fn a_thread_becomes_a_conversation_with_its_people() {
    let threads = threads();
    let rows = threads[0].as_ref().unwrap();
    assert!(matches!(&rows[0], Row::Channel(channel) if channel.external_id == "live_chat"));
    assert_eq!(
        conversation(rows),
        &ConversationRow {
            external_id: "395878c8a5f3ae1802c359ec7ac85619".to_owned(),
            channel: Patch::Set("live_chat".to_owned()),
            contact: Patch::Set(OWNER.to_owned()),
            agents: Patch::Set(vec![RESPONDER.to_owned()]),
            status: Patch::Set(ConversationStatus::Open),
            page_url: Patch::Set("/dana-meadow/connect".to_owned()),
            // 2026-01-02 03:04:05 and 2026-01-03 04:05:06, five hours behind UTC.
            started_at_ms: Patch::Set(1_767_341_045_000),
            updated_at_ms: Patch::Set(1_767_431_106_000),
            deleted_at_ms: Patch::Clear,
            ..ConversationRow::default()
        }
    );
}

#[test]
fn a_deleted_thread_with_several_people_is_kept_as_deleted() {
    let threads = threads();
    let rows = threads[1].as_ref().unwrap();
    let row = conversation(rows);
    assert_eq!((&row.contact, &row.other_contacts), (&Patch::Set(OWNER.to_owned()), &vec!["4711".to_owned()]));
    assert_eq!(row.agents, Patch::Set(vec![RESPONDER.to_owned(), "5f1d".to_owned(), "4711".to_owned()]));
    assert_eq!(row.status, Patch::Set(ConversationStatus::Closed));
    assert_eq!(row.started_at_ms, Patch::Set(1_767_341_045_000), "an offset counts before the site's zone");
    assert_eq!(row.updated_at_ms, Patch::Set(1_767_431_106_000));
    assert_eq!(row.deleted_at_ms, Patch::Set(1_767_521_167_000));
    assert_eq!(row.page_url, Patch::Set("https://www.example.test/contact?from=a&to=b".to_owned()));
}

#[test]
fn every_empty_value_says_that_there_is_none() {
    let threads = threads();
    let rows = threads[2].as_ref().unwrap();
    let row = conversation(rows);
    assert_eq!((&row.contact, &row.agents, &row.page_url), (&Patch::Clear, &Patch::Set(Vec::new()), &Patch::Clear));
    assert_eq!((&row.started_at_ms, &row.updated_at_ms), (&Patch::Clear, &Patch::Clear));
    assert_eq!((&row.deleted_at_ms, &row.status), (&Patch::Clear, &Patch::Set(ConversationStatus::Unknown)));
}

#[test]
fn an_unreadable_deletion_is_a_deletion() {
    let threads = threads();
    let row = conversation(threads[3].as_ref().unwrap());
    assert_eq!(row.contact, Patch::Set("jo@example.test".to_owned()));
    assert_eq!(row.deleted_at_ms, row.started_at_ms, "no better time is known");
    assert!(matches!(row.deleted_at_ms, Patch::Set(_)));
}

#[test]
fn a_thread_without_a_token_is_a_dead_letter() {
    let reject = threads()[4].clone().unwrap_err();
    assert_eq!((reject.stage, reject.path.as_str()), (Stage::Normalise, "$.thread_token"));
}

#[test]
fn html_becomes_text_and_stays_html() {
    let messages = messages(MESSAGES);
    let first = messages[0].as_ref().unwrap();
    assert_eq!((first.conversation.as_str(), first.external_id.as_str()), ("395878c8a5f3ae1802c359ec7ac85619", "11"));
    assert_eq!((first.author.as_deref(), first.author_kind, first.read), (Some(OWNER), None, Some(false)));
    assert_eq!((first.body_text.as_str(), first.seq), ("Hello, how can I help you?", 11));
    assert_eq!(first.body_html.as_deref(), Some("<p>Hello, how can I help you?</p>"));
    assert_eq!(first.sent_at_ms, Some(1_783_008_000_000), "noon of a summer's day, four hours behind UTC");

    let second = messages[1].as_ref().unwrap();
    assert_eq!((second.conversation.as_str(), second.external_id.as_str()), (first.conversation.as_str(), "12"));
    assert_eq!((second.author.as_deref(), second.read), (Some(RESPONDER), Some(true)));
    assert_eq!(second.sent_at_ms, Some(1_783_008_005_000));
    assert!(second.body_text.starts_with("Tom & Ada\ncafé <3"), "{}", second.body_text);
    assert!(second.body_text.contains("[image]"), "{}", second.body_text);
    assert!(!second.body_text.contains("alert") && !second.body_text.contains("base64"), "{}", second.body_text);
    assert!(second.body_html.as_deref().unwrap().contains("<script>alert('x')</script>"), "untouched");
    let [picture] = second.attachments.as_slice() else { panic!("{:?}", second.attachments) };
    assert_eq!(picture.kind, "image");
    assert_eq!(picture.url.as_deref(), Some("https://www.example.test/photos/1.jpg"));
    assert_eq!(picture.name.as_deref(), Some("garden"));
}

#[test]
fn content_that_is_not_text_is_read_as_text_or_as_none() {
    let messages = messages(MESSAGES);
    let third = messages[2].as_ref().unwrap();
    assert_eq!((third.body_text.as_str(), third.body_html.as_deref()), ("42", Some("42")));
    assert_eq!((third.author.as_deref(), third.read, third.sent_at_ms), (None, None, None));
    let fourth = messages[3].as_ref().unwrap();
    assert_eq!((fourth.body_text.as_str(), fourth.body_html.as_deref(), fourth.sent_at_ms), ("", None, None));
    let fifth = messages[4].as_ref().unwrap();
    assert_eq!((fifth.author.as_deref(), fifth.read, fifth.body_html.as_deref()), (Some("4711"), None, None));
    assert_eq!(fifth.sent_at_ms, Some(1_793_511_000_000), "half past one happens twice that night: the earlier one");
}

#[test]
fn what_makes_no_row_says_where_and_leaves_the_others_alone() {
    let found: Vec<_> = messages(REJECTED).into_iter().map(|one| one.unwrap_err()).collect();
    let found: Vec<_> = found.iter().map(|reject| (reject.stage, reject.path.as_str())).collect();
    assert_eq!(
        found,
        [
            (Stage::Normalise, "$.message_id"),
            (Stage::Normalise, "$.message_id"),
            (Stage::Normalise, "$.thread_token"),
            (Stage::Decode, "$.message_content"),
            (Stage::Decode, "$.message_content"),
            (Stage::Normalise, "$.created_at"),
            (Stage::Normalise, "$.created_at"),
            (Stage::Decode, "$"),
        ]
    );
}

#[test]
fn a_list_is_not_taken_for_a_record() {
    let raw = stream::record(
        stream::list(stream::MESSAGES).unwrap(),
        RawValue::from_string(r#"["1","tok","1","me","hello","20260702120000"]"#.to_owned()).unwrap(),
        None,
        None,
    );
    assert_eq!(message(&raw, &zone()).unwrap_err().path, "$");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[0-9]{0,20}".prop_map(Into::into),
        "\\PC{0,12}|[<>a-z/&;,=\" ]{0,20}".prop_map(Into::into),
    ];
    let name = "thread_id|thread_token|thread_owner|thread_status|thread_responders|created_at|updated_at|deleted_at|\
                message_id|message_owner|message_content|message_status|request_uri|user_id|first_name|token|[a-z]{0,3}";
    leaf.prop_recursive(3, 40, 10, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((name, inner), 0..14)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_record_brings_a_panic(value in any_json()) {
        let json = RawValue::from_string(serde_json::to_string(&value).unwrap()).unwrap();
        for name in [stream::THREAD_IDS, stream::THREADS, stream::MESSAGES] {
            let mut raw = stream::record(stream::list(name).unwrap(), json.clone(), Some(&zone()), None);
            let _rows = (thread(&raw, &zone()).is_ok(), message(&raw, &zone()).is_ok());
            raw.parent = Some("tok".to_owned());
            let _rows = users::normalise(&raw).is_ok();
        }
    }
}
