//! What SQLite's planner is told of tables.
//!
//! Samples of a table with a handful of rows are worse than none: by them reading it whole is the best plan, also after
//! it has grown a thousand times in one pass. Without samples, SQLite takes a table for a large one.

use rusqlite::Connection;

/// Tables with fewer rows are not sampled.
const LARGE: i64 = 1000;

/// Changes since a connection was opened below which a look at its tables is not worth it.
const MANY_CHANGES: u64 = 1000;

/// Has tables sampled that changed much or have no samples. Reads little of them, and writes little.
pub(super) fn sample(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("PRAGMA analysis_limit = 400; PRAGMA optimize")?;
    forget_small(conn)
}

/// The same, where the connection changed enough to make it worth it.
pub(super) fn sample_after_changes(conn: &Connection) -> rusqlite::Result<()> {
    if conn.total_changes() < MANY_CHANGES { Ok(()) } else { sample(conn) }
}

/// Takes the samples of small tables away. Whoever opens a store for writing does so too: another program may have taken
/// some, or a process died right after it took them.
pub(super) fn forget_small(conn: &Connection) -> rusqlite::Result<()> {
    let exists = |table: &str| {
        let asked = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
        conn.query_row(asked, [table], |row| row.get::<_, bool>(0))
    };
    if !exists("sqlite_stat1")? {
        return Ok(());
    }
    // The first number of `stat` is how many rows an index has; a partial one may have few of a large table.
    let mut forgotten = conn.execute(
        "DELETE FROM sqlite_stat1 WHERE tbl IN (
           SELECT tbl FROM sqlite_stat1 GROUP BY tbl HAVING max(CAST(stat AS INTEGER)) < ?1)",
        [LARGE],
    )?;
    if exists("sqlite_stat4")? {
        forgotten += conn.execute("DELETE FROM sqlite_stat4 WHERE tbl NOT IN (SELECT tbl FROM sqlite_stat1)", [])?;
    }
    if forgotten > 0 {
        // Has the connection read what is left.
        conn.execute_batch("ANALYZE sqlite_schema")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open;

    fn plan(conn: &Connection, sql: &str) -> String {
        conn.query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [1], |row| row.get(3)).unwrap()
    }

    #[test]
    fn a_table_that_is_small_yet_is_not_planned_for_as_a_small_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let conn = open::open_writer(&path, 1).unwrap();
        let insert = "WITH RECURSIVE n (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
            INSERT INTO channels (source_id, external_id, kind, rev) SELECT 1, n, 'other', n FROM n";
        conn.execute("INSERT INTO sources (id, name, provider, base_url) VALUES (1, 's', 'p', 'u')", []).unwrap();
        let insert_channels = |from: i64, to: i64| conn.execute(insert, [from, to]).unwrap();
        insert_channels(1, 2);
        let sampled = || {
            let count = "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'channels'";
            conn.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        sample_after_changes(&conn).unwrap();
        conn.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'", [], |_| Ok(())).unwrap_err();
        conn.execute_batch("ANALYZE").unwrap();
        assert_eq!(sampled(), 1, "what SQLite does by itself");
        let asked = "SELECT external_id FROM channels WHERE id > ?1 ORDER BY id";
        assert!(plan(&conn, asked).starts_with("SCAN"), "and what comes of it");
        sample(&conn).unwrap();
        assert_eq!(sampled(), 0);
        assert!(plan(&conn, asked).starts_with("SEARCH"), "{}", plan(&conn, asked));

        insert_channels(3, LARGE + 1);
        sample_after_changes(&conn).unwrap();
        assert_eq!(sampled(), 1, "a large one is sampled");
    }
}
