//! `chatloom run`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::clock;
use crate::app::daemon::{self, Asked, Ending, RunError};
use crate::config;

use super::signals::{Signals, hangups};
use super::{Exit, chosen, load, logging, output, unread};

/// Reads every source on its schedules until SIGTERM or SIGINT.
pub(super) async fn run(explicit: Option<PathBuf>) -> Exit {
    // From the first moment on, no signal may end a process that the service manager is about to tell something.
    let signals = Signals::listen();
    let reload = hangups();
    let config = match load(explicit.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Err(exit) = chosen(&config, &[]) {
        return exit;
    }
    logging::start_service();
    let asked = Asked {
        load: Arc::new(move || config::load(explicit.as_deref())),
        reload,
        cancel: signals.cancel.clone(),
        clock: clock(),
        notify_socket: config::notify_socket(),
    };
    match daemon::run(config, asked).await {
        Ok(Ending::Clean) => Exit::Fine,
        // Waiting for what does not end is what the time was for.
        Ok(Ending::Abrupt) => {
            unread::flush();
            std::process::exit(0)
        }
        Err(RunError::Configuration(problem)) => {
            output::complain(&problem);
            Exit::Usage
        }
        Err(error @ (RunError::Store(_) | RunError::Web(_))) => {
            output::complain(&error.to_string());
            // Told to end while it waited for the store: that is how it ends.
            match &error {
                RunError::Store(error) if signals.ended_waiting(error).is_some() => Exit::Fine,
                _ => Exit::Failed,
            }
        }
    }
}
