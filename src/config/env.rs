//! The environment, read in this one place.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use zeroize::Zeroize as _;

/// A snapshot of environment variables: the process's own, or made up for a test. Not `Debug`: it holds secrets.
///
/// Its copies are wiped when it is dropped; those that the system keeps for the process cannot be.
#[derive(Clone, Default)]
pub struct Env {
    variables: BTreeMap<OsString, OsString>,
}

impl Drop for Env {
    fn drop(&mut self) {
        for value in std::mem::take(&mut self.variables).into_values() {
            value.into_encoded_bytes().zeroize();
        }
    }
}

impl Env {
    /// The variables of this process.
    #[must_use]
    pub fn process() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// Made-up variables.
    pub fn from_pairs<N: Into<OsString>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self { variables: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// Names of this process's variables that send requests through a proxy. Never their values: a proxy's address
    /// may carry a password.
    #[must_use]
    pub fn proxies() -> Vec<String> {
        Self::process().named_proxies()
    }

    fn named_proxies(&self) -> Vec<String> {
        const NAMES: [&str; 4] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];
        let both = NAMES.into_iter().flat_map(|name| [name.to_owned(), name.to_ascii_lowercase()]);
        let told = both.filter_map(|name| {
            let socks = self.get(&name)?.to_str().is_some_and(|value| value.trim_start().starts_with("socks"));
            Some(if socks { format!("{name} (a SOCKS proxy, which is not supported)") } else { name })
        });
        told.collect()
    }

    fn journal_stream(&self) -> Option<(u64, u64)> {
        let (device, inode) = self.get("JOURNAL_STREAM")?.to_str()?.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    }

    /// A variable's value; an empty one counts as not set.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Variables whose name begins with `prefix`, in the order of their names, empty ones included. Names that are
    /// not Unicode are none of ours.
    pub(super) fn beginning_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a OsStr)> {
        self.variables.iter().filter_map(move |(name, value)| {
            let name = name.to_str()?;
            name.starts_with(prefix).then_some((name, value.as_os_str()))
        })
    }
}

/// What `CHATLOOM_LOG` asks to be logged, in the syntax of `tracing_subscriber`'s filters.
#[must_use]
pub fn log_filter() -> Option<String> {
    Env::process().get("CHATLOOM_LOG").and_then(OsStr::to_str).map(str::to_owned)
}

/// Where the service manager wants to be told how things stand: a path, or an abstract name that begins with `@`.
#[must_use]
pub fn notify_socket() -> Option<OsString> {
    Env::process().get("NOTIFY_SOCKET").map(OsStr::to_owned)
}

/// The device and inode of the journal's socket, where systemd connected this process's output to it
/// (`JOURNAL_STREAM`, see systemd.exec(5)).
#[must_use]
pub fn journal_stream() -> Option<(u64, u64)> {
    Env::process().journal_stream()
}

/// Whether `NO_COLOR` asks for plain output (any value but an empty one, as <https://no-color.org> says).
#[must_use]
pub fn no_color() -> bool {
    Env::process().get("NO_COLOR").is_some()
}

/// What `CHATLOOM_FAULTS` asks to go wrong, in builds that can: see `store::failpoint`.
#[cfg(debug_assertions)]
#[must_use]
pub fn faults() -> Option<String> {
    Env::process().get("CHATLOOM_FAULTS").and_then(OsStr::to_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_told_by_name_alone() {
        let env = Env::from_pairs([
            ("https_proxy", "http://user:hunter2@proxy.example.test"),
            ("NO_PROXY", ""),
            ("HOME", "/"),
        ]);
        assert_eq!(env.named_proxies(), ["https_proxy"]);
        let env = Env::from_pairs([("ALL_PROXY", "socks5://hunter2@proxy.example.test")]);
        assert_eq!(env.named_proxies(), ["ALL_PROXY (a SOCKS proxy, which is not supported)"]);
    }
}
