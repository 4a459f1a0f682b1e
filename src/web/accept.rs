//! Connections: taken in, bounded in number, size and time, and let go.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Connections at once. One more pushes out the oldest: whoever has been at it longest is the slow one, and a scrape
/// that comes now is answered in a few milliseconds.
const CONNECTIONS: usize = 64;

/// A request's head has to be here by then.
const HEAD: Duration = Duration::from_secs(5);

/// A connection carries one request and its answer, and is over by then, read or not.
const WHOLE: Duration = Duration::from_secs(20);

/// What is in flight at the end may take so long.
const LAST: Duration = Duration::from_secs(2);

/// A pause after the system had no connection to give (too many open files).
const BREATH: Duration = Duration::from_millis(100);

const MAX_HEADERS: usize = 64;
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Serves every connection until `cancel`.
pub(super) async fn serve(listener: TcpListener, router: Router, cancel: CancellationToken) {
    let mut tasks = JoinSet::new();
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        while tasks.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be taken");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        while open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tasks.spawn(converse(stream, router.clone())));
    }
    drop(listener);
    // Those who are not done by then are cut off when the set is dropped.
    drop(tokio::time::timeout(LAST, async { while tasks.join_next().await.is_some() {} }).await);
}

async fn converse(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(WHOLE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection broke off"),
        Err(_) => tracing::debug!("a connection took too long and was closed"),
    }
}
