//! The end of a conversation's fetch, and making conversations stale.

use rusqlite::params;

use super::batch::FetchMark;
use super::commit::Tx;
use super::lacking;

impl Tx<'_> {
    /// The end of a conversation fetch: the stale mark goes, if the list still says what the fetch was made for.
    pub(super) fn fetched(&mut self, mark: &FetchMark) -> rusqlite::Result<()> {
        let Some(stored) = self.stored_conversation(&mark.conversation)? else { return Ok(()) };
        let overtaken = stored.bookkeeping.list_fingerprint != mark.fingerprint;
        let cut_off = match &mark.present {
            Some(present) if !mark.gone && !mark.whole => self.is_cut_off(stored.id, present)?,
            _ => false,
        };
        if mark.present.is_some() && mark.incomplete.is_none() && !overtaken && !cut_off {
            self.settle_letters_of(&mark.conversation)?;
        }
        let (complete, reason) = match mark.incomplete {
            _ if overtaken => (false, Some("not_fetched")),
            Some(reason) => (false, Some(reason)),
            None if cut_off => (false, Some("short")),
            None if self.has_letters(&mark.conversation)? => (false, Some(lacking::DEAD_LETTER)),
            None => (true, None),
        };
        let inferred = stored.columns.deleted_reason.as_deref().is_some_and(|reason| reason != "provider");
        let (deleted, deleted_reason) = match (mark.gone, stored.columns.deleted) {
            (true, None) => (Some(self.now_ms), Some("gone")),
            (false, Some(_)) if inferred => (None, None),
            (_, at) => (at, stored.columns.deleted_reason.as_deref()),
        };
        let (complete, reason) = if mark.gone { (true, None) } else { (complete, reason) };
        let changed = complete != stored.columns.complete
            || reason != stored.columns.reason.as_deref()
            || deleted != stored.columns.deleted;
        if stored.columns.deleted.is_none() && deleted.is_some() {
            self.counts.conversations.deleted += 1;
        } else if changed {
            self.counts.conversations.updated += u64::from(!self.counted(stored.rev));
        }
        let rev = if changed { self.next_rev() } else { stored.rev };
        self.conn
            .prepare_cached(
                "UPDATE conversations SET fetched_fingerprint = ?2, complete = ?3, incomplete_reason = ?4,
                 deleted_at_ms = ?5, deleted_reason = ?6, rev = ?7, fetched_at_ms = ?8, fetch_failures = 0 WHERE id = ?1",
            )?
            .execute(params![
                stored.id,
                mark.fingerprint,
                complete,
                reason,
                deleted,
                deleted_reason,
                rev,
                self.now_ms
            ])?;
        if let Some(present) = mark.present.as_ref().filter(|_| complete && !mark.gone) {
            self.missing_messages(stored.id, present)?;
        }
        if mark.gone {
            // Should its list row come back as it was, it must be looked at again.
            self.conn
                .prepare_cached(
                    "UPDATE raw_records SET hash = NULL
                     WHERE source_id = ?1 AND stream IN ('threads', 'chats') AND external_id = ?2",
                )?
                .execute(params![self.source_id, mark.conversation])?;
        }
        Ok(())
    }

    /// Makes every conversation that a list announced stale, so that it is fetched again.
    pub(super) fn refetch_all(&self) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "UPDATE conversations SET fetched_fingerprint = NULL
                 WHERE source_id = ?1 AND list_fingerprint IS NOT NULL AND deleted_at_ms IS NULL",
            )?
            .execute(params![self.source_id])?;
        Ok(())
    }
}
