//! What the overview is made of: everything that has to be counted over all conversations, read in two scans and small
//! enough to be kept in memory. Definitions are those of docs/metrics.md; the views say the same.

use std::collections::{BTreeMap, HashSet};

use rusqlite::Connection;
use serde::Serialize;

use super::{change_number, reporting_zone};
use crate::store::StoreError;

/// Milliseconds of a bucket of [`Digest::asked`]: every zone's clocks differ from UTC by a multiple of it.
pub const QUARTER_MS: i64 = 900_000;
const DAY_MS: i64 = 86_400_000;
/// Conversations shown of those that wait.
const WAITING: usize = 20;

/// The figures of one moment.
#[derive(Debug)]
pub struct Digest {
    /// The store's change number then.
    pub rev: i64,
    /// The reporting zone.
    pub zone: String,
    /// By UTC day (days since 1970) of the first contact message and by source (its place in `sources`).
    pub days: BTreeMap<(i64, usize), Day>,
    pub sources: Vec<SourceSums>,
    /// Contact messages by quarter of an hour since 1970 UTC.
    pub asked: BTreeMap<i64, u32>,
    /// Who has been waiting longest first, and how many there are.
    pub waiting: Vec<Waiting>,
    pub waiting_count: i64,
}

/// What began on one day.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Day {
    pub conversations: u64,
    pub contact_messages: i64,
    pub bot_messages: i64,
    pub agent_messages: i64,
    /// Conversations with a provider that has bots.
    pub with_bots: u64,
    pub contained: u64,
    pub escalated: u64,
    pub unanswered: u64,
    /// First responses in milliseconds, as far as they are known.
    pub first_responses: Vec<i64>,
}

/// What is live of a source.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SourceSums {
    pub name: String,
    pub provider: String,
    pub conversations: u64,
    pub messages: i64,
}

/// Somebody who waits for an answer.
#[derive(Debug, Clone, Serialize)]
pub struct Waiting {
    pub conversation_id: i64,
    pub source: String,
    pub contact: Option<String>,
    pub title: Option<String>,
    #[serde(rename = "waiting_since", serialize_with = "super::time")]
    pub waiting_since_ms: i64,
}

/// Reads it. The connection stands in one transaction meanwhile, so all figures are of one moment.
///
/// # Errors
/// SQLite failed, or it took too long.
pub fn digest(connection: &mut Connection) -> Result<Digest, StoreError> {
    let doing = "reading the figures of the overview";
    let moment = connection.transaction().map_err(StoreError::sql(doing))?;
    let (rev, zone) = (change_number(&moment)?, reporting_zone(&moment)?);
    let mut digest = Digest {
        rev,
        zone,
        days: BTreeMap::new(),
        sources: Vec::new(),
        asked: BTreeMap::new(),
        waiting: Vec::new(),
        waiting_count: 0,
    };
    read(&moment, &mut digest).map_err(StoreError::sql(doing))?;
    Ok(digest)
}

fn read(connection: &Connection, digest: &mut Digest) -> rusqlite::Result<()> {
    let sources: Vec<(i64, String, String)> = connection
        .prepare("SELECT id, name, provider FROM sources ORDER BY id")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let has_bots: Vec<bool> = sources.iter().map(|(_, _, provider)| provider != "brilliant_directories").collect();
    let ids: Vec<i64> = sources.iter().map(|(id, ..)| *id).collect();
    digest.sources =
        sources.into_iter().map(|(_, name, provider)| SourceSums { name, provider, ..SourceSums::default() }).collect();
    let deleted = conversations(connection, digest, &ids, &has_bots)?;
    hours(connection, digest, &deleted)?;
    waiting(connection, digest)
}

/// One scan of conversations; comes back with those that were deleted.
fn conversations(
    connection: &Connection,
    digest: &mut Digest,
    ids: &[i64],
    has_bots: &[bool],
) -> rusqlite::Result<HashSet<i64>> {
    let mut deleted = HashSet::new();
    let mut statement = connection.prepare(
        "SELECT c.id, c.source_id, c.deleted_at_ms IS NOT NULL, coalesce(c.escalated, 0), k.messages, k.contact_messages,
                k.bot_messages, k.agent_messages, k.first_contact_at_ms, k.first_response_ms, k.answered
         FROM conversation_stats AS k CROSS JOIN conversations AS c ON c.id = k.conversation_id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if row.get(2)? {
            deleted.insert(row.get(0)?);
            continue;
        }
        let source_id: i64 = row.get(1)?;
        let Some(source) = ids.iter().position(|id| *id == source_id) else { continue };
        if let Some(sums) = digest.sources.get_mut(source) {
            sums.conversations += 1;
            sums.messages += row.get::<_, i64>(4)?;
        }
        let Some(first) = row.get::<_, Option<i64>>(8)? else { continue };
        let day = digest.days.entry((first.div_euclid(DAY_MS), source)).or_default();
        let (contact, bot, agent): (i64, i64, i64) = (row.get(5)?, row.get(6)?, row.get(7)?);
        day.conversations += 1;
        day.contact_messages += contact;
        day.bot_messages += bot;
        day.agent_messages += agent;
        let answered: bool = row.get(10)?;
        day.unanswered += u64::from(!answered);
        if has_bots.get(source).copied().unwrap_or(false) {
            let escalated = row.get::<_, bool>(3)? || agent > 0;
            day.with_bots += 1;
            day.escalated += u64::from(escalated);
            day.contained += u64::from(bot > 0 && !escalated);
        }
        if let Some(response_ms) = row.get::<_, Option<i64>>(9)? {
            day.first_responses.push(response_ms);
        }
    }
    Ok(deleted)
}

/// One scan of an index that holds all it takes.
fn hours(connection: &Connection, digest: &mut Digest, deleted: &HashSet<i64>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT conversation_id, sent_at_ms FROM messages INDEXED BY messages_timeline
         WHERE author_kind = 'contact' AND deleted_at_ms IS NULL AND sent_at_ms IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    // Messages of a conversation follow each other: most fall into the quarter before.
    let mut last = (i64::MIN, 0_u32);
    while let Some(row) = rows.next()? {
        if !deleted.is_empty() && deleted.contains(&row.get(0)?) {
            continue;
        }
        let quarter = row.get::<_, i64>(1)?.div_euclid(QUARTER_MS);
        if quarter == last.0 {
            last.1 += 1;
            continue;
        }
        if last.1 > 0 {
            *digest.asked.entry(last.0).or_default() += last.1;
        }
        last = (quarter, 1);
    }
    if last.1 > 0 {
        *digest.asked.entry(last.0).or_default() += last.1;
    }
    Ok(())
}

fn waiting(connection: &Connection, digest: &mut Digest) -> rusqlite::Result<()> {
    const WHO: &str = "FROM conversation_stats AS k INDEXED BY conversation_stats_waiting
        CROSS JOIN conversations AS c ON c.id = k.conversation_id
        WHERE k.waiting_since_ms IS NOT NULL AND c.deleted_at_ms IS NULL";
    digest.waiting_count = connection.query_row(&format!("SELECT count(*) {WHO}"), [], |row| row.get(0))?;
    let sql = format!(
        "SELECT c.id, (SELECT name FROM sources WHERE id = c.source_id),
           (SELECT name FROM participants WHERE id = c.contact_id), c.title, k.waiting_since_ms
         {WHO} ORDER BY k.waiting_since_ms, k.conversation_id LIMIT {WAITING}"
    );
    digest.waiting = connection
        .prepare(&sql)?
        .query_map([], |row| {
            Ok(Waiting {
                conversation_id: row.get(0)?,
                source: row.get(1)?,
                contact: row.get(2)?,
                title: row.get(3)?,
                waiting_since_ms: row.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(())
}
