//! From a query to messages.

use std::path::Path;

use serde::Serialize;

use super::Query;
use crate::store::browse::Reader;
use crate::store::{Found, Hit, StoreError, Wanted, open_reader, search};

/// What is printed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// What fits best. Without words nothing fits better than anything else: then the newest.
    Best,
    Newest,
}

/// A query, and how its results are wanted.
#[derive(Debug, Clone)]
pub struct Asked {
    pub query: Query,
    pub newest: bool,
    /// What was deleted, too.
    pub deleted: bool,
    pub limit: u32,
}

/// The messages that were found.
#[derive(Debug, Serialize)]
pub struct Results {
    pub order: Order,
    /// There are more than were asked for.
    pub more: bool,
    /// Whether the index is in step with the messages; `false`: some may be missing.
    pub exact: bool,
    /// What was meant otherwise than it was taken.
    pub notes: Vec<String>,
    pub hits: Vec<Hit>,
}

/// Looks for messages in a store, which is only read.
///
/// # Errors
/// The file is not there, or no store of this version, or SQLite failed.
pub fn find(store_path: &Path, asked: Asked) -> Result<Results, StoreError> {
    find_in(&open_reader(store_path)?, asked)
}

/// The same through a connection that is open.
///
/// # Errors
/// SQLite failed.
pub fn find_in(reader: &Reader, asked: Asked) -> Result<Results, StoreError> {
    let Asked { query, newest, deleted, limit } = asked;
    let expression = query.expression();
    let order = if newest || expression.is_none() { Order::Newest } else { Order::Best };
    if query.is_empty() {
        let mut notes = query.notes;
        notes.push("there is no word in this query to look for".to_owned());
        return Ok(Results { order, more: false, exact: true, notes, hits: Vec::new() });
    }
    let wanted = Wanted {
        expression,
        from: query.from,
        source: query.source,
        channel: query.channel,
        after_ms: query.after_ms,
        before_ms: query.before_ms,
        negative: query.negative,
        deleted,
        newest,
        limit,
    };
    let Found { hits, more, exact } = search(reader, &wanted)?;
    Ok(Results { order, more, exact, notes: query.notes, hits })
}
