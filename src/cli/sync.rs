//! `chatloom sync`.

use crate::app::{SyncOptions, SyncReport, clock, sync};
use crate::config::{Config, SourceConfig};
use crate::store::RunStatus;

use super::signals::Signals;
use super::table::count;
use super::{Exit, chosen, logging, output, progress};

/// Options of `sync`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Read only this source (may be given several times)
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Read every list and every conversation again, so that edits, read flags and deletions are found
    #[arg(long)]
    full: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// Reads every chosen source once.
pub(super) async fn run(args: Args, config: &Config) -> Exit {
    let sources = match chosen(config, &args.source) {
        Ok(sources) => sources,
        Err(exit) => return exit,
    };
    let options = SyncOptions { full: args.full, ..SyncOptions::default() };
    read_and_report(config, &sources, "chatloom sync", options, args.json).await
}

/// Runs a pass over the sources with progress on stderr, prints the outcome, and says how it ended.
pub(super) async fn read_and_report(
    config: &Config,
    sources: &[&SourceConfig],
    who: &str,
    options: SyncOptions<'_>,
    json: bool,
) -> Exit {
    logging::start();
    let signals = Signals::listen();
    let options = SyncOptions { reporting: Some(&config.reporting.timezone), ..options };
    let display = progress::Display::default();
    let watch = |sources| display.watch(sources);
    let outcome = sync(&config.store_path, who, sources, options, clock(), signals.cancel.clone(), watch).await;
    display.finish().await;
    let report = match outcome {
        Ok(report) => report,
        Err(error) => {
            output::complain(&error.to_string());
            return signals.ended_waiting(&error).map_or(Exit::Failed, Exit::Signal);
        }
    };
    if json {
        output::print_json(&report);
    } else {
        output::print(&summary(&report));
    }
    match signals.received() {
        Some(number) if report.sources.iter().any(|source| source.run_status == RunStatus::Interrupted) => {
            Exit::Signal(number)
        }
        _ if report.all_ok() => Exit::Fine,
        _ => Exit::Failed,
    }
}

/// One line per source, and what went wrong below it.
pub(super) fn summary(report: &SyncReport) -> String {
    let width = report.sources.iter().map(|source| source.name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for source in &report.sources {
        let (conversations, messages) = (&source.conversations, &source.messages);
        lines.push(format!(
            "{:width$}  {:8} conversations: {} new, {} changed, {} deleted   messages: {} new, {} changed, {} deleted   {} requests in {:.1} s",
            source.name,
            source.status,
            conversations.inserted,
            conversations.updated,
            conversations.deleted,
            messages.inserted,
            messages.updated,
            messages.deleted,
            source.requests,
            seconds(source.duration_ms),
        ));
        if let Some(error) = &source.error {
            lines.push(format!("{:width$}  {}", "", output::tame_line(error)));
        }
        if source.error.is_none() && source.dead_letters > 0 {
            let records = count(i64::try_from(source.dead_letters).unwrap_or(i64::MAX), "record", "records");
            lines.push(format!("{:width$}  {records} could not be read: see the table dead_letters", ""));
        }
    }
    lines.join("\n")
}

fn seconds(milliseconds: i64) -> f64 {
    std::time::Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)).as_secs_f64()
}
