//! `chatloom backup`.

use std::path::PathBuf;

use super::status::size;
use super::{Exit, logging, output};
use crate::app::clock;
use crate::config::Config;
use crate::store::backup;

/// Options of `backup`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write to this folder [default: backup_path of the configuration, else "backups" beside the store]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Keep so many of this store's newest backups there [default: backup_keep of the configuration, else 7]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// Copies the store. Whoever writes to it goes on writing.
pub(super) async fn run(args: Args, config: &Config) -> Exit {
    logging::start();
    let folder = args.to.unwrap_or_else(|| config.keeping.backup_path.clone());
    let keep = args.keep.map_or(config.keeping.backup_keep, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
    let (store, now_ms) = (config.store_path.clone(), clock()());
    let made = tokio::task::spawn_blocking(move || backup(&store, &folder, keep, now_ms)).await;
    let made = match made {
        Ok(Ok(made)) => made,
        Ok(Err(error)) => {
            output::complain(&error.to_string());
            return Exit::Failed;
        }
        Err(error) => {
            output::complain(&format!("the backup ended badly: {error}"));
            return Exit::Failed;
        }
    };
    if args.json {
        output::print_json(&made);
        return Exit::Fine;
    }
    let mut lines = vec![format!(
        "{}: {}, {} conversations, {} messages; looked at and sound.",
        made.path.display(),
        size(made.size_bytes),
        made.conversations,
        made.messages
    )];
    lines.extend(made.removed.iter().map(|old| format!("Removed {}.", old.display())));
    output::print(&lines.join("\n"));
    Exit::Fine
}
