//! What reading costs on a large store, and what a page costs on its way into one. `cargo bench --bench house`, or `cargo bench --bench house -- search` for some.
//!
//! The store has a million messages in a hundred thousand conversations unless `CHATLOOM_BENCH_MESSAGES` says
//! otherwise; making it takes minutes, once.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a benchmark is told by its environment how large to be, and tells that it makes a store"
)]

mod made;
mod program;
mod reading;
#[path = "../common/words.rs"]
mod words;
#[path = "../common/work.rs"]
#[expect(dead_code, reason = "the count of instructions needs more of it")]
mod work;
mod writing;

fn main() {
    divan::main();
}
