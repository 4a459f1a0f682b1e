//! J: bodies that are not the promised JSON, and values that are not what they should be.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fault::{Answer, Fault};
use super::proxy::Proxy;
use super::stage::{Stage, part, sync};
use super::{Row, play};
use crate::harness::{Copy, assert_same, copy_of, wanted};

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "J1",
        "a page of every list, and one conversation, cut off every time with status 200",
        "five tries, then that stream or conversation is told as not read; what came before is stored, the cursor stands there, exit 1; the next run goes on",
    ),
    Row::played("J2", "the same once, as half a document, as HTML, as an empty body", "tried again; complete"),
    Row::played(
        "J3",
        "one row of a wrong type in every list and conversation",
        "a dead letter with place and reason; the rest of its page is stored, exit 1; a full pass settles it",
    ),
    Row::played("J4", "bytes that are no UTF-8; Latin-1", "each broken byte becomes U+FFFD; nothing else is lost"),
    Row::played("J5", "half a surrogate pair, escaped", "becomes U+FFFD; nothing else is lost"),
    Row::played("J6", "a byte-order mark", "passed over"),
    Row::played(
        "J7",
        "a key twice in one row",
        "Brilliant Directories and Zaia: a dead letter; SiteGPT: the last one counts",
    ),
    Row::played(
        "J8",
        "ids as numbers above 2^53 and 2^64, missing, null, of a wrong type",
        "every digit is kept; without an id a dead letter",
    ),
    Row::played(
        "J9",
        "times as float, text, seconds, milliseconds, too large, of the years 1 and 9999, negative",
        "read exactly, or a dead letter; never a time in a wrong century",
    ),
    Row::played("J10", "a null among the rows; a null text", "the null is a dead letter, the text is empty"),
    Row::played("J11", "unknown fields everywhere", "passed over, and kept in the raw record"),
    Row::played(
        "J12",
        "an array, null, a text or HTML where the envelope belongs; the list missing or null",
        "never an empty page: five tries, then told as not read, exit 1",
    ),
    Row::played(
        "J13",
        "NaN, bytes behind the document",
        "the page is no JSON: five tries, then told as not read, exit 1",
    ),
    Row::played("J14", "U+0000 in a text", "stored whole, and shown harmless"),
    Row::played("J15", "JSON as text/plain, or without a content type", "read as what it is"),
];

/// Every list and one conversation of each provider that has them.
fn places(stage: &Stage) -> Vec<(&'static str, &Proxy, String, bool)> {
    let bot = stage.all.sitegpt.world().data.chatbots[0].id.clone();
    let thread = stage.all.sitegpt.world().data.threads[60].id.clone();
    let chat = stage.all.zaia.world().data.chats[60].id.clone();
    vec![
        ("bd", &stage.bd, "/api/v2/chat_message_threads".to_owned(), true),
        ("bd", &stage.bd, "/api/v2/chat_message_items".to_owned(), true),
        ("zaia", &stage.zaia, "/api/v1/chats?".to_owned(), true),
        ("zaia", &stage.zaia, format!("/api/v1/chat-messages?chatId={chat}"), false),
        ("v0", &stage.sitegpt, format!("/api/v0/chatbots/{bot}/threads?"), true),
        ("v0", &stage.sitegpt, format!("/api/v0/chatbots/{bot}/threads/{thread}"), false),
        ("v2", &stage.sitegpt, format!("/api/v2/chatbots/{bot}/conversations?"), true),
        ("v2", &stage.sitegpt, format!("/api/v2/chatbots/{bot}/conversations/{thread}"), false),
    ]
}

const SOURCES: [&str; 4] = ["bd", "zaia", "v0", "v2"];

pub(super) fn truth(stage: &Stage, source: &str) -> Copy {
    wanted(&match source {
        "bd" => stage.all.bd.world().data.truth(),
        "zaia" => stage.all.zaia.world().data.truth(),
        _ => stage.all.sitegpt.world().data.truth(),
    })
}

/// The second page of every list and one conversation are never good: whatever is stored is right, it is said what is
/// not, no cursor stands behind it, and the next run brings it.
async fn never_good(fault: Fault, says: &str) {
    let stage = Stage::paged().await;
    for (_, proxy, path, list) in places(&stage) {
        if list {
            proxy.next(&path, Fault::Pass);
        }
        proxy.times(&path, 5, &fault);
    }
    let home = stage.home("");
    let done = sync(&home).await;
    assert_eq!(done.code, 1, "{}", done.stderr);
    for source in SOURCES {
        let report = part(&done, source);
        let error = report["error"].as_str().unwrap();
        let status = if matches!(source, "bd" | "zaia") { "failed" } else { "partial" };
        assert_eq!(report["status"], status, "{report}");
        assert!(error.contains("5 tries") && error.contains(says), "{says}: {error}");
        let (held, whole) = (copy_of(&home, source), truth(&stage, source));
        assert!(!held.is_empty() && held.len() < whole.len(), "{source}: {} of {}", held.len(), whole.len());
        assert!(
            held.iter().all(|(ids, row)| whole.get(ids).is_some_and(|other| (&other.0, other.1) == (&row.0, row.1)))
        );
    }
    let mark = "SELECT json_extract(cursor, '$.watermark') FROM cursors WHERE stream = 'messages'";
    assert_eq!(home.number(mark), home.number("SELECT max(id_number) FROM raw_records WHERE stream = 'messages'"));
    let unread = "SELECT count(*) FROM conversations WHERE complete = 0 AND incomplete_reason = 'not_fetched'";
    assert_eq!(home.number(unread), 3, "the one conversation of each provider that fetches them");
    assert_eq!(home.number("SELECT count(*) FROM dead_letters"), 0);
    stage.assert_heals(&home).await;
}

/// With this on every answer, all is as it should be.
async fn makes_no_difference(fault: Fault) {
    let stage = Stage::paged().await;
    for proxy in [&stage.bd, &stage.zaia, &stage.sitegpt] {
        proxy.always("/", fault.clone());
    }
    let home = stage.home("");
    let done = sync(&home).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    stage.all.assert_all_exact(&home);
    assert_eq!(home.number("SELECT sum(retries) FROM sync_runs"), 0);
    stage.assert_heals(&home).await;
}

fn halved() -> Fault {
    Fault::body(|body| body[..body.len() / 2].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn j1_a_page_that_is_always_cut() {
    play("J1", never_good(halved(), "JSON")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j2_a_page_that_is_cut_once() {
    play("J2", async {
        let stage = Stage::paged().await;
        let faults = [halved(), Fault::html(200), Fault::body(|_| Vec::new())];
        for (_, proxy, path, _) in places(&stage) {
            faults.iter().for_each(|fault| proxy.next(&path, fault.clone()));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        stage.all.assert_all_exact(&home);
        assert_eq!(home.number("SELECT sum(retries) FROM sync_runs"), 24);
        assert_eq!(stage.bd.faults_left() + stage.zaia.faults_left() + stage.sitegpt.faults_left(), 0);
    })
    .await;
}

/// The rows of an answer, wherever its provider puts them.
pub(super) fn rows(body: &mut Value) -> Option<&mut Vec<Value>> {
    if body.is_array() {
        return body.as_array_mut();
    }
    if body.pointer("/data/thread/messages").is_some() {
        return body.pointer_mut("/data/thread/messages")?.as_array_mut();
    }
    let place = ["/message", "/data/threads", "/data/conversations", "/data/messages", "/data/chatbots"]
        .into_iter()
        .find(|place| body.pointer(place).is_some_and(Value::is_array))?;
    body.pointer_mut(place)?.as_array_mut()
}

/// Changes the row of an answer that has this under a name.
pub(super) fn with_row(
    name: &'static str,
    value: impl Into<Value>,
    change: impl Fn(&mut Value) + Send + Sync + 'static,
) -> Fault {
    let value = value.into();
    Fault::json(move |body| {
        let found = rows(body).and_then(|rows| rows.iter_mut().find(|row| row[name] == value));
        found.into_iter().for_each(&change);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn j3_a_row_of_a_wrong_type() {
    play("J3", async {
        let stage = Stage::paged().await;
        let bad_message = stage.all.bd.world().data.messages[150].id.to_string();
        let bad_thread = stage.all.bd.world().data.threads[60].id.to_string();
        let bad_chat = stage.all.zaia.world().data.chats[61].id.clone();
        let bad_answer = stage.all.zaia.world().data.messages[180].id.clone();
        let (bad_talk, bad_exchange) = {
            let threads = &stage.all.sitegpt.world().data.threads;
            (threads[61].id.clone(), threads[60].messages[0].id.clone())
        };
        stage.bd.always(
            "/api/v2/chat_message_items",
            with_row("message_id", bad_message.clone(), |row| {
                row["message_content"] = json!({"a": 1});
            }),
        );
        stage.bd.always(
            "/api/v2/chat_message_threads",
            with_row("thread_id", bad_thread.clone(), |row| {
                row["thread_token"] = json!([1]);
            }),
        );
        stage.zaia.always("/api/v1/chats?", with_row("id", bad_chat.clone(), |row| row["title"] = json!({"t": 1})));
        stage
            .zaia
            .always("/api/v1/chat-messages", with_row("id", bad_answer.clone(), |row| row["content"] = json!([1])));
        stage.sitegpt.always(
            "/",
            Fault::json(move |body| {
                let Some(rows) = rows(body) else { return };
                for row in rows {
                    if row["threadId"] == json!(bad_talk) && row.get("messageId").is_none() {
                        *row = json!("a text where an object belongs");
                    } else if row["messageId"] == json!(bad_exchange) {
                        row["question"] = json!(17);
                    }
                }
            }),
        );
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        for source in SOURCES {
            let report = part(&done, source);
            assert_eq!(report["status"], "partial", "{report}");
            // A list that is read twice, by another question, meets its bad row twice.
            assert!(report["dead_letters"].as_i64().unwrap() >= 2, "{report}");
            let (held, whole) = (copy_of(&home, source), truth(&stage, source));
            // The message; and where a list is needed to know of a conversation, that one.
            let missing = if matches!(source, "bd" | "zaia") { 1..=1 } else { 4..=5 };
            assert!(missing.contains(&(whole.len() - held.len())), "{source}: {} of {}", held.len(), whole.len());
            assert!(held.iter().all(|(ids, row)| whole.get(ids).is_some_and(|other| other.0 == row.0)));
        }
        let letters = home.rows("SELECT stage || '|' || error FROM dead_letters");
        assert!(letters.len() == 8 && letters.iter().all(|letter| letter.starts_with("decode|$")), "{letters:?}");
        assert_eq!(
            home.rows("SELECT body FROM dead_letters WHERE body LIKE '%a text where an object belongs%'").len(),
            2
        );
        let status = home.run(&["status", "--json"]).await.json();
        assert!(status["sources"].as_array().unwrap().iter().all(|source| source["dead_letters"] == 2), "{status}");
        stage.heal();
        home.sync_with(&["--full"]).await;
        stage.all.assert_all_exact(&home);
        assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0);
    })
    .await;
}

/// In every answer these bytes stand for a text; what is stored has the sign for a broken character there.
async fn costs_a_character(bytes: &'static [u8], fault: impl Fn(&str, &[u8]) -> Fault) {
    let stage = Stage::paged().await;
    for (proxy, text) in [(&stage.bd, "thread 60, m"), (&stage.zaia, "chat 60, m"), (&stage.sitegpt, "question 60")] {
        let damaged = [bytes, &text.as_bytes()[1..]].concat();
        proxy.always("/", fault(text, &damaged));
    }
    let home = stage.home("");
    let done = sync(&home).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    for source in SOURCES {
        let (held, whole) = (copy_of(&home, source), truth(&stage, source));
        assert_eq!(held.len(), whole.len(), "{source}");
        let changed: Vec<_> = held.iter().filter(|(ids, row)| whole[*ids] != **row).collect();
        assert_eq!(changed.len(), if source.starts_with('v') { 1 } else { 3 }, "{source}: {changed:?}");
        assert!(changed.iter().all(|(_, row)| row.0.starts_with('\u{fffd}')), "{changed:?}");
    }
    assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), 0);
    assert_eq!(home.number("SELECT count(*) FROM dead_letters"), 0);
    stage.heal();
    home.sync_with(&["--full"]).await;
    stage.all.assert_all_exact(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn j4_bytes_that_are_no_text() {
    play("J4", async {
        costs_a_character(b"\xff", Fault::replace).await;
        // What the header says of the encoding changes nothing: JSON is UTF-8.
        costs_a_character(b"\xe9", |text, damaged| {
            let Fault::Edit(replace) = Fault::replace(text, damaged) else { unreachable!() };
            Fault::Edit(Arc::new(move |answer: &mut Answer| {
                replace(answer);
                answer.headers.retain(|(name, _)| name != "content-type");
                answer.headers.push(("content-type".to_owned(), "application/json; charset=iso-8859-1".to_owned()));
            }))
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j5_half_a_surrogate_pair() {
    play("J5", async {
        costs_a_character(b"\\ud83d", Fault::replace).await;
        costs_a_character(b"\\uDE00", Fault::replace).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j6_a_byte_order_mark() {
    play("J6", makes_no_difference(Fault::body(|body| [b"\xef\xbb\xbf", &body[..]].concat()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j7_a_key_that_stands_twice() {
    play("J7", async {
        let stage = Stage::paged().await;
        let twice = |name: &str, text: &str| {
            let true_one = format!("\"{name}\":\"{text}\"");
            Fault::replace(&true_one, format!("\"{name}\":\"first\",{true_one}").as_bytes())
        };
        stage.bd.always("/", twice("message_content", "<p>thread 60, message 0</p>"));
        stage.zaia.always("/", twice("content", "chat 60, message 0"));
        stage.sitegpt.always("/", twice("text", "question 60"));
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        for source in ["bd", "zaia"] {
            assert_eq!(part(&done, source)["dead_letters"], 1);
            assert_eq!(copy_of(&home, source).len() + 1, truth(&stage, source).len());
        }
        for source in ["v0", "v2"] {
            assert_eq!(part(&done, source)["status"], "ok");
            assert_same(&copy_of(&home, source), &truth(&stage, source));
        }
        assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE error LIKE '%duplicate field%'"), 2);
        stage.heal();
        home.sync_with(&["--full"]).await;
        stage.all.assert_all_exact(&home);
        assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0);
    })
    .await;
}

/// Turns every text of these names that is a number into a number.
fn as_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
                match number
                    .filter(|_| matches!(name.as_str(), "message_id" | "thread_id" | "messageId" | "chatbotId" | "id"))
                {
                    Some(number) => *value = json!(number),
                    None => as_numbers(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(as_numbers),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j8_ids_of_every_kind() {
    play("J8", async {
        makes_no_difference(Fault::json(as_numbers)).await;

        let stage = Stage::paged().await;
        let ids: Vec<String> = {
            let threads = &stage.all.sitegpt.world().data.threads;
            (60..64).map(|n| threads[n].messages[0].id.clone()).collect()
        };
        let spelled = |id: &String| format!("\"messageId\":\"{id}\"");
        // Too large for any integer type, missing, null, and of a wrong type.
        let bad = [
            (spelled(&ids[0]), r#""messageId":98765432109876543210"#.to_owned()),
            (spelled(&ids[1]), r#""other":1"#.to_owned()),
            (spelled(&ids[2]), r#""messageId":null"#.to_owned()),
            (spelled(&ids[3]), r#""messageId":[1]"#.to_owned()),
        ];
        stage.sitegpt.always("/", replacing(bad.to_vec()));
        let bd: Vec<u64> = (60..64).map(|n| stage.all.bd.world().data.messages[n].id).collect();
        let spelled = |id: &u64| format!("\"message_id\":\"{id}\"");
        stage.bd.always(
            "/",
            replacing(vec![
                (spelled(&bd[0]), r#""message_id":98765432109876543210"#.to_owned()),
                (spelled(&bd[1]), r#""other":1"#.to_owned()),
                (spelled(&bd[2]), r#""message_id":null"#.to_owned()),
                (spelled(&bd[3]), r#""message_id":"x""#.to_owned()),
            ]),
        );
        let zaia: Vec<String> = (60..63).map(|n| stage.all.zaia.world().data.messages[n].id.clone()).collect();
        let spelled = |id: &String| format!("\"id\":\"{id}\"");
        stage.zaia.always(
            "/",
            replacing(vec![
                (spelled(&zaia[0]), r#""id":98765432109876543210"#.to_owned()),
                (spelled(&zaia[1]), r#""other":1"#.to_owned()),
                (spelled(&zaia[2]), r#""id":null"#.to_owned()),
            ]),
        );
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        for (source, dead) in [("bd", 3), ("zaia", 2), ("v0", 3), ("v2", 3)] {
            assert_eq!(part(&done, source)["dead_letters"], dead, "{source}");
        }
        let exact =
            home.rows("SELECT DISTINCT external_id FROM messages WHERE external_id LIKE '98765432%' ORDER BY 1");
        assert_eq!(exact, ["98765432109876543210", "98765432109876543210:a", "98765432109876543210:q"]);
        stage.heal();
        for _ in 0..2 {
            home.sync_with(&["--full"]).await;
        }
        for source in SOURCES {
            let mut held = copy_of(&home, source);
            // The provider had it, and has it no more. A directory's list is swept along ids that a number can hold.
            held.retain(|(_, id), row| !(id.starts_with("98765432109876543210") && (row.4 || source == "bd")));
            assert_same(&held, &truth(&stage, source));
        }
    })
    .await;
}

/// Replaces texts by others, one after another.
fn replacing(pairs: Vec<(String, String)>) -> Fault {
    Fault::body(move |body| {
        let mut text = String::from_utf8(body).unwrap();
        for (from, to) in &pairs {
            text = text.replace(from.as_str(), to);
        }
        text.into_bytes()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn j9_times_of_every_kind() {
    play("J9", async {
        // What is sent, and what becomes of it: a time in milliseconds, none, or (`-1`) a dead letter.
        let times: Vec<(Value, Option<i64>)> = vec![
            (json!(1_772_452_800), Some(1_772_452_800_000)),
            (json!(1_772_452_800_123_i64), Some(1_772_452_800_123)),
            (json!("1772452800"), Some(1_772_452_800_000)),
            (json!("2026-03-02T12:00:00Z"), Some(1_772_452_800_000)),
            (json!("2026-03-02T13:00:00.5+01:00"), Some(1_772_452_800_500)),
            (json!(1_772_452_800.25), Some(-1)),
            (json!("99999999999999999999"), Some(-1)),
            (json!(u64::MAX), Some(-1)),
            (json!(-5), Some(-1)),
            (json!("0001-01-01T00:00:00Z"), Some(-1)),
            (json!("9999-12-31T23:59:59Z"), Some(-1)),
            (json!("soon"), Some(-1)),
            (json!("0000-00-00 00:00:00"), None),
            (json!("1970-01-01T00:00:00Z"), None),
            (json!(null), None),
        ];
        let stage = Stage::paged().await;
        let bd: Vec<String> = (0..times.len()).map(|n| stage.all.bd.world().data.messages[n].id.to_string()).collect();
        let zaia: Vec<String> =
            (0..times.len()).map(|n| stage.all.zaia.world().data.messages[n * 3].id.clone()).collect();
        let sitegpt: Vec<String> =
            (0..times.len()).map(|n| stage.all.sitegpt.world().data.threads[n].messages[1].id.clone()).collect();
        let editing = |ids: Vec<String>, key: &'static str, place: &'static str| {
            let sent: Vec<Value> = times.iter().map(|(sent, _)| sent.clone()).collect();
            Fault::json(move |body| {
                for row in rows(body).into_iter().flatten() {
                    let Some(at) = ids.iter().position(|id| row[key] == json!(id)) else { continue };
                    if let Some(time) = row.pointer_mut(place) {
                        *time = sent[at].clone();
                    }
                }
            })
        };
        stage.bd.always("/", editing(bd.clone(), "message_id", "/created_at"));
        stage.zaia.always("/", editing(zaia.clone(), "id", "/createdAt"));
        stage.sitegpt.always("/", editing(sitegpt.clone(), "messageId", "/question/timestamp"));
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        for (source, ids, suffix) in
            [("bd", bd, ""), ("zaia", zaia, ""), ("v0", sitegpt.clone(), ":q"), ("v2", sitegpt, ":q")]
        {
            let held = copy_of(&home, source);
            for ((sent, fate), id) in times.iter().zip(ids) {
                let stored = held.iter().find(|((_, message), _)| *message == format!("{id}{suffix}"));
                let told = format!("{source}: {sent} became {stored:?}");
                match (fate, stored) {
                    (Some(-1), None) => {
                        let letter = format!("SELECT count(*) FROM dead_letters WHERE external_id LIKE '%{id}'");
                        assert!(home.number(&letter) >= 1, "{told}");
                    }
                    // Where SiteGPT gives a side no time, the message's own is taken (v2).
                    (None, Some((_, row))) if source == "v2" => assert!(row.1.is_some(), "{told}"),
                    (fate, Some((_, row))) => assert_eq!(row.1, *fate, "{told}"),
                    (_, None) => panic!("{told}"),
                }
            }
        }
        let centuries = "SELECT count(*) FROM messages WHERE sent_at_ms NOT BETWEEN 631152000000 AND 7289654400000";
        assert_eq!(home.number(centuries), 0);
        let ahead = "SELECT count(*) FROM cursors WHERE json_extract(cursor, '$.unit') = 'ms'
                     AND json_extract(cursor, '$.watermark') > unixepoch() * 1000";
        assert_eq!(home.number(ahead), 0);
        stage.heal();
        home.sync_with(&["--full"]).await;
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j10_a_null_among_the_rows() {
    play("J10", async {
        let stage = Stage::paged().await;
        let fault =
            || Fault::json(|body| rows(body).into_iter().for_each(|rows| rows.insert(1.min(rows.len()), Value::Null)));
        for (_, proxy, path, _) in places(&stage) {
            proxy.next(&path, fault());
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        for source in SOURCES {
            assert_eq!(part(&done, source)["dead_letters"], 2, "{source}: {}", done.stderr);
            assert_same(&copy_of(&home, source), &truth(&stage, source));
        }
        home.sync_with(&["--full"]).await;
        stage.all.assert_all_exact(&home);
        assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0);

        let stage = Stage::paged().await;
        for (proxy, text) in [
            (&stage.bd, "\"<p>thread 60, message 0</p>\""),
            (&stage.zaia, "\"chat 60, message 0\""),
            (&stage.sitegpt, "\"question 60\""),
        ] {
            proxy.always("/", Fault::replace(text, b"null"));
        }
        let home = stage.home("");
        assert_eq!(sync(&home).await.code, 0);
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = ''"), 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j11_unknown_fields() {
    fn add(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(add);
                fields.insert("hologram".to_owned(), json!({"layers": [1, null, {"deep": "new"}]}));
            }
            Value::Array(items) => items.iter_mut().for_each(add),
            _ => {}
        }
    }
    play("J11", makes_no_difference(Fault::json(add))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j12_something_else_where_the_list_belongs() {
    play("J12", async {
        let whole = |value: Value| Fault::json(move |body| *body = value.clone());
        never_good(Fault::html(200), "HTML").await;
        never_good(Fault::body(|_| Vec::new()), "documents").await;
        never_good(whole(json!("a text")), "documents").await;
        never_good(whole(json!({})), "documents").await;
        // The list null, where the provider says that there are rows; an array around everything.
        never_good(
            Fault::json(|body| match rows(body).cloned() {
                Some(rows) if body.is_array() => *body = json!({"rows": rows}),
                _ => {
                    for place in
                        ["/message", "/data/threads", "/data/thread/messages", "/data/conversations", "/data/messages"]
                    {
                        body.pointer_mut(place).into_iter().for_each(|list| *list = Value::Null);
                    }
                }
            }),
            "documents",
        )
        .await;
        never_good(
            Fault::json(|body| *body = if body.is_array() { Value::Null } else { json!([body.clone()]) }),
            "documents",
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j13_no_json() {
    play("J13", async {
        never_good(Fault::body(|body| [&body[..], b"<br />Warning: out of memory"].concat()), "documents").await;
        never_good(
            Fault::body(|body| {
                let text = String::from_utf8(body).unwrap();
                text.replacen(':', ":NaN,\"x\":", 1).into_bytes()
            }),
            "documents",
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j14_nul_in_a_text() {
    play("J14", async {
        let stage = Stage::paged().await;
        for (proxy, text) in [(&stage.bd, "thread 60, m"), (&stage.zaia, "chat 60, m"), (&stage.sitegpt, "question 60")]
        {
            proxy.always("/", Fault::replace(text, b"a\\u0000b"));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for (source, changed) in [("bd", 3), ("zaia", 3), ("v0", 1), ("v2", 1)] {
            let held = copy_of(&home, source);
            assert_eq!(held.len(), truth(&stage, source).len());
            let whole = held.values().filter(|row| row.0.starts_with("a\u{0}b")).count();
            // HTML knows no such character.
            let html = held.values().filter(|row| row.0.starts_with("abessage")).count();
            assert_eq!(whole + html, changed, "{source}: {whole} {html}");
        }
        let thread = home.rows(
            "SELECT v.conversation_id FROM v_messages AS v WHERE instr(CAST(v.body_text AS BLOB), x'6100') LIMIT 1",
        );
        let shown = home.run(&["show", &thread[0]]).await;
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(!shown.stdout.contains('\u{0}'), "{}", shown.stdout);
        stage.heal();
        home.sync_with(&["--full"]).await;
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j15_other_content_types() {
    play("J15", async {
        for content_type in [None, Some("text/plain"), Some("nonsense")] {
            makes_no_difference(Fault::Edit(Arc::new(move |answer: &mut Answer| {
                answer.headers.retain(|(name, _)| name != "content-type");
                let header = content_type.map(|kind| ("content-type".to_owned(), kind.to_owned()));
                answer.headers.extend(header);
            })))
            .await;
        }
    })
    .await;
}
