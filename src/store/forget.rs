//! Erasing one person: everything that stands in the file because of them, in one transaction, and then every byte.
//!
//! Theirs are the conversations whose contact they are, whole, and what they wrote elsewhere. Rows stay, without text,
//! name and address, and the participant stays under a pseudonym: counts and keys are still true, and `shroud` knows
//! what must not come back.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;

use super::failpoint::failpoint;
use super::person::{self, Marks, Person, Who};
use super::theirs::{Theirs, ids, letters};
use super::{Store, StoreError, erase, fulltext, lacking, people, shroud, wal};

/// How long the last step waits for readers: as long as they read an old state, its bytes stay in the log.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is to be forgotten, and how.
#[derive(Debug, Clone)]
pub struct Forget {
    pub who: Who,
    /// What they write from now on is kept without text too.
    pub suppress: bool,
    /// Only count.
    pub dry_run: bool,
    pub now_ms: i64,
}

/// What was found and erased.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Forgot {
    pub participants: Vec<Person>,
    pub conversations: u64,
    pub messages: u64,
    pub revisions: u64,
    pub raw_records: u64,
    pub dead_letters: u64,
    /// Names of channels, errors of runs, cursors and facts that named them.
    pub traces: u64,
    /// Messages of others, in conversations of others, that name them. They stay.
    pub mentions_elsewhere: u64,
    /// The file had to be rewritten, for them or for somebody who was forgotten before.
    #[serde(skip)]
    pub rewritten: bool,
    /// Whether the file was rewritten and its log emptied, so that no byte is left. `false` for a dry run.
    pub scrubbed: bool,
}

impl Forgot {
    /// Nobody, and nothing that was kept of anybody like that: a letter or a record may name somebody of whom there is
    /// no participant.
    #[must_use]
    pub fn found_nothing(&self) -> bool {
        self.participants.is_empty()
            && self.conversations == 0
            && self.raw_records == 0
            && self.dead_letters == 0
            && self.traces == 0
    }
}

impl Store {
    /// Erases a person and everything that is theirs, and rewrites the file without it.
    ///
    /// # Errors
    /// SQLite failed. Where it failed while the file was rewritten, what was erased is erased; the same command
    /// rewrites the file again.
    pub async fn forget(&self, asked: Forget) -> Result<Forgot, StoreError> {
        let mut done = self.on_writer("erasing a person", move |conn| erase_person(conn, &asked)).await?;
        done.0.rewritten = done.1;
        if done.1 {
            self.on_writer("rewriting the file without what was erased", rewrite).await?;
            done.0.scrubbed =
                self.on_writer("emptying the log of what was erased", |conn| wal::truncate(conn, PATIENCE)).await?;
        }
        Ok(done.0)
    }
}

/// The second half of the answer: whether the file has to be rewritten.
fn erase_person(conn: &mut Connection, asked: &Forget) -> rusqlite::Result<(Forgot, bool)> {
    conn.execute_batch("PRAGMA secure_delete = ON")?;
    let outcome = conn.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
        let done = in_transaction(&transaction, asked)?;
        // A run that was killed before the file was rewritten finds nobody any more.
        let before: bool = transaction.query_row("SELECT EXISTS (SELECT 1 FROM forgotten)", [], |row| row.get(0))?;
        failpoint!("forget.erased");
        if asked.dry_run {
            transaction.rollback()?;
        } else {
            transaction.commit()?;
        }
        failpoint!("forget.committed");
        let rewrite = (before || !done.found_nothing()) && !asked.dry_run;
        Ok((done, rewrite))
    });
    conn.execute_batch("PRAGMA secure_delete = FAST")?;
    outcome
}

/// Writes the whole file anew: what was deleted long ago may still stand in free pages and in free parts of pages.
fn rewrite(conn: &mut Connection) -> rusqlite::Result<()> {
    // Words of theirs stand in parts of the index that were written before.
    fulltext::rebuild(conn)?;
    // The new file may be as large as the old one: not in memory.
    conn.execute_batch("PRAGMA temp_store = FILE")?;
    let outcome = conn.execute_batch("VACUUM");
    conn.execute_batch("PRAGMA temp_store = MEMORY")?;
    failpoint!("forget.rewritten");
    outcome
}

fn in_transaction(conn: &Connection, asked: &Forget) -> rusqlite::Result<Forgot> {
    let mut people = person::find(conn, &asked.who)?;
    let mut theirs = Theirs::of(conn, &people)?;
    let marks = Marks::of(&people, &asked.who);
    let mut done = Forgot::default();
    let sources: BTreeSet<i64> = match &asked.who {
        // An address may stand in records of visitors who have no id, in any source.
        Who::Email(_) | Who::Phone(_) => {
            ids(conn, "SELECT id FROM sources WHERE ?1 IS NOT NULL", 0)?.into_iter().collect()
        }
        Who::Id { .. } => people.iter().map(|person| person.source_id).collect(),
    };
    for source_id in &sources {
        theirs.anonymous(conn, *source_id, &marks)?;
    }
    // What is no address is looked for in nothing else: it might stand anywhere.
    if people.is_empty() && theirs.conversations.is_empty() && !marks.has_usable_address() {
        return Ok(done);
    }
    let marks = marks.with_conversations(conn, &theirs.conversations)?;
    for source_id in &sources {
        done.raw_records += theirs.raw(conn, *source_id, &marks)?;
        done.dead_letters += letters(conn, *source_id, &marks, &theirs)?;
        lacking::letters_changed(conn, *source_id)?;
    }
    done.traces = traces(conn, &sources, &marks, asked.now_ms)?;
    done.mentions_elsewhere = mentions(conn, &marks, &theirs)?;
    participants(conn, &mut people, asked)?;
    done.conversations = conversations(conn, &theirs.conversations, asked)?;
    for id in theirs.named_in.difference(&theirs.conversations.iter().copied().collect()) {
        // The page may be their own profile, which is called by their name.
        if conn.execute("UPDATE conversations SET page_url = NULL WHERE id = ?1 AND page_url IS NOT NULL", [id])? > 0 {
            done.traces += 1;
            conn.execute("UPDATE change_counter SET rev = rev + 1 WHERE id = 1", [])?;
            conn.execute("UPDATE conversations SET rev = (SELECT rev FROM change_counter) WHERE id = ?1", [id])?;
        }
    }
    let messages: Vec<i64> = theirs.messages.iter().copied().collect();
    for id in &messages {
        let revisions: u64 = number(conn, "SELECT count(*) FROM message_revisions WHERE message_id = ?1", *id)?;
        done.revisions += revisions;
    }
    erase::messages(conn, &messages, erase::Why::Forgotten(&shroud::read_key(conn)?), asked.now_ms)?;
    done.messages = u64::try_from(messages.len()).unwrap_or(0);
    done.participants = people;
    Ok(done)
}

fn number(conn: &Connection, sql: &str, id: i64) -> rusqlite::Result<u64> {
    conn.prepare_cached(sql)?.query_row([id], |row| row.get::<_, i64>(0)).map(|count| u64::try_from(count).unwrap_or(0))
}

/// What else names them: names of channels and of people, errors of runs and letters, cursors, facts.
fn traces(conn: &Connection, sources: &BTreeSet<i64>, marks: &Marks, now_ms: i64) -> rusqlite::Result<u64> {
    let mut changed = 0;
    // The planner's samples are values of indexed columns, external ids among them. They are taken anew in time.
    let sampled = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat4')";
    if conn.query_row(sampled, [], |row| row.get(0))? {
        conn.execute("DELETE FROM sqlite_stat4", [])?;
    }
    for source_id in sources {
        let channels: Vec<(i64, String)> = conn
            .prepare_cached("SELECT id, name FROM channels WHERE source_id = ?1 AND name IS NOT NULL")?
            .query_map([source_id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (id, _) in channels.iter().filter(|(_, name)| marks.stands_in(name)) {
            conn.execute("UPDATE change_counter SET rev = rev + 1 WHERE id = 1", [])?;
            changed += conn.execute(
                "UPDATE channels SET name = NULL, erased_at_ms = ?2, rev = (SELECT rev FROM change_counter) WHERE id = ?1",
                [*id, now_ms],
            )?;
            // Its raw record says the name too.
            conn.execute(
                "DELETE FROM raw_records WHERE source_id = ?1 AND row_id IS NULL AND stream <> 'messages'
                 AND external_id = (SELECT external_id FROM channels WHERE id = ?2)",
                [*source_id, *id],
            )?;
        }
        for word in marks.words() {
            for (table, column) in [("sync_runs", "error"), ("dead_letters", "error")] {
                let sql = format!(
                    "UPDATE {table} SET {column} = replace({column}, ?2, '[forgotten]')
                     WHERE source_id = ?1 AND instr({column}, ?2) > 0"
                );
                changed += conn.execute(&sql, params![source_id, word])?;
            }
            // Where a list stands is asked anew, and what an API is like is found out anew.
            for sql in [
                "DELETE FROM cursors WHERE source_id = ?1 AND (instr(cursor, ?2) > 0 OR instr(scope, ?2) > 0)",
                "DELETE FROM facts WHERE source_id = ?1 AND instr(value, ?2) > 0",
            ] {
                changed += conn.execute(sql, params![source_id, word])?;
            }
        }
    }
    Ok(u64::try_from(changed).unwrap_or(0))
}

/// How many texts of others name them. It is said, not changed: those texts are others'.
fn mentions(conn: &Connection, marks: &Marks, theirs: &Theirs) -> rusqlite::Result<u64> {
    let mut found = HashSet::new();
    for word in marks.words() {
        let sql = "SELECT id FROM messages WHERE instr(lower(body_text), lower(?1)) > 0
                   OR instr(lower(body_html), lower(?1)) > 0";
        let named: Vec<i64> =
            conn.prepare_cached(sql)?.query_map([word], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        found.extend(named.into_iter().filter(|id| !theirs.messages.contains(id)));
    }
    Ok(u64::try_from(found.len()).unwrap_or(0))
}

/// Takes names and addresses off, and puts a pseudonym in the place of the external id.
fn participants(conn: &Connection, persons: &mut [Person], asked: &Forget) -> rusqlite::Result<()> {
    let key = shroud::read_key(conn)?;
    for person in persons {
        let external_id = match person.forgotten_before {
            true => person.external_id.clone(),
            false => shroud::pseudonym(&key, person.source_id, &person.external_id),
        };
        conn.execute("UPDATE change_counter SET rev = rev + 1 WHERE id = 1", [])?;
        let linked: Option<i64> =
            conn.query_row("SELECT person_id FROM participants WHERE id = ?1", [person.id], |row| row.get(0))?;
        conn.execute(
            "UPDATE participants SET external_id = ?2, name = NULL, email = NULL, phone = NULL, provider_user_id = NULL,
             person_id = NULL, resolved = 1, looked_up_at_ms = ?3, rev = (SELECT rev FROM change_counter) WHERE id = ?1",
            params![person.id, external_id, asked.now_ms],
        )?;
        if let Some(linked) = linked {
            people::left(conn, linked)?;
        }
        conn.execute(
            "INSERT INTO forgotten (source_id, participant_id, forgotten_at_ms, suppress) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (participant_id) DO UPDATE
             SET forgotten_at_ms = excluded.forgotten_at_ms, suppress = max(suppress, excluded.suppress)",
            params![person.source_id, person.id, asked.now_ms, asked.suppress],
        )?;
        if !asked.dry_run {
            // What is told of it afterwards does not say again who it was.
            person.external_id = external_id;
            (person.name, person.email, person.phone) = (None, None, None);
        }
    }
    Ok(())
}

fn conversations(conn: &Connection, theirs: &BTreeSet<i64>, asked: &Forget) -> rusqlite::Result<u64> {
    for id in theirs {
        conn.execute("UPDATE change_counter SET rev = rev + 1 WHERE id = 1", [])?;
        conn.execute(
            "UPDATE conversations SET title = NULL, page_url = NULL, rev = (SELECT rev FROM change_counter) WHERE id = ?1",
            [id],
        )?;
        conn.execute(
            "INSERT INTO forgotten (source_id, conversation_id, forgotten_at_ms, suppress)
             SELECT source_id, id, ?2, ?3 FROM conversations WHERE id = ?1
             ON CONFLICT (conversation_id) DO UPDATE
             SET forgotten_at_ms = excluded.forgotten_at_ms, suppress = max(suppress, excluded.suppress)",
            params![id, asked.now_ms, asked.suppress],
        )?;
    }
    Ok(u64::try_from(theirs.len()).unwrap_or(0))
}
