//! The programs that people read the file with, each on a store whose answers are known (`recipes::hand_made`) and on one
//! that a daemon is writing to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use chatloom::sim::{BdSim, SitegptSim, ZaiaSim, demo};

use crate::daemon::{Daemon, SOON, until};
use crate::harness::{Home, bd_source, now_ms, sitegpt_source, zaia_source};
use crate::python::{said, script};
use crate::recipes::hand_made;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn datasette(store: &Path) -> Command {
    let mut command = script("datasette_pages.py");
    command.arg(store).arg(here("docs/datasette.yml"));
    command
}

fn duckdb(store: &Path) -> Command {
    let mut command = script("duckdb_views.py");
    command.arg(store).arg(here("docs/duckdb.sql"));
    command
}

fn pandas(store: &Path) -> Command {
    let mut command = script("pandas_frames.py");
    command.arg(store).arg(here("docs/readers.md"));
    command
}

#[test]
fn datasette_shows_every_table_facet_and_query_and_no_markup_of_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chatloom.db");
    let _open = hand_made(&path);
    said(datasette(&path).arg(here("tests/fixtures/readers.json")));
}

#[test]
fn duckdb_and_pandas_have_the_numbers_of_sqlite_with_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chatloom.db");
    let _open = hand_made(&path);
    said(&mut duckdb(&path));
    said(&mut pandas(&path));
}

/// What Debian's shell says about the whole store: a line per table and view with its rows, each read to its last column.
fn shell(store: &Path, names: &[(String, String)]) -> Vec<i64> {
    let asked: String =
        names.iter().map(|(name, columns)| format!("SELECT count(*), total({columns}) FROM \"{name}\";\n")).collect();
    let shell = Command::new("sqlite3").arg("-readonly").arg("-bail").arg(store).arg(&asked).output().unwrap();
    let told = String::from_utf8_lossy(&shell.stderr).into_owned();
    assert!(shell.status.success() && told.is_empty(), "{told}");
    String::from_utf8(shell.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split('|').next().unwrap().parse().unwrap())
        .collect()
}

/// A program that reads again and again until it is told to stop.
struct Reader {
    thread: JoinHandle<()>,
    times: Arc<AtomicUsize>,
}

impl Reader {
    fn start(stop: &Arc<AtomicBool>, mut read: impl FnMut() + Send + 'static) -> Self {
        let (stop, times) = (Arc::clone(stop), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&times);
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                read();
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { thread, times }
    }

    /// Whether it read everything so often, or failed.
    fn has_read(&self, times: usize) -> bool {
        self.times.load(Ordering::Relaxed) >= times || self.thread.is_finished()
    }
}

/// Everything that grows and never shrinks while nothing is forgotten.
const GROWING: [&str; 8] = [
    "change_counter",
    "messages",
    "conversations",
    "participants",
    "raw_records",
    "message_revisions",
    "conversation_stats",
    "message_search",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_reads_everything_while_the_daemon_writes() {
    let worlds = demo::worlds(5, now_ms() - 60_000);
    let bd = BdSim::start(worlds.bd).await.unwrap();
    let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
    let bots = SitegptSim::start(worlds.sitegpt).await.unwrap();
    let often = "poll = \"1s\"\n";
    let home = Home::new(&format!(
        "{}{often}{}{often}{}{often}",
        bd_source("directory", &bd),
        zaia_source("agents", &zaia),
        sitegpt_source("bots", &bots, "v2")
    ));
    home.sync().await;
    let names: Vec<(String, String)> = home
        .rows("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")
        .into_iter()
        .map(|name| {
            // The index has columns that are for asking alone.
            let lengths =
                "SELECT group_concat('coalesce(length(\"' || name || '\"), 0)', ' + ') FROM pragma_table_xinfo";
            let lengths = home.rows(&format!("{lengths}('{name}') WHERE hidden <> 1"));
            (name, lengths[0].clone())
        })
        .collect();
    assert!(names.len() > 30, "{names:?}");

    let daemon = Daemon::start(&home);
    let stop = Arc::new(AtomicBool::new(false));
    let db = home.db();
    let mut readers = Vec::new();
    let (store, asked) = (db.clone(), names.clone());
    let mut before: Vec<i64> = Vec::new();
    readers.push(Reader::start(&stop, move || {
        let counts = shell(&store, &asked);
        assert_eq!(counts.len(), asked.len());
        for ((name, _), (then, now)) in asked.iter().zip(before.iter().zip(&counts)) {
            assert!(!GROWING.contains(&name.as_str()) || then <= now, "{name} went from {then} to {now}");
        }
        before = counts;
    }));
    let store = db.clone();
    readers.push(Reader::start(&stop, move || drop(said(&mut pandas(&store)))));
    let store = db.clone();
    readers.push(Reader::start(&stop, move || drop(said(duckdb(&store).arg("while-written")))));
    let store = db.clone();
    readers.push(Reader::start(&stop, move || drop(said(&mut datasette(&store)))));

    // After every pass there is something new: messages in old conversations and new ones, edits, votes, deletions.
    let (begun, mut seen) = (home.rev(), 0);
    until("everything read by all of them", SOON * 16, || {
        let passes = home.number("SELECT count(*) FROM sync_runs WHERE status = 'ok'");
        if passes >= seen + 3 {
            seen = passes;
            let seed = u64::try_from(passes).unwrap();
            demo::evolve_bd(&mut bd.world().data, seed, now_ms());
            demo::evolve_zaia(&mut zaia.world().data, seed, now_ms());
            demo::evolve_sitegpt(&mut bots.world().data, seed, now_ms());
        }
        readers.iter().all(|reader| reader.has_read(1))
    });
    stop.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.thread.join().unwrap());
    let passes = home.number("SELECT count(*) FROM sync_runs WHERE mode = 'incremental' AND inserted > 0");
    assert!(passes >= 3 && home.rev() > begun, "little was written meanwhile: {passes} passes");
    assert_eq!(daemon.lines(" ERROR ") + daemon.lines("locked"), 0, "{}", daemon.log());
    daemon.end();
    assert_eq!(home.number("SELECT count(*) FROM sync_runs WHERE status NOT IN ('ok', 'interrupted')"), 0);
    let verified = home.run(&["verify", "--offline", "--json"]).await;
    assert_eq!(verified.code, 0, "{}\n{}", verified.stdout, verified.stderr);
}
