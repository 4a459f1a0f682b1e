//! The full-text index, kept in step with the texts of messages.
//!
//! Whatever changes texts notes what they were ([`Texts`]) and lets the index follow once, in the same transaction and
//! in the order of row ids: the index buffers words as long as ids grow, and writes a part of its own whenever they do
//! not. No trigger is needed.
//!
//! New messages of a first pass or a full one are put into the index many at a time (`filling.rs`): each filling makes a part of the
//! index, and parts have to be merged. What waits is plain from the tables, so a crash loses nothing: messages with a
//! greater id than the greatest that the index has. They follow when enough have come together, when the last filling was
//! long ago, when the run ends, or when the store is opened for writing. All else follows in its own transaction.
//!
//! A damaged index must not hold up syncing: where it fails, it is marked as behind, and built anew by the next process
//! that opens the store for writing, or by `search rebuild`.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};

use super::failpoint::failpoint;
use super::filling::{fill_apart, fill_beyond};
use super::{Store, StoreError};
use crate::normalise::{FORM_RULES, own_index_form};
use crate::telemetry::events;

/// How the index takes texts apart, for those that are made beside it. Marks belong to words, as migration 3 says.
pub(crate) const TOKENIZE: &str = "tokenize = \"unicode61 remove_diacritics 2 categories 'L* M* N* Co'\"";

/// Messages whose forms are looked at together while the index is built.
const CHUNK: i64 = 1000;

/// Pages that a slice of merging writes, about.
const MERGED_PAGES: i64 = -200;

/// Marks the index as one to be built anew.
pub(super) const LEAVE_BEHIND: &str = "UPDATE search_state SET rules = 0";

/// Messages that were made, and those whose text changed.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Ascending, as new rows are numbered.
    made: Vec<i64>,
    /// What the others said.
    before: BTreeMap<i64, String>,
    /// Of those that were made, those that changed right after: their form is not that of their text any more.
    made_and_changed: BTreeSet<i64>,
    /// Words that must leave no trace are among them.
    erased: bool,
}

impl Texts {
    /// A message that was just made. Keeps the form in which its text is indexed, where that is another.
    pub(super) fn made(&mut self, conn: &Connection, id: i64, form: Option<&str>) -> rusqlite::Result<()> {
        if let Some(form) = form {
            keep_form(conn, id, form)?;
        }
        self.made.push(id);
        Ok(())
    }

    /// A message that said `before` until now.
    pub(super) fn changed(&mut self, id: i64, before: &str) {
        if self.made.binary_search(&id).is_ok() {
            self.made_and_changed.insert(id);
        } else {
            self.before.entry(id).or_insert_with(|| before.to_owned());
        }
    }

    /// The same, where it has to go for good.
    pub(super) fn erased(&mut self, id: i64, before: &str) {
        self.changed(id, before);
        self.erased = true;
    }

    /// How many messages were made.
    pub(super) fn count_made(&self) -> usize {
        self.made.len()
    }

    /// Lets the index follow, inside the transaction that changed the texts. `wait`: new messages may be left for later.
    pub(super) fn settle(&mut self, conn: &Connection, wait: bool) -> rusqlite::Result<()> {
        let Self { made, before, made_and_changed, erased } = std::mem::take(self);
        if made.is_empty() && before.is_empty() {
            return Ok(());
        }
        // One that has to be built anew is not asked how far it goes; forms follow all the same, or an erased text would
        // stay in them.
        let sound = is_sound(conn)?;
        let filled_to = if sound { filled_to(conn)? } else { i64::MAX };
        let mut changes = Vec::new();
        for (id, old) in before {
            // What the index does not have yet, it meets as it stands there then.
            let old = Some(old).filter(|_| id <= filled_to);
            changes.extend(form_of_change(conn, id, old)?.filter(|_| id <= filled_to));
        }
        for id in made_and_changed {
            form_of_change(conn, id, None)?;
        }
        if sound {
            // The index has one of that number already: rows were taken out, or words put in, by hand.
            for id in made.iter().take_while(|id| **id <= filled_to) {
                changes.extend(form_of_change(conn, *id, None)?);
            }
            changes.sort_by_key(|change| change.id);
        }
        if !sound {
            // Built anew, it has what stands there then.
            return Ok(());
        }
        if erased {
            conn.prepare_cached("UPDATE search_state SET merge_due = 1 WHERE merge_due = 0")?.execute([])?;
        }
        let fill = !made.is_empty() && !wait;
        if changes.is_empty() && !fill {
            return Ok(());
        }
        guarded(conn, || {
            write(conn, &changes)?;
            if fill {
                fill_beyond(conn, filled_to)?;
            }
            flush(conn)
        })
    }
}

/// Has the index written beside rows that must be stored; if it is damaged, it is left behind for whoever builds it anew.
///
/// For little at a time: as long as there is a savepoint, SQLite keeps a copy of every page that changes, in memory.
fn guarded(conn: &Connection, work: impl FnOnce() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    conn.prepare_cached("SAVEPOINT fulltext")?.execute([])?;
    match work() {
        Ok(()) => conn.prepare_cached("RELEASE fulltext")?.execute([]).map(|_| ()),
        Err(error) if is_damage(&error) => {
            conn.execute_batch("ROLLBACK TO fulltext; RELEASE fulltext")?;
            conn.execute(LEAVE_BEHIND, [])?;
            events::search_index_behind(&error);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The greatest message that the index has: it lacks those beyond, and no other.
pub(super) fn filled_to(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT coalesce(max(id), 0) FROM message_search_docsize")?.query_row([], |row| row.get(0))
}

fn keep_form(conn: &Connection, id: i64, form: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO search_forms (message_id, form) VALUES (?1, ?2)
         ON CONFLICT (message_id) DO UPDATE SET form = excluded.form",
    )?
    .execute(params![id, form])?;
    Ok(())
}

/// A row of the index: what it has, and what it should have.
struct Change {
    id: i64,
    old: Option<String>,
    new: Option<String>,
}

/// Brings the stored form of a text up to date; what the index has to do, if anything.
fn form_of_change(conn: &Connection, id: i64, old: Option<String>) -> rusqlite::Result<Option<Change>> {
    let text: Option<String> = conn
        .prepare_cached("SELECT body_text FROM messages WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let form: Option<String> = conn
        .prepare_cached("SELECT form FROM search_forms WHERE message_id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let wanted = text.as_deref().and_then(own_index_form);
    if form != wanted {
        match &wanted {
            Some(form) => keep_form(conn, id, form)?,
            None => {
                conn.prepare_cached("DELETE FROM search_forms WHERE message_id = ?1")?.execute([id])?;
            }
        }
    }
    let (old, new) = (old.map(|old| form.unwrap_or(old)), text.map(|text| wanted.unwrap_or(text)));
    Ok((old != new).then_some(Change { id, old, new }))
}

fn write(conn: &Connection, changes: &[Change]) -> rusqlite::Result<()> {
    for change in changes {
        if let Some(old) = &change.old {
            conn.prepare_cached(
                "INSERT INTO message_search (message_search, rowid, body_text) VALUES ('delete', ?1, ?2)",
            )?
            .execute(params![change.id, old])?;
        }
        if let Some(new) = &change.new {
            conn.prepare_cached("INSERT INTO message_search (rowid, body_text) VALUES (?1, ?2)")?
                .execute(params![change.id, new])?;
        }
    }
    Ok(())
}

/// Has the index write what it has buffered, as any savepoint does: what is wrong with it shows here, and not in the commit.
pub(super) fn flush(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("SAVEPOINT fulltext_flush")?.execute([])?;
    conn.prepare_cached("RELEASE fulltext_flush")?.execute([])?;
    failpoint!("search.written");
    Ok(())
}

/// The index itself is damaged; a full disk is not that.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
        && error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CORRUPT_VTAB)
}

/// Whether what the index has is in step with the texts, and made by this program's rules.
pub(super) fn is_sound(conn: &Connection) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT rules = ?1 FROM search_state WHERE id = 1")?.query_row([FORM_RULES], |row| row.get(0))
}

/// Whether it has all messages besides.
pub(super) fn is_exact(conn: &Connection) -> rusqlite::Result<bool> {
    let newest: i64 =
        conn.prepare_cached("SELECT coalesce(max(id), 0) FROM messages")?.query_row([], |row| row.get(0))?;
    Ok(is_sound(conn)? && newest <= filled_to(conn)?)
}

/// Fills the index with what waits since a crash; builds it where it is not sound: after an upgrade, a change of the
/// rules, or damage.
pub(super) fn catch_up(conn: &mut Connection) -> rusqlite::Result<()> {
    match bring_up(conn) {
        Ok(messages) if messages > 0 => events::search_index_built(messages),
        Ok(_) => {}
        // Messages matter more than finding them: whatever else is damaged is found by whoever meets it.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            events::search_index_behind(&error);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// How many messages an index that had to be built has.
fn bring_up(conn: &mut Connection) -> rusqlite::Result<u64> {
    if is_exact(conn)? {
        return Ok(0);
    }
    if is_sound(conn)? {
        fill_apart(conn);
        if is_sound(conn)? {
            return Ok(0);
        }
    }
    rebuild(conn)
}

/// Builds the index anew, in a transaction of its own; how many messages it has.
pub(super) fn rebuild(conn: &mut Connection) -> rusqlite::Result<u64> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM search_forms", [])?;
    let (mut after, mut messages) = (0, 0);
    loop {
        let texts: Vec<(i64, String)> = transaction
            .prepare_cached("SELECT id, body_text FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2")?
            .query_map([after, CHUNK], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let Some((last, _)) = texts.last() else { break };
        (after, messages) = (*last, messages + texts.len());
        for (id, text) in &texts {
            if let Some(form) = own_index_form(text) {
                transaction
                    .prepare_cached("INSERT INTO search_forms (message_id, form) VALUES (?1, ?2)")?
                    .execute(params![id, form])?;
            }
        }
    }
    transaction.execute("INSERT INTO message_search (message_search) VALUES ('rebuild')", [])?;
    transaction.execute("UPDATE search_state SET rules = ?1, merge_due = 0 WHERE id = 1", [FORM_RULES])?;
    failpoint!("search.rebuilt");
    transaction.commit()?;
    Ok(u64::try_from(messages).unwrap_or(0))
}

/// One slice of what takes erased words out of the index for good; `false`: nothing is left to do. The caller holds the
/// transaction.
pub(super) fn merge_slice(conn: &Connection) -> rusqlite::Result<bool> {
    let due: bool =
        conn.query_row("SELECT merge_due = 1 AND rules <> 0 FROM search_state WHERE id = 1", [], |row| row.get(0))?;
    if !due {
        return Ok(false);
    }
    let before = conn.total_changes();
    conn.execute("INSERT INTO message_search (message_search, rank) VALUES ('merge', ?1)", [MERGED_PAGES])?;
    // The command itself counts as one change.
    if conn.total_changes() - before >= 2 {
        return Ok(true);
    }
    // The planner's samples of the index are words, too; they are taken anew in time.
    if conn
        .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat4')", [], |row| row.get(0))?
    {
        conn.execute("DELETE FROM sqlite_stat4 WHERE tbl GLOB 'message_search_*'", [])?;
    }
    conn.execute("UPDATE search_state SET merge_due = 0 WHERE id = 1", [])?;
    Ok(false)
}

impl Store {
    /// Builds the full-text index anew; how many messages it has then.
    ///
    /// # Errors
    /// SQLite failed; the index is as it was.
    pub async fn rebuild_search(&self) -> Result<u64, StoreError> {
        self.on_writer("building the full-text index", rebuild).await
    }
}
