//! Content where people look: on terminals, in logs, in a service manager's status.

use chatloom::sim::Fault as SimFault;
use serde_json::{Value, json};

use super::super::play;
use crate::daemon::{Daemon, Manager, SOON, until};
use crate::failures::Everybody;
use crate::harness::{Home, NOW_MS, source};
use crate::terminal::run_on_terminal;

/// What takes over a terminal, each with a mark of its own.
const WILD: [&str; 9] = [
    "\u{1b}[2J\u{1b}[31mansi",
    "\u{1b}]0;osc0\u{7}",
    "\u{1b}]8;;https://evil.example.test\u{1b}\\osc8",
    "\u{1b}]52;c;b3NjNTI=\u{7}",
    "\u{9b}31mc1",
    "\u{9d}0;c1osc\u{9c}",
    "all is well\rfailed",
    "deleted\u{8}\u{8}\u{8}\u{8}",
    "\u{90}dcs\u{98}sos\u{9f}apc\u{7f}",
];

/// Puts a text wherever the three providers let strangers write.
fn write_everywhere(all: &Everybody, text: &str) {
    {
        let data = &mut all.bd.world().data;
        let (thread, owner) = (data.threads[0].token.clone(), data.threads[0].owner.clone());
        data.add_message(&thread, &owner, NOW_MS, text);
        data.users[0].first_name = text.to_owned();
        let id = data.messages[5].id;
        data.change_message(id, |message| {
            message.overrides = vec![("message_id", json!(text)), ("created_at", json!(text))];
        });
    }
    {
        let data = &mut all.zaia.world().data;
        let channel = data.add_channel("whatsapp", text);
        let (owner, agent) = (data.add_external_user(&channel, Some("12025550199"), Some(text)), data.add_agent(text));
        let chat = data.add_chat(Some(&channel), &owner, &agent, NOW_MS);
        data.change_chat(&chat, |chat| chat.title = Some(text.to_owned()));
        data.add_message(&chat, "user", Some(&owner), NOW_MS, text);
    }
    let data = &mut all.sitegpt.world().data;
    let bot = data.add_chatbot(text);
    data.add_thread_named(&bot, "wild-thread", NOW_MS);
    data.change_thread("wild-thread", |thread| (thread.title, thread.page_url) = (Some(text.to_owned()), None));
    data.add_normal("wild-thread", (text, NOW_MS), (text, NOW_MS + 1_000));
    data.add_agent("wild-thread", text, text, NOW_MS + 2_000);
    data.add_system("wild-thread", text, text, NOW_MS + 3_000);
    data.identify("wild-thread", Some(text), None, None);
}

/// Conversations that hold such a text, by their row ids.
fn wild_conversations(home: &Home, mark: &str) -> Vec<String> {
    let held = format!("SELECT DISTINCT conversation_id FROM messages WHERE instr(body_text, '{mark}') ORDER BY 1");
    let ids = home.rows(&held);
    assert!(ids.len() >= 2, "{ids:?}");
    ids
}

/// What chatloom itself tells a terminal: colours and dim text, and how the progress bar moves the cursor.
fn without_our_own(told: &str) -> String {
    let mut rest = told;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let length = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        let (parameters, command) = after.split_at(length);
        let ours = match command.chars().next() {
            Some('m') => matches!(parameters, "0" | "2" | "22" | "31" | "32" | "33" | "34"),
            Some('A' | 'B' | 'C' | 'D' | 'G') => true,
            Some('K' | 'J') => true,
            _ => false,
        };
        assert!(ours, "ESC [ {parameters}{command:?} is not ours: {told:?}");
        rest = command.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[track_caller]
fn assert_tame(told: &str, what: &str) {
    let left = without_our_own(&told.replace("\r\n", "\n"));
    for c in ['\u{1b}', '\u{7}', '\u{8}', '\u{7f}', '\u{90}', '\u{98}', '\u{9b}', '\u{9c}', '\u{9d}', '\u{9f}'] {
        assert!(!left.contains(c), "{what}: {c:?} in {left:?}");
    }
    // The progress bar goes back to the beginning of its line; what strangers wrote does not.
    assert!(!left.contains("all is well\rfailed"), "{what}: {left:?}");
    assert!(!told.contains("\u{1b}[2J"), "{what}: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_content_steers_a_terminal() {
    play("I4", async {
        let all = Everybody::start().await;
        let text = WILD.concat();
        write_everywhere(&all, &text);
        let home = Home::new(&all.config());
        for args in [&["sync"][..], &["check"], &["sync", "--full", "--log-format", "json"]] {
            let (_, told) = run_on_terminal(home.command(args, "chatloom=trace")).await;
            assert!(!told.is_empty(), "{args:?}");
            assert_tame(&told, &format!("{args:?}"));
        }
        let wild = wild_conversations(&home, "osc8");
        let mut marks = 0;
        for id in &wild {
            let (code, told) = run_on_terminal(home.command(&["show", id], "chatloom=trace")).await;
            assert_eq!(code, 0, "{told}");
            assert_tame(&told, id);
            marks += told.matches("osc8").count();
            let json = home.run(&["show", id, "--json"]).await;
            assert!(!json.stdout.contains(|c: char| c.is_control() && c != '\n'), "{}", json.stdout);
            let told = json.json()["messages"].to_string();
            let exact: Value = serde_json::from_str(&told).unwrap();
            // A directory's messages are HTML, which knows no carriage return.
            let is_exact = exact.as_array().unwrap().iter().any(|line| line["body_text"] == text);
            assert!(is_exact || json.json()["conversation"]["source"] == "bd", "{told}");
        }
        assert!(marks > 0, "the texts are shown, and only their commands are not");

        // Refusals that quote a provider; a record that cannot be read; everything that tells of them.
        let refusal = SimFault::Status(400, json!({"message": text, "error": text}), vec![]);
        all.bd.world().faults("/api/v2/chat_message_threads", 4, &refusal);
        all.zaia.world().faults("/api/v1/chats", 4, &refusal);
        all.sitegpt.world().faults("/api/", 8, &refusal);
        for args in [&["sync"][..], &["status"], &["verify"], &["retry"], &["status", "--json"]] {
            let (_, told) = run_on_terminal(home.command(args, "chatloom=trace")).await;
            assert_tame(&told, &format!("{args:?}"));
        }
        // Not even what was pasted into the command line.
        let pasted = format!("nobody{}", WILD.concat());
        for args in [&["forget", "--id", &pasted][..], &["show", &pasted], &["frobnicate", &pasted], &["sync", &pasted]]
        {
            let (code, told) = run_on_terminal(home.command(args, "chatloom=trace")).await;
            assert!(matches!(code, 1 | 2), "{args:?}: {told}");
            assert_tame(&told, &format!("{args:?}"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_content_hides_and_turns_around() {
    play("I5", async {
        let all = Everybody::start().await;
        let flood = "\u{301}".repeat(10_000);
        let text = format!("pay\u{202e}lap\u{2066}x\u{2069}\u{200b}\u{200f}\u{feff}\u{ad}\u{e0041}\u{2028}z{flood}end");
        write_everywhere(&all, &text);
        let home = Home::new(&all.config());
        home.run(&["sync"]).await;
        for id in wild_conversations(&home, "pay\u{202e}lap") {
            let shown = home.run(&["show", &id]).await;
            assert_eq!(shown.code, 0, "{}", shown.stderr);
            let hidden = |c: char| chatloom::telemetry::is_wild(c) && c != '\n';
            assert!(!shown.stdout.contains(hidden), "{:?}", shown.stdout.matches(hidden).collect::<Vec<_>>());
            assert!(!shown.stdout.contains(&"\u{301}".repeat(9)), "a flood is stemmed");
            assert!(shown.stdout.contains("pay\u{fffd}lap"), "{}", shown.stdout);
            let json = home.run(&["show", &id, "--json"]).await;
            assert!(!json.stdout.contains(hidden), "{}", json.stdout);
            let exact = json.json();
            let lines = exact["messages"].as_array().unwrap();
            assert!(lines.iter().any(|line| line["body_text"] == text.as_str()), "kept as it is");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_value_has_line_breaks() {
    play("I7", async {
        let all = Everybody::start().await;
        let text = "one\nREADY=0\n<3>forged\r\nX-Forged: 1\u{2028}two\u{85}three\u{b}four";
        write_everywhere(&all, text);
        let home = Home::new(&all.config());
        let reason = SimFault::Status(400, json!({"message": text}), vec![]);
        for format in ["text", "json"] {
            all.zaia.world().faults("/api/v1/chats", 2, &reason);
            let done = home.run_logging(&["sync", "--full", "--log-format", format], "chatloom=trace").await;
            for line in done.stderr.split(['\n', '\r', '\u{b}', '\u{85}', '\u{2028}']).filter(|line| !line.is_empty()) {
                let begins = if format == "json" { line.starts_with("{\"") } else { line.starts_with("20") };
                assert!(begins, "{line}");
            }
            assert!(done.stdout.contains("one READY=0 <3>forged") || done.code == 1, "{}", done.stdout);
        }

        let often = "poll = \"1s\"\n";
        let managed = Home::new(&format!("{}{often}", crate::harness::zaia_source("zaia", &all.zaia)));
        all.zaia.world().faults("/api/v1/chats", 60, &reason);
        let manager = Manager::new(&managed);
        let daemon = Daemon::start_managed(&managed, &manager, std::time::Duration::from_secs(20), "");
        until("the trouble is told", SOON, || manager.heard().iter().any(|line| line.contains("failing")));
        daemon.end();
        for line in manager.heard() {
            let known = ["READY=1", "STATUS=", "WATCHDOG=1", "STOPPING=1", "RELOADING=1", "MONOTONIC_USEC="];
            assert!(known.iter().any(|word| line.starts_with(word)), "{line:?}");
            assert!(!line.contains("forged"), "{line:?}");
        }

        for key in ["a-key-00\\nX-Forged: 1", "a-key-00\\r\\n", "a-key-00\\u0000"] {
            let home = Home::new(&source("zaia", "zaia", &all.zaia.base_url(), key, ""));
            let done = home.run(&["sync"]).await;
            let ends_there = key.ends_with("\\r\\n");
            assert_eq!(done.code, if ends_there { 1 } else { 2 }, "{key}: {}", done.stderr);
        }
        let forged = all.zaia.world().log.iter().any(|one| one.request.header("x-forged").is_some());
        assert!(!forged);
    })
    .await;
}
