//! Messages by their words, with the operators of `chatloom search`.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use crate::search::{Asked, Query, Results, find_in};
use crate::store::Hit;
use crate::store::browse;
use crate::web::ask::Ask;
use crate::web::html::{Page, answer, line, shown};
use crate::web::reader::Zone;
use crate::web::site::Site;
use crate::web::trouble::Trouble;

/// Messages shown at first, and at most.
const FEW: u32 = 25;
const MANY: u32 = 200;

pub(super) async fn show(State(site): State<Site>, uri: Uri) -> Response {
    answer(&uri, make(&site, &uri).await)
}

async fn make(site: &Site, uri: &Uri) -> Result<Page, Trouble> {
    let ask = Ask::of(uri, &["q", "order", "deleted", "limit", "zone"])?;
    let asked = asked(&ask, FEW)?;
    site.read(move |store| {
        let zone = Zone::of(&ask, &browse::reporting_zone(store)?)?;
        let results = match &asked {
            Some(asked) => Some(find_in(store, asked.clone())?),
            None => None,
        };
        let body = html! {
            h1 { "Search" }
            (form(&ask, &zone)?)
            @if let Some(results) = &results { (told(results, &ask, &zone)) }
        };
        Ok(Page { title: "Search".to_owned(), zone, body })
    })
    .await
}

/// The query as it was typed; `None`: nothing was.
pub(in crate::web) fn asked(ask: &Ask, usual: u32) -> Result<Option<Asked>, Trouble> {
    let newest = ask.one_of("order", &["best", "newest"])?.as_deref() == Some("newest");
    let (deleted, limit) = (ask.flag("deleted")?, ask.limit(usual, MANY)?);
    Ok(ask.text("q").map(|typed| Asked { query: Query::parse(typed), newest, deleted, limit }))
}

fn form(ask: &Ask, zone: &Zone) -> Result<Markup, Trouble> {
    let (newest, deleted) = (ask.text("order") == Some("newest"), ask.flag("deleted")?);
    Ok(html! {
        form.wide action="/search" method="get" {
            label for="words" { "Words, \"phrases\", beginnings*" }
            input #words type="search" name="q" value=[ask.text("q")] autocomplete="off" maxlength="500";
            div.check { input #order type="checkbox" name="order" value="newest" checked[newest]; label for="order" { "newest first" } }
            div.check { input #deleted type="checkbox" name="deleted" value="1" checked[deleted]; label for="deleted" { "deleted ones, too" } }
            (zone.hidden())
            button { "Search" }
        }
        p.hint {
            "Narrow it down with " code { "from:bot" } ", " code { "from:NAME" } ", " code { "source:NAME" } ", " code { "channel:whatsapp" } ", "
            code { "after:2026-03-01" } ", " code { "before:2026-04-01" } ", " code { "has:negative" } "; days are those of UTC."
        }
    })
}

fn told(results: &Results, ask: &Ask, zone: &Zone) -> Markup {
    html! {
        @for note in &results.notes { p.notice dir="auto" { (shown(note)) "." } }
        @if !results.exact { p.notice { "The index is behind, and messages may be missing: the next sync catches up." } }
        @if results.hits.is_empty() {
            p.empty { "Nothing was found." }
        } @else {
            ol.rows { @for hit in &results.hits { (one(hit, zone)) } }
            @if results.more {
                @if ask.text("limit") == Some("200") {
                    p.hint { "There are more; narrow the question down." }
                } @else {
                    nav.pages aria-label="Pages" {
                        a href=(zone.to("/search", &[ask.without("limit").as_slice(), &[("limit", "200")]].concat())) { "Show more" }
                    }
                }
            }
        }
    }
}

fn one(hit: &Hit, zone: &Zone) -> Markup {
    let message = hit.message_id.to_string();
    let there = zone.to(&format!("/conversations/{}", hit.conversation_id), &[("message", &message)]);
    let at: Option<jiff::Timestamp> = hit.sent_at.as_deref().and_then(|at| at.parse().ok());
    html! {
        li {
            p.head {
                a href=(format!("{there}#m{message}")) { bdi { (line(hit.author.as_deref().unwrap_or(&hit.author_kind))) } }
                @match hit.reaction { 1 => span.badge.good { "voted up" }, -1 => span.badge.wait { "voted down" }, _ => {} }
                @if hit.deleted_at.is_some() { span.badge.wait { "deleted" } }
            }
            p.found dir="auto" { @for piece in &hit.snippet { @if piece.found { mark { (shown(&piece.text)) } } @else { (shown(&piece.text)) } } }
            p.meta {
                span { (hit.author_kind) }
                span { (hit.source) }
                @if let Some(channel) = &hit.channel { span { (line(&channel.replace('_', " "))) } }
                span { (zone.time_or(at.map(jiff::Timestamp::as_millisecond), "time unknown")) }
            }
        }
    }
}
