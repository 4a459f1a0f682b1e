//! The table of faults: a row a test, played against the binary, and its result written to `docs/faults.md` by the run.
//!
//! Each section is a file. It lists its rows ([`Row`]) and plays each in a test of its own, inside [`play`]. A row that
//! makes no sense for chatloom stands there with the reason instead. When the last row of a whole run has been played,
//! the table is written.

mod chaos;
mod content;
mod damage;
mod disk;
pub(crate) mod fault;
mod json;
mod json_values;
mod keys;
mod mutations;
mod operations;
mod paging;
mod paging_kept;
mod paging_moves;
mod proxy;
mod scale;
mod size;
mod size_rows;
pub(crate) mod stage;
mod status;
mod status_refusals;
mod transport;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A row of the table.
pub(crate) struct Row {
    /// Section and number (`H1`).
    pub(crate) id: &'static str,
    pub(crate) fault: &'static str,
    /// What chatloom does.
    pub(crate) does: &'static str,
}

impl Row {
    /// A row, which a test plays.
    const fn played(id: &'static str, fault: &'static str, does: &'static str) -> Self {
        Self { id, fault, does }
    }
}

/// Title and rows of every section.
const SECTIONS: &[(&str, &[Row])] = &[
    ("Statuses and pacing", status::ROWS),
    ("Transport", transport::ROWS),
    ("Size and resources", size::ROWS),
    ("JSON and encoding", json::ROWS),
    ("Paging and cursors", paging::ROWS),
    ("Crashes, disk and file", disk::ROWS),
    ("Keys", keys::ROWS),
    ("Content", content::ROWS),
    ("Operations", operations::ROWS),
];

/// What became of a row, and in which test.
struct Outcome {
    held: bool,
    story: String,
}

static OUTCOMES: Mutex<BTreeMap<&'static str, Outcome>> = Mutex::new(BTreeMap::new());

/// Plays a row. A test that panics inside leaves the row as failed.
pub(crate) async fn play(id: &'static str, story: impl Future<Output = ()>) {
    let mut mark = Mark { id, held: false };
    story.await;
    mark.held = true;
}

struct Mark {
    id: &'static str,
    held: bool,
}

impl Drop for Mark {
    fn drop(&mut self) {
        let story = std::thread::current().name().unwrap_or("?").to_owned();
        let mut outcomes = OUTCOMES.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.insert(self.id, Outcome { held: self.held, story });
        let all = rows().all(|row| outcomes.contains_key(row.id));
        if all {
            let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
            drop(std::fs::write(page, table(&outcomes)));
        }
    }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    SECTIONS.iter().flat_map(|(_, rows)| rows.iter())
}

fn table(outcomes: &BTreeMap<&'static str, Outcome>) -> String {
    let held = outcomes.values().filter(|outcome| outcome.held).count();
    let failed = outcomes.len() - held;
    let mut page = format!(
        "# Faults\n\nWhat providers, networks, disks, people and content can do to chatloom, and what it does then. Every row \
         is played by a test against the built binary, and this page is written by the run that played them all:\n\n\
         ```sh\ncargo test --test it\n```\n\n{} rows: {held} held, {failed} failed.\n",
        held + failed
    );
    for (title, rows) in SECTIONS {
        write!(page, "\n## {title}\n\n| row | fault | what chatloom does | result |\n|---|---|---|---|\n").unwrap();
        for row in *rows {
            let (does, result) = match outcomes.get(row.id) {
                Some(Outcome { held: true, story }) => (row.does, format!("held: `{story}`")),
                Some(Outcome { held: false, story }) => (row.does, format!("**failed**: `{story}`")),
                None => (row.does, "**not played**".to_owned()),
            };
            writeln!(page, "| {} | {} | {does} | {result} |", row.id, row.fault).unwrap();
        }
    }
    page
}

#[test]
fn every_row_is_played_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut played: Vec<String> = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let calls = text.split("play(\"").skip(1).filter_map(|rest| rest.split_once('"'));
                played.extend(calls.map(|(id, _)| id.to_owned()).filter(|id| !id.is_empty()));
            }
        }
    }
    played.sort();
    let mut wanted: Vec<String> = rows().map(|row| row.id.to_owned()).collect();
    wanted.sort();
    assert_eq!(played, wanted);
    let cell = |text: &str| !text.contains(['|', '\n']);
    assert!(rows().all(|row| cell(row.fault) && cell(row.does)), "cells of a table");
}
