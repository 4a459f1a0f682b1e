//! Channels and participants: who and where.

use rusqlite::{OptionalExtension as _, params};

use super::commit::Tx;
use crate::model::{ChannelKind, ChannelRow, ContactHint, ParticipantKind, ParticipantRow};

struct Participant {
    kind: String,
    kind_given: bool,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    provider_user_id: Option<String>,
    resolved: i64,
}

impl Tx<'_> {
    /// The id of a channel, made with kind `other` if no record described it yet.
    pub(super) fn channel_id(&mut self, external_id: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.channels.get(external_id) {
            return Ok(*id);
        }
        let found = self.id_of("SELECT id FROM channels WHERE source_id = ?1 AND external_id = ?2", external_id)?;
        let id = match found {
            Some(id) => id,
            None => {
                let rev = self.next_rev();
                self.conn
                    .prepare_cached(
                        "INSERT INTO channels (source_id, external_id, kind, rev) VALUES (?1, ?2, 'other', ?3)",
                    )?
                    .insert(params![self.source_id, external_id, rev])?
            }
        };
        self.channels.insert(external_id.to_owned(), id);
        Ok(id)
    }

    /// Applies what a record says about a channel.
    pub(super) fn channel(&mut self, row: &ChannelRow) -> rusqlite::Result<()> {
        let id = self.channel_id(&row.external_id)?;
        let (kind, name, resolved): (String, Option<String>, i64) = self
            .conn
            .prepare_cached("SELECT kind, name, resolved FROM channels WHERE id = ?1")?
            .query_row([id], |found| Ok((found.get(0)?, found.get(1)?, found.get(2)?)))?;
        let erased: bool = self
            .conn
            .prepare_cached("SELECT erased_at_ms IS NOT NULL FROM channels WHERE id = ?1")?
            .query_row([id], |found| found.get(0))?;
        self.shroud.private |= erased;
        let new_kind = row.kind.clone().over(ChannelKind::parse(&kind)).unwrap_or(ChannelKind::Other);
        let new_name = if erased { None } else { row.name.clone().over(name.clone()) };
        if new_kind.as_str() != kind || new_name != name || resolved != 1 {
            let rev = self.next_rev();
            self.conn
                .prepare_cached("UPDATE channels SET kind = ?2, name = ?3, resolved = 1, rev = ?4 WHERE id = ?1")?
                .execute(params![id, new_kind.as_str(), new_name, rev])?;
            self.counts.directory_changes += 1;
        }
        Ok(())
    }

    /// Remembers that no directory knows a channel.
    pub(super) fn channel_missed(&self, external_id: &str) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "UPDATE channels SET resolved = 2 WHERE source_id = ?1 AND external_id = ?2 AND resolved = 0",
            )?
            .execute(params![self.source_id, external_id])?;
        Ok(())
    }

    /// The id of a participant, made nameless and of kind unknown if it was never met.
    pub(super) fn participant_id(&mut self, external_id: &str) -> rusqlite::Result<i64> {
        self.participant_made_as(external_id, "unknown").map(|(id, _)| id)
    }

    /// The same, where one that was never met is made with a kind; and whether it was made.
    fn participant_made_as(&mut self, external_id: &str, kind: &str) -> rusqlite::Result<(i64, bool)> {
        if let Some(id) = self.participants.get(external_id).copied() {
            self.meet(id, false);
            return Ok((id, false));
        }
        let found = self.id_of("SELECT id FROM participants WHERE source_id = ?1 AND external_id = ?2", external_id)?;
        let forgotten = if found.is_none() { self.forgotten_participant(external_id)? } else { None };
        let (id, made) = match (found, forgotten) {
            (Some(id), _) => (id, false),
            (None, Some((id, _))) => {
                self.meet(id, true);
                (id, false)
            }
            (None, None) => {
                let rev = self.next_rev();
                let id = self
                    .conn
                    .prepare_cached(
                        "INSERT INTO participants (source_id, external_id, kind, rev) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .insert(params![self.source_id, external_id, kind, rev])?;
                (id, true)
            }
        };
        self.participants.insert(external_id.to_owned(), id);
        Ok((id, made))
    }

    /// A participant with a role in a conversation. Roles never change a kind that a record gave; being a contact
    /// somewhere outweighs being an agent elsewhere, so that the order of reading does not matter.
    pub(super) fn participant_in_role(&mut self, external_id: &str, role: ParticipantKind) -> rusqlite::Result<i64> {
        let (id, made) = self.participant_made_as(external_id, role.as_str())?;
        if made {
            self.counts.directory_changes += 1;
            return Ok(id);
        }
        let (kind, given): (String, bool) = self
            .conn
            .prepare_cached("SELECT kind, kind_given FROM participants WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if !given && (kind == "unknown" || (kind == "agent" && role == ParticipantKind::Contact)) {
            let rev = self.next_rev();
            self.conn.prepare_cached("UPDATE participants SET kind = ?2, rev = ?3 WHERE id = ?1")?.execute(params![
                id,
                role.as_str(),
                rev
            ])?;
            self.counts.directory_changes += 1;
        }
        Ok(id)
    }

    fn stored_participant(&self, id: i64) -> rusqlite::Result<Participant> {
        self.conn
            .prepare_cached(
                "SELECT kind, kind_given, name, email, phone, provider_user_id, resolved FROM participants WHERE id = ?1",
            )?
            .query_row([id], |row| {
                Ok(Participant {
                    kind: row.get(0)?,
                    kind_given: row.get(1)?,
                    name: row.get(2)?,
                    email: row.get(3)?,
                    phone: row.get(4)?,
                    provider_user_id: row.get(5)?,
                    resolved: row.get(6)?,
                })
            })
    }

    /// Applies what a directory says about a participant.
    pub(super) fn participant(&mut self, row: &ParticipantRow) -> rusqlite::Result<()> {
        let id = self.participant_id(&row.external_id)?;
        let nameless;
        let row = if self.private_participant(id)? {
            nameless =
                ParticipantRow { external_id: row.external_id.clone(), kind: row.kind.clone(), ..Default::default() };
            &nameless
        } else {
            row
        };
        let before = self.stored_participant(id)?;
        let (kind, kind_given) = match row.kind {
            crate::model::Patch::Set(kind) => (kind.as_str().to_owned(), true),
            crate::model::Patch::Keep | crate::model::Patch::Clear => (before.kind.clone(), before.kind_given),
        };
        let name = row.name.clone().over(before.name.clone());
        let email = row.email.clone().over(before.email.clone());
        let phone = row.phone.clone().over(before.phone.clone());
        let user = row.provider_user_id.clone().over(before.provider_user_id.clone());
        let described = [&row.name, &row.email, &row.phone, &row.provider_user_id];
        let described = described.iter().any(|patch| matches!(patch, crate::model::Patch::Set(_)));
        let resolved = if described { 1 } else { before.resolved };
        let same = kind == before.kind
            && kind_given == before.kind_given
            && name == before.name
            && email == before.email
            && phone == before.phone
            && user == before.provider_user_id
            && before.resolved == resolved;
        if same {
            return Ok(());
        }
        let rev = self.next_rev();
        self.conn
            .prepare_cached(
                "UPDATE participants SET kind = ?2, kind_given = ?3, name = ?4, email = ?5, phone = ?6,
                 provider_user_id = ?7, resolved = ?8, looked_up_at_ms = iif(?8 = 1, ?9, looked_up_at_ms), rev = ?10
                 WHERE id = ?1",
            )?
            .execute(params![id, kind, kind_given, name, email, phone, user, resolved, self.now_ms, rev])?;
        self.counts.directory_changes += 1;
        let answers = |kind: &str| matches!(kind, "bot" | "agent");
        if kind != before.kind && answers(&kind) {
            self.name_authors(id, &kind)?;
        } else if kind != before.kind && answers(&before.kind) {
            self.unname_authors(id, &before.kind)?;
        }
        Ok(())
    }

    /// Fills what is still empty about the contact of a conversation.
    pub(super) fn contact_hint(&mut self, hint: &ContactHint) -> rusqlite::Result<()> {
        let found: Option<(i64, Option<i64>)> = self
            .conn
            .prepare_cached("SELECT id, contact_id FROM conversations WHERE source_id = ?1 AND external_id = ?2")?
            .query_row(params![self.source_id, hint.conversation], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((conversation, contact)) = found else { return Ok(()) };
        self.private_conversation(conversation)?;
        let Some(id) = contact else { return Ok(()) };
        if self.private_participant(id)? {
            return Ok(());
        }
        let before = self.stored_participant(id)?;
        let name = before.name.clone().or_else(|| hint.name.clone());
        let email = before.email.clone().or_else(|| hint.email.clone());
        let phone = before.phone.clone().or_else(|| hint.phone.clone());
        if name == before.name && email == before.email && phone == before.phone && before.resolved == 1 {
            return Ok(());
        }
        let rev = self.next_rev();
        self.conn
            .prepare_cached(
                "UPDATE participants SET name = ?2, email = ?3, phone = ?4, resolved = 1, looked_up_at_ms = ?5, rev = ?6
                 WHERE id = ?1",
            )?
            .execute(params![id, name, email, phone, self.now_ms, rev])?;
        self.counts.directory_changes += 1;
        Ok(())
    }

    /// A participant whom no directory describes, and who therefore must be of a kind.
    pub(super) fn participant_by_exclusion(
        &mut self,
        external_id: &str,
        kind: ParticipantKind,
    ) -> rusqlite::Result<()> {
        let id = self.participant_id(external_id)?;
        let before = self.stored_participant(id)?;
        if before.resolved == 1 || before.kind_given || before.kind != "unknown" {
            return Ok(());
        }
        let rev = self.next_rev();
        self.conn
            .prepare_cached(
                "UPDATE participants SET kind = ?2, kind_given = 1, resolved = 2, looked_up_at_ms = ?3, rev = ?4 WHERE id = ?1",
            )?
            .execute(params![id, kind.as_str(), self.now_ms, rev])?;
        self.counts.directory_changes += 1;
        self.name_authors(id, kind.as_str())
    }

    /// Remembers that the provider does not know a participant, with the date.
    pub(super) fn participant_missed(&self, external_id: &str) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "UPDATE participants SET resolved = 2, looked_up_at_ms = ?3
                 WHERE source_id = ?1 AND external_id = ?2 AND resolved <> 1",
            )?
            .execute(params![self.source_id, external_id, self.now_ms])?;
        Ok(())
    }
}
