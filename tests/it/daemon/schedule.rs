//! When sources are read: at a start not together, and whole when that is due, whoever ran in between.

use super::rig::{Daemon, SOON, until};
use crate::failures::Everybody;
use crate::harness::{Home, bd_source, now_ms, sitegpt_source, zaia_source};

fn modes(home: &Home) -> Vec<String> {
    home.rows("SELECT mode FROM sync_runs WHERE status = 'ok' ORDER BY id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_came_due_while_nothing_ran_is_made_once() {
    let all = Everybody::start().await;
    let home = Home::new(&format!("{}poll = \"1s\"\nsweep = \"1d\"\n", bd_source("bd", &all.bd)));
    home.sync().await;
    let deleted = {
        let data = &mut all.bd.world().data;
        let id = data.messages[0].id;
        data.change_message(id, |message| message.read = true);
        id
    };
    // The first pass was two days ago.
    {
        let store = rusqlite::Connection::open(home.db()).unwrap();
        let day = 86_400_000;
        store.execute("UPDATE sources SET first_pass_at_ms = first_pass_at_ms - ?1", [2 * day]).unwrap();
    }
    let daemon = Daemon::start(&home);
    until("the sweep and news after it", SOON, || modes(&home).len() >= 4);
    daemon.end();
    assert_eq!(modes(&home)[..4], ["backfill", "sweep", "incremental", "incremental"]);
    let read = format!("SELECT read FROM messages WHERE external_id = '{deleted}'");
    assert_eq!(home.number(&read), 1, "what no list of news tells is found");

    let before = modes(&home).len();
    let daemon = Daemon::start(&home);
    until("further passes", SOON, || modes(&home).len() >= before + 2);
    daemon.end();
    assert_eq!(modes(&home).iter().filter(|mode| *mode == "sweep").count(), 1, "it is remembered across the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_do_not_start_together() {
    let all = Everybody::start().await;
    let home = Home::new(&format!(
        "{}poll = \"9s\"\n{}poll = \"9s\"\n{}poll = \"9s\"\n",
        bd_source("bd", &all.bd),
        zaia_source("zaia", &all.zaia),
        sitegpt_source("bots", &all.sitegpt, "v2")
    ));
    let daemon = Daemon::start(&home);
    until("every first pass", SOON, || modes(&home).len() >= 3);
    daemon.end();
    let starts: Vec<i64> = home
        .rows("SELECT min(started_at_ms) FROM sync_runs GROUP BY source_id ORDER BY 1")
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    assert!(starts.windows(2).all(|two| two[1] - two[0] >= 1_500), "{starts:?}");
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn cron_tables_say_when() {
    let all = Everybody::start().await;
    // Ten minutes take five seconds.
    let home = Home::new(&format!("{}poll = \"*/10 * * * *\"\nsweep = \"300d\"\n", bd_source("bd", &all.bd)));
    let before = now_ms();
    let daemon = Daemon::start_faulty(&home, "speed=120");
    until("the sixth time", SOON, || modes(&home).len() >= 6);
    daemon.end();
    // The first pass is made at the start. However late a busy machine is, no time is used twice after it. The beat that belongs to a time may come
    // 0.4 seconds before it, which are 48 for this clock; where its hands stood when it was started is not known.
    let last = home.number("SELECT max(started_at_ms) FROM sync_runs");
    let times = (last + 48_000) / 600_000 - before / 600_000;
    let passes = home.number("SELECT count(*) FROM sync_runs");
    assert!(passes <= 1 + times, "{passes} passes at {times} times");
}
