//! One conversation as a transcript.

use axum::extract::{Path, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::conversations::{badges, name};
use crate::store::browse::{self, Attachment, Citation, ConversationRow, MessageRow, Span, Stretch};
use crate::web::ask::{Ask, short};
use crate::web::html::{Page, answer, line, outside, shown};
use crate::web::reader::{Zone, count, number, span};
use crate::web::site::Site;
use crate::web::trouble::Trouble;

/// Messages on a page.
const PAGE: u32 = 200;

pub(super) async fn show(State(site): State<Site>, Path(id): Path<String>, uri: Uri) -> Response {
    answer(&uri, make(&site, &id, &uri).await)
}

/// A row id, or nothing that could be one.
pub(in crate::web) fn row_id(asked: &str, what: &str) -> Result<i64, Trouble> {
    asked.parse().map_err(|_| Trouble::Missing(format!("there is no {what} {:?}", short(asked))))
}

/// Which part was asked for.
pub(in crate::web) fn span_of(ask: &Ask) -> Result<Span, Trouble> {
    let id = |name| ask.parsed::<i64>(name, "is the number of a message");
    match (id("message")?, id("after")?, id("before")?) {
        (None, None, None) => Ok(Span::Start),
        (Some(id), None, None) => Ok(Span::Around(id)),
        (None, Some(id), None) => Ok(Span::After(id)),
        (None, None, Some(id)) => Ok(Span::Before(id)),
        _ => Err(Trouble::Refused("message, after and before exclude each other".to_owned())),
    }
}

async fn make(site: &Site, id: &str, uri: &Uri) -> Result<Page, Trouble> {
    let ask = Ask::of(uri, &["message", "after", "before", "zone"])?;
    let id = row_id(id, "conversation")?;
    let span = span_of(&ask)?;
    site.read(move |store| {
        let zone = Zone::of(&ask, &browse::reporting_zone(store)?)?;
        let missing = || Trouble::Missing(format!("there is no conversation {id}"));
        let row = browse::conversation(store, id)?.ok_or_else(missing)?;
        let stretch = browse::stretch(store, id, span, PAGE)?
            .ok_or_else(|| Trouble::Missing("this conversation has no such message".to_owned()))?;
        let nothing = match span {
            Span::Before(_) => "Nothing stands before that message.",
            Span::After(_) => "Nothing stands after that message.",
            Span::Start | Span::Around(_) => "No message is stored.",
        };
        Ok(Page { title: name(&row), body: body(&row, &stretch, nothing, &zone), zone })
    })
    .await
}

fn body(row: &ConversationRow, stretch: &Stretch, nothing: &str, zone: &Zone) -> Markup {
    let here = format!("/conversations/{}", row.id);
    let pages = html! {
        @if stretch.before.is_some() || stretch.after.is_some() {
            nav.pages aria-label="Parts of this conversation" {
                @if let Some(before) = stretch.before {
                    a href=(zone.to(&here, &[])) { "Start" }
                    a rel="prev" href=(zone.to(&here, &[("before", &before.to_string())])) { "Earlier" }
                }
                @if let Some(after) = stretch.after {
                    a rel="next" href=(zone.to(&here, &[("after", &after.to_string())])) { "Later" }
                }
            }
        }
    };
    html! {
        h1 { bdi { (line(&name(row))) } }
        p.badges { (badges(row)) }
        (head(row, zone))
        (pages)
        @if stretch.messages.is_empty() {
            p.empty { (nothing) " " @if row.messages > 0 { a href=(zone.to(&here, &[])) { "To the start" } } }
        } @else { (transcript(&stretch.messages, zone)) }
        (pages)
    }
}

fn head(row: &ConversationRow, zone: &Zone) -> Markup {
    let held = count(row.messages, "message", "messages");
    html! {
        dl.facts {
            div { dt { "Source" } dd { (row.source) } }
            @if let Some(channel) = &row.channel {
                div { dt { "Channel" } dd { bdi { (line(&channel.replace('_', " "))) @if let Some(name) = &row.channel_name { ", " (line(name)) } } } }
            }
            @if let Some(person) = row.person_id {
                div { dt { "Person" } dd { a href=(zone.to(&format!("/people/{person}"), &[])) { bdi { (line(row.contact.as_deref().unwrap_or("all of theirs"))) } } } }
            }
            div { dt { "Status" } dd { (row.status) } }
            div { dt { "Began" } dd { (zone.time_or(row.started_at_ms, "unknown")) } }
            @if let Some(ms) = row.first_response_ms { div { dt { "First response" } dd { "after " (span(f64::from(u32::try_from(ms / 1000).unwrap_or(u32::MAX)))) } } }
            @if let Some(since) = row.waiting_since_ms { div { dt { "Waits since" } dd { (zone.time(since)) } } }
            @if let Some(url) = &row.page_url { div { dt { "Page" } dd { (outside(Some(url), None)) } } }
            @if let Some(at) = row.deleted_at_ms { div { dt { "Deleted" } dd { "found so " (zone.time(at)) } } }
            div { dt { "Holds" } dd {
                (held)
                @if !row.complete { "; there may be more at the provider" @if let Some(reason) = &row.incomplete_reason { " (" (line(reason)) ")" } }
            } }
            div { dt { "Id" } dd { bdi { (line(&row.external_id)) } } }
        }
    }
}

fn transcript(messages: &[MessageRow], zone: &Zone) -> Markup {
    let day = |message: &MessageRow| message.sent_at_ms.map_or("Time unknown".to_owned(), |ms| zone.day(ms));
    let days: Vec<String> = messages.iter().map(day).collect();
    html! {
        ol.transcript {
            @for (at, (message, day)) in messages.iter().zip(&days).enumerate() {
                @if at == 0 || days.get(at - 1) != Some(day) { li.day { h2 { (day) } } }
                (one(message, zone))
            }
        }
    }
}

fn one(message: &MessageRow, zone: &Zone) -> Markup {
    let anchor = format!("m{}", message.id);
    if message.kind == "event" {
        let told: Vec<&str> = [message.event.as_deref(), Some(message.body_text.as_str())]
            .into_iter()
            .flatten()
            .filter(|text| !text.trim().is_empty())
            .collect();
        return html! {
            li #(anchor) .event { p dir="auto" { (if told.is_empty() { "event".to_owned() } else { shown(&told.join(": ")).into_owned() }) " " @if let Some(ms) = message.sent_at_ms { (zone.clock(ms)) } } }
        };
    }
    html! {
        li #(anchor) class=(format!("message {}", message.author_kind)) {
            p.who {
                @if let Some(author) = &message.author { b { bdi { (line(author)) } } " " }
                span.kind { (if message.author_kind == "unknown" { "sender unknown" } else { &message.author_kind }) }
                " "
                @if let Some(ms) = message.sent_at_ms { a.when href=(format!("#{anchor}")) { (zone.clock(ms)) } }
                @match message.reaction { 1 => span.badge.good { "voted up" }, -1 => span.badge.wait { "voted down" }, _ => {} }
                @if let Some(at) = message.deleted_at_ms { span.badge.wait { "deleted " (zone.time(at)) } }
                @if let Some(at) = message.erased_at_ms { span.badge { "erased " (zone.time(at)) } }
            }
            (said(message, zone))
            (citations(&message.citations))
            (more(message.citations_count, message.citations.len()))
            (attachments(&message.attachments))
            (more(message.attachments_count, message.attachments.len()))
            @if !message.revisions.is_empty() {
                details.before {
                    summary { "Edited" @if let Some(at) = message.edited_at_ms { " " (zone.time(at)) } "; what stood there before" }
                    @for revision in &message.revisions {
                        p.seen { "Until " (zone.time(revision.observed_at_ms)) }
                        blockquote dir="auto" { (shown(&revision.body_text)) @if revision.cut { "…" } }
                        @if revision.cut { p { a href=(zone.to(&text_of(message), &[("revision", &revision.revision.to_string())])) { "All of this version" } } }
                    }
                    (more(message.revisions_count, message.revisions.len()))
                }
            } @else if let Some(at) = message.edited_at_ms {
                p.seen { "Edited " (zone.time(at)) }
            }
        }
    }
}

fn said(message: &MessageRow, zone: &Zone) -> Markup {
    let empty = message.body_text.trim().is_empty();
    let all = text_of(message);
    html! {
        @if empty { p.empty { "no text" } }
        @else if message.deleted_at_ms.is_some() { div.text dir="auto" { del { (shown(&message.body_text)) } } }
        @else { div.text dir="auto" { (shown(&message.body_text)) @if message.cut { "…" } } }
        @if message.cut { p { a href=(zone.to(&all, &[])) { "All " (number(message.length)) " characters" } } }
    }
}

/// Where all of a message is, as plain text.
fn text_of(message: &MessageRow) -> String {
    format!("/conversations/{}/messages/{}/text", message.conversation_id, message.id)
}

/// That there are more than are shown.
fn more(there: i64, shown: usize) -> Markup {
    let left = there - i64::try_from(shown).unwrap_or(i64::MAX);
    html! { @if left > 0 { p.seen { "and " (number(left)) " more: " code { "chatloom show" } " has them all" } } }
}

fn citations(citations: &[Citation]) -> Markup {
    html! {
        @if !citations.is_empty() {
            p.seen { "Sources of this answer" }
            ul.citations {
                @for citation in citations {
                    li { (outside(citation.url.as_deref(), citation.title.as_deref())) }
                }
            }
        }
    }
}

fn attachments(attachments: &[Attachment]) -> Markup {
    html! {
        @if !attachments.is_empty() {
            p.seen { "Attached at the provider" }
            ul.citations {
                @for attached in attachments {
                    li { (line(&attached.kind)) ": " (outside(attached.url.as_deref(), attached.name.as_deref())) }
                }
            }
        }
    }
}

/// The whole text of a message, as text.
pub(super) async fn text(State(site): State<Site>, Path((id, message)): Path<(String, String)>, uri: Uri) -> Response {
    let read = async {
        let ask = Ask::of(&uri, &["revision", "zone"])?;
        let revision = ask.parsed::<i64>("revision", "is the number of an earlier version")?;
        let (id, message) = (row_id(&id, "conversation")?, row_id(&message, "message")?);
        site.read(move |store| {
            browse::message_text(store, id, message, revision)?.ok_or_else(|| {
                Trouble::Missing("this conversation has no such message, or no such version of it".to_owned())
            })
        })
        .await
    };
    match read.await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        Err(trouble) => answer(&uri, Err(trouble)),
    }
}
