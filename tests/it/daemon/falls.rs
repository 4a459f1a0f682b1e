//! What ends by itself inside the daemon is started anew, and what will not end is cut off: a source is never left alone
//! without a word.

use super::rig::{Daemon, Manager, SOON, until};
use crate::failures::Everybody;
use crate::harness::{Home, bd_source, source, zaia_source};

fn passes(home: &Home, source: &str, status: &str) -> i64 {
    home.number(&format!(
        "SELECT count(*) FROM sync_runs AS r JOIN sources AS s ON s.id = r.source_id
         WHERE s.name = '{source}' AND r.status = '{status}'"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ends_by_itself_is_started_anew() {
    let all = Everybody::start().await;
    let often = "poll = \"1s\"\n";
    let home = Home::new(&format!("{}{often}{}{often}", bd_source("bd", &all.bd), zaia_source("zaia", &all.zaia)));
    let manager = Manager::new(&home);
    let daemon = Daemon::start_managed(&home, &manager, std::time::Duration::from_secs(2), "panic=worker.begins:3");
    daemon.wait_for("has ended by itself");
    let (bd, zaia) = (passes(&home, "bd", "ok"), passes(&home, "zaia", "ok"));
    until("both go on", SOON, || passes(&home, "bd", "ok") > bd && passes(&home, "zaia", "ok") > zaia);
    let fed = manager.count("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1", fed + 2);
    let log = daemon.end();
    assert_eq!(log.lines().filter(|line| line.contains("ERROR")).count(), 1, "one line: {log}");
    assert_eq!(log.matches("the source has recovered").count(), 1, "{log}");
    assert!(!log.contains("no progress"), "{log}");
    all.assert_exact(&home, "bd");
    all.assert_exact(&home, "zaia");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_will_not_end_is_cut_off_and_followed() {
    let all = Everybody::start().await;
    let bd = |poll: &str| format!("{}poll = \"{poll}\"\n", bd_source("bd", &all.bd));
    let home = Home::new(&bd("1s"));
    // Half a minute takes a second and a half with this clock.
    let daemon = Daemon::start_faulty(&home, "speed=20,stall=worker.begins:2");
    daemon.wait_for("standing still as asked");
    let read = passes(&home, "bd", "ok");
    home.configure(&bd("2s"));
    daemon.signal("-HUP");
    daemon.wait_for("bd restarted");
    daemon.wait_for("was cut off");
    until("the source goes on", SOON, || passes(&home, "bd", "ok") > read);
    let log = daemon.end();
    assert_eq!(log.matches("did not end in time").count(), 1, "{log}");
    assert!(!log.contains("something would not end"), "{log}");
    assert_eq!(passes(&home, "bd", "running"), 0);
    all.assert_exact(&home, "bd");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_ends_is_started_anew() {
    let all = Everybody::start().await;
    let home = Home::new(&format!("{}poll = \"1s\"\n", bd_source("bd", &all.bd)));
    let daemon = Daemon::start_faulty(&home, "panic=clock.begins");
    daemon.wait_for("the scheduler has ended by itself");
    until("passes", SOON, || passes(&home, "bd", "ok") >= 2);
    let log = daemon.end();
    assert_eq!(log.lines().filter(|line| line.contains("ERROR")).count(), 1, "{log}");
}

/// The key's file has another name in the new configuration, and comes later than it.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_could_not_be_read_is_tried_again_while_a_source_is_stopped() {
    use std::os::unix::fs::PermissionsExt as _;
    let all = Everybody::start().await;
    let bd = |key: &str| {
        source("bd", "brilliant_directories", &all.bd.base_url(), "x", "poll = \"1s\"\n")
            .replace("api_key = \"x\"", key)
    };
    let home = Home::new(&bd("api_key = \"expired\""));
    let daemon = Daemon::start(&home);
    daemon.wait_for("the source is stopped");
    home.configure(&bd("api_key_file = \"new.key\""));
    daemon.wait_for("the old one stays");
    let path = home.folder.path().join("new.key");
    std::fs::write(&path, "bd-key").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    until("the source goes on", SOON, || home.db().exists() && passes(&home, "bd", "ok") >= 1);
    let log = daemon.end();
    assert!(log.matches("the old one stays").count() <= 2, "told of once, however often it is tried: {log}");
    all.assert_exact(&home, "bd");
}
