//! The pages, rendered here, one file each. They work without any script, and none is sent.

mod conversation;
mod conversations;
mod letters;
mod overview;
mod people;
mod runs;
mod search;

pub(super) use conversation::{row_id, span_of};
pub(super) use conversations::{NAMES as CONVERSATION_NAMES, filter as conversation_filter};
pub(super) use letters::filter as letter_filter;
pub(super) use overview::all as all_sources;
pub(super) use runs::filter as run_filter;
pub(super) use search::asked as search_asked;

use axum::Router;
use axum::routing::get;

use super::html::{no_icon, style};
use super::site::Site;

/// The routes.
pub(super) fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(overview::show))
        .route("/conversations", get(conversations::show))
        .route("/conversations/{id}", get(conversation::show))
        .route("/conversations/{id}/messages/{message}/text", get(conversation::text))
        .route("/search", get(search::show))
        .route("/people", get(people::show))
        .route("/people/{id}", get(people::one))
        .route("/runs", get(runs::show))
        .route("/dead-letters", get(letters::show))
        .route("/style.css", get(style))
        .route("/favicon.ico", get(no_icon))
        .with_state(site)
}
