//! The support metrics on a store made by hand, whose right answers are written out here; and that what is kept of them
//! is what their definition says.

use rusqlite::{Connection, params};

pub(crate) const SCHEMA: &[&str] = &[
    include_str!("../../migrations/0001_tables.sql"),
    include_str!("../../migrations/0001_views.sql"),
    include_str!("../../migrations/0002_keeping.sql"),
    include_str!("../../migrations/0003_metrics.sql"),
    include_str!("../../migrations/0003_people.sql"),
    include_str!("../../migrations/0003_search.sql"),
    include_str!("../../migrations/0003_pages.sql"),
];

/// Sunday, 1 March 2026, 10:00 UTC.
const TEN: i64 = 1_772_359_200_000;
const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The columns that `conversation_stats` shares with its definition.
pub(crate) const KEPT: &str = "conversation_id, messages, contact_messages, bot_messages, agent_messages,
    first_message_at_ms, last_message_at_ms, first_contact_at_ms, last_contact_at_ms, first_response_by,
    first_response_ms, first_bot_response_ms, first_agent_response_ms, answered, waiting_since_ms, reopened";

/// How many conversations' rows are not what the definition says.
pub(crate) fn differing(store: &Connection) -> i64 {
    let sql = format!(
        "SELECT (SELECT count(*) FROM (SELECT {KEPT} FROM conversation_metrics EXCEPT SELECT {KEPT} FROM conversation_stats))
              + (SELECT count(*) FROM (SELECT {KEPT} FROM conversation_stats EXCEPT SELECT {KEPT} FROM conversation_metrics))"
    );
    store.query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// A store with a directory (1), a workspace (2) and chatbots (3).
struct Store(Connection);

impl Store {
    fn new() -> Self {
        let store = Connection::open_in_memory().unwrap();
        SCHEMA.iter().for_each(|sql| store.execute_batch(sql).unwrap());
        store
            .execute_batch(
                "INSERT INTO sources (id, name, provider, base_url) VALUES
                   (1, 'directory', 'brilliant_directories', 'https://directory.example.test'),
                   (2, 'agents', 'zaia', 'https://zaia.example.test'),
                   (3, 'bots', 'sitegpt', 'https://sitegpt.example.test');
                 INSERT INTO channels (id, source_id, external_id, kind, rev) VALUES
                   (1, 1, 'c', 'live_chat', 1), (2, 2, 'c', 'whatsapp', 1), (3, 3, 'c', 'widget', 1);",
            )
            .unwrap();
        Self(store)
    }

    /// A conversation of a source, of messages such as `(0, "contact")`: seconds after ten, and who wrote.
    fn conversation(&self, source: i64, escalated: Option<i64>, messages: &[(i64, &str)]) -> i64 {
        let kept = self.0.query_row("SELECT coalesce(max(id), 0) + 1 FROM conversations", [], |row| row.get(0));
        let id: i64 = kept.unwrap();
        self.0
            .execute(
                "INSERT INTO conversations (id, source_id, external_id, channel_id, escalated, rev)
                 VALUES (?1, ?2, 'c' || ?1, ?2, ?3, 1)",
                params![id, source, escalated],
            )
            .unwrap();
        for (seq, (at, author)) in messages.iter().enumerate() {
            self.message(id, i64::try_from(seq).unwrap(), Some(TEN + at * SECOND), author);
        }
        self.settle();
        id
    }

    fn message(&self, conversation: i64, seq: i64, at: Option<i64>, author: &str) -> i64 {
        self.0
            .execute(
                "INSERT INTO messages (conversation_id, external_id, author_kind, kind, seq, sent_at_ms, body_text,
                   content_hash, rev) VALUES (?1, 'm' || ?2, ?3, iif(?3 = 'system', 'event', 'text'), ?2, ?4, 'x', 0, 1)",
                params![conversation, seq, author, at],
            )
            .unwrap();
        self.0.last_insert_rowid()
    }

    fn settle(&self) {
        self.0
            .execute(
                &format!("INSERT OR REPLACE INTO conversation_stats ({KEPT}) SELECT {KEPT} FROM conversation_metrics"),
                [],
            )
            .unwrap();
    }

    /// Rows, their values joined with `|`, NULL as `-`.
    fn rows(&self, sql: &str) -> Vec<String> {
        crate::harness::rows_of(&self.0, sql)
    }

    fn row(&self, columns: &str, conversation: i64) -> String {
        let rows = self.rows(&format!("SELECT {columns} FROM v_conversations WHERE conversation_id = {conversation}"));
        assert_eq!(rows.len(), 1);
        rows[0].clone()
    }
}

const WHO: &str = "messages, contact_messages, bot_messages, agent_messages";
const RESPONSES: &str =
    "first_response_seconds, first_response_by, first_bot_response_seconds, first_agent_response_seconds";
const OUTCOME: &str = "escalated, contained, answered, reopened";

#[test]
fn a_bot_answers_and_then_a_human() {
    let store = Store::new();
    let id = store.conversation(
        2,
        None,
        &[
            (0, "contact"),
            (4, "bot"),
            (60, "contact"),
            (61, "contact"),
            (90, "system"),
            (300, "agent"),
            (400, "contact"),
            (405, "agent"),
        ],
    );
    assert_eq!(store.row(WHO, id), "8|4|1|2");
    assert_eq!(
        store.row(RESPONSES, id),
        "4|bot|4|300",
        "a bot is no human, and the first turn counts from the first question"
    );
    assert_eq!(store.row(OUTCOME, id), "1|0|1|0", "an agent wrote");
    assert_eq!(
        store.rows("SELECT asked_at, replied_at, seconds, \"by\", first FROM v_response_times"),
        [
            "2026-03-01T10:00:00.000Z|2026-03-01T10:00:04.000Z|4|bot|1",
            "2026-03-01T10:01:00.000Z|2026-03-01T10:05:00.000Z|240|agent|0",
            "2026-03-01T10:06:40.000Z|2026-03-01T10:06:45.000Z|5|agent|0",
        ],
        "two questions in a row are one turn, and what the system says ends none"
    );
}

#[test]
fn only_a_bot_was_needed() {
    let store = Store::new();
    let contained = store.conversation(2, None, &[(0, "contact"), (2, "bot"), (10, "contact"), (12, "bot")]);
    assert_eq!(store.row(OUTCOME, contained), "0|1|1|0");
    let handed_over = store.conversation(3, Some(1), &[(0, "contact"), (2, "bot")]);
    assert_eq!(store.row(OUTCOME, handed_over), "1|0|1|0", "the provider's word counts, though nobody wrote");
    let greeting = store.conversation(2, None, &[(0, "bot")]);
    assert_eq!(store.row(OUTCOME, greeting), "0|0|1|0", "nobody asked, so nothing was contained");
    assert_eq!(store.row(RESPONSES, greeting), "-|-|-|-");
    let unheard = store.conversation(2, None, &[(0, "contact")]);
    assert_eq!(store.row(OUTCOME, unheard), "0|0|0|0");
}

#[test]
fn a_directory_has_no_bots() {
    let store = Store::new();
    let id = store.conversation(1, None, &[(0, "contact"), (30, "agent")]);
    assert_eq!(store.row(OUTCOME, id), "-|-|1|0", "not applicable is not zero");
    assert_eq!(store.row(RESPONSES, id), "30|agent|-|30");
    assert_eq!(store.rows("SELECT contained, escalated, unanswered FROM v_daily"), ["-|-|0"]);
}

#[test]
fn an_agent_speaks_first() {
    let store = Store::new();
    let id = store.conversation(2, None, &[(0, "agent"), (100, "contact"), (160, "agent")]);
    assert_eq!(store.row(RESPONSES, id), "60|agent|-|60", "the clock starts with the contact");
    assert_eq!(store.rows("SELECT seconds, first FROM v_response_times"), ["60|1"]);
    let unasked = store.conversation(2, None, &[(0, "agent")]);
    assert_eq!(store.row(OUTCOME, unasked), "1|0|1|0");
}

#[test]
fn question_and_answer_carry_one_time() {
    let store = Store::new();
    let id = store.conversation(3, None, &[(0, "contact"), (0, "bot"), (50, "contact"), (50, "bot"), (90, "agent")]);
    assert_eq!(store.row(RESPONSES, id), "-|bot|-|90", "unknown is not zero");
    assert_eq!(
        store.rows("SELECT seconds, \"by\", first FROM v_response_times"),
        ["-|bot|1", "-|bot|0"],
        "they are turns all the same"
    );
    assert_eq!(store.rows("SELECT count(*) FROM v_response_quantiles"), ["0"]);
    let reversed = store.conversation(3, None, &[(0, "bot"), (0, "contact")]);
    assert_eq!(store.row("answered", reversed), "0", "their order decides, not their time");
}

#[test]
fn deleted_and_undated_messages_and_deleted_conversations_do_not_count() {
    let store = Store::new();
    let id = store.conversation(2, None, &[(0, "contact"), (5, "bot"), (60, "contact"), (65, "agent")]);
    store.0.execute("UPDATE messages SET deleted_at_ms = 1 WHERE author_kind = 'agent'", []).unwrap();
    store.message(id, 9, None, "contact");
    store.settle();
    assert_eq!(store.row(WHO, id), "4|3|1|0", "what has no time is counted");
    assert_eq!(store.row("answered, waiting_since", id), "0|2026-03-01T10:01:00.000Z", "but opens and ends no turn");
    assert_eq!(store.row("escalated, contained", id), "0|1");
    assert_eq!(store.rows("SELECT seconds, \"by\" FROM v_response_times"), ["5|bot", "-|-"]);
    store.0.execute("UPDATE conversations SET deleted_at_ms = 1", []).unwrap();
    for view in ["v_conversations", "v_response_times", "v_daily", "v_hourly", "v_episodes"] {
        assert_eq!(store.rows(&format!("SELECT count(*) FROM {view}")), ["0"], "{view}");
    }
}

#[test]
fn an_endless_thread_has_episodes() {
    let store = Store::new();
    let day = DAY / SECOND;
    let id = store.conversation(
        2,
        None,
        &[
            (0, "contact"),
            (10, "bot"),
            (day + 10, "contact"),
            (day + 20, "bot"),
            (3 * day, "contact"),
            (3 * day, "bot"),
            (6 * day, "system"),
            (7 * day, "contact"),
        ],
    );
    assert_eq!(
        store.row("reopened", id),
        "2",
        "a day to the millisecond is no silence yet, and the system breaks none"
    );
    assert_eq!(
        store.rows("SELECT episode, began_at, ended_at, messages, contact_messages, bot_messages FROM v_episodes ORDER BY episode"),
        [
            "1|2026-03-01T10:00:00.000Z|2026-03-02T10:00:20.000Z|4|2|2",
            "2|2026-03-04T10:00:00.000Z|2026-03-04T10:00:00.000Z|2|1|1",
            "3|2026-03-08T10:00:00.000Z|2026-03-08T10:00:00.000Z|1|1|0",
        ]
    );
}

#[test]
fn medians_and_percentiles_say_of_how_many() {
    let store = Store::new();
    for seconds in [1, 2, 3, 4, 100] {
        store.conversation(2, None, &[(0, "contact"), (seconds, "bot")]);
    }
    store.conversation(2, None, &[(0, "contact"), (8, "agent")]);
    store.conversation(2, None, &[(0, "contact")]);
    assert_eq!(
        store.rows(
            "SELECT source, channel, \"by\", n, median_seconds, p90_seconds FROM v_response_quantiles ORDER BY 3"
        ),
        ["agents|whatsapp|-|6|3.5|100", "agents|whatsapp|agent|1|8|8", "agents|whatsapp|bot|5|3|100"],
        "who waits still is in none of them"
    );
}

#[test]
fn a_day_is_the_day_of_the_first_question() {
    let store = Store::new();
    store.conversation(2, None, &[(0, "contact"), (5, "bot"), (20 * 3_600, "contact")]);
    store.conversation(2, None, &[(60, "contact"), (65, "agent")]);
    store.conversation(2, None, &[(86_400, "contact")]);
    store.conversation(2, None, &[(0, "bot")]);
    assert_eq!(
        store.rows("SELECT * FROM v_daily ORDER BY day"),
        ["agents|whatsapp|2026-03-01|2|3|1|1|1|1|1", "agents|whatsapp|2026-03-02|1|1|0|0|0|0|1"]
    );
}

/// Clocks in New York went forward on 8 March 2026 at 07:00 UTC, from five hours behind UTC to four.
#[test]
fn hours_are_those_of_the_reporting_zone_over_a_change_of_clocks() {
    let store = Store::new();
    store
        .0
        .execute_batch(
            "DELETE FROM reporting_offsets;
             INSERT INTO reporting_offsets VALUES
               (-62135596800000, 1772953200000, -18000), (1772953200000, 253402300800000, -14400);",
        )
        .unwrap();
    let change = (1_772_953_200_000 - TEN) / SECOND;
    // Saturday, 23:30 and Sunday, 01:59:59; then 03:00:00 and again 03:59:59.
    let at = [change - 9_000, change - 1, change, change + 3_599];
    store.conversation(2, None, &at.map(|at| (at, "contact")));
    store.conversation(2, None, &[(change, "contact"), (change + 1, "bot")]);
    assert_eq!(
        store.rows("SELECT weekday, hour, conversations, contact_messages FROM v_hourly ORDER BY 1, 2"),
        ["0|1|1|1", "0|3|2|3", "6|23|1|1"]
    );
    let store = Store::new();
    store.0.execute("UPDATE reporting_offsets SET offset_seconds = 20700", []).unwrap();
    store.conversation(2, None, &[(0, "contact"), (-1_782_359_200, "contact")]);
    assert_eq!(
        store.rows("SELECT weekday, hour FROM v_hourly ORDER BY hour"),
        // The other message is of Sunday, 7 September 1969, 06:13 UTC.
        ["0|11", "0|15"],
        "zones differ by quarters of an hour, and time did not begin in 1970"
    );
}

#[test]
fn what_is_kept_is_what_is_defined() {
    let store = Store::new();
    let mut rng = chatloom::sim::Rng::new(11);
    for _ in 0..200 {
        let mut at = 0;
        let mut messages = Vec::new();
        for _ in 0..rng.between(0, 12) {
            at += if rng.chance(25) { 0 } else { rng.between(1, 60) * if rng.chance(5) { 3_000 } else { 1 } };
            messages.push((at, *rng.pick(&["contact", "bot", "agent", "system", "unknown"]).unwrap()));
        }
        store.conversation(rng.between(1, 3), None, &messages);
    }
    assert_eq!(differing(&store.0), 0);
    store.0.execute("UPDATE messages SET author_kind = 'agent' WHERE id = 17", []).unwrap();
    assert!(differing(&store.0) > 0, "a difference would be noticed");
    // Turns and conversations tell one story.
    store.settle();
    assert_eq!(
        store.rows(
            "SELECT count(*) FROM v_conversations AS c JOIN v_response_times AS t USING (conversation_id)
             WHERE t.first AND (c.first_response_seconds IS NOT t.seconds OR c.first_response_by IS NOT t.\"by\")"
        ),
        ["0"]
    );
    assert_eq!(
        store.rows(
            "SELECT count(*) FROM v_conversations AS c WHERE answered = EXISTS (
               SELECT 1 FROM v_response_times AS t WHERE t.conversation_id = c.conversation_id AND t.replied_at IS NULL)"
        ),
        ["0"]
    );
    assert_eq!(
        store.rows(
            "SELECT count(*) FROM v_conversations AS c WHERE reopened + 1 <> (
               SELECT max(episode) FROM v_episodes AS e WHERE e.conversation_id = c.conversation_id)"
        ),
        ["0"]
    );
}
