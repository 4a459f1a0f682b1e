//! Checkpoints that cannot be right: another version's, and those of a clock that was wrong.

use chatloom::sim::{BdSim, ZaiaSim};
use rusqlite::Connection;

use crate::faults::fault::{Answer, Fault};
use crate::faults::stage::Stage;
use crate::harness::{Home, NOW_MS, assert_same, bd_source, copy_of, demo_worlds, wanted, zaia_source};

struct Scene {
    home: Home,
    bd: BdSim,
    zaia: ZaiaSim,
}

impl Scene {
    async fn synced() -> Self {
        let worlds = demo_worlds(15);
        let bd = BdSim::start(worlds.bd).await.unwrap();
        let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
        let home = Home::new(&format!("{}{}", bd_source("directory", &bd), zaia_source("agents", &zaia)));
        let scene = Self { home, bd, zaia };
        for _ in 0..2 {
            scene.sync().await;
        }
        scene
    }

    async fn sync(&self) {
        let run = self.home.run(&["sync"]).await;
        assert_eq!(run.code, 0, "{}", run.stderr);
    }

    fn cursors(&self, change: &str) {
        Connection::open(self.home.db()).unwrap().execute_batch(&format!("UPDATE cursors SET {change}")).unwrap();
    }

    /// A thread that only its change tells of, a message in an old chat.
    fn news(&self) {
        let thread = self.bd.world().data.threads[5].token.clone();
        self.bd.world().data.soft_delete_thread(&thread, NOW_MS);
        let mut zaia = self.zaia.world();
        let chat = zaia.data.chats[5].clone();
        zaia.data.add_message(&chat.id, "user", Some(&chat.owner), NOW_MS, "are you there?");
    }

    fn assert_current(&self) {
        assert_same(&copy_of(&self.home, "directory"), &wanted(&self.bd.world().data.truth()));
        assert_same(&copy_of(&self.home, "agents"), &wanted(&self.zaia.world().data.truth()));
        let deleted = self.bd.world().data.truth().conversations.values().filter(|one| one.deleted).count();
        assert_eq!(
            self.home.number(
                "SELECT count(*) FROM v_sources AS v JOIN sources AS s ON s.name = v.source
                              JOIN conversations AS c ON c.source_id = s.id
                              WHERE v.source = 'directory' AND c.deleted_at_ms IS NOT NULL"
            ),
            i64::try_from(deleted).unwrap()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_of_another_version_start_anew_and_change_nothing() {
    let scene = Scene::synced().await;
    let rev = scene.home.number("SELECT rev FROM change_counter");
    scene.cursors("cursor = '{\"method\":7}'");
    scene.sync().await;
    assert_eq!(scene.home.number("SELECT rev FROM change_counter"), rev);
    scene.cursors("cursor = '[]'");
    scene.news();
    scene.sync().await;
    scene.assert_current();
    assert_eq!(scene.home.number("SELECT count(*) FROM cursors WHERE cursor LIKE '%keyset%'"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watermark_of_the_year_2200_blinds_no_later_run() {
    let scene = Scene::synced().await;
    scene.cursors("cursor = json_set(cursor, '$.watermark', 7258118400000) WHERE stream IN ('threads', 'chats')");
    assert_eq!(scene.home.number("SELECT count(*) FROM cursors WHERE cursor LIKE '%7258118400000%'"), 2);
    scene.news();
    scene.sync().await;
    scene.assert_current();
    assert_eq!(scene.home.number("SELECT count(*) FROM cursors WHERE cursor LIKE '%7258118400000%'"), 0);
}

/// A filter that answers with nothing at all, however it is asked, at a site that is read every two hours: a pass puts one
/// unfiltered question, and each list has its turn, so it is found out by the third pass and not by the next full one.
#[tokio::test(flavor = "multi_thread")]
async fn every_list_has_its_turn_to_be_put_to_the_proof() {
    let stage = Stage::paged().await;
    let home = Home::new(&stage.bd_source(""));
    home.sync().await;
    let thread = stage.all.bd.world().data.threads[3].clone();
    stage.all.bd.world().data.add_message(&thread.token, &thread.owner, NOW_MS, "unheard");
    stage.bd.always(
        "/api/v2/chat_message_items/get?property=message_id",
        Fault::Answer(Answer::json(200, &serde_json::json!({"status": "success", "message": [], "total": 0}))),
    );
    let unheard = "SELECT count(*) FROM messages WHERE body_text = 'unheard'";
    for pass in 1..=3 {
        let store = Connection::open(home.db()).unwrap();
        store
            .execute_batch(
                "UPDATE cursors SET cursor = json_set(cursor, '$.probed_at', json_extract(cursor, '$.probed_at') - 7200000,
                   '$.finished_at', json_extract(cursor, '$.finished_at') - 7200000) WHERE stream NOT LIKE '%pass'",
            )
            .unwrap();
        drop(store);
        let before = stage.bd.seen().len();
        home.sync().await;
        if home.number(unheard) == 1 {
            assert!(pass > 1, "another list had the first turn");
            return;
        }
        assert!(stage.bd.seen().len() - before <= 4, "an idle pass is cheap");
    }
    panic!("never found out");
}
