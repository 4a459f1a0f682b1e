//! One daemon and one store: nobody writes beside it, and no pass ends it.

use std::time::Duration;

use chatloom::sim::Fault;

use super::rig::{Daemon, SOON, until};
use crate::failures::{Everybody, assert_says};
use crate::harness::Home;

fn passes(home: &Home, status: &str) -> i64 {
    home.number(&format!("SELECT count(*) FROM sync_runs WHERE status = '{status}'"))
}

/// Whether a pass over each of the four sources came to its end.
fn all_read(home: &Home) -> bool {
    home.number("SELECT count(DISTINCT source_id) FROM sync_runs WHERE status = 'ok'") == 4
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_beside_it_and_everybody_is_told_who_it_is() {
    crate::faults::play("S8", async {
        let all = Everybody::start().await;
        let home = Home::new(&all.config());
        let daemon = Daemon::start(&home);
        until("every source's first pass", SOON, || all_read(&home));
        all.assert_all_exact(&home);
        let holder = format!("process {} (chatloom run)", daemon.child.id());
        for command in ["sync", "backfill", "retry"] {
            let refused = home.run(&[command]).await;
            assert_eq!(refused.code, 1, "{command}: {}", refused.stderr);
            assert_says(&refused.stderr, &["chatloom.db", &holder]);
        }
        let second = home.run(&["run"]).await;
        assert_eq!(second.code, 1, "{}", second.stderr);
        assert_says(&second.stderr, &[&holder]);
        // Whoever only reads is welcome.
        assert_eq!(home.run(&["status"]).await.code, 0);
        daemon.end();
        home.sync().await;
        all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_used_is_refused_before_anything_is_opened() {
    let all = Everybody::start().await;
    for (text, part) in [
        (all.config().replace("api_key", "api_keys"), "api_keys"),
        (format!("{}poll = \"0 0 31 2 *\"\n", all.config()), "never comes true"),
        (String::new(), "no source is configured"),
    ] {
        let home = Home::new(&text);
        let refused = home.run(&["run"]).await;
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert_says(&refused.stderr, &[part]);
        assert!(!home.db().exists());
        if part != "no source is configured" {
            let checked = home.run(&["check", "--offline"]).await;
            assert_eq!(checked.code, 2, "{}", checked.stdout);
            assert_says(&checked.stderr, &[part]);
        }
    }
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_panics_ends_itself_alone() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config().replace("requests_per_minute", "poll = \"1s\"\nrequests_per_minute"));
    let daemon = Daemon::start_faulty(&home, "panic=pass.listed");
    daemon.wait_for("its pass ended badly");
    daemon.wait_for("the source has recovered");
    until("every source's first pass", SOON, || all_read(&home));
    assert_eq!(passes(&home, "failed"), 1, "{:?}", home.rows("SELECT status, error FROM sync_runs"));
    all.assert_all_exact(&home);
    daemon.end();
    assert_eq!(passes(&home, "running"), 0);
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_of_once_and_ends_nothing() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config().replace("requests_per_minute", "poll = \"1s\"\nrequests_per_minute"));
    let daemon = Daemon::start_faulty(&home, "max_pages=120,speed=5");
    daemon.wait_for("is full");
    until("further tries", SOON, || passes(&home, "failed") >= 3 || daemon.lines("source fails") >= 4);
    let log = daemon.end();
    for source in ["bd", "zaia", "v0", "v2"] {
        let told =
            log.lines().filter(|line| line.contains("the source fails") && line.contains(&format!("source={source} ")));
        assert!(told.count() <= 1, "{log}");
    }
    home.sync().await;
    all.assert_all_exact(&home);
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_tidied_up_on_its_schedule_while_sources_are_read() {
    let all = Everybody::start().await;
    let keeping = |every: &str| format!("[store]\nmaintain = \"{every}\"\nraw_retention = \"3000d\"\n{}", all.config());
    let home = Home::new(&keeping("30m"));
    // Half an hour takes three seconds.
    let daemon = Daemon::start_faulty(&home, "speed=600");
    daemon.wait_for_lines("the store was tidied up", 2);
    until("every source's first pass", SOON, || all_read(&home));
    all.assert_all_exact(&home);
    home.configure(&keeping("300d"));
    daemon.signal("-HUP");
    daemon.wait_for("the configuration was read again");
    let log = daemon.end();
    assert!(!log.contains("could not be tidied up"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_provider_holds_up_no_end() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    all.bd.world().faults("/", 50, &Fault::Delay(60_000));
    let daemon = Daemon::start(&home);
    until("a request that hangs", SOON, || all.bd.world().requests() > 0);
    until("the others", SOON, || passes(&home, "ok") >= 3);
    daemon.signal("-TERM");
    let (code, took, log) = daemon.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(took < Duration::from_secs(2), "a request is dropped, not waited for: {took:?}\n{log}");
    assert_eq!(passes(&home, "running"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_health_and_metrics_of_what_it_reads() {
    let all = Everybody::start().await;
    let home = Home::new(&format!("{}[http]\nlisten = \"127.0.0.1:0\"\n", all.config()));
    let daemon = Daemon::start(&home);
    until("every source's first pass", SOON, || all_read(&home));
    let address = address(&daemon);
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    until("readiness", SOON, || get(&address, "/readyz").starts_with("HTTP/1.1 200"));
    let state = "chatloom_source_state{source=\"zaia\",provider=\"zaia\",state=\"well\"} 1";
    until("the state of a source", SOON, || get(&address, "/metrics").contains(state));
    assert!(get(&address, "/metrics").contains("chatloom_requests_total{source=\"bd\""));
    daemon.end();
    std::net::TcpStream::connect(&address).unwrap_err();
}

/// Whoever closes the store last takes its log away. An analyst who reads it beside the daemon is not the last, whatever the
/// daemon itself read in between.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn readers_come_and_go_and_the_log_that_it_writes_to_stays() {
    let all = Everybody::start().await;
    let home = Home::new(&format!("{}[http]\nlisten = \"127.0.0.1:0\"\n", all.config()));
    // Five minutes take half a second.
    let daemon = Daemon::start_faulty(&home, "speed=600");
    until("every source's first pass", SOON, || all_read(&home));
    let address = address(&daemon);
    let log_file = || {
        let found = std::fs::metadata(home.folder.path().join("chatloom.db-wal"));
        found.map(|file| std::os::unix::fs::MetadataExt::ino(&file)).ok()
    };
    let before = log_file();
    assert!(before.is_some());
    for page in ["/metrics", "/", "/readyz"] {
        until(page, SOON, || get(&address, page).starts_with("HTTP/1.1 200"));
        crate::python::said(crate::python::script("come_and_go.py").arg(home.db()));
        assert_eq!(log_file(), before, "the log is gone after {page}");
    }
    let passed = passes(&home, "ok");
    until("another pass", SOON, || passes(&home, "ok") > passed);
    let log = daemon.end();
    assert!(!log.contains("moved, deleted or replaced"), "{log}");
    all.assert_all_exact(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_ends_it_at_once_and_leaves_the_store_free() {
    let all = Everybody::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("[http]\nlisten = \"{}\"\n", taken.local_addr().unwrap());
    let home = Home::new(&format!("{}{listen}", all.config()));
    let refused = tokio::time::timeout(SOON, home.run(&["run"])).await.expect("it hangs");
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert_says(&refused.stderr, &["127.0.0.1"]);
    home.sync().await;
    all.assert_all_exact(&home);
}

/// Where it serves, as it says.
fn address(daemon: &Daemon) -> String {
    let log = daemon.log();
    let (_, rest) = log.split_once("http.listen=").unwrap();
    rest.split_whitespace().next().unwrap().trim_matches('"').to_owned()
}

/// Asks and reads until the other side hangs up.
fn get(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Somebody clears up, or puts a backup in its place, and forgets to stop the daemon: whatever is written from then on
/// would be lost with the old file.
pub(crate) async fn moved_away() {
    let all = Everybody::start().await;
    for replaced in [false, true] {
        let home = Home::new(&all.config().replace("api_key = ", "poll = \"1s\"\napi_key = "));
        let daemon = Daemon::start(&home);
        until("every source's first pass", SOON, || all_read(&home));
        let elsewhere = home.folder.path().join("elsewhere.db");
        std::fs::rename(home.db(), &elsewhere).unwrap();
        if replaced {
            std::fs::write(home.db(), "something else").unwrap();
        }
        let (code, _, log) = daemon.wait();
        assert_eq!(code, Some(1), "{log}");
        assert_says(&log, &["moved, deleted or replaced", "put it back"]);
        assert!(!log.contains("panicked"), "{log}");
        assert_eq!(home.db().exists(), replaced, "nothing was made in its place");
        std::fs::rename(&elsewhere, home.db()).unwrap();
        home.sync().await;
        all.assert_all_exact(&home);
    }
}
