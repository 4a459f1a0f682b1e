//! The properties of every parser (`chatloom::fuzzing`) over seeds, mutations of them, and every input that ever broke
//! one: what fuzzing found stays mended without the tools of fuzzing. `docs/fuzzing.md` has the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chatloom::fuzzing::{Entry, Normalised, PROVIDERS, Read, TARGETS};
use chatloom::model::ProviderKind;
use chatloom::sim::Rng;
use chatloom::store::{Batch, Record, RunMode, Store};

/// Mutations tried of each seed.
const MUTATIONS: usize = 300;
/// No seed grows beyond this.
const LONGEST: usize = 16 * 1024;

pub(crate) fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target)
}

/// The inputs of a folder by name; none where it is missing.
fn inputs(kind: &str, target: &str) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder(kind, target)) else { return BTreeMap::new() };
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect()
}

/// Runs an entry point; a broken property says which input it was.
fn holds(target: &str, entry: Entry, name: &str, data: &[u8]) {
    let kept = std::panic::catch_unwind(|| entry(data));
    assert!(kept.is_ok(), "{target}: {name} breaks the property told above: {}", data.escape_ascii());
}

/// What mutations put in: ends of containers, escapes, extremes, and what steers, closes or repeats.
const PIECES: &[&str] = &[
    "",
    "null",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "0",
    "9223372036854775808",
    "1e999",
    "true",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{feff}",
    "<",
    "&#0;",
    "<br>",
    "</",
    "\"",
    "\\",
    ",",
    ":",
    "}",
    "]",
    "\n",
    "\t",
    " ",
    "%2e",
    "..",
    "//",
    "@",
    "99999999999999",
    "00000000000000",
    "1969-12-31T23:59:60+14:59",
    "\u{1f642}",
    "é",
    "*",
    "*/0",
    "-",
];

/// One mutation: a few bytes changed, a piece put in or cut out, a part repeated, or the end lost.
fn mutate(rng: &mut Rng, seed: &[u8]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..rng.between(1, 4) {
        let place = |rng: &mut Rng, length: usize| usize::try_from(rng.between(0, length as i64)).unwrap();
        let at = place(rng, data.len());
        match rng.between(0, 5) {
            0 => drop(data.splice(at..at, rng.pick(PIECES).unwrap().bytes())),
            1 => {
                let end = (at + place(rng, 12)).min(data.len());
                drop(data.splice(at..end, rng.pick(PIECES).unwrap().bytes()));
            }
            2 => {
                let end = (at + place(rng, 200)).min(data.len());
                let part = data[at..end].to_vec();
                let to = place(rng, data.len());
                drop(data.splice(to..to, part));
            }
            3 => data.truncate(at),
            4 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << rng.between(0, 7);
                }
            }
            _ => {
                // A value takes another's place.
                let from = place(rng, data.len());
                let part: Vec<u8> = data[from..].iter().copied().take_while(|byte| *byte != b',').take(80).collect();
                let end = data[at..].iter().position(|byte| *byte == b',').map_or(data.len(), |found| at + found);
                drop(data.splice(at..end, part));
            }
        }
    }
    data.truncate(LONGEST);
    data
}

/// A generator of its own for each target, so that one more target changes no other.
fn rng(target: &str) -> Rng {
    Rng::new(target.bytes().fold(17_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))))
}

#[test]
fn every_target_is_fuzzed_and_has_seeds() {
    let listed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).unwrap();
    for (target, _) in TARGETS {
        let named = format!("[[bin]]\nname = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"");
        assert!(listed.contains(&named), "fuzz/Cargo.toml lacks {target}");
        let code = folder("fuzz_targets", &format!("{target}.rs"));
        let code = fs::read_to_string(code).unwrap();
        assert!(code.contains("libfuzzer_sys::fuzz_target!(|data: &[u8]| chatloom::fuzzing::"), "{code}");
        let seeds = inputs("seeds", target);
        assert!((1..=20).contains(&seeds.len()), "{target} has {} seeds", seeds.len());
        assert!(seeds.values().all(|seed| seed.len() <= LONGEST), "seeds are small");
    }
    for kind in ["seeds", "regressions"] {
        for entry in fs::read_dir(folder(kind, "")).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            assert!(
                name.ends_with(".md") || TARGETS.iter().any(|(target, _)| *target == name),
                "{kind}/{name} is nobody's"
            );
        }
    }
}

#[test]
fn what_once_broke_a_parser_breaks_it_no_more() {
    for (target, entry) in TARGETS {
        for (name, data) in inputs("regressions", target) {
            holds(target, *entry, &name, &data);
        }
    }
}

#[test]
fn seeds_and_their_mutations_keep_every_promise() {
    for (target, entry) in TARGETS {
        let mut rng = rng(target);
        for (name, seed) in inputs("seeds", target) {
            holds(target, *entry, &name, &seed);
            for _ in 0..MUTATIONS {
                holds(target, *entry, &name, &mutate(&mut rng, &seed));
            }
        }
    }
}

/// Every seed of a provider's pages makes rows: else a parser that refuses everything would keep its promises too.
#[test]
fn seeds_of_pages_are_understood() {
    for (target, read) in PROVIDERS {
        let mut understood = 0;
        for seed in inputs("seeds", target).values() {
            understood +=
                read(seed).iter().filter(|(_, _, rows)| rows.as_ref().is_ok_and(|rows| !rows.is_empty())).count();
        }
        assert!(understood > 20, "{target}: {understood} records");
    }
}

/// Whatever a provider's page says, the store takes the rows that the adapter makes of it: one strange record must not
/// fail the page that it came on, today or in any later run.
#[tokio::test]
async fn the_store_takes_whatever_pages_come_to() {
    for (target, read) in PROVIDERS {
        let folder = tempfile::tempdir().unwrap();
        let (store, writer) = Store::open(&folder.path().join("inputs.db"), "a test", 1).unwrap();
        let kind = match *target {
            "brilliant_directories" => ProviderKind::BrilliantDirectories,
            "zaia" => ProviderKind::Zaia,
            _ => ProviderKind::Sitegpt,
        };
        let source_id = store.source("s", kind, "http://127.0.0.1/", Some("UTC")).await.unwrap().id;
        let run = store.start_run(source_id, RunMode::Incremental, 1).await.unwrap();
        let mut rng = rng(target);
        let pages = inputs("seeds", target).into_iter().chain(inputs("regressions", target));
        for (name, seed) in pages {
            for turn in 0..40 {
                let data = if turn == 0 { seed.clone() } else { mutate(&mut rng, &seed) };
                let records = records(*read, &data);
                let batch = Batch {
                    source_id,
                    run_id: run.0,
                    run_start_rev: run.1,
                    now_ms: 1_772_452_800_000 + turn,
                    records,
                    ..Batch::default()
                };
                if let Err(error) = store.commit(batch).await {
                    panic!("{target}: {name}: {error}: {}", data.escape_ascii());
                }
            }
        }
        drop(store);
        writer.close().await;
        let reader = chatloom::store::open_reader(&folder.path().join("inputs.db")).unwrap();
        assert_eq!(chatloom::store::integrity(&reader), (Vec::new(), None), "{target}");
        assert_eq!(chatloom::store::search_problem(&reader), None, "{target}");
    }
}

fn records(read: Read, data: &[u8]) -> Vec<Record> {
    let record = |(stream, raw, outcome): Normalised| Record::new(stream, raw, outcome);
    read(data).into_iter().map(record).collect()
}
