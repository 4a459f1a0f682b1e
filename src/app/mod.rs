//! The composition root: from a checked configuration to sources that can be read, and passes over them.

mod build;
pub mod daemon;
mod keep;
mod range;
mod retry;
mod sync;
mod verify;
mod watch;
#[cfg(test)]
mod wiped_tests;

pub use build::{BuildError, build_sources, clock};
pub use keep::{forget, maintain, rebuild_search};
pub use range::{Range, RangeError, day};
pub use retry::retry;
pub use sync::{SyncOptions, SyncReport, sync};
pub use verify::{SourceGaps, VerifyReport, verify};
pub use watch::watched;
