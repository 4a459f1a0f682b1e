//! S, the second half: what others do to the file behind chatloom's back.
#![cfg_attr(not(debug_assertions), allow(unused, reason = "stories with faults of the process are for debug builds"))]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rusqlite::Connection;

use super::disk::{blocking, news, sync, writer};
use super::play;
use crate::daemon::rig::{Daemon, SOON, until};
use crate::failures::{Everybody, assert_says};
use crate::harness::{Home, bd_source};

#[tokio::test(flavor = "multi_thread")]
async fn s10_somebody_else_checkpoints() {
    play("S10", async {
        assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
        let all = Everybody::start().await;
        let home = Home::new(&all.config());
        let (ended, cut) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (path, stop, counted) = (home.db(), Arc::clone(&ended), Arc::clone(&cut));
        let other = std::thread::spawn(move || {
            let is_a_store = |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() > 0);
            while !stop.load(Ordering::SeqCst) && !is_a_store(&path) {
                std::thread::yield_now();
            }
            let other = Connection::open(&path).unwrap();
            while !stop.load(Ordering::SeqCst) {
                let busy = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
                counted.fetch_add(u32::from(busy == Ok(0)), Ordering::SeqCst);
            }
        });
        let done = home.run(&["sync", "--json"]).await;
        ended.store(true, Ordering::SeqCst);
        blocking(move || other.join().unwrap()).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(cut.load(Ordering::SeqCst) >= 1, "{cut:?} checkpoints of the other program came off");
        all.assert_all_exact(&home);
        home.sync().await;
        all.assert_all_exact(&home);
    })
    .await;
}

async fn verified(home: &Home) -> (i32, String) {
    let done = home.run(&["verify", "--offline", "--json"]).await;
    (done.code, done.json()["integrity"].as_str().unwrap().to_owned())
}

/// Changes one letter of a text in the file, one that stands there once: in its row, and not in a raw record.
fn flip_a_text(home: &Home) -> String {
    let mut bytes = fs::read(home.db()).unwrap();
    let texts = home
        .rows("SELECT body_text FROM messages WHERE length(body_text) BETWEEN 20 AND 200 AND deleted_at_ms IS NULL");
    let place = |text: &str| {
        let mut places = bytes.windows(text.len()).enumerate().filter(|(_, part)| *part == text.as_bytes());
        places.next().map(|(at, _)| at).filter(|_| places.next().is_none())
    };
    let (text, at) = texts.iter().find_map(|text| place(text).map(|at| (text.clone(), at))).expect("a text of its own");
    bytes[at + 10] ^= 0x01;
    fs::write(home.db(), bytes).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn s12_flipped_bytes() {
    play("S12", async {
        let all = Everybody::start().await;
        let home = Home::new(&all.config());
        home.sync().await;
        assert_eq!(verified(&home).await, (0, "ok".to_owned()));
        let sound = fs::read(home.db()).unwrap();

        let text = flip_a_text(&home);
        assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"], "SQLite sees nothing wrong");
        assert_eq!(home.number(&format!("SELECT count(*) FROM messages WHERE body_text = '{}'", text.replace('\'', "''"))), 0);
        let (code, told) = verified(&home).await;
        assert!(code == 1 && told.starts_with("message ") && told.ends_with("is not what was stored"), "{told}");
        assert_eq!(home.run(&["retry", "--all"]).await.code, 0);
        assert_eq!(verified(&home).await, (0, "ok".to_owned()));
        all.assert_all_exact(&home);

        let raw = writer(&home.db());
        raw.execute("UPDATE raw_records SET body = CAST(replace(CAST(body AS TEXT), ':', ';') AS BLOB) WHERE codec = 'json'", [])
            .unwrap();
        raw.execute("UPDATE raw_records SET body = zeroblob(40) WHERE id = (SELECT min(id) FROM raw_records WHERE codec = 'zstd')", [])
            .unwrap();
        drop(raw);
        let (code, told) = verified(&home).await;
        assert!(code == 1 && told.contains("raw record ") && !told.contains("message "), "{told}");

        // The root of the table of messages.
        fs::write(home.db(), sound).unwrap();
        let page: u64 = home.number("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'").try_into().unwrap();
        let size: u64 = home.number("PRAGMA page_size").try_into().unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(home.db()).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start((page - 1) * size)).unwrap();
        file.write_all(&[0xFF; 64]).unwrap();
        drop(file);
        let (code, told) = verified(&home).await;
        assert!(code == 1 && told != "ok", "{told}");
        let damaged = fs::read(home.db()).unwrap();
        news(&all, "into a damaged file");
        let done = home.run(&["sync", "--json", "--source", "bd"]).await;
        assert_eq!(done.code, 1, "{}", done.stdout);
        assert_says(&done.stdout, &["the store is damaged", "restore a copy"]);
        let refused = Daemon::start(&home);
        let (code, _, log) = refused.wait();
        assert_eq!(code, Some(1), "{log}");
        assert_says(&log, &["the store is damaged", "nothing can be stored any more"]);
        assert!(fs::read(home.db()).unwrap() == damaged, "nothing was written");
        // What is still whole can be read.
        assert!(home.number("SELECT count(*) FROM raw_records") > 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_parts_of_the_store_that_are_gone() {
    play("S13", async {
        let all = Everybody::start().await;
        for part in ["chatloom.db-wal", "chatloom.db-shm"] {
            let home = Home::new(&bd_source("bd", &all.bd).replace("api_key = ", "poll = \"1s\"\napi_key = "));
            let daemon = Daemon::start(&home);
            until("the first pass", SOON, || home.number("SELECT count(*) FROM sync_runs WHERE status = 'ok'") >= 1);
            fs::remove_file(home.folder.path().join(part)).unwrap();
            let (code, _, log) = daemon.wait();
            assert_eq!(code, Some(1), "{log}");
            assert_says(&log, &[part, "moved, deleted or replaced"]);
            all.assert_exact(&home, "bd");
            assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
            home.sync().await;
            all.assert_exact(&home, "bd");
        }
        crate::daemon::lifecycle::moved_away().await;
    })
    .await;
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn s16_a_network_file_system() {
    play("S16", async {
        let all = Everybody::start().await;
        let home = Home::new(&bd_source("bd", &all.bd));
        let warned = sync(&home, "disk=nfs4").await;
        assert_eq!(warned.code, 0, "{}", warned.stderr);
        assert_says(&warned.stderr, &["network file system", "kind=nfs4", "a disk of this machine"]);
        all.assert_exact(&home, "bd");
    })
    .await;
}
