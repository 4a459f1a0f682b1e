//! Why a request gave nothing, sorted by what is to be done about it.

use std::time::Duration;

/// What the caller does about a failed fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// This stream (or this one conversation) is over for this pass; others go on.
    StopStream,
    /// Nothing of this source can go on.
    StopSource,
}

/// A request that failed for good: every retry that made sense was made.
///
/// Messages name the endpoint (path without query), what happened and the next step; never a key or a body.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// 401: the key is wrong, expired or switched off.
    #[error("{endpoint}: the provider refused the key (401{})", note(.detail))]
    Unauthorized { endpoint: String, detail: String },
    /// 403: the key is good but may not read this.
    #[error("{endpoint}: the key may not read this (403{})", note(.detail))]
    Forbidden { endpoint: String, detail: String },
    /// 404 or 410.
    #[error("{endpoint}: not found ({status}{})", note(.detail))]
    NotFound { endpoint: String, status: u16, detail: String },
    /// Another status that trying again will not change (400, 405, 422), or an error the provider reports with status 200.
    #[error("{endpoint}: the provider rejected the request ({status}{})", note(.detail))]
    Rejected { endpoint: String, status: u16, detail: String },
    /// A redirect that is not followed: the key never leaves the configured origin.
    #[error("{endpoint}: the provider redirects to {target}; set base_url to the address it answers at")]
    Redirected { endpoint: String, target: String },
    /// Told to come back later than this run waits.
    #[error("{endpoint}: the provider asks to wait {} s; the rest is left for a later run", .wait.as_secs())]
    Deferred { endpoint: String, wait: Duration },
    /// The network or the provider failed on every try.
    #[error("{endpoint}: gave up after {tries} tries: {cause}")]
    Unavailable { endpoint: String, tries: u32, cause: String, unreachable: bool },
    /// Every try brought something that is not what the provider documents.
    #[error("{endpoint}: gave up after {tries} tries: the answer is not what the provider documents: {cause}")]
    Unreadable { endpoint: String, tries: u32, cause: String },
    /// The body is larger than the cap.
    #[error("{endpoint}: the answer is larger than {limit_bytes} bytes")]
    TooLarge { endpoint: String, limit_bytes: u64 },
    /// The run was told to stop.
    #[error("stopped")]
    Cancelled,
}

fn note(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl FetchError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Unauthorized { .. } | Self::Redirected { .. } | Self::Cancelled => Disposition::StopSource,
            Self::Unavailable { unreachable, .. } if *unreachable => Disposition::StopSource,
            Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Rejected { .. }
            | Self::Deferred { .. }
            | Self::Unavailable { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. } => Disposition::StopStream,
        }
    }
}

/// What a reader of bodies says of a body that is no good.
#[derive(Debug, Clone)]
pub enum Unfit {
    /// Not the promised JSON (cut short, HTML, another shape): worth another try.
    Broken(String),
    /// The provider says no inside a 200: its words, and the status that it should have sent.
    Refused { status: u16, detail: String },
}
