//! An export is whole or not there; it is closed to others; and it holds up nobody who writes.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use chatloom::sim::BdSim;

use super::{ALL, export, files, rows_of};
use crate::daemon::{SOON, until};
use crate::failures::{Everybody, assert_says};
use crate::harness::{Home, NOW_MS, bd_source, demo_worlds, run};

/// A store that takes a debug build a while to export.
async fn large() -> (Home, BdSim) {
    let bd = BdSim::start(demo_worlds(3).bd).await.unwrap();
    let home = Home::new(&bd_source("bd", &bd));
    home.sync().await;
    let store = rusqlite::Connection::open(home.db()).unwrap();
    store
        .execute_batch(
            "INSERT INTO messages (conversation_id, external_id, author_kind, kind, seq, sent_at_ms, body_text, content_hash, rev)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
             SELECT 1, 'more-' || i, 'system', 'text', i, 1772000000000 + i, 'text ' || i, 0, 1 FROM n;
             UPDATE conversation_stats SET messages = messages + 300000 WHERE conversation_id = 1;",
        )
        .unwrap();
    (home, bd)
}

fn start(home: &Home) -> Child {
    let args = ["export", "--format", "csv", "--to", "out"];
    let child = home.command(&args, "chatloom=info").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let part = home.folder.path().join(".out.part");
    until("a first file of its own", SOON, || part.join("messages.csv").exists() && !part.join("people.csv").exists());
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_or_interrupted_nothing_looks_whole_and_the_next_one_is() {
    let (home, _bd) = large().await;
    let (out, part) = (home.folder.path().join("out"), home.folder.path().join(".out.part"));
    let mut child = start(&home);
    let twice = home.run(&["export", "--format", "csv", "--to", "out"]).await;
    assert_eq!(twice.code, 1);
    assert_says(&twice.stderr, &["another export to out is under way"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists() && part.exists(), "what a killed process left has another name");
    // Of another export than those that follow.
    std::fs::write(part.join("people.csv"), "left behind").unwrap();

    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let child = start(&home);
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(code));
        assert_says(&String::from_utf8_lossy(&ended.stderr), &["stopped; nothing is left of this export"]);
        assert!(!out.exists() && !part.exists());
    }
    let made = export(&home, "csv", "out", &[]).await;
    assert_eq!(rows_of(&made, "messages"), home.number("SELECT count(*) FROM v_messages"));
    assert!(!part.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_goes_on_meanwhile_and_the_files_agree_with_each_other() {
    let (home, bd) = large().await;
    let before = home.number("SELECT count(*) FROM v_messages");
    let mut child = start(&home);
    {
        let data = &mut bd.world().data;
        let (thread, owner) = (data.threads[0].token.clone(), data.threads[0].owner.clone());
        for n in 0..20 {
            data.add_message(&thread, &owner, NOW_MS + n, "while you read");
        }
    }
    home.sync().await;
    assert!(child.try_wait().unwrap().is_none(), "the export goes on");
    assert_eq!(home.number("SELECT count(*) FROM v_messages"), before + 20);
    assert!(child.wait().unwrap().success());
    let mut of_messages = csv::Reader::from_path(home.folder.path().join("out/messages.csv")).unwrap();
    assert_eq!(of_messages.records().map(Result::unwrap).count(), usize::try_from(before).unwrap());
    let mut conversations = csv::Reader::from_path(home.folder.path().join("out/conversations.csv")).unwrap();
    let at = conversations.headers().unwrap().iter().position(|name| name == "messages").unwrap();
    let counted: i64 = conversations.records().map(|row| row.unwrap()[at].parse::<i64>().unwrap()).sum();
    assert_eq!(counted, before, "conversations count the messages of the same moment");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_export_is_replaced_when_asked_and_nothing_else_ever_is() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    home.sync().await;
    let out = home.folder.path().join("chatloom-export");
    let usual = home.run(&["export", "--format", "jsonl"]).await;
    assert_eq!(usual.code, 0, "{}", usual.stderr);
    assert_eq!(files(&out), ["conversations.jsonl", "daily.jsonl", "export.json", "messages.jsonl"]);
    let again = home.run(&["export", "--format", "csv"]).await;
    assert_eq!(again.code, 1);
    assert_says(&again.stderr, &["holds an earlier export; --replace", "--to names another folder"]);
    assert!(out.join("messages.jsonl").exists());
    export(&home, "parquet", "chatloom-export", &["--replace", "--what", ALL]).await;
    assert!(!out.join("messages.jsonl").exists() && out.join("hourly.parquet").exists());
    export(&home, "html", "chatloom-export", &["--replace"]).await;
    export(&home, "csv", "chatloom-export", &["--replace"]).await;
    assert_eq!(files(&out), ["conversations.csv", "daily.csv", "export.json", "messages.csv"]);
    let left: Vec<String> = std::fs::read_dir(home.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");

    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    for args in [&["--replace"][..], &[]] {
        let done = home.run(&[&["export", "--format", "csv"], args].concat()).await;
        assert_eq!(done.code, 1);
        assert_says(&done.stderr, &["no export of chatloom (notes.txt)", "nothing was touched"]);
    }
    let store = home.run(&["export", "--format", "csv", "--to", ".", "--replace"]).await;
    assert_eq!(store.code, 1);
    assert!(home.db().exists());
    let nowhere = home.run(&["export", "--format", "csv", "--to", "no/such/folder"]).await;
    assert_eq!(nowhere.code, 1);
    assert_says(&nowhere.stderr, &["cannot write", "check the folder"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_are_closed_to_others_whatever_the_umask() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    home.sync().await;
    for format in ["csv", "jsonl", "parquet", "html"] {
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(assert_cmd::cargo::cargo_bin!("chatloom"));
        shell.args(["export", "--format", format, "--to", format]).current_dir(home.folder.path()).env_clear();
        assert_eq!(run(shell).await.code, 0);
        let root = home.folder.path().join(format);
        assert_eq!(std::fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700, "{format}");
        for path in files(&root) {
            let mut path = root.join(path);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
            while path.pop() && path != root {
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_two_names_the_earlier_export_comes_back() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    home.sync().await;
    export(&home, "csv", "out", &[]).await;
    let mut command = home.command(&["export", "--format", "jsonl", "--to", "out", "--replace"], "chatloom=info");
    command.env("CHATLOOM_FAULTS", "crash=export.made_way:1");
    assert_ne!(run(command).await.code, 0);
    assert!(!home.folder.path().join("out").exists());
    let refused = home.run(&["export", "--format", "jsonl", "--to", "out"]).await;
    assert_eq!(refused.code, 1);
    assert_says(&refused.stderr, &["holds an earlier export"]);
    assert!(home.folder.path().join("out/messages.csv").exists());
    export(&home, "jsonl", "out", &["--replace"]).await;
    assert_eq!(files(&home.folder.path().join("out")).len(), 4);
}

/// A disk that is full as soon as something is written: the part's folder is made, and its files cannot grow.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_files_leaves_nothing() {
    let (home, _bd) = large().await;
    let mut shell = Command::new("sh");
    // Python's way to say "no file above so many bytes, and an error instead of a signal": room for the keys that are
    // sorted, and not for the texts.
    let limited = "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); \
                   resource.setrlimit(resource.RLIMIT_FSIZE, (20000000, 20000000)); os.execv(sys.argv[1], sys.argv[1:])";
    shell.args(["-c", "exec \"$0\" \"$@\""]).arg(crate::python::tool("python")).args(["-c", limited]);
    shell.arg(assert_cmd::cargo::cargo_bin!("chatloom")).args(["export", "--format", "jsonl", "--to", "out"]);
    shell.current_dir(home.folder.path()).env_clear();
    let done = run(shell).await;
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_says(&done.stderr, &["nothing is left of this export"]);
    assert!(!home.folder.path().join("out").exists() && !home.folder.path().join(".out.part").exists());
}
