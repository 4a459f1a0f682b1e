//! Configuration: from files and environment to a checked meaning, with every problem reported at once.
//!
//! The way of a value:
//!
//! ```text
//! config/default.toml, the file, CHATLOOM__SECTION__KEY   (load: three layers of the `config` crate)
//!   -> known keys and types (walk, keys)                  -> shapes as written (file)
//!   -> meaning (check, source, base_url, roots, …) -> Config, or Problems
//! ```
//!
//! To add a key: a line in `keys`, a field in `file`, its meaning in `check` or `source`, and a commented
//! line in `config/default.toml`. This module is the only one that reads environment variables.

mod base_url;
mod check;
mod env;
mod file;
pub(crate) mod fuzzed;
mod gap;
mod init;
mod keys;
mod load;
mod nearest;
mod only;
mod problem;
mod roots;
mod schedule;
mod secret;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod walk;

#[cfg(debug_assertions)]
pub use env::faults;
pub use env::{Env, journal_stream, log_filter, no_color, notify_socket};
pub use init::{DEFAULT_TOML, InitError, init, init_target};
pub use load::{load, load_for_serving, load_with, load_without_keys};
pub use problem::{Problem, Problems};
pub use settings::{
    Config, HttpListen, Keeping, KeyOrigin, Log, LogFormat, LogLevel, Pagination, ProviderSettings, Reporting,
    Schedule, SitegptApi, SourceConfig,
};
pub use source::is_source_name;
