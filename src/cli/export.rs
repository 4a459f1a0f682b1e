//! `chatloom export`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use tokio::time::Instant;

use super::output::{self, tame_line};
use super::signals::Signals;
use super::{Exit, logging, progress, reporting};
use crate::app::{Range, clock};
use crate::config::Config;
use crate::export::{self, Asked, ExportError, Format, Manifest, Progress};
use crate::store::{Cut, Snapshot, StoreError, USUAL_VIEWS, VIEWS};

/// How often progress is told where there is no terminal.
const LOG: Duration = Duration::from_secs(10);

/// Options of `export`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What kind of files; html is a page per conversation and an index
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Kind,
    /// The folder to write; it appears when it is whole
    #[arg(long, value_name = "DIR", default_value = "chatloom-export")]
    to: PathBuf,
    /// Which views, with commas between them [default: messages,conversations,daily]
    #[arg(long, value_name = "VIEWS", value_delimiter = ',', value_parser = PossibleValuesParser::new(VIEWS.iter().map(|view| view.name)))]
    what: Vec<String>,
    /// Only what is of this day (2026-03-01, in UTC) or moment on
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Only what is of before this day or moment
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Only this source of the store (may be given several times)
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Put the new export in the place of an earlier one
    #[arg(long)]
    replace: bool,
    /// Print the manifest, which is also in export.json
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Csv,
    Jsonl,
    Parquet,
    Html,
}

impl From<Kind> for Format {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Csv => Self::Csv,
            Kind::Jsonl => Self::Jsonl,
            Kind::Parquet => Self::Parquet,
            Kind::Html => Self::Html,
        }
    }
}

/// Writes views of the store as files. Whoever writes to the store goes on writing.
pub(super) async fn run(args: Args, config: &Config) -> Exit {
    logging::start();
    let asked = match asked(&args) {
        Ok(asked) => asked,
        Err(problem) => {
            output::complain(&problem);
            return Exit::Usage;
        }
    };
    let signals = Signals::listen();
    let progress = Arc::new(Progress::default());
    let (store, target, telling) = (config.store_path.clone(), args.to.clone(), Arc::clone(&progress));
    let cancel = signals.cancel.clone();
    let runtime = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || -> Result<Manifest, ExportError> {
        let snapshot = Snapshot::open(&store)?;
        let (interrupt, stopping) = (snapshot.interrupter(), Arc::clone(&progress));
        // A statement may sort for seconds before it gives a row.
        let watch = runtime.spawn(async move {
            cancel.cancelled().await;
            stopping.stop();
            interrupt();
        });
        let made = export::export(&snapshot, &asked, &target, &progress);
        watch.abort();
        made
    });
    match tell_until(work, &telling).await {
        Ok(Ok(manifest)) => {
            reporting::tell_if_behind(config, &manifest.reporting_timezone);
            match args.json {
                true => output::print_json(&manifest),
                false => output::print(&summary(&manifest, &args.to)),
            }
        }
        Ok(Err(error)) => {
            output::complain(&tame_line(&error.to_string()));
            return match (&error, signals.received()) {
                (ExportError::Stopped, Some(number)) => Exit::Signal(number),
                (ExportError::Store(StoreError::NoSuchSource { .. }), _) => Exit::Usage,
                _ => Exit::Failed,
            };
        }
        Err(error) => {
            output::complain(&format!("the export ended badly: {error}"));
            return Exit::Failed;
        }
    }
    Exit::Fine
}

fn asked(args: &Args) -> Result<Asked, String> {
    let range = Range::parse(args.since.as_deref(), args.until.as_deref()).map_err(|error| error.to_string())?;
    let format = Format::from(args.format);
    if format == Format::Html && !args.what.is_empty() {
        return Err("--format html writes transcripts of conversations; --what is for the other formats".to_owned());
    }
    let what = match (format, args.what.is_empty()) {
        (Format::Html, _) => Vec::new(),
        (_, true) => USUAL_VIEWS.iter().map(|name| (*name).to_owned()).collect(),
        (_, false) => args.what.clone(),
    };
    let cut = Cut { since_ms: range.since_ms, until_ms: range.until_ms, sources: args.source.clone() };
    let asked = Asked { format, what, cut, replace: args.replace, now_ms: clock()() };
    export::fits(&asked).map_err(|error| error.to_string())?;
    Ok(asked)
}

/// Waits for the work, and says how far it is.
async fn tell_until<T>(mut work: tokio::task::JoinHandle<T>, told: &Progress) -> Result<T, tokio::task::JoinError> {
    let bar = std::io::stderr().is_terminal().then(|| progress::spinner("exporting".to_owned()));
    let every = if bar.is_some() { Duration::from_millis(200) } else { LOG };
    let begun = Instant::now();
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(every) => {
                let rows = told.rows.load(Ordering::Relaxed);
                let per_second = rows.checked_div(begun.elapsed().as_secs()).unwrap_or(rows);
                match &bar {
                    Some(bar) => bar.set_message(format!("exporting  {rows} rows, {per_second}/s")),
                    None => tracing::info!(rows, "exporting"),
                }
            }
        }
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    done
}

fn summary(manifest: &Manifest, to: &std::path::Path) -> String {
    let mut lines = vec![format!("Wrote {}:", to.display())];
    for view in &manifest.views {
        let (files, bytes) = (view.files.len(), view.files.iter().map(|file| file.bytes).sum());
        let unit = if manifest.format == Format::Html { "pages" } else { "rows" };
        let files = if manifest.format == Format::Html {
            "index.html first".to_owned()
        } else {
            format!("{files} {}, {}", if files == 1 { "file" } else { "files" }, super::status::size(bytes))
        };
        lines.push(format!("  {}: {} {unit}, {files}", view.name, view.rows));
        if view.left_out_without_time > 0 {
            lines.push(format!(
                "    {} without a known time are left out; an export without --since and --until holds them",
                view.left_out_without_time
            ));
        }
    }
    lines.join("\n")
}
