//! Exports: every format holds what the views hold, says what it is, and is whole or not there.

mod filters;
mod pages;
mod tables;
mod whole;

use std::path::Path;

use crate::failures::Everybody;
use crate::harness::{Home, NOW_MS};

/// Every view that can be exported.
pub(crate) const ALL: &str = "messages,conversations,response_times,daily,hourly,people,sources";

/// What makes trouble in files, and for who opens them.
pub(crate) const HOSTILE: [&str; 14] = [
    "=cmd|' /C calc'!A0",
    "+1-800-555-0100",
    "-1+2",
    "@SUM(A1:A9)",
    "'=1+1",
    "\"quoted\", with, commas",
    "two\nlines\r\nand\rmore",
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "</div></article><!-- & &amp; &#60;script&#62;",
    "pay\u{202e}lap שלום عليكم 👨\u{200d}👩\u{200d}👧 日本語",
    "\u{1b}[2J\u{9b}31m\u{2028}\u{feff}",
    "\t=tab",
    "null",
    "  blanks  ",
];

/// Puts hostile texts wherever providers let strangers write, and one text of ten megabytes.
pub(crate) fn be_hostile(all: &Everybody) {
    {
        let data = &mut all.bd.world().data;
        let (thread, owner) = (data.threads[0].token.clone(), data.threads[0].owner.clone());
        for (n, text) in HOSTILE.iter().enumerate() {
            data.add_message(&thread, &owner, NOW_MS + i64::try_from(n).unwrap() * 1_000, text);
        }
    }
    {
        let data = &mut all.zaia.world().data;
        for text in HOSTILE {
            let channel = data.add_channel("whatsapp", text);
            let (owner, agent) = (data.add_external_user(&channel, None, Some(text)), data.add_agent(text));
            let chat = data.add_chat(Some(&channel), &owner, &agent, NOW_MS);
            data.change_chat(&chat, |chat| chat.title = Some(text.to_owned()));
            data.add_message(&chat, "user", Some(&owner), NOW_MS, text);
            data.add_message(&chat, "assistant", Some(&agent), NOW_MS + 4_000, text);
        }
        let long = "long \"text\", =1\n".repeat(10_000_000 / 16);
        let (owner, agent) = (data.add_external_user("x", None, None), data.add_agent("a"));
        let chat = data.add_chat(None, &owner, &agent, NOW_MS);
        data.add_message(&chat, "user", Some(&owner), NOW_MS, &long);
    }
    let data = &mut all.sitegpt.world().data;
    let bot = data.add_chatbot("=bot");
    data.add_thread_named(&bot, "=thread", NOW_MS);
    data.identify("=thread", Some("=HYPERLINK(\"http://evil.example.test\")"), None, None);
    for text in HOSTILE {
        data.add_normal("=thread", (text, NOW_MS), (text, NOW_MS + 1_000));
    }
}

/// Exports, and insists that it went well; gives the manifest.
pub(crate) async fn export(home: &Home, format: &str, to: &str, more: &[&str]) -> serde_json::Value {
    let done = home
        .run_logging(&[&["export", "--format", format, "--to", to, "--json"], more].concat(), "chatloom=info")
        .await;
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
    let written = std::fs::read_to_string(home.folder.path().join(to).join("export.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(done.json(), written, "what is printed is what is written");
    written
}

/// How many rows of a view a manifest tells of.
pub(crate) fn rows_of(manifest: &serde_json::Value, view: &str) -> i64 {
    let views = manifest["views"].as_array().unwrap();
    views.iter().find(|one| one["name"] == view).unwrap()["rows"].as_i64().unwrap()
}

/// Everything in a folder, relative to it.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}
