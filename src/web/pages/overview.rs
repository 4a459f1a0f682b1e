//! The first page: how sources and support are doing.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use crate::store::browse::Waiting;
use crate::telemetry::{SourceStanding, Standing};
use crate::web::ask::Ask;
use crate::web::chart::{Chart, Series, heat};
use crate::web::figures::{self, RANGES, Range, Stretch, Sums};
use crate::web::html::{Page, answer, line, table};
use crate::web::reader::{Zone, count, number, percent, span};
use crate::web::site::{Held, Site};
use crate::web::trouble::Trouble;

pub(super) async fn show(State(site): State<Site>, uri: Uri) -> Response {
    answer(&uri, make(&site, &uri).await)
}

async fn make(site: &Site, uri: &Uri) -> Result<Page, Trouble> {
    let ask = Ask::of(uri, &["days", "zone"])?;
    let held = site.digest().await?;
    let zone = Zone::of(&ask, &held.digest.zone)?;
    let now_ms = site.board.now_ms();
    let range = Range::of(&ask, &held.digest, now_ms)?;
    let (standing, _) = site.board.standing().await;
    let (step, stretches) = figures::stretches(&held.digest, range);
    let body = html! {
        div.title {
            h1 { "Overview" }
            nav aria-label="Range" {
                ul.ranges {
                    @for (value, name) in RANGES {
                        li { a href=(zone.to("/", &[("days", value)])) aria-current=[(range.value() == value).then_some("true")] { (name) } }
                    }
                }
            }
        }
        (tiles(&figures::total(&held.digest, range), held.digest.waiting_count, &zone))
        div.charts {
            (volume(step.name(), &stretches))
            (responses(step.name(), &stretches))
            (outcomes(step.name(), &stretches))
            (heat(&figures::hours(&held.digest, range, &zone), &zone.name))
        }
        (waiting(&held.digest.waiting, held.digest.waiting_count, now_ms, &zone))
        (sources(&standing, &held, &zone))
        p.asof { "Figures as of " (zone.time(held.as_of_ms)) " (" (zone.name) "); days are days in UTC, as in the view v_daily." }
    };
    Ok(Page { title: "Overview".to_owned(), zone, body })
}

fn tiles(sums: &Sums, waiting: i64, zone: &Zone) -> Markup {
    let share = |part: Option<u64>| {
        part.and_then(|part| percent(part, sums.with_bots)).map_or("–".to_owned(), |share| format!("{share} %"))
    };
    html! {
        dl.tiles {
            div { dt { "Conversations" } dd { (number(i64::try_from(sums.conversations).unwrap_or(i64::MAX))) } }
            div { dt { "Contacts' messages" } dd { (number(sums.contact_messages)) } }
            div { dt { "Median first response" } dd { (sums.first_response_median_seconds.map_or("–".to_owned(), span)) } }
            div { dt { "Contained by bots" } dd { (share(sums.contained)) } }
            div { dt { "Escalated" } dd { (share(sums.escalated)) } }
            div { dt { "Unanswered now" } dd { a href=(zone.to("/conversations", &[("unanswered", "1")])) { (number(waiting)) } } }
        }
    }
}

fn labels(stretches: &[Stretch]) -> Vec<String> {
    stretches.iter().map(|stretch| stretch.from.clone()).collect()
}

fn whole(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a count of conversations, or half of one")]
    let whole = value.round() as i64;
    number(whole)
}

fn values(stretches: &[Stretch], of: impl Fn(&Sums) -> Option<f64>) -> Vec<Option<f64>> {
    stretches.iter().map(|stretch| of(&stretch.sums)).collect()
}

fn float(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

fn volume(step: &str, stretches: &[Stretch]) -> Markup {
    let note = format!("New conversations per {step}, and those of them that are without an answer now.");
    Chart {
        id: "volume",
        title: "Volume",
        note: &note,
        step,
        labels: labels(stretches),
        series: vec![
            Series {
                name: "conversations",
                class: "s1",
                values: values(stretches, |sums| Some(float(sums.conversations))),
            },
            Series { name: "unanswered", class: "s2", values: values(stretches, |sums| Some(float(sums.unanswered))) },
        ],
        written: whole,
        top: None,
    }
    .bars()
}

fn responses(step: &str, stretches: &[Stretch]) -> Markup {
    Chart {
        id: "responses",
        title: "First response",
        note: "How long the first question waits for a bot or a human: half of them no longer than this.",
        step,
        labels: labels(stretches),
        series: vec![Series {
            name: "median",
            class: "s1",
            values: values(stretches, |sums| sums.first_response_median_seconds),
        }],
        written: span,
        top: None,
    }
    .lines()
}

fn outcomes(step: &str, stretches: &[Stretch]) -> Markup {
    let share =
        |part: Option<u64>, whole: u64| part.filter(|_| whole > 0).map(|part| 100.0 * float(part) / float(whole));
    Chart {
        id: "outcomes",
        title: "Containment and escalation",
        note: "Shares of conversations where a bot could answer. Contained: a bot alone dealt with it.",
        step,
        labels: labels(stretches),
        series: vec![
            Series {
                name: "contained",
                class: "s1",
                values: values(stretches, |sums| share(sums.contained, sums.with_bots)),
            },
            Series {
                name: "escalated",
                class: "s2",
                values: values(stretches, |sums| share(sums.escalated, sums.with_bots)),
            },
        ],
        written: |value| format!("{value:.0} %"),
        top: Some(100.0),
    }
    .lines()
}

fn waiting(first: &[Waiting], all: i64, now_ms: i64, zone: &Zone) -> Markup {
    let rows = html! {
        @for who in first {
            tr {
                td {
                    a href=(zone.to(&format!("/conversations/{}", who.conversation_id), &[])) {
                        bdi { (line(who.contact.as_deref().or(who.title.as_deref()).unwrap_or("Somebody without a name"))) }
                    }
                }
                td { (waited(now_ms.saturating_sub(who.waiting_since_ms))) }
                td { (zone.time(who.waiting_since_ms)) }
                td { (who.source) }
            }
        }
    };
    html! {
        section.card aria-labelledby="waiting" {
            h2 #waiting { "Unanswered now" }
            @if first.is_empty() {
                p.empty { "Nobody waits for an answer." }
            } @else {
                (table("Unanswered now", &["contact", "waits for", "since", "source"], &rows))
                p { a href=(zone.to("/conversations", &[("unanswered", "1")])) { (count(all, "conversation", "conversations")) " without an answer" } }
            }
        }
    }
}

fn waited(ms: i64) -> String {
    span(float(u64::try_from(ms / 1000).unwrap_or(0)))
}

/// Every source, with a word for how it is doing: those that are configured, and those that only the store knows.
pub(in crate::web) fn all(standing: &Standing) -> impl Iterator<Item = (&SourceStanding, &'static str)> {
    let others = standing.others.iter().map(|source| (source, "not_configured"));
    standing.sources.iter().map(|source| (source, state(source))).chain(others)
}

fn state(source: &SourceStanding) -> &'static str {
    match source {
        SourceStanding { enabled: false, .. } => "disabled",
        SourceStanding { failing: true, .. } => "failing",
        SourceStanding { last_success_ms: None, .. } => "never",
        SourceStanding { stale: true, .. } => "behind",
        _ => "ok",
    }
}

fn sources(standing: &Standing, held: &Held, zone: &Zone) -> Markup {
    let sums = |name: &str| held.digest.sources.iter().find(|source| source.name == name);
    let rows = html! {
        @for (source, state) in all(standing) {
            @let name = source.subject.source.to_string();
            tr {
                td { a href=(zone.to("/conversations", &[("source", &name)])) { (name) } }
                td { span class=(format!("state {state}")) { (state.replace('_', " ")) } }
                td {
                    @if let Some(at) = source.last_success_ms { (zone.time(at)) " (" (waited(source.lag_ms)) " ago)" }
                    @else { "not yet" }
                }
                td.number { (number(sums(&name).map_or(0, |sums| i64::try_from(sums.conversations).unwrap_or(i64::MAX)))) }
                td.number { (number(sums(&name).map_or(0, |sums| sums.messages))) }
                td.number {
                    @if source.incomplete > 0 {
                        a href=(zone.to("/conversations", &[("source", &name), ("incomplete", "1")])) { (number(i64::try_from(source.incomplete).unwrap_or(i64::MAX))) }
                    } @else { "0" }
                }
                td.number {
                    @if source.dead_letters > 0 {
                        a href=(zone.to("/dead-letters", &[("source", &name)])) { (number(i64::try_from(source.dead_letters).unwrap_or(i64::MAX))) }
                    } @else { "0" }
                }
            }
        }
    };
    let heads = ["source", "state", "last read whole", "conversations", "messages", "incomplete", "dead letters"];
    html! {
        section.card aria-labelledby="sources" {
            h2 #sources { "Sources" }
            (table("Sources", &heads, &rows))
        }
    }
}
