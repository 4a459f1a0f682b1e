//! A store worth looking at: the demonstration's conversations up to now, one that is out to do harm, and, for pictures,
//! many more like the first ones.

use chatloom::sim::{BdSim, SitegptSim, ZaiaSim, demo};
use rusqlite::Connection;

use crate::harness::{Home, bd_source, now_ms, sitegpt_source, zaia_source};
use crate::metrics::KEPT;
use crate::telling::{Answer, Listener};

/// What somebody writes who hopes that a page shows it as it is.
pub(crate) const HOSTILE: &str =
    "</div><script>alert('x')</script><img src=x onerror=\"alert(1)\"> &lt;b&gt; \u{202e}gnp.exe";

pub(crate) struct Stage {
    pub(crate) home: Home,
    pub(crate) listener: Listener,
}

impl Stage {
    /// Synced from simulated providers, then altered by `more`.
    pub(crate) async fn set(prefix: &str, token: Option<&str>, more: impl FnOnce(&Connection)) -> Self {
        let worlds = demo::worlds(4, now_ms());
        let (bd, zaia) = (BdSim::start(worlds.bd).await.unwrap(), ZaiaSim::start(worlds.zaia).await.unwrap());
        let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
        let sources = [
            bd_source(&format!("{prefix}directory"), &bd),
            zaia_source(&format!("{prefix}agents"), &zaia),
            sitegpt_source(&format!("{prefix}bots"), &sitegpt, "v2"),
        ];
        let home = Home::new(&sources.concat());
        home.sync().await;
        let store = Connection::open(home.db()).unwrap();
        harm(&store);
        more(&store);
        settle(&store);
        drop(store);
        let config = chatloom::config::load_with(
            Some(&home.folder.path().join("chatloom.toml")),
            &chatloom::config::Env::default(),
            std::path::Path::new("/"),
        )
        .unwrap();
        let listener = Listener::over(&config, token).await;
        Self { home, listener }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}/", self.listener.served.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.listener.get(path).await
    }

    /// One number of the store.
    #[track_caller]
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.home.number(sql)
    }
}

/// Statistics and index in step with what was put in by hand.
pub(crate) fn settle(store: &Connection) {
    store
        .execute_batch(&format!(
            "INSERT OR REPLACE INTO conversation_stats ({KEPT}) SELECT {KEPT} FROM conversation_metrics;
             INSERT INTO message_search (message_search) VALUES ('rebuild');
             UPDATE change_counter SET rev = (SELECT max(rev) FROM messages) + 1;"
        ))
        .unwrap();
}

/// A conversation of somebody who means harm, with every place that a text can stand in; and one that is too long.
fn harm(store: &Connection) {
    let now = now_ms();
    store
        .execute_batch(&format!(
            "CREATE TEMP TABLE evil (t TEXT);
             INSERT INTO evil VALUES ('{text}');
             INSERT INTO participants (id, source_id, external_id, kind, name, email, person_id, rev)
               SELECT 90001, 2, 'evil-' || t, 'contact', t, 'eve@example.test', NULL, 900001 FROM evil;
             INSERT INTO people (id, name) SELECT 90001, t FROM evil;
             UPDATE participants SET person_id = 90001 WHERE id = 90001;
             INSERT INTO conversations (id, source_id, external_id, contact_id, status, title, page_url, started_at_ms, complete,
                 incomplete_reason, rev)
               SELECT 90001, 2, 'evil-' || t, 90001, 'open', t, 'javascript:alert(1)', {now} - 5000000, 0, t, 900002 FROM evil;
             INSERT INTO messages (id, conversation_id, external_id, author_id, author_kind, kind, seq, sent_at_ms, body_text, body_html,
                 model, reaction, edited_at_ms, content_hash, rev)
               SELECT 9000001, 90001, 'e1', 90001, 'contact', 'text', 1, {now} - 5000000, t, t, t, -1, {now} - 4000000, 0, 900003 FROM evil
               UNION ALL SELECT 9000002, 90001, 'e2', NULL, 'bot', 'text', 2, {now} - 4900000, 'Deleted answer', NULL, NULL, 1, NULL, 0, 900004 FROM evil
               UNION ALL SELECT 9000003, 90001, 'e3', NULL, 'system', 'event', 3, {now} - 4800000, t, NULL, NULL, 0, NULL, 0, 900005 FROM evil
               UNION ALL SELECT 9000004, 90001, 'e4', 90001, 'contact', 'text', 4, {now} - 4700000,
                 replace(hex(zeroblob(60000)), '00', 'long ') || 'the-very-end', NULL, NULL, 0, NULL, 0, 900006 FROM evil
               UNION ALL SELECT 9000005, 90001, 'e5', NULL, 'bot', 'text', 0, NULL, 'no time is known', NULL, NULL, 0, NULL, 0, 900007 FROM evil;
             UPDATE messages SET deleted_at_ms = {now} WHERE id = 9000002;
             INSERT INTO citations (message_id, ordinal, url, title)
               SELECT 9000002, 0, 'javascript:alert(1)', t FROM evil
               UNION ALL SELECT 9000002, 1, 'https://shop.example.test/returns', NULL FROM evil
               UNION ALL SELECT 9000002, 2, t, NULL FROM evil;
             INSERT INTO attachments (message_id, ordinal, kind, url, name) SELECT 9000001, 0, 'image', 'data:text/html,x', t FROM evil;
             INSERT INTO message_revisions (message_id, revision, body_text, observed_at_ms)
               SELECT 9000001, 0, 'as it stood before ' || t, {now} - 4000000 FROM evil;
             INSERT INTO dead_letters (source_id, stream, external_id, stage, error, body, body_hash, first_seen_ms, last_seen_ms)
               SELECT 2, 'messages', t, 'normalise', t, '{{\"a\": \"' || t || '\"}}', 1, {now}, {now} FROM evil;
             INSERT INTO sync_runs (source_id, mode, status, started_at_ms, finished_at_ms, error)
               SELECT 2, 'incremental', 'failed', {now} - 1000, {now}, t FROM evil;
             INSERT INTO conversations (id, source_id, external_id, status, complete, rev) VALUES (90002, 1, 'empty', 'unknown', 1, 900008);
             DROP TABLE evil;",
            text = HOSTILE.replace('\'', "''")
        ))
        .unwrap();
}

/// Each conversation many times over, ever further back, more of them of late: something to draw.
pub(crate) fn many(store: &Connection) {
    store
        .execute_batch(
            "DELETE FROM citations WHERE message_id > 9000000; DELETE FROM attachments WHERE message_id > 9000000;
             DELETE FROM message_revisions WHERE message_id > 9000000; DELETE FROM messages WHERE conversation_id > 90000;
             DELETE FROM conversation_stats WHERE conversation_id > 90000; DELETE FROM conversations WHERE id > 90000;
             DELETE FROM participants WHERE id > 90000; DELETE FROM people WHERE id > 90000;
             DELETE FROM dead_letters; DELETE FROM sync_runs WHERE status = 'failed';
             CREATE TEMP TABLE times AS
               WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130)
               SELECT c.id AS c, i, (i * 86400000 * 7 / 10)
                 + CASE ((c.id * 31 + i * 17) % 9) WHEN 0 THEN 86400000 WHEN 1 THEN 7200000 WHEN 2 THEN 14400000 WHEN 3 THEN 21600000
                   WHEN 4 THEN 3600000 WHEN 5 THEN 10800000 WHEN 6 THEN 50400000 WHEN 7 THEN 28800000 ELSE 600000 END AS back
               FROM conversations AS c, n
               WHERE c.id < 1000 AND c.deleted_at_ms IS NULL AND (c.id * 7919 + i * 104729) % 100 < iif(i < 22, 40, 8 - i / 20);
             DELETE FROM times WHERE EXISTS (
               SELECT 1 FROM (SELECT (started_at_ms - back) / 1000 AS at FROM conversations WHERE id = times.c)
               WHERE (strftime('%H', at, 'unixepoch') NOT BETWEEN '08' AND '19' AND (times.c + i) % 6 <> 0)
                 OR (strftime('%w', at, 'unixepoch') IN ('0', '6') AND (times.c + i) % 3 <> 0));
             INSERT INTO conversations (id, source_id, external_id, channel_id, contact_id, status, title, page_url, started_at_ms,
                 last_message_at_ms, escalated, complete, rev)
               SELECT c.id + i * 1000, source_id, external_id || '~' || i, channel_id, contact_id, iif(i > 3, 'closed', status), title, page_url,
                 started_at_ms - back, last_message_at_ms - back, escalated, 1, 800000
               FROM times JOIN conversations AS c ON c.id = times.c;
             INSERT INTO messages (id, conversation_id, external_id, author_id, author_kind, kind, event, seq, sent_at_ms, body_text, reaction,
                 content_hash, rev)
               SELECT m.id + i * 100000, m.conversation_id + i * 1000, m.external_id || '~' || i, author_id, author_kind, kind, event, seq,
                 sent_at_ms - back, body_text, reaction, 0, 800001
               FROM times JOIN messages AS m ON m.conversation_id = times.c WHERE m.deleted_at_ms IS NULL;
             -- Old questions have been answered by now.
             DELETE FROM messages WHERE conversation_id > 4000 AND author_kind = 'contact' AND NOT EXISTS (
               SELECT 1 FROM messages AS a WHERE a.conversation_id = messages.conversation_id
                 AND a.author_kind IN ('bot', 'agent') AND (a.sent_at_ms, a.seq) > (messages.sent_at_ms, messages.seq));
             DROP TABLE times;",
        )
        .unwrap();
}
