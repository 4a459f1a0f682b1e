//! Who is one person: participants that share an address, whatever their source.
//!
//! Keys ([`crate::normalise::email_key`], [`crate::normalise::phone_key`]) stand in `participant_keys`. What changes is
//! looked at together with everybody it was or becomes linked to, and those are linked anew: so an address that is
//! corrected takes its links along.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::normalise::{email_key, phone_key};

/// A key of more participants than this is nobody's own (a front desk, a form that sends one address for all).
const NOBODYS_OWN: i64 = 200;

/// Links the participants that changed after `since`. `next_rev` numbers the rows that are changed by it.
pub(super) fn refresh(conn: &Connection, since: i64, mut next_rev: impl FnMut() -> i64) -> rusqlite::Result<()> {
    let (mut seeds, mut added) = (BTreeSet::new(), Added::new());
    for changed in changed(conn, since)? {
        if changed.keys == keys_of(conn, changed.id)? && changed.person.is_some() != changed.keys.is_empty() {
            if let Some(person) = changed.person {
                rename(conn, person)?;
            }
            continue;
        }
        conn.prepare_cached("DELETE FROM participant_keys WHERE participant_id = ?1")?.execute([changed.id])?;
        for key in &changed.keys {
            conn.prepare_cached("INSERT INTO participant_keys (participant_id, key) VALUES (?1, ?2)")?
                .execute(params![changed.id, key])?;
            *added.entry(key.clone()).or_default() += 1;
        }
        seeds.insert(changed.id);
    }
    if seeds.is_empty() {
        return Ok(());
    }
    let circle = circle(conn, seeds, &added)?;
    link(conn, &circle, BTreeSet::new(), &mut next_rev)
}

/// Somebody left a person (they were forgotten): the others are linked anew, who may have been one by them alone, and the
/// person is called by their names. Numbers the rows that are changed.
pub(super) fn left(conn: &Connection, person: i64) -> rusqlite::Result<()> {
    let others: BTreeSet<i64> = conn
        .prepare_cached("SELECT id FROM participants WHERE person_id = ?1")?
        .query_map([person], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let circle = circle(conn, others, &Added::new())?;
    let mut rev: i64 = conn.query_row("SELECT rev FROM change_counter WHERE id = 1", [], |row| row.get(0))?;
    link(conn, &circle, BTreeSet::from([person]), &mut || {
        rev += 1;
        rev
    })?;
    conn.execute("UPDATE change_counter SET rev = ?1 WHERE id = 1", [rev])?;
    Ok(())
}

/// To how many participants each key was given just now.
type Added = BTreeMap<String, i64>;

struct Changed {
    id: i64,
    person: Option<i64>,
    keys: BTreeSet<String>,
}

fn changed(conn: &Connection, since: i64) -> rusqlite::Result<Vec<Changed>> {
    conn.prepare_cached("SELECT id, person_id, kind, email, phone FROM participants WHERE rev > ?1")?
        .query_map([since], |row| {
            let kind: String = row.get(2)?;
            let (email, phone): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
            let human = !matches!(kind.as_str(), "bot" | "system");
            let keys = [email.as_deref().and_then(email_key), phone.as_deref().and_then(phone_key)];
            Ok(Changed {
                id: row.get(0)?,
                person: row.get(1)?,
                keys: keys.into_iter().flatten().filter(|_| human).collect(),
            })
        })?
        .collect()
}

fn keys_of(conn: &Connection, participant: i64) -> rusqlite::Result<BTreeSet<String>> {
    conn.prepare_cached("SELECT key FROM participant_keys WHERE participant_id = ?1")?
        .query_map([participant], |row| row.get(0))?
        .collect()
}

/// Everybody whose link may change, with the keys that link them: who shares a key or a person with somebody among
/// them.
fn circle(conn: &Connection, seeds: BTreeSet<i64>, added: &Added) -> rusqlite::Result<BTreeMap<i64, BTreeSet<String>>> {
    let mut circle = BTreeMap::new();
    let mut followed = BTreeSet::new();
    let mut waiting: Vec<i64> = seeds.into_iter().collect();
    while let Some(id) = waiting.pop() {
        if circle.contains_key(&id) {
            continue;
        }
        let mut own = BTreeSet::new();
        for key in keys_of(conn, id)? {
            let most = NOBODYS_OWN + added.get(&key).copied().unwrap_or_default();
            let holders: i64 = conn
                .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM participant_keys WHERE key = ?1 LIMIT ?2)")?
                .query_row(params![key, most + 1], |row| row.get(0))?;
            // One that turns out to be nobody's own just now has linked its other holders before.
            if holders <= most && followed.insert(key.clone()) {
                let mut statement =
                    conn.prepare_cached("SELECT participant_id FROM participant_keys WHERE key = ?1")?;
                for other in statement.query_map([&key], |row| row.get(0))? {
                    waiting.push(other?);
                }
            }
            if holders <= NOBODYS_OWN {
                own.insert(key);
            }
        }
        let mut statement = conn.prepare_cached(
            "SELECT o.id FROM participants AS p JOIN participants AS o ON o.person_id = p.person_id WHERE p.id = ?1",
        )?;
        for other in statement.query_map([id], |row| row.get(0))? {
            waiting.push(other?);
        }
        circle.insert(id, own);
    }
    Ok(circle)
}

/// Makes a person of each group that hangs together by keys. Who is nobody any more goes: of those that somebody of the
/// circle was, and of `left`. There may be as many people as conversations, so no others are looked at.
fn link(
    conn: &Connection,
    circle: &BTreeMap<i64, BTreeSet<String>>,
    mut left: BTreeSet<i64>,
    next_rev: &mut impl FnMut() -> i64,
) -> rusqlite::Result<()> {
    let mut by_key: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (id, keys) in circle {
        keys.iter().for_each(|key| by_key.entry(key).or_default().push(*id));
    }
    let (mut placed, mut taken): (BTreeSet<i64>, BTreeSet<i64>) = Default::default();
    for (first, keys) in circle {
        if placed.contains(first) {
            continue;
        }
        let (mut group, mut waiting) = (BTreeSet::new(), vec![*first]);
        while let Some(id) = waiting.pop() {
            if group.insert(id) {
                let others = circle.get(&id).into_iter().flatten().filter_map(|key| by_key.get(key.as_str()));
                waiting.extend(others.flatten());
            }
        }
        placed.extend(&group);
        let person = if keys.is_empty() { None } else { Some(person_of(conn, &group, &mut taken)?) };
        for id in &group {
            let known: Option<i64> = conn
                .prepare_cached("SELECT person_id FROM participants WHERE id = ?1")?
                .query_row([id], |row| row.get(0))?;
            if known != person {
                left.extend(known);
                conn.prepare_cached("UPDATE participants SET person_id = ?2, rev = ?3 WHERE id = ?1")?
                    .execute(params![id, person, next_rev()])?;
            }
        }
    }
    // Not before all are where they belong: a person may be one that others of the circle have yet to leave.
    for person in taken {
        rename(conn, person)?;
    }
    for person in left {
        conn.prepare_cached(
            "DELETE FROM people WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM participants WHERE person_id = ?1)",
        )?
        .execute([person])?;
    }
    Ok(())
}

/// The oldest person that somebody of the group was and that no other group has taken; else a new one.
fn person_of(conn: &Connection, group: &BTreeSet<i64>, taken: &mut BTreeSet<i64>) -> rusqlite::Result<i64> {
    let mut known = BTreeSet::new();
    for id in group {
        let person: Option<i64> = conn
            .prepare_cached("SELECT person_id FROM participants WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?
            .flatten();
        known.extend(person);
    }
    let person = match known.into_iter().find(|person| !taken.contains(person)) {
        Some(person) => person,
        None => {
            conn.prepare_cached("INSERT INTO people (name) VALUES (NULL)")?.execute([])?;
            conn.last_insert_rowid()
        }
    };
    taken.insert(person);
    Ok(person)
}

/// A person is called by the longest of their participants' names.
fn rename(conn: &Connection, person: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE people SET name = (SELECT p.name FROM participants AS p
           WHERE p.person_id = people.id AND p.name IS NOT NULL ORDER BY length(p.name) DESC, p.id LIMIT 1)
         WHERE id = ?1 AND name IS NOT (SELECT p.name FROM participants AS p
           WHERE p.person_id = people.id AND p.name IS NOT NULL ORDER BY length(p.name) DESC, p.id LIMIT 1)",
    )?
    .execute([person])?;
    Ok(())
}
