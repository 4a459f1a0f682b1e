//! The frame of every page. `maud` escapes whatever stands in round brackets; nothing here or in `pages` marks a text as
//! safe, so no text of a stranger becomes markup.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};
use url::form_urlencoded;

use super::reader::Zone;
use super::trouble::Trouble;
use crate::page::{tame, tame_line};

const STYLE: &str = include_str!("style.css");

/// Nothing runs and nothing is loaded but the style sheet; forms lead nowhere else, and no other page frames this one.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The style sheet's address has its content in it, so it can be kept for as long as a browser likes.
static STYLE_ADDRESS: LazyLock<String> = LazyLock::new(|| {
    let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    let named: Vec<String> = digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("/style.css?v={}", named.concat())
});

pub(super) async fn style() -> Response {
    let kept = "private, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, kept)], STYLE).into_response()
}

/// Browsers ask for one unasked.
pub(super) async fn no_icon() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// What goes into the frame.
pub(super) struct Page {
    pub(super) title: String,
    /// In whose zone its times are told.
    pub(super) zone: Zone,
    pub(super) body: Markup,
}

const PLACES: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/conversations", "Conversations"),
    ("/people", "People"),
    ("/runs", "Sync runs"),
    ("/dead-letters", "Dead letters"),
];

/// Zones offered for choosing; any other can be typed.
const ZONES: [&str; 14] = [
    "UTC",
    "Europe/Lisbon",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Africa/Lagos",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
];

/// An address of this site.
pub(super) fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return path.to_owned();
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{path}?{query}")
}

impl Zone {
    /// An address of this site, with the zone if one was chosen.
    pub(super) fn to(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        let mut pairs: Vec<(&str, &str)> = pairs.iter().copied().filter(|(name, _)| *name != "zone").collect();
        if self.chosen {
            pairs.push(("zone", &self.name));
        }
        address(path, &pairs)
    }

    /// What a form has to send along.
    pub(super) fn hidden(&self) -> Markup {
        html! { @if self.chosen { input type="hidden" name="zone" value=(self.name); } }
    }
}

/// The answer: the page, or what stands in its way told as a page.
pub(super) fn answer(uri: &Uri, made: Result<Page, Trouble>) -> Response {
    let (status, page) = match made {
        Ok(page) => (StatusCode::OK, page),
        Err(trouble) => (trouble.status(), sorry(&trouble)),
    };
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (status, kind, frame(uri, &page).into_string()).into_response()
}

fn sorry(trouble: &Trouble) -> Page {
    let title = match trouble {
        Trouble::Missing(_) => "There is nothing here",
        Trouble::Refused(_) => "This cannot be asked",
        Trouble::Busy => "One moment",
        Trouble::Store(_) => "The store cannot be read",
    };
    let body = html! {
        h1 { (title) }
        p.notice dir="auto" { (shown(&trouble.to_string())) "." }
    };
    Page { title: title.to_owned(), zone: Zone::utc(), body }
}

fn frame(uri: &Uri, page: &Page) -> Markup {
    let zone = &page.zone;
    let path = uri.path();
    let is_here = |place: &str| if place == "/" { path == "/" } else { path.starts_with(place) };
    let asked: Vec<(String, String)> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, value)| name != "zone" && !value.is_empty())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let typed = if path == "/search" { asked.iter().find(|(name, _)| name == "q") } else { None };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (line(&page.title)) " · chatloom" }
                link rel="stylesheet" href=(STYLE_ADDRESS.as_str());
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.top {
                    a.brand href=(zone.to("/", &[])) { "chatloom" }
                    nav aria-label="Main" {
                        ul {
                            @for (place, name) in PLACES {
                                li { a href=(zone.to(place, &[])) aria-current=[is_here(place).then_some("page")] { (name) } }
                            }
                        }
                    }
                    form.search role="search" action="/search" method="get" {
                        label.hidden for="q" { "Search messages" }
                        input #q type="search" name="q" placeholder="Search messages" autocomplete="off" maxlength="500"
                            value=[typed.map(|(_, value)| value.as_str())];
                        (zone.hidden())
                        button { "Search" }
                    }
                }
                main #content tabindex="-1" { (page.body) }
                footer {
                    form.zone action=(path) method="get" {
                        @for (name, value) in &asked { input type="hidden" name=(name) value=(value); }
                        label for="zone" { "Times are in" }
                        input #zone name="zone" value=(zone.name) list="zones" autocomplete="off" maxlength="64";
                        datalist #zones { @for zone in ZONES { option value=(zone) {} } }
                        button { "Change" }
                    }
                    p { "Read-only. The same data as JSON: " a href="/api/openapi.json" { "/api" } "." }
                }
            }
        }
    }
}

/// A stranger's text as it may stand on a page: what would turn the direction of writing, hide or steer is visible. Every
/// text that comes from a provider goes through this or [`line()`].
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    tame(text)
}

/// The same for a name, a title, an address: what stands on one line stays on it.
pub(super) fn line(text: &str) -> String {
    tame_line(text)
}

/// Characters of an address that are shown.
const ADDRESS: usize = 300;

/// A link to a page elsewhere, called `name` or else by its address. Where it leads stands beside its name: that is a
/// stranger's word. What is no address of the web is shown and leads nowhere. Nothing is told to the page that a link
/// leads to.
pub(super) fn outside(url: Option<&str>, name: Option<&str>) -> Markup {
    let name = name.filter(|name| !name.trim().is_empty());
    let Some(address) = url else { return html! { bdi { (line(name.unwrap_or("without a name"))) } } };
    let leads =
        url::Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    let cut = || {
        let told: String = address.chars().take(ADDRESS).collect();
        line(&told) + if told.len() < address.len() { "…" } else { "" }
    };
    html! {
        @match (leads, name) {
            (Some(url), name) => {
                a href=(url.as_str()) rel="noopener noreferrer nofollow" { bdi { (name.map_or_else(cut, line)) } }
                @if name.is_some() { " " small { "(" (line(url.host_str().unwrap_or_default())) ")" } }
            }
            (None, Some(name)) => { bdi { (line(name)) } " " small { "(" bdi { (cut()) } ")" } }
            (None, None) => bdi { (cut()) },
        }
    }
}

/// A table that scrolls by itself where it is too wide, by keyboard too.
pub(super) fn table(label: &str, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(label) tabindex="0" {
            table {
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_pages_are_linked_to() {
        let linked = |url: &str| outside(Some(url), Some(url)).into_string().contains("<a ");
        assert!(linked("https://shop.example.test/returns?a=1&b=<2>") && linked("http://192.0.2.1/"));
        for other in
            ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "file:///etc/passwd", "//x", "x", " "]
        {
            assert!(!linked(other), "{other}");
        }
        let told = outside(Some("https://x.example.test/\"onmouseover=\"a"), Some("<b>")).into_string();
        assert!(told.contains("%22onmouseover=%22a\" rel") && told.contains("&lt;b&gt;"), "{told}");
    }

    #[test]
    fn where_a_link_leads_stands_beside_what_it_is_called() {
        let told = outside(Some("https://good.test/a"), Some("https://bank.example.test/")).into_string();
        assert!(
            told.contains("href=\"https://good.test/a\"") && told.ends_with("<small>(good.test)</small>"),
            "{told}"
        );
        let told = outside(Some("javascript:alert(1)"), Some("x")).into_string();
        assert_eq!(told, "<bdi>x</bdi> <small>(<bdi>javascript:alert(1)</bdi>)</small>");
        assert_eq!(outside(Some("/a\u{202e}"), Some(" ")).into_string(), "<bdi>/a\u{fffd}</bdi>");
        assert_eq!(outside(None, None).into_string(), "<bdi>without a name</bdi>");
        assert!(outside(Some(&"é".repeat(9_000)), Some("x")).into_string().len() < 1_000);
    }

    #[test]
    fn an_address_keeps_the_zone_that_was_chosen() {
        let mut zone = Zone::utc();
        assert_eq!(zone.to("/", &[("a", "x y&z")]), "/?a=x+y%26z");
        zone.chosen = true;
        assert_eq!(zone.to("/people", &[]), "/people?zone=UTC");
    }
}
