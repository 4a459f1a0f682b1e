//! What comes from a provider before it is understood, and what is said when it cannot be.

use serde_json::value::RawValue;

/// A stream of a source: `stream` is one of the provider's words (`messages`), `scope` narrows it
/// (a SiteGPT chatbot's id; empty where there is only one).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    pub stream: &'static str,
    pub scope: String,
}

impl StreamKey {
    /// A stream without a scope.
    #[must_use]
    pub fn plain(stream: &'static str) -> Self {
        Self { stream, scope: String::new() }
    }

    /// A stream within a scope.
    #[must_use]
    pub fn scoped(stream: &'static str, scope: impl Into<String>) -> Self {
        Self { stream, scope: scope.into() }
    }
}

impl std::fmt::Display for StreamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.scope.is_empty() { f.write_str(self.stream) } else { write!(f, "{}/{}", self.stream, self.scope) }
    }
}

/// One record as the provider sent it.
#[derive(Debug, Clone)]
pub struct RawRecord {
    /// The record's id within its stream, unique in the source (a SiteGPT message: `chatbot/thread/message`).
    /// `None` when the provider sent none: such a record can only become a dead letter.
    pub id: Option<String>,
    /// The key by which its list is ordered or windowed: a numeric id, or a time in milliseconds.
    pub key: Option<i64>,
    /// External id of what the record stands in: the conversation of a message, the chatbot of a thread, the
    /// looked-up id of a user record. `None` where the record itself says it or nothing contains it.
    pub parent: Option<String>,
    /// Where the record stands in its parent, for those whose order is the provider's array order.
    pub seq: i64,
    /// The JSON text, byte for byte, except that secrets the provider puts into records are taken out.
    pub json: Box<RawValue>,
}

/// Where on its way a record was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It could not be fetched.
    Fetch,
    /// It is not the JSON shape that the provider documents.
    Decode,
    /// Its values make no row.
    Normalise,
}

impl Stage {
    /// The spelling in `dead_letters.stage`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Decode => "decode",
            Self::Normalise => "normalise",
        }
    }
}

/// Why one record makes no row. It becomes a dead letter; the rest of its page goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Reject {
    pub stage: Stage,
    /// The JSON path of what was wrong, `$` for the record itself.
    pub path: String,
    /// What is wrong, without the value (values may be private).
    pub reason: String,
}

impl Reject {
    /// A record whose JSON shape is wrong at `path`.
    #[must_use]
    pub fn decode(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { stage: Stage::Decode, path: path.into(), reason: reason.into() }
    }

    /// A record whose value at `path` makes no row.
    #[must_use]
    pub fn normalise(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { stage: Stage::Normalise, path: path.into(), reason: reason.into() }
    }
}
