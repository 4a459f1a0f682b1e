//! A site's time zone that turns out to be another.

use chatloom::sim::BdSim;
use chatloom::sim::bd::BdData;

use crate::harness::{Home, NOW_MS, assert_same, bd_source, copy_of, demo_worlds, source, wanted};
use crate::kill_rig;

fn in_zone(sim: &BdSim, zone: &str) -> String {
    source("directory", "brilliant_directories", &sim.base_url(), "bd-key", &format!("timezone = \"{zone}\"\n"))
}

/// A message that moves no thread, one that does, and a change of a thread without any message.
fn change(data: &mut BdData, at: i64) {
    let thread = data.threads[1].clone();
    data.add_message(&thread.token, &thread.owner, at, "one more");
    data.touch_thread(&thread.token, at);
    let other = data.threads[7].token.clone();
    data.soft_delete_thread(&other, at);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_zone_in_the_configuration_moves_all_times_and_nothing_else() {
    let bd = BdSim::start(demo_worlds(5).bd).await.unwrap();
    let home = Home::new(&in_zone(&bd, "Asia/Tokyo"));
    assert_eq!(home.run(&["sync"]).await.code, 0);
    // The second pass has the watermark in the wrong zone: ahead of the truth.
    assert_eq!(home.run(&["sync"]).await.code, 0);
    let texts = home.number("SELECT count(*) FROM message_revisions");
    let first = home.number("SELECT max(sent_at_ms) FROM messages");
    let rev = home.number("SELECT rev FROM change_counter");

    change(&mut bd.world().data, NOW_MS - 3_600_000);
    home.configure(&in_zone(&bd, "America/New_York"));
    let moved = home.run(&["sync", "--json"]).await;
    assert_eq!(moved.code, 0, "{}", moved.stderr);
    assert_same(&copy_of(&home, "directory"), &wanted(&bd.world().data.truth()));
    assert_ne!(home.number("SELECT max(sent_at_ms) FROM messages"), first);
    assert_eq!(home.number("SELECT count(*) FROM message_revisions"), texts, "no text changed");
    assert_eq!(home.number("SELECT count(*) FROM messages WHERE edited_at_ms IS NOT NULL"), 0);
    assert_eq!(home.number(&format!("SELECT count(*) FROM messages WHERE rev <= {rev}")), 0, "every row moved");
    assert_eq!(home.number("SELECT count(*) FROM sources WHERE timezone = 'America/New_York'"), 1);
    let wrong_ends = "SELECT count(*) FROM conversations AS c WHERE last_message_at_ms IS NOT
        (SELECT max(sent_at_ms) FROM messages AS m WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL)";
    assert_eq!(home.number(wrong_ends), 0);
    let report = &moved.json()["sources"][0];
    assert_eq!(report["messages"]["inserted"], 1, "{report}");
    assert!(report["messages"]["updated"].as_u64().unwrap() > 800, "{report}");

    // The watermark of changed threads is one of the right zone again: what changes now is met, and nothing else.
    let thread = bd.world().data.threads[11].token.clone();
    bd.world().data.soft_delete_thread(&thread, NOW_MS);
    let after = home.run(&["sync", "--json"]).await.json();
    assert_eq!(after["sources"][0]["conversations"]["deleted"], 1, "{after}");
    assert_eq!(after["sources"][0]["messages"]["updated"], 0);
    let quiet = home.number("SELECT rev FROM change_counter");
    assert_eq!(home.run(&["sync"]).await.code, 0);
    assert_eq!(home.number("SELECT rev FROM change_counter"), quiet);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_notices_that_the_site_moved() {
    let bd = BdSim::start(demo_worlds(5).bd).await.unwrap();
    let home = Home::new(&bd_source("directory", &bd));
    assert_eq!(home.run(&["sync"]).await.code, 0);
    bd.world().data.timezone = "Europe/Berlin".to_owned();
    assert_eq!(home.run(&["sync", "--full"]).await.code, 0);
    assert_same(&copy_of(&home, "directory"), &wanted(&bd.world().data.truth()));
    assert_eq!(home.number("SELECT count(*) FROM sources WHERE timezone = 'Europe/Berlin'"), 1);
    assert_eq!(home.number("SELECT count(*) FROM message_revisions"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_times_move_they_are_moved_at_the_next_start() {
    let bd = BdSim::start(demo_worlds(5).bd).await.unwrap();
    for (point, zone_then) in [
        ("replay.applied:2", "Asia/Tokyo"),
        ("replay.settled", "Asia/Tokyo"),
        ("replay.committed", "America/New_York"),
        ("pass.listed", "America/New_York"),
    ] {
        let home = Home::new(&in_zone(&bd, "Asia/Tokyo"));
        for _ in 0..2 {
            assert_eq!(home.run(&["sync"]).await.code, 0);
        }
        let held = home.number_of("SELECT total(sent_at_ms) FROM messages");
        home.configure(&in_zone(&bd, "America/New_York"));
        let faults = format!("crash={point}");
        let (home, ended) = tokio::task::spawn_blocking(move || {
            let ended = kill_rig::run(&home, &["sync"], &faults);
            (home, ended)
        })
        .await
        .unwrap();
        assert_eq!(ended.code, None, "{point}: {}", ended.stderr);
        assert_eq!(home.rows("SELECT timezone FROM sources"), [zone_then], "{point}");
        let moved = home.number_of("SELECT total(sent_at_ms) FROM messages") != held;
        assert_eq!(moved, zone_then == "America/New_York", "{point}: all times or none");
        let thread = bd.world().data.threads.iter().rfind(|one| one.deleted_ms.is_none()).unwrap().token.clone();
        bd.world().data.soft_delete_thread(&thread, NOW_MS);
        assert_eq!(home.run(&["sync"]).await.code, 0);
        assert_same(&copy_of(&home, "directory"), &wanted(&bd.world().data.truth()));
        let deleted =
            format!("SELECT count(*) FROM conversations WHERE external_id = '{thread}' AND deleted_at_ms > 0");
        assert_eq!(home.number(&deleted), 1, "{point}: the change of a thread was met");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_moves_the_times_too_where_the_zone_was_set_right() {
    let bd = BdSim::start(demo_worlds(5).bd).await.unwrap();
    let home = Home::new(&in_zone(&bd, "Asia/Tokyo"));
    for _ in 0..2 {
        assert_eq!(home.run(&["sync"]).await.code, 0);
    }
    home.configure(&in_zone(&bd, "America/New_York"));
    assert_eq!(home.run(&["retry", "--all"]).await.code, 0);
    assert_same(&copy_of(&home, "directory"), &wanted(&bd.world().data.truth()));
    let thread = bd.world().data.threads[11].token.clone();
    bd.world().data.soft_delete_thread(&thread, NOW_MS);
    let next = home.run(&["sync", "--json"]).await.json();
    let report = &next["sources"][0];
    assert_eq!(
        (&report["conversations"]["deleted"], &report["messages"]["updated"]),
        (&1.into(), &0.into()),
        "{report}"
    );
}
