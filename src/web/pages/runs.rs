//! Passes: what was read when, and what came of it.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use crate::store::browse::{self, RunFilter, RunRow};
use crate::store::source_names;
use crate::web::ask::Ask;
use crate::web::html::{Page, answer, shown, table};
use crate::web::reader::{Zone, number, span};
use crate::web::site::Site;
use crate::web::trouble::Trouble;

const PAGE: u32 = 100;
pub(in crate::web) const STATUSES: [&str; 5] = ["running", "ok", "partial", "failed", "interrupted"];

pub(super) async fn show(State(site): State<Site>, uri: Uri) -> Response {
    answer(&uri, make(&site, &uri).await)
}

pub(in crate::web) fn filter(ask: &Ask, limit: u32) -> Result<RunFilter, Trouble> {
    Ok(RunFilter {
        source: ask.owned("source"),
        status: ask.one_of("status", &STATUSES)?,
        after: ask.parsed("after", "is what `next` of a page said")?,
        limit,
    })
}

async fn make(site: &Site, uri: &Uri) -> Result<Page, Trouble> {
    let ask = Ask::of(uri, &["source", "status", "after", "zone"])?;
    site.check_source(&ask).await?;
    let filter = filter(&ask, PAGE)?;
    site.read(move |store| {
        let zone = Zone::of(&ask, &browse::reporting_zone(store)?)?;
        let page = browse::runs(store, &filter)?;
        let sources = source_names(store)?;
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        let asked = ask.without("after");
        let heads = ["begun", "source", "mode", "status", "took", "requests", "retries", "new", "changed", "deleted", "dead letters", "error"];
        let body = html! {
            h1 { "Sync runs" }
            form.wide action="/runs" method="get" {
                (super::runs::choice(&ask, "source", "Source", "every source", &sources))
                (super::runs::choice(&ask, "status", "Status", "any", &STATUSES))
                (zone.hidden())
                button { "Show" }
            }
            @if page.runs.is_empty() { p.empty { "No run is like that." } }
            @else { (table("Sync runs", &heads, &rows(&page.runs, &zone))) }
            nav.pages aria-label="Pages" {
                @if ask.text("after").is_some() { a href=(zone.to("/runs", &asked)) { "Newest" } }
                @if let Some(next) = page.next {
                    a rel="next" href=(zone.to("/runs", &[asked.as_slice(), &[("after", &next.to_string())]].concat())) { "Older" }
                }
            }
        };
        Ok(Page { title: "Sync runs".to_owned(), zone, body })
    })
    .await
}

/// A choice among some words.
pub(super) fn choice(ask: &Ask, name: &str, label: &str, any: &str, choices: &[&str]) -> Markup {
    html! {
        label for=(name) { (label) }
        select #(name) name=(name) {
            option value="" { (any) }
            @for choice in choices { option value=(choice) selected[ask.text(name) == Some(choice)] { (choice) } }
        }
    }
}

fn rows(runs: &[RunRow], zone: &Zone) -> Markup {
    html! {
        @for run in runs {
            tr {
                td { (zone.time(run.started_at_ms)) }
                td { (run.source) }
                td { (run.mode) }
                td { span class=(format!("state {}", run.status)) { (run.status) } }
                td.number { (run.finished_at_ms.map_or("–".to_owned(), |end| span(f64::from(u32::try_from(end.saturating_sub(run.started_at_ms)).unwrap_or(0)) / 1000.0))) }
                @for n in [run.requests, run.retries, run.inserted, run.updated, run.deleted, run.dead] { td.number { (number(n)) } }
                td dir="auto" { (shown(run.error.as_deref().unwrap_or(""))) }
            }
        }
    }
}
