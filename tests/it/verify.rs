//! `chatloom verify`: the file, and what it misses.

use std::io::{Seek as _, SeekFrom, Write as _};

use chatloom::sim::{BdSim, ZaiaSim};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Home, NOW_MS, bd_source, demo_worlds, zaia_source};

async fn verified(home: &Home, more: &[&str]) -> (i32, Value) {
    let run = home.run(&[&["verify", "--json"], more].concat()).await;
    (run.code, run.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gap_has_a_name() {
    let worlds = demo_worlds(6);
    let bd = BdSim::start(worlds.bd).await.unwrap();
    let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
    let home = Home::new(&format!("{}{}", bd_source("directory", &bd), zaia_source("agents", &zaia)));
    assert_eq!(home.run(&["verify"]).await.code, 1, "there is no file yet");
    assert_eq!(home.run(&["sync"]).await.code, 0);
    let whole = json!({"ok": true, "integrity": "ok", "search": "ok", "sources":
        [{"name": "directory", "gaps": []}, {"name": "agents", "gaps": []}]});
    let before = bd.world().requests();
    assert_eq!(verified(&home, &[]).await, (0, whole.clone()));
    assert_eq!(bd.world().requests() - before, 2, "one question per list");

    // What came since the last sync is a gap until the next one, unless nobody is asked.
    let thread = bd.world().data.threads[0].clone();
    bd.world().data.add_message(&thread.token, &thread.owner, NOW_MS, "one more");
    let have = home.number(
        "SELECT count(*) FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
                            JOIN sources AS s ON s.id = c.source_id AND s.name = 'directory'",
    );
    let (code, report) = verified(&home, &[]).await;
    let gap =
        json!({"conversation": null, "stream": "messages", "have": have, "provider": have + 1, "reason": "count"});
    assert_eq!((code, &report["sources"][0]["gaps"], &report["ok"]), (1, &json!([gap]), &json!(false)));
    assert_eq!(verified(&home, &["--offline"]).await, (0, whole));
    let told = home.run(&["verify"]).await;
    assert!(told.stdout.contains("all messages") && told.stdout.contains("agents: no gap"), "{}", told.stdout);

    // Rows that the provider deleted softly are listed by it; those that it dropped are not.
    bd.world().data.soft_delete_thread(&thread.token, NOW_MS);
    let dropped = bd.world().data.messages[3].id;
    bd.world().data.remove_message(dropped);
    for _ in 0..2 {
        assert_eq!(home.run(&["sync", "--full"]).await.code, 0);
    }
    let (code, report) = verified(&home, &[]).await;
    assert_eq!(code, 0, "{report}");

    let connection = Connection::open(home.db()).unwrap();
    connection
        .execute_batch(
            "UPDATE conversations SET complete = 0, incomplete_reason = 'limit' WHERE id =
               (SELECT min(c.id) FROM conversations AS c JOIN sources AS s ON s.id = c.source_id AND s.name = 'agents')",
        )
        .unwrap();
    drop(connection);
    let (code, report) = verified(&home, &["--source", "agents"]).await;
    assert_eq!((code, report["sources"].as_array().unwrap().len()), (1, 1));
    let gap = &report["sources"][0]["gaps"][0];
    assert_eq!((&gap["reason"], &gap["provider"], gap.get("stream")), (&json!("limit"), &Value::Null, None));
    assert!(gap["have"].as_i64().unwrap() > 0 && gap["conversation"].is_string());
    assert_eq!(home.run(&["verify", "--source", "nobody"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_asked_is_no_provider_without_gaps() {
    let bd = BdSim::start(demo_worlds(6).bd).await.unwrap();
    let home = Home::new(&bd_source("directory", &bd));
    assert_eq!(home.run(&["sync"]).await.code, 0);
    bd.world().data.key = "another".to_owned();
    let (code, report) = verified(&home, &[]).await;
    assert_eq!((code, &report["ok"], &report["integrity"]), (1, &json!(false), &json!("ok")));
    assert!(report["sources"][0]["error"].as_str().unwrap().contains("401"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_never_read_is_a_gap() {
    let bd = BdSim::start(demo_worlds(6).bd).await.unwrap();
    let zaia = ZaiaSim::start(demo_worlds(6).zaia).await.unwrap();
    let home = Home::new(&format!("{}{}", bd_source("directory", &bd), zaia_source("agents", &zaia)));
    assert_eq!(home.run(&["sync", "--source", "directory"]).await.code, 0);
    let (code, report) = verified(&home, &[]).await;
    assert_eq!((code, &report["sources"][1]["gaps"][0]["reason"]), (1, &json!("first_pass")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_called_damaged() {
    let bd = BdSim::start(demo_worlds(6).bd).await.unwrap();
    let home = Home::new(&bd_source("directory", &bd));
    assert_eq!(home.run(&["sync"]).await.code, 0);
    let connection = Connection::open(home.db()).unwrap();
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; UPDATE messages SET conversation_id = 99999 WHERE id < 4")
        .unwrap();
    drop(connection);
    let (code, report) = verified(&home, &["--offline"]).await;
    assert_eq!(code, 1);
    assert_eq!(report["integrity"], "3 rows of messages refer to rows of conversations that are not there");

    // Somebody wrote over a third of the file.
    let size = std::fs::metadata(home.db()).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(home.db()).unwrap();
    file.seek(SeekFrom::Start(size / 3)).unwrap();
    file.write_all(&vec![0xAB; usize::try_from(size / 3).unwrap()]).unwrap();
    drop(file);
    let (code, report) = verified(&home, &["--offline"]).await;
    assert_eq!(code, 1);
    assert_ne!(report["integrity"], "ok");
    let told = home.run(&["verify", "--offline"]).await;
    assert_eq!(told.code, 1);
    assert!(told.stdout.starts_with("The file is damaged:"), "{}", told.stdout);
}
