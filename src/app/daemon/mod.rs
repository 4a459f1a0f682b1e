//! The daemon, `chatloom run`: one worker per source over one open store, until it is told to end.
//!
//! ```text
//! clock (a beat a second) -> supervisor: feeds the watchdog, mends what fell, ends
//!                         -> worker (one per source) -> plan: what is due -> a pass, as in `chatloom sync`
//! settle   takes over configurations: workers are started, replaced and ended
//! slot     one worker as the supervisor sees it: falls, and leaving
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
mod settle;
mod slot;
mod supervisor;
mod timetable;
mod worker;

pub use supervisor::{Asked, Ending, RunError, run};

/// Whether every schedule of a configuration can be followed, for `chatloom check`.
///
/// # Errors
/// Cron expressions that mean nothing, or no moment ever, each with its source.
pub fn try_schedules(config: &crate::config::Config) -> Result<(), String> {
    reload::wishes(config).map(drop)
}
