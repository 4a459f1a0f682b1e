//! Logs go to stderr as text. `CHATLOOM_LOG` sets the filter (for instance `chatloom=debug`).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config;

/// Starts logging. On a terminal the progress bar already tells what goes well, so only warnings are shown.
pub(super) fn start() {
    let terminal = std::io::stderr().is_terminal();
    let usual = if terminal { "chatloom=warn" } else { "chatloom=info" };
    let filter = config::log_filter()
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new(usual));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal && !config::no_color())
        .with_target(false)
        .finish();
    // Only a second start in one process (a test) fails, and then logging is on already.
    drop(subscriber.try_init());
}
