//! `chatloom maintain`.

use super::status::size;
use super::{Exit, logging, output};
use crate::app::{clock, maintain};
use crate::config::Config;

/// Options of `maintain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// Tidies the store up and says what was done.
pub(super) async fn run(args: &Args, config: &Config) -> Exit {
    logging::start();
    let done = match maintain(&config.store_path, &config.keeping, &clock()).await {
        Ok(done) => done,
        Err(error) => {
            output::complain(&error.to_string());
            return Exit::Failed;
        }
    };
    if args.json {
        output::print_json(&done);
        return Exit::Fine;
    }
    let mut lines = Vec::new();
    if config.keeping.message_retention.is_some() {
        lines.push(format!("{} messages lost their text, being older than texts are kept.", done.messages_erased));
    }
    if config.keeping.raw_retention.is_some() {
        lines.push(format!("{} raw records were dropped, being older than they are kept.", done.raw_dropped));
    }
    lines.push(format!(
        "{} free pages went back to the disk; the file has {}.",
        done.pages_freed,
        size(done.size_bytes)
    ));
    lines.push(match done.log_truncated {
        true => "The write-ahead log is empty.".to_owned(),
        false => "The write-ahead log could not be emptied: another program is reading the store.".to_owned(),
    });
    output::print(&lines.join("\n"));
    Exit::Fine
}
