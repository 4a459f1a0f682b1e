//! What is stored is normalised again: dead letters, damaged rows, and times in another zone.

use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};
use rusqlite::Connection;

use crate::harness::{Home, assert_same, bd_source, copy_of, demo_worlds, sitegpt_source, wanted, zaia_source};

fn by_hand(home: &Home, sql: &str) {
    let connection = Connection::open(home.db()).unwrap();
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Everything that counts as content, `rev` included, as one text per row.
fn everything(home: &Home) -> Vec<String> {
    let connection = home.open();
    let mut rows = Vec::new();
    for sql in [
        "SELECT 'm', json_array(id, conversation_id, external_id, author_id, author_kind, kind, event, seq, sent_at_ms,
           body_text, body_html, read, reaction, model, edited_at_ms, deleted_at_ms, rev) FROM messages ORDER BY id",
        "SELECT 'c', json_array(id, external_id, channel_id, contact_id, status, title, page_url, started_at_ms,
           updated_at_ms, last_message_at_ms, escalated, complete, incomplete_reason, deleted_at_ms, deleted_reason,
           list_fingerprint, fetched_fingerprint, rev) FROM conversations ORDER BY id",
        "SELECT 'p', json_array(id, external_id, kind, name, email, phone, resolved, rev) FROM participants ORDER BY id",
        "SELECT 'h', json_array(id, external_id, kind, name, rev) FROM channels ORDER BY id",
        "SELECT 'r', json_array(message_id, revision, body_text) FROM message_revisions ORDER BY 2",
        "SELECT 'i', json_array(message_id, ordinal, url, title) FROM citations ORDER BY 2",
        "SELECT 'a', json_array(message_id, ordinal, kind, url) FROM attachments ORDER BY 2",
        "SELECT 'w', json_array(id, stream, external_id, row_id, hash, observed_at_ms) FROM raw_records ORDER BY id",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        let found = statement.query_map([], |row| Ok(row.get::<_, String>(0)? + &row.get::<_, String>(1)?)).unwrap();
        rows.extend(found.map(Result::unwrap));
    }
    rows
}

fn differences(before: &[String], after: &[String]) -> Vec<(String, String)> {
    assert_eq!(before.len(), after.len());
    before.iter().zip(after).filter(|(a, b)| a != b).map(|(a, b)| (a.clone(), b.clone())).take(6).collect()
}

struct Scene {
    home: Home,
    bd: BdSim,
    zaia: ZaiaSim,
    sitegpt: SitegptSim,
}

impl Scene {
    async fn synced() -> Self {
        let worlds = demo_worlds(3);
        let bd = BdSim::start(worlds.bd).await.unwrap();
        let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
        let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
        let home = Home::new(&format!(
            "{}{}{}",
            bd_source("directory", &bd),
            zaia_source("agents", &zaia),
            sitegpt_source("bots", &sitegpt, "v2")
        ));
        let scene = Self { home, bd, zaia, sitegpt };
        let first = scene.home.run(&["sync", "--json"]).await;
        assert_eq!(first.code, 0, "{}", first.stderr);
        scene
    }

    /// News of every kind, so that records of several streams speak about one row at different times.
    async fn evolve(&self) {
        let now = crate::harness::NOW_MS + 3_600_000;
        chatloom::sim::demo::evolve_bd(&mut self.bd.world().data, 9, now);
        chatloom::sim::demo::evolve_zaia(&mut self.zaia.world().data, 9, now);
        chatloom::sim::demo::evolve_sitegpt(&mut self.sitegpt.world().data, 9, now);
        for args in [&["sync"][..], &["sync", "--full"], &["sync", "--full"]] {
            let run = self.home.run(args).await;
            assert_eq!(run.code, 0, "{}", run.stderr);
        }
    }

    fn requests(&self) -> usize {
        self.bd.world().requests() + self.zaia.world().requests() + self.sitegpt.world().requests()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn normalising_everything_again_changes_nothing_that_was_right() {
    let scene = Scene::synced().await;
    scene.evolve().await;
    let (before, requests) = (everything(&scene.home), scene.requests());
    let rev = scene.home.number("SELECT rev FROM change_counter");
    let again = scene.home.run(&["retry", "--all", "--json"]).await;
    assert_eq!(again.code, 0, "{}", again.stderr);
    let changed = differences(&before, &everything(&scene.home));
    assert!(changed.is_empty(), "{changed:#?}");
    assert_eq!(scene.home.number("SELECT rev FROM change_counter"), rev, "{}", again.stdout);
    for source in again.json()["sources"].as_array().unwrap() {
        assert_eq!((&source["status"], &source["requests"]), (&"ok".into(), &0.into()), "{source}");
        assert!(source["messages"]["unchanged"].as_u64().unwrap() > 10, "{source}");
        for rows in ["conversations", "messages"] {
            for change in ["inserted", "updated", "deleted"] {
                assert_eq!(source[rows][change], 0, "{source}");
            }
        }
    }
    assert_eq!(scene.requests(), requests, "nothing was asked");
    assert_eq!(scene.home.number("SELECT count(*) FROM sync_runs WHERE mode = 'retry' AND status = 'ok'"), 3);
    let status = scene.home.run(&["status", "--json"]).await.json();
    assert_eq!(status["sources"][0]["state"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_rows_are_made_good_from_their_records() {
    let scene = Scene::synced().await;
    let revisions = scene.home.number("SELECT count(*) FROM message_revisions");
    by_hand(
        &scene.home,
        "UPDATE messages SET body_text = 'spoilt' WHERE id % 3 = 0;
         UPDATE messages SET sent_at_ms = 1 WHERE id % 7 = 0;
         UPDATE messages SET author_kind = 'system' WHERE id % 5 = 0;
         UPDATE conversations SET started_at_ms = NULL;
         UPDATE conversations SET title = 'spoilt' WHERE title IS NOT NULL;
         DELETE FROM citations;
         DELETE FROM dead_letters;",
    );
    // Disabled, and without a key at hand: nothing is asked.
    let config = std::fs::read_to_string(scene.home.folder.path().join("chatloom.toml")).unwrap();
    scene.home.configure(&config.replace("api_key = \"bd-key\"", "enabled = false\napi_key_env = \"NOT_SET\""));
    let repaired = scene.home.run(&["retry", "--all", "--json"]).await;
    assert_eq!(repaired.code, 0, "{}", repaired.stderr);
    assert_same(&copy_of(&scene.home, "directory"), &wanted(&scene.bd.world().data.truth()));
    assert_same(&copy_of(&scene.home, "agents"), &wanted(&scene.zaia.world().data.truth()));
    assert_same(&copy_of(&scene.home, "bots"), &wanted(&scene.sitegpt.world().data.truth()));
    assert_eq!(scene.home.number("SELECT count(*) FROM conversations WHERE title = 'spoilt'"), 0);
    assert_eq!(scene.home.number("SELECT count(*) FROM message_revisions"), revisions, "nobody edited anything");
    assert_eq!(scene.home.number("SELECT count(*) FROM messages WHERE edited_at_ms IS NOT NULL"), 0);
    assert!(scene.home.number("SELECT count(*) FROM citations") > 0);

    let rev = scene.home.number("SELECT rev FROM change_counter");
    let second = scene.home.run(&["retry", "--all"]).await;
    assert_eq!((second.code, scene.home.number("SELECT rev FROM change_counter")), (0, rev), "{}", second.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_lost_comes_back_and_one_that_the_provider_dropped_does_not() {
    let scene = Scene::synced().await;
    let removed = scene.bd.world().data.messages[2].id;
    scene.bd.world().data.remove_message(removed);
    for _ in 0..2 {
        assert_eq!(scene.home.run(&["sync", "--full"]).await.code, 0);
    }
    let dropped = "SELECT count(*) FROM messages WHERE deleted_reason = 'missing'";
    assert_eq!(scene.home.number(dropped), 1);
    by_hand(
        &scene.home,
        "DELETE FROM citations; DELETE FROM attachments; DELETE FROM search_forms; DELETE FROM messages WHERE id % 4 = 1 AND deleted_at_ms IS NULL",
    );
    let again = scene.home.run(&["retry", "--all", "--json"]).await;
    assert!(again.json()["sources"][1]["messages"]["inserted"].as_u64().unwrap() > 5, "{}", again.stdout);
    assert_same(&copy_of(&scene.home, "agents"), &wanted(&scene.zaia.world().data.truth()));
    assert_same(&copy_of(&scene.home, "bots"), &wanted(&scene.sitegpt.world().data.truth()));
    // Of longer HTML there is one copy, in the row that is gone: the next full pass brings it again.
    assert!(again.stderr.contains("until `sync --full` brings it again"), "{}", again.stderr);
    assert_eq!(scene.home.run(&["sync", "--full"]).await.code, 0);
    assert_same(&copy_of(&scene.home, "directory"), &wanted(&scene.bd.world().data.truth()));
    assert_eq!(scene.home.number(dropped), 1);
    assert_eq!(
        scene.home.number(
            "SELECT count(*) FROM raw_records AS r WHERE stream = 'messages' AND NOT EXISTS
                           (SELECT 1 FROM messages AS m WHERE m.id = r.row_id)"
        ),
        0,
        "every record knows its row"
    );
}

/// Longer HTML stands in its message alone: where that is damaged, no record can tell what it said, but the provider can.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_html_is_brought_again_by_a_full_pass() {
    let scene = Scene::synced().await;
    let htmls = "SELECT external_id || ' ' || body_html FROM messages WHERE length(body_html) > 60 ORDER BY 1";
    let (sound, revisions) = (scene.home.rows(htmls), scene.home.number("SELECT count(*) FROM message_revisions"));
    assert!(sound.len() > 10);
    by_hand(&scene.home, "UPDATE messages SET body_html = replace(body_html, 'e', 'x') WHERE length(body_html) > 60");
    assert_ne!(scene.home.rows(htmls), sound);
    let again = scene.home.run(&["retry", "--all"]).await;
    assert!(again.stderr.contains("until `sync --full` brings it again"), "{}", again.stderr);
    assert_eq!(scene.home.run(&["sync", "--full"]).await.code, 0);
    assert_eq!(scene.home.rows(htmls), sound);
    assert_eq!(scene.home.number("SELECT count(*) FROM message_revisions"), revisions, "damage is no edit");
    let verified = scene.home.run(&["verify", "--offline"]).await;
    assert_eq!(verified.code, 0, "{}", verified.stdout);
    assert_eq!(scene.home.run(&["retry", "--all"]).await.code, 0, "every record can be read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_tried_again_and_settled() {
    let scene = Scene::synced().await;
    // A message whose time could not be read, as an older normaliser might have left it.
    by_hand(
        &scene.home,
        "INSERT INTO dead_letters (source_id, stream, external_id, seq, stage, error, body, body_hash, first_seen_ms, last_seen_ms)
         SELECT id, 'messages', '900001', 900001, 'normalise', 'old words',
           '{\"message_id\":\"900001\",\"thread_token\":\"zz\",\"message_owner\":\"x\",\"message_content\":\"<p>late</p>\",
             \"created_at\":\"20260301090000\"}', 1, 5, 5 FROM sources WHERE name = 'directory';
         INSERT INTO dead_letters (source_id, stream, external_id, seq, stage, error, body, body_hash, first_seen_ms, last_seen_ms)
         SELECT id, 'messages', '900002', 0, 'normalise', 'old words', '{\"message_id\":\"900002\"}', 2, 5, 5
         FROM sources WHERE name = 'directory';",
    );
    let first = scene.home.run(&["retry", "--source", "directory", "--json"]).await;
    assert_eq!(first.code, 1, "one letter is still dead: {}", first.stdout);
    let source = &first.json()["sources"][0];
    assert_eq!((&source["status"], &source["dead_letters"]), (&"partial".into(), &1.into()));
    assert_eq!(source["messages"]["inserted"], 1);
    assert_eq!(scene.home.number("SELECT count(*) FROM messages WHERE body_text = 'late'"), 1);
    assert_eq!(
        scene.home.number("SELECT count(*) FROM raw_records WHERE external_id = '900001' AND row_id IS NOT NULL"),
        1
    );
    assert_eq!(scene.home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 1);
    assert_eq!(scene.home.number("SELECT count(*) FROM dead_letters WHERE error = 'old words'"), 1, "the settled one");
    let rev = scene.home.number("SELECT rev FROM change_counter");
    assert_eq!(scene.home.run(&["retry"]).await.code, 1);
    assert_eq!(scene.home.number("SELECT rev FROM change_counter"), rev);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_needs_a_store_and_sources_that_are_configured() {
    let home = Home::new("[[sources]]\nname = \"agents\"\nprovider = \"zaia\"\napi_key_env = \"NOT_SET\"\n");
    let none = home.run(&["retry"]).await;
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("does not exist yet"), "{}", none.stderr);
    assert!(!home.db().exists());
    assert_eq!(home.run(&["retry", "--source", "nobody"]).await.code, 2);
}
