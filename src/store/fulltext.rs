//! The full-text index, kept in step with the texts of messages.
//!
//! Whatever changes texts notes what they were ([`Texts`]) and lets the index follow once, in the same transaction and
//! in the order of row ids: the index buffers words as long as ids grow, and writes a part of its own whenever they do
//! not. So the index is exact after any crash, and no trigger is needed.
//!
//! A damaged index must not hold up syncing: where it fails, it is marked as behind, and built anew by the next process
//! that opens the store for writing, or by `search rebuild`.

use std::collections::BTreeMap;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};

use super::failpoint::failpoint;
use super::{Store, StoreError};
use crate::normalise::{FORM_RULES, index_form};
use crate::telemetry::events;

/// Messages whose forms are looked at together while the index is built.
const CHUNK: i64 = 1000;

/// Pages that a slice of merging writes, about.
const MERGED_PAGES: i64 = -200;

/// Messages whose text changed, and what the index has of each: `None` for a new one.
#[derive(Debug, Default)]
pub(super) struct Texts {
    before: BTreeMap<i64, Option<String>>,
    /// Words that must leave no trace are among them.
    erased: bool,
}

impl Texts {
    /// A message that was just made.
    pub(super) fn made(&mut self, id: i64) {
        self.before.entry(id).or_insert(None);
    }

    /// A message that said `before` until now.
    pub(super) fn changed(&mut self, id: i64, before: &str) {
        self.before.entry(id).or_insert_with(|| Some(before.to_owned()));
    }

    /// The same, where it has to go for good.
    pub(super) fn erased(&mut self, id: i64, before: &str) {
        self.changed(id, before);
        self.erased = true;
    }

    /// Lets the index follow, inside the transaction that changed the texts.
    pub(super) fn settle(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let before = std::mem::take(&mut self.before);
        let erased = std::mem::take(&mut self.erased);
        if before.is_empty() {
            return Ok(());
        }
        let mut changes = Vec::with_capacity(before.len());
        for (id, old) in before {
            changes.extend(form_of_change(conn, id, old)?);
        }
        if !is_exact(conn)? {
            // Built anew, it has what stands there then.
            return Ok(());
        }
        if erased {
            conn.prepare_cached("UPDATE search_state SET merge_due = 1 WHERE merge_due = 0")?.execute([])?;
        }
        conn.prepare_cached("SAVEPOINT fulltext")?.execute([])?;
        match write(conn, &changes) {
            Ok(()) => conn.prepare_cached("RELEASE fulltext")?.execute([]).map(|_| ()),
            Err(error) if is_damage(&error) => {
                conn.execute_batch("ROLLBACK TO fulltext; RELEASE fulltext; UPDATE search_state SET rules = 0")?;
                events::search_index_behind(&error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
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
    // Of a new message there is no form yet.
    let form: Option<String> = match &old {
        None => None,
        Some(_) => conn
            .prepare_cached("SELECT form FROM search_forms WHERE message_id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?,
    };
    let wanted = match &text {
        Some(text) => match index_form(text) {
            std::borrow::Cow::Owned(form) => Some(form),
            std::borrow::Cow::Borrowed(_) => None,
        },
        None => None,
    };
    if form != wanted {
        match &wanted {
            Some(form) => conn
                .prepare_cached(
                    "INSERT INTO search_forms (message_id, form) VALUES (?1, ?2)
                     ON CONFLICT (message_id) DO UPDATE SET form = excluded.form",
                )?
                .execute(params![id, form])?,
            None => conn.prepare_cached("DELETE FROM search_forms WHERE message_id = ?1")?.execute([id])?,
        };
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
    // A savepoint makes the index write what it has buffered: what is wrong with it shows here, and not in the commit.
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

/// Whether the index is in step with the texts, and made by this program's rules.
pub(super) fn is_exact(conn: &Connection) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT rules = ?1 FROM search_state WHERE id = 1")?.query_row([FORM_RULES], |row| row.get(0))
}

/// Builds the index where it is not exact: after an upgrade, a change of the rules, or damage.
pub(super) fn catch_up(conn: &mut Connection) -> rusqlite::Result<()> {
    if is_exact(conn)? {
        return Ok(());
    }
    match rebuild(conn) {
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
            if let std::borrow::Cow::Owned(form) = index_form(text) {
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
