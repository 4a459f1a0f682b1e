//! The list of conversations, narrowed down.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use crate::store::browse::{self, ConversationFilter, ConversationPlace, ConversationRow};
use crate::store::source_names;
use crate::web::ask::Ask;
use crate::web::html::{Page, answer, line, shown};
use crate::web::reader::{Zone, count};
use crate::web::site::Site;
use crate::web::trouble::Trouble;

/// Conversations on a page.
const PAGE: u32 = 50;
pub(in crate::web) const CHANNELS: [&str; 6] = ["widget", "whatsapp", "instagram", "api", "live_chat", "other"];
pub(in crate::web) const STATUSES: [&str; 3] = ["open", "closed", "unknown"];
/// What narrows the list down, in pages and API alike.
pub(in crate::web) const NAMES: [&str; 12] = [
    "source",
    "channel",
    "status",
    "since",
    "until",
    "unanswered",
    "escalated",
    "incomplete",
    "deleted",
    "person",
    "after",
    "zone",
];

pub(super) async fn show(State(site): State<Site>, uri: Uri) -> Response {
    answer(&uri, make(&site, &uri).await)
}

/// What was asked, as the store understands it.
pub(in crate::web) fn filter(ask: &Ask, zone: &Zone, limit: u32) -> Result<ConversationFilter, Trouble> {
    Ok(ConversationFilter {
        source: ask.owned("source"),
        channel: ask.one_of("channel", &CHANNELS)?,
        status: ask.one_of("status", &STATUSES)?,
        since_ms: ask.day("since", &zone.zone, false)?,
        until_ms: ask.day("until", &zone.zone, true)?,
        unanswered: ask.flag("unanswered")?,
        escalated: ask.flag("escalated")?,
        incomplete: ask.flag("incomplete")?,
        deleted: ask.flag("deleted")?,
        person: ask.parsed("person", "is the number of a person")?,
        after: ask.parsed::<ConversationPlace>("after", "is what `next` of a page said")?,
        limit,
    })
}

async fn make(site: &Site, uri: &Uri) -> Result<Page, Trouble> {
    let ask = Ask::of(uri, &NAMES)?;
    site.check_source(&ask).await?;
    site.read(move |store| {
        let zone = Zone::of(&ask, &browse::reporting_zone(store)?)?;
        let page = browse::conversations(store, &filter(&ask, &zone, PAGE)?)?;
        let sources = source_names(store)?;
        let asked = ask.without("after");
        let body = html! {
            h1 { "Conversations" }
            (form(&ask, &zone, &sources)?)
            @if page.conversations.is_empty() {
                p.empty { "No conversation is like that." }
            } @else {
                (list(&page.conversations, &zone))
            }
            nav.pages aria-label="Pages" {
                @if ask.text("after").is_some() { a href=(zone.to("/conversations", &asked)) { "Newest" } }
                @if let Some(next) = &page.next {
                    a rel="next" href=(zone.to("/conversations", &[asked.as_slice(), &[("after", next)]].concat())) { "Older" }
                }
            }
        };
        Ok(Page { title: "Conversations".to_owned(), zone, body })
    })
    .await
}

fn form(ask: &Ask, zone: &Zone, sources: &[String]) -> Result<Markup, Trouble> {
    let narrowed = ask.without("after").iter().any(|(name, _)| *name != "zone");
    let choice = |name: &'static str, label: &str, any: &str, choices: &[&str]| {
        html! {
            div.field {
                label for=(name) { (label) }
                select #(name) name=(name) {
                    option value="" { (any) }
                    @for choice in choices {
                        option value=(choice) selected[ask.text(name) == Some(choice)] { (choice.replace('_', " ")) }
                    }
                }
            }
        }
    };
    let mark = |name: &'static str, label: &str| -> Result<Markup, Trouble> {
        let checked = ask.flag(name)?;
        Ok(html! {
            div.check { input #(name) type="checkbox" name=(name) value="1" checked[checked]; label for=(name) { (label) } }
        })
    };
    let day = |name: &'static str, label: &str| {
        html! {
            div.field { label for=(name) { (label) } input #(name) type="date" name=(name) value=[ask.text(name)]; }
        }
    };
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    Ok(html! {
        details.filter open[narrowed] {
            summary { "Filter" }
            form action="/conversations" method="get" {
                (choice("source", "Source", "every source", &sources))
                (choice("channel", "Channel", "every channel", &CHANNELS))
                (choice("status", "Status", "any", &STATUSES))
                (day("since", "Last message since"))
                (day("until", "Last message until"))
                fieldset {
                    legend { "Only those that are" }
                    (mark("unanswered", "unanswered")?)
                    (mark("escalated", "escalated")?)
                    (mark("incomplete", "incomplete")?)
                }
                fieldset {
                    legend { "And also" }
                    (mark("deleted", "deleted ones")?)
                }
                @if let Some(person) = ask.text("person") { input type="hidden" name="person" value=(person); }
                (zone.hidden())
                div.buttons { button { "Show" } a href=(zone.to("/conversations", &[])) { "All conversations" } }
            }
        }
    })
}

/// Conversations one below the other.
pub(super) fn list(rows: &[ConversationRow], zone: &Zone) -> Markup {
    html! {
        ol.rows {
            @for row in rows {
                li {
                    p.head {
                        a href=(zone.to(&format!("/conversations/{}", row.id), &[])) { bdi { (line(&name(row))) } }
                        (badges(row))
                    }
                    @if let Some(opening) = row.opening.as_deref().filter(|opening| !opening.trim().is_empty()) {
                        p.opening dir="auto" { (shown(opening)) }
                    }
                    p.meta {
                        span { (row.source) }
                        @if let Some(channel) = &row.channel { span { (line(&channel.replace('_', " "))) } }
                        span { (count(row.messages, "message", "messages")) }
                        span { (zone.time_or(row.last_message_at_ms, "no message yet")) }
                    }
                }
            }
        }
    }
}

/// How a conversation is called: after what it is about, or whose it is.
pub(super) fn name(row: &ConversationRow) -> String {
    let said = |text: Option<&String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match (said(row.contact.as_ref()), said(row.title.as_ref())) {
        (Some(contact), Some(title)) if contact != title => format!("{contact}: {title}"),
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => "Somebody without a name".to_owned(),
    }
}

pub(super) fn badges(row: &ConversationRow) -> Markup {
    html! {
        @if row.waiting_since_ms.is_some() { span.badge.wait { "unanswered" } }
        @if row.escalated == Some(true) { span.badge { "escalated" } }
        @if row.status == "closed" { span.badge { "closed" } }
        @if !row.complete { span.badge.wait { "incomplete" } }
        @if row.deleted_at_ms.is_some() { span.badge.wait { "deleted" } }
    }
}
