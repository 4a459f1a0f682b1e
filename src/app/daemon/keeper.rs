//! Keeping the store in order while it is written to, on a schedule of its own.

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::plan::{Ended, Plan};
use super::timetable::Timetable;
use crate::config::{Keeping, Schedule};
use crate::store::{Maintain, Store};
use crate::sync::Clock;

/// A daemon that is restarted every day tidies up all the same: so long after its start, at the latest.
const SOON_MS: i64 = 10 * 60 * 1000;

/// The task that tidies up.
pub(super) struct Keeper {
    pub(super) keeping: Keeping,
    pub(super) times: Timetable,
    cancel: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

impl Keeper {
    pub(super) fn start(
        keeping: &Keeping,
        times: &Timetable,
        store: Store,
        clock: Clock,
        slack_ms: i64,
        beats: watch::Receiver<u64>,
        cancel: CancellationToken,
    ) -> Self {
        let now = clock();
        let offset = match &keeping.maintain {
            Schedule::Every(interval) => i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).min(SOON_MS),
            Schedule::Cron(_) => 0,
        };
        let mut plan = Plan::new(times.clone(), times.clone(), now, offset, slack_ms);
        plan.polled(Some(now));
        let asked = keeping.clone();
        let ended = cancel.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                // Dropped between two slices of the work, each of which is whole.
                () = ended.cancelled() => {}
                () = keep(asked, store, clock, plan, beats) => {}
            }
        });
        Self { keeping: keeping.clone(), times: times.clone(), cancel, task }
    }

    /// Tells it to end.
    pub(super) fn cancel(self) -> JoinHandle<()> {
        self.cancel.cancel();
        self.task
    }
}

async fn keep(keeping: Keeping, store: Store, clock: Clock, mut plan: Plan, mut beats: watch::Receiver<u64>) {
    let mut failing = false;
    while beats.changed().await.is_ok() {
        let now = clock();
        let Some(due) = plan.due(now) else { continue };
        plan.began(due, now);
        let outcome = store.maintain(Maintain::at(now, keeping.raw_retention, keeping.message_retention)).await;
        match &outcome {
            Ok(done) => tracing::info!(
                event = "maintained",
                rows.messages_erased = done.messages_erased,
                rows.raw_dropped = done.raw_dropped,
                store.pages_freed = done.pages_freed,
                store.size_bytes = done.size_bytes,
                "the store was tidied up"
            ),
            Err(error) if failing => tracing::debug!(event = "maintenance_failed", %error, "still not tidied up"),
            Err(error) => tracing::warn!(
                event = "maintenance_failed", %error,
                "the store could not be tidied up; nothing is lost, and it is tried again"
            ),
        }
        failing = outcome.is_err();
        plan.ended(if failing { Ended::Badly } else { Ended::Well }, clock());
    }
}
