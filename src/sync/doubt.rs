//! Ends that may be none: an answer without rows, a place behind the last row.

use std::sync::atomic::Ordering;

use super::cursor::FeedCursor;
use super::error::PassError;
use super::runner::Runner;
use super::walk::{Broken, Walk};
use crate::http::FetchError;
use crate::provider::{Ask, Feed, Page, Shape};

/// An answer without rows is put to the proof at most hourly.
const PROBE_EVERY_MS: i64 = 3_600_000;

/// The lists of one pass are read to their ends within so long of one another; one that was read much longer ago (it may not
/// be read any more) waits for no turn.
const ONE_PASS_MS: i64 = 600_000;

/// What an unfiltered question showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// There are rows that the walk should have met.
    Broken(Broken),
    /// The walk stands behind the list's last row: a row once gave a wrong id, or the last rows were removed. Reading
    /// goes on behind the greatest id that is stored and that the list still reaches.
    Beyond { after: Option<i64> },
}

impl Runner {
    /// Puts an end that was told by an empty answer to the proof: an unknown column or a broken filter answers
    /// with no rows too. At most hourly, and once a pass; but whenever the provider contradicts itself, and at the end of
    /// a list that was read from its beginning, whose first page alone came without a filter: what a sweep did not meet
    /// counts as missing.
    pub(super) async fn doubt(
        &self,
        feed: &Feed,
        walk: &Walk,
        cursor: &mut FeedCursor,
        began_at: Option<i64>,
    ) -> Result<Option<Doubt>, PassError> {
        let contradicted = match walk {
            Walk::Keyset(keyset) => keyset.is_contradicted(),
            Walk::Changes(changes) => changes.is_contradicted(),
            _ => false,
        };
        let whole = feed.complete || matches!(walk, Walk::Keyset(_)) && began_at.is_none();
        let floor = cursor.watermark.map(|watermark| watermark.saturating_sub(feed.lookback_ms));
        let (ask, limit_key) = match walk {
            Walk::Keyset(keyset) if keyset.ended_on_nothing && (contradicted || whole || walk.newest() == began_at) => {
                (Ask::Newest { limit: feed.page_size.min(25) }, walk.newest().map(|after| after.saturating_add(1)))
            }
            Walk::Changes(changes) if changes.ended_on_nothing => {
                let limit_key = if contradicted { walk.newest().map(|newest| newest.saturating_add(1)) } else { floor };
                (Ask::Newest { limit: feed.page_size.min(25) }, limit_key)
            }
            Walk::Windows(windows) if windows.ended_on_nothing => {
                (Ask::Number { number: 1, limit: feed.page_size }, floor)
            }
            _ => {
                // Rows came, so questions are answered.
                cursor.probed_at = Some(self.started_ms);
                return Ok(None);
            }
        };
        let has_its_turn =
            contradicted || whole || self.is_due(cursor).await? && !self.probed.swap(true, Ordering::Relaxed);
        if !has_its_turn {
            return Ok(None);
        }
        // Said of this stream alone: the others have their turn in the passes that follow.
        cursor.probed_at = Some(self.started_ms);
        let page = match self.source.provider.page(&feed.key, &ask).await {
            // A list that is not sorted by its times may be by its ids, which is what the lowest rung asks for.
            Err(FetchError::Rejected { .. }) if feed.shape == Shape::Changes => {
                return Ok(Some(Doubt::Broken(Broken::Order)));
            }
            answer => answer?,
        };
        let keys = || page.records.iter().filter_map(|record| record.key);
        if keys().any(|key| limit_key.is_some_and(|limit| key >= limit)) {
            return Ok(Some(Doubt::Broken(Broken::Filter)));
        }
        let beyond = last_row(&page).filter(|last| walk.newest().is_some_and(|newest| newest > *last));
        match (feed.shape, beyond) {
            // Its last row is not where the sweep ended, or there is none: what lies between the two cannot be told, and
            // nothing may be taken for deleted.
            (Shape::Ids, beyond) if feed.complete && (beyond.is_some() || keys().next().is_none()) => {
                Ok(Some(Doubt::Broken(Broken::Order)))
            }
            (Shape::Ids, Some(last)) => {
                let stream = self.source.provider.record_stream(feed.key.stream);
                let after = self.store.greatest_id(self.source_id, stream, last).await?;
                Ok(Some(Doubt::Beyond { after }))
            }
            // The page that led so far was read twice.
            (Shape::Changes, Some(_)) if contradicted => Ok(Some(Doubt::Broken(Broken::Order))),
            _ => Ok(None),
        }
    }
}

impl Runner {
    /// Whether it is a list's turn to be put to the proof: an hour after the last time, and no other one waits for longer.
    async fn is_due(&self, cursor: &FeedCursor) -> Result<bool, PassError> {
        let Some(probed_at) = cursor.probed_at else { return Ok(true) };
        if self.started_ms.saturating_sub(probed_at) < PROBE_EVERY_MS {
            return Ok(false);
        }
        let since = cursor.finished_at.unwrap_or(self.started_ms).saturating_sub(ONE_PASS_MS);
        let longest = self.store.oldest_probe(self.source_id, since).await?;
        Ok(longest.is_none_or(|longest| probed_at <= longest))
    }
}

/// The key of the list's last row, from a page that begins with it.
fn last_row(page: &Page) -> Option<i64> {
    let keys: Vec<i64> = page.records.iter().filter_map(|record| record.key).collect();
    keys.is_sorted_by(|a, b| a >= b).then(|| keys.first().copied()).flatten()
}
