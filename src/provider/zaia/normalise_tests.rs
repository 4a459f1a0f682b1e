use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::model::{MessageKind, Stage};
use crate::provider::zaia::wire;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/zaia/", $name))
    };
}

/// Every row of every record of an answer.
fn rows(stream: &str, body: &[u8]) -> Vec<Row> {
    let records = wire::read_list(body).unwrap();
    records.into_iter().flat_map(|json| normalise(stream, &record(json)).unwrap()).collect()
}

fn record(json: Box<RawValue>) -> RawRecord {
    wire::record(Some("r1".to_owned()), None, json)
}

fn one(stream: &str, json: &str) -> Result<Vec<Row>, Reject> {
    normalise(stream, &record(RawValue::from_string(json.to_owned()).unwrap()))
}

fn conversations(rows: &[Row]) -> Vec<&ConversationRow> {
    rows.iter().filter_map(|row| if let Row::Conversation(row) = row { Some(row) } else { None }).collect()
}

fn participants(rows: &[Row]) -> Vec<&ParticipantRow> {
    rows.iter().filter_map(|row| if let Row::Participant(row) = row { Some(row) } else { None }).collect()
}

fn contacts(rows: &[Row]) -> Vec<&ContactHint> {
    rows.iter().filter_map(|row| if let Row::Contact(row) = row { Some(row) } else { None }).collect()
}

fn set(text: &str) -> Patch<String> {
    Patch::Set(text.to_owned())
}

#[test]
fn a_chat_becomes_a_conversation_whose_owner_is_the_contact() {
    let rows = rows("chats", fixture!("chats.json"));
    let chats = conversations(&rows);
    let [open, bare, removed] = chats[..] else { panic!("three chats") };

    assert_eq!(open.external_id, "0b5e0000-0000-4000-8000-000000000001");
    assert_eq!(open.channel, set("c3000000-0000-4000-8000-000000000001"));
    assert_eq!(open.contact, set("5c1d0000-0000-4000-8000-000000000001"));
    assert_eq!(open.title, set("Where is my order?"));
    assert_eq!(open.last_message_at_ms, Patch::Set(1_767_348_300_123));
    assert_eq!(open.version, Some(1_767_348_301_000));
    assert_eq!(open.deleted_at_ms, Patch::Clear);
    assert_eq!((&open.escalated, &open.status, &open.agents), (&Patch::Keep, &Patch::Keep, &Patch::Keep));

    assert_eq!((&bare.channel, &bare.title, &bare.last_message_at_ms), (&Patch::Clear, &Patch::Clear, &Patch::Clear));
    assert!(bare.fingerprint.is_some(), "a chat without messages is fetched as well");

    assert_eq!(removed.deleted_at_ms, Patch::Set(1_767_434_400_000), "removed when it was last changed");

    let bots: Vec<_> = participants(&rows).into_iter().map(|row| (row.external_id.as_str(), &row.kind)).collect();
    assert!(bots.iter().all(|(id, kind)| id.starts_with("91fe") && **kind == Patch::Set(AuthorKind::Bot)));
    assert_eq!(bots.len(), 3, "the responders, and neither owner nor currentResponderId");
}

#[test]
fn a_fingerprint_follows_what_a_list_row_can_tell() {
    let print = |json: &str| conversations(&one("chats", json).unwrap())[0].fingerprint;
    let before = print(r#"{"id":"c","updatedAt":"2026-01-02T10:00:00Z","isRemoved":false,"title":"a"}"#);
    for after in [
        r#"{"id":"c","updatedAt":"2026-01-02T10:00:01Z","isRemoved":false,"title":"a"}"#,
        r#"{"id":"c","updatedAt":"2026-01-02T10:00:00Z","isRemoved":true,"title":"a"}"#,
        r#"{"id":"c","updatedAt":"2026-01-02T10:00:00Z","isRemoved":false,"title":"b"}"#,
        r#"{"id":"c","updatedAt":"2026-01-02T10:00:00Z","isRemoved":false,"title":"a","lastChatMessageCreatedAt":"2026-01-02T10:00:00Z"}"#,
    ] {
        assert_ne!(print(after), before, "{after}");
    }
    assert_eq!(print(r#"{"id":"c","title":"a","isRemoved":false,"updatedAt":"2026-01-02T10:00:00Z","new":1}"#), before);
}

#[test]
fn details_join_by_chat_id_alone_and_bring_contact_and_ticket() {
    let rows = rows("details", fixture!("details.json"));
    let chats = conversations(&rows);
    let hints = contacts(&rows);
    assert_eq!(
        chats.iter().map(|chat| &chat.escalated).collect::<Vec<_>>(),
        [&Patch::Set(true), &Patch::Set(false), &Patch::Keep]
    );
    assert!(chats.iter().all(|chat| chat.fingerprint.is_none() && chat.version.is_none()));
    assert!(chats.iter().all(|chat| chat.contact == Patch::Keep), "its ownerId is an id of another kind");
    assert!(participants(&rows).is_empty());

    assert_eq!((hints[0].name.as_deref(), hints[0].phone.as_deref()), (Some("Ana Example"), Some("5500000000000")));
    assert_eq!(hints[1].email.as_deref(), Some("bo@example.test"));
    assert_eq!((&hints[2].email, &hints[2].phone), (&None, &None), "an account number is no phone number");

    let Row::Channel(channel) = &rows[0] else { panic!("the channel comes before what refers to it") };
    assert_eq!((&channel.kind, &channel.name), (&Patch::Set(ChannelKind::Whatsapp), &set("Front desk")));
}

#[test]
fn a_channel_s_type_is_found_wherever_it_stands() {
    let kinds: Vec<_> = rows("channels", fixture!("channels.json"))
        .into_iter()
        .map(|row| if let Row::Channel(row) = row { row.kind } else { panic!("a channel") })
        .collect();
    let known = [ChannelKind::Widget, ChannelKind::Whatsapp, ChannelKind::Instagram, ChannelKind::Api];
    assert_eq!(kinds[..4], known.map(Patch::Set));
    assert_eq!(kinds[4..], [Patch::Set(ChannelKind::Other), Patch::Keep]);
}

#[test]
fn responders_are_bots_under_their_super_identity() {
    let rows = rows("responders", fixture!("responders.json"));
    let told: Vec<_> =
        participants(&rows).into_iter().map(|row| (row.external_id.as_str(), row.name.clone())).collect();
    assert_eq!(
        told,
        [
            ("91fe0000-0000-4000-8000-000000000001", set("Concierge")),
            ("91fe0000-0000-4000-8000-000000000002", set("Night squad")),
        ]
    );
    assert_eq!(one("responders", r#"{"name":"x"}"#).unwrap_err().stage, Stage::Normalise);
}

#[test]
fn external_users_are_contacts_under_their_super_identity() {
    let rows = rows("external_users", fixture!("external_users.json"));
    let users = participants(&rows);
    assert_eq!(users[0].external_id, "5c1d0000-0000-4000-8000-000000000001");
    assert_eq!((&users[0].phone, &users[0].email), (&set("5500000000000"), &Patch::Keep));
    assert_eq!(users[0].provider_user_id, set("e7000000-0000-4000-8000-000000000001"));
    assert_eq!((&users[1].email, &users[1].name), (&set("bo@example.test"), &set("Bo Example")));
    assert_eq!((&users[2].email, &users[2].phone, &users[2].name), (&Patch::Keep, &Patch::Keep, &Patch::Keep));
    let reject = one("external_users", r#"{"id":"e9","identifier":"x"}"#).unwrap_err();
    assert_eq!(reject.stage, Stage::Decode, "without a super identity it is nobody's: {reject}");
}

#[test]
fn whatsapp_addresses_are_no_e_mail() {
    let of = |text| Address::of(text, None);
    let phone = |text: &str| Address { email: None, phone: Some(text.to_owned()) };
    assert_eq!(of("5500000000000@c.us"), phone("5500000000000"));
    assert_eq!(of("5500000000000:12@s.whatsapp.net"), phone("5500000000000"));
    assert_eq!(of("120000000000000000@g.us"), Address::default());
    assert_eq!(of("123456789012345@lid"), Address::default());
    assert_eq!(of("178414000000001"), Address::default(), "fifteen bare digits of an unknown channel");
    assert_eq!(Address::of("178414000000001", Some(ChannelKind::Whatsapp)), phone("178414000000001"));
    assert_eq!(Address::of("17841400000", Some(ChannelKind::Instagram)), Address::default());
}

#[test]
fn messages_say_who_wrote_them_only_where_the_role_does() {
    let rows = rows("messages", fixture!("messages.json"));
    let messages: Vec<_> =
        rows.iter().map(|row| if let Row::Message(row) = row { row } else { panic!("a message") }).collect();
    let kinds: Vec<_> = messages.iter().map(|message| message.author_kind).collect();
    assert_eq!(kinds, [Some(AuthorKind::Contact), Some(AuthorKind::Bot), None, None]);
    assert!(messages.iter().all(|message| message.kind == MessageKind::Text && message.body_html.is_none()));

    assert_eq!(messages[0].body_text, "  Where is <b>it</b>?\r\n", "verbatim");
    assert_eq!(messages[0].conversation, "0b5e0000-0000-4000-8000-000000000001");
    assert_eq!(messages[0].author.as_deref(), Some("5c1d0000-0000-4000-8000-000000000001"));
    assert_eq!(messages[0].version, Some(1_767_348_000_000));
    assert_eq!(messages[1].body_text, "On its way \u{fffd}", "half an emoji costs one character, not the message");
    assert_eq!(messages[2].thread.as_deref(), Some("7d000000-0000-4000-8000-000000000001"));
    assert_eq!((messages[3].body_text.as_str(), messages[3].author.as_deref()), ("", None));
    assert_eq!(messages[3].attachments.len(), 1);
}

#[test]
fn a_message_belongs_to_the_chat_it_was_fetched_for_and_says_so() {
    let json = RawValue::from_string(r#"{"id":"m","content":"x"}"#.to_owned()).unwrap();
    let mut raw = record(json);
    assert_eq!(normalise("messages", &raw).unwrap_err().path, "$.chatId");
    raw.parent = Some("c1".to_owned());
    raw.seq = 4;
    let rows = normalise("messages", &raw).unwrap();
    let Row::Message(message) = &rows[0] else { panic!("a message") };
    assert_eq!((message.conversation.as_str(), message.seq, message.sent_at_ms), ("c1", 4, None));
}

#[test]
fn a_sender_record_is_the_participant_it_was_asked_for() {
    let rows =
        one("senders", r#"{"id":"inner","entity":"users","name":"Cy Example","email":"cy@example.test"}"#).unwrap();
    let agent = participants(&rows)[0];
    assert_eq!((agent.external_id.as_str(), &agent.kind), ("r1", &Patch::Set(AuthorKind::Agent)));
    assert_eq!((&agent.name, &agent.email), (&set("Cy Example"), &set("cy@example.test")));
}

#[test]
fn what_is_not_as_documented_is_rejected_with_its_place() {
    assert_eq!(one("chats", r#"{"id":"c","title":{}}"#).unwrap_err().path, "$.title");
    assert_eq!(one("chats", "null").unwrap_err().stage, Stage::Decode);
    assert!(one("elsewhere", "{}").is_err());
}

const STREAMS: [&str; 7] = ["chats", "details", "channels", "responders", "external_users", "messages", "senders"];

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        Just("2026-01-02T10:00:00.000Z".into()),
        Just("5500000000000@c.us".into()),
    ];
    let name = prop_oneof![
        Just("id"),
        Just("createdAt"),
        Just("updatedAt"),
        Just("lastChatMessageCreatedAt"),
        Just("isRemoved"),
        Just("ownerIdentifier"),
        Just("ticketId"),
        Just("channelType"),
        Just("detail"),
        Just("type"),
        Just("superIdentityId"),
        Just("identifier"),
        Just("content"),
        Just("role"),
        Just("media"),
        Just("url"),
        Just("chatId"),
        Just("name"),
        Just("other"),
    ];
    leaf.prop_recursive(3, 32, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..10)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn a_message_whose_time_or_words_cannot_be_read_is_put_aside_and_one_without_them_is_kept() {
    let message = |fields: &str| one("messages", &format!(r#"{{"id":"m","chatId":"c",{fields}}}"#));
    for (fields, stage, path) in [
        (r#""createdAt":"yesterday""#, Stage::Normalise, "$.createdAt"),
        (r#""createdAt":true"#, Stage::Normalise, "$.createdAt"),
        (r#""createdAt":"1842-01-01T00:00:00Z""#, Stage::Normalise, "$.createdAt"),
        (r#""createdAt":{}"#, Stage::Decode, "$.createdAt"),
        (r#""createdAt":[]"#, Stage::Decode, "$.createdAt"),
        (r#""content":{"text":"hi"}"#, Stage::Decode, "$.content"),
        (r#""content":["hi"]"#, Stage::Decode, "$.content"),
    ] {
        let reject = message(fields).unwrap_err();
        assert_eq!((reject.stage, reject.path.as_str()), (stage, path), "{fields}");
    }
    for fields in [
        r#""content":"hi""#,
        r#""createdAt":null,"content":"hi""#,
        r#""createdAt":"","content":"hi""#,
        r#""createdAt":"2026-01-02T10:00:00Z","updatedAt":"yesterday","content":"hi""#,
    ] {
        let rows = message(fields).unwrap();
        let Row::Message(row) = &rows[0] else { panic!("a message") };
        assert_eq!(row.body_text, "hi");
        assert_eq!(
            row.sent_at_ms,
            wire::millis("2026-01-02T10:00:00Z").filter(|_| fields.contains("2026")),
            "{fields}"
        );
    }
    let rows = message(r#""content":null"#).unwrap();
    assert!(matches!(&rows[0], Row::Message(row) if row.body_text.is_empty()));
}

proptest! {
    #[test]
    fn no_json_makes_normalise_panic(value in json(), stream in prop::sample::select(&STREAMS[..])) {
        let raw = record(RawValue::from_string(value.to_string()).unwrap());
        let first = normalise(stream, &raw);
        prop_assert_eq!(first, normalise(stream, &raw), "and it is the same every time");
    }

    #[test]
    fn no_body_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:a-z0-9\\\\]{0,40}") {
        for body in [body.as_slice(), text.as_bytes()] {
            for json in wire::read_list(body).unwrap_or_default() {
                let _ = wire::Peek::of(&json);
            }
            prop_assert!(wire::read_item(body).is_ok() || wire::read_item(body).is_err());
        }
    }
}
