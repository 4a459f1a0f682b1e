//! Passes over sources: what is read, in which order, and how far each stream has come.
//!
//! A pass plans its feeds, walks each along the best rung of the ladder ([`walk`]), fetches the conversations that
//! the lists marked stale, looks up names, and closes its run. Every page is one commit with its cursor.

mod again;
mod cursor;
mod doubt;
mod error;
mod feed;
mod fetch;
pub(crate) mod fuzzed;
mod history;
mod marks;
mod names;
mod outbox;
mod pass;
mod progress;
mod range;
mod report;
mod runner;
mod tell;
pub mod walk;

pub use again::run_retry;
pub use cursor::FeedCursor;
pub use error::PassError;
pub use pass::{Wanted, run_pass};
pub use progress::{Moment, Progress, Pulse};
pub use report::SourceReport;
pub use runner::{Clock, Source};
