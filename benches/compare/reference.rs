//! The least that a program must do: fetch the pages one by one, parse them, insert columns and raw text into one plain
//! table, a transaction a page, with the store's own settings for how safe a commit is. No raw compression, no full text,
//! no statistics, no index but the key.
//!
//! `compare_reference BASE_URL FILE`
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on ends")]

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    message: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message {
    message_id: String,
    message_token: String,
    thread_token: String,
    message_status: String,
    message_owner: String,
    message_content: String,
    created_at: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, file] = arguments.as_slice() else { return eprintln_usage() };
    let mut connection = Connection::open(file).expect("a new file");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE messages (
               message_id INTEGER PRIMARY KEY, message_token TEXT, thread_token TEXT, message_status TEXT,
               message_owner TEXT, message_content TEXT, created_at TEXT, raw TEXT);",
        )
        .expect("a table");
    // Nothing is encrypted here, but the client is not made without.
    rustls::crypto::ring::default_provider().install_default().expect("the first one");
    let client = reqwest::Client::new();
    let mut after = None;
    loop {
        let filter = after.map_or_else(String::new, |id: i64| {
            format!("property=message_id&property_value={id}&property_operator=gt&")
        });
        let url =
            format!("{base}/api/v2/chat_message_items/get?{filter}order_column=message_id&order_type=ASC&limit=100");
        let answer = client.get(url).header("x-api-key", "bd-key").send().await.expect("an answer");
        let body = answer.bytes().await.expect("a body");
        let page: Envelope<'_> = serde_json::from_slice(&body).expect("a page");
        if page.message.is_empty() {
            break;
        }
        let transaction = connection.transaction().expect("a transaction");
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
                .expect("a statement");
            for raw in page.message {
                let row: Message = serde_json::from_str(raw.get()).expect("a row");
                let id: i64 = row.message_id.parse().expect("a number");
                insert
                    .execute(params![
                        id,
                        row.message_token,
                        row.thread_token,
                        row.message_status,
                        row.message_owner,
                        row.message_content,
                        row.created_at,
                        raw.get()
                    ])
                    .expect("it fits");
                after = Some(id);
            }
        }
        transaction.commit().expect("a commit");
    }
}

#[expect(clippy::print_stderr, reason = "it is a program of its own")]
fn eprintln_usage() {
    eprintln!("compare_reference BASE_URL FILE");
}
