//! `chatloom backfill`.

use crate::app::{Range, SyncOptions};
use crate::config::Config;

use super::{Exit, chosen, output, sync};

/// Options of `backfill`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Read only this source (may be given several times)
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Bring only what happened from this day (2026-03-01, in UTC) or moment on; a conversation that was active then
    /// is brought whole
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Bring only what happened before this day or moment
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// Brings the history, or a range of it.
pub(super) async fn run(args: Args, config: &Config) -> Exit {
    let range = match Range::parse(args.since.as_deref(), args.until.as_deref()) {
        Ok(range) => range,
        Err(error) => {
            output::complain(&error.to_string());
            return Exit::Usage;
        }
    };
    let sources = match chosen(config, &args.source) {
        Ok(sources) => sources,
        Err(exit) => return exit,
    };
    let options = SyncOptions { backfill: true, range, ..SyncOptions::default() };
    sync::read_and_report(config, &sources, "chatloom backfill", options, args.json).await
}
