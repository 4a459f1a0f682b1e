//! P: pages that repeat, overlap, shrink or never end, and cursors that lead nowhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use serde_json::{Value, json};

use super::fault::{Answer, Fault};
use super::json::{rows, truth};
use super::stage::{Stage, part, sync};
use super::{Row, play};
use crate::harness::{Home, copy_of};

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "P1",
        "the same page for ever, with the same token and with new ones",
        "the stream ends with an error; numbered pages that SiteGPT v0 may ignore end with a note",
    ),
    Row::played(
        "P2",
        "pages without rows for ever, each with a new token",
        "the stream ends with an error after 25 of them, a conversation after 10; where rows are counted, after 5 tries",
    ),
    Row::played(
        "P3",
        "a token that leads back, or to itself",
        "the stream ends with an error; what was read is stored",
    ),
    Row::played("P4", "an empty page in the middle, with a token", "read on behind it"),
    Row::played(
        "P5",
        "rows that come in while a list is read",
        "each id once; what came is there after the next pass at the latest",
    ),
    Row::played("P6", "rows that go away while a list is read", "no other row is missed"),
    Row::played(
        "P7",
        "rows in reverse order, and a kill after two pages",
        "the cursor is no further than what is stored; nothing is missed",
    ),
    Row::played("P8", "150 rows of one second, and kills between their pages", "none is missed"),
    Row::played(
        "P9",
        "one id three times in a page, the oldest last",
        "one row; the newest modification time counts, and where there is none the last one",
    ),
    Row::played(
        "P10",
        "edits, deletions and late replies between two passes",
        "what was said before is kept, the deleted is marked, the reply is found",
    ),
    Row::played("P11", "rows from the future", "stored; no cursor lies in the future, and no later change is kept out"),
    Row::played(
        "P12",
        "a cursor that the server takes no longer",
        "the list is read from its start; nothing is doubled",
    ),
    Row::played("P13", "two sources with the same ids", "both are kept, each by itself"),
    Row::played("P14", "a backfill is cut short and a sync comes next", "no gap between the two"),
];

pub(super) const SOURCES: [&str; 4] = ["bd", "zaia", "v0", "v2"];

/// Always the first answer that came, changed a little.
pub(super) fn the_first_answer(change: impl Fn(&mut Value, usize) + Send + Sync + 'static) -> Fault {
    let (first, count) = (Mutex::new(None::<Value>), AtomicUsize::new(0));
    Fault::Edit(Arc::new(move |answer: &mut Answer| {
        let read = || serde_json::from_slice(&answer.body).unwrap();
        let mut body = first.lock().unwrap().get_or_insert_with(read).clone();
        change(&mut body, count.fetch_add(1, Ordering::Relaxed));
        *answer = Answer::json(200, &body);
    }))
}

/// Every answer of v2 promises another page, by a new cursor.
pub(super) fn renew_cursor(body: &mut Value, nth: usize) {
    if let Some(pagination) = body.pointer_mut("/data/pagination") {
        *pagination = json!({"limit": 100, "hasNextPage": true, "nextCursor": format!("never seen {nth}")});
    }
}

/// Whatever is stored is right.
pub(super) fn assert_nothing_wrong(stage: &Stage, home: &Home) {
    for source in SOURCES {
        let whole = truth(stage, source);
        let wrong: Vec<_> = copy_of(home, source)
            .into_iter()
            .filter(|(ids, row)| whole.get(ids).is_none_or(|other| other.0 != row.0))
            .collect();
        assert!(wrong.is_empty(), "{source}: {wrong:?}");
    }
    assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
}

pub(super) fn bot(stage: &Stage) -> String {
    stage.all.sitegpt.world().data.chatbots[0].id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_the_same_page_for_ever() {
    play("P1", async {
        for new_tokens in [false, true] {
            let stage = Stage::paged().await;
            let (bot, thread) = (bot(&stage), stage.all.sitegpt.world().data.threads[60].id.clone());
            let token = move |body: &mut Value, nth: usize| {
                if new_tokens {
                    renew_cursor(body, nth);
                    if body.get("next_page").is_some() {
                        body["next_page"] = json!(format!("never seen {nth}"));
                    }
                }
            };
            stage.bd.always("/api/v2/chat_message_items", the_first_answer(token));
            stage.zaia.always("/api/v1/chats?", the_first_answer(token));
            stage.sitegpt.always(&format!("/api/v0/chatbots/{bot}/threads?"), the_first_answer(token));
            stage.sitegpt.always(&format!("/api/v2/chatbots/{bot}/conversations?"), the_first_answer(token));
            let messages = format!("/api/v2/chatbots/{bot}/conversations/{thread}/messages");
            stage.sitegpt.always(&messages, the_first_answer(renew_cursor));
            let home = stage.home("");
            let done = sync(&home).await;
            assert_eq!(done.code, 1, "{}", done.stderr);
            for source in ["bd", "zaia", "v2"] {
                let report = part(&done, source);
                assert_ne!(report["status"], "ok", "{new_tokens}: {report}");
                let error = report["error"].as_str().unwrap();
                assert!(error.contains("again and again") || error.contains("does not get on"), "{error}");
            }
            assert!(part(&done, "v2")["error"].as_str().unwrap().contains(&thread), "{}", part(&done, "v2"));
            assert_eq!(part(&done, "v0")["status"], "ok", "{}", part(&done, "v0"));
            let status = home.run(&["status", "--json"]).await.stdout;
            assert!(status.contains("the page number is ignored; 100 rows are shown"), "{status}");
            assert_nothing_wrong(&stage, &home);
            for (proxy, path, most) in [
                (&stage.bd, "/api/v2/chat_message_items".to_owned(), 60),
                (&stage.zaia, "/api/v1/chats?".to_owned(), 20),
                (&stage.sitegpt, format!("/api/v0/chatbots/{bot}/threads?"), 10),
                (&stage.sitegpt, format!("/api/v2/chatbots/{bot}/conversations?"), 40),
                (&stage.sitegpt, messages, 20),
            ] {
                assert!(proxy.count(&path) <= most, "{path}: {} requests", proxy.count(&path));
            }
            stage.heal();
            let again = sync(&home).await;
            assert_eq!(again.code, 0, "{}", again.stderr);
            stage.assert_heals(&home).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_nothing_for_ever() {
    play("P2", async {
        let stage = Stage::paged().await;
        let (bot, thread) = (bot(&stage), stage.all.sitegpt.world().data.threads[60].id.clone());
        let nothing = |body: &mut Value, nth: usize| {
            rows(body).into_iter().for_each(Vec::clear);
            renew_cursor(body, nth);
        };
        stage.bd.next("/api/v2/chat_message_items", Fault::Pass);
        stage.bd.times("/api/v2/chat_message_items", 5, &the_first_answer(nothing));
        let lists = format!("/api/v2/chatbots/{bot}/conversations?");
        stage.sitegpt.next(&lists, Fault::Pass);
        stage.sitegpt.times(&lists, 500, &the_first_answer(nothing));
        let messages = format!("/api/v2/chatbots/{bot}/conversations/{thread}/messages");
        stage.sitegpt.always(&messages, the_first_answer(nothing));
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        // What a total counts under a filter is not known: the list is asked for until it tells what it promised.
        assert_eq!(part(&done, "bd")["status"], "ok", "{}", done.stderr);
        let told = part(&done, "v2");
        assert_ne!(told["status"], "ok", "{told}");
        assert!(told["error"].as_str().unwrap().contains("again and again"), "{told}");
        assert!(told["error"].as_str().unwrap().contains(&thread), "{told}");
        stage.all.assert_exact(&home, "bd");
        assert_nothing_wrong(&stage, &home);
        assert!(stage.sitegpt.count(&lists) < 40, "{}", stage.sitegpt.count(&lists));
        assert!(stage.sitegpt.count(&messages) < 20, "{}", stage.sitegpt.count(&messages));
        stage.assert_heals(&home).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_token_that_leads_back() {
    play("P3", async {
        for to_itself in [false, true] {
            let mut data = paged_bd();
            (data.quirks.ignore_filters, data.quirks.ignore_order) = (true, true);
            let stage = Stage::with(data, ZaiaData::new(), paged_sitegpt()).await;
            let (bot, thread) = (bot(&stage), stage.all.sitegpt.world().data.threads[60].id.clone());
            let back = |second: Value| {
                let firsts = Mutex::new(Vec::<Value>::new());
                move |body: &mut Value, place: &str| {
                    let Some(next) = body.pointer_mut(place) else { return };
                    let mut firsts = firsts.lock().unwrap();
                    if firsts.len() < 2 {
                        firsts.push(next.clone());
                    }
                    *next = if to_itself { firsts[0].clone() } else { second.clone() };
                }
            };
            let bd = back(json!(chatloom::sim::bd::page_token(1, 100)));
            stage.bd.always(
                "/api/v2/chat_message_items",
                Fault::json(move |body| {
                    bd(body, "/next_page");
                    // It never says that a page is the last.
                    body["total_pages"] = json!(9_999);
                }),
            );
            let list = back(json!(v2_start()));
            stage.sitegpt.always(
                &format!("/api/v2/chatbots/{bot}/conversations?"),
                Fault::json(move |body| {
                    list(body, "/data/pagination/nextCursor");
                    body["data"]["pagination"]["hasNextPage"] = json!(true);
                }),
            );
            let messages = back(json!("x"));
            stage.sitegpt.always(
                &format!("/api/v2/chatbots/{bot}/conversations/{thread}/messages"),
                Fault::json(move |body| {
                    body["data"]["pagination"] = json!({"hasNextPage": true, "nextCursor": v2_first()});
                    messages(body, "/data/pagination/other");
                }),
            );
            let home = stage.home("");
            let done = sync(&home).await;
            for source in ["bd", "v2"] {
                assert_ne!(part(&done, source)["status"], "ok", "{to_itself}: {}", part(&done, source));
            }
            assert!(part(&done, "v2")["error"].as_str().unwrap().contains(&thread), "{}", part(&done, "v2"));
            assert_nothing_wrong(&stage, &home);
            assert!(stage.bd.seen().len() + stage.sitegpt.seen().len() < 600);
            assert!(copy_of(&home, "bd").len() >= 100);
            stage.assert_heals(&home).await;
        }
    })
    .await;
}

/// v2's cursor in front of all conversations, and of all messages.
pub(super) fn v2_start() -> String {
    cursor(i64::MAX, "~")
}

pub(super) fn v2_first() -> String {
    cursor(0, "")
}

pub(super) fn cursor(key: i64, id: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("c1|{key}|{id}"))
}

pub(super) fn paged_bd() -> BdData {
    super::stage::paged_worlds().0
}

pub(super) fn paged_sitegpt() -> SitegptData {
    super::stage::paged_worlds().2
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_an_empty_page_in_the_middle() {
    play("P4", async {
        let stage = Stage::paged().await;
        let (bot, thread) = (bot(&stage), stage.all.sitegpt.world().data.threads[60].id.clone());
        let empty = |name: &str, next: &str| {
            let body = json!({"ok": true, "data": {name: [], "pagination": {"hasNextPage": true, "nextCursor": next}}, "meta": {}});
            Fault::Answer(Answer::json(200, &body))
        };
        stage.sitegpt.next(&format!("/api/v2/chatbots/{bot}/conversations?"), empty("conversations", &v2_start()));
        stage.sitegpt.next(&format!("/api/v2/chatbots/{bot}/conversations/{thread}/messages"), empty("messages", &v2_first()));
        // Of a numbered list, and of one that counts, an empty page in the middle is a contradiction.
        stage.bd.next("/api/v2/chat_message_items", Fault::Pass);
        stage.bd.next("/api/v2/chat_message_items", Fault::json(|body| body["message"] = json!([])));
        stage.sitegpt.next(&format!("/api/v0/chatbots/{bot}/threads?"), Fault::Pass);
        stage.sitegpt.next(&format!("/api/v0/chatbots/{bot}/threads?"), Fault::json(|body| body["data"]["threads"] = json!([])));
        stage.zaia.next("/api/v1/chats?", Fault::Pass);
        stage.zaia.next("/api/v1/chats?", Fault::json(|body| *body = json!([])));
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(stage.bd.faults_left() + stage.zaia.faults_left() + stage.sitegpt.faults_left(), 0);
        stage.all.assert_all_exact(&home);
    })
    .await;
}
