//! Reading all of a store as it is at one moment, a row at a time, for exports.
//!
//! Everything is read in one transaction, so whatever is written meanwhile, the files of an export agree with each
//! other. Rows come by source and month: keys alone are sorted, and each row is looked up by its key.

use std::borrow::Cow;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::views::{View, Walk};
use super::{Beside, ConversationHead, Line, StoreError, open_reader, query, schema};

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
}

/// Which part of the views is wanted. Rows without a time are in no range of time, and in an export without one.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// Inclusive.
    pub since_ms: Option<i64>,
    /// Exclusive.
    pub until_ms: Option<i64>,
    /// None: all.
    pub sources: Vec<String>,
}

/// Where a row belongs in files that are parted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub source: Option<String>,
    /// `2026-03`, UTC; none for a row without a time.
    pub month: Option<String>,
}

/// A store at one moment.
pub struct Snapshot {
    connection: Connection,
}

impl Cut {
    fn sources_json(&self) -> Option<String> {
        (!self.sources.is_empty()).then(|| serde_json::json!(self.sources).to_string())
    }

    fn is_ranged(&self) -> bool {
        self.since_ms.is_some() || self.until_ms.is_some()
    }
}

impl Snapshot {
    /// Opens a store and holds on to what stands in it now.
    ///
    /// # Errors
    /// No file, a foreign one, or one of another version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open_reader(path)?;
        let begin = || -> rusqlite::Result<()> {
            connection.execute_batch("BEGIN")?;
            connection.query_row("SELECT rev FROM change_counter", [], |_| Ok(()))
        };
        begin().map_err(StoreError::sql("beginning an export"))?;
        Ok(Self { connection })
    }

    /// Stops the statement that is running, from another thread.
    pub fn interrupter(&self) -> impl Fn() + Send + Sync + use<> {
        let handle = self.connection.get_interrupt_handle();
        move || handle.interrupt()
    }

    /// The zone in which hours and weekdays are counted.
    ///
    /// # Errors
    /// SQLite failed.
    pub fn timezone(&self) -> Result<String, StoreError> {
        self.connection
            .query_row("SELECT timezone FROM reporting WHERE id = 1", [], |row| row.get(0))
            .map_err(StoreError::sql("reading the reporting zone"))
    }

    /// The version of the store's schema.
    #[must_use]
    pub fn schema(&self) -> i64 {
        schema::SCHEMA_VERSION
    }

    /// Refuses a source that the store does not have.
    ///
    /// # Errors
    /// The first such source, with those there are.
    pub fn has_sources(&self, names: &[String]) -> Result<(), StoreError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            self.connection
                .prepare("SELECT name FROM sources ORDER BY name")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        let known = read().map_err(StoreError::sql("reading the sources"))?;
        match names.iter().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(StoreError::NoSuchSource { name: name.clone(), known })
            }
        }
    }

    /// How many rows a range leaves out because nobody knows their time.
    ///
    /// # Errors
    /// SQLite failed.
    pub fn without_time(&self, view: &View, cut: &Cut) -> Result<i64, StoreError> {
        if !cut.is_ranged() || view.time.is_none() {
            return Ok(0);
        }
        let Walk { from, live, source, time_ms, .. } = view.walk;
        let sql = format!(
            "SELECT count(*) FROM {from} WHERE {live} AND {time_ms} IS NULL
               AND (?1 IS NULL OR {source} IN (SELECT value FROM json_each(?1)))"
        );
        self.connection
            .query_row(&sql, [cut.sources_json()], |row| row.get(0))
            .map_err(StoreError::sql("counting rows without a time"))
    }

    /// Visits every row of a view that a cut holds, in the order of source and month.
    ///
    /// # Errors
    /// SQLite failed, or the visitor did.
    pub fn rows<E: From<StoreError>>(
        &self,
        view: &View,
        cut: &Cut,
        mut visit: impl FnMut(&Part, &[Cell<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Walk { from, live, source, time_ms, key, order } = view.walk;
        let columns: Vec<String> = view.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let columns = columns.join(", ");
        let month = format!("strftime('%Y-%m', ({time_ms}) / 1000.0, 'unixepoch')");
        let filter = format!(
            "{live} AND (?1 IS NULL OR {time_ms} >= ?1) AND (?2 IS NULL OR {time_ms} < ?2)
               AND (?3 IS NULL OR {source} IN (SELECT value FROM json_each(?3)))"
        );
        let mut part = Part { source: None, month: None };
        let wanted = params![cut.since_ms, cut.until_ms, cut.sources_json()];
        let Some((key, key_column)) = key else {
            let sql = format!(
                "SELECT {columns}, {source} AS of_source, {month} AS of_month FROM {from} WHERE {filter} ORDER BY {order}"
            );
            let mut statement = self.connection.prepare(&sql).map_err(unread)?;
            let mut rows = statement.query(wanted).map_err(unread)?;
            while let Some(row) = rows.next().map_err(unread)? {
                let width = view.columns.len();
                part.follow(row, width).map_err(unread)?;
                visit(&part, &cells(row, width).map_err(unread)?)?;
            }
            return Ok(());
        };
        let keys = format!(
            "SELECT {key}, {source} AS of_source, {month} AS of_month FROM {from} WHERE {filter}
             ORDER BY of_source, of_month, {key}"
        );
        let mut keys = self.connection.prepare(&keys).map_err(unread)?;
        let one = format!("SELECT {columns} FROM {} WHERE {key_column} = ?1", view.view);
        let mut one = self.connection.prepare(&one).map_err(unread)?;
        let mut keys = keys.query(wanted).map_err(unread)?;
        while let Some(row) = keys.next().map_err(unread)? {
            let id: i64 = row.get(0).map_err(unread)?;
            part.follow(row, 1).map_err(unread)?;
            let mut found = one.query([id]).map_err(unread)?;
            while let Some(row) = found.next().map_err(unread)? {
                visit(&part, &cells(row, view.columns.len()).map_err(unread)?)?;
            }
        }
        Ok(())
    }

    /// Visits the head of every conversation that a cut holds, deleted ones too, the newest first, with when
    /// each began.
    ///
    /// # Errors
    /// SQLite failed, or the visitor did.
    pub fn conversations<E: From<StoreError>>(
        &self,
        cut: &Cut,
        mut visit: impl FnMut(ConversationHead, Option<String>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = StoreError::sql;
        let doing = "reading conversations for an export";
        let keys = "SELECT c.id, coalesce(c.started_at_ms, k.first_message_at_ms) AS began,
               coalesce(c.started_at, k.first_message_at)
             FROM conversations AS c LEFT JOIN conversation_stats AS k ON k.conversation_id = c.id
             JOIN sources AS s ON s.id = c.source_id
             WHERE (?1 IS NULL OR began >= ?1) AND (?2 IS NULL OR began < ?2)
               AND (?3 IS NULL OR s.name IN (SELECT value FROM json_each(?3)))
             ORDER BY began DESC, c.id DESC";
        let mut keys = self.connection.prepare(keys).map_err(failed(doing))?;
        let mut keys = keys.query(params![cut.since_ms, cut.until_ms, cut.sources_json()]).map_err(failed(doing))?;
        let mut one = query::head_by_id(&self.connection).map_err(failed(doing))?;
        while let Some(row) = keys.next().map_err(failed(doing))? {
            let id: i64 = row.get(0).map_err(failed(doing))?;
            let head = one.query_row([id], query::head).map_err(failed(doing))?;
            visit(head, row.get(2).map_err(failed(doing))?)?;
        }
        Ok(())
    }

    /// How many conversations a range leaves out because nobody knows when they began.
    ///
    /// # Errors
    /// SQLite failed.
    pub fn conversations_without_time(&self, cut: &Cut) -> Result<i64, StoreError> {
        if !cut.is_ranged() {
            return Ok(0);
        }
        let sql = "SELECT count(*) FROM conversations AS c
             LEFT JOIN conversation_stats AS k ON k.conversation_id = c.id JOIN sources AS s ON s.id = c.source_id
             WHERE coalesce(c.started_at_ms, k.first_message_at_ms) IS NULL
               AND (?1 IS NULL OR s.name IN (SELECT value FROM json_each(?1)))";
        self.connection
            .query_row(sql, [cut.sources_json()], |row| row.get(0))
            .map_err(StoreError::sql("counting conversations without a time"))
    }

    /// Visits the messages of a conversation, the oldest first, deleted ones too.
    ///
    /// # Errors
    /// SQLite failed, or the visitor did.
    pub fn messages<E: From<StoreError>>(
        &self,
        conversation: i64,
        mut visit: impl FnMut(Line, Beside) -> Result<(), E>,
    ) -> Result<(), E> {
        query::each_line(&self.connection, conversation, |id, line| {
            let beside = query::beside(&self.connection, id)?;
            visit(line, beside)
        })
    }
}

impl Part {
    /// Takes over what stands in a row behind its first columns, without making texts anew for every row.
    fn follow(&mut self, row: &Row<'_>, at: usize) -> rusqlite::Result<()> {
        for (held, at) in [(&mut self.source, at), (&mut self.month, at + 1)] {
            let new = row.get_ref(at)?.as_str_or_null()?;
            if held.as_deref() != new {
                *held = new.map(str::to_owned);
            }
        }
        Ok(())
    }
}

/// Keys are sorted in a temporary file, which may find its own disk full.
fn unread(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::CannotOpen) => StoreError::sql(
            "reading rows for an export (is there room for temporary files, in SQLITE_TMPDIR or /var/tmp?)",
        )(error),
        _ => StoreError::sql("reading rows for an export")(error),
    }
}

fn cells<'r>(row: &'r Row<'_>, width: usize) -> rusqlite::Result<Vec<Cell<'r>>> {
    (0..width)
        .map(|at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Integer(number),
                ValueRef::Real(number) => Cell::Real(number),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cell::Text(String::from_utf8_lossy(bytes)),
            })
        })
        .collect()
}
