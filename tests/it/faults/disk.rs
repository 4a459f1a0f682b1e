//! S: crashes, the disk, and the file under SQLite.
#![cfg_attr(not(debug_assertions), allow(unused, reason = "stories with faults of the process are for debug builds"))]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;

use super::{Row, play};
use crate::daemon::rig::{Daemon, SOON, until};
use crate::failures::{Everybody, assert_says};
use crate::harness::{Home, NOW_MS, Run, bd_source, run};

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "S1",
        "killed from outside at random, 24 times here and 480 times in the long run",
        "the next run goes on; in the end the store is the one of an undisturbed run, and no cursor was ever ahead of its rows",
    ),
    Row::played(
        "S2",
        "dies at each named point of a pass, from making the file to the last checkpoint",
        "what is left is whole, and one more run ends at the same store",
    ),
    Row::played(
        "S3",
        "power loss",
        "`synchronous=FULL`: the log is on the disk before a commit is acknowledged and before a page of it is copied into \
         the file (system calls counted where strace is installed, the setting looked at by a unit test everywhere)",
    ),
    Row::played("S4", "SIGTERM in the middle of a page", "exit 0, nothing lost, the log folded into the file"),
    Row::played(
        "S5",
        "disk full while writing, while checkpointing, while upgrading",
        "named once, nothing half-written, further tries ever more seldom; the daemon recovers by itself when there is \
         room; an upgrade without room for its copy is not begun",
    ),
    Row::played(
        "S6",
        "read-only file, read-only folder, missing folder, a folder in its place, no database, an empty file, somebody \
         else's database, a newer schema",
        "one line that names path and remedy, exit 1, no request, every byte as it was; an empty file becomes a store",
    ),
    Row::played(
        "S7",
        "another program holds the write lock for 1 s, for 10 s, for ever",
        "the page in flight waits; after a second the log names the process; after 30 s the pass ends with exit 1, and the \
         next one brings the rest",
    ),
    Row::played(
        "S8",
        "two daemons, or a daemon and other commands that write, on one file",
        "the second exits 1 at once and names the process that holds the store",
    ),
    Row::played(
        "S9",
        "a reader keeps one transaction open",
        "syncing goes on, a warning says why the log grows, and the log is cut short when the reader has gone",
    ),
    Row::played(
        "S10",
        "another program checkpoints the log again and again",
        "nothing is lost; SQLite 3.51.3 or later is insisted upon",
    ),
    Row::played(
        "S11",
        "a backup in the middle of a backfill, a destroyed store, the backup restored as documented",
        "the copy is sound, and the same backfill goes on from it",
    ),
    Row::played(
        "S12",
        "bytes flipped in a page, in a text, in a raw record",
        "`verify` finds the first by SQLite's check and the others by their hashes, and names them; nothing is written into \
         a damaged file; a changed text is written anew from its raw record by `retry --all`; names and titles carry no hash",
    ),
    Row::played(
        "S13",
        "-wal or -shm deleted, the file moved or replaced while the daemon runs",
        "missed at the next write: exit 1 with the path, nothing stored is lost, and no new file is made",
    ),
    Row::played(
        "S14",
        "killed at each step of an upgrade",
        "the old schema or the new one, never between; a copy of the old one is there",
    ),
    Row::played(
        "S15",
        "full-text index out of step with its table",
        "`verify` says so and names `search rebuild`, which builds it anew; whoever opens the store for writing does too",
    ),
    Row::played(
        "S16",
        "the store lies on a network file system",
        "a warning names the file system and says what to do; it is not refused",
    ),
];

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// `sync` with faults of the process.
pub(super) async fn sync(home: &Home, faults: &str) -> Run {
    let mut command = home.command(&["sync", "--json"], "chatloom=debug");
    command.env("CHATLOOM_FAULTS", faults);
    run(command).await
}

pub(super) fn writer(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection
}

/// Gives the directory something new to be read.
pub(super) fn news(all: &Everybody, text: &str) {
    let data = &mut all.bd.world().data;
    let thread = data.threads[0].clone();
    data.add_message(&thread.token, &thread.owner, NOW_MS + 1_000, text);
}

/// What strace saw of the files of a run, or nothing where it cannot be used.
fn traced(home: &Home) -> Option<String> {
    let trace = home.folder.path().join("trace");
    let binary = assert_cmd::cargo::cargo_bin!("chatloom");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-s", "400", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o"]).arg(&trace);
    strace.arg(binary).args(["sync", "--json"]).current_dir(home.folder.path()).env("CHATLOOM_LOG", "chatloom=debug");
    let done = strace.output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&fs::read(&trace).unwrap()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_what_is_acknowledged_is_on_the_disk() {
    play("S3", async {
        let all = Everybody::start().await;
        let home = Home::new(&all.config());
        let (home, trace) = blocking(move || {
            let trace = traced(&home);
            (home, trace)
        })
        .await;
        let Some(trace) = trace else {
            // The unit test of the writer's settings is all there is on such a machine.
            return home.sync().await.as_object().map_or((), |_| ());
        };
        all.assert_all_exact(&home);
        // One thread writes to the store: its calls stand in the order in which they were made.
        let (mut unsynced, mut syncs, mut commits, mut copied) = (false, 0, 0, 0);
        for line in trace.lines().filter_map(|line| line.split_once(' ').map(|(_, call)| call.trim_start())) {
            let on = |suffix: &str| line.contains(&format!("{suffix}>"));
            if line.starts_with("pwrite64(") && on("chatloom.db-wal") {
                unsynced = true;
            } else if (line.starts_with("fdatasync(") || line.starts_with("fsync(")) && on("chatloom.db-wal") {
                unsynced = false;
                syncs += 1;
            } else if line.starts_with("pwrite64(") && on("chatloom.db") {
                copied += 1;
                assert!(!unsynced, "a page is copied that is not in the log on the disk: {line}");
            } else if line.starts_with("write(2<") && line.contains("event=committed") {
                commits += 1;
                assert!(!unsynced, "acknowledged, and not on the disk: {line}");
            }
        }
        assert!(commits > 20 && copied > 20 && syncs >= commits, "{commits} commits, {syncs} syncs, {copied} pages");
    })
    .await;
}

/// Sets the size that no file of a running process may exceed: as good as a full disk, and as an emptied one.
fn may_write(process: u32, bytes: &str) {
    let process = process.to_string();
    let set = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={bytes}:unlimited")]).status();
    assert!(set.unwrap().success());
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn s5_full_disks() {
    play("S5", async {
        let all = Everybody::start().await;
        let home =
            Home::new(&bd_source("bd", &all.bd).replace("requests_per_minute", "poll = \"1s\"\nrequests_per_minute"));
        let passes = |status: &str| home.number(&format!("SELECT count(*) FROM sync_runs WHERE status = '{status}'"));
        let daemon = Daemon::start_with(&home, |command| {
            // Deaf to the signal that comes with the error.
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" run"]).arg(command.get_program());
            shell.current_dir(home.folder.path()).env_clear().env("CHATLOOM_LOG", "chatloom=debug");
            *command = shell;
        });
        until("the first pass", SOON, || passes("ok") >= 1);
        may_write(daemon.child.id(), "1000");
        news(&all, "while the disk was full");
        daemon.wait_for("the source fails");
        let asked = all.bd.world().requests();
        daemon.wait_for_lines("a pass ended badly", 3);
        assert!(all.bd.world().requests() <= asked + 20, "what could not be stored is hardly asked for");
        may_write(daemon.child.id(), "unlimited");
        daemon.wait_for("the source has recovered");
        all.assert_exact(&home, "bd");
        let log = daemon.end();
        assert_eq!(log.matches("the source fails").count(), 1, "{log}");
        assert_says(&log, &["disk"]);

        // Room for the log and none for the file: the pages stay in the log until there is.
        let size = fs::metadata(home.db()).unwrap().len();
        for n in 0..200 {
            news(&all, &format!("{n}: no room in the file"));
        }
        let mut shell = Command::new("/bin/sh");
        let binary = assert_cmd::cargo::cargo_bin!("chatloom");
        shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" sync", size / 512)).arg(binary);
        shell.current_dir(home.folder.path()).env_clear();
        let done = run(shell).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(fs::metadata(home.folder.path().join("chatloom.db-wal")).unwrap().len() > 0);
        all.assert_exact(&home, "bd");
        home.sync().await;
        all.assert_exact(&home, "bd");
        assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);

        crate::migrations::full_during_the_upgrade().await;
    })
    .await;
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn s6_files_that_cannot_be_a_store() {
    play("S6", async {
        let all = Everybody::start().await;
        let config = bd_source("bd", &all.bd);
        let foreign = tempfile::tempdir().unwrap();
        let marked = |name: &str, sql: &str| {
            let path = foreign.path().join(name);
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
            fs::read(path).unwrap()
        };
        let cases: [(&[u8], &[&str]); 3] = [
            (&"Dear diary, ".repeat(99).into_bytes(), &["not an SQLite file", "set another [store] path"]),
            (
                &marked("foreign", "CREATE TABLE recipes (name TEXT); PRAGMA application_id = 7"),
                &["not a chatloom store (application_id 7)", "set another [store] path"],
            ),
            (
                &marked("newer", "CREATE TABLE t (a); PRAGMA application_id = 0x434C4F4D; PRAGMA user_version = 99"),
                &["newer chatloom (schema 99", "update chatloom"],
            ),
        ];
        for (bytes, words) in cases {
            let home = Home::new(&config);
            fs::write(home.db(), bytes).unwrap();
            refused(&home, words).await;
            assert_eq!(fs::read(home.db()).unwrap(), bytes);
        }
        let home = Home::new(&config);
        fs::create_dir(home.db()).unwrap();
        refused(&home, &["(a folder)", "set another [store] path"]).await;
        let home = Home::new(&format!("[store]\npath = \"no/such/chatloom.db\"\n{config}"));
        refused(&home, &["no/such/chatloom.db", "create it"]).await;
        assert!(!home.folder.path().join("no").exists());
        assert_eq!(all.bd.world().requests(), 0);
        crate::disk::may_only_be_read().await;
        let home = Home::new(&config);
        fs::write(home.db(), "").unwrap();
        home.sync().await;
        all.assert_exact(&home, "bd");
    })
    .await;
}

async fn refused(home: &Home, words: &[&str]) {
    for command in ["sync", "run"] {
        let done = home.run(&[command]).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert_says(&done.stderr, words);
        assert_eq!(done.stderr.lines().filter(|line| line.contains("chatloom.db")).count(), 1, "{}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    }
}

/// Takes the write lock when the provider is asked the second time, and lets go of it when `until` returns.
fn lock_in_a_pass(all: &Everybody, home: &Home, until: impl FnOnce() + Send + 'static) {
    let (path, mut seen, mut until) = (home.db(), 0, Some(until));
    all.bd.world().on_request(move |_, _| {
        seen += 1;
        if seen == 2
            && let Some(until) = until.take()
        {
            let other = writer(&path);
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            std::thread::spawn(move || {
                until();
                other.execute_batch("COMMIT").unwrap();
            });
        }
    });
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn s7_another_program_holds_the_lock() {
    play("S7", async {
        for seconds in [1, 10] {
            let all = Everybody::start().await;
            let undisturbed = Home::new(&bd_source("bd", &all.bd));
            undisturbed.sync().await;
            let needed = all.bd.world().requests();
            let home = Home::new(&bd_source("bd", &all.bd));
            assert_eq!(sync(&home, "crash=run.started").await.code, -1, "the file is made");
            lock_in_a_pass(&all, &home, move || std::thread::sleep(Duration::from_secs(seconds)));
            let done = sync(&home, "").await;
            assert_eq!(done.code, 0, "{}", done.stderr);
            all.assert_exact(&home, "bd");
            let asked = all.bd.world().requests() - needed;
            assert!(asked <= needed + 1, "what was read is not read again: {asked}, alone {needed}");
            if seconds == 10 {
                assert_eq!(done.stderr.matches("another program writes to the store").count(), 1, "{}", done.stderr);
                assert_says(&done.stderr, &[&format!("holder=\"process {} (", std::process::id())]);
            }
        }
        let all = Everybody::start().await;
        let home = Home::new(&bd_source("bd", &all.bd));
        assert_eq!(sync(&home, "crash=run.started").await.code, -1, "the file is made");
        let (let_go, go) = std::sync::mpsc::channel::<()>();
        // Let go when nobody holds the other end any more.
        lock_in_a_pass(&all, &home, move || go.recv().unwrap_or_default());
        let done = sync(&home, "busy=1500").await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert_says(
            &format!("{}{}", done.stdout, done.stderr),
            &["has kept the store locked for too long", "run again"],
        );
        let refused = sync(&home, "busy=1500").await;
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        drop(let_go);
        all.bd.world().before_request = None;
        home.sync().await;
        all.assert_exact(&home, "bd");
    })
    .await;
}
