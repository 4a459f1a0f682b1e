//! Bringing the history: a first pass or a full one, which several processes may have to get through together.

use super::cursor::FeedCursor;
use super::error::PassError;
use super::pass::Outcome;
use super::runner::Runner;
use crate::model::StreamKey;
use crate::provider::{Feed, Pass, Shape};
use crate::telemetry::events;

/// The cursors that stand while a full pass, or a first one, is under way.
const FULL_PASS: &str = "full_pass";
const FIRST_PASS: &str = "first_pass";

/// A daemon's full pass that was cut short is gone on with unless it began so long ago. One that began in the future (a
/// clock that was wrong) is not.
const STALE_SWEEP_MS: i64 = 7 * 24 * 3_600_000;

/// What such a cursor holds: when the pass began, in milliseconds.
#[derive(serde::Serialize, serde::Deserialize)]
struct History {
    began_at: i64,
}

impl Runner {
    /// Begins to bring the history (a first pass or a full one), or goes on with one that was cut short: then the time
    /// at which that one began. A full pass makes every conversation stale, once. Whoever asks for one by hand means
    /// everything from now on: only a daemon's, which comes again, goes on with what was cut short, and one that is a
    /// first pass as well.
    pub(crate) async fn begin_history(&self) -> Result<Option<i64>, PassError> {
        let Some(key) = self.history_key() else { return Ok(None) };
        if let Some(json) = self.store.cursor(self.source_id, key.clone()).await? {
            let began_at = serde_json::from_str::<History>(&json).map_or(i64::MAX, |history| history.began_at);
            let age = self.started_ms.saturating_sub(began_at);
            let goes_on = self.pass.first || self.watched_over && (0..STALE_SWEEP_MS).contains(&age);
            if !self.pass.full || goes_on {
                self.history.get_or_init(|| began_at);
                return Ok(Some(began_at));
            }
        }
        self.history.get_or_init(|| self.started_ms);
        let mut batch = self.batch();
        batch.refetch_all = self.pass.full;
        let history = History { began_at: self.started_ms };
        batch.cursors.push((key, serde_json::to_string(&history).unwrap_or_else(|_| "{}".to_owned())));
        self.commit(batch).await?;
        Ok(None)
    }

    pub(crate) async fn end_history(&self, everything_read: bool) -> Result<(), PassError> {
        let Some(key) = self.history_key() else { return Ok(()) };
        let mut batch = self.batch();
        if everything_read {
            let json = self.store.cursor(self.source_id, key.clone()).await?;
            let history = json.and_then(|json| serde_json::from_str::<History>(&json).ok());
            batch.everything_read_since_ms = history.map(|history| history.began_at);
        }
        batch.drop_cursor = Some(key);
        Ok(self.commit(batch).await?)
    }

    /// A full pass that was cut short counts as one reading together with the one that goes on with it right away. After an
    /// ordinary pass that got through, it is history: whoever wants everything read again then means from now on.
    pub(crate) async fn void_full_pass(&self) -> Result<(), PassError> {
        let key = StreamKey::plain(FULL_PASS);
        if self.store.cursor(self.source_id, key.clone()).await?.is_none() {
            return Ok(());
        }
        let mut batch = self.batch();
        batch.drop_cursor = Some(key);
        Ok(self.commit(batch).await?)
    }

    /// What changed in rows that the reading which was cut short had met already. A conversation that shows itself only
    /// here has messages that are new as well: then the lists that come after are read, too.
    pub(crate) async fn read_changes(&self, outcome: &mut Outcome) -> Result<(), PassError> {
        // Without a watermark the whole list would be read once more; the next pass knows where to begin.
        let has_mark = |(_, cursor): &(Feed, FeedCursor)| cursor.watermark.is_some();
        if !self.change_streams().await?.iter().any(has_mark) {
            return Ok(());
        }
        let before = self.counted().conversations.inserted;
        let ordinary = self.source.provider.plan(&Pass { first: false, full: false, ranged: false });
        for feed in ordinary.into_iter().skip_while(|feed| feed.shape != Shape::Changes) {
            if feed.shape != Shape::Changes && self.counted().conversations.inserted == before {
                break;
            }
            match self.feed(&feed).await {
                Ok(_) => {}
                Err(error) if error.ends_source() => return Err(error),
                Err(error) => {
                    let stream = feed.key.to_string();
                    events::stream_failed(&self.source.subject(), &stream, &error, self.told_before);
                    outcome.partly.push((stream, error));
                }
            }
        }
        Ok(())
    }

    fn history_key(&self) -> Option<StreamKey> {
        match self.pass {
            _ if self.range.is_some() => None,
            Pass { full: true, .. } => Some(StreamKey::plain(FULL_PASS)),
            Pass { first: true, .. } => Some(StreamKey::plain(FIRST_PASS)),
            Pass { .. } => None,
        }
    }
}
