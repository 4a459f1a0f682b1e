//! The daemon, `chatloom run`: one worker per source over one open store, until it is told to end.
//!
//! ```text
//! clock (a beat a second) -> supervisor (here): feeds the watchdog, takes over configurations, ends
//!                         -> worker (one per source) -> plan: what is due -> a pass, as in `chatloom sync`
//! face     what a worker shows: status line, watchdog
//! keeper   tidies the store up
//! notify   the service manager's socket
//! ```
//!
//! Schedules and back-offs are arithmetic over times that are passed in (`plan`). A worker never runs two passes at
//! once, and one source's trouble is no other's.

mod clock;
pub(crate) use clock::fuzzed;
mod face;
mod keeper;
mod notify;
mod plan;
mod reload;
mod supervisor;
mod worker;

pub use supervisor::{Asked, Ending, RunError, run};

/// Whether every schedule of a configuration can be followed, for `chatloom check`.
///
/// # Errors
/// Cron expressions that mean nothing, or no moment ever, each with its source.
pub fn try_schedules(config: &crate::config::Config) -> Result<(), String> {
    reload::wishes(config).map(drop)
}
