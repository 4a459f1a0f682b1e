//! Requests of the second generation (`/api/v2`): everything is paged by a cursor that the server hands out.
//!
//! Sources: `/docs/api-reference/v2`, and for field names the vendor's published clients.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::records::{self, ConversationId};
use super::totals::Tally;
use super::wire::read;
use crate::http::{FetchError, Http};
use crate::model::{Hasher, RawRecord};
use crate::provider::{ConversationPage, Facts, Job, Page};

/// The largest page that the command-line documents allow.
const MESSAGES_PER_PAGE: u32 = 100;
/// So many pages in a row without a message that is new are taken for the same.
const MOST_IDLE: u32 = 10;
/// More pages than this in one conversation are taken for a server that does not get on.
const MAX_PAGES: u32 = 100_000;
/// No position of a message is taken for greater than this.
const MAX_POSITION: i64 = 1 << 40;

/// One page of the chatbots that the token can see.
pub(super) async fn chatbots(http: &Http, token: Option<&str>, limit: u32) -> Result<Page, FetchError> {
    list(http, &["api", "v2", "chatbots"], &["chatbots"], &[], token, limit, records::chatbot).await
}

/// One page of a chatbot's conversations, empty, resolved and open ones alike.
pub(super) async fn conversations(
    http: &Http,
    chatbot: &str,
    token: Option<&str>,
    limit: u32,
) -> Result<Page, FetchError> {
    let segments = ["api", "v2", "chatbots", chatbot, "conversations"];
    // Both defaults are undocumented; without the parameters resolved or empty conversations might be left out.
    let extra = [("includeEmpty", "true"), ("status", "all")];
    let names = ["conversations", "threads", "items"];
    list(http, &segments, &names, &extra, token, limit, |raw| records::thread(chatbot, raw)).await
}

async fn list(
    http: &Http,
    segments: &[&str],
    names: &[&str],
    extra: &[(&str, &str)],
    token: Option<&str>,
    limit: u32,
    record: impl Fn(&RawValue) -> RawRecord + Send + Sync,
) -> Result<Page, FetchError> {
    let size = limit.to_string();
    let mut query = vec![("limit", size.as_str())];
    query.extend_from_slice(extra);
    query.extend(token.map(|token| ("cursor", token)));
    let page = http
        .get(segments, &query, |body| {
            read(body, |answer| {
                let records: Vec<_> = answer.rows(names)?.into_iter().map(&record).collect();
                let next = answer.next_cursor(records.len(), limit)?;
                Ok(Page { records, last: Some(next.is_none()), next, ..Page::default() })
            })
        })
        .await?;
    if page.next.is_some() && page.next.as_deref() == token {
        return Err(stuck(segments));
    }
    Ok(page)
}

/// Where the walk through one conversation's messages stands. It travels in the page string.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Walk {
    /// What to ask for next; `None` for the first page.
    cursor: Option<String>,
    /// The position of the next message in the conversation.
    at: i64,
    objects: i64,
    halves: i64,
    pages: u32,
    /// Pages in a row that brought nothing new.
    #[serde(default)]
    idle: u32,
    /// Hash of an earlier cursor. It moves on at every power of two, so that a circle of any length is met in the end.
    mark: Option<i64>,
}

impl Walk {
    /// Takes the next cursor in; `false` when it leads back to where the walk has been.
    fn follow(&mut self, cursor: String) -> bool {
        let hash = Hasher::of_bytes(cursor.as_bytes());
        if self.cursor.as_ref() == Some(&cursor) || self.mark == Some(hash) || self.pages >= MAX_PAGES {
            return false;
        }
        self.pages += 1;
        if self.pages.is_power_of_two() {
            self.mark = Some(hash);
        }
        self.cursor = Some(cursor);
        true
    }
}

/// For `super::fuzzed`: a place to continue at, as any text might spell it. The walk goes on or ends, whatever it says.
pub(super) fn fuzzed(text: &[u8]) {
    let Ok(mut walk) = serde_json::from_slice::<Walk>(text) else { return };
    let place = serde_json::to_string(&walk).ok();
    let again = place.as_deref().and_then(|place| serde_json::from_str::<Walk>(place).ok());
    assert_eq!(again.and_then(|walk| serde_json::to_string(&walk).ok()), place, "a place is written as it is read");
    walk.pages %= 64;
    let turns = (0..300).take_while(|turn| walk.follow(format!("c{}", turn % 2))).count();
    assert!(turns < 300, "two cursors that lead to one another are followed for ever");
}

/// Messages met so far in the conversations that are being read, by short forms of their ids: what comes twice is
/// counted once, and pages that bring nothing else lead nowhere.
#[derive(Debug, Default)]
pub(super) struct Met(Mutex<HashMap<String, HashSet<i64>>>);

impl Met {
    /// Those of a page's messages that were not met before. `begins`: it is the first page.
    fn new_of<'r>(
        &self,
        conversation: &str,
        begins: bool,
        records: &'r [(&'static str, RawRecord)],
    ) -> Vec<&'r RawValue> {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let met = met.entry(conversation.to_owned()).or_default();
        if begins {
            met.clear();
        }
        let identity =
            |record: &RawRecord| Hasher::of_bytes(record.id.as_deref().unwrap_or_else(|| record.json.get()).as_bytes());
        records.iter().filter(|(_, record)| met.insert(identity(record))).map(|(_, record)| &*record.json).collect()
    }

    fn forget(&self, conversation: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(conversation);
    }
}

/// One page of a conversation's messages, oldest first.
pub(super) async fn conversation(
    http: &Http,
    facts: &Facts,
    met: &Met,
    job: &Job,
    page: Option<&str>,
) -> Result<ConversationPage, FetchError> {
    let fetched = page_of(http, facts, met, job, page).await;
    if fetched.as_ref().map_or(true, |page| page.next.is_none()) {
        met.forget(&job.external_id);
    }
    fetched
}

async fn page_of(
    http: &Http,
    facts: &Facts,
    met: &Met,
    job: &Job,
    page: Option<&str>,
) -> Result<ConversationPage, FetchError> {
    let id = ConversationId::parse(&job.external_id)?;
    let segments = ["api", "v2", "chatbots", id.chatbot, "conversations", id.thread, "messages"];
    let mut walk: Walk = match page {
        None => Walk::default(),
        Some(text) => serde_json::from_str(text).map_err(|_| FetchError::Rejected {
            endpoint: segments.join("/"),
            status: 400,
            detail: "the place to continue at is unreadable".to_owned(),
        })?,
    };
    let size = MESSAGES_PER_PAGE.to_string();
    let mut query = vec![("limit", size.as_str())];
    query.extend(walk.cursor.as_deref().map(|cursor| ("cursor", cursor)));
    // Far above any conversation, far below where positions would overflow.
    let start = walk.at.clamp(0, MAX_POSITION);
    let (records, next) = http
        .get(&segments, &query, |body| {
            read(body, |answer| {
                let messages = answer.rows(&["messages"])?;
                let next = answer.next_cursor(messages.len(), MESSAGES_PER_PAGE)?;
                let records: Vec<_> = (start..)
                    .zip(messages)
                    .map(|(seq, raw)| (super::MESSAGES, records::message(&job.external_id, seq, raw)))
                    .collect();
                Ok((records, next))
            })
        })
        .await?;
    let new = met.new_of(&job.external_id, page.is_none(), &records);
    walk.idle = if new.is_empty() { walk.idle.saturating_add(1) } else { 0 };
    let mut counted = Tally::default();
    counted.add(&new);
    walk.at = start.saturating_add(i64::try_from(records.len()).unwrap_or(i64::MAX));
    walk.objects = walk.objects.saturating_add(counted.objects);
    walk.halves = walk.halves.saturating_add(counted.halves);
    let Some(cursor) = next else {
        let tally = Tally { objects: walk.objects, halves: walk.halves };
        let compared = tally.compare(job.reported_messages, facts);
        return Ok(ConversationPage {
            records,
            next: None,
            incomplete: compared.incomplete,
            whole: compared.whole,
            refetch_all: compared.refetch_all,
        });
    };
    if walk.idle >= MOST_IDLE || !walk.follow(cursor) {
        return Err(stuck(&segments));
    }
    let next = serde_json::to_string(&walk).map_err(|_| stuck(&segments))?;
    Ok(ConversationPage { records, next: Some(next), ..Default::default() })
}

/// The server's cursors lead in a circle: there is more, and no way to it.
fn stuck(segments: &[&str]) -> FetchError {
    FetchError::Unreadable {
        endpoint: segments.join("/"),
        tries: 1,
        cause: "the cursor for the next page does not get on".to_owned(),
    }
}
