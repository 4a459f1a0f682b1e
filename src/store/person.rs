//! Finding a person: by id, or by an address in every source; and telling where they are named.

use std::collections::{BTreeSet, HashSet};

use rusqlite::{Connection, params};
use serde::Serialize;

use super::{raw, shroud};
use crate::normalise::{same_email, same_phone};

/// Ids shorter than this are not looked for inside records: a `17` stands everywhere.
const SHORTEST_ID: usize = 6;

/// Names and numbers shorter than this are not looked for in other texts.
const SHORTEST_WORD: usize = 4;

/// How a person is named by whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// One participant of one source.
    Id { source: String, external_id: String },
    /// Every participant of every source with this e-mail address, however it is capitalised.
    Email(String),
    /// Every participant of every source with this phone number, however it is punctuated.
    Phone(String),
}

/// A participant who was found, as they stand before they are forgotten.
#[derive(Debug, Clone, Serialize)]
pub struct Person {
    #[serde(skip)]
    pub(super) id: i64,
    #[serde(skip)]
    pub(super) source_id: i64,
    pub source: String,
    pub external_id: String,
    pub kind: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    #[serde(skip)]
    pub(super) provider_user_id: Option<String>,
    /// They were forgotten before, and are known by their pseudonym.
    pub forgotten_before: bool,
}

impl Person {
    /// The name under which they stand once they are forgotten.
    pub(super) fn pseudonym(&self, key: &ring::hmac::Key) -> String {
        match self.external_id.starts_with("forgotten-") {
            true => self.external_id.clone(),
            false => shroud::pseudonym(key, self.source_id, &self.external_id),
        }
    }
}

/// Participants that are meant, in a store of any version.
pub(super) fn find(conn: &Connection, who: &Who) -> rusqlite::Result<Vec<Person>> {
    let mut statement = conn.prepare(
        "SELECT p.id, p.source_id, s.name, p.external_id, p.kind, p.name, p.email, p.phone,
                p.provider_user_id FROM participants AS p JOIN sources AS s ON s.id = p.source_id ORDER BY p.id",
    )?;
    let pseudonyms = match who {
        Who::Id { source, external_id } => pseudonym_of(conn, source, external_id)?,
        Who::Email(_) | Who::Phone(_) => None,
    };
    let is_meant = |person: &Person| match who {
        Who::Id { source, external_id } => {
            person.source == *source
                && (person.external_id == *external_id || pseudonyms.as_ref() == Some(&person.external_id))
        }
        Who::Email(email) => {
            // Some providers give an address for an id.
            [person.email.as_deref(), Some(&person.external_id)].into_iter().flatten().any(|own| same_email(own, email))
        }
        Who::Phone(phone) => person.phone.as_deref().is_some_and(|own| same_phone(own, phone)),
    };
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let external_id: String = row.get(3)?;
        let person = Person {
            id: row.get(0)?,
            source_id: row.get(1)?,
            source: row.get(2)?,
            forgotten_before: pseudonyms.as_ref() == Some(&external_id),
            external_id,
            kind: row.get(4)?,
            name: row.get(5)?,
            email: row.get(6)?,
            phone: row.get(7)?,
            provider_user_id: row.get(8)?,
        };
        if is_meant(&person) {
            found.push(person);
        }
    }
    Ok(found)
}

/// Who somebody is in the store itself, whose copies have the same sources: by their pseudonyms under its key.
pub(super) struct Known {
    pub(super) key: ring::hmac::Key,
    pub(super) names: HashSet<String>,
}

/// Whether a copy of a store still has somebody in it who was not forgotten there, or something that they wrote afterwards.
/// It may know them by another address than the store does.
pub(super) fn holds(conn: &Connection, who: &Who, known: Option<&Known>) -> rusqlite::Result<bool> {
    if find(conn, who)?.iter().any(|person| !person.forgotten_before) {
        return Ok(true);
    }
    if let Some(known) = known
        && known.stands_in(conn)?
    {
        return Ok(true);
    }
    let marks = Marks::of(&[], who);
    let mut found = false;
    if marks.has_address() {
        for source_id in conn.prepare("SELECT id FROM sources")?.query_map([], |row| row.get(0))? {
            let source_id = source_id?;
            each_record(conn, LETTERS, source_id, |letter| {
                found |= marks.stand_among(&letter.words);
                Ok(())
            })?;
            let sql = "SELECT id, codec, body, row_id, external_id, parent FROM raw_records
                       WHERE source_id = ?1 AND stream <> 'messages'";
            each_record(conn, sql, source_id, |record| {
                found |= marks.address_in(&record.words);
                Ok(())
            })?;
        }
    }
    Ok(found)
}

impl Known {
    fn stands_in(&self, copy: &Connection) -> rusqlite::Result<bool> {
        if self.names.is_empty() {
            return Ok(false);
        }
        let mut statement = copy.prepare("SELECT id, source_id, external_id FROM participants")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let external_id: String = row.get(2)?;
            if self.names.contains(&shroud::pseudonym(&self.key, row.get(1)?, &external_id)) {
                return Ok(true);
            }
            // A copy in which somebody was forgotten has the column.
            let words = "SELECT EXISTS (SELECT 1 FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
                           WHERE (m.author_id = ?1 OR c.contact_id = ?1) AND m.erased_at_ms IS NULL)";
            let id: i64 = row.get(0)?;
            if self.names.contains(&external_id) && copy.query_row(words, [id], |row| row.get(0))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What the id would be if they were forgotten already. A store of schema 1 never forgot anybody.
fn pseudonym_of(conn: &Connection, source: &str, external_id: &str) -> rusqlite::Result<Option<String>> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version < 2 {
        return Ok(None);
    }
    let known: Result<(i64, Vec<u8>), _> = conn.query_row(
        "SELECT s.id, e.key FROM sources AS s, erasure AS e WHERE s.name = ?1 AND e.id = 1",
        [source],
        |row| Ok((row.get(0)?, row.get(1)?)),
    );
    match known {
        Ok((_, _)) if external_id.starts_with("forgotten-") => Ok(Some(external_id.to_owned())),
        Ok((source_id, key)) => Ok(Some(shroud::pseudonym(&shroud::key_of(&key), source_id, external_id))),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an id is long enough to be looked for among values.
pub(super) fn is_telling(id: &str) -> bool {
    id.len() >= SHORTEST_ID
}

/// Every dead letter of a source, as [`each_record`] reads records.
pub(super) const LETTERS: &str = "SELECT id, 'json', CAST(coalesce(body, '') AS BLOB), NULL, external_id, parent
    FROM dead_letters WHERE source_id = ?1";

/// A stored record, and every text and number in it.
pub(super) struct Kept {
    pub(super) id: i64,
    pub(super) row_id: Option<i64>,
    pub(super) external_id: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) words: HashSet<String>,
}

/// Reads records one by one: `sql` selects id, codec, body, row id, external id and parent of a source.
pub(super) fn each_record(
    conn: &Connection,
    sql: &str,
    source_id: i64,
    mut look: impl FnMut(Kept) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query(params![source_id])?;
    while let Some(row) = rows.next()? {
        let (codec, body): (String, Vec<u8>) = (row.get(1)?, row.get(2)?);
        let mut words = HashSet::new();
        // What cannot be read back is judged by its ids alone.
        if let Some(json) = raw::unpack(conn, &codec, body, row.get(3)?)
            && let Ok(value) = serde_json::from_str(json.get())
        {
            shroud::scalars(&value, &mut words);
        }
        look(Kept { id: row.get(0)?, row_id: row.get(3)?, external_id: row.get(4)?, parent: row.get(5)?, words })?;
    }
    Ok(())
}

/// By what a person is told in records and texts.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Ids that make a record theirs, those of their conversations among them.
    ids: HashSet<String>,
    /// Ids that directories know them by: a number that messages have, too, where it is one.
    directory_ids: HashSet<String>,
    /// Their own ids.
    own: BTreeSet<String>,
    emails: BTreeSet<String>,
    phones: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Marks {
    pub(super) fn of(people: &[Person], who: &Who) -> Self {
        let mut marks = Self::default();
        match who {
            Who::Id { .. } => {}
            Who::Email(email) => drop(marks.emails.insert(email.trim().to_owned())),
            Who::Phone(phone) => drop(marks.phones.insert(phone.trim().to_owned())),
        }
        for person in people {
            marks.add_id(&person.external_id);
            marks.directory_ids.extend(person.provider_user_id.clone());
            if !person.forgotten_before {
                marks.own.insert(person.external_id.clone());
            }
            marks.emails.extend(person.email.clone());
            marks.phones.extend(person.phone.clone());
            marks.names.extend(person.name.clone());
        }
        marks
    }

    /// With the ids of conversations that are theirs: a record that names one stands in it.
    pub(super) fn with_conversations(mut self, conn: &Connection, ids: &BTreeSet<i64>) -> rusqlite::Result<Self> {
        for id in ids {
            let external_id: String = conn
                .prepare_cached("SELECT external_id FROM conversations WHERE id = ?1")?
                .query_row([id], |row| row.get(0))?;
            self.add_id(&external_id);
        }
        Ok(self)
    }

    /// An id, and its own part where it begins with that of a chatbot.
    fn add_id(&mut self, external_id: &str) {
        let own = external_id.rsplit('/').next().filter(|own| own.len() >= SHORTEST_ID);
        self.ids.extend(own.map(str::to_owned));
        self.ids.insert(external_id.to_owned());
    }

    pub(super) fn has_address(&self) -> bool {
        !self.emails.is_empty() || !self.phones.is_empty()
    }

    /// Whether there is an address that is one by its shape.
    pub(super) fn has_usable_address(&self) -> bool {
        self.emails.iter().any(|email| same_email(email, email))
            || self.phones.iter().any(|phone| same_phone(phone, phone))
    }

    /// Whether their name or address is among a record's values, or stands inside one of them.
    pub(super) fn stand_among(&self, words: &HashSet<String>) -> bool {
        self.address_in(words) || words.iter().any(|word| self.stands_in(word))
    }

    /// Whether one of their addresses stands among a record's values.
    pub(super) fn address_in(&self, words: &HashSet<String>) -> bool {
        words.iter().any(|word| {
            self.emails.iter().any(|email| same_email(word, email))
                || self.phones.iter().any(|phone| same_phone(word, phone))
        })
    }

    /// Whether a record is theirs or names them, by its ids and values.
    pub(super) fn name(&self, record: &Kept) -> bool {
        let own = [&record.external_id, &record.parent];
        own.into_iter().flatten().any(|id| self.ids.contains(id))
            || self.ids.iter().any(|id| id.len() >= SHORTEST_ID && record.words.contains(id))
            || self.address_in(&record.words)
    }

    /// Whether one of a record's values is an id, a name or an address of theirs, however short: enough where they are known
    /// to have a part.
    pub(super) fn are_among(&self, words: &HashSet<String>) -> bool {
        let ids = self.own.iter().flat_map(|id| [id.as_str(), id.rsplit('/').next().unwrap_or_default()]);
        self.address_in(words)
            || ids.filter(|id| !id.is_empty()).any(|id| words.contains(id))
            || self.names.iter().any(|name| words.iter().any(|word| word.to_lowercase() == name.to_lowercase()))
    }

    /// Whether a record that makes no conversation and no message describes them: a directory's, without its body too.
    pub(super) fn describe(&self, record: &Kept) -> bool {
        record.row_id.is_none() && record.external_id.as_ref().is_some_and(|id| self.directory_ids.contains(id))
    }

    /// What is looked for in other texts.
    pub(super) fn words(&self) -> impl Iterator<Item = &String> {
        let ids = self.own.iter().filter(|id| id.len() >= SHORTEST_ID && !id.bytes().all(|byte| byte.is_ascii_digit()));
        let others = self.emails.iter().chain(&self.phones).chain(&self.names);
        ids.chain(others.filter(|word| word.chars().count() >= SHORTEST_WORD))
    }

    /// Whether a short text, such as the name of a channel, has their name or address in it as whole words.
    pub(super) fn stands_in(&self, text: &str) -> bool {
        let padded = |text: &str| {
            let words: String = text
                .to_lowercase()
                .chars()
                .map(|c| if c.is_alphanumeric() || c == '@' || c == '.' { c } else { ' ' })
                .collect();
            format!(" {} ", words.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let text = padded(text);
        self.emails.iter().chain(&self.phones).chain(&self.names).any(|word| {
            let word = padded(word);
            word.trim().chars().count() >= 2 && text.contains(&word)
        })
    }
}
