//! The only user of `reqwest`: GET requests of one source, paced, bounded, retried, and classified.

mod client;
mod error;
mod pace;

pub use client::{Http, HttpSettings, Usage};
pub use error::{Disposition, FetchError, Unfit};
pub use pace::Pacer;
