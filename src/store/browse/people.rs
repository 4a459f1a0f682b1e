//! People: who came, through which providers, how often.

use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;

use super::cut;
use crate::normalise::fold;
use crate::store::StoreError;

/// Which people are listed.
#[derive(Debug, Clone, Default)]
pub struct PeopleFilter {
    /// Part of a name, in any case.
    pub name: Option<String>,
    /// Known before this one.
    pub after: Option<i64>,
    pub limit: u32,
}

/// One page of the list: those who were met last first.
#[derive(Debug, Serialize)]
pub struct PeoplePage {
    pub people: Vec<PersonRow>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<i64>,
}

/// One person: what `v_people` says of them.
#[derive(Debug, Serialize)]
pub struct PersonRow {
    pub person_id: i64,
    pub name: Option<String>,
    pub conversations: i64,
    /// In the order of the alphabet, with commas.
    pub providers: Option<String>,
    #[serde(rename = "first_contact_at", serialize_with = "super::time_if_known")]
    pub first_contact_at_ms: Option<i64>,
    #[serde(rename = "last_contact_at", serialize_with = "super::time_if_known")]
    pub last_contact_at_ms: Option<i64>,
}

/// One person, with everything they are known by.
#[derive(Debug, Serialize)]
pub struct PersonDetail {
    pub person: PersonRow,
    pub known_as: Vec<Contact>,
}

/// A participant of a source.
#[derive(Debug, Serialize)]
pub struct Contact {
    pub source: String,
    pub provider: String,
    pub external_id: String,
    pub kind: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
}

/// Reads one page.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn people(connection: &Connection, filter: &PeopleFilter) -> Result<PeoplePage, StoreError> {
    let read = || -> rusqlite::Result<PeoplePage> {
        let asked = filter.name.as_deref().map(fold);
        let mut statement = connection.prepare("SELECT id, name FROM people WHERE id < ?1 ORDER BY id DESC")?;
        let mut rows = statement.query([filter.after.unwrap_or(i64::MAX)])?;
        let mut ids: Vec<i64> = Vec::new();
        while let Some(row) = rows.next()? {
            let fits = match &asked {
                None => true,
                Some(asked) => row.get_ref(1)?.as_str_or_null()?.is_some_and(|name| fold(name).contains(asked)),
            };
            if fits {
                ids.push(row.get(0)?);
                if ids.len() > usize::try_from(filter.limit).unwrap_or(usize::MAX) {
                    break;
                }
            }
        }
        let more = cut(&mut ids, filter.limit);
        let next = ids.last().copied().filter(|_| more);
        let people = ids.into_iter().filter_map(|id| one(connection, id).transpose());
        Ok(PeoplePage { people: people.collect::<rusqlite::Result<_>>()?, next })
    };
    read().map_err(StoreError::sql("listing people"))
}

/// Reads one person.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn person(connection: &Connection, id: i64) -> Result<Option<PersonDetail>, StoreError> {
    let read = || -> rusqlite::Result<Option<PersonDetail>> {
        let Some(person) = one(connection, id)? else { return Ok(None) };
        let known_as = connection
            .prepare(
                "SELECT s.name, s.provider, p.external_id, p.kind, p.name, p.email, p.phone
                 FROM participants AS p JOIN sources AS s ON s.id = p.source_id
                 WHERE p.person_id = ?1 ORDER BY s.id, p.id LIMIT 200",
            )?
            .query_map([id], |row| {
                Ok(Contact {
                    source: row.get(0)?,
                    provider: row.get(1)?,
                    external_id: row.get(2)?,
                    kind: row.get(3)?,
                    name: row.get(4)?,
                    email: row.get(5)?,
                    phone: row.get(6)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Some(PersonDetail { person, known_as }))
    };
    read().map_err(StoreError::sql("looking for a person"))
}

/// The definition of `v_people`, for one.
fn one(connection: &Connection, id: i64) -> rusqlite::Result<Option<PersonRow>> {
    connection
        .prepare_cached(
            "SELECT h.id, h.name, count(DISTINCT c.id),
               (SELECT group_concat(o.provider, ',') FROM (
                 SELECT DISTINCT s.provider AS provider FROM participants AS q JOIN sources AS s ON s.id = q.source_id
                 WHERE q.person_id = h.id ORDER BY s.provider) AS o),
               min(k.first_contact_at_ms), max(k.last_contact_at_ms)
             FROM people AS h JOIN participants AS p ON p.person_id = h.id
             LEFT JOIN conversations AS c ON c.contact_id = p.id AND c.deleted_at_ms IS NULL
             LEFT JOIN conversation_stats AS k ON k.conversation_id = c.id
             WHERE h.id = ?1 GROUP BY h.id",
        )?
        .query_row([id], |row| {
            Ok(PersonRow {
                person_id: row.get(0)?,
                name: row.get(1)?,
                conversations: row.get(2)?,
                providers: row.get(3)?,
                first_contact_at_ms: row.get(4)?,
                last_contact_at_ms: row.get(5)?,
            })
        })
        .optional()
}
