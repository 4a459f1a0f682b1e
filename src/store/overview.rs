//! The support metrics as tables: what `stats` prints.

use rusqlite::{Connection, Row as SqlRow};
use serde::Serialize;

use super::StoreError;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// The zone of weekdays and hours.
    pub timezone: String,
    /// The first day that counts; none: all time.
    pub since: Option<String>,
    pub sources: Vec<Conversations>,
    pub responses: Vec<Responses>,
    /// The newest days first.
    pub days: Vec<Day>,
    /// The busiest hours first.
    pub hours: Vec<Hour>,
    /// Who has been waiting longest first.
    pub waiting: Vec<Waiting>,
}

/// A source and channel. What does not apply is `None`.
#[derive(Debug, Serialize)]
pub struct Conversations {
    pub source: String,
    pub channel: Option<String>,
    pub conversations: i64,
    pub contact_messages: i64,
    pub bot_messages: i64,
    pub agent_messages: i64,
    pub contained: Option<i64>,
    pub escalated: Option<i64>,
    pub unanswered: i64,
}

/// How long turns took that were answered; `by` `None` stands for anybody.
#[derive(Debug, Serialize)]
pub struct Responses {
    pub source: String,
    pub channel: Option<String>,
    pub by: Option<String>,
    pub n: i64,
    pub median_seconds: f64,
    pub p90_seconds: f64,
}

/// A day (UTC) on which conversations began.
#[derive(Debug, Serialize)]
pub struct Day {
    pub day: String,
    pub conversations: i64,
    pub contact_messages: i64,
    pub unanswered: i64,
}

/// An hour of the week.
#[derive(Debug, Serialize)]
pub struct Hour {
    /// 0 is Sunday.
    pub weekday: i64,
    pub hour: i64,
    pub conversations: i64,
    pub contact_messages: i64,
}

/// Somebody who waits for an answer.
#[derive(Debug, Serialize)]
pub struct Waiting {
    pub source: String,
    pub conversation_id: i64,
    pub conversation_external_id: String,
    pub contact: Option<String>,
    pub waiting_since: String,
}

/// Reads it, over days since one (`2026-03-01`) where asked; hours are those of all time.
///
/// # Errors
/// SQLite failed.
pub fn overview(conn: &Connection, since: Option<&str>) -> Result<Overview, StoreError> {
    read(conn, since).map_err(StoreError::sql("reading the metrics"))
}

fn read(conn: &Connection, since: Option<&str>) -> rusqlite::Result<Overview> {
    Ok(Overview {
        timezone: conn.query_row("SELECT timezone FROM reporting WHERE id = 1", [], |row| row.get(0))?,
        since: since.map(str::to_owned),
        sources: list(
            conn,
            "SELECT source, channel, sum(conversations), sum(contact_messages), sum(bot_messages), sum(agent_messages),
               sum(contained), sum(escalated), sum(unanswered)
             FROM v_daily WHERE day >= coalesce(?1, '') GROUP BY source, channel ORDER BY source, channel",
            since,
            |row| {
                Ok(Conversations {
                    source: row.get(0)?,
                    channel: row.get(1)?,
                    conversations: row.get(2)?,
                    contact_messages: row.get(3)?,
                    bot_messages: row.get(4)?,
                    agent_messages: row.get(5)?,
                    contained: row.get(6)?,
                    escalated: row.get(7)?,
                    unanswered: row.get(8)?,
                })
            },
        )?,
        responses: responses(conn, since)?,
        days: list(
            conn,
            "SELECT day, sum(conversations), sum(contact_messages), sum(unanswered) FROM v_daily
             WHERE day >= coalesce(?1, '') GROUP BY day ORDER BY day DESC LIMIT 14",
            since,
            |row| {
                Ok(Day {
                    day: row.get(0)?,
                    conversations: row.get(1)?,
                    contact_messages: row.get(2)?,
                    unanswered: row.get(3)?,
                })
            },
        )?,
        hours: list(
            conn,
            "SELECT weekday, hour, conversations, contact_messages FROM v_hourly WHERE ?1 IS ?1
             ORDER BY contact_messages DESC, weekday, hour LIMIT 10",
            None,
            |row| {
                Ok(Hour {
                    weekday: row.get(0)?,
                    hour: row.get(1)?,
                    conversations: row.get(2)?,
                    contact_messages: row.get(3)?,
                })
            },
        )?,
        waiting: list(
            conn,
            "SELECT source, conversation_id, conversation_external_id, contact, waiting_since FROM v_conversations
             WHERE waiting_since IS NOT NULL AND waiting_since >= coalesce(?1, '') ORDER BY waiting_since LIMIT 20",
            since,
            |row| {
                Ok(Waiting {
                    source: row.get(0)?,
                    conversation_id: row.get(1)?,
                    conversation_external_id: row.get(2)?,
                    contact: row.get(3)?,
                    waiting_since: row.get(4)?,
                })
            },
        )?,
    })
}

/// The same arithmetic as in `v_response_quantiles`, over the turns that were opened since a day.
fn responses(conn: &Connection, since: Option<&str>) -> rusqlite::Result<Vec<Responses>> {
    list(
        conn,
        "WITH turns AS (
           SELECT source, channel, \"by\", seconds FROM v_response_times
           WHERE seconds IS NOT NULL AND asked_at >= coalesce(?1, '')
         ), answered AS (
           SELECT * FROM turns UNION ALL SELECT source, channel, NULL, seconds FROM turns
         ), ranked AS (
           SELECT source, channel, \"by\", seconds,
             row_number() OVER (PARTITION BY source, channel, \"by\" ORDER BY seconds) AS place,
             count(*) OVER (PARTITION BY source, channel, \"by\") AS n
           FROM answered
         )
         SELECT source, channel, \"by\", n,
           avg(CASE WHEN place IN ((n + 1) / 2, (n + 2) / 2) THEN seconds END),
           min(CASE WHEN place * 10 >= n * 9 THEN seconds END)
         FROM ranked GROUP BY source, channel, \"by\", n ORDER BY source, channel, \"by\"",
        since,
        |row| {
            Ok(Responses {
                source: row.get(0)?,
                channel: row.get(1)?,
                by: row.get(2)?,
                n: row.get(3)?,
                median_seconds: row.get(4)?,
                p90_seconds: row.get(5)?,
            })
        },
    )
}

fn list<T>(
    conn: &Connection,
    sql: &str,
    since: Option<&str>,
    read: impl FnMut(&SqlRow<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare(sql)?.query_map([since], read)?.collect()
}
