//! What reading costs on a large store. `cargo bench --bench house`, or `cargo bench --bench house -- search` for some.
//!
//! The store has a million messages in a hundred thousand conversations unless `CHATLOOM_BENCH_MESSAGES` says
//! otherwise; making it takes minutes, once.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a benchmark that cannot go on ends")]

mod made;
mod reading;

fn main() {
    divan::main();
}
