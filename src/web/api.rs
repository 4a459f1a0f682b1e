//! The same data as JSON under `/api`, described by `openapi.json`. Read-only; unknown parameters are refused; every
//! failure has one shape.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Serialize;

use super::ask::Ask;
use super::figures::{self, DayOfSource, OfSource, Range, Stretch, Sums};
use super::pages::{self, CONVERSATION_NAMES, row_id, span_of};
use super::reader::Zone;
use super::site::{Held, Site};
use super::trouble::Trouble;
use crate::search::find_in;
use crate::store::browse::{self, ChangeFilter, ConversationRow, PeopleFilter, Waiting, iso};

/// Rows of an answer, and at most.
const USUAL: u32 = 100;
const MOST: u32 = 500;

const OPENAPI: &str = include_str!("openapi.json");

/// The routes.
pub(super) fn router(site: Site) -> Router {
    Router::new()
        .route("/api/openapi.json", get(description))
        .route("/api/overview", get(overview))
        .route("/api/sources", get(sources))
        .route("/api/daily", get(daily))
        .route("/api/hourly", get(hourly))
        .route("/api/response-times", get(response_times))
        .route("/api/conversations", get(conversations))
        .route("/api/conversations/{id}", get(conversation))
        .route("/api/messages", get(messages))
        .route("/api/search", get(search))
        .route("/api/people", get(people))
        .route("/api/people/{id}", get(person))
        .route("/api/runs", get(runs))
        .route("/api/dead-letters", get(letters))
        .with_state(site)
}

#[derive(Serialize)]
struct Failure {
    error: String,
}

fn answer<T: Serialize>(made: Result<T, Trouble>) -> Response {
    match made {
        Ok(made) => json(StatusCode::OK, &made),
        Err(trouble) => json(trouble.status(), &Failure { error: trouble.to_string() }),
    }
}

/// A failure of which no route knows.
pub(super) fn failure(status: StatusCode, error: &str) -> Response {
    json(status, &Failure { error: error.to_owned() })
}

fn json<T: Serialize>(status: StatusCode, document: &T) -> Response {
    match serde_json::to_string(document) {
        Ok(json) => (status, [(header::CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// The digest, and the range that was asked for.
async fn ranged(site: &Site, ask: &Ask) -> Result<(Arc<Held>, Range), Trouble> {
    let held = site.digest().await?;
    let range = Range::of(ask, &held.digest, site.board.now_ms())?;
    Ok((held, range))
}

#[derive(Serialize)]
struct Overview {
    as_of: String,
    since: String,
    total: Sums,
    step: figures::Step,
    stretches: Vec<Stretch>,
    waiting: Queue,
}

#[derive(Serialize)]
struct Queue {
    count: i64,
    first: Vec<Waiting>,
}

async fn overview(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["days"])?;
        let (held, range) = ranged(&site, &ask).await?;
        let (step, stretches) = figures::stretches(&held.digest, range);
        Ok(Overview {
            as_of: iso(held.as_of_ms),
            since: range.since(),
            total: figures::total(&held.digest, range),
            step,
            stretches,
            waiting: Queue { count: held.digest.waiting_count, first: held.digest.waiting.clone() },
        })
    };
    answer(made.await)
}

#[derive(Serialize)]
struct Sources {
    as_of: String,
    sources: Vec<Source>,
}

#[derive(Serialize)]
struct Source {
    name: String,
    provider: String,
    state: &'static str,
    last_success_at: Option<String>,
    lag_seconds: Option<i64>,
    conversations: u64,
    messages: i64,
    incomplete: u64,
    dead_letters: u64,
}

async fn sources(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        Ask::of(&uri, &[])?;
        let held = site.digest().await?;
        let (standing, _) = site.board.standing().await;
        let sources = pages::all_sources(&standing).map(|(source, state)| {
            let name = source.subject.source.to_string();
            let sums = held.digest.sources.iter().find(|sums| sums.name == name);
            Source {
                provider: source.subject.provider.to_owned(),
                state,
                last_success_at: source.last_success_ms.map(iso),
                lag_seconds: source.last_success_ms.map(|_| source.lag_ms / 1000),
                conversations: sums.map_or(0, |sums| sums.conversations),
                messages: sums.map_or(0, |sums| sums.messages),
                incomplete: source.incomplete,
                dead_letters: source.dead_letters,
                name,
            }
        });
        Ok(Sources { as_of: iso(held.as_of_ms), sources: sources.collect() })
    };
    answer(made.await)
}

#[derive(Serialize)]
struct Daily {
    as_of: String,
    since: String,
    days: Vec<DayOfSource>,
}

async fn daily(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["days", "source"])?;
        site.check_source(&ask).await?;
        let (held, range) = ranged(&site, &ask).await?;
        let days = figures::daily(&held.digest, range, ask.text("source"));
        Ok(Daily { as_of: iso(held.as_of_ms), since: range.since(), days })
    };
    answer(made.await)
}

#[derive(Serialize)]
struct Hourly {
    as_of: String,
    since: String,
    zone: String,
    hours: Vec<Hour>,
}

#[derive(Serialize)]
struct Hour {
    weekday: usize,
    hour: usize,
    contact_messages: u64,
}

async fn hourly(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["days", "zone"])?;
        let (held, range) = ranged(&site, &ask).await?;
        let zone = Zone::of(&ask, &held.digest.zone)?;
        let week = figures::hours(&held.digest, range, &zone);
        let hours = week.iter().enumerate().flat_map(|(weekday, day)| {
            let hours = day.iter().enumerate().filter(|(_, messages)| **messages > 0);
            hours.map(move |(hour, messages)| Hour { weekday, hour, contact_messages: *messages })
        });
        Ok(Hourly { as_of: iso(held.as_of_ms), since: range.since(), hours: hours.collect(), zone: zone.name })
    };
    answer(made.await)
}

#[derive(Serialize)]
struct ResponseTimes {
    as_of: String,
    since: String,
    sources: Vec<OfSource>,
}

async fn response_times(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["days"])?;
        let (held, range) = ranged(&site, &ask).await?;
        let sources = figures::by_source(&held.digest, range);
        Ok(ResponseTimes { as_of: iso(held.as_of_ms), since: range.since(), sources })
    };
    answer(made.await)
}

async fn conversations(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &[CONVERSATION_NAMES.as_slice(), &["limit"]].concat())?;
        site.check_source(&ask).await?;
        let limit = ask.limit(USUAL, MOST)?;
        site.read(move |store| {
            let zone = Zone::of(&ask, &browse::reporting_zone(store)?)?;
            Ok(browse::conversations(store, &pages::conversation_filter(&ask, &zone, limit)?)?)
        })
        .await
    };
    answer(made.await)
}

#[derive(Serialize)]
struct Transcript {
    conversation: ConversationRow,
    #[serde(flatten)]
    stretch: browse::Stretch,
}

async fn conversation(State(site): State<Site>, Path(id): Path<String>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["message", "after", "before", "limit"])?;
        let (id, span, limit) = (row_id(&id, "conversation")?, span_of(&ask)?, ask.limit(USUAL, MOST)?);
        site.read(move |store| {
            let missing = |what: &str| Trouble::Missing(what.to_owned());
            let conversation =
                browse::conversation(store, id)?.ok_or_else(|| missing("there is no such conversation"))?;
            let stretch = browse::stretch(store, id, span, limit)?
                .ok_or_else(|| missing("this conversation has no such message"))?;
            Ok(Transcript { conversation, stretch })
        })
        .await
    };
    answer(made.await)
}

async fn messages(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["source", "conversation", "author_kind", "deleted", "after", "limit"])?;
        site.check_source(&ask).await?;
        let filter = ChangeFilter {
            source: ask.owned("source"),
            conversation: ask.parsed("conversation", "is the number of a conversation")?,
            author_kind: ask.one_of("author_kind", &["contact", "agent", "bot", "system", "unknown"])?,
            deleted: ask.flag("deleted")?,
            after: ask.parsed("after", "is what `next` of a page said")?.unwrap_or(0),
            limit: ask.limit(USUAL, MOST)?,
        };
        site.read(move |store| Ok(browse::changes(store, &filter)?)).await
    };
    answer(made.await)
}

async fn search(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["q", "order", "deleted", "limit"])?;
        let Some(asked) = pages::search_asked(&ask, 25)? else {
            return Err(Trouble::Refused("q is missing: what is to be looked for".to_owned()));
        };
        site.read(move |store| Ok(find_in(store, asked)?)).await
    };
    answer(made.await)
}

async fn people(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["name", "after", "limit"])?;
        let filter = PeopleFilter {
            name: ask.owned("name"),
            after: ask.parsed("after", "is what `next` of a page said")?,
            limit: ask.limit(USUAL, MOST)?,
        };
        site.read(move |store| Ok(browse::people(store, &filter)?)).await
    };
    answer(made.await)
}

async fn person(State(site): State<Site>, Path(id): Path<String>, uri: Uri) -> Response {
    let made = async {
        Ask::of(&uri, &[])?;
        let id = row_id(&id, "person")?;
        site.read(move |store| {
            browse::person(store, id)?.ok_or_else(|| Trouble::Missing("there is no such person".to_owned()))
        })
        .await
    };
    answer(made.await)
}

async fn runs(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["source", "status", "after", "limit"])?;
        site.check_source(&ask).await?;
        let filter = pages::run_filter(&ask, ask.limit(USUAL, MOST)?)?;
        site.read(move |store| Ok(browse::runs(store, &filter)?)).await
    };
    answer(made.await)
}

async fn letters(State(site): State<Site>, uri: Uri) -> Response {
    let made = async {
        let ask = Ask::of(&uri, &["source", "resolved", "after", "limit"])?;
        site.check_source(&ask).await?;
        let filter = pages::letter_filter(&ask, ask.limit(USUAL, MOST)?)?;
        site.read(move |store| Ok(browse::letters(store, &filter)?)).await
    };
    answer(made.await)
}
