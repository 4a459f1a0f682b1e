//! What chatbots and threads come to.

use proptest::prelude::*;

use super::super::testing::{any_json, record};
use super::*;

fn conversation_of(rows: Vec<Row>) -> ConversationRow {
    rows.into_iter()
        .find_map(|row| match row {
            Row::Conversation(row) => Some(row),
            _ => None,
        })
        .unwrap()
}

fn listed(json: &str) -> ConversationRow {
    conversation_of(rows(super::super::THREADS, &record(Some("399"), 0, json)).unwrap())
}

fn set(text: &str) -> Patch<String> {
    Patch::Set(text.to_owned())
}

#[test]
fn a_chatbot_is_a_channel() {
    let read = |json: &str| rows("chatbots", &record(None, 0, json));
    let channel =
        |name| Row::Channel(ChannelRow { external_id: "399".to_owned(), kind: Patch::Set(ChannelKind::Widget), name });
    assert_eq!(read(r#"{"id":"399","title":"Shop"}"#).unwrap(), [channel(set("Shop"))]);
    assert_eq!(read(r#"{"id":399,"title":null}"#).unwrap(), [channel(Patch::Keep)]);
    assert_eq!(read(r#"{"title":"Shop"}"#).unwrap_err().path, "$.id");
    assert!(read(r#"{"id":"3/9"}"#).is_err());
}

#[test]
fn a_list_row_says_what_it_knows_and_keeps_the_rest() {
    let bare = listed(r#"{"threadId":"t/1"}"#);
    let wanted = ConversationRow {
        external_id: "399/t/1".to_owned(),
        channel: set("399"),
        deleted_at_ms: Patch::Clear,
        fingerprint: bare.fingerprint,
        ..Default::default()
    };
    assert_eq!(bare, wanted);
    assert!(bare.fingerprint.is_some());

    let full = listed(
        r#"{"threadId":"t","resolved":true,"escalated":true,"title":"Prices","pageUrl":"https://www.example.test/",
            "startedAt":"2025-02-03T10:11:12.123456Z","updatedAt":"2025-02-03T10:11:12.123456Z","totalMessages":5,
            "lastMessage":{"messageId":"1","question":{"timestamp":"2025-04-03T10:11:12Z"},
                           "answer":{"timestamp":"2025-04-03T10:11:11Z"}}}"#,
    );
    assert_eq!(full.status, Patch::Set(ConversationStatus::Closed));
    assert_eq!(full.escalated, Patch::Set(true));
    assert_eq!((full.title, full.page_url), (set("Prices"), set("https://www.example.test/")));
    assert_eq!(full.started_at_ms, Patch::Set(1_738_577_472_123));
    assert_eq!(full.last_message_at_ms, Patch::Set(1_743_675_072_000), "the later side");
    assert_eq!(full.reported_messages, Patch::Set(5));
    assert_eq!(full.version, None, "updatedAt does not move with every message");

    let odd = listed(
        r#"{"threadId":"t","resolved":false,"title":null,"startedAt":"soon","totalMessages":"many","lastMessage":null}"#,
    );
    assert_eq!(odd.status, Patch::Set(ConversationStatus::Open));
    assert_eq!((odd.title, odd.started_at_ms, odd.reported_messages), (Patch::Clear, Patch::Keep, Patch::Keep));
    assert_eq!(odd.last_message_at_ms, Patch::Keep);
}

#[test]
fn a_fetched_head_has_no_say_about_change() {
    let json = r#"{"threadId":"t","totalMessages":5,"escalated":false,"lastMessage":{"answer":{"timestamp":"2025-04-03T10:11:11Z"}}}"#;
    let head = conversation_of(rows("thread", &record(Some("399"), 0, json)).unwrap());
    assert_eq!((head.fingerprint, head.reported_messages, head.last_message_at_ms), (None, Patch::Keep, Patch::Keep));
    assert_eq!((head.escalated, head.status), (Patch::Set(false), Patch::Keep));
    // Its answer may not repeat the id: what was asked for is known.
    let mut nameless = record(Some("399"), 0, "{}");
    nameless.id = Some("399/t".to_owned());
    assert_eq!(conversation_of(rows("thread", &nameless).unwrap()).external_id, "399/t");
}

#[test]
fn the_contact_is_set_cleared_or_left_alone() {
    for (users, wanted) in [
        (r#""chatUser":{"id":"71"}"#, set("399/71")),
        (r#""chatUser":{"id":71},"chatUserId":null"#, set("399/71")),
        (r#""chatUser":{"name":"Ana"},"chatUserId":"71""#, set("399/71")),
        (r#""chatUser":null,"chatUserId":"71""#, set("399/71")),
        (r#""chatUserId":"71""#, set("399/71")),
        (r#""chatUser":null,"chatUserId":null"#, Patch::Clear),
        (r#""chatUser":null"#, Patch::Keep),
        (r#""chatUserId":null"#, Patch::Keep),
        (r#""chatUser":{"name":"Ana"}"#, Patch::Keep),
        (r#""chatUser":"odd""#, Patch::Keep),
        (r#""a":1"#, Patch::Keep),
    ] {
        assert_eq!(listed(&format!(r#"{{"threadId":"t",{users}}}"#)).contact, wanted, "{users}");
    }
}

#[test]
fn the_visitor_is_described_as_far_as_the_record_goes() {
    let described = |user: &str| {
        let json = format!(r#"{{"threadId":"t","chatUser":{user}}}"#);
        let rows = rows("threads", &record(Some("399"), 0, &json)).unwrap();
        rows.into_iter().find(|row| matches!(row, Row::Participant(_) | Row::Contact(_)))
    };
    let ana = ParticipantRow {
        external_id: "399/71".to_owned(),
        kind: Patch::Set(ParticipantKind::Contact),
        name: set("Ana"),
        email: set("ana@example.test"),
        phone: set("+1 202 555 0100"),
        provider_user_id: Patch::Keep,
    };
    for phone in ["phone", "phoneNumber"] {
        let user = format!(r#"{{"id":"71","name":"Ana","email":" ana@example.test","{phone}":"+1 202 555 0100 "}}"#);
        assert_eq!(described(&user), Some(Row::Participant(ana.clone())));
    }
    let bare = ParticipantRow { name: Patch::Keep, email: Patch::Keep, phone: Patch::Keep, ..ana };
    assert_eq!(described(r#"{"id":"71","name":null,"email":""}"#), Some(Row::Participant(bare)));
    assert!(matches!(described(r#"{"name":"Ana"}"#), Some(Row::Contact(hint)) if hint.conversation == "399/t"));
    assert_eq!(described("{}"), None);
}

#[test]
fn the_fingerprint_moves_with_content_and_with_nothing_else() {
    let row = |more: &str| {
        let json = format!(r#"{{"threadId":"t","totalMessages":5,"updatedAt":"2025-02-03T10:11:12Z"{more}}}"#);
        listed(&json).fingerprint
    };
    let still = row("");
    for unread in [r#","totalMessagesRead":3"#, r#","unreadMessages":1"#, r#","title":"x""#, r#","lastMessage":null"#] {
        assert_eq!(row(unread), still, "{unread}");
    }
    let mut seen = vec![still];
    for change in [
        r#","totalPositiveMessages":1"#,
        r#","totalNegativeMessages":1"#,
        r#","totalGpt4MessagesCount":1"#,
        r#","escalated":true"#,
        r#","important":true"#,
        r#","resolved":true"#,
        r#","mode":"AGENT""#,
        r#","endedAt":"2025-02-03T10:11:12Z""#,
        r#","lastMessage":{"messageId":"2"}"#,
        r#","lastMessage":{"messageType":"AGENT_MESSAGE"}"#,
        r#","lastMessage":{"reaction":"POSITIVE"}"#,
        r#","lastMessage":{"question":{"text":"x"}}"#,
        r#","lastMessage":{"question":{"timestamp":"x"}}"#,
        r#","lastMessage":{"answer":{"text":"x"}}"#,
        r#","lastMessage":{"answer":{"timestamp":"x"}}"#,
        r#","chatUser":{"id":"1"}"#,
        r#","chatUser":{"name":"1"}"#,
        r#","chatUser":{"email":"1"}"#,
        r#","chatUser":{"phone":"1"}"#,
    ] {
        let moved = row(change);
        assert!(!seen.contains(&moved), "{change}");
        seen.push(moved);
    }
    assert_eq!(row(r#","lastMessage":{"answer":"x"}"#), row(r#","lastMessage":{"answer":{"text":"x"}}"#));
}

#[test]
fn a_thread_without_an_id_or_a_home_is_rejected() {
    assert_eq!(rows("threads", &record(Some("399"), 0, r#"{"threadId":null}"#)).unwrap_err().path, "$.threadId");
    assert_eq!(rows("threads", &record(None, 0, r#"{"threadId":"t"}"#)).unwrap_err().path, "$.chatbotId");
    assert_eq!(rows("threads", &record(Some("399"), 0, "7")).unwrap_err().path, "$");
    assert!(rows("threads", &record(None, 0, r#"{"threadId":"t","chatbotId":"399"}"#)).is_ok());
    assert!(rows("leads", &record(None, 0, "{}")).is_err());
}

proptest! {
    #[test]
    fn any_json_is_normalised_or_rejected(json in any_json()) {
        for stream in ["chatbots", "threads", "thread", "messages"] {
            drop(rows(stream, &record(Some("399"), 0, &json)));
            drop(rows(stream, &record(None, 0, &json)));
        }
    }
}
