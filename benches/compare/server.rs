//! A Brilliant Directories site whose rows were made before anybody asks, so that a comparison measures the readers.
//!
//! The rows are the simulated site's own, asked of it once. A page is a piece of one long text then, copied behind a
//! small head. What it answers: lists along their id (`gt`), threads by their time (`gte`), lists by page token as the provider has it and by plain number,
//! look-ups of members by token, the site's zone.
//!
//! `compare_server MESSAGES BYTES [drift]`, BYTES being the size of a message's text. It prints its address when it is
//! ready. `GET /_report` tells the requests since the last report, `/_alive` the ids of the messages that were there all
//! the time. With `drift`, after each of the first five pages three messages that were read are removed and three are
//! added at the end.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark that cannot go on ends")]

mod rows;
#[path = "../common/words.rs"]
mod words;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::IntoResponse;
use axum::serve::ListenerExt as _;
use rows::{Asked, Rows, Tables};

/// Pages after which the list changes, and how many rows each time.
const DRIFTING_PAGES: u64 = 5;
const DRIFTING_ROWS: usize = 3;

struct Site {
    threads: Rows,
    users: Rows,
    messages: Mutex<Messages>,
    requests: AtomicU64,
}

struct Messages {
    rows: Rows,
    /// Rows that are added while the list is read.
    later: Rows,
    pages_left: u64,
    removed: HashSet<u64>,
    first: Vec<u64>,
}

impl Messages {
    /// The list changes behind the back of whoever reads it.
    fn drift(&mut self) {
        if self.pages_left == 0 {
            return;
        }
        self.pages_left -= 1;
        self.removed.extend(self.rows.take(DRIFTING_ROWS).0);
        let (ids, texts) = self.later.take(DRIFTING_ROWS);
        ids.into_iter().zip(texts).for_each(|(id, text)| self.rows.push(id, "", &text));
    }
}

fn messages(site: &Site) -> MutexGuard<'_, Messages> {
    site.messages.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(site): State<Arc<Site>>, uri: Uri) -> impl IntoResponse {
    let json = |body: Vec<u8>| ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body);
    let path = uri.path();
    if !path.starts_with("/_") {
        site.requests.fetch_add(1, Ordering::Relaxed);
    }
    let asked = Asked::of(uri.query().unwrap_or_default());
    json(match path {
        "/_report" => site.requests.swap(0, Ordering::Relaxed).to_string().into_bytes(),
        "/_alive" => {
            let messages = messages(&site);
            let alive: Vec<&u64> = messages.first.iter().filter(|id| !messages.removed.contains(id)).collect();
            serde_json::to_vec(&alive).unwrap_or_default()
        }
        "/api/v2/chat_message_items/get" => {
            let mut messages = messages(&site);
            let page = messages.rows.page(&asked, "message_id");
            messages.drift();
            page
        }
        "/api/v2/chat_message_threads/get" => site.threads.page(&asked, "thread_id"),
        "/api/v2/user/get" => site.users.page(&asked, "user_id"),
        "/api/v2/site_info/get" => br#"{"status":"success","message":{"timezone":"America/New_York"}}"#.to_vec(),
        "/api/v2/token/verify" => {
            br#"{"status":"success","message":{"website":"https://www.example.test","key":"Sync key"}}"#.to_vec()
        }
        _ => br#"{"status":"error","message":"no such call"}"#.to_vec(),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let drifts = arguments.iter().any(|argument| argument == "drift");
    let (count, bytes) = (number(0, 100_000), number(1, 500));
    let later = if drifts { usize::try_from(DRIFTING_PAGES).unwrap_or(0) * DRIFTING_ROWS } else { 0 };
    let Tables { threads, users, messages: mut all } = rows::made_by_simulator(count + later, bytes).await;
    let mut rows = Rows::default();
    let (ids, texts) = all.take(count);
    ids.iter().zip(texts).for_each(|(id, text)| rows.push(*id, "", &text));
    let messages = Messages {
        rows,
        later: all,
        pages_left: if drifts { DRIFTING_PAGES } else { 0 },
        removed: HashSet::new(),
        first: ids,
    };
    let site = Site { threads, users, messages: Mutex::new(messages), requests: AtomicU64::new(0) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("http://{}", listener.local_addr().expect("it is bound"));
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let app = Router::new().fallback(answer).with_state(Arc::new(site));
    axum::serve(listener, app).await.expect("it serves until it is killed");
}
