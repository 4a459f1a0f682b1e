//! Schema versions and how a file gets from one to the next.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::failpoint::failpoint;
use super::{StoreError, backup};

/// The schema this program writes and reads: `PRAGMA user_version`.
pub const SCHEMA_VERSION: i64 = 3;

/// Marks a file as ours: `PRAGMA application_id`, the letters CLOM.
pub(super) const APPLICATION_ID: i64 = 0x434C_4F4D;

/// Every migration: the version it leads to, and its files in order.
const MIGRATIONS: &[(i64, &[&str])] = &[
    (1, &[include_str!("../../migrations/0001_tables.sql"), include_str!("../../migrations/0001_views.sql")]),
    (2, &[include_str!("../../migrations/0002_keeping.sql")]),
    (
        3,
        &[
            include_str!("../../migrations/0003_metrics.sql"),
            include_str!("../../migrations/0003_people.sql"),
            include_str!("../../migrations/0003_search.sql"),
            include_str!("../../migrations/0003_pages.sql"),
        ],
    ),
];

/// Refuses a file that is not ours or newer than this program, before anything is written to it.
pub(super) fn recognise(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let (application, version) = marks(connection)?;
    if application == APPLICATION_ID {
        if version > SCHEMA_VERSION {
            return Err(StoreError::Newer { path: path.to_owned(), found: version, known: SCHEMA_VERSION });
        }
        return Ok(());
    }
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(StoreError::sql("reading the store's version"))?;
    if application != 0 || version != 0 || tables > 0 {
        let found = format!("application_id {application}, {tables} tables and views");
        return Err(StoreError::Foreign { path: path.to_owned(), found });
    }
    Ok(())
}

/// Brings an open, recognised file to [`SCHEMA_VERSION`], each step in a transaction of its own that also moves
/// `user_version`. A file of an earlier version that holds rows is copied first, beside itself; without that copy
/// nothing is changed.
pub(super) fn migrate(connection: &mut Connection, path: &Path, now_ms: i64) -> Result<(), StoreError> {
    let doing = "bringing the store to this version's schema";
    let (_, version) = marks(connection)?;
    if version > 0 && version < SCHEMA_VERSION && holds_rows(connection).map_err(StoreError::sql(doing))? {
        let kept = backup::before_upgrade(connection, path, SCHEMA_VERSION, now_ms)?;
        tracing::info!(from = version, to = SCHEMA_VERSION, backup = %kept.display(), "upgrading the store");
        failpoint!("migrate.kept");
    }
    for (target, files) in MIGRATIONS.iter().filter(|(target, _)| *target > version) {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::sql(doing))?;
        failpoint!("migrate.begun");
        for sql in *files {
            transaction.execute_batch(sql).map_err(StoreError::sql(doing))?;
            failpoint!("migrate.step");
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(StoreError::sql(doing))?;
        transaction.pragma_update(None, "user_version", target).map_err(StoreError::sql(doing))?;
        failpoint!("migrate.marked");
        transaction.commit().map_err(StoreError::sql(doing))?;
        failpoint!("migrate.committed");
    }
    Ok(())
}

/// Whether there is anything to lose: a source is made before anything else is.
fn holds_rows(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM sources)", [], |row| row.get(0))
}

/// `application_id` and `user_version` of an open file.
pub(super) fn marks(connection: &Connection) -> Result<(i64, i64), StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let doing = "reading the store's version";
    Ok((
        pragma("application_id").map_err(StoreError::sql(doing))?,
        pragma("user_version").map_err(StoreError::sql(doing))?,
    ))
}
