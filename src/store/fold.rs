//! Batches that share a transaction, and what follows from their rows once for all of them.

use rusqlite::Connection;

use super::batch::Batch;
use super::commit::Tx;
use super::fulltext::Texts;
use super::{Committed, StoreError, people, stats};

/// The batches of a transaction being applied. The caller holds the transaction, and rolls it back on an error.
pub(super) struct Fold<'c> {
    conn: &'c Connection,
    /// What is known of the source of the last batch.
    tx: Option<Tx<'c>>,
    /// The change counter before the first batch that changed anything.
    since: Option<i64>,
}

/// Applies one batch and all that follows from it.
pub(super) fn apply(conn: &Connection, batch: &Batch) -> Result<Committed, StoreError> {
    let mut fold = Fold::new(conn);
    let committed = fold.apply(batch)?;
    fold.settle(false)?;
    Ok(committed)
}

impl<'c> Fold<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        Self { conn, tx: None, since: None }
    }

    /// Applies a batch. What has to follow is noted, and follows with [`Fold::settle`].
    pub(super) fn apply(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        self.apply_rows(batch).map_err(StoreError::sql("storing a page"))
    }

    fn apply_rows(&mut self, batch: &Batch) -> rusqlite::Result<Committed> {
        let tx = match self.tx.take() {
            Some(tx) if tx.source_id == batch.source_id => tx,
            other => Tx::new(self.conn, batch, other.map(|tx| tx.texts).unwrap_or_default())?,
        };
        let tx = self.tx.insert(tx);
        let before = tx.rev;
        let counts = tx.apply(batch)?;
        if tx.rev != before {
            self.since.get_or_insert(before);
        }
        Ok(Committed { counts })
    }

    /// How many messages were made.
    pub(super) fn messages_made(&self) -> usize {
        self.tx.as_ref().map_or(0, |tx| tx.texts.count_made())
    }

    /// Lets the full-text index, the statistics and who is one person follow, at the end of the transaction. `texts_wait`:
    /// new messages may be left to a later filling of the index.
    pub(super) fn settle(self, texts_wait: bool) -> Result<(), StoreError> {
        let texts = self.tx.map(|tx| tx.texts).unwrap_or_default();
        follow(self.conn, texts, self.since, texts_wait).map_err(StoreError::sql("storing a page"))
    }
}

fn follow(conn: &Connection, mut texts: Texts, since: Option<i64>, texts_wait: bool) -> rusqlite::Result<()> {
    texts.settle(conn, texts_wait)?;
    let Some(since) = since else { return Ok(()) };
    stats::refresh(conn, since)?;
    let before: i64 =
        conn.prepare_cached("SELECT rev FROM change_counter WHERE id = 1")?.query_row([], |row| row.get(0))?;
    let mut rev = before;
    people::refresh(conn, since, || {
        rev += 1;
        rev
    })?;
    if rev != before {
        conn.prepare_cached("UPDATE change_counter SET rev = ?1 WHERE id = 1")?.execute([rev])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::{ConversationRow, MessageRow, ParticipantKind, ParticipantRow, Patch, RawRecord, Reject, Row};
    use crate::store::{Record, fulltext, open, shroud};

    /// What a record says: of a thread, of a message, or nothing that can be read.
    #[derive(Debug, Clone)]
    enum Said {
        Thread { contact: usize, agents: Vec<usize> },
        Message { id: usize, author: usize, text: usize },
        Broken { id: usize },
    }

    /// Ids that are numbers, one of them twice, and ids that are none.
    const IDS: [&str; 6] = ["7", "07", "8", "12", "x", "99999999999999999999"];
    /// The last of them was forgotten in the first source.
    const PEOPLE: [&str; 4] = ["ana", "ben", "cleo", "gone"];

    fn any_said() -> impl Strategy<Value = Said> {
        prop_oneof![
            (0..4_usize, prop::collection::vec(0..4_usize, 0..4))
                .prop_map(|(contact, agents)| Said::Thread { contact, agents }),
            (0..6_usize, 0..4_usize, 0..3_usize).prop_map(|(id, author, text)| Said::Message { id, author, text }),
            (0..6_usize).prop_map(|id| Said::Broken { id }),
        ]
    }

    fn record(said: &Said, ready: bool) -> Record {
        let json = RawValue::from_string(format!("\"{said:?}\"")).unwrap();
        let raw = |id: &str| RawRecord { id: Some(id.to_owned()), key: None, parent: None, seq: 0, json: json.clone() };
        let record = match said {
            Said::Thread { contact, agents } => {
                let row = ConversationRow {
                    external_id: "c".to_owned(),
                    contact: Patch::Set(PEOPLE[*contact].to_owned()),
                    agents: Patch::Set(agents.iter().map(|agent| PEOPLE[*agent].to_owned()).collect()),
                    ..ConversationRow::default()
                };
                Record::new("threads", raw("1"), Ok(vec![Row::Conversation(row)]))
            }
            Said::Message { id, author, text } => {
                let mut row = MessageRow::new("c", IDS[*id]);
                row.author = Some(PEOPLE[*author].to_owned());
                row.body_text = ["one", "two words", "three 三つ words"][*text].to_owned();
                row.sent_at_ms = Some(10 + i64::try_from(*id).unwrap());
                Record::new("messages", raw(IDS[*id]), Ok(vec![Row::Message(row)]))
            }
            Said::Broken { id } => Record::new("messages", raw(IDS[*id]), Err(Reject::normalise("$.at", "no time"))),
        };
        if ready { record.made_ready() } else { record }
    }

    /// Two sources; in the first, somebody was forgotten.
    fn store() -> Connection {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = open::open_writer(&folder.path().join("t.db"), 1).unwrap();
        // The index is kept in step from here on.
        fulltext::catch_up(&mut conn).unwrap();
        conn.execute_batch(
            "INSERT INTO sources (id, name, provider, base_url) VALUES (1, 'a', 'zaia', 'u'), (2, 'b', 'zaia', 'u');
             INSERT INTO sync_runs (id, source_id, mode, status, started_at_ms)
             VALUES (1, 1, 'backfill', 'running', 1), (2, 2, 'backfill', 'running', 1);
             UPDATE erasure SET key = zeroblob(32);",
        )
        .unwrap();
        let pseudonym = shroud::pseudonym(&shroud::read_key(&conn).unwrap(), 1, "gone");
        conn.execute(
            "INSERT INTO participants (id, source_id, external_id, kind, rev) VALUES (1, 1, ?1, 'unknown', 0)",
            [pseudonym],
        )
        .unwrap();
        conn.execute("INSERT INTO forgotten (source_id, participant_id, forgotten_at_ms) VALUES (1, 1, 12)", [])
            .unwrap();
        conn
    }

    fn rows(conn: &Connection) -> Vec<String> {
        [
            "SELECT json_array(id, source_id, external_id, kind) FROM participants ORDER BY id",
            "SELECT json_array(id, source_id, external_id, contact_id, last_message_at_ms, complete) FROM conversations ORDER BY id",
            "SELECT json_array(conversation_id, participant_id, role) FROM conversation_roles ORDER BY 1",
            "SELECT json_array(id, external_id, author_id, author_kind, body_text, content_hash, erased_at_ms) FROM messages ORDER BY id",
            "SELECT json_array(message_id, revision, body_text) FROM message_revisions ORDER BY 1",
            "SELECT json_array(source_id, stream, external_id, id_number, row_id, hash, codec, hex(body)) FROM raw_records ORDER BY 1",
            "SELECT json_array(source_id, external_id, body, resolved_at_ms IS NULL) FROM dead_letters ORDER BY 1",
            "SELECT json_array(conversation_id, messages, contact_messages, agent_messages, answered) FROM conversation_stats ORDER BY 1",
            "SELECT json_array(rowid) FROM message_search WHERE message_search MATCH 'words' ORDER BY rowid",
            "SELECT json_array(message_id, form) FROM search_forms ORDER BY 1",
            "SELECT json_array(id, rows_in, inserted, updated, deleted, dead) FROM sync_runs ORDER BY id",
        ]
        .iter()
        .flat_map(|sql| {
            let mut statement = conn.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect::<Vec<String>>()
        })
        .collect()
    }

    /// As after the newest messages were taken out by hand: the next have their numbers.
    #[test]
    fn a_new_message_is_found_where_the_index_has_its_number_already() {
        let conn = store();
        conn.execute("INSERT INTO message_search (rowid, body_text) VALUES (1000, 'nobody')", []).unwrap();
        let said = Said::Message { id: 0, author: 0, text: 1 };
        let batch =
            Batch { source_id: 1, run_id: 1, now_ms: 1000, records: vec![record(&said, false)], ..Batch::default() };
        apply(&conn, &batch).unwrap();
        let found = "SELECT rowid FROM message_search WHERE message_search MATCH 'words'";
        assert_eq!(conn.query_row(found, [], |row| row.get::<_, i64>(0)), Ok(1));
    }

    fn apply_row(conn: &Connection, id: &str, row: Row) {
        let json = RawValue::from_string(format!("\"{id}\"")).unwrap();
        let raw = RawRecord { id: Some(id.to_owned()), key: None, parent: None, seq: 0, json };
        let records = vec![Record::new("messages", raw, Ok(vec![row]))];
        apply(conn, &Batch { source_id: 2, run_id: 2, now_ms: 1000, records, ..Batch::default() }).unwrap();
    }

    #[test]
    fn who_is_no_agent_after_all_wrote_nothing_as_one() {
        let conn = store();
        let ben = |kind| {
            Row::Participant(ParticipantRow {
                external_id: "ben".to_owned(),
                kind: Patch::Set(kind),
                ..Default::default()
            })
        };
        let mut row = MessageRow::new("c", "1");
        (row.author, row.kind_follows_participant) = (Some("ben".to_owned()), true);
        let wrote = || conn.query_row("SELECT author_kind FROM messages", [], |row| row.get::<_, String>(0)).unwrap();
        apply_row(&conn, "m", Row::Message(row));
        assert_eq!(wrote(), "unknown");
        apply_row(&conn, "a", ben(ParticipantKind::Agent));
        assert_eq!(wrote(), "agent");
        apply_row(&conn, "c", ben(ParticipantKind::Contact));
        assert_eq!(wrote(), "unknown");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// What a transaction has learnt is what the tables say.
        #[test]
        fn batches_that_share_a_transaction_come_to_the_same_as_alone(
            batches in prop::collection::vec(
                (prop::sample::select(vec![1_i64, 1, 1, 2]), prop::collection::vec(any_said(), 0..5)), 1..7),
            ready in any::<bool>(),
        ) {
            let batch = |(source_id, said): &(i64, Vec<Said>)| Batch {
                source_id: *source_id,
                run_id: *source_id,
                now_ms: 1000,
                records: said.iter().map(|said| record(said, ready)).collect(),
                ..Batch::default()
            };
            let (together, alone) = (store(), store());
            let mut fold = Fold::new(&together);
            for one in &batches {
                let shared = fold.apply(&batch(one)).unwrap().counts;
                prop_assert_eq!(shared, apply(&alone, &batch(one)).unwrap().counts);
            }
            fold.settle(false).unwrap();
            prop_assert_eq!(rows(&together), rows(&alone));
        }
    }
}
