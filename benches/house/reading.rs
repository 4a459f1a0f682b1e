//! The questions that people and the page ask.

use std::sync::LazyLock;

use chatloom::store::{self, Wanted};
use divan::Bencher;
use rusqlite::Connection;

static STORE: LazyLock<std::path::PathBuf> = LazyLock::new(super::made::large);

fn connection() -> Connection {
    store::open_reader(&STORE).expect("the large store")
}

/// Reads everything that a query gives.
fn drain(connection: &Connection, sql: &str) -> usize {
    let mut statement = connection.prepare_cached(sql).expect(sql);
    let width = statement.column_count();
    let mut rows = statement.query([]).expect(sql);
    let mut count = 0;
    while let Some(row) = rows.next().expect(sql) {
        for column in 0..width {
            divan::black_box(row.get_ref(column).expect(sql));
        }
        count += 1;
    }
    count
}

fn query(bencher: Bencher<'_, '_>, sql: &str) {
    let connection = connection();
    bencher.bench_local(|| drain(&connection, sql));
}

#[divan::bench(args = [
    "SELECT * FROM v_conversations WHERE conversation_id = 4711",
    "SELECT * FROM v_conversations WHERE source = 'agents' AND conversation_external_id = 'c4711'",
    "SELECT * FROM v_response_times WHERE conversation_id = 4711",
    "SELECT * FROM v_messages WHERE conversation_id = 4711",
    "SELECT * FROM v_conversations ORDER BY conversation_id DESC LIMIT 50",
    "SELECT * FROM v_daily",
    "SELECT * FROM v_daily WHERE day >= '2026-02-01'",
    "SELECT * FROM v_sources",
    "SELECT count(*) FROM v_conversations WHERE NOT answered",
], sample_count = 20)]
fn quick(bencher: Bencher<'_, '_>, sql: &str) {
    query(bencher, sql);
}

#[divan::bench(args = [
    "SELECT * FROM v_hourly",
    "SELECT * FROM v_response_quantiles",
    "SELECT * FROM v_people",
    "SELECT * FROM v_conversations",
    "SELECT * FROM v_response_times",
    "SELECT * FROM v_messages",
], sample_count = 3)]
fn whole(bencher: Bencher<'_, '_>, sql: &str) {
    query(bencher, sql);
}

/// A word of each: in very many messages, in some, in a handful, in none; two words, a phrase, a beginning.
#[divan::bench(args = ["calo", "loca", "mencalo", "xixixixi zozo", "calo loca", "\"calo loca\"", "men*"], sample_count = 20)]
fn search(bencher: Bencher<'_, '_>, text: &str) {
    let connection = connection();
    let wanted =
        Wanted { expression: chatloom::search::Query::parse(text).expression(), limit: 20, ..Wanted::default() };
    bencher.bench_local(|| store::search(&connection, &wanted).expect("it is searched"));
}

#[divan::bench(sample_count = 3)]
fn overview(bencher: Bencher<'_, '_>) {
    let connection = connection();
    bencher.bench_local(|| store::overview(&connection, None).expect("an overview"));
}
