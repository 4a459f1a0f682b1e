//! Normalising again what is stored: after a normaliser was mended, or a site's time zone turned out to be another.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::error::PassError;
use super::progress::Progress;
use super::report::SourceReport;
use super::runner::{Clock, Purpose, Runner, Source};
use super::tell;
use crate::http::FetchError;
use crate::provider::Pass;
use crate::store::{MessageList, Replay, RunMode, RunStatus, Store, StoreError};
use crate::telemetry::events;

/// What of a source is normalised again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Letters,
    Records,
    Both,
}

/// Tries the dead letters of a source again, and with `all` every stored record. Nothing is asked of the provider.
///
/// # Errors
/// The store cannot be used.
pub async fn run_retry(
    source: Arc<Source>,
    store: Store,
    all: bool,
    clock: Clock,
    cancel: CancellationToken,
) -> Result<SourceReport, StoreError> {
    let row = store.source(&source.name, source.provider.kind(), &source.base_url, None).await?;
    let progress = Arc::new(Progress::new(source.name.clone(), source.http.clone()));
    let purpose = Purpose {
        mode: RunMode::Retry,
        pass: Pass { first: false, full: all, ranged: false },
        range: None,
        told_before: false,
        watched_over: false,
    };
    let runner =
        Runner::start(Arc::clone(&source), row.id, store.clone(), purpose, Arc::clone(&clock), progress, cancel)
            .await?;
    let (status, error) = if source.provider.is_prepared() {
        let zone = source.provider.timezone().filter(|zone| all && row.timezone.as_ref() != Some(zone));
        let what = if all { What::Both } else { What::Letters };
        let interrupted = runner.again(what, zone).instrument(runner.span()).await?;
        match (interrupted, runner.counted().dead) {
            (true, _) => {
                let error = format!("source {}: stopped by a signal; nothing was changed", source.name);
                (RunStatus::Interrupted, Some(error))
            }
            (false, 0) => (RunStatus::Ok, None),
            (false, _) => (RunStatus::Partial, None),
        }
    } else {
        let error = format!("source {}: its time zone is not known yet; run `chatloom sync` first", source.name);
        (RunStatus::Failed, Some(error))
    };
    let report = SourceReport::new(&runner, status, runner.counted(), 0, error.clone(), clock());
    let closed = store
        .finish_run(runner.run_id, row.id, status, error, runner.usage(), false, MessageList::Untold, clock())
        .await;
    runner.tell_end(RunMode::Retry, &report, None, false, &closed);
    closed.map(|()| report)
}

impl Runner {
    /// Sees that the stored rows are computed in the time zone in force. Where it changed, all of them are computed
    /// anew before anything is read; interrupted, this is done at the next start.
    pub(crate) async fn settle_zone(&self) -> Result<(), PassError> {
        let Some(zone) = self.source.provider.timezone() else { return Ok(()) };
        let source = &self.source;
        let row = self.store.source(&source.name, source.provider.kind(), &source.base_url, Some(&zone)).await?;
        let Some(before) = row.timezone.filter(|before| *before != zone) else { return Ok(()) };
        tracing::info!(source = %source.name, event = "zone_changed", zone.before = before, zone.now = zone, "the time zone changed; computing all times anew");
        self.progress.doing("times anew");
        self.progress.long_work(true);
        let stopped = self.again(What::Records, Some(zone)).await;
        self.progress.long_work(false);
        if stopped? {
            return Err(FetchError::Cancelled.into());
        }
        Ok(())
    }

    /// Normalises stored records again and counts them. `true`: stopped before the end, nothing is changed.
    async fn again(&self, what: What, timezone: Option<String>) -> Result<bool, StoreError> {
        let asked = Replay {
            source_id: self.source_id,
            run_id: self.run_id,
            run_start_rev: self.run_start_rev,
            now_ms: self.now(),
            letters: what != What::Records,
            records: what != What::Letters,
            timezone,
            facts: self.source.facts.take_fresh(),
            usage: self.usage(),
        };
        let provider = Arc::clone(&self.source.provider);
        let cancel = self.cancel.clone();
        let replayed = self
            .store
            .replay(asked, move |stream, raw| provider.normalise(stream, raw), move || cancel.is_cancelled())
            .await?;
        events::rows_stored(&self.source.subject(), &tell::rows(&replayed.counts));
        self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&replayed.counts);
        Ok(replayed.interrupted)
    }
}
