//! The listener of `[http]`: pages, their data as JSON, health and metrics, read from the store through connections of
//! its own.
//!
//! [`start`] binds and serves until it is cancelled. `accept` keeps slow and stubborn clients from holding anything
//! up, `guard` decides who is answered at all, `health` answers, and `board` knows how the store stands. Nothing
//! here can hold up a pass: the store is read on blocking threads, few readings at a time, and the writer never waits
//! for a reader.
//!
//! `pages` and `api` ask the store through `site`, which bounds every question in time. `ask` takes addresses apart,
//! `figures` and `chart` make the overview, `html` is the frame of every page. To add a page: a file in `pages`, a route
//! in its `mod.rs`, a link in `html`. Whatever is not routed is 404.

mod accept;
mod api;
mod ask;
mod board;
mod chart;
mod figures;
mod guard;
mod health;
mod html;
mod pages;
mod reader;
mod site;
mod trouble;

pub(crate) use guard::fuzzed;

pub use board::{Board, Watched};

use std::net::SocketAddr;

use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}: {problem}; {advice}")]
pub struct WebError {
    pub listen: SocketAddr,
    pub problem: String,
    pub advice: &'static str,
}

/// A listener under way.
#[derive(Debug)]
pub struct Served {
    /// Where it listens: the port that was chosen, where port 0 was asked for.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    /// Waits until the listener is closed and its last answer given. Comes back at most a few seconds after the
    /// cancelling.
    pub async fn ended(self) {
        // A panic in it is a bug, and no reason to end anything else badly.
        drop(self.task.await);
    }
}

/// Listens on `listen` and serves until `cancel`. With a `token`, all but `/healthz` asks for it; without one, only
/// readers who call this machine by a loopback name are answered.
///
/// # Errors
/// The address cannot be listened on.
pub async fn start(
    listen: SocketAddr,
    token: Option<SecretString>,
    board: Board,
    cancel: CancellationToken,
) -> Result<Served, WebError> {
    let refused = |error: std::io::Error| WebError { listen, problem: error.to_string(), advice: advice(&error) };
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let site = site::Site::new(board.clone());
    // The first visitor finds the figures made.
    let early = site.clone();
    tokio::spawn(async move { drop(early.digest().await) });
    let routes = health::router(board).merge(pages::router(site.clone())).merge(api::router(site));
    let router = guard::around(routes, token);
    let task = tokio::spawn(accept::serve(listener, router, cancel));
    tracing::info!(event = "listening", http.listen = %address, "serving the page, health and metrics");
    Ok(Served { address, task })
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there: stop it, or set another `listen` below [http]",
        std::io::ErrorKind::PermissionDenied => "set `listen` below [http] to a port from 1024 on",
        std::io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: set `listen` below [http] to one that it has, such as 127.0.0.1:8787"
        }
        _ => "set another `listen` below [http], or take that table away to serve nothing",
    }
}
