//! Conversations that no list has shown, only messages: one that was removed before its list was read, say. No sweep
//! misses them, since they have no record of their own that could be missing. They are there as long as a message is.

use rusqlite::params;

use super::commit::Tx;

/// Of a source: whatever described a conversation named its channel, or announced what is to be fetched.
const UNLISTED: &str = "source_id = ?1 AND channel_id IS NULL AND list_fingerprint IS NULL";

impl Tx<'_> {
    /// A list was read to its end, and had rows: whatever has lost its last message is gone with it, unless it, or a message
    /// of it, may be among the records that could not be read.
    pub(super) fn unlisted_are_missing(&mut self) -> rusqlite::Result<()> {
        let gone: Vec<i64> = self
            .conn
            .prepare_cached(&format!(
                "SELECT id FROM conversations AS c WHERE {UNLISTED} AND deleted_at_ms IS NULL
                 AND EXISTS (SELECT 1 FROM messages WHERE conversation_id = c.id)
                 AND NOT EXISTS (SELECT 1 FROM messages WHERE conversation_id = c.id AND deleted_at_ms IS NULL)
                 AND NOT EXISTS (SELECT 1 FROM dead_letters
                                 WHERE source_id = ?1 AND resolved_at_ms IS NULL
                                 AND (stream <> 'messages' OR parent IS NULL OR parent = c.external_id))
                 ORDER BY id"
            ))?
            .query_map([self.source_id], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in gone {
            self.delete_row("threads", id)?;
        }
        Ok(())
    }

    /// A message of a missing conversation was met: if that was gone with its last message, it is back. Its `rev` then.
    pub(super) fn unlisted_is_back(&mut self, conversation: i64, before: i64) -> rusqlite::Result<i64> {
        let rev = self.next_rev();
        let back = self
            .conn
            .prepare_cached(&format!(
                "UPDATE conversations SET deleted_at_ms = NULL, deleted_reason = NULL, rev = ?3
                 WHERE id = ?2 AND {UNLISTED} AND deleted_reason = 'missing'
                 AND EXISTS (SELECT 1 FROM messages WHERE conversation_id = ?2 AND deleted_at_ms IS NULL)"
            ))?
            .execute(params![self.source_id, conversation, rev])?;
        if back == 0 {
            self.give_back_rev();
            return Ok(before);
        }
        self.counts.conversations.updated += u64::from(!self.counted(before));
        Ok(rev)
    }
}
