//! SiteGPT, in both of its API generations behind one type: the same records, ids and rows from either.
//!
//! ```text
//! chatbots ─fan out→ threads (one list per chatbot, a fingerprint per row) ─stale→ one conversation's messages
//! ```
//!
//! Neither generation can be asked for what changed, so every pass walks the lists, and only conversations whose
//! fingerprint moved are fetched. Source of all facts: `sitegpt.ai/docs/api-reference`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::http::{FetchError, Http};
use crate::model::{ProviderKind, RawRecord, Reject, Row, StreamKey};
use crate::provider::{Ask, Checked, Facts, Feed, Fetched, Job, Page, Pass, Provider, Shape};

mod check;
pub(crate) mod fuzzed;
mod json;
mod normalise;
mod records;
mod split;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod totals;
mod v0;
mod v2;
mod wire;

use records::ConversationId;

/// The feed of chatbots.
const CHATBOTS: &str = "chatbots";
/// The feed of a chatbot's threads (v2 calls them conversations); its scope is the chatbot's id.
const THREADS: &str = "threads";
/// The head of a fetched thread.
const THREAD: &str = "thread";
/// The messages of a fetched thread.
const MESSAGES: &str = "messages";
/// Rows asked for per page: the documented maximum of both generations.
const PAGE_SIZE: u32 = 100;

/// Which generation of the API a source uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `/api/v0`, with the account-wide key.
    V0,
    /// `/api/v2`, with a scoped token (`sgpt_…`).
    V2,
}

/// How a SiteGPT source is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub api: Api,
    /// Ids of the chatbots to read; none means every chatbot the key can see.
    pub chatbots: Vec<String>,
}

/// A SiteGPT account.
pub struct Sitegpt {
    http: Http,
    facts: Arc<Facts>,
    settings: Settings,
    /// The chatbots that the list of this pass holds; empty while it was not read.
    listed: Mutex<HashSet<String>>,
    /// Chatbots whose thread list answered in the pass under way.
    answered: Mutex<HashSet<String>>,
    /// See [`v2::Met`].
    met: v2::Met,
}

impl Sitegpt {
    /// An account that is read through `http`. `facts` remembers what the server was found to take: see `v0`.
    #[must_use]
    pub fn new(http: Http, facts: Arc<Facts>, settings: Settings) -> Self {
        Self { http, facts, settings, listed: Mutex::default(), answered: Mutex::default(), met: v2::Met::default() }
    }

    fn answered(&self) -> MutexGuard<'_, HashSet<String>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the chatbot of a conversation answered for its list: then a 404 can only mean the conversation,
    /// whatever code it carries (the one for a missing thread is not documented, `CHATBOT_NOT_FOUND` alone is).
    fn chatbot_answers(&self, job: &Job) -> bool {
        let chatbot = job.external_id.split('/').next().unwrap_or_default();
        self.answered().contains(chatbot)
    }

    fn listed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the list of chatbots was read in this pass and does not hold the chatbot of this conversation. A list
    /// that shows nothing at all proves nothing.
    fn lost_its_chatbot(&self, job: &Job) -> bool {
        let listed = self.listed();
        let chatbot = ConversationId::parse(&job.external_id).map(|id| id.chatbot);
        !listed.is_empty() && chatbot.is_ok_and(|chatbot| !listed.contains(chatbot))
    }

    fn thread_feeds(&self, chatbots: &[String]) -> Vec<Feed> {
        let shape = match self.settings.api {
            Api::V0 => Shape::Pages,
            Api::V2 => Shape::Cursor,
        };
        let mut feeds: Vec<Feed> = Vec::new();
        for chatbot in chatbots {
            let known = feeds.iter().any(|feed| feed.key.scope == *chatbot);
            if !known && !chatbot.is_empty() && !chatbot.contains('/') {
                feeds.push(Feed::new(StreamKey::scoped(THREADS, chatbot.as_str()), shape, PAGE_SIZE));
            }
        }
        feeds
    }
}

#[async_trait]
impl Provider for Sitegpt {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Sitegpt
    }

    async fn prepare(&self, _pass: &Pass) -> Result<(), FetchError> {
        // Here, not in `plan`: that is asked for more than once in a pass.
        self.listed().clear();
        self.answered().clear();
        Ok(())
    }

    fn plan(&self, _pass: &Pass) -> Vec<Feed> {
        if !self.settings.chatbots.is_empty() {
            return self.thread_feeds(&self.settings.chatbots);
        }
        let shape = match self.settings.api {
            Api::V0 => Shape::Pages,
            Api::V2 => Shape::Cursor,
        };
        let mut feed = Feed::new(StreamKey::plain(CHATBOTS), shape, PAGE_SIZE);
        feed.fans_out = true;
        vec![feed]
    }

    fn fan_out(&self, feed: &Feed, ids: &[String], _pass: &Pass) -> Vec<Feed> {
        if feed.key.stream != CHATBOTS {
            return Vec::new();
        }
        *self.listed() = ids.iter().cloned().collect();
        self.thread_feeds(ids)
    }

    async fn page(&self, stream: &StreamKey, ask: &Ask) -> Result<Page, FetchError> {
        let chatbot = stream.scope.as_str();
        let page = match (self.settings.api, stream.stream, ask) {
            (Api::V0, CHATBOTS, Ask::Number { number, limit }) => {
                v0::chatbots(&self.http, &self.facts, *number, cap(*limit)).await
            }
            (Api::V0, THREADS, Ask::Number { number, limit }) => {
                v0::threads(&self.http, &self.facts, chatbot, *number, cap(*limit)).await
            }
            (Api::V2, CHATBOTS, Ask::Token { token, limit }) => {
                v2::chatbots(&self.http, token.as_deref(), cap(*limit)).await
            }
            (Api::V2, THREADS, Ask::Token { token, limit }) => {
                v2::conversations(&self.http, chatbot, token.as_deref(), cap(*limit)).await
            }
            _ => Err(FetchError::Rejected {
                endpoint: stream.to_string(),
                status: 400,
                detail: "SiteGPT cannot be asked this way".to_owned(),
            }),
        };
        if page.is_ok() && stream.stream == THREADS {
            self.answered().insert(chatbot.to_owned());
        }
        page
    }

    async fn conversation(&self, job: &Job, page: Option<&str>) -> Result<Fetched, FetchError> {
        let fetched = match self.settings.api {
            Api::V0 => v0::conversation(&self.http, &self.facts, job).await,
            Api::V2 => v2::conversation(&self.http, &self.facts, &self.met, job, page).await,
        };
        match fetched {
            Ok(page) => Ok(Fetched::Page(page)),
            // A chatbot that is missing says nothing of one thread, unless it was deleted with all of them.
            Err(FetchError::NotFound { detail, .. })
                if !blames_the_chatbot(&detail) || self.lost_its_chatbot(job) || self.chatbot_answers(job) =>
            {
                Ok(Fetched::Gone)
            }
            Err(error) => Err(error),
        }
    }

    fn normalise(&self, stream: &str, raw: &RawRecord) -> Result<Vec<Row>, Reject> {
        normalise::rows(stream, raw)
    }

    async fn check(&self) -> Vec<Checked> {
        self.try_everything().await
    }
}

/// Both generations take 1 to 100.
fn cap(limit: u32) -> u32 {
    limit.clamp(1, PAGE_SIZE)
}

/// Whether a 404 is about the chatbot (`CHATBOT_NOT_FOUND`), not the thread. Known by the code or, where only the
/// message was handed on, by what it speaks of.
fn blames_the_chatbot(detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    let speaks_of = |word: &str| detail.contains(word);
    speaks_of("chatbot_not_found") || (speaks_of("chatbot") && !speaks_of("thread") && !speaks_of("conversation"))
}
