//! What exchanges come to.

use proptest::prelude::*;

use super::super::testing::{any_json, record};
use super::*;

const AT_11_12: i64 = 1_738_577_472_123;

/// The messages that a raw message comes to, and the participants beside them.
fn split(json: &str) -> (Vec<MessageRow>, Vec<ParticipantRow>) {
    let (mut messages, mut participants) = (Vec::new(), Vec::new());
    for row in rows(&record(Some("399/t/1"), 7, json)).unwrap() {
        match row {
            Row::Message(message) => messages.push(message),
            Row::Participant(participant) => participants.push(participant),
            other => panic!("{other:?}"),
        }
    }
    (messages, participants)
}

fn said(json: &str) -> Vec<(String, AuthorKind, String)> {
    let (messages, _) = split(json);
    messages.into_iter().map(|row| (row.external_id, row.author_kind.unwrap(), row.body_text)).collect()
}

#[test]
fn an_exchange_becomes_a_question_and_an_answer() {
    let (rows, participants) = split(
        r#"{"messageId":"361628903185318481","messageType":"NORMAL_MESSAGE","systemMessageType":"PERSONA_SELECTED",
            "question":{"text":" Price?\n","timestamp":"2025-02-03T10:11:12.123456Z"},
            "answer":{"text":"*Ten* <b>","timestamp":"2025-02-03T10:11:12.123456Z"},
            "reaction":"POSITIVE","sources":["https://docs.example.test/prices"],"gptModel":"gpt-x"}"#,
    );
    let [question, answer] = &rows[..] else { panic!("{rows:?}") };
    assert!(participants.is_empty());
    assert_eq!(question.external_id, "361628903185318481:q");
    assert_eq!(question.conversation, "399/t/1");
    assert_eq!((question.author_kind, question.kind), (Some(AuthorKind::Contact), MessageKind::Text));
    assert_eq!((question.sent_at_ms, question.seq), (Some(AT_11_12), 14));
    assert_eq!((question.body_text.as_str(), question.body_html.as_deref()), (" Price?\n", None));
    assert_eq!((question.reaction, question.model.as_deref(), question.event.as_deref()), (0, None, None));
    assert!(question.citations.is_empty());

    assert_eq!(answer.external_id, "361628903185318481:a");
    assert_eq!((answer.author_kind, answer.kind), (Some(AuthorKind::Bot), MessageKind::Text));
    assert_eq!((answer.sent_at_ms, answer.seq), (Some(AT_11_12), 15));
    assert_eq!(answer.body_text, "*Ten* <b>");
    assert_eq!((answer.reaction, answer.model.as_deref(), answer.event.as_deref()), (1, Some("gpt-x"), None));
    assert_eq!(answer.citations, [Citation { url: Some("https://docs.example.test/prices".to_owned()), title: None }]);
}

#[test]
fn which_sides_are_there_decides_and_the_type_names_the_author() {
    use AuthorKind::{Agent, Bot, Contact, System};
    let q = r#""question":{"text":"Q"}"#;
    let a = r#""answer":{"text":"A"}"#;
    for (json, wanted) in [
        (
            format!(r#"{{"messageId":"1","messageType":"NORMAL_MESSAGE",{q},"answer":null}}"#),
            vec![("1:q", Contact, "Q")],
        ),
        (format!(r#"{{"messageId":"1","messageType":"NORMAL_MESSAGE",{a}}}"#), vec![("1:a", Bot, "A")]),
        (format!(r#"{{"messageId":"1","messageType":"USER_MESSAGE",{q}}}"#), vec![("1:q", Contact, "Q")]),
        (format!(r#"{{"messageId":"1","messageType":"AGENT_MESSAGE",{a}}}"#), vec![("1:a", Agent, "A")]),
        (
            format!(r#"{{"messageId":"1","messageType":"AGENT_MESSAGE",{q},{a}}}"#),
            vec![("1:q", Contact, "Q"), ("1:a", Agent, "A")],
        ),
        (format!(r#"{{"messageId":"1","messageType":"SYSTEM_MESSAGE",{q}}}"#), vec![("1:q", System, "Q")]),
        (
            format!(r#"{{"messageId":"1","messageType":"SYSTEM_MESSAGE",{q},{a}}}"#),
            vec![("1:q", System, "Q"), ("1:a", System, "A")],
        ),
        (r#"{"messageId":"1","messageType":"SYSTEM_MESSAGE"}"#.to_owned(), vec![("1:a", System, "")]),
        (r#"{"messageId":"1","messageType":"NORMAL_MESSAGE","question":null}"#.to_owned(), vec![]),
        (
            format!(r#"{{"messageId":"1","messageType":"HOLOGRAM",{q},{a}}}"#),
            vec![("1:q", Contact, "Q"), ("1:a", Bot, "A")],
        ),
        (format!(r#"{{"messageId":"1","messageType":null,{a}}}"#), vec![("1:a", Bot, "A")]),
        (
            r#"{"messageId":"1","question":{"text":null},"answer":{}}"#.to_owned(),
            vec![("1:q", Contact, ""), ("1:a", Bot, "")],
        ),
        (r#"{"id":361628903185318481,"answer":"plain"}"#.to_owned(), vec![("361628903185318481:a", Bot, "plain")]),
    ] {
        let found = said(&json);
        let found: Vec<_> = found.iter().map(|(id, kind, text)| (id.as_str(), *kind, text.as_str())).collect();
        assert_eq!(found, wanted, "{json}");
        let raw = super::super::testing::raw(&json);
        assert_eq!(halves(&Fields::of(&raw).unwrap()), i64::try_from(wanted.len().max(1)).unwrap(), "{json}");
    }
}

#[test]
fn an_event_keeps_its_name_whatever_it_is() {
    for name in ["CONVERSATION_ESCALATED", "SOMETHING_NEW"] {
        let (rows, _) = split(&format!(
            r#"{{"messageId":"1","messageType":"SYSTEM_MESSAGE","systemMessageType":"{name}","createdAt":"2025-02-03T10:11:12.123456Z"}}"#
        ));
        assert_eq!(rows[0].kind, MessageKind::Event);
        assert_eq!(rows[0].event.as_deref(), Some(name));
        assert_eq!((rows[0].body_text.as_str(), rows[0].sent_at_ms), ("", Some(AT_11_12)));
    }
}

#[test]
fn an_agent_with_a_name_is_a_participant_of_the_chatbot() {
    let (rows, participants) = split(
        r#"{"messageId":"1","messageType":"AGENT_MESSAGE","question":{"text":"Q"},"answer":{"text":"A"},
            "agentName":"Mira Holt","gptModel":"gpt-x","reaction":"NEGATIVE"}"#,
    );
    assert_eq!((rows[0].author.as_deref(), rows[1].author.as_deref()), (None, Some("399/agent:Mira Holt")));
    assert_eq!((rows[0].model.as_deref(), rows[1].model.as_deref()), (None, Some("gpt-x")), "as the provider says it");
    assert_eq!(rows[1].reaction, -1);
    let [agent] = &participants[..] else { panic!("{participants:?}") };
    assert_eq!(agent.external_id, "399/agent:Mira Holt");
    assert_eq!((&agent.kind, &agent.name), (&Patch::Set(AuthorKind::Agent), &Patch::Set("Mira Holt".to_owned())));
    let (rows, participants) = split(r#"{"messageId":"1","messageType":"AGENT_MESSAGE","answer":"A","agentName":" "}"#);
    assert_eq!((rows[0].author.as_deref(), participants.len()), (None, 0));
}

#[test]
fn a_side_without_a_time_borrows_the_nearest_one() {
    let times = |json: &str| -> Vec<_> { split(json).0.iter().map(|row| row.sent_at_ms).collect() };
    let at = r#""timestamp":"2025-02-03T10:11:12.123456Z""#;
    let later = r#""timestamp":"2025-02-03T10:11:13.123456Z""#;
    let (t, u) = (Some(AT_11_12), Some(AT_11_12 + 1000));
    assert_eq!(times(&format!(r#"{{"messageId":"1","question":{{{later}}},"answer":{{{at}}}}}"#)), [u, t]);
    assert_eq!(times(&format!(r#"{{"messageId":"1","question":{{{at}}},"answer":"A"}}"#)), [t, t]);
    assert_eq!(times(&format!(r#"{{"messageId":"1","question":"Q","answer":{{{at}}}}}"#)), [t, t]);
    let created = r#""createdAt":"2025-02-03T10:11:12.123456Z""#;
    assert_eq!(times(&format!(r#"{{"messageId":"1","question":"Q",{created}}}"#)), [t]);
    assert_eq!(times(r#"{"messageId":"1","question":"Q","answer":{"timestamp":null}}"#), [None, None]);
}

#[test]
fn sources_are_read_in_every_shape_seen() {
    let cited = |sources: &str| -> Vec<(Option<String>, Option<String>)> {
        let (rows, _) = split(&format!(r#"{{"messageId":"1","answer":"A","sources":{sources}}}"#));
        rows[0].citations.iter().map(|c| (c.url.clone(), c.title.clone())).collect()
    };
    let url = |url: &str| (Some(url.to_owned()), None);
    assert_eq!(
        cited(r#"["https://a.example.test/","https://b.example.test/"]"#),
        [url("https://a.example.test/"), url("https://b.example.test/")]
    );
    assert_eq!(
        cited(r#"[{"url":"u","title":"T"},{"link":"l","name":"N"},{"source":"s"},{"title":"only"}]"#),
        [
            (Some("u".to_owned()), Some("T".to_owned())),
            (Some("l".to_owned()), Some("N".to_owned())),
            url("s"),
            (None, Some("only".to_owned())),
        ]
    );
    assert_eq!(cited(r#""https://a.example.test/""#), [url("https://a.example.test/")]);
    for none in ["[]", "null", "{}", "7", r#"[null,7,"",{}]"#] {
        assert!(cited(none).is_empty(), "{none}");
    }
    // A question has no sources, even where no answer is there to carry them.
    let (rows, _) = split(r#"{"messageId":"1","question":"Q","sources":["u"],"reaction":"POSITIVE"}"#);
    assert!(rows[0].citations.is_empty() && rows[0].reaction == 0);
}

#[test]
fn votes_are_three_and_unknown_ones_are_none() {
    for (vote, wanted) in
        [(r#""POSITIVE""#, 1), (r#""NEGATIVE""#, -1), (r#""NEUTRAL""#, 0), (r#""MAYBE""#, 0), ("null", 0), ("[]", 0)]
    {
        let (rows, _) = split(&format!(r#"{{"messageId":"1","answer":"A","reaction":{vote}}}"#));
        assert_eq!(rows[0].reaction, wanted, "{vote}");
    }
}

#[test]
fn a_record_that_makes_no_row_says_where() {
    for (json, stage, path) in [
        ("[]", crate::model::Stage::Decode, "$"),
        (r#"{"answer":"A"}"#, crate::model::Stage::Normalise, "$.messageId"),
        (r#"{"messageId":null,"answer":"A"}"#, crate::model::Stage::Normalise, "$.messageId"),
        (r#"{"messageId":"","answer":"A"}"#, crate::model::Stage::Normalise, "$.messageId"),
        (r#"{"messageId":{},"answer":"A"}"#, crate::model::Stage::Normalise, "$.messageId"),
        (r#"{"messageId":"1","question":7}"#, crate::model::Stage::Decode, "$.question"),
        (r#"{"messageId":"1","answer":{"text":[]}}"#, crate::model::Stage::Decode, "$.answer.text"),
        (r#"{"messageId":"1","answer":{"timestamp":"soon"}}"#, crate::model::Stage::Normalise, "$.answer.timestamp"),
    ] {
        let reject = rows(&record(Some("399/t"), 0, json)).unwrap_err();
        assert_eq!((reject.stage, reject.path.as_str()), (stage, path), "{json}");
    }
    assert!(rows(&record(None, 0, r#"{"messageId":"1","answer":"A"}"#)).is_err());
}

proptest! {
    #[test]
    fn any_json_is_split_or_rejected(json in any_json(), seq in any::<i64>()) {
        let raw = record(Some("399/t"), seq, &json);
        if let Ok(rows) = rows(&raw) {
            let messages = rows.iter().filter(|row| matches!(row, Row::Message(_))).count();
            prop_assert_eq!(i64::try_from(messages).unwrap().max(1), halves(&Fields::of(&raw.json).unwrap()));
        }
    }
}
