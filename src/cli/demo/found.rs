//! What the file holds after the passes, read from the same views that everybody uses.

use std::path::Path;

use serde::Serialize;

use crate::store::{
    Beside, ConversationHead, Line, StoreError, TranscriptError, find_conversation, open_reader, transcript,
};

/// What there is to tell about.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    pub(super) groups: Vec<Group>,
    /// Messages that were edited or deleted at the provider: what they said before is kept.
    pub(super) revisions: i64,
    pub(super) conversations_deleted: i64,
    #[serde(skip)]
    pub(super) excerpt: Option<(ConversationHead, Vec<(Line, Beside)>)>,
}

/// The live conversations of a source on one channel.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Group {
    pub(super) source: String,
    pub(super) channel: Option<String>,
    pub(super) conversations: i64,
    pub(super) messages: i64,
    /// Median, in seconds; `None` where the provider does not tell when something was answered.
    pub(super) first_response_seconds: Option<f64>,
    /// `None` where the provider has no bots.
    pub(super) contained: Option<i64>,
    pub(super) escalated: Option<i64>,
}

const GROUPS: &str = "
    WITH ranked AS (
      SELECT source, channel, messages, contained, escalated, first_response_seconds AS seconds,
        row_number() OVER (PARTITION BY source, channel, first_response_seconds IS NULL ORDER BY first_response_seconds)
          AS place,
        count(first_response_seconds) OVER (PARTITION BY source, channel) AS timed
      FROM v_conversations
    )
    SELECT source, channel, count(*), sum(messages),
      avg(seconds) FILTER (WHERE seconds IS NOT NULL AND place IN ((timed + 1) / 2, (timed + 2) / 2)),
      sum(contained), sum(escalated)
    FROM ranked GROUP BY source, channel ORDER BY source, channel";

/// A conversation that begins with a bot and ends with a human, short, in English if there is one.
const EXCERPT: &str = "
    SELECT conversation_external_id FROM v_conversations AS c
    WHERE contact IS NOT NULL AND bot_messages > 0 AND agent_messages > 0
    ORDER BY EXISTS (SELECT 1 FROM v_messages AS m WHERE m.conversation_id = c.conversation_id
                       AND m.author_kind = 'agent' AND m.body_text LIKE '% the %') DESC, messages, conversation_id
    LIMIT 1";

impl Found {
    /// Reads it all.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self, TranscriptError> {
        let store = open_reader(path)?;
        let doing = "reading what the demonstration brought";
        let number = |sql: &str| store.query_row(sql, [], |row| row.get(0)).map_err(StoreError::sql(doing));
        let groups = store
            .prepare(GROUPS)
            .and_then(|mut statement| {
                let groups = statement.query_map([], |row| {
                    Ok(Group {
                        source: row.get(0)?,
                        channel: row.get(1)?,
                        conversations: row.get(2)?,
                        messages: row.get(3)?,
                        first_response_seconds: row.get(4)?,
                        contained: row.get(5)?,
                        escalated: row.get(6)?,
                    })
                })?;
                groups.collect()
            })
            .map_err(StoreError::sql(doing))?;
        let chosen: Option<String> = store
            .prepare(EXCERPT)
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.next().transpose())
            .map_err(StoreError::sql(doing))?;
        let excerpt = match chosen {
            Some(id) => {
                let head = find_conversation(&store, &id)?;
                let lines = transcript(&store, head.id)?;
                Some((head, lines))
            }
            None => None,
        };
        Ok(Self {
            groups,
            revisions: number("SELECT count(*) FROM message_revisions")?,
            conversations_deleted: number("SELECT count(*) FROM conversations WHERE deleted_at_ms IS NOT NULL")?,
            excerpt,
        })
    }
}
