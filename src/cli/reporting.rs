//! The `[reporting]` zone, where the store does not follow it yet.

use super::output;
use crate::config::Config;

/// Says so where what is told counts hours in another zone than the one that is configured: only those who write to the
/// store hand it on.
pub(super) fn tell_if_behind(config: &Config, of_store: &str) {
    let wanted = &config.reporting.timezone;
    if wanted != of_store {
        output::complain(&format!(
            "times are told in {of_store}: [reporting] timezone = \"{wanted}\" reaches the store with the next `chatloom sync` \
             or a restart of `chatloom run`"
        ));
    }
}
