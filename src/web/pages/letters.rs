//! Dead letters: records that make no row, with why.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::runs::choice;
use crate::store::browse::{self, LetterFilter, LetterRow};
use crate::store::source_names;
use crate::web::ask::Ask;
use crate::web::html::{Page, answer, line, shown};
use crate::web::reader::Zone;
use crate::web::site::Site;
use crate::web::trouble::Trouble;

const PAGE: u32 = 50;

pub(super) async fn show(State(site): State<Site>, uri: Uri) -> Response {
    answer(&uri, make(&site, &uri).await)
}

pub(in crate::web) fn filter(ask: &Ask, limit: u32) -> Result<LetterFilter, Trouble> {
    Ok(LetterFilter {
        source: ask.owned("source"),
        resolved: ask.flag("resolved")?,
        after: ask.parsed("after", "is what `next` of a page said")?,
        limit,
    })
}

async fn make(site: &Site, uri: &Uri) -> Result<Page, Trouble> {
    let ask = Ask::of(uri, &["source", "resolved", "after", "zone"])?;
    site.check_source(&ask).await?;
    let filter = filter(&ask, PAGE)?;
    site.read(move |store| {
        let zone = Zone::of(&ask, &browse::reporting_zone(store)?)?;
        let page = browse::letters(store, &filter)?;
        let sources = source_names(store)?;
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        let asked = ask.without("after");
        let body = html! {
            h1 { "Dead letters" }
            p.hint { "Records that could not be made into rows. They are kept as they came; " code { "chatloom retry" } " tries them again." }
            form.wide action="/dead-letters" method="get" {
                (choice(&ask, "source", "Source", "every source", &sources))
                div.check { input #resolved type="checkbox" name="resolved" value="1" checked[ask.flag("resolved")?]; label for="resolved" { "settled ones, too" } }
                (zone.hidden())
                button { "Show" }
            }
            @if page.dead_letters.is_empty() { p.empty { "There are none." } }
            @else { ol.rows { @for letter in &page.dead_letters { (one(letter, &zone)) } } }
            nav.pages aria-label="Pages" {
                @if ask.text("after").is_some() { a href=(zone.to("/dead-letters", &asked)) { "Newest" } }
                @if let Some(next) = page.next {
                    a rel="next" href=(zone.to("/dead-letters", &[asked.as_slice(), &[("after", &next.to_string())]].concat())) { "Older" }
                }
            }
        };
        Ok(Page { title: "Dead letters".to_owned(), zone, body })
    })
    .await
}

fn one(letter: &LetterRow, zone: &Zone) -> Markup {
    html! {
        li {
            p.head {
                b { (letter.source) ", " (line(&letter.stream)) }
                @if letter.resolved_at_ms.is_some() { span.badge.good { "settled" } }
            }
            p.opening dir="auto" { (letter.stage) ": " (shown(&letter.error)) }
            p.meta {
                span { "id " bdi { (line(letter.external_id.as_deref().unwrap_or("unknown"))) } }
                span { "first seen " (zone.time(letter.first_seen_ms)) }
                span { "last seen " (zone.time(letter.last_seen_ms)) }
                @if let Some(at) = letter.resolved_at_ms { span { "settled " (zone.time(at)) } }
            }
            @if let Some(body) = &letter.body {
                details { summary { "The record" @if letter.cut { ", its beginning" } } pre dir="auto" tabindex="0" { (shown(body)) @if letter.cut { "…" } } }
            }
        }
    }
}
