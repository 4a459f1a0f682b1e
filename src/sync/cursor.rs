//! Where a stream stands: the checkpoint that is committed with every page.

use serde::{Deserialize, Serialize};

use super::feed::HOLD_BACK_MS;
use super::walk::Walk;
use crate::normalise::to_iso;
use crate::store::ShownCursor;

/// What a watermark counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A numeric id.
    #[default]
    Id,
    /// Milliseconds since 1970 UTC.
    Ms,
}

/// The checkpoint of a stream, stored as JSON in `cursors.cursor`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FeedCursor {
    /// The rung in use.
    pub method: String,
    /// The greatest key up to which everything is stored.
    pub watermark: Option<i64>,
    #[serde(default)]
    pub unit: Unit,
    /// How far before the watermark reading starts again, in milliseconds.
    #[serde(default)]
    pub lookback_ms: i64,
    /// A walk forward from the watermark, while under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walk: Option<Walk>,
    /// A complete enumeration, while under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Walk>,
    /// When the reading of everything began that `sweep` is a part of. No other goes on with it: what it met lies before
    /// that other one began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep_of: Option<i64>,
    /// Why a better rung is not in use, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<i64>,
    /// When the end was last reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<i64>,
    /// When the first pass began, until the stream has a watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeded_at: Option<i64>,
    /// When the pass began that last enumerated the whole stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swept_at: Option<i64>,
    /// When the end was last proved by a question without a filter, or shown by rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed_at: Option<i64>,
}

impl FeedCursor {
    /// Reads a stored checkpoint. One that cannot be read (another version wrote it) starts the stream anew, which
    /// costs requests and loses nothing.
    #[must_use]
    pub fn parse(json: Option<&str>) -> Self {
        json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }

    /// Sees that a time watermark is one that a pass can have saved, which holds back from its own beginning. One that
    /// lies in the future proves nothing about what is stored (a clock that was wrong): the stream starts anew.
    pub fn distrust_the_future(&mut self, now_ms: i64, hold_back_ms: i64) {
        if self.unit == Unit::Ms {
            self.watermark = self.watermark.filter(|at| *at <= now_ms);
            self.watermark = self.watermark.map(|at| at.min(now_ms.saturating_sub(hold_back_ms)));
        }
    }

    /// The checkpoint as it is stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Moves the watermark on, never back.
    pub fn advance(&mut self, to: Option<i64>) {
        self.watermark = self.watermark.max(to);
    }

    /// What `status` shows of a stored checkpoint.
    #[must_use]
    pub fn shown(json: &str) -> Option<ShownCursor> {
        let cursor: Self = serde_json::from_str(json).ok()?;
        let watermark = cursor.watermark.map(|value| match cursor.unit {
            Unit::Id => value.to_string(),
            Unit::Ms => to_iso(value),
        });
        let holds_back = cursor.unit == Unit::Ms && watermark.is_some();
        Some(ShownCursor {
            method: cursor.method,
            watermark,
            lookback_seconds: cursor.lookback_ms / 1000,
            hold_back_seconds: if holds_back { HOLD_BACK_MS / 1000 } else { 0 },
            note: cursor.note,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_checkpoint_starts_anew() {
        assert_eq!(FeedCursor::parse(Some("{\"method\": 7}")).watermark, None);
        assert_eq!(FeedCursor::parse(None).watermark, None);
    }

    #[test]
    fn a_watermark_of_the_future_blinds_nobody() {
        let seen = |watermark, unit| {
            let mut cursor = FeedCursor { watermark: Some(watermark), unit, ..FeedCursor::default() };
            cursor.distrust_the_future(1_000_000, 60_000);
            cursor.watermark
        };
        assert_eq!(seen(900_000, Unit::Ms), Some(900_000));
        assert_eq!(seen(990_000, Unit::Ms), Some(940_000));
        assert_eq!(seen(7_258_118_400_000, Unit::Ms), None);
        assert_eq!(seen(i64::MAX, Unit::Id), Some(i64::MAX), "ids are no times");
    }

    #[test]
    fn a_watermark_never_moves_back() {
        let mut cursor = FeedCursor { watermark: Some(5), ..FeedCursor::default() };
        cursor.advance(Some(3));
        cursor.advance(None);
        assert_eq!(cursor.watermark, Some(5));
        assert_eq!(FeedCursor::parse(Some(&cursor.to_json())).watermark, Some(5));
    }
}
