//! Ranged backfills: the same walks with cursors of their own, storing only what happened in the range.
//!
//! Messages that come as one list are kept by the time they were sent. Where messages are fetched per conversation,
//! a conversation that was active in the range is brought whole: more than was asked for, never less.

use super::error::PassError;
use super::runner::Runner;
use crate::model::{Patch, Row, StreamKey};
use crate::store::Record;

/// Marks the scope of a ranged backfill's cursors; `status` does not show them.
pub(super) const RANGE_MARK: char = '@';

impl Runner {
    /// The key under which a stream's cursor is kept: the forward cursors know nothing of ranges.
    pub(crate) fn cursor_key(&self, key: &StreamKey) -> StreamKey {
        match self.range {
            None => key.clone(),
            Some((since, until)) => {
                let bound = |bound: Option<i64>| bound.map_or_else(String::new, |ms| ms.to_string());
                let scope = format!("{}{RANGE_MARK}{}..{}", key.scope, bound(since), bound(until));
                StreamKey { stream: key.stream, scope }
            }
        }
    }

    /// Whether a record belongs to the range. What has no time belongs to every range.
    pub(crate) fn in_range(&self, record: &Record) -> bool {
        let (Some((since, until)), Ok(rows)) = (self.range, &record.outcome) else { return true };
        rows.iter().all(|row| match row {
            Row::Message(message) => message
                .sent_at_ms
                .is_none_or(|sent| since.is_none_or(|since| sent >= since) && until.is_none_or(|until| sent < until)),
            Row::Conversation(conversation)
                if conversation.fingerprint.is_some() || conversation.first_fingerprint.is_some() =>
            {
                let last = set(&conversation.last_message_at_ms);
                let started = set(&conversation.started_at_ms);
                since.zip(last).is_none_or(|(since, last)| last >= since)
                    && until.zip(started).is_none_or(|(until, started)| started < until)
            }
            Row::Conversation(_) | Row::Channel(_) | Row::Participant(_) | Row::Contact(_) => true,
        })
    }

    /// A range whose lists were read to the end needs its cursors no more: asked for again, it is read again.
    pub(crate) async fn close_range(&self) -> Result<(), PassError> {
        let mut batch = self.batch();
        batch.drop_cursors_marked = Some(self.cursor_key(&StreamKey::plain("")).scope);
        Ok(self.commit(batch).await?)
    }
}

fn set(patch: &Patch<i64>) -> Option<i64> {
    match patch {
        Patch::Set(value) => Some(*value),
        Patch::Keep | Patch::Clear => None,
    }
}
