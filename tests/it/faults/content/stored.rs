//! Content in the store.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::fault::{Answer, Fault};
use super::super::play;
use super::super::stage::Stage;
use crate::failures::{Everybody, assert_says};
use crate::harness::{Home, NOW_MS, source};

const SQL: [&str; 6] = [
    "'; DROP TABLE messages; --",
    "\"); DELETE FROM conversations; --",
    "x' OR '1'='1",
    "?1 :name $x @y %s {} \\",
    "messages",
    "a\u{1a}b\u{feff}\u{10ffff}",
];

#[tokio::test(flavor = "multi_thread")]
async fn i1_content_is_sql() {
    play("I1", async {
        let all = Everybody::start().await;
        let home = Home::new(&all.config());
        home.sync().await;
        let schema = home.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2");
        {
            let data = &mut all.bd.world().data;
            let (thread, owner) = (data.threads[0].token.clone(), data.threads[0].owner.clone());
            for (n, text) in SQL.iter().enumerate() {
                data.add_message(&thread, &owner, NOW_MS + i64::try_from(n).unwrap() * 1_000, text);
            }
            data.add_thread("o'brien\"; DROP TABLE x; --", "1", NOW_MS);
        }
        {
            let data = &mut all.zaia.world().data;
            let name = "Robert'); DROP TABLE participants; --";
            let channel = data.add_channel("whatsapp", "ch'annel\"; --");
            let (owner, agent) =
                (data.add_external_user(&channel, Some("1' OR 1=1"), Some(name)), data.add_agent(name));
            let chat = data.add_chat(Some(&channel), &owner, &agent, NOW_MS);
            data.change_chat(&chat, |chat| chat.title = Some("ti'tle\"; --".to_owned()));
            for (n, text) in SQL.iter().enumerate() {
                data.add_message(&chat, "user", Some(&owner), NOW_MS + i64::try_from(n).unwrap() * 1_000, text);
            }
        }
        {
            let data = &mut all.sitegpt.world().data;
            let bot = data.add_chatbot("bot'; DROP TABLE channels; --");
            data.add_thread_named(&bot, "thread'; --", NOW_MS);
            for (n, text) in SQL.iter().enumerate() {
                data.add_normal("thread'; --", (text, NOW_MS + i64::try_from(n).unwrap() * 2_000), (text, NOW_MS));
            }
            data.identify("thread'; --", Some("na'me"), Some("x'@example.test"), None);
        }
        home.sync_with(&["--full"]).await;
        all.assert_all_exact(&home);
        assert_eq!(home.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2"), schema);
        for args in [&["show", "thread'; --"][..], &["show", "x' OR '1'='1"], &["status", "--source", "x'; --"]] {
            let told = home.run(args).await;
            assert!(!told.stderr.to_ascii_lowercase().contains("syntax"), "{args:?}: {}", told.stderr);
        }
        for name in ["a'; DROP TABLE sources; --", "a b", "../a", "a\\nb", ""] {
            let home = Home::new(&source(name, "zaia", &all.zaia.base_url(), "zaia-key", ""));
            let done = home.run(&["sync"]).await;
            assert_eq!(done.code, 2, "{name}: {}", done.stderr);
            assert_says(&done.stderr, &["name"]);
            assert!(!home.db().exists());
        }
    })
    .await;
}

/// Gives every message these attachments.
fn attach(body: &mut Value, files: &Value) {
    match body {
        Value::Object(fields) if fields.contains_key("content") && fields.contains_key("role") => {
            fields.insert("attachments".to_owned(), files.clone());
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| attach(value, files)),
        Value::Array(items) => items.iter_mut().for_each(|item| attach(item, files)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_attachments_have_names() {
    play("I8", async {
        let stage = Stage::start().await;
        let elsewhere = tokio::net::TcpListener::bind(("127.0.0.2", 0)).await.unwrap();
        let private = format!("http://{}/a.png", elsewhere.local_addr().unwrap());
        let long = "x".repeat(5_000);
        let files = json!([
            {"url": private, "name": "../../x", "mimeType": "image/png"},
            {"url": "https://169.254.169.254/latest", "name": "C:\\x"},
            {"url": "https://cdn.example.test/a", "name": "a\u{0}b"},
            {"url": "https://cdn.example.test/b", "name": long},
            {"url": "file:///etc/passwd", "name": "passwd"},
            {"url": "javascript:alert(1)", "name": "/etc/cron.d/x"}
        ]);
        stage.zaia.always(
            "/api/v1/chat-messages",
            Fault::Edit(Arc::new(move |answer: &mut Answer| {
                if let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) {
                    attach(&mut body, &files);
                    answer.body = body.to_string().into_bytes();
                }
            })),
        );
        let home = stage.home("");
        home.sync().await;
        let kept = home.rows("SELECT DISTINCT url, name FROM attachments");
        for name in ["../../x", "C:\\x", "a\u{0}b", &long, "passwd", "/etc/cron.d/x"] {
            assert!(kept.iter().any(|row| row.ends_with(&format!("|{name}"))), "{name:?} in {kept:?}");
        }
        let addresses = home.rows("SELECT url FROM attachments WHERE url IS NOT NULL UNION SELECT url FROM citations");
        assert!(
            addresses.iter().all(|url| !url.starts_with("file:") && !url.starts_with("javascript:")),
            "{addresses:?}"
        );
        let here: Vec<String> = std::fs::read_dir(home.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("chatloom"))
            .collect();
        assert!(here.iter().all(|name| name.contains("lock") || name.starts_with('.')), "{here:?}");
        let met = tokio::time::timeout(std::time::Duration::ZERO, elsewhere.accept()).await;
        assert!(met.is_err(), "nobody connected there");
    })
    .await;
}
