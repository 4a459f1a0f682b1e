//! `chatloom demo`: three simulated providers inside this process, synced with the code that syncs real ones.

mod found;
pub(super) mod site;
mod tell;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::signals::Signals;
use super::{Exit, logging, output, progress};
use crate::app::{SyncOptions, SyncReport, clock, sync};
use crate::config::SourceConfig;
use crate::store::RunStatus;
use crate::sync::Clock;
use found::Found;
use site::Sites;

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The SQLite file to make; an existing file is never touched
    #[arg(long, value_name = "FILE", default_value = "chatloom-demo.db")]
    path: PathBuf,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// The document of `demo --json`.
#[derive(Debug, Serialize)]
struct Outcome {
    path: String,
    /// The first pass, the one after some time went by at the providers, and a full one.
    passes: Vec<SyncReport>,
    found: Found,
}

/// Why the demonstration ended early.
enum Stop {
    /// A sentence for the operator.
    Failed(String),
    Signal(u8),
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Makes the file and tells what is in it.
pub(super) async fn run(args: Args) -> Exit {
    logging::start_quietly();
    let signals = Signals::listen();
    match demonstrate(&args.path, clock(), &signals).await {
        Ok(outcome) if args.json => {
            output::print_json(&outcome);
            Exit::Fine
        }
        Ok(outcome) => {
            output::print(&tell::story(&outcome));
            Exit::Fine
        }
        Err(Stop::Failed(why)) => {
            output::complain(&why);
            Exit::Failed
        }
        Err(Stop::Signal(number)) => {
            let file = args.path.display();
            output::complain(&format!("stopped; {file} holds what was read so far: remove it before the next try"));
            Exit::Signal(number)
        }
    }
}

/// Three passes over the simulated providers, into a file that must not exist yet.
async fn demonstrate(path: &Path, clock: Clock, signals: &Signals) -> Result<Outcome, Stop> {
    if path.symlink_metadata().is_ok() {
        let told = format!(
            "{0} is there already and stays as it is; remove it, or name another file with --path",
            path.display()
        );
        return Err(Stop::Failed(told));
    }
    let sites = Sites::start(clock()).await?;
    let sources = sites.sources()?;
    let usual = SyncOptions::default();
    let first = pass(path, &sources, usual, &clock, signals).await?;
    sites.let_time_pass(clock());
    let second = pass(path, &sources, usual, &clock, signals).await?;
    let full = pass(path, &sources, SyncOptions { full: true, ..usual }, &clock, signals).await?;
    let found = Found::read(path)?;
    Ok(Outcome { path: path.display().to_string(), passes: vec![first, second, full], found })
}

async fn pass(
    path: &Path,
    sources: &[SourceConfig],
    options: SyncOptions<'_>,
    clock: &Clock,
    signals: &Signals,
) -> Result<SyncReport, Stop> {
    let sources: Vec<&SourceConfig> = sources.iter().collect();
    let display = progress::Display::default();
    let watch = |sources| display.watch(sources);
    let cancel = signals.cancel.clone();
    let report = sync(path, "chatloom demo", &sources, options, Arc::clone(clock), cancel, watch).await;
    display.finish().await;
    let report = report?;
    if let Some(number) = signals.received()
        && report.sources.iter().any(|source| source.run_status == RunStatus::Interrupted)
    {
        return Err(Stop::Signal(number));
    }
    match report.sources.iter().find_map(|source| source.error.as_deref()) {
        Some(error) if !report.all_ok() => Err(Stop::Failed(error.to_owned())),
        _ => Ok(report),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open_reader;

    const NOW: i64 = 1_772_355_600_000; // 2026-03-01 09:00 UTC

    #[tokio::test]
    async fn a_demonstration_leaves_a_file_in_which_every_query_shown_finds_something() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.db");
        let clock: Clock = Arc::new(|| NOW);
        let Ok(outcome) = demonstrate(&path, Arc::clone(&clock), &Signals::default()).await else {
            panic!("the demonstration failed")
        };
        let [first, second, full] = outcome.passes.as_slice() else { panic!("three passes") };
        for at in 0..3 {
            assert!(second.sources[at].requests * 2 < first.sources[at].requests, "the second pass asks for news only");
            assert!(second.sources[at].messages.inserted > 0 && full.sources[at].messages.inserted == 0);
        }
        assert!(outcome.found.revisions > 0 && outcome.found.conversations_deleted > 0);
        assert!(outcome.found.excerpt.is_some());

        let told = tell::story(&outcome);
        let store = open_reader(&path).unwrap();
        for (_, sql) in tell::QUERIES {
            assert!(
                told.contains(sql) && !sql.contains(['"', '$', '`', '\\', '!']),
                "a shell takes it as it is: {sql}"
            );
            assert!(store.prepare(sql).unwrap().exists([]).unwrap(), "{sql}");
        }

        let refused = demonstrate(&path, clock, &Signals::default()).await;
        assert!(matches!(refused, Err(Stop::Failed(why)) if why.contains("--path")));
    }

    #[tokio::test]
    async fn a_file_of_somebody_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.txt");
        std::fs::write(&path, "mine").unwrap();
        assert!(matches!(demonstrate(&path, Arc::new(|| NOW), &Signals::default()).await, Err(Stop::Failed(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_demonstration_that_is_told_to_stop_claims_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let signals = Signals::default();
        signals.cancel.cancel();
        let stopped = demonstrate(&folder.path().join("demo.db"), Arc::new(|| NOW), &signals).await;
        assert!(matches!(stopped, Err(Stop::Failed(why)) if why.contains("stopped")));
    }
}
