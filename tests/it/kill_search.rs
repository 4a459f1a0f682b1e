//! A run that dies leaves the full-text index exact, or behind and known to be so.
#![cfg(debug_assertions)]

use chatloom::store::{open_reader, search_problem};

use crate::harness::{Home, NOW_MS, output};
use crate::search::{assert_in_step, found, scene};

/// Kills a `sync` at a point, and looks at what is left of the index: exact, or told to be behind. The next one mends it.
async fn killed_at(home: &Home, point: &str) {
    let mut command = home.command(&["sync"], "chatloom=info");
    command.env("CHATLOOM_FAULTS", format!("crash={point}"));
    let ended = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
    assert_eq!(ended.status.code(), None, "{point}: {}", String::from_utf8_lossy(&ended.stderr));
    let waiting = home
        .number("SELECT count(*) FROM messages WHERE id > (SELECT coalesce(max(id), 0) FROM message_search_docsize)");
    if waiting > 0 || home.number("SELECT rules FROM search_state") == 0 {
        assert_eq!(search_problem(&open_reader(&home.db()).unwrap()).is_some(), waiting == 0, "{point}");
        let told = home.run(&["search", "refund"]).await;
        assert!(told.stderr.contains("the index is behind"), "{point}: {}", told.stderr);
    } else {
        assert_in_step(home);
    }
    home.sync().await;
    assert_in_step(home);
    assert_eq!(found(home, &["refund"]).await.len(), 3, "{point}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_steps_of_a_first_pass_leaves_the_index_exact_or_says_so() {
    for point in [
        "search.rebuilt:1",
        "search.filled:1",
        "search.written:1",
        "run.recorded:2",
        "commit.rows:3",
        // Rows are stored, and the index is not filled yet.
        "commit.done:2",
    ] {
        let scene = scene().await;
        let home = Home::new(&std::fs::read_to_string(scene.home.folder.path().join("chatloom.toml")).unwrap());
        killed_at(&home, point).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_steps_of_a_later_pass_leaves_the_index_exact_or_says_so() {
    for point in ["search.filled:1", "search.written:1", "commit.complete:3", "commit.done:3", "run.recorded:2"] {
        let scene = scene().await;
        scene.bd.world().data.add_message(&scene.thread, "", NOW_MS - 1000, "Agora chegou 三つ");
        killed_at(&scene.home, point).await;
        assert_eq!(found(&scene.home, &["chegou"]).await.len(), 1, "{point}");
    }
}
