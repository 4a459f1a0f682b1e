//! Stories: the built binary against simulated providers over real HTTP, judged by what stands in the SQLite file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod again;
mod browser;
mod cursors;
mod daemon;
mod deletions;
mod disk;
mod drift;
mod drift_list;
mod drift_moves;
mod drift_walks;
mod export;
mod failures;
mod faults;
mod forget;
mod forget_letters;
mod harness;
mod identity;
mod imports;
mod inputs;
mod inputs_made;
mod keeping;
mod kill;
mod kill_news;
mod kill_rig;
mod kill_story;
mod main_job;
mod metrics;
mod migrations;
mod names;
mod oddities;
mod oracle;
mod package;
#[path = "../../examples/package/pages.rs"]
mod pages;
mod people;
mod python;
mod readers;
mod recipes;
mod rename;
mod replay;
mod requests;
#[path = "../../examples/package/sbom.rs"]
mod sbom;
mod search;
mod secrets;
mod snapshots;
mod stats;
mod supply;
mod telling;
mod traces;
mod verify;
mod web_api;
mod web_pages;
mod web_scene;
mod zone;
