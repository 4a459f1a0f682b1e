//! Conversations that are known or suspected to lack messages say so, and why.

use chatloom::sim::{Answer, BdSim, Fault, ZaiaSim, demo};
use serde_json::json;

#[cfg(debug_assertions)]
use crate::harness::output;
use crate::harness::{Home, NOW_MS, bd_source, zaia_source};

const REASONS: &str =
    "SELECT complete, coalesce(incomplete_reason, 'none'), count(*) FROM conversations GROUP BY 1, 2 ORDER BY 1, 2";
const MESSAGES: &str = "/api/v2/chat_message_items/get";

async fn gaps(home: &Home) -> Vec<(Option<String>, String)> {
    let told = home.run(&["verify", "--offline", "--json"]).await;
    let told = told.json();
    let gaps = told["sources"][0]["gaps"].as_array().unwrap();
    assert_eq!(told["ok"].as_bool(), Some(gaps.is_empty()), "{told}");
    gaps.iter()
        .map(|gap| (gap["conversation"].as_str().map(str::to_owned), gap["reason"].as_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn until_the_list_of_messages_was_read_no_conversation_of_it_is_complete() {
    let bd = BdSim::start(demo::large_bd(1, 150, NOW_MS)).await.unwrap();
    let home = Home::new(&bd_source("bd", &bd));
    bd.world().forbid(MESSAGES);
    assert_eq!(home.run(&["sync"]).await.code, 1);
    let all = home.number("SELECT count(*) FROM conversations");
    assert!(all > 3, "{all}");
    assert_eq!(home.rows(REASONS), [format!("0|unread|{all}")]);
    assert_eq!(home.number("SELECT incomplete FROM v_sources"), all);
    assert_eq!(gaps(&home).await, [(None, "first_pass".to_owned())], "one gap tells it of all");
    let before = home.number("SELECT max(rev) FROM conversations");

    bd.world().allow(MESSAGES);
    home.sync().await;
    assert_eq!(home.rows(REASONS), [format!("1|none|{all}")]);
    assert_eq!(gaps(&home).await, []);
    let told = format!("SELECT count(DISTINCT rev) FROM conversations WHERE rev > {before}");
    assert_eq!(home.number(&told), all, "the change feed has each");
    assert_eq!(
        home.number("SELECT rev FROM change_counter"),
        home.number("SELECT max(rev) FROM (SELECT rev FROM conversations UNION ALL SELECT rev FROM messages UNION ALL SELECT rev FROM participants)")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_pass_met_without_its_messages_is_suspected() {
    let bd = BdSim::start(demo::large_bd(1, 150, NOW_MS)).await.unwrap();
    let home = Home::new(&bd_source("bd", &bd));
    home.sync().await;
    let (thread, number) = {
        let mut world = bd.world();
        let owner = world.data.threads[0].owner.clone();
        let thread = world.data.add_thread(&owner, "", NOW_MS);
        let number = world.data.add_message(&thread, &owner, NOW_MS + 1000, "is anybody there?");
        world.forbid(MESSAGES);
        (thread, number)
    };
    assert_eq!(home.run(&["sync"]).await.code, 1);
    let lacking = "SELECT external_id, incomplete_reason FROM conversations WHERE complete = 0";
    assert_eq!(home.rows(lacking), [format!("{thread}|unread")]);
    assert_eq!(gaps(&home).await, [(Some(thread), "unread".to_owned())]);
    bd.world().allow(MESSAGES);
    home.sync().await;
    assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), 0);
    assert_eq!(home.number(&format!("SELECT count(*) FROM messages WHERE external_id = '{number}'")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_lacks_its_dead_letters_until_they_are_settled() {
    let mut data = demo::large_bd(1, 150, NOW_MS);
    let (bad, thread) = (data.messages[50].id, data.messages[50].thread_token.clone());
    data.change_message(bad, |message| message.overrides = vec![("message_content", json!({"not": ["a", "text"]}))]);
    let bd = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("bd", &bd));
    let lacking = "SELECT external_id, incomplete_reason FROM conversations WHERE complete = 0";
    for full in [false, false, true] {
        let done = home.run(if full { &["sync", "--full"] } else { &["sync"] }).await;
        assert_eq!(done.code, i32::from(full || home.number("SELECT count(*) FROM sync_runs") == 1), "{}", done.stderr);
        assert_eq!(home.rows(lacking), [format!("{thread}|dead_letter")]);
        assert_eq!(gaps(&home).await, [(Some(thread.clone()), "dead_letter".to_owned())]);
    }
    bd.world().data.change_message(bad, |message| message.overrides.clear());
    home.sync_with(&["--full"]).await;
    assert_eq!((home.rows(lacking), gaps(&home).await), (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_that_is_fetched() {
    let data = demo::large_zaia(1, 1, NOW_MS);
    let chat = data.chats[0].id.clone();
    let iso = |ms| jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
    let own = data.messages.iter().filter(|message| message.chat == chat).enumerate();
    let list: Vec<serde_json::Value> = own
        .map(|(place, message)| {
            let content = if place == 0 { json!({"blocks": []}) } else { json!(message.content) };
            let (made, changed) = (iso(message.created_ms), iso(message.updated_ms));
            json!({"id": message.id, "chatId": chat, "createdAt": made, "updatedAt": changed, "content": content, "role": message.role})
        })
        .collect();
    let zaia = ZaiaSim::start(data).await.unwrap();
    let home = Home::new(&zaia_source("zaia", &zaia));
    zaia.world().fault("/api/v1/chat-messages", Fault::Raw(Answer::json(200, &json!(list))));
    assert_eq!(home.run(&["sync"]).await.code, 1);
    let lacking = "SELECT external_id, incomplete_reason FROM conversations WHERE complete = 0";
    assert_eq!(home.rows(lacking), [format!("{chat}|dead_letter")]);
    assert_eq!(gaps(&home).await, [(Some(chat.clone()), "dead_letter".to_owned())]);
    // What stands in the letter cannot be read any better by itself.
    home.run(&["retry"]).await;
    assert_eq!(home.rows(lacking), [format!("{chat}|dead_letter")]);
    home.sync_with(&["--full"]).await;
    assert_eq!((home.rows(lacking), gaps(&home).await), (Vec::new(), Vec::new()));
    assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0);
}

/// Broken in one answer, then as it was stored, or gone: the letter is settled either way.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_settled_when_its_record_is_as_it_was_or_gone() {
    for gone in [false, true] {
        let data = demo::large_bd(1, 150, NOW_MS);
        let bad = data.messages[50].id;
        let bd = BdSim::start(data).await.unwrap();
        let home = Home::new(&bd_source("bd", &bd));
        home.sync().await;
        let broken = vec![("message_content", json!({"not": ["a", "text"]}))];
        bd.world().data.change_message(bad, |message| message.overrides = broken);
        assert_eq!(home.run(&["sync", "--full"]).await.code, 1);
        assert_eq!(home.number("SELECT count(*) FROM conversations WHERE incomplete_reason = 'dead_letter'"), 1);
        if gone {
            bd.world().data.messages.retain(|message| message.id != bad);
        } else {
            bd.world().data.change_message(bad, |message| message.overrides.clear());
        }
        home.sync_with(&["--full"]).await;
        assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), 0, "{gone}");
        assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0, "{gone}");
        assert_eq!(gaps(&home).await, []);
    }
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_met_that_was_killed_is_suspected_until_the_messages_were_read() {
    let bd = BdSim::start(demo::large_bd(1, 150, NOW_MS)).await.unwrap();
    let home = Home::new(&bd_source("bd", &bd));
    home.sync().await;
    let thread = {
        let mut world = bd.world();
        let owner = world.data.threads[0].owner.clone();
        let thread = world.data.add_thread(&owner, "", NOW_MS);
        world.data.add_message(&thread, &owner, NOW_MS + 1000, "is anybody there?");
        thread
    };
    let lacking = "SELECT external_id, incomplete_reason FROM conversations WHERE complete = 0";
    // It dies when it has stored the threads, and asks for messages.
    for commits in 1..20 {
        let mut command = home.command(&["sync"], "chatloom=info");
        command.env("CHATLOOM_FAULTS", format!("crash=commit.done:{commits}"));
        let ended = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
        assert_eq!(ended.status.code(), None);
        if home.number("SELECT count(*) FROM messages WHERE body_text = 'is anybody there?'") == 1 {
            panic!("it died too late");
        }
        if home.rows(lacking) == [format!("{thread}|unread")] {
            break;
        }
    }
    assert_eq!(home.rows(lacking), [format!("{thread}|unread")], "it died when it had met the thread");
    bd.world().forbid(MESSAGES);
    assert_eq!(home.run(&["sync"]).await.code, 1);
    assert_eq!(home.rows(lacking), [format!("{thread}|unread")]);
    bd.world().allow(MESSAGES);
    home.sync().await;
    assert_eq!(home.rows(lacking), Vec::<String>::new());
}
