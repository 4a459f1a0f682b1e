//! `chatloom retry`.

use crate::app::{clock, retry};
use crate::config::Config;
use crate::store::RunStatus;

use super::signals::Signals;
use super::{Exit, logging, output, progress, sync};

/// Options of `retry`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this source (may be given several times)
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Normalise every stored record again, not only the dead letters
    #[arg(long)]
    all: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// Normalises stored records again. It needs no key, and takes disabled sources too.
pub(super) async fn run(args: Args, config: &Config) -> Exit {
    let sources = match super::named(config, &args.source) {
        Ok(sources) => sources,
        Err(exit) => return exit,
    };
    logging::start();
    let signals = Signals::listen();
    let spinner = progress::spinner("normalising what is stored".to_owned());
    let outcome = retry(&config.store_path, &sources, args.all, clock(), signals.cancel.clone()).await;
    spinner.finish_and_clear();
    let report = match outcome {
        Ok(report) => report,
        Err(error) => {
            output::complain(&error.to_string());
            return signals.ended_waiting(&error).map_or(Exit::Failed, Exit::Signal);
        }
    };
    if args.json {
        output::print_json(&report);
    } else if report.sources.is_empty() {
        output::print("Nothing is stored of these sources yet; `chatloom sync` brings it.");
    } else {
        output::print(&sync::summary(&report));
    }
    match signals.received() {
        Some(number) if report.sources.iter().any(|source| source.run_status == RunStatus::Interrupted) => {
            Exit::Signal(number)
        }
        _ if report.all_ok() => Exit::Fine,
        _ => Exit::Failed,
    }
}
