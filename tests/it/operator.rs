//! What an operator is told when something is not as it should be: the truth, and no more than was asked for is done.

use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, ZaiaSim};
use rusqlite::Connection;
use serde_json::json;

use crate::harness::{Home, NOW_MS, bd_source, demo_worlds, source, zaia_source};
use crate::search::{assert_in_step, found};

struct Shop {
    home: Home,
    bd: BdSim,
    zaia: ZaiaSim,
}

async fn shop() -> Shop {
    let worlds = demo_worlds(6);
    let bd = BdSim::start(worlds.bd).await.unwrap();
    let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
    let home = Home::new(&format!("{}{}", bd_source("directory", &bd), zaia_source("agents", &zaia)));
    home.sync().await;
    Shop { home, bd, zaia }
}

/// A command that must end with this status, and what it says.
async fn told(home: &Home, args: &[&str], code: i32) -> String {
    let done = home.run(args).await;
    assert_eq!(done.code, code, "{args:?}: {}{}", done.stdout, done.stderr);
    format!("{}{}", done.stdout, done.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_store_is_not_taken_for_one_that_is_still_to_come() {
    let home = Home::new(&source("agents", "zaia", "http://127.0.0.1:9", "zaia-key", ""));
    assert!(told(&home, &["check", "--offline"], 0).await.contains("not there yet"));
    let other = Connection::open(home.db()).unwrap();
    other.execute_batch("CREATE TABLE somebody (elses)").unwrap();
    drop(other);
    let before = std::fs::read(home.db()).unwrap();
    for args in [&["check", "--offline"][..], &["status"], &["search", "a"], &["verify", "--offline"], &["sync"]] {
        let said = told(&home, args, 1).await;
        assert!(said.contains("is not a chatloom store"), "{args:?}: {said}");
    }
    assert_eq!(std::fs::read(home.db()).unwrap(), before);

    let device = "[store]\npath = \"/dev/null\"\n";
    home.configure(&format!("{device}{}", source("agents", "zaia", "http://127.0.0.1:9", "zaia-key", "")));
    for args in [&["check", "--offline"][..], &["sync"]] {
        let said = told(&home, args, 1).await;
        assert!(said.contains("/dev/null is not a chatloom store (not a file)"), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_belongs_to_another_provider_s_history_fails_the_check_as_it_fails_the_sync() {
    let shop = shop().await;
    shop.home.configure(&format!("{}{}", bd_source("directory", &shop.bd), zaia_source("directory2", &shop.zaia)));
    told(&shop.home, &["check"], 0).await;
    shop.home.configure(&format!("{}{}", bd_source("agents", &shop.bd), zaia_source("directory", &shop.zaia)));
    for args in [&["check"][..], &["check", "--offline"], &["sync"]] {
        let said = told(&shop.home, args, 1).await;
        assert!(said.contains("the store holds `directory` as a brilliant_directories source"), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_opened_is_not_called_damaged() {
    let shop = shop().await;
    // As root may read everything, a folder stands where SQLite wants to open a file.
    std::fs::create_dir(shop.home.folder.path().join("chatloom.db-wal")).unwrap();
    let said = told(&shop.home, &["verify", "--offline"], 1).await;
    assert!(said.contains("cannot open") && !said.contains("damaged"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_provider_is_not_asked_is_not_said_to_be_complete() {
    let shop = shop().await;
    let agents = zaia_source("agents", &shop.zaia).replace("[[sources]]", "[[sources]]\nenabled = false");
    shop.home.configure(&agents);
    let done = shop.home.run(&["verify", "--json"]).await;
    let sources = json!([{"name": "agents", "gaps": [], "not_asked": "disabled"},
                         {"name": "directory", "gaps": [], "not_asked": "not_configured"}]);
    assert_eq!((done.code, &done.json()["sources"]), (0, &sources));
    let said = told(&shop.home, &["verify"], 0).await;
    assert!(said.contains("agents: no gap known\n  the provider was not asked: the source is disabled"), "{said}");
    assert!(told(&shop.home, &["sync"], 2).await.contains("no source is enabled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_forgotten_in_a_source_that_was_not_meant() {
    let shop = shop().await;
    let home = &shop.home;
    let email = home.rows("SELECT email FROM participants WHERE email IS NOT NULL LIMIT 1").remove(0);
    let before = home.rev();
    for how in [["--email", email.as_str()], ["--phone", "+12025550123"]] {
        let args = [&["forget", "--source", "agents", "--yes"], &how[..]].concat();
        assert!(told(home, &args, 2).await.contains("--source"), "{how:?}");
    }
    let said = told(home, &["forget", "--source", "agent", "--id", "x", "--yes"], 2).await;
    assert!(said.contains("no source `agent`; it has: directory, agents"), "{said}");
    assert_eq!(home.rev(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_without_a_zone_is_refused_and_not_cut_to_its_day() {
    let home = Home::new(&source("agents", "zaia", "http://127.0.0.1:9", "zaia-key", ""));
    for args in [
        &["backfill", "--since", "2026-03-12T23:00"][..],
        &["export", "--format", "csv", "--to", "out", "--until", "2026-03-01T12:00:00"],
        &["stats", "--since", "2026-03-01T12:00"],
    ] {
        let said = told(&home, args, 2).await;
        assert!(said.contains("2026-03-"), "{said}");
    }
    assert!(!home.db().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_does_not_exist_silences_no_error() {
    let shop = shop().await;
    shop.zaia.world().data.key = "another".to_owned();
    let done = shop.home.run_logging(&["sync"], "warning").await;
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("`warning` is no level") && done.stderr.contains("401"), "{}", done.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_written_is_no_success() {
    let shop = shop().await;
    for args in [&["status", "--json"][..], &["stats"], &["search", "--json", "a"], &["sync", "--json"]] {
        let mut command = shop.home.command(args, "error");
        command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let done = tokio::task::spawn_blocking(move || command.stderr(std::process::Stdio::piped()).output());
        let done = done.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{args:?}: {said}");
        assert_eq!(said.matches("cannot write the result").count(), 1, "{args:?}: {said}");
    }
    let rebuilt = shop.home.run(&["search", "rebuild", "--json"]).await.json();
    assert_eq!(rebuilt["messages"], shop.home.number("SELECT count(*) FROM messages"));
}

/// What is left of a word that is made of marks alone is the empty word, which SQLite tells as NULL.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_marks_alone_puts_nothing_out_of_step() {
    let mut zaia = ZaiaData::new();
    let channel = zaia.add_channel("whatsapp", "Shop");
    let (agent, owner) = (zaia.add_agent("Helper"), zaia.add_external_user(&channel, None, None));
    let chat = zaia.add_chat(Some(&channel), &owner, &agent, NOW_MS - 90_000);
    for (text, n) in ["(\u{e51}\u{2022}\u{300}\u{3142}\u{2022}\u{301})\u{648}\u{2727} thanks", "~\u{303}", "ok \u{301}"]
        .into_iter()
        .zip(0_i64..)
    {
        zaia.add_message(&chat, "user", Some(&owner), NOW_MS - 60_000 + n, text);
    }
    let zaia = ZaiaSim::start(zaia).await.unwrap();
    let home = Home::new(&zaia_source("agents", &zaia));
    home.sync().await;
    assert_in_step(&home);
    assert_eq!(home.run(&["verify"]).await.code, 0);
    assert_eq!(found(&home, &["thanks"]).await.len(), 1);
}
