//! What is written beside a stream's pages: its first watermark, when it was read, and that it may not be read.

use super::cursor::{FeedCursor, Unit};
use super::error::PassError;
use super::feed::HOLD_BACK_MS;
use super::runner::Runner;
use crate::model::StreamKey;
use crate::provider::{Feed, Pass, Shape};

/// What `status` says of a list that the key may not read (the store's `verify` looks for the first word).
const FORBIDDEN_NOTE: &str = "forbidden: the key may not read this list any more, or never might";

impl Runner {
    /// Leaves word with the stream that the key may not read it: `status` and `verify` name it, also where nothing of it
    /// was ever stored.
    pub(crate) async fn note_forbidden(&self, feed: &Feed) -> Result<(), PassError> {
        if self.range.is_some() {
            return Ok(());
        }
        let stored = self.store.cursor(self.source_id, feed.key.clone()).await?;
        let mut cursor = FeedCursor { note: Some(FORBIDDEN_NOTE.to_owned()), ..FeedCursor::parse(stored.as_deref()) };
        self.begin(feed, &cursor).method().clone_into(&mut cursor.method);
        let mut batch = self.batch();
        batch.cursors.push((feed.key.clone(), cursor.to_json()));
        Ok(self.commit(batch).await?)
    }

    /// After a run that was cut short: the list that it was reading first, then those that were read longest ago. So runs
    /// that are killed again and again get through all lists together, instead of each through the first ones.
    pub(crate) async fn unfinished_first(&self, feeds: Vec<Feed>) -> Result<Vec<Feed>, PassError> {
        if !self.after_cut {
            return Ok(feeds);
        }
        let mut ranked = Vec::with_capacity(feeds.len());
        for feed in feeds {
            let stored = self.store.cursor(self.source_id, self.cursor_key(&feed.key)).await?;
            let cursor = FeedCursor::parse(stored.as_deref());
            let under_way = cursor.walk.is_some() || cursor.sweep.is_some();
            ranked.push(((!under_way, cursor.finished_at), feed));
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        Ok(ranked.into_iter().map(|(_, feed)| feed).collect())
    }

    /// Whether a feed was read to its end since a time.
    pub(crate) async fn was_read_since(&self, feed: &Feed, began_at: i64) -> Result<bool, PassError> {
        let stored = self.store.cursor(self.source_id, self.cursor_key(&feed.key)).await?;
        let cursor = FeedCursor::parse(stored.as_deref());
        let read_at = if feed.complete { cursor.swept_at } else { cursor.finished_at };
        Ok(read_at.is_some_and(|at| at >= began_at))
    }

    /// Remembers when the first pass began, for streams of changes: what changes while the history is being brought
    /// must be met afterwards.
    pub(crate) async fn seed_watermarks(&self) -> Result<(), PassError> {
        let mut seeded = Vec::new();
        for (feed, cursor) in self.change_streams().await? {
            if cursor.watermark.is_none() && cursor.seeded_at.is_none() {
                let cursor = FeedCursor { seeded_at: Some(self.started_ms), ..cursor };
                seeded.push((feed.key, cursor.to_json()));
            }
        }
        self.commit_cursors(seeded).await
    }

    /// Gives streams of changes their first watermark, once the whole list was read by other means: the newest
    /// provider time stored, but no later than the time remembered by [`Runner::seed_watermarks`].
    pub(crate) async fn settle_watermarks(&self) -> Result<(), PassError> {
        let mut settled = Vec::new();
        for (feed, mut cursor) in self.change_streams().await? {
            let Some(seeded) = cursor.seeded_at.filter(|_| cursor.watermark.is_none()) else { continue };
            let newest = self.store.newest_update(self.source_id).await?;
            cursor.watermark = newest.map(|newest| newest.min(seeded.saturating_sub(HOLD_BACK_MS)));
            if cursor.watermark.is_some() {
                cursor.seeded_at = None;
                settled.push((feed.key, cursor.to_json()));
            }
        }
        self.commit_cursors(settled).await
    }

    /// A batch is made only to be committed: it carries away what was learnt since the last one.
    async fn commit_cursors(&self, cursors: Vec<(StreamKey, String)>) -> Result<(), PassError> {
        if cursors.is_empty() {
            return Ok(());
        }
        let mut batch = self.batch();
        batch.cursors = cursors;
        Ok(self.commit(batch).await?)
    }

    pub(crate) async fn change_streams(&self) -> Result<Vec<(Feed, FeedCursor)>, PassError> {
        let ordinary = Pass { first: false, full: false, ranged: false };
        let mut streams = Vec::new();
        for feed in self.source.provider.plan(&ordinary) {
            if feed.shape == Shape::Changes {
                let stored = self.store.cursor(self.source_id, feed.key.clone()).await?;
                let mut cursor = FeedCursor::parse(stored.as_deref());
                "keyset".clone_into(&mut cursor.method);
                (cursor.unit, cursor.lookback_ms) = (Unit::Ms, feed.lookback_ms);
                streams.push((feed, cursor));
            }
        }
        Ok(streams)
    }
}
