//! The command line: one file per command, each parses nothing itself, calls the app, and prints.
//!
//! Results go to stdout, logs and progress to stderr. Exit status: 0 all went well, 1 something failed, 2 wrong usage
//! or configuration, 130/143 stopped by a signal.

mod backfill;
mod backup;
mod check;
mod check_report;
mod demo;
mod explain;
mod export;
mod forget;
mod init;
mod logging;
mod maintain;
mod output;
mod process;
mod progress;
mod rename;
mod reporting;
mod retry;
mod run;
mod search;
mod serve;
mod show;
mod signals;
mod stats;
mod status;
mod sync;
mod table;
mod unread;
mod verify;

pub(crate) use output::{tame, tame_line};

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Config, Problems, SourceConfig};

/// Brings the conversations of Brilliant Directories, Zaia and SiteGPT into one SQLite file that you own.
#[derive(Debug, Parser)]
#[command(name = "chatloom", version, about, max_term_width = 100, arg_required_else_help = true)]
pub struct Args {
    /// Configuration file [default: $CHATLOOM_CONFIG, ./chatloom.toml, /etc/chatloom/chatloom.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines are written to stderr [default: as the configuration says, else text]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<logging::Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented configuration file; an existing one is never touched
    Init,
    /// Try the configuration, the store, and every source's key and endpoints, and say what is missing
    Check(check::Args),
    /// Read every source once and exit; on an empty store this brings the whole history
    Sync(sync::Args),
    /// Bring the history once, with progress; interrupted, the same command goes on where it stopped
    Backfill(backfill::Args),
    /// Read every source on its schedules until SIGTERM; SIGHUP reads the configuration and the keys again
    Run,
    /// Check the file, and compare what it holds with what the providers count
    Verify(verify::Args),
    /// Try dead letters again from what is stored, without any request; with --all every record
    Retry(retry::Args),
    /// Copy the store while it is in use, look at the copy, and keep the newest ones
    Backup(backup::Args),
    /// Drop what is older than it may be kept, give free space back, and empty the log
    Maintain(maintain::Args),
    /// Erase one person: text, names, addresses, raw records, and every byte of them
    Forget(forget::Args),
    /// Let a source go on under another name
    Rename(rename::Args),
    /// Serve health and metrics of the store, without reading any source, until stopped
    Serve,
    /// Show the state of every source and stream
    Status(status::Args),
    /// Search all messages for words; `search rebuild` builds the index anew
    Search(search::Args),
    /// Print one conversation
    Show(show::Args),
    /// Print the support metrics as tables
    Stats(stats::Args),
    /// Show which messages make a number
    Explain(explain::Args),
    /// Write messages, conversations and metrics as CSV, JSONL or Parquet, or conversations as pages
    Export(export::Args),
    /// Sync simulated providers into a file and show what it holds; needs no account
    Demo(demo::Args),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Fine,
    /// Something failed, the rest having been done.
    Failed,
    /// Wrong usage or configuration.
    Usage,
    /// Stopped by a signal of this number.
    Signal(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Signal(number) => 128 + number,
        })
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    process::leave_no_core();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            if error.use_stderr() {
                // It repeats what was typed, or pasted.
                output::warn(&output::tame(&error.render().to_string()));
                return Exit::Usage.into();
            }
            let lost = error.print().is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe);
            return if lost { Exit::Failed } else { Exit::Fine }.into();
        }
    };
    #[cfg(debug_assertions)]
    match crate::store::failpoint::Faults::parse(&config::faults().unwrap_or_default()) {
        Ok(faults) => crate::store::failpoint::arm(faults),
        Err(problem) => {
            output::complain(&problem);
            return Exit::Usage.into();
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("cannot start: {error}"));
            return Exit::Failed.into();
        }
    };
    let exit = match runtime.block_on(dispatch(args)) {
        Exit::Fine if output::lost_something() => Exit::Failed,
        exit => exit,
    };
    unread::flush();
    // Reading from a disk or a resolver that does not answer is not waited for.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    exit.into()
}

async fn dispatch(args: Args) -> Exit {
    logging::note_flag(args.log_format);
    match args.command {
        Command::Init => init::run(args.config.as_deref()),
        Command::Demo(demo) => demo::run(demo).await,
        Command::Check(check) => match load(args.config.as_deref()) {
            Ok(config) => check::run(check, &config).await,
            Err(exit) => exit,
        },
        Command::Sync(sync) => match load(args.config.as_deref()) {
            Ok(config) => sync::run(sync, &config).await,
            Err(exit) => exit,
        },
        Command::Backfill(backfill) => match load(args.config.as_deref()) {
            Ok(config) => backfill::run(backfill, &config).await,
            Err(exit) => exit,
        },
        Command::Run => run::run(args.config).await,
        Command::Verify(verify) => {
            let config = args.config.as_deref();
            match if verify.offline { load_without_keys(config) } else { load(config) } {
                Ok(config) => verify::run(verify, &config).await,
                Err(exit) => exit,
            }
        }
        Command::Retry(retry) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => retry::run(retry, &config).await,
            Err(exit) => exit,
        },
        Command::Backup(backup) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => backup::run(backup, &config).await,
            Err(exit) => exit,
        },
        Command::Maintain(maintain) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => maintain::run(&maintain, &config).await,
            Err(exit) => exit,
        },
        Command::Forget(forget) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => forget::run(forget, &config).await,
            Err(exit) => exit,
        },
        Command::Rename(rename) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => rename::run(&rename, &config).await,
            Err(exit) => exit,
        },
        Command::Serve => match load_with(config::load_for_serving, args.config.as_deref()) {
            Ok(config) => serve::run(&config).await,
            Err(exit) => exit,
        },
        Command::Status(status) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => status::run(&status, &config),
            Err(exit) => exit,
        },
        Command::Search(search) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => search::run(&search, &config).await,
            Err(exit) => exit,
        },
        Command::Show(show) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => show::run(&show, &config),
            Err(exit) => exit,
        },
        Command::Stats(stats) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => stats::run(&stats, &config),
            Err(exit) => exit,
        },
        Command::Export(export) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => export::run(export, &config).await,
            Err(exit) => exit,
        },
        Command::Explain(explain) => match load_without_keys(args.config.as_deref()) {
            Ok(config) => explain::run(&explain, &config),
            Err(exit) => exit,
        },
    }
}

/// Loads the configuration, or says everything that is wrong with it.
fn load(explicit: Option<&Path>) -> Result<Config, Exit> {
    load_with(config::load, explicit)
}

/// The same for commands that only read the store: they work where no key is at hand.
fn load_without_keys(explicit: Option<&Path>) -> Result<Config, Exit> {
    load_with(config::load_without_keys, explicit)
}

fn load_with(
    load: impl FnOnce(Option<&Path>) -> Result<Config, Problems>,
    explicit: Option<&Path>,
) -> Result<Config, Exit> {
    match load(explicit) {
        Ok(config) => {
            logging::note_configured(config.log);
            Ok(config)
        }
        Err(problems) => {
            output::complain(&problems.to_string());
            Err(Exit::Usage)
        }
    }
}

/// The configured sources, or those named by `--source`, disabled ones included.
fn named<'c>(config: &'c Config, names: &[String]) -> Result<Vec<&'c SourceConfig>, Exit> {
    for name in names {
        if !config.sources.iter().any(|source| source.name == *name) {
            let known: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            output::complain(&format!("no source is called `{name}`; the configuration has: {known}"));
            return Err(Exit::Usage);
        }
    }
    Ok(config.sources.iter().filter(|source| names.is_empty() || names.contains(&source.name)).collect())
}

/// The enabled sources, or those named by `--source`.
fn chosen<'c>(config: &'c Config, names: &[String]) -> Result<Vec<&'c SourceConfig>, Exit> {
    let mut sources = named(config, names)?;
    if let Some(source) = sources.iter().find(|source| !source.enabled && !names.is_empty()) {
        output::complain(&format!("source `{}` is disabled; set enabled = true to read it", source.name));
        return Err(Exit::Usage);
    }
    sources.retain(|source| source.enabled);
    if sources.is_empty() {
        output::complain(match config.sources.is_empty() {
            true => "no source is configured; add a [[sources]] table to the configuration (`chatloom init` shows how)",
            false => "no source is enabled; take `enabled = false` out of one in the configuration",
        });
        return Err(Exit::Usage);
    }
    Ok(sources)
}
