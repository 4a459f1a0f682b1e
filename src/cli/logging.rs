//! Logs go to stderr as text. `CHATLOOM_LOG` sets the filter (for instance `chatloom=debug`).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config;

/// Starts logging. On a terminal the progress bar already tells what goes well, so only warnings are shown.
pub(super) fn start() {
    begin(if std::io::stderr().is_terminal() { "chatloom=warn" } else { "chatloom=info" });
}

/// Starts logging for a command that tells what goes well by itself.
pub(super) fn start_quietly() {
    begin("chatloom=warn");
}

/// Starts logging for the daemon: whoever runs it on a terminal wants to see what it does.
pub(super) fn start_daemon() {
    begin("chatloom=info");
}

fn begin(usual: &str) {
    let terminal = std::io::stderr().is_terminal();
    let filter = config::log_filter()
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new(usual));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(super::progress::stderr)
        .with_ansi(terminal && !config::no_color())
        .with_target(false)
        // A log that cannot be written must not end the work.
        .log_internal_errors(false)
        .finish();
    // Only a second start in one process (a test) fails, and then logging is on already.
    drop(subscriber.try_init());
}
