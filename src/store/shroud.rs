//! What was erased does not come back: looked up while a record is applied.
//!
//! A forgotten participant keeps a row under a pseudonym, an HMAC of the external id with the store's own key, so that
//! their conversations still hang together and nothing is stored twice. Everything that refers to a participant goes
//! through `participant_id`, which therefore knows when a record speaks of somebody forgotten: its raw form is not
//! kept then.

use std::collections::HashSet;

use ring::hmac;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::batch::Record;
use super::commit::Tx;
use super::{erase, person};
use crate::model::{ConversationRow, MessageRow, Patch};

/// Texts longer than this are not looked at as ids.
const LONGEST_ID: usize = 200;

/// When somebody, or a conversation, was forgotten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forgotten {
    at_ms: i64,
    /// What comes after that is kept without text too.
    suppress: bool,
}

impl Forgotten {
    /// Whether something of this time is covered. What has no time is.
    fn covers(self, at_ms: Option<i64>) -> bool {
        self.suppress || at_ms.is_none_or(|at_ms| at_ms <= self.at_ms)
    }
}

/// What a transaction knows of it, and what it found out about the record under way.
#[derive(Default)]
pub(super) struct Shroud {
    /// Makes pseudonyms; only there if somebody of this source was forgotten.
    key: Option<hmac::Key>,
    /// Messages sent before this are kept without text.
    pub(super) messages_before_ms: Option<i64>,
    /// The pseudonyms of everybody of this source who was forgotten.
    names: HashSet<String>,
    /// Participants met by their pseudonym.
    met: HashSet<i64>,
    /// The record under way speaks of somebody forgotten.
    pub(super) private: bool,
    /// The record under way made a message whose text is older than texts are kept.
    pub(super) old: bool,
}

impl Shroud {
    pub(super) fn load(conn: &Connection, source_id: i64) -> rusqlite::Result<Self> {
        let (key, messages_before_ms, any): (Vec<u8>, Option<i64>, bool) = conn
            .prepare_cached(
                "SELECT key, messages_before_ms, EXISTS (SELECT 1 FROM forgotten WHERE source_id = ?1)
                 FROM erasure WHERE id = 1",
            )?
            .query_row([source_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let names = match any {
            true => conn
                .prepare_cached(
                    "SELECT p.external_id FROM forgotten AS f JOIN participants AS p ON p.id = f.participant_id
                     WHERE f.source_id = ?1",
                )?
                .query_map([source_id], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?,
            false => HashSet::new(),
        };
        Ok(Self { key: any.then(|| key_of(&key)), messages_before_ms, names, ..Self::default() })
    }
}

/// The key that pseudonyms are made with.
pub(super) fn key_of(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

/// The id that a forgotten participant's row has.
pub(super) fn pseudonym(key: &hmac::Key, source_id: i64, external_id: &str) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(&source_id.to_le_bytes());
    context.update(external_id.as_bytes());
    let tag = context.sign();
    let hex: String = tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("forgotten-{hex}")
}

/// What stands for a record's hash once the record is forgotten: the next reading knows by it that nothing changed,
/// and without the key nobody can try out what the record said.
pub(super) fn keyed(key: &hmac::Key, hash: i64) -> i64 {
    let tag = hmac::sign(key, &hash.to_le_bytes());
    tag.as_ref().first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

/// Takes the body out of a stored record of somebody forgotten, and puts the keyed hash in the place of its own. Done
/// twice it is done once: an empty body in the codec `zstd` says that it was done.
pub(super) fn drop_raw(conn: &Connection, key: &hmac::Key, id: i64) -> rusqlite::Result<()> {
    let hash: Option<Option<i64>> = conn
        .prepare_cached("SELECT hash FROM raw_records WHERE id = ?1 AND NOT (codec = 'zstd' AND body = x'')")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(hash) = hash else { return Ok(()) };
    conn.prepare_cached("UPDATE raw_records SET codec = 'zstd', body = x'', hash = ?2 WHERE id = ?1")?
        .execute(params![id, hash.map(|hash| keyed(key, hash))])?;
    Ok(())
}

/// The store's own key.
pub(super) fn read_key(conn: &Connection) -> rusqlite::Result<hmac::Key> {
    let key: Vec<u8> = conn.query_row("SELECT key FROM erasure WHERE id = 1", [], |row| row.get(0))?;
    Ok(key_of(&key))
}

impl Tx<'_> {
    /// What stands for a record's hash where the record is one of somebody forgotten.
    pub(super) fn keyed_hash(&self, hash: i64) -> Option<i64> {
        self.shroud.key.as_ref().map(|key| keyed(key, hash))
    }

    /// The row of a forgotten participant, and their pseudonym.
    pub(super) fn forgotten_participant(&self, external_id: &str) -> rusqlite::Result<Option<(i64, String)>> {
        let Some(key) = &self.shroud.key else { return Ok(None) };
        let name = pseudonym(key, self.source_id, external_id);
        let id = self.id_of("SELECT id FROM participants WHERE source_id = ?1 AND external_id = ?2", &name)?;
        Ok(id.map(|id| (id, name)))
    }

    /// Notes that the record under way speaks of a participant who was met by their pseudonym.
    pub(super) fn meet(&mut self, participant: i64, by_pseudonym: bool) {
        if by_pseudonym {
            self.shroud.met.insert(participant);
        }
        self.shroud.private |= self.shroud.met.contains(&participant);
    }

    fn forgotten(&self, column: &str, id: i64) -> rusqlite::Result<Option<Forgotten>> {
        if self.shroud.key.is_none() {
            return Ok(None);
        }
        self.conn
            .prepare_cached(&format!("SELECT forgotten_at_ms, suppress FROM forgotten WHERE {column} = ?1"))?
            .query_row([id], |row| Ok(Forgotten { at_ms: row.get(0)?, suppress: row.get(1)? }))
            .optional()
    }

    /// Whether a conversation, or its contact, was forgotten; the record under way is private then.
    pub(super) fn private_conversation(&mut self, conversation: i64) -> rusqlite::Result<Option<Forgotten>> {
        if self.shroud.key.is_none() {
            return Ok(None);
        }
        let own = self.forgotten("conversation_id", conversation)?;
        let contact: Option<i64> = self
            .conn
            .prepare_cached("SELECT contact_id FROM conversations WHERE id = ?1")?
            .query_row([conversation], |row| row.get(0))
            .optional()?
            .flatten();
        let by_contact = match contact {
            Some(contact) => self.forgotten("participant_id", contact)?,
            None => None,
        };
        self.shroud.private |= own.is_some() || by_contact.is_some();
        // Another conversation of theirs that began later is theirs to have again, unless that was suppressed.
        Ok(own.or(by_contact.filter(|contact| contact.suppress)))
    }

    /// Whether a participant was forgotten; the record under way is private then.
    pub(super) fn private_participant(&mut self, participant: i64) -> rusqlite::Result<bool> {
        let forgotten = self.forgotten("participant_id", participant)?.is_some();
        self.shroud.private |= forgotten;
        Ok(forgotten)
    }

    /// The message as it may be stored; `None`: as it is. `stored`: whether it is stored already, and erased.
    pub(super) fn shrouded_message(
        &mut self,
        conversation: i64,
        row: &MessageRow,
        stored: Option<bool>,
    ) -> rusqlite::Result<Option<MessageRow>> {
        let (mut blank, mut pseudonym) = (stored == Some(true), None);
        if let Some(forgotten) = self.private_conversation(conversation)? {
            blank |= forgotten.covers(row.sent_at_ms);
        }
        if let Some(author) = row.author.as_deref()
            && let Some((id, name)) = self.forgotten_participant(author)?
        {
            self.shroud.private = true;
            blank |= self.forgotten("participant_id", id)?.is_some_and(|forgotten| forgotten.covers(row.sent_at_ms));
            pseudonym = Some(name);
        }
        let old = self.shroud.messages_before_ms.zip(row.sent_at_ms).is_some_and(|(before, sent)| sent < before);
        self.shroud.old |= old || stored == Some(true);
        blank |= stored.is_none() && old;
        Ok(blank.then(|| erase::blanked(row, pseudonym)))
    }

    /// The conversation as it may be stored, and since when it is forgotten, if it is; `None`: as it is.
    pub(super) fn shrouded_conversation(
        &mut self,
        stored: Option<i64>,
        row: &ConversationRow,
    ) -> rusqlite::Result<Option<(ConversationRow, Option<Forgotten>)>> {
        if self.shroud.key.is_none() {
            return Ok(None);
        }
        let mut forgotten = match stored {
            Some(id) => self.private_conversation(id)?,
            None => None,
        };
        if let Patch::Set(contact) = &row.contact
            && let Some((id, _)) = self.forgotten_participant(contact)?
        {
            self.shroud.private = true;
            let started = match row.started_at_ms {
                Patch::Set(at_ms) => Some(at_ms),
                Patch::Keep | Patch::Clear => None,
            };
            let contact = self.forgotten("participant_id", id)?.filter(|contact| contact.covers(started));
            forgotten = forgotten.or(contact);
        }
        if forgotten.is_some() {
            let row = ConversationRow { title: Patch::Clear, page_url: Patch::Clear, ..row.clone() };
            return Ok(Some((row, forgotten)));
        }
        // Whoever answers is often asked on a page of their own, which is called by their name.
        let agents: &[String] = if let Patch::Set(agents) = &row.agents { agents } else { &[] };
        let mut answered = stored.map_or(Ok(false), |id| self.forgotten_wrote_in(id))?;
        for named in agents.iter().chain(&row.other_contacts) {
            answered |= self.forgotten_participant(named)?.is_some();
        }
        // A list may quote what they said last.
        self.shroud.private |= answered;
        Ok(answered.then(|| (ConversationRow { page_url: Patch::Clear, ..row.clone() }, None)))
    }

    /// Whether somebody who was forgotten wrote in a conversation.
    fn forgotten_wrote_in(&self, conversation: i64) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM messages AS m JOIN forgotten AS f ON f.participant_id = m.author_id
                 WHERE m.conversation_id = ?1)",
            )?
            .query_row([conversation], |row| row.get(0))
    }

    /// Whether a record that makes rows names somebody forgotten beside them ("now answering: …"), as far as ids tell.
    pub(super) fn names_them_aside(&self, record: &Record) -> bool {
        let Some(key) = self.shroud.key.as_ref().filter(|_| !self.shroud.names.is_empty()) else { return false };
        let words = words_of(record);
        // Nobody's id is a sentence, and a short number may be anything.
        let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        let may_be_one = |word: &&String| word.len() <= LONGEST_ID && (person::is_telling(word) || !is_number(word));
        words
            .iter()
            .filter(may_be_one)
            .flat_map(|word| as_participants(record, word))
            .any(|id| self.shroud.names.contains(&pseudonym(key, self.source_id, &id)))
    }

    /// A conversation turned out to be a forgotten contact's: what is stored of it goes, and stays away.
    pub(super) fn forget_conversation(&mut self, conversation: i64, forgotten: Forgotten) -> rusqlite::Result<()> {
        let added = self
            .conn
            .prepare_cached(
                "INSERT OR IGNORE INTO forgotten (source_id, conversation_id, forgotten_at_ms, suppress)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![self.source_id, conversation, forgotten.at_ms, forgotten.suppress])?;
        if added == 0 {
            return Ok(());
        }
        let theirs: Vec<i64> = self
            .conn
            .prepare_cached(
                "SELECT id FROM messages WHERE conversation_id = ?1 AND erased_at_ms IS NULL
                 AND (?2 OR sent_at_ms IS NULL OR sent_at_ms <= ?3)",
            )?
            .query_map(params![conversation, forgotten.suppress, forgotten.at_ms], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let key = read_key(self.conn)?;
        for id in theirs {
            let rev = self.next_rev();
            erase::message(self.conn, id, erase::Why::Forgotten(&key), self.now_ms, rev, &mut self.texts)?;
        }
        Ok(())
    }

    /// Whether a record that makes no row speaks of somebody forgotten, as far as ids tell.
    pub(super) fn names_forgotten(&self, record: &Record) -> rusqlite::Result<bool> {
        if self.shroud.key.is_none() {
            return Ok(false);
        }
        let raw = &record.raw;
        let mut words = words_of(record);
        words.extend(raw.id.iter().chain(&raw.parent).cloned());
        let theirs = "SELECT c.id FROM conversations AS c JOIN forgotten AS f ON f.conversation_id = c.id
                      WHERE c.source_id = ?1 AND c.external_id = ?2";
        for word in &words {
            for id in as_participants(record, word) {
                if self.forgotten_participant(&id)?.is_some() || self.id_of(theirs, &id)?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Every text and number in a record.
fn words_of(record: &Record) -> HashSet<String> {
    let mut words = HashSet::new();
    if let Ok(value) = serde_json::from_str(record.raw.json.get()) {
        scalars(&value, &mut words);
    }
    words
}

/// What an id or a name may stand for as a participant's id. Those of one provider are made of the chatbot's and the record's
/// own, and whoever answers there is known by name alone.
fn as_participants(record: &Record, word: &str) -> Vec<String> {
    let own = record.raw.id.iter().chain(&record.raw.parent).filter_map(|id| id.split('/').next());
    let within: HashSet<&str> = own.collect();
    let longer = within.iter().flat_map(|chatbot| [format!("{chatbot}/{word}"), format!("{chatbot}/agent:{word}")]);
    longer.chain([word.to_owned()]).collect()
}

/// Every text and number in a JSON value, lists of ids with commas taken apart.
pub(super) fn scalars(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => {
            found.insert(number.to_string());
        }
        Value::String(text) => {
            found.insert(text.trim().to_owned());
            if text.contains(',') {
                found.extend(text.split(',').map(|part| part.trim().to_owned()));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| scalars(field, found)),
    }
}
