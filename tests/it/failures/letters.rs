//! Records that make no row: kept whole with the reason, told in the exit status, and settled once they do.

use chatloom::sim::{Answer, BdSim, Fault, SitegptSim, ZaiaSim, demo};
use serde_json::json;

use super::part;
use crate::harness::{Home, NOW_MS, assert_same, bd_source, copy_of, sitegpt_source, wanted, zaia_source};

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_among_good_ones_is_kept_until_it_is_repaired() {
    let mut data = demo::large_bd(1, 250, NOW_MS);
    let bad = data.messages[120].id;
    data.change_message(bad, |message| message.overrides = vec![("message_content", json!({"not": ["a", "text"]}))]);
    let bd = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("bd", &bd));

    let done = home.run(&["sync", "--json"]).await;
    assert_eq!(done.code, 1);
    let report = done.json();
    assert_eq!((&part(&report, "bd")["status"], &part(&report, "bd")["dead_letters"]), (&"partial".into(), &1.into()));
    let mut rest = wanted(&bd.world().data.truth());
    rest.retain(|(_, id), _| *id != bad.to_string());
    assert_same(&copy_of(&home, "bd"), &rest);
    let letter = "SELECT stream, external_id, stage, error, json_extract(body, '$.message_content.not[1]'), resolved_at
                  FROM dead_letters";
    let told = home.rows(letter);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with(&format!("messages|{bad}|decode|$.message_content: ")), "{told:?}");
    assert!(told[0].ends_with("|text|-"), "the raw body is kept: {told:?}");
    assert_eq!(home.rows("SELECT status, dead FROM sync_runs"), ["partial|1"]);
    assert_eq!(home.rows("SELECT dead_letters FROM v_sources"), ["1"]);

    // The same record, read again, is the same letter.
    let again = home.run(&["sync", "--json", "--full"]).await;
    assert_eq!(again.code, 1);
    assert_eq!(home.number("SELECT count(*) FROM dead_letters"), 1);

    bd.world().data.change_message(bad, |message| message.overrides.clear());
    home.sync_with(&["--full"]).await;
    assert_same(&copy_of(&home, "bd"), &wanted(&bd.world().data.truth()));
    assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0);
    assert_eq!(home.number("SELECT count(*) FROM dead_letters"), 1, "settled, and still on record");
    assert_eq!(home.rows("SELECT dead_letters FROM v_sources"), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_without_an_id_are_kept_too() {
    let mut data = demo::large_bd(1, 150, NOW_MS);
    let bad = data.messages[20].id;
    data.change_message(bad, |message| message.overrides = vec![("message_id", json!(null))]);
    let bd = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("bd", &bd));
    let done = home.run(&["sync", "--json"]).await;
    assert_eq!(done.code, 1, "{}", done.stdout);
    let mut rest = wanted(&bd.world().data.truth());
    rest.retain(|(_, id), _| *id != bad.to_string());
    assert_same(&copy_of(&home, "bd"), &rest);
    let told = home.rows("SELECT stream, external_id, stage, error, instr(body, 'message 0') > 0 FROM dead_letters");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("messages|-|normalise|$.message_id: "), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_message_takes_nothing_of_its_conversation_with_it() {
    let (zaia, sitegpt) = (demo::large_zaia(1, 5, NOW_MS), demo::large_sitegpt(1, 3, NOW_MS));
    let chat = zaia.chats[0].id.clone();
    let ids: Vec<String> = zaia.messages.iter().map(|message| message.id.clone()).collect();
    let (bot, thread) = (sitegpt.threads[0].chatbot.clone(), sitegpt.threads[0].id.clone());
    let rows: Vec<String> = sitegpt.threads[0].messages.iter().map(|message| message.id.clone()).collect();
    let zaia = ZaiaSim::start(zaia).await.unwrap();
    let sitegpt = SitegptSim::start(sitegpt).await.unwrap();
    let home = Home::new(&format!("{}{}", zaia_source("zaia", &zaia), sitegpt_source("v0", &sitegpt, "v0")));

    let at = "2024-03-01T12:00:00.000Z";
    let message = |id: &String, content| json!({"id": id, "chatId": chat, "createdAt": at, "updatedAt": at, "content": content, "role": "user"});
    let list = json!([message(&ids[0], json!("fine")), message(&ids[1], json!({"blocks": []}))]);
    zaia.world().fault("/api/v1/chat-messages", Fault::Raw(Answer::json(200, &list)));
    let told = json!({"success": true, "message": "", "data": {"thread": {
        "threadId": thread, "chatbotId": bot, "messages": [
            {"messageId": rows[0], "messageType": "NORMAL_MESSAGE", "question": 17, "answer": null},
            {"messageId": rows[1], "messageType": "USER_MESSAGE", "question": {"text": "fine", "timestamp": at}}]}}});
    sitegpt.world().fault(&format!("/api/v0/chatbots/{bot}/threads/{thread}"), Fault::Raw(Answer::json(200, &told)));

    let done = home.run(&["sync", "--json"]).await;
    assert_eq!(done.code, 1, "{}", done.stdout);
    for source in done.json()["sources"].as_array().unwrap() {
        assert_eq!((&source["status"], &source["dead_letters"]), (&"partial".into(), &1.into()), "{source}");
    }
    assert_eq!(home.rows("SELECT body_text FROM messages"), ["fine", "fine"]);
    let told = home.rows("SELECT stage, error, body FROM dead_letters ORDER BY source_id");
    assert!(told[0].starts_with("decode|$.content: ") && told[0].contains(&ids[1]), "{told:?}");
    assert!(told[1].starts_with("decode|$.question: ") && told[1].contains(&rows[0]), "{told:?}");

    home.sync_with(&["--full"]).await;
    assert_same(&copy_of(&home, "zaia"), &wanted(&zaia.world().data.truth()));
    assert_same(&copy_of(&home, "v0"), &wanted(&sitegpt.world().data.truth()));
    assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_without_an_id_is_settled_once_a_full_pass_finds_no_such_record() {
    let mut data = demo::large_bd(1, 150, NOW_MS);
    let bad = data.messages[20].id;
    data.change_message(bad, |message| message.overrides = vec![("message_id", json!(null))]);
    let bd = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("bd", &bd));
    home.run(&["sync", "--json"]).await;
    bd.world().data.change_message(bad, |message| message.overrides.clear());
    home.sync_with(&["--full"]).await;
    assert_same(&copy_of(&home, "bd"), &wanted(&bd.world().data.truth()));
    assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0);
}
