//! Telling what happens: named events, each of which writes its log line and moves its metric together.
//!
//! The lowest module of all: it imports nothing of ours, so that `http`, `store` and `sync` may call it. Telling never
//! fails and never waits: meters are numbers in memory, and a log line that cannot be written is dropped. What is
//! told are names, counts and times; never a key, a body or the text of a message.
//!
//! - [`events`]: what can happen. To add an event: a function there, and its meter in `meters` if it has one.
//! - [`sources`]: how the daemon finds its sources.
//! - `meters`: the counters and histograms of this process. Labels are bounded: source, provider, and words from
//!   short lists; never an id.
//! - [`Standing`]: how the store stands, read at the time of asking and not kept here.
//! - [`Lines`]: what a log line looks like, as text or as JSON.
//! - [`is_wild`]: which characters are shown to nobody as they are.

pub mod events;
mod lines;
mod meters;
mod render;
pub mod sources;
mod tame;
mod values;

pub use lines::{Lines, Look};
pub use render::{CONTENT_TYPE, SourceStanding, Standing, render};
pub use tame::{Marks, is_wild, tame_json};

use std::borrow::Cow;
use std::sync::Arc;

/// Whose doing something is: a source's name, and its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub source: Arc<str>,
    pub provider: &'static str,
}

impl Subject {
    /// A source of this name and provider.
    #[must_use]
    pub fn new(source: &str, provider: &'static str) -> Self {
        Self { source: source.into(), provider }
    }

    /// Requests that are made for no source in particular, such as those of tests.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new("", "")
    }

    fn labels(&self) -> Labels {
        vec![("source", Cow::Owned(self.source.to_string())), ("provider", Cow::Borrowed(self.provider))]
    }

    fn labels_and<const N: usize>(&self, more: [(&'static str, &'static str); N]) -> Labels {
        let mut labels = self.labels();
        labels.extend(more.map(|(name, value)| (name, Cow::Borrowed(value))));
        labels
    }
}

/// For `crate::fuzzing`: whatever is told, a line stays a line, and JSON says what it said.
pub(crate) fn fuzzed(text: &str) {
    let wild = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    for shown in [tame::tame(text), tame::quoted(text)] {
        assert!(!shown.contains(wild), "{shown:?}");
    }
    let json = serde_json::Value::from(text).to_string();
    let shown = tame::tame_json(&json);
    assert!(!shown.contains(wild), "{shown:?}");
    let back: Option<String> = serde_json::from_str(&shown).ok();
    assert_eq!(back.as_deref(), Some(text), "what a line says is changed");
}

type Labels = Vec<(&'static str, Cow<'static, str>)>;
