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
    Row::played(
        "J14",
        "U+0000 in a text",
        "the record is kept whole; the text column holds all but that character, at which SQL functions would stop",
    ),
    Row::played("J15", "JSON as text/plain, or without a content type", "read as what it is"),
];

/// Every list and one conversation of each provider that has them.
pub(super) fn places(stage: &Stage) -> Vec<(&'static str, &Proxy, String, bool)> {
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

pub(super) const SOURCES: [&str; 4] = ["bd", "zaia", "v0", "v2"];

pub(super) fn truth(stage: &Stage, source: &str) -> Copy {
    wanted(&match source {
        "bd" => stage.all.bd.world().data.truth(),
        "zaia" => stage.all.zaia.world().data.truth(),
        _ => stage.all.sitegpt.world().data.truth(),
    })
}

/// The second page of every list and one conversation are never good: whatever is stored is right, it is said what is
/// not, no cursor stands behind it, and the next run brings it.
pub(super) async fn never_good(fault: Fault, says: &str) {
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
pub(super) async fn makes_no_difference(fault: Fault) {
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

pub(super) fn halved() -> Fault {
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
pub(super) async fn costs_a_character(bytes: &'static [u8], fault: impl Fn(&str, &[u8]) -> Fault) {
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
