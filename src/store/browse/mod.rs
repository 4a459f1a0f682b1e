//! What the web page and its API read: lists in pages, one conversation, and the digest behind the overview.
//!
//! Lists are paged by keys, never by counting rows off, so a page stays where it is while passes write. Every
//! connection of [`open_bounded`] gives up after [`LONGEST`]: no question of a visitor can occupy the process.

mod conversations;
mod digest;
mod letters;
mod messages;
mod people;
mod runs;

pub use conversations::{
    ConversationFilter, ConversationPage, ConversationPlace, ConversationRow, conversation, conversations,
};
pub use digest::{Day, Digest, QUARTER_MS, SourceSums, Waiting, digest};
pub use letters::{LetterFilter, LetterPage, LetterRow, letters};
pub use messages::{
    Attachment, ChangeFilter, ChangePage, Citation, MessageRow, Revision, Span, Stretch, changes, message_text, stretch,
};
pub use people::{Contact, PeopleFilter, PeoplePage, PersonDetail, PersonRow, people, person};
pub use runs::{RunFilter, RunPage, RunRow, runs};

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ToSql};
use serde::Serializer;

use super::{StoreError, open_reader};

/// A question takes no longer.
pub const LONGEST: Duration = Duration::from_secs(3);

/// Steps of SQLite's machine between two looks at the clock: well below a millisecond.
const STEPS: std::ffi::c_int = 2_000;

/// A connection that reads.
pub type Reader = Connection;

/// A reader whose questions end by themselves `within` a time.
///
/// # Errors
/// As of [`open_reader`].
pub fn open_bounded(path: &Path, within: Duration) -> Result<Reader, StoreError> {
    let mut connection = open_reader(path)?;
    let doing = "opening the store";
    connection.busy_timeout(Duration::from_secs(1)).map_err(StoreError::sql(doing))?;
    let end = Instant::now() + within;
    connection.progress_handler(STEPS, Some(move || Instant::now() > end)).map_err(StoreError::sql(doing))?;
    Ok(connection)
}

/// Where the rows of a list are bound, and under which conditions they stand in it.
struct Conditions {
    sql: String,
    bound: Vec<(&'static str, Box<dyn ToSql>)>,
}

impl Conditions {
    fn new() -> Self {
        Self { sql: "1".to_owned(), bound: Vec::new() }
    }

    fn add(&mut self, sql: &'static str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(sql);
    }

    fn bind(&mut self, name: &'static str, value: impl ToSql + 'static) {
        self.bound.push((name, Box::new(value)));
    }

    /// One condition with one value, where there is a value.
    fn with<T: ToSql + 'static>(&mut self, value: Option<T>, name: &'static str, sql: &'static str) {
        if let Some(value) = value {
            self.add(sql);
            self.bind(name, value);
        }
    }

    fn list<T>(
        &self,
        connection: &Connection,
        sql: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let bound: Vec<(&str, &dyn ToSql)> = self.bound.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        connection.prepare(sql)?.query_map(bound.as_slice(), read)?.collect()
    }
}

/// The number that grows with every change of content.
///
/// # Errors
/// SQLite failed.
pub fn change_number(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .query_row("SELECT rev FROM change_counter WHERE id = 1", [], |row| row.get(0))
        .map_err(StoreError::sql("reading the store's change number"))
}

/// The zone that weekdays and hours are counted in.
///
/// # Errors
/// SQLite failed.
pub fn reporting_zone(connection: &Connection) -> Result<String, StoreError> {
    connection
        .query_row("SELECT timezone FROM reporting WHERE id = 1", [], |row| row.get(0))
        .map_err(StoreError::sql("reading the reporting zone"))
}

/// Milliseconds since 1970 UTC as text, as the store's own text columns have it.
#[must_use]
pub fn iso(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.3}"))
}

fn time<S: Serializer>(ms: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&iso(*ms))
}

#[expect(clippy::ref_option, reason = "serde hands on a reference to the field")]
fn time_if_known<S: Serializer>(ms: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
    match ms {
        Some(ms) => time(ms, to),
        None => to.serialize_none(),
    }
}

/// Takes off the row that only tells that there are more.
fn cut<T>(rows: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;

    #[test]
    fn a_question_without_end_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(open::open_writer(&path, 1).unwrap());
        let reader = open_bounded(&path, Duration::from_millis(20)).unwrap();
        let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let error = reader.query_row(endless, [], |row| row.get::<_, i64>(0)).unwrap_err();
        let told = StoreError::sql("counting")(error).to_string();
        assert_eq!(told, "counting: this takes longer than 3 s and was given up; ask for less");
    }
}
