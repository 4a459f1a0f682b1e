//! A store of an earlier version meets this program.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use chatloom::store::{Store, StoreError, open_reader};
use rusqlite::Connection;

use crate::harness::{Home, output};

/// The schema of version 1, word for word as it was released.
const SCHEMA_1: [&str; 2] =
    [include_str!("../../migrations/0001_tables.sql"), include_str!("../../migrations/0001_views.sql")];

/// Rows as version 1 wrote them.
const ROWS_1: &str = include_str!("../fixtures/store/schema_1_rows.sql");

const CONFIG: &str = "[[sources]]\nname = \"directory\"\nprovider = \"brilliant_directories\"\n\
                      base_url = \"http://127.0.0.1:9\"\napi_key = \"bd-key\"\nenabled = false\n";

/// A folder with a store of version 1, with or without rows.
fn old_home(rows: bool) -> Home {
    let home = Home::new(CONFIG);
    let connection = Connection::open(home.db()).unwrap();
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL").unwrap();
    for sql in SCHEMA_1 {
        connection.execute_batch(sql).unwrap();
    }
    connection.execute_batch("PRAGMA application_id = 0x434C4F4D; PRAGMA user_version = 1").unwrap();
    if rows {
        connection.execute_batch(ROWS_1).unwrap();
    }
    home
}

/// Tables, views and indexes with their columns, spelling of blanks aside.
fn schema_of(connection: &Connection) -> Vec<String> {
    connection
        .prepare("SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'
             ORDER BY 1")
        .unwrap()
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .map(|sql| sql.unwrap().split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn rows_of(connection: &Connection) -> Vec<String> {
    [
        "SELECT json_array(name, provider, timezone) FROM sources",
        "SELECT json_array(id, external_id, name, email, rev) FROM participants",
        "SELECT json_array(id, external_id, title, started_at, rev) FROM conversations",
        "SELECT json_array(id, external_id, body_text, sent_at, content_hash, rev) FROM messages",
        "SELECT json_array(message_id, revision, body_text) FROM message_revisions",
        "SELECT json_array(id, stream, hash, hex(body)) FROM raw_records",
        "SELECT json_array(stream, scope, cursor) FROM cursors",
        "SELECT json_array(rev) FROM change_counter",
    ]
    .iter()
    .flat_map(|sql| {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    })
    .collect()
}

fn version(connection: &Connection) -> i64 {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

fn backups(home: &Home) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.folder.path()).unwrap().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().contains("before-schema-3-")).collect();
    found.sort();
    found
}

fn open(home: &Home) -> Result<(), StoreError> {
    Store::open(&home.db(), "a test", 1_772_452_800_000).map(drop)
}

#[test]
fn an_upgraded_store_is_like_a_new_one_and_keeps_its_rows() {
    let fresh = Home::new(CONFIG);
    open(&fresh).unwrap();
    for rows in [false, true] {
        let home = old_home(rows);
        let before = rows_of(&home.open());
        assert!(!rows || before.len() > 8);
        open(&home).unwrap();
        assert_eq!(schema_of(&home.open()), schema_of(&fresh.open()));
        assert_eq!(version(&home.open()), version(&fresh.open()));
        assert_eq!(rows_of(&home.open()), before);
        let kept = backups(&home);
        assert_eq!(kept.len(), usize::from(rows), "an empty store needs no copy");
        for copy in &kept {
            assert_eq!(std::fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
            let copy = Connection::open(copy).unwrap();
            assert_eq!((version(&copy), rows_of(&copy)), (1, before.clone()));
        }
        // Opened again, nothing is upgraded and nothing is copied.
        open(&home).unwrap();
        assert_eq!(backups(&home), kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_there_was_an_index_is_found() {
    for schema in [1, 2] {
        let home = old_home(true);
        if schema == 2 {
            let connection = Connection::open(home.db()).unwrap();
            connection.execute_batch(include_str!("../../migrations/0002_keeping.sql")).unwrap();
            connection
                .execute_batch("UPDATE messages SET body_text = '東京 é bom' WHERE id = 1; PRAGMA user_version = 2")
                .unwrap();
        }
        let searched = home.run(&["search", "bom"]).await;
        assert!(searched.code == 1 && searched.stderr.contains("older schema"), "{}", searched.stderr);
        open(&home).unwrap();
        assert_eq!(chatloom::store::search_problem(&open_reader(&home.db()).unwrap()), None);
        let messages = home.number("SELECT count(*) FROM messages");
        assert!(messages > 0 && home.number("SELECT count(*) FROM message_search_docsize") == messages);
        let found =
            |query: &str| home.rows(&format!("SELECT rowid FROM message_search WHERE message_search MATCH '{query}'"));
        assert_eq!(found("\"bom\" \"京\"").len(), usize::from(schema == 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_say_that_the_file_is_older_and_what_to_do() {
    let home = old_home(true);
    assert!(matches!(open_reader(&home.db()), Err(StoreError::Older { found: 1, .. })));
    for args in [&["status"][..], &["show", "c1"], &["verify", "--offline"], &["maintain"]] {
        let ended = home.run(args).await;
        assert_eq!(ended.code, 1, "{args:?}: {}", ended.stdout);
        assert!(
            ended.stderr.contains("older schema") && ended.stderr.contains("upgrades it"),
            "{args:?}: {}",
            ended.stderr
        );
    }
    // A backup needs no upgrade, and `check` before a start is no reason not to start.
    assert_eq!(home.run(&["backup"]).await.code, 0);
    let checked = home.run(&["check"]).await;
    assert!(checked.stdout.contains("is of schema 1"), "{}{}", checked.stdout, checked.stderr);
    assert_eq!(version(&home.open()), 1);
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_killed_anywhere_is_made_good_by_the_next_start() {
    crate::faults::play("S14", async {
        let fresh = Home::new(CONFIG);
        open(&fresh).unwrap();
        for point in [
            "backup.written",
            "backup.named",
            "migrate.kept",
            "migrate.begun",
            "migrate.step",
            "migrate.marked",
            "migrate.committed",
        ] {
            let home = old_home(true);
            let before = rows_of(&home.open());
            // `sync` upgrades; other commands ask for a store of this version.
            let mut command = home.command(&["sync"], "chatloom=info");
            command.env("CHATLOOM_FAULTS", format!("crash={point}"));
            home.configure(&CONFIG.replace("enabled = false", "enabled = true"));
            let ended = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
            assert_eq!(ended.status.code(), None, "{point}: {}", String::from_utf8_lossy(&ended.stderr));
            let reached = version(&home.open());
            assert_eq!(reached, if point == "migrate.committed" { 2 } else { 1 }, "{point}");
            assert_eq!(rows_of(&home.open()), before, "{point}");
            open(&home).unwrap();
            assert_eq!(schema_of(&home.open()), schema_of(&fresh.open()), "{point}");
            assert_eq!(rows_of(&home.open()), before, "{point}");
            let kept = backups(&home);
            assert!((1..=2).contains(&kept.len()), "{point}: {kept:?}");
            for copy in kept {
                let copy = Connection::open(copy).unwrap();
                assert!(version(&copy) == 1 || (point == "migrate.committed" && version(&copy) == 2), "{point}");
                assert_eq!(rows_of(&copy), before, "{point}");
            }
            let parts = std::fs::read_dir(home.folder.path()).unwrap().flatten();
            assert_eq!(parts.filter(|entry| entry.path().to_string_lossy().ends_with(".part")).count(), 0, "{point}");
        }
    })
    .await;
}

#[test]
fn without_room_for_the_copy_nothing_is_changed() {
    let home = old_home(true);
    let before = rows_of(&home.open());
    // The copy's name is taken by a folder, as good as a full disk: the upgrade must not go on without a copy.
    std::fs::create_dir(home.folder.path().join("chatloom-before-schema-3-20260302T120000.000Z.db")).unwrap();
    let refused = open(&home).unwrap_err();
    assert!(matches!(refused, StoreError::NotKept { .. }), "{refused}");
    assert_eq!((version(&home.open()), rows_of(&home.open())), (1, before));
}

pub(crate) async fn full_during_the_upgrade() {
    let home = old_home(true);
    let before = rows_of(&home.open());
    home.configure(&CONFIG.replace("enabled = false", "enabled = true"));
    let mut shell = std::process::Command::new("/bin/sh");
    let binary = assert_cmd::cargo::cargo_bin!("chatloom");
    // No file may grow beyond 150 KiB: the copy has no room.
    shell.arg("-c").arg("trap '' XFSZ; ulimit -f 300; exec \"$0\" sync").arg(binary);
    shell.current_dir(home.folder.path()).env_clear();
    let ended = tokio::task::spawn_blocking(move || output(&mut shell)).await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("no backup was made"), "{said}");
    assert_eq!((version(&home.open()), rows_of(&home.open())), (1, before));
    let left = std::fs::read_dir(home.folder.path()).unwrap().flatten();
    let left: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().contains("before")).collect();
    assert!(left.is_empty(), "{left:?}");
    open(&home).unwrap();
    assert_eq!(version(&home.open()), 3);
}
