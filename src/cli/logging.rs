//! Logs go to stderr: as text, as text for the journal where stderr is the journal, or as JSON.
//!
//! How is said by `--log-format`, else by `[log] format`. How much is said by `CHATLOOM_LOG`, a filter (for instance
//! `chatloom=debug`), else by `[log] level`, else it is what suits the command.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{output, progress, unread};
use crate::config::{self, Log, LogFormat};
use crate::telemetry::{Lines, Look};

/// What was said about logs before they begin. A process has one stderr, and one way to write on it.
static SAID: Mutex<Said> = Mutex::new(Said { flag: None, configured: None });

struct Said {
    flag: Option<LogFormat>,
    configured: Option<Log>,
}

/// The argument of `--log-format`.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

/// Notes what the command line says.
pub(super) fn note_flag(format: Option<Format>) {
    said().flag = format.map(|format| match format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    });
}

/// Notes what the configuration says.
pub(super) fn note_configured(log: Log) {
    said().configured = Some(log);
}

/// Starts logging. On a terminal the progress bar already tells what goes well, so only warnings are shown.
pub(super) fn start() {
    begin(if std::io::stderr().is_terminal() { "warn" } else { "info" });
}

/// Starts logging for a command that tells what goes well by itself.
pub(super) fn start_quietly() {
    begin("warn");
}

/// Starts logging for a command that runs on and on, and tells by its log alone.
pub(super) fn start_service() {
    if !std::io::stderr().is_terminal() {
        unread::begin();
    }
    begin("info");
}

fn begin(usual: &'static str) {
    let (format, level) = {
        let said = said();
        let configured = said.configured.unwrap_or_default();
        (said.flag.unwrap_or(configured.format), configured.level.map_or(usual, config::LogLevel::as_str))
    };
    let usual = || EnvFilter::new(format!("chatloom={level}"));
    let filter = match config::log_filter() {
        None => usual(),
        Some(written) => filter(&written).unwrap_or_else(|error| {
            let problem = format!("CHATLOOM_LOG cannot be read ({error}); logging as if it were not set");
            output::complain(&output::tame_line(&problem));
            usual()
        }),
    };
    let look = match format {
        LogFormat::Json => Look::Json,
        LogFormat::Text if is_journal() => Look::Journal,
        LogFormat::Text => Look::Text { colour: std::io::stderr().is_terminal() && !config::no_color() },
    };
    // A log that cannot be written must not end the work.
    let lines = Lines::new(look, now_ms, |line: &str| {
        if !unread::take(line) {
            drop(progress::stderr().write_all(line.as_bytes()));
        }
    });
    // Only a second start in one process (a test) fails, and then logging is on already.
    drop(tracing_subscriber::registry().with(filter).with(lines).try_init());
}

/// Reads a filter. A word that is neither a level nor a part of this program would be taken for the name of somebody
/// else's part: that alone would be logged then, and of chatloom's own errors nothing.
fn filter(written: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let parts: Vec<&str> = written.split(',').map(str::trim).collect();
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let odd = |word: &&&str| !word.contains(['=', '[']) && !word.starts_with("chatloom") && !is_level(word);
    match parts.iter().filter(|word| !word.is_empty()).find(odd) {
        Some(word) => Err(format!("`{word}` is no level; write one of {}", LEVELS.join(", "))),
        None => EnvFilter::try_new(parts.join(",")).map_err(|error| error.to_string()),
    }
}

/// Whether stderr is the very socket that systemd says it connected to the journal. The variable alone proves nothing:
/// it is inherited by processes whose stderr is a pipe.
fn is_journal() -> bool {
    let own = || {
        let stderr = File::from(std::io::stderr().as_fd().try_clone_to_owned().ok()?);
        let metadata = stderr.metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    config::journal_stream().is_some_and(|journal| own() == Some(journal))
}

#[expect(clippy::disallowed_methods, reason = "a line says when it was written")]
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn said() -> std::sync::MutexGuard<'static, Said> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_silences_nothing() {
        for written in
            ["warn", " WARN ", "chatloom=debug", "chatloom", "info, hyper=off", "warn,[run{source=a}]=trace", ""]
        {
            assert!(filter(written).is_ok(), "{written}");
        }
        for written in ["warning", "verbose", "3levels", "warn,loud", "chatloom=="] {
            assert!(filter(written).is_err(), "{written}");
        }
    }
}
