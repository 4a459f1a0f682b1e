//! H8 to H13: keys that are refused, things that are not there, and answers that are none.

use std::sync::Arc;

use serde_json::json;

use super::fault::{Answer, Fault};
use super::play;
use super::stage::{Stage, part, sync};
use crate::failures::assert_says;
use crate::harness::{Home, now_ms};

/// Watermarks of a source's cursors.
fn watermarks(home: &Home, source: &str) -> Vec<String> {
    home.rows(&format!(
        "SELECT c.stream, c.scope, json_extract(c.cursor, '$.watermark') FROM cursors AS c
         JOIN sources AS s ON s.id = c.source_id WHERE s.name = '{source}' ORDER BY 1, 2"
    ))
}

fn live_messages(home: &Home, source: &str) -> i64 {
    home.number(&format!(
        "SELECT count(*) FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
         JOIN sources AS s ON s.id = c.source_id WHERE s.name = '{source}' AND m.deleted_at_ms IS NULL"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn h8_a_key_is_refused_from_the_start() {
    play("H8", async {
        let stage = Stage::start().await;
        for status in [401, 403] {
            for refused in [vec!["bd"], vec!["zaia"], vec!["v0", "v2"]] {
                let doors: Vec<_> = stage.doors().into_iter().filter(|door| refused.contains(&door.name)).collect();
                doors[0].proxy.always("/", Fault::status(status));
                let before = doors[0].proxy.seen().len();
                let home = stage.home("");
                let done = sync(&home).await;
                assert_eq!(done.code, 1, "{}", done.stdout);
                let asked = doors[0].proxy.seen().len() - before;
                let per_source = if status == 401 { 2 } else { 12 };
                assert!(asked <= per_source * doors.len(), "{refused:?}, {status}: {asked} requests");
                for door in stage.doors() {
                    let part = part(&done, door.name);
                    if refused.contains(&door.name) {
                        assert_eq!((&part["status"], &part["retries"]), (&json!("failed"), &json!(0)), "{part}");
                        let error = part["error"].as_str().unwrap();
                        assert_says(error, &[&format!("source {}", door.name), "api/v", &status.to_string(), "key"]);
                    } else {
                        assert_eq!(part["status"], "ok", "{part}");
                        stage.all.assert_exact(&home, door.name);
                    }
                }
                // With the last key of each kind also what comes after.
                stage.heal();
                if refused.len() == 2 {
                    stage.assert_heals(&home).await;
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h9_a_key_is_refused_in_the_middle() {
    play("H9", async {
        let stage = Stage::start().await;
        // From the tenth request on, another key is the right one.
        let mut seen = 0;
        stage.all.bd.world().on_request(move |data, _| {
            seen += 1;
            if seen == 5 {
                data.key = "bd-key-of-today".to_owned();
            }
        });
        let mut seen = 0;
        stage.all.zaia.world().on_request(move |data, _| {
            seen += 1;
            if seen == 20 {
                data.key = "zaia-key-of-today".to_owned();
            }
        });
        let mut seen = 0;
        stage.all.sitegpt.world().on_request(move |data, _| {
            seen += 1;
            if seen == 60 {
                data.key = "sitegpt-key-of-today".to_owned();
                data.token = "sgpt_of_today".to_owned();
            }
        });
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stdout);
        let mut kept = Vec::new();
        for door in stage.doors() {
            let part = part(&done, door.name);
            assert_eq!(part["status"], "failed", "{part}");
            assert_says(part["error"].as_str().unwrap(), &[&format!("source {}", door.name), "api/v", "401", "key"]);
            let messages = live_messages(&home, door.name);
            assert!(messages > 0, "{} had read something: {part}", door.name);
            kept.push((messages, part["requests"].as_u64().unwrap()));
        }
        // With the key of today the pass goes on, and costs less than one from the start.
        stage.all.bd.world().before_request = None;
        stage.all.zaia.world().before_request = None;
        stage.all.sitegpt.world().before_request = None;
        let today = stage
            .config("")
            .replace("bd-key", "bd-key-of-today")
            .replace("zaia-key", "zaia-key-of-today")
            .replace("sitegpt-key", "sitegpt-key-of-today")
            .replace("sgpt_test", "sgpt_of_today");
        home.configure(&today);
        let rest = sync(&home).await;
        assert_eq!(rest.code, 0, "{}", rest.stdout);
        stage.all.assert_all_exact(&home);
        let anew = Home::new(&today);
        let whole = sync(&anew).await;
        for (door, (messages, requests)) in stage.doors().iter().zip(kept) {
            let rest = part(&rest, door.name);
            let whole = part(&whole, door.name);
            let inserted = |part: &serde_json::Value| part["messages"]["inserted"].as_i64().unwrap();
            assert_eq!(inserted(&rest) + messages, inserted(&whole), "{}", door.name);
            let asked = |part: &serde_json::Value| part["requests"].as_u64().unwrap();
            assert!(asked(&rest) < asked(&whole), "{}: {requests} before, {rest} of {whole}", door.name);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_a_conversation_is_not_there() {
    play("H10", async {
        for status in [404, 410] {
            let stage = Stage::start().await;
            let home = stage.home("");
            assert_eq!(sync(&home).await.code, 0);
            let before: Vec<i64> = ["zaia", "v0", "v2"].iter().map(|name| live_messages(&home, name)).collect();
            stage.news("listed, and gone when asked for", now_ms());
            let chat = stage.all.zaia.world().data.chats[1].id.clone();
            let (bot, thread) = {
                let thread = &stage.all.sitegpt.world().data.threads[1];
                (thread.chatbot.clone(), thread.id.clone())
            };
            stage.zaia.always(&format!("/api/v1/chat-messages?chatId={chat}"), Fault::status(status));
            stage.zaia.always(&format!("/api/v1/chats/{chat}"), Fault::status(status));
            stage.sitegpt.always(&format!("/api/v0/chatbots/{bot}/threads/{thread}"), Fault::status(status));
            stage.sitegpt.always(&format!("/api/v2/chatbots/{bot}/conversations/{thread}"), Fault::status(status));
            let done = sync(&home).await;
            assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
            stage.all.assert_exact(&home, "bd");
            let gone = "SELECT s.name FROM conversations AS c JOIN sources AS s ON s.id = c.source_id
                        WHERE c.deleted_reason = 'gone' ORDER BY 1";
            assert_eq!(home.rows(gone), ["v0", "v2", "zaia"]);
            for (name, before) in ["zaia", "v0", "v2"].iter().zip(before) {
                assert_eq!(live_messages(&home, name), before, "{name}: nothing was taken away");
            }
            stage.heal();
            stage.news("there again", now_ms());
            stage.assert_heals(&home).await;
            assert!(home.rows(gone).is_empty());
        }
    })
    .await;
}

/// Everything is read; then something is new, the fault lies on every conversation and message, and a pass fails by
/// name, with the words asked for, in a bounded number of requests. No cursor moves, nothing is lost.
async fn lasts(fault: impl Fn(&str) -> Fault, words: &[&str], tries: usize) {
    let stage = Stage::start().await;
    let home = stage.home("");
    assert_eq!(sync(&home).await.code, 0);
    stage.news("not seen yet", now_ms());
    let before: Vec<_> = stage.doors().iter().map(|door| watermarks(&home, door.name)).collect();
    let rev = home.rev();
    stage.doors().iter().for_each(|door| door.proxy.always(door.talk, fault(door.name)));
    let asked: Vec<usize> = stage.doors().iter().map(|door| door.proxy.count(door.talk)).collect();
    let done = sync(&home).await;
    assert_eq!(done.code, 1, "{}", done.stdout);
    for ((door, before), asked) in stage.doors().iter().zip(before).zip(asked) {
        let part = part(&done, door.name);
        assert_eq!(part["status"], "failed", "{part}");
        let error = part["error"].as_str().unwrap();
        assert_says(error, &[&format!("source {}", door.name), "api/v"]);
        assert_says(error, words);
        assert_eq!(watermarks(&home, door.name), before, "{}", door.name);
        // Threads and messages, of each chatbot where there are several.
        let asked = door.proxy.count(door.talk) - asked;
        assert!(asked <= 4 * tries, "{}: {asked} requests", door.name);
    }
    home.assert_still(rev, "nothing was told");
    stage.assert_heals(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_no_content_or_a_part_of_it() {
    play("H11", async {
        let stage = Stage::start().await;
        let empty = |status| Fault::Answer(Answer { status, headers: Vec::new(), body: Vec::new() });
        for door in stage.doors() {
            [204, 205, 304].into_iter().for_each(|status| door.proxy.next(door.talk, empty(status)));
            door.proxy.next(door.talk, Fault::Edit(Arc::new(|answer| answer.status = 206)));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        stage.all.assert_all_exact(&home);

        lasts(|_| empty(204), &["no content (204)"], 5).await;
        lasts(|_| Fault::Edit(Arc::new(|answer| answer.status = 206)), &["a part of the content (206)"], 5).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h12_a_success_that_says_no() {
    play("H12", async {
        let says_no = |source: &str| {
            let body = match source {
                "bd" => json!({"status": "error", "message": "The quota is used up"}),
                "zaia" => json!({"code": "bad_request", "message": "The quota is used up"}),
                _ => json!({"ok": false, "success": false, "error": {"code": "BAD_REQUEST", "message": "The quota is used up"}}),
            };
            Fault::Answer(Answer::json(200, &body))
        };
        lasts(says_no, &["quota is used up"], 5).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h13_a_page_for_people() {
    play("H13", async {
        lasts(|_| Fault::html(200), &["gave up after 5 tries"], 5).await;
    })
    .await;
}
