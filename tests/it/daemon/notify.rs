//! What the service manager hears.

use std::time::{Duration, Instant};

use chatloom::sim::bd::BdData;
use chatloom::sim::{BdSim, Fault};

use super::rig::{Daemon, Manager, SOON, until};
use crate::harness::{Home, bd_source, source};

const WATCHDOG: Duration = Duration::from_secs(2);

/// The words of `wanted` were said in this order, others between them.
#[track_caller]
fn assert_order(heard: &[String], wanted: &[&str]) {
    let mut rest = heard.iter();
    for word in wanted {
        assert!(rest.any(|line| line.starts_with(word)), "{word} is missing in its place: {heard:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_although_nobody_answers_and_says_what_it_does_until_it_ends() {
    crate::faults::play("O2", async {
        // Nobody listens there: readiness is about the configuration, the keys and the store.
        let nobody = source("bots", "sitegpt", "http://127.0.0.1:9", "sitegpt-key", "poll = \"1s\"\n");
        let home = Home::new(&nobody);
        let manager = Manager::new(&home);
        let daemon = Daemon::start_managed(&home, &manager, WATCHDOG, "");
        manager.wait_for("READY=1", 1);
        manager.wait_for("WATCHDOG=1", 2);
        until("a status line", SOON, || manager.heard().iter().any(|line| line == "STATUS=reading bots"));
        daemon.signal("-HUP");
        manager.wait_for("READY=1", 2);
        let fed = manager.count("WATCHDOG=1");
        manager.wait_for("WATCHDOG=1", fed + 2);
        daemon.end();
        let heard = manager.heard();
        let order = ["READY=1", "WATCHDOG=1", "RELOADING=1", "MONOTONIC_USEC=", "READY=1", "WATCHDOG=1", "STOPPING=1"];
        assert_order(&heard, &order);
        assert_eq!(heard[0], "READY=1");
        assert_eq!(heard.last().map(String::as_str), Some("STOPPING=1"), "{heard:#?}");
        assert_eq!(heard.iter().filter(|line| *line == "STOPPING=1").count(), 1);
    })
    .await;
}

/// Looks at the watchdog for so long, and gives how often it was fed meanwhile.
fn fed_within(manager: &Manager, time: Duration) -> usize {
    let (before, end) = (manager.count("WATCHDOG=1"), Instant::now() + time);
    until("time to pass", time * 2, || Instant::now() >= end);
    manager.count("WATCHDOG=1") - before
}

#[cfg(debug_assertions)]
pub(crate) async fn stuck_worker() {
    let sim = BdSim::start(one_thread()).await.unwrap();
    let home = Home::new(&format!("{}poll = \"1s\"\ntimeout = \"2s\"\n", bd_source("bd", &sim)));
    let manager = Manager::new(&home);
    // 62 seconds without a step are over in 3 with this clock.
    let daemon = Daemon::start_managed(&home, &manager, WATCHDOG, "speed=20,stall=commit.rows");
    daemon.wait_for("standing still as asked");
    daemon.wait_for("no progress within the time");
    assert_eq!(fed_within(&manager, WATCHDOG * 2), 0, "{:#?}", manager.heard());
    assert_eq!(daemon.lines("no progress within the time"), 1, "told once");
    // Nothing half-written is kept, and the time that a manager gives is kept to.
    let log = daemon.end();
    assert!(log.contains("something would not end in time"), "{log}");
    assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
}

#[cfg(debug_assertions)]
pub(crate) async fn known_waits() {
    let sim = BdSim::start(one_thread()).await.unwrap();
    sim.world().fault("/", Fault::retry_after(429, 110));
    let home = Home::new(&format!("{}poll = \"1s\"\ntimeout = \"2s\"\n", bd_source("bd", &sim)));
    let manager = Manager::new(&home);
    let daemon = Daemon::start_managed(&home, &manager, WATCHDOG, "speed=20");
    until("the refusal", SOON, || sim.world().faults_left() == 0);
    // Longer than the 3 seconds that a worker without a reason may stand still.
    assert!(fed_within(&manager, Duration::from_secs(6)) >= 4, "while a provider wants quiet");
    assert_eq!(daemon.lines("no progress"), 0, "{}", daemon.log());
    assert!(sim.world().requests() <= 2, "quiet is kept");
    daemon.end();

    let idle = Home::new(&format!("{}poll = \"300d\"\n", bd_source("bd", &sim)));
    let manager = Manager::new(&idle);
    let daemon = Daemon::start_managed(&idle, &manager, WATCHDOG, "speed=20");
    until("the first pass", SOON, || {
        manager.heard().iter().any(|line| line.starts_with("STATUS=next: bd at "))
            && idle.number("SELECT count(*) FROM sync_runs WHERE status = 'ok'") == 1
    });
    assert!(fed_within(&manager, Duration::from_secs(6)) >= 4, "while there is nothing to do");
    daemon.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_is_not_there_is_no_harm() {
    crate::faults::play("O4", async {
        let sim = BdSim::start(one_thread()).await.unwrap();
        for socket in ["/nowhere/notify", "@chatloom-nobody-listens", "@", "relative"] {
            let home = Home::new(&bd_source("bd", &sim));
            let daemon = Daemon::start_with(&home, |command| {
                command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "1000000");
            });
            until("the first pass", SOON, || home.number("SELECT count(*) FROM sync_runs WHERE status = 'ok'") == 1);
            daemon.end();
        }
    })
    .await;
}

fn one_thread() -> BdData {
    let mut data = BdData::new();
    let (owner, responder) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
    let at_ms = crate::harness::now_ms() - 60_000;
    let thread = data.add_thread(&owner, &responder, at_ms);
    data.add_message(&thread, &owner, at_ms, "hello");
    data
}
