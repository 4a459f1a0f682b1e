//! What in the store is one person's: the conversations whose contact they are, what they wrote, the raw records and
//! dead letters that are theirs or name them.

use std::collections::{BTreeSet, HashSet};

use rusqlite::Connection;

use super::person::{self, Marks, Person};
use super::shroud;

/// Row ids that a statement finds for one id.
pub(super) fn ids(conn: &Connection, sql: &str, id: i64) -> rusqlite::Result<Vec<i64>> {
    conn.prepare_cached(sql)?.query_map([id], |row| row.get(0))?.collect()
}

/// Row ids of what is theirs.
#[derive(Default)]
pub(super) struct Theirs {
    /// Whole conversations.
    pub(super) conversations: BTreeSet<i64>,
    /// Conversations of others in which they have a role or wrote: the records of these name and quote them.
    pub(super) named_in: HashSet<i64>,
    pub(super) messages: BTreeSet<i64>,
}

impl Theirs {
    pub(super) fn of(conn: &Connection, people: &[Person]) -> rusqlite::Result<Self> {
        let mut theirs = Self::default();
        for person in people {
            let id = person.id;
            theirs.conversations.extend(ids(conn, "SELECT id FROM conversations WHERE contact_id = ?1", id)?);
            let roles = "SELECT conversation_id FROM conversation_roles WHERE participant_id = ?1";
            theirs.named_in.extend(ids(conn, roles, id)?);
            // No index leads from an author to all messages; this is done once in a while.
            theirs.messages.extend(ids(conn, "SELECT id FROM messages WHERE author_id = ?1", id)?);
            let wrote_in = "SELECT DISTINCT conversation_id FROM messages WHERE author_id = ?1";
            theirs.named_in.extend(ids(conn, wrote_in, id)?);
        }
        for conversation in &theirs.conversations {
            let sql = "SELECT id FROM messages WHERE conversation_id = ?1";
            theirs.messages.extend(ids(conn, sql, *conversation)?);
        }
        Ok(theirs)
    }

    /// Conversations without a contact whose own record gives the address: visitors who have no id.
    pub(super) fn anonymous(&mut self, conn: &Connection, source_id: i64, marks: &Marks) -> rusqlite::Result<()> {
        if !marks.has_address() {
            return Ok(());
        }
        let sql = "SELECT r.id, r.codec, r.body, r.row_id, r.external_id, r.parent FROM raw_records AS r
                   JOIN conversations AS c ON c.id = r.row_id AND c.contact_id IS NULL
                   WHERE r.source_id = ?1 AND r.stream <> 'messages' AND r.body <> x''";
        let mut found = Vec::new();
        person::each_record(conn, sql, source_id, |record| {
            if marks.address_in(&record.words) {
                found.extend(record.row_id);
            }
            Ok(())
        })?;
        for conversation in found {
            self.conversations.insert(conversation);
            self.messages.extend(ids(conn, "SELECT id FROM messages WHERE conversation_id = ?1", conversation)?);
        }
        Ok(())
    }

    /// Drops raw records that are theirs or name them: how many. Records of conversations and messages stay as empty
    /// rows, since sweeps count them; those of people go.
    pub(super) fn raw(&self, conn: &Connection, source_id: i64, marks: &Marks) -> rusqlite::Result<u64> {
        let key = shroud::read_key(conn)?;
        let with_them = threads(conn, self)?;
        let mut found = Vec::new();
        for (stream, sql) in [
            (
                true,
                "SELECT id, codec, body, row_id, external_id, parent FROM raw_records
                    WHERE source_id = ?1 AND stream = 'messages'",
            ),
            (
                false,
                "SELECT id, codec, body, row_id, external_id, parent FROM raw_records
                     WHERE source_id = ?1 AND stream <> 'messages'",
            ),
        ] {
            person::each_record(conn, sql, source_id, |record| {
                let own = record.row_id.is_some_and(|row| match stream {
                    true => self.messages.contains(&row),
                    false => self.conversations.contains(&row) || self.named_in.contains(&row),
                });
                // "Somebody has joined", in a conversation in which they answered.
                let told = record.parent.as_ref().is_some_and(|parent| with_them.contains(parent));
                if own
                    || marks.name(&record)
                    || !stream && marks.describe(&record)
                    || told && marks.are_among(&record.words)
                {
                    found.push((record.id, record.row_id.is_some() || stream));
                }
                Ok(())
            })?;
        }
        for (id, stays) in &found {
            match stays {
                true => shroud::drop_raw(conn, &key, *id)?,
                false => drop(conn.prepare_cached("DELETE FROM raw_records WHERE id = ?1")?.execute([id])?),
            }
        }
        Ok(u64::try_from(found.len()).unwrap_or(0))
    }
}

/// Removes dead letters that are theirs or name them, settled ones too.
pub(super) fn letters(conn: &Connection, source_id: i64, marks: &Marks, theirs: &Theirs) -> rusqlite::Result<u64> {
    let mut of_messages = HashSet::new();
    for id in &theirs.messages {
        let sql = "SELECT d.id FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
                   JOIN dead_letters AS d ON d.source_id = c.source_id AND d.stream = 'messages'
                   AND d.external_id IN (m.external_id,
                     c.external_id || '/' || substr(m.external_id, 1, length(m.external_id) - 2))
                   WHERE m.id = ?1";
        of_messages.extend(ids(conn, sql, *id)?);
    }
    let within = threads(conn, theirs)?;
    person::each_record(conn, person::LETTERS, source_id, |record| {
        // Their own id may be too short to be looked for: what stands in a conversation with them is theirs too.
        let with_them = record.parent.as_ref().is_some_and(|parent| within.contains(parent))
            || record.words.iter().any(|word| person::is_telling(word) && within.contains(word));
        if with_them || marks.name(&record) || marks.stand_among(&record.words) {
            of_messages.insert(record.id);
        }
        Ok(())
    })?;
    for id in &of_messages {
        conn.prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?.execute([id])?;
    }
    Ok(u64::try_from(of_messages.len()).unwrap_or(0))
}

/// The ids of conversations that are theirs, or in which they have a role or wrote.
fn threads(conn: &Connection, theirs: &Theirs) -> rusqlite::Result<HashSet<String>> {
    let mut found = HashSet::new();
    for id in theirs.named_in.iter().chain(&theirs.conversations) {
        let external_id: String = conn
            .prepare_cached("SELECT external_id FROM conversations WHERE id = ?1")?
            .query_row([id], |row| row.get(0))?;
        found.extend(external_id.rsplit('/').next().filter(|own| person::is_telling(own)).map(str::to_owned));
        found.insert(external_id);
    }
    Ok(found)
}
