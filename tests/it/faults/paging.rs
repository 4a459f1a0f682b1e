//! P: pages that repeat, overlap, shrink or never end, and cursors that lead nowhere.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chatloom::sim::bd::BdData;
use chatloom::sim::demo::{evolve_bd, evolve_sitegpt, evolve_zaia};
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use serde_json::{Value, json};

use super::fault::{Answer, Fault};
use super::json::{rows, truth, with_row};
use super::stage::{HASTE, Stage, part, sync, sync_with};
use super::{Row, play};
use crate::harness::{Home, NOW_MS, assert_same, copy_of, now_ms};

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

const SOURCES: [&str; 4] = ["bd", "zaia", "v0", "v2"];

/// Always the first answer that came, changed a little.
fn the_first_answer(change: impl Fn(&mut Value, usize) + Send + Sync + 'static) -> Fault {
    let (first, count) = (Mutex::new(None::<Value>), AtomicUsize::new(0));
    Fault::Edit(Arc::new(move |answer: &mut Answer| {
        let read = || serde_json::from_slice(&answer.body).unwrap();
        let mut body = first.lock().unwrap().get_or_insert_with(read).clone();
        change(&mut body, count.fetch_add(1, Ordering::Relaxed));
        *answer = Answer::json(200, &body);
    }))
}

/// Every answer of v2 promises another page, by a new cursor.
fn renew_cursor(body: &mut Value, nth: usize) {
    if let Some(pagination) = body.pointer_mut("/data/pagination") {
        *pagination = json!({"limit": 100, "hasNextPage": true, "nextCursor": format!("never seen {nth}")});
    }
}

/// Whatever is stored is right.
fn assert_nothing_wrong(stage: &Stage, home: &Home) {
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

fn bot(stage: &Stage) -> String {
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
fn v2_start() -> String {
    cursor(i64::MAX, "~")
}

fn v2_first() -> String {
    cursor(0, "")
}

fn cursor(key: i64, id: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("c1|{key}|{id}"))
}

fn paged_bd() -> BdData {
    super::stage::paged_worlds().0
}

fn paged_sitegpt() -> SitegptData {
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

#[tokio::test(flavor = "multi_thread")]
async fn p5_rows_come_in_while_pages_are_read() {
    play("P5", async {
        let stage = Stage::paged().await;
        let (mut bd, mut zaia, mut sitegpt) = (0, 0, 0);
        stage.all.bd.world().on_request(move |data, request| {
            if request.path.contains("/chat_message_") && bd < 5 {
                bd += 1;
                let (owner, thread) = (data.threads[0].owner.clone(), data.threads[0].token.clone());
                data.add_thread(&owner, &owner, NOW_MS);
                data.add_message(&thread, &owner, NOW_MS + bd, &format!("late {bd}"));
            }
        });
        stage.all.zaia.world().on_request(move |data, request| {
            if request.path.ends_with("/chats") && zaia < 5 {
                zaia += 1;
                let chat = data.chats[usize::try_from(zaia).unwrap()].clone();
                data.add_message(&chat.id, "user", Some(&chat.owner), NOW_MS + zaia, &format!("late {zaia}"));
                let new = data.add_chat(chat.channel.as_deref(), &chat.owner, &chat.responder, NOW_MS);
                data.add_message(&new, "user", Some(&chat.owner), NOW_MS + zaia, "new");
            }
        });
        stage.all.sitegpt.world().on_request(move |data, request| {
            if (request.path.ends_with("/threads") || request.path.ends_with("/conversations")) && sitegpt < 8 {
                sitegpt += 1;
                let bot = data.chatbots[0].id.clone();
                let new = data.add_thread(&bot, NOW_MS + sitegpt);
                data.add_user(&new, "new", NOW_MS + sitegpt);
            }
        });
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        stage.all.bd.world().before_request = None;
        stage.all.zaia.world().before_request = None;
        stage.all.sitegpt.world().before_request = None;
        stage.assert_heals(&home).await;
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_rows_go_away_while_pages_are_read() {
    play("P6", async {
        let stage = Stage::paged().await;
        let (mut bd, mut zaia, mut v0, mut v2) = (0, 0, 0, 0);
        stage.all.bd.world().on_request(move |data, request| {
            if request.path.contains("/chat_message_items") {
                bd += 1;
                // From the page that was read, three at a time.
                let ids: Vec<u64> = data.messages.iter().take(3).map(|message| message.id).collect();
                ids.into_iter().filter(|_| (2..5).contains(&bd)).for_each(|id| data.remove_message(id));
            }
        });
        stage.all.zaia.world().on_request(move |data, request| {
            if request.path.ends_with("/chats") {
                zaia += 1;
                let first = data.chats.last().unwrap().id.clone();
                if (2..5).contains(&zaia) {
                    data.purge_chat(&first);
                }
            }
        });
        stage.all.sitegpt.world().on_request(move |data, request| {
            let count = if request.path.ends_with("/threads") { &mut v0 } else { &mut v2 };
            if request.path.ends_with("/threads") || request.path.ends_with("/conversations") {
                *count += 1;
                let end = if request.path.ends_with("/threads") { data.threads.first() } else { data.threads.last() };
                let id = end.unwrap().id.clone();
                if *count == 2 {
                    data.remove_thread(&id);
                }
            }
        });
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for source in SOURCES {
            let held: BTreeSet<_> = copy_of(&home, source).into_keys().collect();
            let gone: BTreeSet<String> = match source {
                "v0" | "v2" => {
                    stage.all.sitegpt.world().data.removed_threads.iter().map(|thread| thread.id.clone()).collect()
                }
                _ => BTreeSet::new(),
            };
            let missed: Vec<_> = truth(&stage, source)
                .into_iter()
                .filter(|(ids, row)| {
                    !row.4 && !held.contains(ids) && !gone.iter().any(|gone| ids.0.ends_with(gone.as_str()))
                })
                .collect();
            assert!(missed.is_empty(), "{source}: {missed:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_rows_in_reverse_order_and_a_kill() {
    play("P7", async {
        let stage = Stage::paged().await;
        for proxy in [&stage.bd, &stage.zaia, &stage.sitegpt] {
            proxy.always(
                "/",
                Fault::json(|body| {
                    // A conversation in one answer is in the order of its array.
                    let whole = body.pointer("/data/thread").is_some() || body.pointer("/data/messages").is_some();
                    rows(body).filter(|_| !whole).into_iter().for_each(|rows| rows.reverse());
                }),
            );
        }
        let home = stage.home("");
        for commits in [3, 9, 40] {
            let died = sync_with(&home, &format!("{HASTE},crash=commit.done:{commits}")).await;
            assert!(died.stderr.contains("dying as asked"), "{}", died.stderr);
            assert_nothing_wrong(&stage, &home);
        }
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for source in SOURCES {
            let mut held = copy_of(&home, source);
            let mut whole = truth(&stage, source);
            held.values_mut().chain(whole.values_mut()).for_each(|row| row.2 = String::new());
            assert_same(&held, &whole);
        }
        stage.assert_heals(&home).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_many_rows_of_one_second_and_kills_between_their_pages() {
    play("P8", async {
        let (mut bd, mut zaia) = (BdData::new(), ZaiaData::new());
        let (ada, ben) = (bd.add_user("Ada", "Quill"), bd.add_user("Ben", "Marsh"));
        let (channel, agent) = (zaia.add_channel("widget", "Widget"), zaia.add_agent("Iris"));
        let owner = zaia.add_external_user(&channel, None, Some("Ada"));
        for n in 0..150 {
            let thread = bd.add_thread(&ada, &ben, NOW_MS - 86_400_000 + n);
            bd.add_message(&thread, &ada, NOW_MS - 86_400_000, "hello");
            let chat = zaia.add_chat(Some(&channel), &owner, &agent, NOW_MS - 86_400_000 + n);
            zaia.add_message(&chat, "user", Some(&owner), NOW_MS - 86_400_000 + n, "hello");
        }
        let stage = Stage::with(bd, zaia, SitegptData::new()).await;
        let home = stage.home("");
        for _ in 0..2 {
            assert_eq!(sync(&home).await.code, 0);
        }
        let tokens: Vec<String> = stage.all.bd.world().data.threads.iter().map(|thread| thread.token.clone()).collect();
        tokens.iter().for_each(|token| stage.all.bd.world().data.soft_delete_thread(token, NOW_MS));
        let chats: Vec<String> = stage.all.zaia.world().data.chats.iter().map(|chat| chat.id.clone()).collect();
        chats.iter().for_each(|chat| {
            stage.all.zaia.world().data.add_message(chat, "user", Some(&owner), NOW_MS, "all at once");
        });
        for commits in [4, 6, 8, 20] {
            let died = sync_with(&home, &format!("{HASTE},crash=commit.done:{commits}")).await;
            assert!(died.stderr.contains("dying as asked"), "{}", died.stderr);
        }
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        let deleted = "SELECT count(*) FROM conversations WHERE deleted_at_ms IS NOT NULL";
        assert_eq!(home.number(deleted), 150);
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = 'all at once'"), 150);
        stage.assert_heals(&home).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p9_one_id_three_times() {
    play("P9", async {
        let stage = Stage::paged().await;
        let message = stage.all.bd.world().data.messages[150].id.to_string();
        let said = stage.all.zaia.world().data.messages[181].id.clone();
        let (thread, exchange) = {
            let thread = &stage.all.sitegpt.world().data.threads[60];
            (thread.id.clone(), thread.messages[0].id.clone())
        };
        // The true row, an edited one, and an old one, in this order.
        let thrice = |key: &'static str, id: String, place: &'static str| {
            Fault::json(move |body| {
                let Some(rows) = rows(body) else { return };
                let Some(at) = rows.iter().position(|row| row[key] == json!(id)) else { return };
                for (text, updated) in [("newest", "2026-03-01T00:00:00.000Z"), ("oldest", "2020-01-01T00:00:00.000Z")]
                {
                    let mut row = rows[at].clone();
                    *row.pointer_mut(place).unwrap() = json!(text);
                    if row.get("updatedAt").is_some() {
                        row["updatedAt"] = json!(updated);
                    }
                    rows.insert(at + 1 + usize::from(text == "oldest"), row);
                }
            })
        };
        stage.bd.always("/", thrice("message_id", message.clone(), "/message_content"));
        stage.zaia.always("/", thrice("id", said.clone(), "/content"));
        stage.sitegpt.always("/", thrice("messageId", exchange.clone(), "/question/text"));
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for (source, id, text) in [
            ("bd", message, "oldest"),
            ("zaia", said, "newest"),
            ("v0", format!("{exchange}:q"), "oldest"),
            ("v2", format!("{exchange}:q"), "newest"),
        ] {
            let held = copy_of(&home, source);
            assert_eq!(held.len(), truth(&stage, source).len(), "{source}");
            let ours: Vec<_> =
                held.iter().filter(|((_, message), _)| *message == id).map(|(_, row)| row.0.as_str()).collect();
            assert_eq!(ours, [text], "{source}: {thread}");
        }
        stage.heal();
        for _ in 0..2 {
            home.sync_with(&["--full"]).await;
        }
        for source in ["bd", "v0"] {
            assert_same(&copy_of(&home, source), &truth(&stage, source));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_edits_deletions_and_late_replies() {
    play("P10", async {
        let stage = Stage::start().await;
        let home = stage.home("");
        assert_eq!(sync(&home).await.code, 0);
        let at = now_ms();
        evolve_bd(&mut stage.all.bd.world().data, 1, at);
        evolve_zaia(&mut stage.all.zaia.world().data, 1, at);
        evolve_sitegpt(&mut stage.all.sitegpt.world().data, 1, at);
        let (chat, owner) = {
            let chat = &stage.all.zaia.world().data.chats[0];
            (chat.id.clone(), chat.owner.clone())
        };
        stage.all.zaia.world().data.add_message(&chat, "user", Some(&owner), at, "after all that time");
        let thread = stage.all.bd.world().data.threads[0].clone();
        stage.all.bd.world().data.add_message(&thread.token, &thread.owner, at, "after all that time");
        assert_eq!(sync(&home).await.code, 0);
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = 'after all that time'"), 2);
        for _ in 0..2 {
            home.sync_with(&["--full"]).await;
        }
        SOURCES.iter().for_each(|source| stage.all.assert_exact(&home, source));
        assert!(home.number("SELECT count(*) FROM message_revisions") > 0);
        assert!(home.number("SELECT count(*) FROM conversations WHERE deleted_at_ms IS NOT NULL") > 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p11_rows_from_the_future() {
    play("P11", async {
        let stage = Stage::paged().await;
        let home = stage.home("");
        for _ in 0..2 {
            assert_eq!(sync(&home).await.code, 0);
        }
        // A thread, a chat and a message say that they were changed in 2150.
        let token = stage.all.bd.world().data.threads[60].token.clone();
        let thread_id = stage.all.bd.world().data.threads[60].id.to_string();
        let (chat, owner) = {
            let chat = &stage.all.zaia.world().data.chats[60];
            (chat.id.clone(), chat.owner.clone())
        };
        let said = stage.all.zaia.world().data.add_message(&chat, "user", Some(&owner), now_ms() - 120_000, "first words");
        stage.all.bd.world().data.touch_thread(&token, now_ms() - 120_000);
        let future = "2150-01-01T00:00:00.000Z";
        stage.bd.always("/api/v2/chat_message_threads", with_row("thread_id", thread_id, |row| row["updated_at"] = json!("21500101000000")));
        stage.zaia.always("/api/v1/chats?", with_row("id", chat.clone(), move |row| {
            row["updatedAt"] = json!(future);
            row["lastChatMessageCreatedAt"] = json!(future);
        }));
        stage.zaia.always("/api/v1/chat-messages", with_row("id", said.clone(), move |row| row["updatedAt"] = json!(future)));
        assert!(sync(&home).await.code <= 1);
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = 'first words'"), 1);
        let ahead = "SELECT count(*) FROM cursors WHERE json_extract(cursor, '$.unit') = 'ms'
                     AND json_extract(cursor, '$.watermark') > unixepoch() * 1000";
        assert_eq!(home.number(ahead), 0);
        stage.heal();
        // What happens now, in the present, is not kept out.
        stage.all.zaia.world().data.edit_message(&said, now_ms(), "other words");
        stage.all.zaia.world().data.change_chat(&chat, |chat| chat.title = Some("a title".to_owned()));
        stage.all.zaia.world().data.add_message(&chat, "user", Some(&owner), now_ms(), "more words");
        stage.all.bd.world().data.soft_delete_thread(&token, now_ms());
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        stage.all.assert_all_exact(&home);
        assert_eq!(home.rows("SELECT title FROM conversations WHERE title IS NOT NULL AND deleted_at_ms IS NULL AND title = 'a title'"), ["a title"]);
        let deleted = format!("SELECT count(*) FROM conversations WHERE external_id = '{token}' AND deleted_at_ms IS NOT NULL");
        assert_eq!(home.number(&deleted), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p12_a_cursor_that_is_taken_no_longer() {
    play("P12", async {
        let mut data = paged_bd();
        (data.quirks.ignore_filters, data.quirks.ignore_order) = (true, true);
        let stage = Stage::with(data, ZaiaData::new(), paged_sitegpt()).await;
        let bot = bot(&stage);
        let home = stage.home("");
        let list = format!("/api/v2/chatbots/{bot}/conversations?");
        // The second page is refused, in the process that read the first one and in the next.
        let refused = json!({"ok": false, "error": {"code": "CURSOR_NOT_VALID", "message": "expired"}});
        let expired = Fault::Answer(Answer::json(400, &refused));
        stage.sitegpt.next(&list, Fault::Pass);
        stage.sitegpt.next(&list, expired.clone());
        stage.bd.next("/api/v2/chat_message_items", Fault::Pass);
        let done = sync(&home).await;
        assert_eq!(part(&done, "v2")["status"], "ok", "{}", done.stderr);
        assert_same(&copy_of(&home, "v2"), &truth(&stage, "v2"));
        assert_eq!(stage.sitegpt.count(&list), 4, "from the start");
        // For ever: it is said, and the next run begins anew.
        stage.sitegpt.next(&list, Fault::Pass);
        stage.sitegpt.next(&list, expired.clone());
        stage.sitegpt.next(&list, Fault::Pass);
        stage.sitegpt.next(&list, expired);
        let done = sync(&home).await;
        assert_ne!(part(&done, "v2")["status"], "ok", "{}", done.stderr);
        assert!(part(&done, "v2")["error"].as_str().unwrap().contains("expired"), "{}", part(&done, "v2"));
        stage.assert_heals(&home).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p13_two_sources_with_the_same_ids() {
    play("P13", async {
        let stage = Stage::paged().await;
        let other = |config: String, name: &str, new: &str| {
            config.replace(&format!("name = \"{name}\""), &format!("name = \"{new}\""))
        };
        let more = [
            other(stage.bd_source(""), "bd", "other-bd"),
            other(stage.zaia_source(""), "zaia", "other-zaia"),
            other(stage.sitegpt_source("v0", ""), "v0", "other-v0"),
        ];
        let home = Home::new(&format!("{}{}", stage.config(""), more.concat()));
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        stage.all.assert_all_exact(&home);
        for (source, other) in [("bd", "other-bd"), ("zaia", "other-zaia"), ("v0", "other-v0")] {
            assert_same(&copy_of(&home, other), &truth(&stage, source));
        }
        let rev = home.rev();
        assert_eq!(sync(&home).await.code, 0);
        home.assert_still(rev, "neither touches the other");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_a_backfill_cut_short_and_then_a_sync() {
    play("P14", async {
        let stage = Stage::paged().await;
        let home = stage.home("");
        for commits in [5, 12, 60] {
            let mut command = home.command(&["backfill", "--json"], "chatloom=debug");
            command.env("CHATLOOM_FAULTS", format!("{HASTE},crash=commit.done:{commits}"));
            let died = crate::harness::run(command).await;
            assert!(died.stderr.contains("dying as asked"), "{}", died.stderr);
            // Meanwhile life goes on.
            let thread = stage.all.bd.world().data.threads[commits].clone();
            stage.all.bd.world().data.add_message(&thread.token, &thread.owner, now_ms(), "meanwhile");
            let chat = stage.all.zaia.world().data.chats[commits].clone();
            stage.all.zaia.world().data.add_message(&chat.id, "user", Some(&chat.owner), now_ms(), "meanwhile");
            let talk = stage.all.sitegpt.world().data.threads[commits].id.clone();
            stage.all.sitegpt.world().data.add_user(&talk, "meanwhile", now_ms());
        }
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        stage.all.assert_all_exact(&home);
        stage.assert_heals(&home).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_of_ten_thousand_messages_and_one_message_of_ten_megabytes() {
    let mut sitegpt = SitegptData::new();
    let bot = sitegpt.add_chatbot("Shop");
    let thread = sitegpt.add_thread(&bot, NOW_MS);
    for n in 0..10_000 {
        sitegpt.add_user(&thread, &format!("message {n}"), NOW_MS + n);
    }
    let (mut bd, mut zaia) = (BdData::new(), ZaiaData::new());
    let ada = bd.add_user("Ada", "Quill");
    let talk = bd.add_thread(&ada, &ada, NOW_MS);
    // Without a blank at its end, which HTML would lose.
    let large = format!("{}end", "ten megabytes, ".repeat(700_000));
    for n in 0..120 {
        bd.add_message(&talk, &ada, NOW_MS + n * 1_000, if n == 60 { &large } else { "small" });
    }
    let (channel, agent) = (zaia.add_channel("widget", "Widget"), zaia.add_agent("Iris"));
    let owner = zaia.add_external_user(&channel, None, Some("Ada"));
    let chat = zaia.add_chat(Some(&channel), &owner, &agent, NOW_MS);
    for n in 0..3 {
        zaia.add_message(&chat, "user", Some(&owner), NOW_MS + n, if n == 1 { &large } else { "small" });
    }
    let stage = Stage::with(bd, zaia, sitegpt).await;
    let home = stage.home("");
    let done = sync(&home).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    for source in SOURCES {
        // Not `assert_same`: a difference would print all of it.
        assert!(copy_of(&home, source) == truth(&stage, source), "{source}");
    }
    assert_eq!(stage.sitegpt.count(&format!("/api/v2/chatbots/{bot}/conversations/{thread}/messages")), 100);
}

/// The last row of a page says another id, once.
fn leading_past(id: u64) -> Fault {
    Fault::json(move |body| {
        let last = rows(body).and_then(|rows| rows.last_mut());
        last.into_iter().for_each(|row| row["message_id"] = json!(id.to_string()));
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_id_leads_no_reader_past_rows() {
    const MESSAGES: &str = "/api/v2/chat_message_items";
    let mark = "SELECT json_extract(cursor, '$.watermark') FROM cursors WHERE stream = 'messages'";
    // In the middle of the list: far behind its end, and between two rows.
    let further_on = paged_bd().messages[180].id;
    for wrong in [9_007_199_254_740_993, further_on] {
        let stage = Stage::paged().await;
        let home = Home::new(&stage.bd_source(""));
        stage.bd.next(MESSAGES, leading_past(wrong));
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        let whole = truth(&stage, "bd");
        let mut held = copy_of(&home, "bd");
        // The true owner of an id took it back, or nobody has it.
        held.retain(|ids, row| whole.contains_key(ids) || !row.4 && ids.1 != wrong.to_string());
        assert_same(&held, &whole);
        let last = stage.all.bd.world().data.messages.last().unwrap().id;
        assert_eq!(home.number(mark), i64::try_from(last).unwrap());
        assert!(stage.bd.count(MESSAGES) <= 10, "{}", stage.bd.count(MESSAGES));
    }
    // At its end, where only an unfiltered question tells; it is put hourly.
    let stage = Stage::paged().await;
    let home = Home::new(&stage.bd_source(""));
    stage.bd.times(MESSAGES, 3, &Fault::Pass);
    stage.bd.next(MESSAGES, leading_past(9_007_199_254_740_993));
    assert_eq!(sync(&home).await.code, 0);
    assert_eq!(home.number(mark), 9_007_199_254_740_993);
    let (thread, owner) = {
        let thread = &stage.all.bd.world().data.threads[3];
        (thread.token.clone(), thread.owner.clone())
    };
    let news = stage.all.bd.world().data.add_message(&thread, &owner, NOW_MS, "news");
    let connection = rusqlite::Connection::open(home.db()).unwrap();
    connection.execute_batch("UPDATE cursors SET cursor = json_set(cursor, '$.probed_at', 0)").unwrap();
    drop(connection);
    // A pass puts one such question; every list has its turn.
    for _ in 0..3 {
        assert_eq!(sync(&home).await.code, 0);
    }
    let mut held = copy_of(&home, "bd");
    held.retain(|(_, id), _| id != "9007199254740993");
    assert_same(&held, &truth(&stage, "bd"));
    assert_eq!(home.number(mark), i64::try_from(news).unwrap());
}
