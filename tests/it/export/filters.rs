//! `--since`, `--until` and `--source`: ranges touch and share nothing, and nothing is lost without a word.

use super::{export, rows_of};
use crate::failures::{Everybody, assert_says};
use crate::harness::Home;

#[tokio::test(flavor = "multi_thread")]
async fn adjacent_ranges_and_what_has_no_time_make_the_whole() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    home.sync().await;
    {
        let store = rusqlite::Connection::open(home.db()).unwrap();
        store.execute("UPDATE messages SET sent_at_ms = NULL WHERE id IN (3, 4)", []).unwrap();
        // Exactly at the bound.
        store.execute("UPDATE messages SET sent_at_ms = 1771632000000 WHERE id = 9", []).unwrap();
    }
    let (day, moment) = ("2026-02-21", "2026-02-21T00:00:00Z");
    for format in ["csv", "jsonl", "parquet"] {
        let name = |part: &str| format!("{format}-{part}");
        let whole = export(&home, format, &name("whole"), &[]).await;
        let before = export(&home, format, &name("before"), &["--until", day]).await;
        let after = export(&home, format, &name("after"), &["--since", moment]).await;
        for view in ["messages", "conversations", "daily"] {
            let left = before["views"].as_array().unwrap().iter().find(|one| one["name"] == view).unwrap();
            let left = left["left_out_without_time"].as_i64().unwrap();
            assert_eq!(left, if view == "messages" { 2 } else { 0 }, "{view}");
            let parts = [rows_of(&before, view), rows_of(&after, view)];
            assert!(parts.iter().all(|rows| *rows > 0), "{view}: {parts:?}");
            assert_eq!(parts[0] + parts[1] + left, rows_of(&whole, view), "{format}, {view}");
        }
        assert_eq!(rows_of(&whole, "messages"), home.number("SELECT count(*) FROM v_messages"));
        assert_eq!(
            rows_of(&after, "messages"),
            home.number("SELECT count(*) FROM v_messages WHERE sent_at >= '2026-02-21T00:00:00.000Z'")
        );
        assert_eq!(after["filter"]["since"], "2026-02-21T00:00:00.000Z");
        let some = export(&home, format, &name("some"), &["--source", "bd", "--source", "v2"]).await;
        assert_eq!(
            rows_of(&some, "messages"),
            home.number("SELECT count(*) FROM v_messages WHERE source IN ('bd', 'v2')")
        );
        assert_eq!(rows_of(&some, "daily"), home.number("SELECT count(*) FROM v_daily WHERE source IN ('bd', 'v2')"));
    }
    let pages = export(&home, "html", "pages", &["--source", "bd", "--since", day]).await;
    assert_eq!(
        rows_of(&pages, "conversations"),
        home.number(
            "SELECT count(*) FROM conversations AS c JOIN sources AS s ON s.id = c.source_id
             LEFT JOIN conversation_stats AS k ON k.conversation_id = c.id
             WHERE s.name = 'bd' AND coalesce(c.started_at, k.first_message_at) >= '2026-02-21'"
        )
    );
    let told = home.run(&["export", "--format", "csv", "--to", "told", "--since", day]).await;
    assert_says(&told.stdout, &["2 without a known time are left out", "Wrote told:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_means_nothing_is_refused() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    let none = home.run(&["export", "--format", "csv"]).await;
    assert_eq!(none.code, 1);
    assert_says(&none.stderr, &["does not exist yet", "chatloom sync"]);
    home.sync().await;
    for (args, code, words) in [
        (&["csv", "--what", "messages,hourly", "--since", "2026-02-01"][..], 2, "`hourly` counts over all time"),
        (&["csv", "--what", "people", "--source", "bd"], 2, "`people` counts over all sources"),
        (&["csv", "--since", "soon"], 2, "`soon` is not a date"),
        (&["csv", "--since", "2026-02-01", "--until", "2026-02-01"], 2, "--since must lie before --until"),
        (&["csv", "--what", "sqlite_schema"], 2, "possible values"),
        (&["xml"], 2, "possible values"),
        (&["html", "--what", "messages"], 2, "--what is for the other formats"),
        (&["csv", "--source", "nobody"], 2, "no source `nobody`; it has: bd, v0, v2, zaia"),
    ] {
        let done = home.run(&[&["export", "--format"], args].concat()).await;
        assert_eq!(done.code, code, "{args:?}: {}", done.stderr);
        assert_says(&done.stderr, &[words]);
    }
    let here = std::fs::read_dir(home.folder.path()).unwrap();
    let made: Vec<_> = here.filter(|entry| entry.as_ref().unwrap().path().is_dir()).collect();
    assert!(made.is_empty(), "{made:?}");
}
