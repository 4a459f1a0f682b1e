//! The clock on the daemon's wall: a beat every second, and what cron expressions mean.
//!
//! The only file that knows the crate `tokio-cron-scheduler` (and `croner`, the parser that it uses). The scheduler
//! neither prevents overlap nor waits at its end, counts intervals on the wall clock and makes up for missed ones one by
//! one. So its one job sends a beat into channels that hold one, where beats that were missed fold into one; what is
//! due at a beat is arithmetic ([`super::plan`]) that is tested without waiting.

use std::time::Duration;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use tokio::sync::watch;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::store::failpoint::failpoint;

/// The scheduler looks at its jobs twice a second. When no beat came for so long, the wall clock was set back (it would
/// be silent until the old time is reached again) or its task has ended: a new one takes over.
const SILENCE: Duration = Duration::from_secs(3);

/// Beats once a second until cancelled: `beat` counts up.
pub(super) async fn beat(beat: watch::Sender<u64>, cancel: CancellationToken) {
    while !cancel.is_cancelled() {
        failpoint!("clock.begins");
        let outcome = until_silent(&beat, &cancel).await;
        if let Err(error) = outcome {
            tracing::warn!(%error, "the scheduler cannot start; trying again");
        }
        // The beat that takes the place of those that did not come.
        beat.send_modify(|count| *count += 1);
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

async fn until_silent(beat: &watch::Sender<u64>, cancel: &CancellationToken) -> Result<(), JobSchedulerError> {
    let mut scheduler = JobScheduler::new().await?;
    let heart = beat.clone();
    scheduler.add(Job::new("* * * * * *", move |_, _| heart.send_modify(|count| *count += 1))?).await?;
    scheduler.start().await?;
    let mut beats = beat.subscribe();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            heard = tokio::time::timeout(SILENCE, beats.changed()) => match heard {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(_) => {
                    tracing::info!("the scheduler fell silent (was the clock set?); starting it anew");
                    break;
                }
            },
        }
    }
    scheduler.shutdown().await
}

/// A cron expression, read. Its times are UTC.
#[derive(Debug, Clone)]
pub(super) struct CronTable(Cron);

impl CronTable {
    /// Reads an expression of five fields, or of six with seconds first.
    ///
    /// # Errors
    /// It means nothing, or no moment ever.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .dom_and_dow(false)
            .build()
            .parse(text)
            .map_err(|error| format!("the cron expression \"{text}\" cannot be used: {error}"))?;
        let table = Self(cron);
        // Somewhere in the four years of a calendar with its leap day.
        match table.after(0) {
            Some(_) => Ok(table),
            None => Err(format!("the cron expression \"{text}\" never comes true")),
        }
    }

    /// The first moment after another, both in milliseconds since 1970 UTC.
    pub(super) fn after(&self, at_ms: i64) -> Option<i64> {
        let at: DateTime<Utc> = DateTime::from_timestamp_millis(at_ms)?;
        self.0.find_next_occurrence(&at, false).ok().map(|next| next.timestamp_millis())
    }
}

/// For `crate::fuzzing`: a cron expression is refused, or its next moment always lies ahead.
pub(crate) fn fuzzed(text: &str) {
    let Ok(table) = CronTable::parse(text) else { return };
    let mut at = 1_772_452_800_000;
    for _ in 0..4 {
        let Some(next) = table.after(at) else { break };
        assert!(next > at, "{text}: {next} does not lie after {at}");
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 2 March 2026, 12:00 UTC.
    const NOON: i64 = 1_772_452_800_000;
    const HOUR: i64 = 3_600_000;

    #[test]
    fn cron_tables_are_read_as_people_write_them() {
        for (text, hours_later) in [
            ("0 13 * * *", 1),
            ("0 0 13 * * *", 1),
            ("0 12 * * *", 24),
            ("15 3 * * *", 15),
            ("0 0 * * SUN", 5 * 24 + 12),
            ("0 0 * * 7", 5 * 24 + 12),
            ("0 0 L * *", 28 * 24 + 12),
        ] {
            let next = CronTable::parse(text).unwrap().after(NOON).unwrap();
            assert_eq!((next - NOON) / HOUR, hours_later, "{text}");
        }
        // A day of the month or of the week, as in every cron.
        let either = CronTable::parse("0 0 15 * FRI").unwrap();
        assert_eq!((either.after(NOON).unwrap() - NOON) / HOUR, 3 * 24 + 12);
    }

    #[test]
    fn what_never_comes_true_is_refused() {
        for text in ["0 0 31 2 *", "0 0 30 FEB *", "nonsense"] {
            CronTable::parse(text).unwrap_err();
        }
        assert_eq!(CronTable::parse("* * * * *").unwrap().after(i64::MAX), None);
    }

    #[tokio::test]
    async fn it_beats_until_it_is_cancelled() {
        let (sender, mut beats) = watch::channel(0);
        let cancel = CancellationToken::new();
        let beating = tokio::spawn(beat(sender, cancel.clone()));
        beats.wait_for(|count| *count >= 2).await.unwrap();
        cancel.cancel();
        beating.await.unwrap();
    }
}
