//! Sorting answers by what is to be done about them.

use std::time::Duration;

use reqwest::header::CONTENT_ENCODING;

use super::json::bounded;
use super::retry::Policy;
use super::wire::Answer;
use super::words::{self, Words};
use super::{FetchError, Unfit, retry_after};

/// What to do about an answer.
#[derive(Debug)]
pub(super) enum Verdict<T> {
    Good(T),
    /// Trying again changes nothing.
    Final(FetchError),
    Again(Setback),
}

/// A try that failed, and may do better next time.
#[derive(Debug)]
pub(super) struct Setback {
    pub(super) failure: Failure,
    pub(super) pause: Pause,
    /// Set when it was the provider that refused (429, 5xx, a firewall), and not the network that failed.
    pub(super) status: Option<u16>,
}

/// What it comes to when no try did better.
#[derive(Debug)]
pub(super) enum Failure {
    Unavailable(String),
    Unreadable(String),
    Firewall,
}

/// How long to leave the provider alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// As long as we think fit, but at least this.
    Own(Duration),
    /// As long as the provider wants.
    Asked(Duration),
}

impl Setback {
    /// The network failed.
    pub(super) fn network(cause: String) -> Self {
        Self { failure: Failure::Unavailable(cause), pause: Pause::Own(Duration::ZERO), status: None }
    }

    fn unreadable(cause: String) -> Self {
        Self { failure: Failure::Unreadable(cause), pause: Pause::Own(Duration::ZERO), status: None }
    }

    /// What the network did, for logs; what a provider says stays out of them.
    pub(super) fn trouble(&self) -> Option<&str> {
        match &self.failure {
            Failure::Unavailable(cause) if self.status.is_none() => Some(cause),
            _ => None,
        }
    }

    /// The error when this was the last try.
    pub(super) fn give_up(self, endpoint: String, tries: u32, answered: bool) -> FetchError {
        match self.failure {
            Failure::Unavailable(cause) => FetchError::Unavailable { endpoint, tries, cause, unreachable: !answered },
            Failure::Unreadable(cause) => FetchError::Unreadable { endpoint, tries, cause },
            Failure::Firewall => FetchError::Forbidden {
                endpoint,
                detail: "a firewall in front of the provider answered with a page of its own".to_owned(),
            },
        }
    }
}

/// What the sorting needs to know.
pub(super) struct Judge<'a> {
    pub(super) endpoint: &'a str,
    pub(super) words: &'a Words,
    pub(super) policy: &'a Policy,
}

impl Judge<'_> {
    /// Sorts an answer; `read` decides about the body of a success.
    pub(super) fn judge<T>(&self, answer: &Answer, read: impl Fn(&[u8]) -> Result<T, Unfit>) -> Verdict<T> {
        let asked = retry_after::asked(&answer.headers);
        match answer.status {
            204 | 205 | 304 => Verdict::Again(Setback::unreadable(format!("no content ({})", answer.status))),
            206 => Verdict::Again(Setback::unreadable("a part of the content (206)".to_owned())),
            200..=299 => match bounded(&answer.body).and_then(|()| read(&self.words.hide(&answer.body))) {
                Ok(value) => Verdict::Good(value),
                Err(Unfit::Broken(why)) => Verdict::Again(Setback::unreadable(self.broken(&why, answer))),
                Err(Unfit::Refused { status, detail }) => self.refusal(status, self.words.clean(&detail), asked),
            },
            403 if is_firewall(answer) => Verdict::Again(Setback {
                failure: Failure::Firewall,
                pause: self.pause(asked, Pause::Own(Duration::ZERO)),
                status: Some(403),
            }),
            status => self.refusal(status, self.words.reason(&answer.body), asked),
        }
    }

    /// Why a body is not the promised JSON. One that is still packed is so for a reason of its own: the header of what the
    /// client unpacks is gone by now.
    fn broken(&self, why: &str, answer: &Answer) -> String {
        let still = answer.headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let still: Vec<&str> = still.collect();
        if still.is_empty() {
            return self.words.clean(why);
        }
        self.words.clean(&format!("{why}; it is packed as `{}`, which was not asked for", still.join(", ")))
    }

    fn refusal<T>(&self, status: u16, detail: String, asked: Option<Duration>) -> Verdict<T> {
        let endpoint = self.endpoint.to_owned();
        let otherwise = match status {
            401 => return Verdict::Final(FetchError::Unauthorized { endpoint, detail }),
            403 => return Verdict::Final(FetchError::Forbidden { endpoint, detail }),
            404 | 410 => return Verdict::Final(FetchError::NotFound { endpoint, status, detail }),
            429 => Pause::Asked(self.policy.unspoken),
            408 | 500 | 502..=599 => Pause::Own(Duration::ZERO),
            _ => return Verdict::Final(FetchError::Rejected { endpoint, status, detail }),
        };
        let cause = if detail.is_empty() { format!("status {status}") } else { format!("status {status}: {detail}") };
        let pause = self.pause(asked, otherwise);
        Verdict::Again(Setback { failure: Failure::Unavailable(cause), pause, status: Some(status) })
    }

    fn pause(&self, asked: Option<Duration>, otherwise: Pause) -> Pause {
        match asked {
            // "At once" is never meant so by a provider that has just refused.
            Some(Duration::ZERO) => Pause::Own(self.policy.least),
            Some(wait) => Pause::Asked(wait),
            None => otherwise,
        }
    }
}

/// Whether a refusal came from a firewall such as Cloudflare's, which has moods, and not from the provider's own
/// API, which means what it says.
fn is_firewall(answer: &Answer) -> bool {
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    // Cloudflare's form for clients that do not accept HTML.
    words::is_html(text) || text.starts_with("error code: 1")
}
