//! Keeping the store in order, by hand.

use std::path::Path;

use crate::config::Keeping;
use crate::store::{Forget, Forgot, Maintain, Maintained, Store, StoreError, Who, open_reader, source_names};
use crate::sync::Clock;

/// Tidies the store up as the daemon does on its schedule. Nobody else may be writing.
///
/// # Errors
/// The store is not there, is being written by another process, or SQLite failed.
pub async fn maintain(store_path: &Path, keeping: &Keeping, clock: &Clock) -> Result<Maintained, StoreError> {
    // Opening for writing would make a file.
    drop(open_reader(store_path)?);
    let (store, writer) = Store::open(store_path, "chatloom maintain", clock())?;
    let outcome = store.maintain(Maintain::at(clock(), keeping.raw_retention, keeping.message_retention)).await;
    writer.close().await;
    outcome
}

/// Erases a person from the store, or only counts what that would be. Nobody else may be writing.
///
/// # Errors
/// The store is not there, has no source of that name, is being written by another process, or SQLite failed.
pub async fn forget(store_path: &Path, asked: Forget) -> Result<Forgot, StoreError> {
    // Opening for writing would make a file.
    let names = source_names(&open_reader(store_path)?)?;
    if let Who::Id { source, .. } = &asked.who
        && !names.contains(source)
    {
        return Err(StoreError::NoSuchSource { name: source.clone(), known: names.join(", ") });
    }
    let (store, writer) = Store::open(store_path, "chatloom forget", asked.now_ms)?;
    let outcome = store.forget(asked).await;
    writer.close().await;
    outcome
}

/// Builds the full-text index anew; how many messages it has then. Nobody else may be writing.
///
/// # Errors
/// The store is not there, is being written by another process, or SQLite failed.
pub async fn rebuild_search(store_path: &Path, clock: &Clock) -> Result<u64, StoreError> {
    // Opening for writing would make a file.
    drop(open_reader(store_path)?);
    let (store, writer) = Store::open(store_path, "chatloom search rebuild", clock())?;
    let outcome = store.rebuild_search().await;
    writer.close().await;
    outcome
}
