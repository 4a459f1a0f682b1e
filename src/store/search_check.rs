//! Whether the full-text index says what the texts say, found out without a write: the index's own check of that kind
//! would lock out the writer for as long as it takes.

use rusqlite::{Connection, params};

use super::fulltext;
use crate::model::Hasher;

/// Messages that are compared together.
const CHUNK: i64 = 2000;

/// Why the index cannot be trusted; `None`: it is in step. The connection is a read-only one; temporary tables stand
/// beside the file.
#[must_use]
pub fn search_problem(connection: &Connection) -> Option<String> {
    let check = || -> rusqlite::Result<Option<String>> {
        if !fulltext::is_sound(connection)? {
            return Ok(Some("it has to be built anew".to_owned()));
        }
        connection.execute_batch("BEGIN")?;
        let found = compare(connection);
        connection.execute_batch("COMMIT")?;
        found
    };
    check().unwrap_or_else(|error| Some(error.to_string()))
}

/// New messages may wait for the index: those with greater ids than it has are none of its business.
fn compare(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let missing = number(
        "SELECT count(*) FROM messages AS m
         WHERE NOT EXISTS (SELECT 1 FROM message_search_docsize AS d WHERE d.id = m.id)
           AND m.id <= (SELECT max(id) FROM message_search_docsize)",
    )?;
    let left_over = number(
        "SELECT count(*) FROM message_search_docsize AS d WHERE NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.id = d.id)",
    )?;
    if missing + left_over > 0 {
        return Ok(Some(format!("{missing} messages are not in it, and {left_over} that it has are none")));
    }
    // The file is opened for reading alone; this allows temporary tables.
    connection.execute_batch(&format!(
        "PRAGMA query_only = OFF;
         CREATE VIRTUAL TABLE temp.checked USING fts5(body_text, content = '', {});
         CREATE VIRTUAL TABLE temp.checked_words USING fts5vocab(temp, checked, row);
         CREATE VIRTUAL TABLE temp.stored_words USING fts5vocab(main, message_search, row);",
        fulltext::TOKENIZE
    ))?;
    let found = compare_words(connection);
    connection.execute_batch(
        "DROP TABLE temp.stored_words; DROP TABLE temp.checked_words; DROP TABLE temp.checked; PRAGMA query_only = ON;",
    )?;
    found
}

/// Per message how many words it has; over all messages in how many each word stands, and how often. Sums over words
/// can be taken slice by slice.
fn compare_words(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let stored = sum(connection, "SELECT term, doc, cnt FROM temp.stored_words")?;
    let (mut wanted, mut after, mut wrong) = (0_u64, 0, 0);
    loop {
        let up_to: Option<i64> = connection.query_row(
            "SELECT max(id) FROM (SELECT id FROM messages WHERE id > ?1
               AND id <= (SELECT max(id) FROM message_search_docsize) ORDER BY id LIMIT ?2)",
            [after, CHUNK],
            |row| row.get(0),
        )?;
        let Some(up_to) = up_to else { break };
        connection.execute(
            "INSERT INTO temp.checked (rowid, body_text)
             SELECT id, body_text FROM search_texts WHERE id > ?1 AND id <= ?2 ORDER BY id",
            [after, up_to],
        )?;
        wrong += connection.query_row(
            "SELECT count(*) FROM temp.checked_docsize AS c JOIN message_search_docsize AS d ON d.id = c.id
             WHERE c.sz IS NOT d.sz",
            params![],
            |row| row.get::<_, i64>(0),
        )?;
        wanted = wanted.wrapping_add(sum(connection, "SELECT term, doc, cnt FROM temp.checked_words")?);
        connection.execute("INSERT INTO temp.checked (checked) VALUES ('delete-all')", [])?;
        after = up_to;
    }
    Ok(match (wrong, stored == wanted) {
        (0, true) => None,
        (0, false) => Some("its words are not those of the messages".to_owned()),
        _ => Some(format!("it has other words than {wrong} messages have")),
    })
}

fn sum(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut sum = 0_u64;
    while let Some(row) = rows.next()? {
        // The empty word, which is what is left of one that is made of marks alone, comes as NULL.
        let word = Hasher::of_bytes(row.get_ref(0)?.as_bytes_or_null()?.unwrap_or_default()).cast_unsigned();
        let (messages, times): (i64, i64) = (row.get(1)?, row.get(2)?);
        let weight = messages.cast_unsigned().wrapping_add(times.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15));
        sum = sum.wrapping_add(word.wrapping_mul(weight));
    }
    Ok(sum)
}
