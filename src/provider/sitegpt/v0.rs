//! Requests of the first generation (`/api/v0`), as documented under `/docs/api-reference`.
//!
//! Numbered pages are probed, not trusted: the getting-started page says that lists take `page` and `limit`, the
//! pages of the single lists name no parameter. The walk ends at an empty page or at one that brings nothing new; a
//! list that answers 400 to them is asked without.

use serde_json::value::RawValue;

use super::records::{self, ConversationId};
use super::totals::Tally;
use super::wire::{Answer, broken, read};
use crate::http::{FetchError, Http, Unfit};
use crate::model::RawRecord;
use crate::provider::{ConversationPage, Facts, Job, Page};

/// Name of the fact whether the server takes `includeChatUser`; the value `no` says that it answered 400 to it.
const INCLUDE_CHAT_USER: &str = "include_chat_user";

/// Names of the facts whether a list takes `page` and `limit`: the value `refused` says that it answered 400 to them.
/// One per list, for one that refuses says nothing of the other.
const CHATBOTS_PARAMS: &str = "list_params_chatbots";
const THREADS_PARAMS: &str = "list_params_threads";
const REFUSED: &str = "refused";

/// One page of the chatbots that the key can see.
pub(super) async fn chatbots(http: &Http, facts: &Facts, number: u32, limit: u32) -> Result<Page, FetchError> {
    let list = List { http, segments: &["api", "v0", "chatbots"], name: "chatbots", record: records::chatbot };
    list.page(facts, CHATBOTS_PARAMS, number, limit).await
}

/// One page of a chatbot's threads.
pub(super) async fn threads(
    http: &Http,
    facts: &Facts,
    chatbot: &str,
    number: u32,
    limit: u32,
) -> Result<Page, FetchError> {
    let segments = &["api", "v0", "chatbots", chatbot, "threads"];
    let list = List { http, segments, name: "threads", record: |raw: &RawValue| records::thread(chatbot, raw) };
    list.page(facts, THREADS_PARAMS, number, limit).await
}

/// A list to ask for.
struct List<'a, R> {
    http: &'a Http,
    segments: &'a [&'a str],
    /// The array's name in `data`.
    name: &'static str,
    record: R,
}

impl<R: Fn(&RawValue) -> RawRecord + Send + Sync> List<'_, R> {
    /// A numbered page; the whole list as the only page where the fact named `params` says that it has none.
    async fn page(&self, facts: &Facts, params: &str, number: u32, limit: u32) -> Result<Page, FetchError> {
        if facts.get(params).as_deref() == Some(REFUSED) {
            return self.whole().await;
        }
        let (page, limit) = (number.to_string(), limit.to_string());
        match self.ask(&[("page", &page), ("limit", &limit)]).await {
            // On a later page it is not the parameters: the first one took them.
            Err(FetchError::Rejected { status: 400 | 422, .. }) if number == 1 => {
                let page = self.whole().await?;
                facts.set(params, REFUSED);
                Ok(page)
            }
            answered => answered,
        }
    }

    async fn whole(&self) -> Result<Page, FetchError> {
        Ok(Page { last: Some(true), alone: true, ..self.ask(&[]).await? })
    }

    async fn ask(&self, query: &[(&str, &str)]) -> Result<Page, FetchError> {
        self.http
            .get(self.segments, query, |body| {
                read(body, |answer| {
                    let records: Vec<_> = answer.rows(&[self.name])?.into_iter().map(&self.record).collect();
                    let last = records.is_empty().then_some(true);
                    Ok(Page { records, last, ..Page::default() })
                })
            })
            .await
    }
}

/// A whole thread: its head and its messages, which come in one answer.
pub(super) async fn conversation(http: &Http, facts: &Facts, job: &Job) -> Result<ConversationPage, FetchError> {
    let id = ConversationId::parse(&job.external_id)?;
    let ask_user = facts.get(INCLUDE_CHAT_USER).as_deref() != Some("no");
    let mut fetched = thread(http, id, job, ask_user).await;
    if ask_user && matches!(fetched, Err(FetchError::Rejected { status: 400 | 422, .. })) {
        // The parameter stands in one older revision of the documents only.
        fetched = thread(http, id, job, false).await;
        if fetched.is_ok() {
            facts.set(INCLUDE_CHAT_USER, "no");
        }
    }
    let (page, tally) = fetched?;
    let compared = tally.compare(job.reported_messages, facts);
    Ok(ConversationPage {
        incomplete: compared.incomplete,
        whole: compared.whole,
        refetch_all: compared.refetch_all,
        ..page
    })
}

async fn thread(
    http: &Http,
    id: ConversationId<'_>,
    job: &Job,
    include_chat_user: bool,
) -> Result<(ConversationPage, Tally), FetchError> {
    let query: &[(&str, &str)] = if include_chat_user { &[("includeChatUser", "true")] } else { &[] };
    let segments = ["api", "v0", "chatbots", id.chatbot, "threads", id.thread];
    http.get(&segments, query, |body| read(body, |answer| whole(answer, id, job))).await
}

/// The page that one answer makes, and what it counts: a thread comes whole.
pub(super) fn whole(
    answer: &Answer<'_>,
    id: ConversationId<'_>,
    job: &Job,
) -> Result<(ConversationPage, Tally), Unfit> {
    let (raw, fields) = answer.item("thread")?;
    let messages =
        fields.array("messages").ok_or_else(|| broken("`data.thread.messages` is missing or is not an array"))?;
    let mut tally = Tally::default();
    tally.add(&messages);
    let mut head = records::thread(id.chatbot, raw);
    // What was asked for is what is answered, also where the answer does not repeat the id.
    head.id = Some(job.external_id.clone());
    let mut records = vec![(super::THREAD, head)];
    records.extend(
        (0_i64..).zip(messages).map(|(seq, raw)| (super::MESSAGES, records::message(&job.external_id, seq, raw))),
    );
    Ok((ConversationPage { records, ..Default::default() }, tally))
}
