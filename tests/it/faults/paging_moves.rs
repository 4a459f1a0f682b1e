//! P: rows that come, go and move while pages are read.

use std::collections::BTreeSet;

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use serde_json::json;

use super::fault::Fault;
use super::json::{rows, truth};
use super::paging::{SOURCES, assert_nothing_wrong};
use super::play;
use super::stage::{HASTE, Stage, sync, sync_with};
use crate::harness::{NOW_MS, assert_same, copy_of};

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
