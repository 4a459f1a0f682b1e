//! `/healthz`, `/readyz` and `/metrics`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::board::Board;
use crate::telemetry::{self, SourceStanding};

/// The document of `/readyz`.
#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    /// `ok`, or why the store cannot be read.
    store: String,
    /// The sources that are behind their time.
    stale: Vec<Stale>,
}

#[derive(Debug, Serialize)]
struct Stale {
    source: String,
    provider: &'static str,
    /// When the last pass ended that read everything; `null`: none yet.
    since: Option<String>,
    lag_seconds: i64,
    limit_seconds: i64,
}

/// The routes.
pub(super) fn router(board: Board) -> axum::Router {
    axum::Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(board)
}

/// The process lives, and can answer. Nothing else is looked at: restarting heals neither a store nor a provider.
async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(State(board): State<Board>) -> Response {
    let (standing, store) = board.standing().await;
    let stale: Vec<Stale> = standing.sources.iter().filter(|source| source.stale).map(tell).collect();
    let ready = store.is_ok() && stale.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let document = Ready { ready, store: store.err().unwrap_or_else(|| "ok".to_owned()), stale };
    match serde_json::to_string(&document) {
        Ok(json) => (status, [(header::CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn tell(source: &SourceStanding) -> Stale {
    let moment = |ms| jiff::Timestamp::from_millisecond(ms).ok().map(|at| format!("{at:.3}"));
    Stale {
        source: source.subject.source.to_string(),
        provider: source.subject.provider,
        since: source.last_success_ms.and_then(moment),
        lag_seconds: source.lag_ms / 1000,
        limit_seconds: source.limit_ms / 1000,
    }
}

/// What this process counted, and how the store stands. A store that cannot be read is told by a metric.
async fn metrics(State(board): State<Board>) -> Response {
    let (standing, _) = board.standing().await;
    ([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], telemetry::render(&standing)).into_response()
}
