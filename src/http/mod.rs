//! The only user of `reqwest`: GET requests of one source, paced, bounded, retried, and classified.
//!
//! [`Http::get`] asks one question: `address` puts the URL together, [`Pacer`] says when, `wire` makes one try, to an
//! address that `resolve` lets pass, `verdict` sorts what came, `retry` and `retry_after` say how long to wait before
//! the next, and `words` keeps the key and ugly characters out of what is said about it. [`parse`] reads the bodies.

mod address;
mod cause;
mod client;
mod error;
pub(crate) mod fuzzed;
mod json;
mod pace;
mod resolve;
mod retry;
mod retry_after;
#[cfg(test)]
mod tests;
mod usage;
mod verdict;
mod wire;
mod words;

pub use client::{Http, HttpSettings};
pub use error::{Disposition, FetchError, Unfit};
pub use json::{mend, parse};
pub use pace::Pacer;
pub use usage::{Pulse, Usage};
