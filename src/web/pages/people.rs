//! People across providers, and one of them.

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::conversation::row_id;
use super::conversations::list;
use crate::store::browse::{self, Contact, ConversationFilter, PeopleFilter, PersonRow};
use crate::web::ask::Ask;
use crate::web::html::{Page, answer, line, table};
use crate::web::reader::{Zone, count, number};
use crate::web::site::Site;
use crate::web::trouble::Trouble;

/// People on a page; conversations of one that are shown at once.
const PAGE: u32 = 50;

pub(super) async fn show(State(site): State<Site>, uri: Uri) -> Response {
    answer(&uri, make(&site, &uri).await)
}

async fn make(site: &Site, uri: &Uri) -> Result<Page, Trouble> {
    let ask = Ask::of(uri, &["name", "after", "zone"])?;
    let filter = PeopleFilter {
        name: ask.owned("name"),
        after: ask.parsed("after", "is what `next` of a page said")?,
        limit: PAGE,
    };
    site.read(move |store| {
        let zone = Zone::of(&ask, &browse::reporting_zone(store)?)?;
        let page = browse::people(store, &filter)?;
        let asked = ask.without("after");
        let body = html! {
            h1 { "People" }
            p.hint { "Everybody who is known by an e-mail address or a phone number, linked across providers by these; the newest first." }
            form.wide action="/people" method="get" {
                label for="name" { "Part of a name" }
                input #name type="search" name="name" value=[ask.text("name")] autocomplete="off" maxlength="200";
                (zone.hidden())
                button { "Show" }
            }
            @if page.people.is_empty() { p.empty { "Nobody is called that." } }
            @else { (table("People", &["name", "conversations", "providers", "first contact", "last contact"], &rows(&page.people, &zone))) }
            nav.pages aria-label="Pages" {
                @if ask.text("after").is_some() { a href=(zone.to("/people", &asked)) { "Newest" } }
                @if let Some(next) = page.next {
                    a rel="next" href=(zone.to("/people", &[asked.as_slice(), &[("after", &next.to_string())]].concat())) { "More" }
                }
            }
        };
        Ok(Page { title: "People".to_owned(), zone, body })
    })
    .await
}

fn called(name: Option<&str>) -> &str {
    name.filter(|name| !name.trim().is_empty()).unwrap_or("Somebody without a name")
}

fn rows(people: &[PersonRow], zone: &Zone) -> Markup {
    html! {
        @for person in people {
            tr {
                td { a href=(zone.to(&format!("/people/{}", person.person_id), &[])) { bdi { (line(called(person.name.as_deref()))) } } }
                td.number { (number(person.conversations)) }
                td { (person.providers.as_deref().unwrap_or("–").replace('_', " ").replace(',', ", ")) }
                td { (zone.time_or(person.first_contact_at_ms, "–")) }
                td { (zone.time_or(person.last_contact_at_ms, "–")) }
            }
        }
    }
}

pub(super) async fn one(State(site): State<Site>, Path(id): Path<String>, uri: Uri) -> Response {
    answer(&uri, make_one(&site, &id, &uri).await)
}

async fn make_one(site: &Site, id: &str, uri: &Uri) -> Result<Page, Trouble> {
    let ask = Ask::of(uri, &["zone"])?;
    let id = row_id(id, "person")?;
    site.read(move |store| {
        let zone = Zone::of(&ask, &browse::reporting_zone(store)?)?;
        let detail = browse::person(store, id)?.ok_or_else(|| Trouble::Missing(format!("there is no person {id}")))?;
        let filter = ConversationFilter { person: Some(id), limit: PAGE, ..ConversationFilter::default() };
        let theirs = browse::conversations(store, &filter)?;
        let name = called(detail.person.name.as_deref()).to_owned();
        let body = html! {
            h1 { bdi { (line(&name)) } }
            dl.facts {
                div { dt { "Conversations" } dd { (count(detail.person.conversations, "conversation", "conversations")) } }
                div { dt { "First contact" } dd { (zone.time_or(detail.person.first_contact_at_ms, "–")) } }
                div { dt { "Last contact" } dd { (zone.time_or(detail.person.last_contact_at_ms, "–")) } }
            }
            h2 { "Known as" }
            (table("Known as", &["source", "name", "e-mail", "phone", "id"], &known(&detail.known_as)))
            h2 { "Conversations" }
            @if theirs.conversations.is_empty() { p.empty { "None that is not deleted." } } @else { (list(&theirs.conversations, &zone)) }
            @if theirs.next.is_some() {
                nav.pages aria-label="Pages" { a href=(zone.to("/conversations", &[("person", &id.to_string())])) { "All of them" } }
            }
        };
        Ok(Page { title: name, zone, body })
    })
    .await
}

fn known(known_as: &[Contact]) -> Markup {
    html! {
        @for contact in known_as {
            tr {
                td { (contact.source) }
                td { bdi { (line(contact.name.as_deref().unwrap_or("–"))) } }
                td { bdi { (line(contact.email.as_deref().unwrap_or("–"))) } }
                td { bdi { (line(contact.phone.as_deref().unwrap_or("–"))) } }
                td { bdi { (line(&contact.external_id)) } }
            }
        }
    }
}
