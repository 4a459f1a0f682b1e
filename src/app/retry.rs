//! Normalising again what is stored, without any request.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::build::build_offline;
use super::sync::SyncReport;
use crate::config::SourceConfig;
use crate::store::{Store, StoreError, open_reader};
use crate::sync::{Clock, SourceReport, run_retry};

/// Tries the dead letters of the given sources again, and with `all` every stored record. Sources of which nothing
/// is stored are passed over.
///
/// # Errors
/// The store cannot be used, or is not there.
pub async fn retry(
    store_path: &Path,
    configured: &[&SourceConfig],
    all: bool,
    clock: Clock,
    cancel: CancellationToken,
) -> Result<SyncReport, StoreError> {
    // Opening for writing would make a file.
    drop(open_reader(store_path)?);
    let (store, writer) = Store::open(store_path, "chatloom retry", clock())?;
    let mut sources = Vec::new();
    for source in configured {
        let Some(id) = store.known_source(&source.name).await? else { continue };
        let not_begun = |error: String| SourceReport::not_begun(&source.name, source.kind().as_str(), error);
        sources.push(match build_offline(source, store.facts(id).await?) {
            Ok(built) => run_retry(built, store.clone(), all, clock.clone(), cancel.clone())
                .await
                .unwrap_or_else(|error| not_begun(format!("source {}: {error}", source.name))),
            Err(error) => not_begun(error.to_string()),
        });
    }
    writer.close().await;
    Ok(SyncReport { sources })
}
