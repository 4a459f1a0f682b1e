//! The file and the disk under it: full, failing, unwritable, replaced, or shared with readers and a second writer.
#![cfg(debug_assertions)]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{Mutex, mpsc};

use chatloom::sim::demo::{evolve_bd, large_bd};

use crate::harness::{Home, NOW_MS, demo_worlds};
use crate::kill_rig::{Case, Ended, bd, command, contents, differences, post_mortem, run, start, wait, zaia};

const SYNC: &[&str] = &["sync"];

async fn directory() -> Case {
    bd(large_bd(3, 350, NOW_MS)).await.0
}

async fn workspace() -> Case {
    let mut data = demo_worlds(2).zaia;
    data.chats.truncate(25);
    data.messages.retain(|message| data.chats.iter().any(|chat| chat.id == message.chat));
    zaia(data).await.0
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn synced(case: &Case) -> Home {
    let home = Home::new(&case.config);
    let ended = run(&home, SYNC, "");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    home
}

/// Everything that a run printed.
fn said(ended: &Ended) -> String {
    format!("{}{}", ended.stdout, ended.stderr)
}

fn pages(home: &Home) -> i64 {
    home.number("SELECT page_count FROM pragma_page_count")
}

/// A run into trouble: it fails, says why, and what it leaves is whole; the next one, without trouble, brings the rest.
fn fails_and_recovers(case: &Case, home: &Home, whole: &Home, failed: &Ended, words: &[&str]) {
    assert_eq!(failed.code, Some(1), "{}", said(failed));
    assert!(words.iter().any(|word| said(failed).contains(word)), "{}", said(failed));
    assert!(!said(failed).contains("panicked"), "{}", said(failed));
    post_mortem(home, &case.truth()).unwrap();
    let next = run(home, SYNC, "");
    assert_eq!(next.code, Some(0), "{}", said(&next));
    let differences = differences(&contents(&home.db()), &contents(&whole.db()));
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!(home.number("SELECT count(*) FROM sync_runs WHERE status = 'running'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_leaves_nothing_half_written() {
    for case in [directory().await, workspace().await] {
        blocking(move || {
            let whole = synced(&case);
            let all = pages(&whole);
            // From one that does not even hold the tables to one that lacks the last tenth.
            for room in [4, 12, all / 3, all / 2, all * 3 / 4, all * 9 / 10] {
                let home = Home::new(&case.config);
                let failed = run(&home, SYNC, &format!("max_pages={room}"));
                fails_and_recovers(&case, &home, &whole, &failed, &["the disk that holds the store is full"]);
            }
        })
        .await;
    }
}

/// Here the system itself refuses to write on: no file may grow beyond a limit, so it is the log that fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_is_an_error_and_no_harm() {
    let case = directory().await;
    blocking(move || {
        let whole = synced(&case);
        for blocks in [100, 400, 900] {
            let home = Home::new(&case.config);
            let mut shell = Command::new("/bin/sh");
            let binary = assert_cmd::cargo::cargo_bin!("chatloom");
            shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" sync")).arg(binary);
            let child = Mutex::new(command(&home, &mut shell, "").spawn().unwrap());
            let failed = wait(&child);
            fails_and_recovers(&case, &home, &whole, &failed, &["disk I/O error", "is full"]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_the_place_of_a_file_is_named_and_left_alone() {
    let case = directory().await;
    blocking(move || {
        for name in ["chatloom.db", "chatloom.db.lock", "chatloom.db-wal", "chatloom.db-journal"] {
            let home = Home::new(&case.config);
            let place = home.folder.path().join(name);
            std::fs::create_dir(&place).unwrap();
            let before = case.requests();
            let ended = run(&home, SYNC, "");
            assert_eq!(ended.code, Some(1), "{name}: {}", said(&ended));
            assert!(said(&ended).contains("chatloom.db"), "{name}: {}", said(&ended));
            assert!(place.is_dir() && case.requests() == before, "{name}");
        }
    })
    .await;
}

/// Permissions do not bind the superuser, so the story is played by the user who owns nothing.
pub(crate) async fn may_only_be_read() {
    let case = directory().await;
    blocking(move || {
        let home = synced(&case);
        let mode = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let lock = home.folder.path().join("chatloom.db.lock");
        mode(&home.folder.path().join("chatloom.toml"), 0o444);
        let bytes = std::fs::read(home.db()).unwrap();
        for (folder, store, locked) in [(0o555, 0o666, None), (0o777, 0o444, Some(0o666)), (0o777, 0o666, Some(0o444))]
        {
            mode(&home.db(), store);
            match locked {
                Some(bits) => {
                    std::fs::write(&lock, "").unwrap();
                    mode(&lock, bits);
                }
                None => drop(std::fs::remove_file(&lock)),
            }
            mode(home.folder.path(), folder);
            let mut process = Command::new(assert_cmd::cargo::cargo_bin!("chatloom"));
            process.arg("sync");
            let superuser = std::fs::write(home.folder.path().join("probe"), "").is_ok() && folder == 0o555;
            if superuser || bytes.is_empty() || is_superuser(&home) {
                process.uid(65534).gid(65534);
            }
            let Ok(child) = command(&home, &mut process, "").spawn() else {
                // The built binary stands where that user may not go.
                mode(home.folder.path(), 0o777);
                return;
            };
            let ended = wait(&Mutex::new(child));
            mode(home.folder.path(), 0o777);
            assert_eq!(ended.code, Some(1), "{}", said(&ended));
            assert!(said(&ended).contains("check the path, and that this user may read and write"), "{}", said(&ended));
            assert_eq!(std::fs::read(home.db()).unwrap(), bytes);
        }
    })
    .await;
}

/// Whether permissions do not bind this process.
fn is_superuser(home: &Home) -> bool {
    let path = home.folder.path().join("read-only");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    let may_write = std::fs::OpenOptions::new().write(true).open(&path).is_ok();
    std::fs::remove_file(&path).unwrap();
    may_write
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_lingers_hinders_nothing_and_the_log_shrinks_when_it_has_gone() {
    crate::faults::play("S9", async {
        let (case, world) = bd(large_bd(3, 350, NOW_MS)).await;
        blocking(move || {
            let home = synced(&case);
            let log = home.folder.path().join("chatloom.db-wal");
            let size = || std::fs::metadata(&log).map_or(0, |log| log.len());
            assert_eq!(size(), 0, "a clean end leaves nothing in the log");
            let reader = home.open();
            let count = || reader.query_row("SELECT count(*) FROM messages", [], |row| row.get::<_, i64>(0)).unwrap();
            reader.execute_batch("BEGIN").unwrap();
            assert_eq!(count(), 350);
            {
                let data = &mut world.lock().unwrap().data;
                let thread = data.threads[0].token.clone();
                let owner = data.threads[0].owner.clone();
                for n in 0..400 {
                    data.add_message(&thread, &owner, NOW_MS + n, "later");
                }
                evolve_bd(data, 3, NOW_MS + 1000);
            }
            let ended = run(&home, SYNC, "wal_limit=50000");
            assert_eq!(ended.code, Some(0), "{}", said(&ended));
            assert_eq!(said(&ended).matches("keeps a reading transaction open").count(), 1, "{}", said(&ended));
            assert!(size() > 50_000, "{}", size());
            assert_eq!(count(), 350, "it still reads what it began with");
            assert!(home.number("SELECT count(*) FROM messages") >= 750, "others read what is new");
            reader.execute_batch("COMMIT").unwrap();
            assert!(count() >= 750);
            // A reader that only comes and goes is no hindrance: this one stays connected.
            let ended = run(&home, SYNC, "");
            assert_eq!(ended.code, Some(0), "{}", said(&ended));
            assert_eq!(size(), 0);
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_writers_is_told_who_the_first_is() {
    let case = directory().await;
    blocking(move || {
        let home = Home::new(&case.config);
        let (arrived, arrival) = mpsc::channel();
        let (let_go, go) = mpsc::channel::<()>();
        // The first instance waits for its first answer until it is let go; nothing is answered meanwhile.
        case.on_request(move || {
            // Either end may be gone by now.
            (arrived.send(()).is_ok() && go.recv().is_ok()).then_some(());
        });
        let first = start(&home, SYNC, "");
        let pid = first.id();
        arrival.recv().unwrap();
        for args in [SYNC, &["backfill"], &["sync", "--full"]] {
            let second = run(&home, args, "");
            assert_eq!(second.code, Some(1), "{}", said(&second));
            let words = format!("is being written by process {pid} (chatloom sync)");
            assert!(second.stderr.contains(&words), "{}", said(&second));
        }
        // Reading is free.
        assert_eq!(run(&home, &["status"], "").code, Some(0));
        drop(let_go);
        let first = wait(&Mutex::new(first));
        assert_eq!(first.code, Some(0), "{}", said(&first));
        let asked = case.requests();
        assert_eq!(home.number("SELECT sum(requests) FROM sync_runs"), i64::try_from(asked).unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_that_names_a_dead_process_locks_nothing() {
    let case = directory().await;
    blocking(move || {
        let home = Home::new(&case.config);
        let lock = home.folder.path().join("chatloom.db.lock");
        std::fs::write(&lock, "process 4194304 (chatloom sync), and then some text that is longer").unwrap();
        assert_eq!(run(&home, SYNC, "crash=pass.fetched").code, None);
        let left = std::fs::read_to_string(&lock).unwrap();
        assert!(left.starts_with("process ") && left.ends_with("(chatloom sync)"), "{left}");
        assert_eq!(run(&home, SYNC, "").code, Some(0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_store_under_two_names_has_one_writer() {
    let case = directory().await;
    blocking(move || {
        let home = Home::new(&case.config);
        let other = Home::new(&format!("[store]\npath = \"elsewhere.db\"\n\n{}", case.config));
        std::os::unix::fs::symlink(home.db(), other.folder.path().join("elsewhere.db")).unwrap();
        assert_eq!(run(&home, SYNC, "").code, Some(0));
        let (arrived, arrival) = mpsc::channel();
        let (let_go, go) = mpsc::channel::<()>();
        case.on_request(move || {
            // Either end may be gone by now.
            (arrived.send(()).is_ok() && go.recv().is_ok()).then_some(());
        });
        let first = start(&home, SYNC, "");
        arrival.recv().unwrap();
        let second = run(&other, SYNC, "");
        assert_eq!(second.code, Some(1), "{}", said(&second));
        assert!(second.stderr.contains("is being written by process"), "{}", said(&second));
        drop(let_go);
        assert_eq!(wait(&Mutex::new(first)).code, Some(0));
        assert_eq!(run(&other, SYNC, "").code, Some(0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_left_by_a_killed_process_belongs_to_the_store() {
    let case = directory().await;
    blocking(move || {
        let whole = synced(&case);
        let home = Home::new(&case.config);
        assert_eq!(run(&home, SYNC, "crash=close.checkpoint").code, None);
        let log = home.folder.path().join("chatloom.db-wal");
        assert!(std::fs::metadata(&log).unwrap().len() > 100_000);
        // Readers see it at once …
        let status = run(&home, &["status", "--json"], "");
        assert_eq!(status.code, Some(0), "{}", said(&status));
        assert_eq!(home.number("SELECT count(*) FROM messages"), 350);
        // … and the next writer brings it into the file.
        assert_eq!(run(&home, SYNC, "").code, Some(0));
        assert_eq!(std::fs::metadata(&log).map_or(0, |log| log.len()), 0);
        assert!(differences(&contents(&home.db()), &contents(&whole.db())).is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_replaced_by_something_else_is_refused_and_left_as_it_is() {
    let case = directory().await;
    blocking(move || {
        let whole = std::fs::read(synced(&case).db()).unwrap();
        let mut damaged = whole.clone();
        damaged[..16].copy_from_slice(b"not any more, no");
        let contents: [&[u8]; 4] = [b"garbage", &[0; 5000], &damaged, &whole[..60]];
        for bytes in contents {
            let home = Home::new(&case.config);
            assert_eq!(run(&home, SYNC, "crash=close.checkpoint").code, None);
            let log = home.folder.path().join("chatloom.db-wal");
            let logged = std::fs::read(&log).unwrap();
            std::fs::write(home.db(), bytes).unwrap();
            let asked = case.requests();
            for args in [SYNC, &["backfill"], &["status"]] {
                let ended = run(&home, args, "");
                assert_eq!(ended.code, Some(1), "{args:?}: {}", said(&ended));
                assert!(said(&ended).contains("is not a chatloom store"), "{args:?}: {}", said(&ended));
            }
            assert_eq!(case.requests(), asked);
            assert_eq!((std::fs::read(home.db()).unwrap(), std::fs::read(&log).unwrap()), (bytes.to_vec(), logged));
        }
    })
    .await;
}
