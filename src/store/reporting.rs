//! The zone in which hours and weekdays are counted, as the views see it.

use rusqlite::{Connection, TransactionBehavior, params};

use super::{Store, StoreError};
use crate::normalise::{Offset, offsets};

impl Store {
    /// Sees that the views count hours and weekdays on the clocks of this zone. One that this machine does not know leaves
    /// them as they were.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn report_in(&self, timezone: &str) -> Result<(), StoreError> {
        let Some(offsets) = offsets(timezone) else { return Ok(()) };
        let timezone = timezone.to_owned();
        self.on_writer("noting the reporting zone", move |conn| settle(conn, &timezone, &offsets)).await
    }
}

/// Writes the zone and its offsets, unless they stand there already.
fn settle(conn: &mut Connection, timezone: &str, offsets: &[Offset]) -> rusqlite::Result<()> {
    if stands(conn, timezone, offsets)? {
        return Ok(());
    }
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE reporting SET timezone = ?1 WHERE id = 1", [timezone])?;
    transaction.execute("DELETE FROM reporting_offsets", [])?;
    for stretch in offsets {
        transaction
            .prepare_cached("INSERT INTO reporting_offsets (from_ms, to_ms, offset_seconds) VALUES (?1, ?2, ?3)")?
            .execute(params![stretch.from_ms, stretch.to_ms, stretch.seconds])?;
    }
    transaction.commit()
}

fn stands(conn: &Connection, timezone: &str, offsets: &[Offset]) -> rusqlite::Result<bool> {
    let known: String = conn.query_row("SELECT timezone FROM reporting WHERE id = 1", [], |row| row.get(0))?;
    let mut statement =
        conn.prepare("SELECT from_ms, to_ms, offset_seconds FROM reporting_offsets ORDER BY from_ms")?;
    let stored: Vec<Offset> = statement
        .query_map([], |row| Ok(Offset { from_ms: row.get(0)?, to_ms: row.get(1)?, seconds: row.get(2)? }))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(known == timezone && stored == offsets)
}
