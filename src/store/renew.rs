//! A message normalised anew from its stored record: compared column by column, since the stored hash vouches for the
//! record and not for the columns.

use rusqlite::params;

use super::altered;
use super::commit::Tx;
use super::raw;
use crate::model::MessageRow;

/// Every column that a record decides.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    author: Option<i64>,
    author_kind: String,
    rule: i64,
    kind: String,
    event: Option<String>,
    seq: i64,
    sent_at_ms: Option<i64>,
    body_text: String,
    body_html: Option<String>,
    read: Option<bool>,
    reaction: i64,
    model: Option<String>,
    thread: Option<String>,
    version: Option<i64>,
    content_hash: i64,
}

impl Tx<'_> {
    /// Writes what differs. That the text differs is no edit of the provider's: no revision is kept, and a message
    /// that is missing from the provider's lists stays deleted.
    pub(super) fn message_again(
        &mut self,
        conversation: i64,
        row: &MessageRow,
        hash: i64,
        id: i64,
        rev_before: i64,
    ) -> rusqlite::Result<()> {
        let (author, author_kind, rule) = self.author(conversation, row)?;
        let stored = self.columns_of_message(id)?;
        let wanted = Columns {
            author,
            author_kind: author_kind.as_str().to_owned(),
            rule,
            kind: row.kind.as_str().to_owned(),
            event: row.event.clone(),
            seq: row.seq,
            sent_at_ms: row.sent_at_ms,
            body_text: row.body_text.clone(),
            body_html: row.body_html.clone(),
            read: row.read,
            reaction: row.reaction.clamp(-1, 1),
            model: row.model.clone(),
            thread: row.thread.clone(),
            version: self.credible(row.version).or(self.credible(stored.version)),
            content_hash: hash,
        };
        if wanted.body_html != stored.body_html {
            raw::make_whole(self.conn, id)?;
        }
        if wanted.body_text != stored.body_text {
            self.texts.changed(id, &stored.body_text);
        }
        let same_parts = altered::citations(self.conn, id)? == row.citations
            && altered::attachments(self.conn, id)? == row.attachments;
        if wanted == stored && same_parts {
            self.counts.messages.unchanged += u64::from(!self.counted(rev_before));
            return Ok(());
        }
        // What only the book-keeping columns say is no content.
        let same_content = same_parts
            && wanted == Columns { version: wanted.version, content_hash: hash, rule: wanted.rule, ..stored };
        let rev = if same_content { rev_before } else { self.next_rev() };
        self.conn
            .prepare_cached(
                "UPDATE messages SET author_id = ?2, author_kind = ?3, author_rule = ?4, kind = ?5, event = ?6, seq = ?7,
                 sent_at_ms = ?8, body_text = ?9, body_html = ?10, read = ?11, reaction = ?12, model = ?13,
                 thread_external_id = ?14, version = ?15, content_hash = ?16, rev = ?17 WHERE id = ?1",
            )?
            .execute(params![
                id,
                wanted.author,
                wanted.author_kind,
                wanted.rule,
                wanted.kind,
                wanted.event,
                wanted.seq,
                wanted.sent_at_ms,
                wanted.body_text,
                wanted.body_html,
                wanted.read,
                wanted.reaction,
                wanted.model,
                wanted.thread,
                wanted.version,
                wanted.content_hash,
                rev
            ])?;
        if !same_parts {
            self.conn.prepare_cached("DELETE FROM citations WHERE message_id = ?1")?.execute([id])?;
            self.conn.prepare_cached("DELETE FROM attachments WHERE message_id = ?1")?.execute([id])?;
            self.parts(id, row)?;
        }
        let fresh = u64::from(!self.counted(rev_before));
        if same_content {
            self.counts.messages.unchanged += fresh;
        } else {
            self.counts.messages.updated += fresh;
        }
        Ok(())
    }

    fn columns_of_message(&self, id: i64) -> rusqlite::Result<Columns> {
        self.conn
            .prepare_cached(
                "SELECT author_id, author_kind, author_rule, kind, event, seq, sent_at_ms, body_text, body_html, read,
                 reaction, model, thread_external_id, version, content_hash FROM messages WHERE id = ?1",
            )?
            .query_row([id], |row| {
                Ok(Columns {
                    author: row.get(0)?,
                    author_kind: row.get(1)?,
                    rule: row.get(2)?,
                    kind: row.get(3)?,
                    event: row.get(4)?,
                    seq: row.get(5)?,
                    sent_at_ms: row.get(6)?,
                    body_text: row.get(7)?,
                    body_html: row.get(8)?,
                    read: row.get(9)?,
                    reaction: row.get(10)?,
                    model: row.get(11)?,
                    thread: row.get(12)?,
                    version: row.get(13)?,
                    content_hash: row.get(14)?,
                })
            })
    }
}
