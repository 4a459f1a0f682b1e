//! Pieces of work for counting instructions: `count_work PIECE` does one, a fixed number of times. See run.py beside it.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a benchmark that cannot go on ends")]

#[path = "../common/words.rs"]
mod words;
#[path = "../common/work.rs"]
mod work;

use chatloom::store::{self, Record, Wanted};
use work::{PAGE, PROVIDERS, Shop, adapter, hash, messages, normalise};

/// Pages of each kind of work.
const PAGES: usize = 10;

fn records(provider: &str) -> Vec<Vec<Record>> {
    let adapter = adapter(provider);
    (0..PAGES).map(|page| normalise(adapter.as_ref(), &messages(provider, page * PAGE, PAGE))).collect()
}

fn filled(provider: &str) -> Shop {
    let shop = Shop::new();
    for page in records(provider) {
        shop.commit(page);
    }
    shop
}

/// Reads everything that a query gives.
fn drain(connection: &rusqlite::Connection, sql: &str) {
    let mut statement = connection.prepare(sql).expect(sql);
    let mut rows = statement.query([]).expect(sql);
    while rows.next().expect(sql).is_some() {}
}

/// What a piece needs before it begins is made by another piece (run.py knows which), so that it can be subtracted.
fn main() {
    let piece = std::env::args().nth(1).unwrap_or_default();
    let (kind, provider) = piece.split_once(' ').unwrap_or((&piece, "brilliant_directories"));
    if !PROVIDERS.contains(&provider) {
        return eprintln!("count_work 'KIND PROVIDER', the provider being one of {PROVIDERS:?}");
    }
    match kind {
        "making" => drop((0..PAGES).map(|page| messages(provider, page * PAGE, PAGE)).collect::<Vec<_>>()),
        "normalising" => drop(records(provider)),
        "hashing" => {
            for page in records(provider) {
                std::hint::black_box(hash(&page));
            }
        }
        "packing" => records(provider).into_iter().flatten().for_each(|record| drop(record.made_ready())),
        "committing" => drop(filled(provider)),
        "meeting_again" => {
            let shop = filled(provider);
            for page in records(provider) {
                shop.commit(page);
            }
        }
        "searching" => {
            let shop = filled(provider);
            let connection = store::open_reader(&shop.path()).expect("the store");
            for text in ["calo", "loca", "\"calo loca\"", "men*"] {
                let expression = chatloom::search::Query::parse(text).expression();
                let wanted = Wanted { expression, limit: 20, ..Wanted::default() };
                store::search(&connection, &wanted).expect("it is searched");
            }
        }
        "views" => {
            let shop = filled(provider);
            let connection = store::open_reader(&shop.path()).expect("the store");
            for view in ["v_conversations", "v_messages", "v_daily", "v_hourly", "v_response_times", "v_people"] {
                drain(&connection, &format!("SELECT * FROM {view}"));
            }
        }
        _ => eprintln!("count_work: there is no {kind}"),
    }
}
