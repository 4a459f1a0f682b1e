//! `conversation_stats`: what the view `conversation_metrics` says, kept for every conversation.
//!
//! The view is the definition. Whoever changes rows calls [`refresh`] in the same transaction, so table and definition
//! never differ, whenever a process dies. A change of content is known by its `rev`.

use rusqlite::{Connection, params};

/// The columns of both, in one order.
const COLUMNS: &str = "conversation_id, messages, contact_messages, bot_messages, agent_messages, first_message_at_ms, \
    last_message_at_ms, first_contact_at_ms, last_contact_at_ms, first_response_by, first_response_ms, \
    first_bot_response_ms, first_agent_response_ms, answered, waiting_since_ms, reopened";

/// Renews the rows of every conversation that changed, itself or in one of its messages, after `rev`.
pub(super) fn refresh(conn: &Connection, rev: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(&format!(
        "INSERT OR REPLACE INTO conversation_stats ({COLUMNS})
         SELECT {COLUMNS} FROM conversation_metrics WHERE conversation_id IN (
           SELECT conversation_id FROM messages WHERE rev > ?1
           UNION SELECT id FROM conversations WHERE rev > ?1)"
    ))?
    .execute(params![rev])?;
    Ok(())
}
