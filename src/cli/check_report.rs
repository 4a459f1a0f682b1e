//! What `chatloom check` found, as a document and as lines for people.

use serde::Serialize;

use super::output::tame_line;
use super::table::{count, wrap};
use crate::provider::Checked;

/// Width that what came of a try is broken at.
const WIDTH: usize = 100;

/// The document of `check --json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether everything that is needed works.
    pub(super) ok: bool,
    /// Whether no provider was asked.
    pub(super) offline: bool,
    pub(super) store: StoreReport,
    /// Environment variables that send requests through a proxy, by name.
    pub(super) proxies: Vec<String>,
    pub(super) sources: Vec<SourceReport>,
}

#[derive(Debug, Serialize)]
pub(super) struct StoreReport {
    pub(super) path: String,
    pub(super) ok: bool,
    pub(super) detail: String,
}

#[derive(Debug, Serialize)]
pub(super) struct SourceReport {
    pub(super) name: String,
    pub(super) provider: &'static str,
    pub(super) base_url: String,
    pub(super) enabled: bool,
    pub(super) checks: Vec<Tried>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub(super) what: String,
    pub(super) ok: bool,
    pub(super) optional: bool,
    /// What came of it; where it failed, what to do.
    pub(super) detail: String,
}

impl Tried {
    /// Whether a sync would suffer.
    pub(super) fn fails(&self) -> bool {
        !self.ok && !self.optional
    }
}

impl From<Checked> for Tried {
    fn from(checked: Checked) -> Self {
        let ok = checked.result.is_ok();
        let (Ok(detail) | Err(detail)) = checked.result;
        Self { what: checked.what, ok, optional: checked.optional, detail }
    }
}

impl Report {
    /// The report for people: one line per try, and what to do next.
    pub(super) fn told(&self) -> Vec<String> {
        let tries = || self.sources.iter().flat_map(|source| &source.checks);
        let whats = tries().map(|tried| tried.what.as_str()).chain(["store"]);
        let width = whats.map(|what| what.chars().count()).max().unwrap_or(0);
        let mut lines = Vec::new();
        let store = &self.store;
        // What went wrong names the file by itself.
        let detail = if store.ok { format!("{} {}", store.path, store.detail) } else { store.detail.clone() };
        let tried = Tried { what: "store".to_owned(), ok: store.ok, optional: false, detail };
        lines.extend(line(&tried, width));
        if !self.proxies.is_empty() {
            let detail = format!("requests go as these environment variables say: {}", self.proxies.join(", "));
            lines.extend(block("note", "proxy", &detail, width));
        }
        for source in &self.sources {
            lines.push(String::new());
            if !source.enabled {
                lines.push(format!("{} ({}): disabled, not tried", source.name, source.provider));
                continue;
            }
            lines.push(format!("{} ({}), {}", source.name, source.provider, source.base_url));
            lines.extend(source.checks.iter().flat_map(|tried| line(tried, width)));
        }
        lines.push(String::new());
        let failed = tries().filter(|tried| tried.fails()).count() + usize::from(!store.ok);
        let failed = i64::try_from(failed).unwrap_or(i64::MAX);
        lines.push(if self.sources.is_empty() {
            "No source is configured: add a [[sources]] table to the configuration (`chatloom init` shows how)."
                .to_owned()
        } else if self.sources.iter().all(|source| !source.enabled) {
            "No source is enabled: take `enabled = false` out of one in the configuration.".to_owned()
        } else if failed > 0 {
            format!("{} to put right; then run `chatloom check` again.", count(failed, "thing", "things"))
        } else if self.offline {
            "All is well here; no provider was asked: `chatloom check` does.".to_owned()
        } else {
            "All is well: `chatloom sync` reads everything once.".to_owned()
        });
        lines
    }
}

fn line(tried: &Tried, width: usize) -> Vec<String> {
    let state = match (tried.ok, tried.optional) {
        (true, _) => "ok",
        (false, true) => "warn",
        (false, false) => "FAIL",
    };
    block(state, &tried.what, &tried.detail, width)
}

/// State, what was tried, and the outcome, whose further lines stand below its first.
fn block(state: &str, what: &str, outcome: &str, width: usize) -> Vec<String> {
    let indent = format!("  {state:4}  {:width$}  ", tame_line(what));
    let room = WIDTH.saturating_sub(indent.chars().count()).max(40);
    let blank = " ".repeat(indent.chars().count());
    let lines = wrap(&tame_line(outcome), room);
    let lines = lines.iter().enumerate().map(|(at, text)| format!("{}{text}", if at == 0 { &indent } else { &blank }));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(what: &str, ok: bool, optional: bool, detail: &str) -> Tried {
        Tried { what: what.to_owned(), ok, optional, detail: detail.to_owned() }
    }

    fn source(name: &str, enabled: bool, checks: Vec<Tried>) -> SourceReport {
        let (name, base_url) = (name.to_owned(), "https://api.example.test/".to_owned());
        SourceReport { name, provider: "zaia", base_url, enabled, checks }
    }

    #[test]
    fn one_line_per_try_and_what_to_do() {
        let refused =
            "/api/v1/chats: the provider refused the key (401); make a key in the workspace settings, api keys section";
        let report = Report {
            ok: false,
            offline: false,
            store: StoreReport {
                path: "chatloom.db".to_owned(),
                ok: true,
                detail: "can be read and written".to_owned(),
            },
            proxies: vec!["HTTPS_PROXY".to_owned()],
            sources: vec![
                source("agents", true, vec![tried("key", false, false, refused)]),
                source(
                    "more",
                    true,
                    vec![
                        tried("key", true, false, "accepted"),
                        tried("external-users", false, true, "no names\u{1b}[0m"),
                    ],
                ),
                source("old", false, Vec::new()),
            ],
        };
        let expected = "  ok    store           chatloom.db can be read and written
  note  proxy           requests go as these environment variables say: HTTPS_PROXY

agents (zaia), https://api.example.test/
  FAIL  key             /api/v1/chats: the provider refused the key (401); make a key in the
                        workspace settings, api keys section

more (zaia), https://api.example.test/
  ok    key             accepted
  warn  external-users  no names\u{fffd}[0m

old (zaia): disabled, not tried

1 thing to put right; then run `chatloom check` again.";
        assert_eq!(report.told().join("\n"), expected);
    }
}
