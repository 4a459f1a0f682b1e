//! Messages: guarded upsert, revisions, and who wrote them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::{OptionalExtension as _, params};

use super::batch::Known;
use super::commit::{Tx, hot};
use super::raw;
use crate::model::{AuthorKind, MessageRow};
use crate::normalise::own_index_form;

/// Who has which role in a conversation, by participant id.
#[derive(Debug, Default)]
pub(super) struct Roles {
    contact: Option<i64>,
    others: HashMap<i64, AuthorKind>,
}

impl Roles {
    /// The role of a participant, if it has one.
    fn of(&self, participant: i64) -> Option<AuthorKind> {
        if self.contact == Some(participant) {
            return Some(AuthorKind::Contact);
        }
        self.others.get(&participant).copied()
    }
}

/// Values of `messages.author_rule`.
const GIVEN: i64 = 0;
const BY_ROLE: i64 = 1;
const BY_ROLE_OR_KIND: i64 = 2;
/// The record says that the contact wrote it, without an id: the author follows the conversation's contact.
const THE_CONTACT: i64 = 3;

const STATE: &str = "SELECT id, content_hash, version, deleted_at_ms IS NOT NULL, rev, body_text, body_html, \
    erased_at_ms IS NOT NULL FROM messages WHERE conversation_id = ?1 AND external_id = ?2";

const INSERT: &str = "INSERT INTO messages (conversation_id, external_id, author_id, author_kind, author_rule, kind, event, \
    seq, sent_at_ms, body_text, body_html, read, reaction, model, thread_external_id, version, content_hash, rev, erased_at_ms) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";

struct Stored {
    id: i64,
    content_hash: i64,
    version: Option<i64>,
    deleted: bool,
    erased: bool,
    rev: i64,
    body_text: String,
    body_html: Option<String>,
}

impl Tx<'_> {
    /// Applies a message: inserted if new, ignored if the same or older, else updated with what it said before kept.
    /// `known`: what was worked out of it already.
    pub(super) fn message(&mut self, row: &MessageRow, known: Option<&Known>) -> rusqlite::Result<()> {
        let conversation = self.conversation_id(&row.conversation)?;
        let stored = self.stored_message(conversation, &row.external_id)?;
        let shrouded = self.shrouded_message(conversation, row, stored.as_ref().map(|stored| stored.erased))?;
        let (row, blank) = (shrouded.as_ref().unwrap_or(row), shrouded.is_some());
        if !self.again || stored.is_none() {
            let newest = self.newest.entry(conversation).or_default();
            *newest = (*newest).max(row.sent_at_ms);
        }
        let known = known.filter(|_| !blank);
        let hash = known.map_or_else(|| row.content_hash(), |known| known.content_hash);
        self.made = stored.as_ref().map(|stored| stored.id);
        match stored {
            None => {
                let id = self.insert_message(conversation, row, hash, blank)?;
                let form = known.map_or_else(
                    || own_index_form(&row.body_text).map(Cow::Owned),
                    |known| known.form.as_deref().map(Cow::Borrowed),
                );
                self.texts.made(self.conn, id, form.as_deref())
            }
            Some(before) if self.is_older(before.version, row.version) => {
                self.counts.messages.unchanged += u64::from(!self.counted(before.rev));
                Ok(())
            }
            Some(before) if self.again => self.message_again(conversation, row, hash, before.id, before.rev),
            Some(before) if before.content_hash == hash && !before.deleted => {
                let damaged = before.body_text != row.body_text || before.body_html != row.body_html;
                if damaged && !blank {
                    // The provider says what was stored, and the row does not: no edit, but damage that is mended.
                    self.message_again(conversation, row, hash, before.id, before.rev)?;
                    self.says = Some(before.id);
                    return Ok(());
                }
                self.says = Some(before.id).filter(|_| !blank);
                self.counts.messages.unchanged += u64::from(!self.counted(before.rev));
                Ok(())
            }
            Some(before) => self.update_message(conversation, row, hash, &before, blank),
        }
    }

    fn stored_message(&mut self, conversation: i64, external_id: &str) -> rusqlite::Result<Option<Stored>> {
        hot(&mut self.hot.message_state, self.conn, STATE)?
            .query_row(params![conversation, external_id], |row| {
                Ok(Stored {
                    id: row.get(0)?,
                    content_hash: row.get(1)?,
                    version: row.get(2)?,
                    deleted: row.get(3)?,
                    rev: row.get(4)?,
                    body_text: row.get(5)?,
                    body_html: row.get(6)?,
                    erased: row.get(7)?,
                })
            })
            .optional()
    }

    /// Author id, author kind and the rule by which the kind was found.
    pub(super) fn author(
        &mut self,
        conversation: i64,
        row: &MessageRow,
    ) -> rusqlite::Result<(Option<i64>, AuthorKind, i64)> {
        let author = row.author.as_deref().map(|external_id| self.participant_id(external_id)).transpose()?;
        if let Some(kind) = row.author_kind {
            if kind == AuthorKind::Contact && author.is_none() {
                return Ok((self.roles(conversation)?.contact, kind, THE_CONTACT));
            }
            return Ok((author, kind, GIVEN));
        }
        let rule = if row.kind_follows_participant { BY_ROLE_OR_KIND } else { BY_ROLE };
        let Some(id) = author else { return Ok((None, AuthorKind::Unknown, rule)) };
        let roles = self.roles(conversation)?;
        let kind = self.kind_by_role(&roles, id, rule)?;
        Ok((author, kind, rule))
    }

    /// By the role in the conversation first, then, where the rule says so, by what the participant is.
    fn kind_by_role(&self, roles: &Roles, author: i64, rule: i64) -> rusqlite::Result<AuthorKind> {
        match roles.of(author) {
            Some(kind) => Ok(kind),
            None if rule == BY_ROLE_OR_KIND => self.answering_kind(author),
            None => Ok(AuthorKind::Unknown),
        }
    }

    fn roles(&mut self, conversation: i64) -> rusqlite::Result<Rc<Roles>> {
        if let Some(roles) = self.roles.get(&conversation) {
            return Ok(Rc::clone(roles));
        }
        let contact = self
            .conn
            .prepare_cached("SELECT contact_id FROM conversations WHERE id = ?1")?
            .query_row([conversation], |row| row.get(0))?;
        let others = self
            .conn
            .prepare_cached("SELECT participant_id, role FROM conversation_roles WHERE conversation_id = ?1")?
            .query_map([conversation], |row| {
                let role: String = row.get(1)?;
                Ok((row.get(0)?, AuthorKind::parse(&role).unwrap_or(AuthorKind::Unknown)))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let roles = Rc::new(Roles { contact, others });
        self.roles.insert(conversation, Rc::clone(&roles));
        Ok(roles)
    }

    /// The kind of a participant if it is one that answers, else unknown.
    fn answering_kind(&self, participant: i64) -> rusqlite::Result<AuthorKind> {
        let kind: String = self
            .conn
            .prepare_cached("SELECT kind FROM participants WHERE id = ?1 AND kind_given = 1")?
            .query_row([participant], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        Ok(match AuthorKind::parse(&kind) {
            Some(kind @ (AuthorKind::Bot | AuthorKind::Agent)) => kind,
            _ => AuthorKind::Unknown,
        })
    }

    fn insert_message(&mut self, conversation: i64, row: &MessageRow, hash: i64, blank: bool) -> rusqlite::Result<i64> {
        let (author, author_kind, rule) = self.author(conversation, row)?;
        let rev = self.next_rev();
        let version = self.credible(row.version);
        let id = hot(&mut self.hot.message_insert, self.conn, INSERT)?.insert(params![
            conversation,
            row.external_id,
            author,
            author_kind.as_str(),
            rule,
            row.kind.as_str(),
            row.event,
            row.seq,
            row.sent_at_ms,
            row.body_text,
            row.body_html,
            row.read,
            row.reaction.clamp(-1, 1),
            row.model,
            row.thread,
            version,
            hash,
            rev,
            blank.then_some(self.now_ms)
        ])?;
        self.parts(id, row)?;
        (self.made, self.says) = (Some(id), Some(id).filter(|_| !blank));
        self.counts.messages.inserted += 1;
        Ok(id)
    }

    fn update_message(
        &mut self,
        conversation: i64,
        row: &MessageRow,
        hash: i64,
        before: &Stored,
        blank: bool,
    ) -> rusqlite::Result<()> {
        if blank && !before.erased {
            // What it said before is no revision but what was to be forgotten.
            self.conn.prepare_cached("DELETE FROM message_revisions WHERE message_id = ?1")?.execute([before.id])?;
        }
        // Where the message is blank now, so is its record.
        if !blank && before.body_html != row.body_html {
            raw::make_whole(self.conn, before.id)?;
        }
        self.says = Some(before.id).filter(|_| !blank);
        let (author, author_kind, rule) = self.author(conversation, row)?;
        let edited = !blank && (before.body_text != row.body_text || before.body_html != row.body_html);
        if edited {
            self.conn
                .prepare_cached(
                    "INSERT INTO message_revisions (message_id, revision, body_text, body_html, observed_at_ms)
                     SELECT ?1, coalesce(max(revision), 0) + 1, ?2, ?3, ?4 FROM message_revisions WHERE message_id = ?1",
                )?
                .execute(params![before.id, before.body_text, before.body_html, self.now_ms])?;
        }
        if before.body_text != row.body_text {
            if blank {
                self.texts.erased(before.id, &before.body_text);
            } else {
                self.texts.changed(before.id, &before.body_text);
            }
        }
        let edited_at = edited.then(|| self.credible(row.version).unwrap_or(self.now_ms));
        let rev = self.next_rev();
        self.conn
            .prepare_cached(
                "UPDATE messages SET author_id = ?2, author_kind = ?3, author_rule = ?4, kind = ?5, event = ?6, seq = ?7,
                 sent_at_ms = ?8, body_text = ?9, body_html = ?10, read = ?11, reaction = ?12, model = ?13,
                 thread_external_id = ?14, version = ?15, content_hash = ?16, rev = ?17,
                 edited_at_ms = coalesce(?18, edited_at_ms), erased_at_ms = coalesce(erased_at_ms, ?19),
                 deleted_at_ms = NULL, deleted_reason = NULL, missed = 0
                 WHERE id = ?1",
            )?
            .execute(params![
                before.id,
                author,
                author_kind.as_str(),
                rule,
                row.kind.as_str(),
                row.event,
                row.seq,
                row.sent_at_ms,
                row.body_text,
                row.body_html,
                row.read,
                row.reaction.clamp(-1, 1),
                row.model,
                row.thread,
                self.credible(row.version),
                hash,
                rev,
                edited_at,
                blank.then_some(self.now_ms)
            ])?;
        self.conn.prepare_cached("DELETE FROM citations WHERE message_id = ?1")?.execute([before.id])?;
        self.conn.prepare_cached("DELETE FROM attachments WHERE message_id = ?1")?.execute([before.id])?;
        self.parts(before.id, row)?;
        self.counts.messages.updated += u64::from(!self.counted(before.rev));
        Ok(())
    }

    pub(super) fn parts(&self, id: i64, row: &MessageRow) -> rusqlite::Result<()> {
        for (ordinal, citation) in (0_i64..).zip(&row.citations) {
            self.conn
                .prepare_cached("INSERT INTO citations (message_id, ordinal, url, title) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![id, ordinal, citation.url, citation.title])?;
        }
        for (ordinal, attachment) in (0_i64..).zip(&row.attachments) {
            self.conn
                .prepare_cached(
                    "INSERT INTO attachments (message_id, ordinal, kind, url, name) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![id, ordinal, attachment.kind, attachment.url, attachment.name])?;
        }
        Ok(())
    }

    /// Says again who wrote the messages of a conversation whose contact or agents changed.
    pub(super) fn reassign_authors(&mut self, conversation: i64) -> rusqlite::Result<()> {
        self.roles.remove(&conversation);
        let roles = self.roles(conversation)?;
        let moved: Vec<i64> = self
            .conn
            .prepare_cached(
                "SELECT id FROM messages WHERE conversation_id = ?1 AND author_rule = 3 AND author_id IS NOT ?2",
            )?
            .query_map(params![conversation, roles.contact], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in moved {
            let rev = self.next_rev();
            self.conn
                .prepare_cached("UPDATE messages SET author_id = ?2, rev = ?3 WHERE id = ?1")?
                .execute(params![id, roles.contact, rev])?;
        }
        let by_role: Vec<(i64, i64, i64, String)> = self
            .conn
            .prepare_cached(
                "SELECT id, author_id, author_rule, author_kind FROM messages
                 WHERE conversation_id = ?1 AND author_rule BETWEEN 1 AND 2 AND author_id IS NOT NULL",
            )?
            .query_map([conversation], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (id, author, rule, before) in by_role {
            let kind = self.kind_by_role(&roles, author, rule)?;
            if kind.as_str() != before {
                self.set_author_kind(id, kind.as_str())?;
            }
        }
        Ok(())
    }

    /// A participant turned out to be a bot or an agent: its messages that go by its kind follow, except where it is
    /// the contact.
    pub(super) fn name_authors(&mut self, participant: i64, kind: &str) -> rusqlite::Result<()> {
        let ids: Vec<i64> = self
            .conn
            .prepare_cached(
                "SELECT id FROM messages WHERE author_id = ?1 AND author_rule = 2 AND author_kind NOT IN ('contact', ?2)",
            )?
            .query_map(params![participant, kind], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in ids {
            self.set_author_kind(id, kind)?;
        }
        Ok(())
    }

    /// A participant is not of a kind that answers, as was thought: what they wrote goes by their roles again.
    pub(super) fn unname_authors(&mut self, participant: i64, thought: &str) -> rusqlite::Result<()> {
        let written: Vec<(i64, i64)> = self
            .conn
            .prepare_cached(
                "SELECT id, conversation_id FROM messages WHERE author_id = ?1 AND author_rule = 2 AND author_kind = ?2",
            )?
            .query_map(params![participant, thought], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (id, conversation) in written {
            let roles = self.roles(conversation)?;
            let kind = self.kind_by_role(&roles, participant, BY_ROLE_OR_KIND)?;
            if kind.as_str() != thought {
                self.set_author_kind(id, kind.as_str())?;
            }
        }
        Ok(())
    }

    fn set_author_kind(&mut self, message: i64, kind: &str) -> rusqlite::Result<()> {
        let before: i64 = self
            .conn
            .prepare_cached("SELECT rev FROM messages WHERE id = ?1")?
            .query_row([message], |row| row.get(0))?;
        self.counts.messages.updated += u64::from(!self.counted(before));
        let rev = self.next_rev();
        self.conn
            .prepare_cached("UPDATE messages SET author_kind = ?2, rev = ?3 WHERE id = ?1")?
            .execute(params![message, kind, rev])?;
        Ok(())
    }
}
