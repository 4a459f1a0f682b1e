//! Full-text search: what somebody typed ([`Query`]), and what is found by it ([`results::find`]).
//!
//! How the index is kept is the store's matter (`src/store/fulltext.rs`).

mod query;
mod results;

pub use query::{Query, Term};
pub use results::{Asked, Order, Results, find, find_in};
