//! `chatloom rename`.

use crate::app::clock;
use crate::config::{Config, is_source_name};
use crate::store::{Store, StoreError, open_reader};

use super::{Exit, logging, output};

/// Options of `rename`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the source is called in the store
    old: String,
    /// What it is called from now on: small letters, digits, - and _
    new: String,
}

/// Gives a source's history another name, and says what is left to do in the configuration.
pub(super) async fn run(args: &Args, config: &Config) -> Exit {
    let (old, new) = (args.old.as_str(), args.new.as_str());
    if !is_source_name(new) {
        output::complain(&format!(
            "`{}` is no name for a source: small letters, digits, - and _ only",
            output::tame_line(new)
        ));
        return Exit::Usage;
    }
    if old == new {
        output::complain("the old name and the new one are the same");
        return Exit::Usage;
    }
    logging::start();
    match renamed(config, old, new).await {
        Ok(()) => {
            output::print(&format!("The history of `{old}` is now that of `{new}`.\n{}", left_to_do(config, old, new)));
            Exit::Fine
        }
        Err(error) => {
            output::complain(&error.to_string());
            Exit::Failed
        }
    }
}

async fn renamed(config: &Config, old: &str, new: &str) -> Result<(), StoreError> {
    // Opening for writing would make a file.
    drop(open_reader(&config.store_path)?);
    let (store, writer) = Store::open(&config.store_path, "chatloom rename", clock()())?;
    let outcome = store.rename_source(old, new).await;
    writer.close().await;
    outcome
}

/// What the configuration has to say afterwards.
fn left_to_do(config: &Config, old: &str, new: &str) -> String {
    let has = |name: &str| config.sources.iter().any(|source| source.name == name);
    match (has(old), has(new)) {
        (true, true) => {
            format!("The configuration names both: take `{old}` out, or it begins anew as a source of its own.")
        }
        (true, false) => format!(
            "Now write name = \"{new}\" instead of name = \"{old}\" in the configuration: until then the next sync \
             takes `{old}` for a new source and brings everything again."
        ),
        (false, true) => "The configuration calls it so already.".to_owned(),
        (false, false) => {
            format!("The configuration has neither: a [[sources]] table with name = \"{new}\" lets it go on.")
        }
    }
}
