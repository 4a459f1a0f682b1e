//! Erasing somebody whom only dead letters name, or whose id is too short to be looked for, and copies half made.

use std::path::Path;

use chatloom::sim::BdSim;
use chatloom::sim::bd::{BdData, TokenLookup};
use serde_json::json;

use crate::harness::{Home, NOW_MS, bd_source};

const EMAIL: &str = "marisol.quintanilla@example.test";
const PART: &str = ".chatloom-20260302T120000.000Z.db.part";

/// A message that no row can be made of.
fn unreadable(data: &mut BdData, thread: &str, author: &str, text: &str) {
    let id = data.add_message(thread, author, NOW_MS - 10_000, text);
    data.change_message(id, |message| message.overrides = vec![("created_at", json!("soon"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_somebody_with_a_short_id_go() {
    let mut data = BdData::new();
    data.quirks.token_lookup = TokenLookup::Works;
    let (_, bruno) = (data.add_user("Marisol", "Quintanilla"), data.add_user("Bruno", "Okafor"));
    data.users[0].token = "17".to_owned();
    let hers = data.add_thread("17", &bruno, NOW_MS - 90_000);
    data.add_message(&hers, "17", NOW_MS - 80_000, "a table");
    unreadable(&mut data, &hers, &bruno, "zebrawood in her own conversation");
    let answered = data.add_thread(&bruno, "17", NOW_MS - 60_000);
    data.add_message(&answered, "17", NOW_MS - 50_000, "I do");
    unreadable(&mut data, &answered, "17", "zebrawood where she answered");
    let elsewhere = data.add_thread(&bruno, "", NOW_MS - 60_000);
    data.add_message(&elsewhere, &bruno, NOW_MS - 50_000, "Hello");
    unreadable(&mut data, &elsewhere, &bruno, "Marisol Quintanilla sent me, zebrawood");
    unreadable(&mut data, &elsewhere, &bruno, "oak for 17 people");
    let sim = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("directory", &sim));
    assert_eq!(home.run(&["sync"]).await.code, 1);
    assert_eq!(home.number("SELECT count(*) FROM dead_letters"), 4);
    // This directory looks up no id that short; another provider gives the name with it.
    let named = "UPDATE participants SET name = 'Marisol Quintanilla' WHERE external_id = '17'";
    assert_eq!(rusqlite::Connection::open(home.db()).unwrap().execute(named, []).unwrap(), 1);
    let done = home.run(&["forget", "--source", "directory", "--id", "17", "--yes", "--json"]).await;
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let left = home.rows("SELECT body FROM dead_letters");
    assert!(left.len() == 1 && left[0].contains("oak for 17 people"), "{left:#?}");
}

/// A conversation that no row can be made of, of a guest who is named by the address: there is no participant.
async fn only_a_letter() -> (Home, BdSim) {
    let mut data = BdData::new();
    let bruno = data.add_user("Bruno", "Okafor");
    let thread = data.add_thread(&bruno, "", NOW_MS - 60_000);
    data.add_message(&thread, &bruno, NOW_MS - 50_000, "Hello");
    let guest = data.add_thread(EMAIL, "", NOW_MS - 40_000);
    data.change_thread(&guest, |thread| thread.overrides = vec![("thread_token", json!(""))]);
    let sim = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("directory", &sim));
    assert_eq!(home.run(&["sync"]).await.code, 1);
    assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE body LIKE '%marisol%'"), 1);
    assert_eq!(home.number("SELECT count(*) FROM participants WHERE external_id LIKE 'marisol%'"), 0);
    (home, sim)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_only_a_letter_names_is_found_in_the_store_and_in_backups() {
    let (home, _sim) = only_a_letter().await;
    assert_eq!(home.run(&["backup"]).await.code, 0);
    let trial = home.run(&["forget", "--email", EMAIL, "--dry-run", "--json"]).await;
    assert_eq!((trial.code, trial.json()["dead_letters"].as_u64()), (0, Some(1)), "{}", trial.stdout);
    let done = home.run(&["forget", "--email", EMAIL, "--yes", "--json"]).await;
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let told = done.json();
    assert_eq!((told["dead_letters"].as_u64(), told["scrubbed"].as_bool()), (Some(1), Some(true)), "{told}");
    assert_eq!(told["backups"].as_array().unwrap().len(), 1, "{told}");
    let bytes = std::fs::read(home.db()).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"marisol"));
    // Now there is nobody; the copy of before is still found, one of afterwards is not.
    assert_eq!(home.run(&["backup"]).await.code, 0);
    let again = home.run(&["forget", "--email", EMAIL, "--yes", "--backups", "--json"]).await;
    assert_eq!(again.code, 1, "{}", again.stdout);
    assert_eq!(again.json()["backups_removed"].as_array().unwrap().len(), 1, "{}", again.stdout);
    // What is no address is not looked for anywhere.
    assert_eq!(home.run(&["forget", "--phone", "17", "--yes"]).await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_were_left_half_made_are_named_and_removed() {
    let (home, _sim) = only_a_letter().await;
    let made = home.run(&["backup", "--json"]).await.json();
    let whole = home.folder.path().join(made["path"].as_str().unwrap());
    let folder = home.folder.path().join("backups");
    let bytes = std::fs::read(&whole).unwrap();
    let beside = home.folder.path().join(".chatloom-before-schema-2-20260302T120000.000Z.db.part");
    std::fs::write(folder.join(PART), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(&beside, &bytes).unwrap();
    let strangers = [".other-20260302T120000.000Z.db.part", ".chatloom-notes.db.part"];
    for name in strangers {
        std::fs::write(folder.join(name), &bytes).unwrap();
    }
    let named = home.run(&["forget", "--email", EMAIL, "--yes", "--json"]).await;
    assert_eq!(named.code, 0, "{}{}", named.stdout, named.stderr);
    assert_eq!(named.json()["backups"].as_array().unwrap().len(), 3, "{}", named.stdout);
    home.run(&["forget", "--email", EMAIL, "--yes", "--backups"]).await;
    let gone = [folder.join(PART), beside, whole];
    assert!(!gone.iter().any(|path| Path::new(path).exists()), "{gone:?}");
    assert!(strangers.iter().all(|name| folder.join(name).exists()));
}
