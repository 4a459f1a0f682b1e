//! A store that cannot be used is told by name and left as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{Everybody, assert_says};
use crate::harness::{Home, bd_source};

async fn refused(home: &Home, words: &[&str]) {
    let done = home.run(&["sync", "--json"]).await;
    assert_eq!(done.code, 1, "{}\n{}", done.stdout, done.stderr);
    assert_says(&done.stderr, words);
    assert!(done.stdout.is_empty(), "{}", done.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_store_of_ours_is_left_untouched() {
    let all = Everybody::start().await;
    let config = bd_source("bd", &all.bd);

    let home = Home::new(&config);
    fs::create_dir(home.db()).unwrap();
    refused(&home, &["chatloom.db", "folder"]).await;
    assert_eq!(fs::read_dir(home.db()).unwrap().count(), 0);

    let home = Home::new(&config);
    fs::write(home.db(), "Dear diary, ".repeat(100)).unwrap();
    refused(&home, &["chatloom.db", "not an SQLite file", "store"]).await;
    assert_eq!(fs::read_to_string(home.db()).unwrap(), "Dear diary, ".repeat(100));

    let home = Home::new(&format!("[store]\npath = \"missing/folder/chatloom.db\"\n{config}"));
    refused(&home, &["missing/folder/chatloom.db", "does not exist", "create it"]).await;
    assert!(!home.folder.path().join("missing").exists());

    assert_eq!(all.bd.world().requests(), 0, "the provider is asked only once there is a place for what it says");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_version_keeps_every_byte() {
    let all = Everybody::start().await;
    let home = Home::new(&bd_source("bd", &all.bd));
    home.sync().await;
    let connection = rusqlite::Connection::open(home.db()).unwrap();
    connection.execute_batch("PRAGMA user_version = 999; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(connection);
    let before = fs::read(home.db()).unwrap();
    refused(&home, &["chatloom.db", "newer", "999", "update chatloom"]).await;
    assert!(fs::read(home.db()).unwrap() == before, "every byte is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_belongs_to_another_provider_is_refused_and_its_history_stays() {
    let all = Everybody::start().await;
    let home = Home::new(&bd_source("mine", &all.bd));
    home.sync().await;
    let messages = home.number("SELECT count(*) FROM messages");
    home.configure(&crate::harness::zaia_source("mine", &all.zaia));
    let done = home.run(&["sync", "--json"]).await;
    assert_eq!(done.code, 1, "{}", done.stdout);
    assert_says(&done.stdout, &["mine", "brilliant_directories", "zaia", "another name"]);
    assert_eq!(home.number("SELECT count(*) FROM messages"), messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_the_store_is_its_owners_alone() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    home.sync().await;
    let reader = home.open();
    reader.query_row("SELECT count(*) FROM messages", [], |row| row.get::<_, i64>(0)).unwrap();
    for entry in fs::read_dir(home.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "chatloom.toml" {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_database_keeps_every_byte() {
    let all = Everybody::start().await;
    let home = Home::new(&bd_source("bd", &all.bd));
    let other = rusqlite::Connection::open(home.db()).unwrap();
    other.execute_batch("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')").unwrap();
    drop(other);
    let before = fs::read(home.db()).unwrap();
    refused(&home, &["chatloom.db", "not a chatloom store", "left untouched"]).await;
    assert!(fs::read(home.db()).unwrap() == before, "its journal mode, too, is its owner's business");
}
