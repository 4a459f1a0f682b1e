//! The composition root: from a checked configuration to sources that can be read, and passes over them.

mod build;
mod range;
mod sync;

pub use build::{BuildError, build_sources, clock};
pub use range::{Range, RangeError};
pub use sync::{SyncOptions, SyncReport, sync};
