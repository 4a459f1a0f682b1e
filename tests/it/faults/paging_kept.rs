//! P: what is kept of what changed, and of what was read halfway.

use chatloom::sim::bd::BdData;
use chatloom::sim::demo::{evolve_bd, evolve_sitegpt, evolve_zaia};
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use serde_json::json;

use super::fault::{Answer, Fault};
use super::json::{rows, truth, with_row};
use super::paging::{SOURCES, bot, paged_bd, paged_sitegpt};
use super::play;
use super::stage::{HASTE, Stage, part, sync};
use crate::harness::{Home, NOW_MS, assert_same, copy_of, now_ms};

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
