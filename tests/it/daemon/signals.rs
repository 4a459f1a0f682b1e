//! Signals at bad moments, and new configurations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chatloom::sim::{Fault, Sim, Site};

use super::rig::{Daemon, SOON, send, until};
use crate::failures::Everybody;
use crate::harness::{Home, bd_source, sitegpt_source};

/// Sends the daemon a signal when the simulator meets its `nth` request.
fn at_request<D: Site>(sim: &Sim<D>, nth: u32) -> Arc<AtomicU32> {
    let process = Arc::new(AtomicU32::new(0));
    let (mut seen, victim) = (0, Arc::clone(&process));
    sim.world().on_request(move |_, _| {
        seen += 1;
        if seen == nth {
            until("the daemon to be known", SOON, || victim.load(Ordering::SeqCst) != 0);
            send(victim.load(Ordering::SeqCst), "-TERM");
        }
    });
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_middle_of_a_page_loses_nothing_and_ends_with_0() {
    crate::faults::play("S4", async {
        for nth in [1, 3, 30] {
            let all = Everybody::start().await;
            let home = Home::new(&all.config());
            let victim = at_request(&all.zaia, nth);
            let daemon = Daemon::start(&home);
            victim.store(daemon.child.id(), Ordering::SeqCst);
            let (code, took, log) = daemon.wait();
            assert_eq!(code, Some(0), "{log}");
            assert!(took < Duration::from_secs(10), "{took:?}");
            assert!(!home.folder.path().join("chatloom.db-wal").exists(), "the log is folded into the file");
            assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
            assert_eq!(home.number("SELECT count(*) FROM sync_runs WHERE status = 'running'"), 0);
            all.zaia.world().before_request = None;
            home.sync().await;
            all.assert_all_exact(&home);
        }
    })
    .await;
}

/// Another program keeps the store locked, and nobody waits for it any more who is told to end.
#[tokio::test(flavor = "multi_thread")]
async fn heard_while_the_store_is_opened() {
    let all = Everybody::start().await;
    let home = Home::new(&bd_source("bd", &all.bd));
    home.sync().await;
    let other = rusqlite::Connection::open(home.db()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    const WAITS: &str = "another program writes to the store";
    for (command, signal, wanted) in
        [("run", "-TERM", 0), ("sync", "-INT", 130), ("backfill", "-TERM", 143), ("retry", "-TERM", 143)]
    {
        let log = home.folder.path().join("waits.log");
        let mut asked = home.command(&[command], "chatloom=info");
        let mut child = asked.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
        until(WAITS, SOON, || std::fs::read_to_string(&log).unwrap().contains(WAITS));
        send(child.id(), signal);
        assert_eq!(child.wait().unwrap().code(), Some(wanted), "{command}: {}", std::fs::read_to_string(&log).unwrap());
    }
}

pub(crate) async fn heard_during_every_wait() {
    let waits = [
        ("between two tries", Fault::status(500), "-TERM"),
        ("a pause that the provider wants", Fault::retry_after(429, 100), "-INT"),
        ("a pause that is too long for one pass", Fault::retry_after(503, 4_000), "-TERM"),
    ];
    for (what, fault, signal) in waits {
        let all = Everybody::start().await;
        let home = Home::new(&bd_source("bd", &all.bd));
        all.bd.world().faults("/", 20, &fault);
        let daemon = Daemon::start(&home);
        until(what, SOON, || all.bd.world().requests() >= 1);
        daemon.signal(signal);
        let (code, took, log) = daemon.wait();
        assert_eq!(code, Some(0), "{what}: {log}");
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
    }
}

#[cfg(debug_assertions)]
pub(crate) async fn second_signal() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    let daemon = Daemon::start_faulty(&home, "stall=commit.rows");
    daemon.wait_for("standing still as asked");
    daemon.signal("-TERM");
    // Nothing tells that the first was heard, and two that come together are one: so until it ends.
    let process = daemon.child.id();
    let signalling = std::thread::spawn(move || {
        while std::process::Command::new("kill")
            .args(["-TERM", &process.to_string()])
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
            && !std::path::Path::new(&format!("/proc/{process}/stat"))
                .exists()
                .then(|| std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default())
                .is_none_or(|stat| stat.contains(") Z "))
        {
            std::thread::yield_now();
        }
    });
    let (code, took, log) = daemon.wait();
    signalling.join().unwrap();
    assert_eq!(code, Some(143), "{log}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
    home.sync().await;
    all.assert_all_exact(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_takes_over_a_good_configuration_and_keeps_the_old_one_before_a_bad_one() {
    let all = Everybody::start().await;
    let bd = format!("{}poll = \"1s\"\n", bd_source("bd", &all.bd));
    let bots = format!("{}poll = \"1s\"\n", sitegpt_source("bots", &all.sitegpt, "v2"));
    let home = Home::new(&bd);
    let daemon = Daemon::start(&home);
    let read = |source: &str| {
        home.number(&format!(
            "SELECT count(*) FROM sync_runs AS r JOIN sources AS s ON s.id = r.source_id
             WHERE s.name = '{source}' AND r.status = 'ok'"
        ))
    };
    until("the first pass", SOON, || read("bd") >= 1);

    home.configure(&format!("{bd}{bots}"));
    daemon.signal("-HUP");
    daemon.wait_for("bots started");
    until("the new source", SOON, || read("bots") >= 1);
    assert_eq!(daemon.lines("bd restarted"), 0, "what did not change goes on as it was");

    home.configure(&format!("{bd}{bots}pol = \"9s\"\n"));
    daemon.signal("-HUP");
    daemon.wait_for("the old one stays");
    let (bd_before, bots_before) = (read("bd"), read("bots"));
    until("both go on", SOON, || read("bd") > bd_before && read("bots") > bots_before);
    assert!(daemon.log().contains("pol"), "the reason is told: {}", daemon.log());

    let elsewhere = "[store]\npath = \"other.db\"\n[http]\nlisten = \"127.0.0.1:0\"\n";
    home.configure(&format!("{elsewhere}{}{bots}", bd.replace("\"1s\"", "\"2s\"")));
    daemon.signal("-HUP");
    daemon.wait_for("bd restarted");
    assert_eq!(daemon.lines("bots restarted"), 0);
    assert_eq!(daemon.lines("needs a restart"), 2, "{}", daemon.log());
    assert!(!home.folder.path().join("other.db").exists());

    home.configure(&bots);
    daemon.signal("-HUP");
    daemon.wait_for("bd ended");
    let bots_before = read("bots");
    until("the other goes on", SOON, || read("bots") > bots_before);
    let asked = all.bd.world().requests();
    let bots_before = read("bots");
    until("time to pass", SOON, || read("bots") > bots_before + 2);
    assert_eq!(all.bd.world().requests(), asked, "nobody asks for a source that is gone");

    // Many at once, in the middle of whatever is going on.
    for _ in 0..50 {
        daemon.signal("-HUP");
    }
    let bots_before = read("bots");
    until("it goes on", SOON, || read("bots") > bots_before);
    daemon.end();
    home.configure(&format!("{bd}{bots}"));
    home.sync().await;
}
