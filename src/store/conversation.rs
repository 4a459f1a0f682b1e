//! Conversations: what several records say about one row, merged; and which are stale.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Row as SqlRow, params};

use super::commit::Tx;
use crate::model::{ConversationRow, ConversationStatus, ParticipantKind, Patch};

/// The columns of a conversation that records speak about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Columns {
    channel: Option<i64>,
    contact: Option<i64>,
    status: Option<String>,
    title: Option<String>,
    page_url: Option<String>,
    started: Option<i64>,
    updated: Option<i64>,
    last_message: Option<i64>,
    escalated: Option<bool>,
    pub(super) deleted: Option<i64>,
    pub(super) deleted_reason: Option<String>,
    reported_messages: Option<i64>,
    reported_last: Option<i64>,
    pub(super) complete: bool,
    pub(super) reason: Option<String>,
}

/// Columns that are kept in step without counting as content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bookkeeping {
    version: Option<i64>,
    pub(super) list_fingerprint: Option<i64>,
    fetched_fingerprint: Option<i64>,
}

/// Where a conversation's columns are written.
#[derive(Debug, Clone, Copy)]
enum Target<'a> {
    Known(i64),
    /// A row of its own, with this external id.
    New(&'a str),
}

pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) rev: i64,
    pub(super) columns: Columns,
    pub(super) bookkeeping: Bookkeeping,
}

const COLUMNS: &str = "id, rev, channel_id, contact_id, status, title, page_url, started_at_ms, updated_at_ms,
    last_message_at_ms, escalated, deleted_at_ms, reported_messages, reported_last_at_ms, complete, incomplete_reason,
    version, list_fingerprint, fetched_fingerprint, deleted_reason";

fn read(row: &SqlRow<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        rev: row.get(1)?,
        columns: Columns {
            channel: row.get(2)?,
            contact: row.get(3)?,
            status: row.get(4)?,
            title: row.get(5)?,
            page_url: row.get(6)?,
            started: row.get(7)?,
            updated: row.get(8)?,
            last_message: row.get(9)?,
            escalated: row.get(10)?,
            deleted: row.get(11)?,
            deleted_reason: row.get(19)?,
            reported_messages: row.get(12)?,
            reported_last: row.get(13)?,
            complete: row.get(14)?,
            reason: row.get(15)?,
        },
        bookkeeping: Bookkeeping {
            version: row.get(16)?,
            list_fingerprint: row.get(17)?,
            fetched_fingerprint: row.get(18)?,
        },
    })
}

impl Tx<'_> {
    /// The id of a conversation; one that no list has shown yet is made, empty, so that its messages have a home.
    pub(super) fn conversation_id(&mut self, external_id: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.conversations.get(external_id) {
            return Ok(*id);
        }
        let found =
            self.id_of("SELECT id FROM conversations WHERE source_id = ?1 AND external_id = ?2", external_id)?;
        let id = match found {
            Some(id) => id,
            None => {
                let rev = self.next_rev();
                self.counts.conversations.inserted += 1;
                let lacking = self.lacking_from_the_start(external_id, false)?;
                self.conn
                    .prepare_cached(
                        "INSERT INTO conversations (source_id, external_id, rev, complete, incomplete_reason)
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .insert(params![self.source_id, external_id, rev, lacking.is_none(), lacking])?
            }
        };
        self.conversations.insert(external_id.to_owned(), id);
        Ok(id)
    }

    pub(super) fn stored_conversation(&self, external_id: &str) -> rusqlite::Result<Option<Stored>> {
        self.conn
            .prepare_cached(&format!("SELECT {COLUMNS} FROM conversations WHERE source_id = ?1 AND external_id = ?2"))?
            .query_row(params![self.source_id, external_id], read)
            .optional()
    }

    /// Applies what one record says about a conversation.
    pub(super) fn conversation(&mut self, row: &ConversationRow) -> rusqlite::Result<()> {
        let stored = self.stored_conversation(&row.external_id)?;
        let shrouded = self.shrouded_conversation(stored.as_ref().map(|stored| stored.id), row)?;
        let row = shrouded.as_ref().map_or(row, |(row, _)| row);
        let before = stored.as_ref().map(|stored| stored.columns.clone()).unwrap_or_default();
        let bookkeeping = stored.as_ref().map(|stored| stored.bookkeeping.clone()).unwrap_or_default();
        if self.is_older(bookkeeping.version, row.version) {
            self.counts.conversations.unchanged += 1;
            return Ok(());
        }
        // A fetched conversation that was gone and is listed again is fetched again: only that proves it is back.
        let back = !self.again
            && before.deleted_reason.as_deref().is_some_and(|reason| reason != "provider")
            && row.fingerprint.is_some()
            && row.deleted_at_ms == Patch::Clear;
        // A record from the store announces nothing about a conversation that a list announced before.
        let listed = bookkeeping.list_fingerprint.filter(|_| self.again);
        let kept = Bookkeeping {
            version: self.credible(row.version).or(self.credible(bookkeeping.version)),
            list_fingerprint: listed.or(row.fingerprint).or(bookkeeping.list_fingerprint).or(row.first_fingerprint),
            fetched_fingerprint: if back { None } else { bookkeeping.fetched_fingerprint },
        };
        let after = self.merge(row, stored.as_ref(), &kept, back)?;
        let content_changed = stored.is_none() || after != before;
        let id = match &stored {
            Some(stored) if !content_changed && kept == bookkeeping => stored.id,
            Some(stored) => {
                let rev = if content_changed { self.next_rev() } else { stored.rev };
                self.write(Target::Known(stored.id), rev, &after, &kept)?;
                stored.id
            }
            None => {
                let rev = self.next_rev();
                self.write(Target::New(&row.external_id), rev, &after, &kept)?;
                self.conn.last_insert_rowid()
            }
        };
        self.conversations.insert(row.external_id.clone(), id);
        self.made = Some(id);
        if let Some((_, Some(forgotten))) = shrouded {
            self.forget_conversation(id, forgotten)?;
        }
        let agents_changed = self.roles_of(id, row)?;
        if agents_changed || after.contact != before.contact {
            self.reassign_authors(id)?;
        }
        let counts = &mut self.counts.conversations;
        match &stored {
            None => counts.inserted += 1,
            Some(stored) if stored.rev > self.run_start_rev => {}
            Some(_) if before.deleted.is_none() && after.deleted.is_some() => counts.deleted += 1,
            Some(_) if content_changed => counts.updated += 1,
            Some(_) => counts.unchanged += 1,
        }
        Ok(())
    }

    fn merge(
        &mut self,
        row: &ConversationRow,
        stored: Option<&Stored>,
        kept: &Bookkeeping,
        back: bool,
    ) -> rusqlite::Result<Columns> {
        let before = stored.map(|stored| stored.columns.clone()).unwrap_or_default();
        let channel = match &row.channel {
            Patch::Set(external_id) => Some(self.channel_id(external_id)?),
            Patch::Clear => None,
            Patch::Keep => before.channel,
        };
        let contact = match &row.contact {
            Patch::Set(external_id) => Some(self.participant_in_role(external_id, ParticipantKind::Contact)?),
            Patch::Clear => None,
            Patch::Keep => before.contact,
        };
        let status = row.status.clone().over(before.status.as_deref().and_then(ConversationStatus::parse));
        let reported_last = row.last_message_at_ms.clone().over(before.reported_last);
        let newest_stored = match stored {
            Some(stored) => self.newest_stored(stored.id)?,
            None => None,
        };
        let announced = row.fingerprint.is_some() || (row.first_fingerprint.is_some() && stored.is_none());
        let known = self.again && stored.is_some_and(|stored| stored.bookkeeping.list_fingerprint.is_some());
        let stale = !back && !known && announced && kept.list_fingerprint != kept.fetched_fingerprint;
        let lacking = match stored {
            None if !stale => self.lacking_from_the_start(&row.external_id, announced)?,
            _ => None,
        };
        let inferred = before.deleted_reason.as_deref().is_some_and(|reason| reason != "provider");
        let (deleted, deleted_reason) = match row.deleted_at_ms {
            // What is missing from the provider's lists is not back because its old record was read again.
            _ if self.again && inferred => (before.deleted, before.deleted_reason),
            Patch::Set(at) => (Some(at), Some("provider".to_owned())),
            Patch::Clear if !back => (None, None),
            Patch::Clear | Patch::Keep => (before.deleted, before.deleted_reason),
        };
        Ok(Columns {
            channel,
            contact,
            status: Some(status.unwrap_or(ConversationStatus::Unknown).as_str().to_owned()),
            title: row.title.clone().over(before.title),
            page_url: row.page_url.clone().over(before.page_url),
            started: row.started_at_ms.clone().over(before.started),
            updated: row.updated_at_ms.clone().over(before.updated),
            last_message: reported_last.max(newest_stored),
            escalated: row.escalated.clone().over(before.escalated),
            deleted,
            deleted_reason,
            reported_messages: row.reported_messages.clone().over(before.reported_messages),
            reported_last,
            complete: if stale { false } else { stored.map_or(lacking.is_none(), |stored| stored.columns.complete) },
            reason: if stale { Some("not_fetched".to_owned()) } else { lacking.map(str::to_owned).or(before.reason) },
        })
    }

    fn newest_stored(&self, conversation: i64) -> rusqlite::Result<Option<i64>> {
        self.conn
            .prepare_cached(
                "SELECT max(sent_at_ms) FROM messages WHERE conversation_id = ?1 AND deleted_at_ms IS NULL",
            )?
            .query_row([conversation], |row| row.get(0))
    }

    fn write(&self, target: Target<'_>, rev: i64, columns: &Columns, kept: &Bookkeeping) -> rusqlite::Result<()> {
        // Both number their parameters alike.
        let (sql, id, external_id) = match target {
            Target::Known(id) => (
                "UPDATE conversations SET channel_id = ?4, contact_id = ?5, status = ?6, title = ?7, page_url = ?8,
                 started_at_ms = ?9, updated_at_ms = ?10, last_message_at_ms = ?11, escalated = ?12, deleted_at_ms = ?13,
                 reported_messages = ?14, reported_last_at_ms = ?15, complete = ?16, incomplete_reason = ?17,
                 version = ?18, list_fingerprint = ?19, fetched_fingerprint = ?20, deleted_reason = ?21, rev = ?22
                 WHERE id = ?1 AND source_id = ?2 AND ?3 IS NULL",
                Some(id),
                None,
            ),
            Target::New(external_id) => (
                "INSERT INTO conversations (id, source_id, external_id, channel_id, contact_id, status, title, page_url,
                 started_at_ms, updated_at_ms, last_message_at_ms, escalated, deleted_at_ms, reported_messages,
                 reported_last_at_ms, complete, incomplete_reason, version, list_fingerprint, fetched_fingerprint,
                 deleted_reason, rev)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
                None,
                Some(external_id),
            ),
        };
        self.conn.prepare_cached(sql)?.execute(params![
            id,
            self.source_id,
            external_id,
            columns.channel,
            columns.contact,
            columns.status,
            columns.title,
            columns.page_url,
            columns.started,
            columns.updated,
            columns.last_message,
            columns.escalated,
            columns.deleted,
            columns.reported_messages,
            columns.reported_last,
            columns.complete,
            columns.reason,
            kept.version,
            kept.list_fingerprint,
            kept.fetched_fingerprint,
            columns.deleted_reason,
            rev
        ])?;
        Ok(())
    }

    /// Replaces who else has a role in a conversation. A contact stays one, even if named among those who answer.
    fn roles_of(&mut self, conversation: i64, row: &ConversationRow) -> rusqlite::Result<bool> {
        let agents: &[String] = match &row.agents {
            Patch::Keep => return Ok(false),
            Patch::Clear => &[],
            Patch::Set(agents) => agents,
        };
        let mut wanted = BTreeMap::new();
        for external_id in agents {
            wanted.insert(self.participant_in_role(external_id, ParticipantKind::Agent)?, "agent");
        }
        for external_id in &row.other_contacts {
            wanted.insert(self.participant_in_role(external_id, ParticipantKind::Contact)?, "contact");
        }
        let stored: Vec<(i64, String)> = self
            .conn
            .prepare_cached(
                "SELECT participant_id, role FROM conversation_roles WHERE conversation_id = ?1 ORDER BY participant_id",
            )?
            .query_map([conversation], |found| Ok((found.get(0)?, found.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        if stored.iter().map(|(id, role)| (*id, role.as_str())).eq(wanted.iter().map(|(id, role)| (*id, *role))) {
            return Ok(false);
        }
        if !stored.is_empty() {
            self.conn
                .prepare_cached("DELETE FROM conversation_roles WHERE conversation_id = ?1")?
                .execute([conversation])?;
        }
        for (id, role) in wanted {
            self.conn
                .prepare_cached(
                    "INSERT INTO conversation_roles (conversation_id, participant_id, role) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![conversation, id, role])?;
        }
        Ok(true)
    }

    /// Moves `last_message_at` of the conversations whose messages this batch brought. One that was missing may be back.
    pub(super) fn settle_last_messages(&mut self) -> rusqlite::Result<()> {
        let newest = std::mem::take(&mut self.newest);
        let mut newest: Vec<(i64, Option<i64>)> = newest.into_iter().collect();
        newest.sort_unstable();
        for (conversation, sent) in newest {
            let (before, rev, missing): (Option<i64>, i64, bool) = self
                .conn
                .prepare_cached(
                    "SELECT last_message_at_ms, rev, deleted_reason IS 'missing' FROM conversations WHERE id = ?1",
                )?
                .query_row([conversation], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let rev = if missing { self.unlisted_is_back(conversation, rev)? } else { rev };
            if before < sent {
                self.counts.conversations.updated += u64::from(!self.counted(rev));
                let rev = self.next_rev();
                self.conn
                    .prepare_cached("UPDATE conversations SET last_message_at_ms = ?2, rev = ?3 WHERE id = ?1")?
                    .execute(params![conversation, sent, rev])?;
            }
        }
        Ok(())
    }
}
