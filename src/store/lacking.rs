//! Conversations that are known or suspected to lack messages for another reason than their own fetch: one of their
//! messages lies among the dead letters, or the list that brings the messages was not read to its end.

use rusqlite::{Connection, params};

use super::commit::Tx;

/// `conversations.incomplete_reason`: a message of it could not be read, and lies among the dead letters.
pub(super) const DEAD_LETTER: &str = "dead_letter";

/// `conversations.incomplete_reason`: its messages come with a list that was not read to its end since it was met.
pub(super) const UNREAD: &str = "unread";

/// Those of a source. By both columns: there is an index of what is not complete.
const ALL_UNREAD: &str = "source_id = ?1 AND complete = 0 AND incomplete_reason = 'unread'";

/// The stream that letters of messages are kept under.
const MESSAGES: &str = "messages";

/// Whether the source was never read to its end.
pub(super) fn in_first_pass(conn: &Connection, source_id: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT first_pass_at_ms IS NULL FROM sources WHERE id = ?1")?
        .query_row([source_id], |row| row.get(0))
}

impl Tx<'_> {
    /// Whether a message of a conversation lies among the dead letters.
    pub(super) fn has_letters(&self, conversation: &str) -> rusqlite::Result<bool> {
        if !self.letters {
            return Ok(false);
        }
        self.conn
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM dead_letters
                 WHERE source_id = ?1 AND parent = ?2 AND stream = ?3 AND resolved_at_ms IS NULL)",
            )?
            .query_row(params![self.source_id, conversation, MESSAGES], |row| row.get(0))
    }

    /// A message of a conversation was put to the dead letters of a stream.
    pub(super) fn lacks_letter(&mut self, stream: &str, conversation: Option<&str>) -> rusqlite::Result<()> {
        let Some(conversation) = conversation.filter(|_| stream == MESSAGES) else { return Ok(()) };
        let rev = self.next_rev();
        let marked = self
            .conn
            .prepare_cached(
                "UPDATE conversations SET complete = 0, incomplete_reason = ?3, rev = ?4
                 WHERE source_id = ?1 AND external_id = ?2 AND (complete = 1 OR incomplete_reason = ?5)",
            )?
            .execute(params![self.source_id, conversation, DEAD_LETTER, rev, UNREAD])?;
        if marked == 0 {
            self.give_back_rev();
        }
        Ok(())
    }

    /// A conversation was read whole, and every message of it could be read: what lies among the dead letters is gone, or
    /// came again and was good.
    pub(super) fn settle_letters_of(&mut self, conversation: &str) -> rusqlite::Result<()> {
        if !self.letters {
            return Ok(());
        }
        let settled = self
            .conn
            .prepare_cached(
                "UPDATE dead_letters SET resolved_at_ms = ?4
                 WHERE source_id = ?1 AND parent = ?2 AND stream = ?3 AND resolved_at_ms IS NULL",
            )?
            .execute(params![self.source_id, conversation, MESSAGES, self.now_ms])?;
        self.letters_settled |= settled > 0;
        Ok(())
    }

    /// What a conversation that was just met lacks, if anything; `fetched`: its messages are asked for by conversation.
    /// The others lack all messages until the list of messages was read to its end: if the run dies before, it is said.
    pub(super) fn lacking_from_the_start(
        &self,
        conversation: &str,
        fetched: bool,
    ) -> rusqlite::Result<Option<&'static str>> {
        if self.has_letters(conversation)? {
            return Ok(Some(DEAD_LETTER));
        }
        Ok((!fetched).then_some(UNREAD))
    }

    /// Takes the mark off conversations whose dead letters are all settled.
    pub(super) fn settle_letters(&mut self) -> rusqlite::Result<()> {
        settle_letters(self.conn, self.source_id, self.first_pass, &mut self.rev)
    }
}

/// The same, on its own: the caller holds the transaction, and changed dead letters.
pub(super) fn letters_changed(conn: &Connection, source_id: i64) -> rusqlite::Result<()> {
    let before: i64 = conn.query_row("SELECT rev FROM change_counter WHERE id = 1", [], |row| row.get(0))?;
    let mut rev = before;
    settle_letters(conn, source_id, in_first_pass(conn, source_id)?, &mut rev)?;
    keep_counter(conn, before, rev)
}

fn keep_counter(conn: &Connection, before: i64, rev: i64) -> rusqlite::Result<()> {
    if rev != before {
        conn.execute("UPDATE change_counter SET rev = ?1 WHERE id = 1", [rev])?;
    }
    Ok(())
}

fn settle_letters(conn: &Connection, source_id: i64, first_pass: bool, rev: &mut i64) -> rusqlite::Result<()> {
    let settled: Vec<(i64, bool)> = conn
        .prepare_cached(
            "SELECT id, list_fingerprint IS NULL FROM conversations AS c
             WHERE source_id = ?1 AND incomplete_reason = 'dead_letter'
             AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.source_id = ?1 AND d.parent = c.external_id
               AND d.stream = 'messages' AND d.resolved_at_ms IS NULL)",
        )?
        .query_map([source_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, by_list) in settled {
        let reason = (first_pass && by_list).then_some(UNREAD);
        *rev += 1;
        conn.prepare_cached("UPDATE conversations SET complete = ?2, incomplete_reason = ?3, rev = ?4 WHERE id = ?1")?
            .execute(params![id, reason.is_none(), reason, *rev])?;
    }
    Ok(())
}

/// The list of messages was read to its end: what was met before lacks nothing of it.
pub(super) fn messages_read(conn: &Connection, source_id: i64) -> rusqlite::Result<()> {
    restamp(conn, source_id, "complete = 1, incomplete_reason = NULL", ALL_UNREAD)
}

/// The list of messages could not be read to its end in a run: what the run met or changed may lack some. Those whose
/// messages are fetched by conversation have marks of their own.
pub(super) fn messages_unread(conn: &Connection, source_id: i64, since_rev: i64) -> rusqlite::Result<()> {
    // Along the changes: few are so new.
    let met = format!(
        "+source_id = ?1 AND rev > {since_rev} AND complete = 1 AND deleted_at_ms IS NULL AND list_fingerprint IS NULL"
    );
    restamp(conn, source_id, "complete = 0, incomplete_reason = 'unread'", &met)
}

/// Changes some conversations of a source, which are none of `which` afterwards, each with a change number of its own. A
/// statement for each: of one for all, SQLite could take back half, and keeps a copy of every page in memory for that.
fn restamp(conn: &Connection, source_id: i64, set: &str, which: &str) -> rusqlite::Result<()> {
    /// Ids that are held at a time.
    const SLICE: i64 = 10_000;
    let before: i64 = conn.query_row("SELECT rev FROM change_counter WHERE id = 1", [], |row| row.get(0))?;
    let mut rev = before;
    let mut those = conn.prepare(&format!("SELECT id FROM conversations WHERE {which} LIMIT ?2"))?;
    let mut change = conn.prepare(&format!("UPDATE conversations SET {set}, rev = ?2 WHERE id = ?1"))?;
    loop {
        let mut ids: Vec<i64> =
            those.query_map([source_id, SLICE], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        ids.sort_unstable();
        if ids.is_empty() {
            return keep_counter(conn, before, rev);
        }
        for id in ids {
            rev += 1;
            change.execute([id, rev])?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open;

    /// An idle pass must not cost more the larger the store is.
    #[test]
    fn no_list_of_conversations_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let conn = open::open_writer(&folder.path().join("t.db"), 1).unwrap();
        for which in [
            ALL_UNREAD,
            "+source_id = ?1 AND rev > 7 AND complete = 1",
            "source_id = ?1 AND incomplete_reason = 'dead_letter'",
        ] {
            let mut statement =
                conn.prepare(&format!("EXPLAIN QUERY PLAN SELECT id FROM conversations WHERE {which}")).unwrap();
            let plan: Vec<String> =
                statement.query_map([1], |row| row.get(3)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
            let plan = plan.join("; ");
            let narrow = ["conversations_incomplete", "conversations_rev", "conversations_lettered"];
            assert!(narrow.iter().any(|index| plan.contains(index)), "{which}: {plan}");
        }
    }
}
