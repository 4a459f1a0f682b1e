//! Which messages make a number: what `explain` prints.

use std::fmt;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;

use super::StoreError;

/// The metrics of a conversation that can be explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    FirstResponse,
    FirstAgentResponse,
    FirstBotResponse,
    Contained,
    Escalated,
    Answered,
    Reopened,
}

/// A number with its reason.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub metric: &'static str,
    /// As it stands in `v_conversations`; `None` where it does not apply or is not known.
    pub value: Option<Number>,
    /// What the metric means.
    pub meaning: &'static str,
    /// Why it is what it is.
    pub because: String,
    pub messages: Vec<Evidence>,
}

/// Seconds, or a count; a flag is 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    Whole(i64),
    Seconds(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Seconds(seconds) => seconds.fmt(f),
        }
    }
}

/// A message that made it.
#[derive(Debug, Serialize)]
pub struct Evidence {
    pub role: &'static str,
    pub message_external_id: String,
    pub sent_at: Option<String>,
    pub author_kind: String,
    pub body_text: String,
}

impl Metric {
    /// Its column in `v_conversations`.
    #[must_use]
    pub fn column(self) -> &'static str {
        match self {
            Self::FirstResponse => "first_response_seconds",
            Self::FirstAgentResponse => "first_agent_response_seconds",
            Self::FirstBotResponse => "first_bot_response_seconds",
            Self::Contained => "contained",
            Self::Escalated => "escalated",
            Self::Answered => "answered",
            Self::Reopened => "reopened",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::FirstResponse => {
                "seconds from the contact's first message to the first later one of a bot or an agent"
            }
            Self::FirstAgentResponse => "seconds from the contact's first message to the first later one of an agent",
            Self::FirstBotResponse => "seconds from the contact's first message to the first later one of a bot",
            Self::Contained => "a contact and a bot wrote, no agent did, and the provider does not say escalated",
            Self::Escalated => "the provider says so, or an agent wrote",
            Self::Answered => "the last word, system messages apart, is not the contact's",
            Self::Reopened => "how often it went on after more than 24 hours of silence",
        }
    }
}

/// Live messages with a time in their order; conditions follow.
const LIVE: &str =
    "FROM messages AS m WHERE m.conversation_id = ?1 AND m.deleted_at_ms IS NULL AND m.sent_at_ms IS NOT NULL";

/// Explains a metric of a conversation, by its row id. `None`: it is deleted, so it is in no metric.
///
/// # Errors
/// SQLite failed.
pub fn explain(conn: &Connection, metric: Metric, conversation: i64) -> Result<Option<Explanation>, StoreError> {
    read(conn, metric, conversation).map_err(StoreError::sql("explaining a metric"))
}

fn read(conn: &Connection, metric: Metric, id: i64) -> rusqlite::Result<Option<Explanation>> {
    let sql = format!("SELECT {} FROM v_conversations WHERE conversation_id = ?1", metric.column());
    let number = |row: &rusqlite::Row<'_>| {
        Ok(match row.get_ref(0)? {
            ValueRef::Integer(number) => Some(Number::Whole(number)),
            ValueRef::Real(seconds) => Some(Number::Seconds(seconds)),
            _ => None,
        })
    };
    let Some(value) = conn.query_row(&sql, [id], number).optional()? else {
        return Ok(None);
    };
    let provider: String = conn.query_row(
        "SELECT s.provider FROM conversations AS c JOIN sources AS s ON s.id = c.source_id WHERE c.id = ?1",
        [id],
        |row| row.get(0),
    )?;
    let (because, messages) = match metric {
        Metric::FirstResponse => response(conn, id, "'bot', 'agent'")?,
        Metric::FirstAgentResponse => response(conn, id, "'agent'")?,
        Metric::FirstBotResponse => response(conn, id, "'bot'")?,
        Metric::Contained | Metric::Escalated if provider == "brilliant_directories" => {
            ("this provider has no bots, so it does not apply".to_owned(), Vec::new())
        }
        Metric::Contained | Metric::Escalated => hands(conn, id)?,
        Metric::Answered => {
            let last = first(conn, id, "the last word", "AND m.author_kind IN ('contact', 'bot', 'agent')", "DESC")?;
            let because = match &last {
                Some(last) if last.author_kind == "contact" => "the contact had the last word".to_owned(),
                Some(last) => format!("the last word is the {}'s", last.author_kind),
                None if speaks(conn, id, "'contact', 'bot', 'agent'")? => {
                    "nobody knows when anything was said".to_owned()
                }
                None => "nobody said anything".to_owned(),
            };
            (because, last.into_iter().collect())
        }
        Metric::Reopened => episodes(conn, id)?,
    };
    Ok(Some(Explanation { metric: metric.column(), value, meaning: metric.meaning(), because, messages }))
}

fn response(conn: &Connection, id: i64, by: &str) -> rusqlite::Result<(String, Vec<Evidence>)> {
    let Some(asked) = first(conn, id, "asked", "AND m.author_kind = 'contact'", "ASC")? else {
        let because = match speaks(conn, id, "'contact'")? {
            true => "nobody knows when the contact wrote",
            false => "the contact wrote nothing",
        };
        return Ok((because.to_owned(), Vec::new()));
    };
    let later = format!(
        "AND m.author_kind IN ({by}) AND (m.sent_at_ms, m.seq, m.id) > (
           SELECT m.sent_at_ms, m.seq, m.id {LIVE} AND m.author_kind = 'contact' ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1)"
    );
    let Some(replied) = first(conn, id, "replied", &later, "ASC")? else {
        return Ok(("there is no reply after it".to_owned(), vec![asked]));
    };
    let because = if asked.sent_at == replied.sent_at {
        "question and answer carry one time, so how long it took is not known"
    } else {
        "the time between these two"
    };
    Ok((because.to_owned(), vec![asked, replied]))
}

/// Whether one of these kinds wrote, at whatever time.
fn speaks(conn: &Connection, id: i64, kinds: &str) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = ?1 AND deleted_at_ms IS NULL
           AND author_kind IN ({kinds}))"
    );
    conn.query_row(&sql, [id], |row| row.get(0))
}

/// Who had a hand in it.
fn hands(conn: &Connection, id: i64) -> rusqlite::Result<(String, Vec<Evidence>)> {
    let told: Option<bool> =
        conn.query_row("SELECT escalated FROM conversations WHERE id = ?1", [id], |row| row.get(0))?;
    let mut messages = Vec::new();
    let mut said = vec![match told {
        Some(true) => "the provider says escalated".to_owned(),
        Some(false) => "the provider says not escalated".to_owned(),
        None => "the provider says nothing of escalation".to_owned(),
    }];
    for (role, kind) in [("first of the contact", "contact"), ("first of a bot", "bot"), ("first of an agent", "agent")]
    {
        // Messages without a time are counted too.
        let found = first_of(conn, id, role, kind)?;
        said.push(format!("{} wrote", if found.is_some() { kind.to_owned() } else { format!("no {kind}") }));
        messages.extend(found);
    }
    Ok((said.join(", "), messages))
}

fn episodes(conn: &Connection, id: i64) -> rusqlite::Result<(String, Vec<Evidence>)> {
    let began: Vec<String> = conn
        .prepare("SELECT began_at FROM v_episodes WHERE conversation_id = ?1 ORDER BY episode")?
        .query_map([id], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut messages = Vec::new();
    let mut opening = conn.prepare(
        "SELECT m.external_id, m.sent_at, m.author_kind, m.body_text FROM messages AS m
         WHERE m.conversation_id = ?1 AND m.deleted_at_ms IS NULL AND m.sent_at = ?2
           AND m.author_kind IN ('contact', 'bot', 'agent') ORDER BY m.seq, m.id LIMIT 1",
    )?;
    for at in began.iter().skip(1) {
        messages.extend(opening.query_row((id, at), |row| evidence("went on with", row)).optional()?);
    }
    Ok((format!("it has {} episodes", began.len()), messages))
}

/// The first message, or the last (`DESC`), that meets a condition written here.
fn first(
    conn: &Connection,
    id: i64,
    role: &'static str,
    such: &str,
    order: &str,
) -> rusqlite::Result<Option<Evidence>> {
    let sql = format!(
        "SELECT m.external_id, m.sent_at, m.author_kind, m.body_text {LIVE} {such}
         ORDER BY m.sent_at_ms {order}, m.seq {order}, m.id {order} LIMIT 1"
    );
    conn.query_row(&sql, [id], |row| evidence(role, row)).optional()
}

fn first_of(conn: &Connection, id: i64, role: &'static str, kind: &str) -> rusqlite::Result<Option<Evidence>> {
    conn.query_row(
        "SELECT m.external_id, m.sent_at, m.author_kind, m.body_text FROM messages AS m
         WHERE m.conversation_id = ?1 AND m.deleted_at_ms IS NULL AND m.author_kind = ?2
         ORDER BY m.sent_at_ms IS NULL, m.sent_at_ms, m.seq, m.id LIMIT 1",
        rusqlite::params![id, kind],
        |row| evidence(role, row),
    )
    .optional()
}

fn evidence(role: &'static str, row: &rusqlite::Row<'_>) -> rusqlite::Result<Evidence> {
    Ok(Evidence {
        role,
        message_external_id: row.get(0)?,
        sent_at: row.get(1)?,
        author_kind: row.get(2)?,
        body_text: row.get(3)?,
    })
}
