//! One pass over all sources, side by side.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::build::build_sources;
use super::range::Range;
use crate::config::SourceConfig;
use crate::store::{Store, StoreError};
use crate::sync::{Clock, Progress, Source, SourceReport, Wanted, run_pass};

/// Sources read at once.
const SOURCES_AT_ONCE: usize = 8;

/// What is to be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct SyncOptions<'c> {
    pub full: bool,
    pub backfill: bool,
    pub range: Range,
    /// The zone in which the views count hours; `None` leaves it as it is.
    pub reporting: Option<&'c str>,
}

/// The document of `sync --json`.
#[derive(Debug, Serialize)]
pub struct SyncReport {
    pub sources: Vec<SourceReport>,
}

impl SyncReport {
    /// Whether every source was read without a gap.
    #[must_use]
    pub fn all_ok(&self) -> bool {
        self.sources.iter().all(|source| source.status == "ok")
    }
}

/// Reads the given sources once. `watch` learns of every source's progress before anything is read.
///
/// # Errors
/// The store cannot be used. A provider's failure is no error here: it stands in the report.
pub async fn sync(
    store_path: &Path,
    who: &str,
    configured: &[&SourceConfig],
    options: SyncOptions<'_>,
    clock: Clock,
    cancel: CancellationToken,
    watch: impl FnOnce(Vec<Arc<Progress>>),
) -> Result<SyncReport, StoreError> {
    let (store, writer) = Store::open(store_path, who, clock())?;
    if let Some(timezone) = options.reporting {
        store.report_in(timezone).await?;
    }
    let mut facts = HashMap::new();
    for source in configured {
        let row = store.source(&source.name, source.kind(), source.base_url.as_str(), None).await;
        if let Ok(row) = row {
            facts.insert(source.name.clone(), store.facts(row.id).await?);
        }
    }
    let built = build_sources(configured, facts, &cancel);
    let progress: HashMap<String, Arc<Progress>> = built
        .iter()
        .flatten()
        .map(|source| (source.name.clone(), Arc::new(Progress::new(source.name.clone(), source.http.clone()))))
        .collect();
    watch(configured.iter().filter_map(|source| progress.get(&source.name).cloned()).collect());
    let mut passes = JoinSet::new();
    let at_once = Arc::new(Semaphore::new(SOURCES_AT_ONCE));
    let mut reports: Vec<Option<SourceReport>> = Vec::new();
    for (index, source) in built.into_iter().enumerate() {
        reports.push(None);
        let source: Arc<Source> = match source {
            Ok(source) => source,
            Err(error) => {
                reports[index] = Some(SourceReport::not_begun(&error.name, error.provider, error.to_string()));
                continue;
            }
        };
        let Some(progress) = progress.get(&source.name).cloned() else { continue };
        let (store, clock, cancel, at_once) = (store.clone(), Arc::clone(&clock), cancel.clone(), Arc::clone(&at_once));
        let wanted = Wanted {
            full: options.full,
            backfill: options.backfill,
            since_ms: options.range.since_ms,
            until_ms: options.range.until_ms,
            ..Wanted::default()
        };
        passes.spawn(async move {
            let _turn = at_once.acquire().await;
            let (name, provider) = (source.name.clone(), source.provider.kind().as_str());
            let report = run_pass(source, store, wanted, clock, progress, cancel).await;
            (
                index,
                report.unwrap_or_else(|error| {
                    SourceReport::not_begun(&name, provider, format!("source {name}: {error}"))
                }),
            )
        });
    }
    while let Some(joined) = passes.join_next().await {
        if let Ok((index, report)) = joined {
            reports[index] = Some(report);
        }
    }
    writer.close().await;
    let sources = reports
        .into_iter()
        .zip(configured)
        .map(|(report, source)| {
            report.unwrap_or_else(|| {
                let error = format!("source {}: its pass ended badly; what it stored stands", source.name);
                SourceReport::not_begun(&source.name, source.kind().as_str(), error)
            })
        })
        .collect();
    Ok(SyncReport { sources })
}
