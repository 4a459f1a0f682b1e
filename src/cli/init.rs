//! `chatloom init`.

use std::path::Path;

use super::{Exit, output};
use crate::config;

/// Writes the commented default configuration.
pub(super) fn run(explicit: Option<&Path>) -> Exit {
    let path = config::init_target(explicit);
    match config::init(&path) {
        Ok(()) => {
            output::print(&format!(
                "Wrote {}. Remove the # before the sources you have, fill in their keys, and run `chatloom check`.",
                path.display()
            ));
            Exit::Fine
        }
        Err(error) => {
            output::complain(&error.to_string());
            Exit::Failed
        }
    }
}
