//! The least that the store itself costs: the messages and raw records of a finished store, put into the tables, indexes
//! and full-text index of a new one by a thread that does nothing else. Nothing is fetched, parsed, normalised, hashed or
//! packed; threads, members and who is who are there before; nothing is looked up, and no statistics follow.
//!
//! `compare_floor FINISHED NEW` prints seconds and CPU seconds.
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on ends")]

use std::path::Path;
use std::time::Instant;

use chatloom::store::Store;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// Rows in a transaction, and messages in one of the index: what chatloom comes to when pages wait.
const ROWS: usize = 1_000;
const FILLED: usize = 10_000;

/// What messages refer to.
const PARENTS: [&str; 5] = ["sources", "channels", "people", "participants", "conversations"];

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program of its own")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [finished, new] = arguments.as_slice() else { return eprintln!("compare_floor FINISHED NEW") };
    drop(Store::open(Path::new(new), "a benchmark", 1).expect("a new store"));
    let connection = Connection::open(new).expect("it opens");
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 2000;
             PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY;
             PRAGMA cell_size_check = ON; PRAGMA secure_delete = FAST;",
        )
        .expect("the writer's settings");
    connection.execute("ATTACH ?1 AS finished", [finished]).expect("a finished store");
    for table in PARENTS {
        let columns = columns(&connection, table).join(", ");
        let sql = format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM finished.{table}");
        connection.execute(&sql, []).expect("its parents");
    }
    let messages = Table::load(&connection, "messages", "ORDER BY id");
    let records = Table::load(&connection, "raw_records", "WHERE stream = 'messages' ORDER BY row_id");
    connection.execute("DETACH finished", []).expect("no longer needed");
    assert_eq!(messages.rows.len(), records.rows.len(), "each message has a record of its own");

    let (begun, cpu) = (Instant::now(), cpu());
    let (mut message, mut record) = (messages.insert(&connection), records.insert(&connection));
    for (number, (rows, raw)) in messages.rows.chunks(ROWS).zip(records.rows.chunks(ROWS)).enumerate() {
        connection.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
        for (row, raw) in rows.iter().zip(raw) {
            message.execute(params_from_iter(row)).expect("a message");
            record.execute(params_from_iter(raw)).expect("its record");
        }
        connection.execute_batch("COMMIT").expect("a commit");
        if ((number + 1) * ROWS).is_multiple_of(FILLED) {
            fill(&connection);
        }
    }
    fill(&connection);
    println!("{:.3} {:.3}", begun.elapsed().as_secs_f64(), self::cpu() - cpu);
}

/// Those that are not generated.
fn columns(connection: &Connection, table: &str) -> Vec<String> {
    connection
        .prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0")
        .and_then(|mut statement| statement.query_map([table], |row| row.get(0))?.collect())
        .expect("a table")
}

struct Table {
    name: &'static str,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    fn load(connection: &Connection, name: &'static str, order: &str) -> Self {
        let columns = columns(connection, name);
        let sql = format!("SELECT {} FROM finished.{name} {order}", columns.join(", "));
        let count = columns.len();
        let rows = connection
            .prepare(&sql)
            .and_then(|mut statement| {
                statement.query_map([], |row| (0..count).map(|at| row.get(at)).collect())?.collect()
            })
            .expect("its rows");
        Self { name, columns, rows }
    }

    fn insert<'c>(&self, connection: &'c Connection) -> rusqlite::Statement<'c> {
        let values = vec!["?"; self.columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({values})", self.name, self.columns.join(", "));
        connection.prepare(&sql).expect("a statement")
    }
}

/// As the store does it.
fn fill(connection: &Connection) {
    let done: i64 = connection
        .query_row("SELECT coalesce(max(id), 0) FROM message_search_docsize", [], |row| row.get(0))
        .expect("an index");
    connection.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
    let mut texts =
        connection.prepare_cached("SELECT id, body_text FROM search_texts WHERE id > ?1 ORDER BY id").expect("a view");
    let mut put =
        connection.prepare_cached("INSERT INTO message_search (rowid, body_text) VALUES (?1, ?2)").expect("an index");
    let mut waiting = texts.query([done]).expect("texts");
    while let Some(text) = waiting.next().expect("a text") {
        let (id, text): (i64, &str) =
            (text.get(0).expect("an id"), text.get_ref(1).and_then(|text| Ok(text.as_str()?)).expect("text"));
        put.execute((id, text)).expect("it fits");
    }
    connection.execute_batch("COMMIT").expect("a commit");
}

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel that tells");
    told.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).expect("a number") / 1e9
}
