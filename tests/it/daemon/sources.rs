//! One source's trouble is no other's: it is told of once, met with patience, and left behind.

use std::os::unix::fs::PermissionsExt as _;

use chatloom::sim::{Fault, zaia::ZaiaData};

use super::rig::{Daemon, SOON, until};
use crate::failures::Everybody;
use crate::harness::{Home, bd_source, source, zaia_source};

fn passes(home: &Home, source: &str, status: &str) -> i64 {
    home.number(&format!(
        "SELECT count(*) FROM sync_runs AS r JOIN sources AS s ON s.id = r.source_id
         WHERE s.name = '{source}' AND r.status = '{status}'"
    ))
}

/// Puts a key file in the place of another, as deployments do.
fn write_key(home: &Home, key: &str) {
    let new = home.folder.path().join("new.key");
    std::fs::write(&new, key).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&new, home.folder.path().join("bd.key")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_stops_its_source_until_the_key_changes() {
    crate::faults::play("K12", refused_until_changed()).await;
}

async fn refused_until_changed() {
    let all = Everybody::start().await;
    let bd = source("bd", "brilliant_directories", &all.bd.base_url(), "x", "poll = \"1s\"\n")
        .replace("api_key = \"x\"", "api_key_file = \"bd.key\"");
    let home = Home::new(&format!("{bd}{}poll = \"1s\"\n", zaia_source("zaia", &all.zaia)));
    write_key(&home, "expired-key");
    let daemon = Daemon::start(&home);
    daemon.wait_for("the source is stopped");
    let asked = all.bd.world().requests();
    let others = passes(&home, "zaia", "ok");
    until("the other source goes on", SOON, || passes(&home, "zaia", "ok") >= others + 4);
    assert_eq!(all.bd.world().requests(), asked, "a refused key is not tried again");
    assert!(asked <= 2, "{asked} requests");

    // Another wrong key is tried once, and told of.
    write_key(&home, "mistyped-key");
    daemon.wait_for_lines("the source is stopped", 2);
    write_key(&home, "bd-key");
    until("the source goes on", SOON, || passes(&home, "bd", "ok") >= 2);
    all.assert_exact(&home, "bd");
    let log = daemon.end();
    assert_eq!(log.matches("the source is stopped").count(), 2, "{log}");
    assert_eq!(log.matches("zaia restarted").count(), 0, "{log}");
    assert!(!log.contains("expired-key") && !log.contains("bd-key"), "{log}");
    assert!(passes(&home, "zaia", "failed") == 0 && passes(&home, "bd", "failed") == 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_every_pass_meets_is_told_of_once() {
    let all = Everybody::start().await;
    {
        let data = &mut all.bd.world().data;
        let newest = data.threads.iter().max_by_key(|thread| thread.updated_ms).unwrap().token.clone();
        data.change_thread(&newest, |thread| thread.overrides = vec![("thread_status", serde_json::json!({"a": 1}))]);
    }
    let home = Home::new(&format!("{}poll = \"1s\"\n", bd_source("bd", &all.bd)));
    let met = "SELECT count(*) FROM sync_runs WHERE dead > 0";
    // Once more after a start: it stands in the store that it was told of.
    for wanted in [1, 0] {
        let before = if home.db().exists() { home.number(met) } else { 0 };
        let daemon = Daemon::start(&home);
        until("some passes", SOON, || home.number(met) >= before + 4);
        let log = daemon.end();
        assert_eq!(log.matches("put to the dead letters").count(), wanted, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_stopped_is_tried_again_when_somebody_asks_for_it() {
    let all = Everybody::start().await;
    let home = Home::new(&format!("{}poll = \"1s\"\n", bd_source("bd", &all.bd)));
    // One alone may mean the one endpoint.
    all.bd.world().faults("/", 2, &Fault::status(401));
    let daemon = Daemon::start(&home);
    daemon.wait_for("the source is stopped");
    // The key was switched on again at the provider: no file changed.
    daemon.signal("-HUP");
    until("the source goes on", SOON, || passes(&home, "bd", "ok") >= 1);
    daemon.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_source_is_told_of_once_holds_up_nobody_and_recovers_alone() {
    crate::faults::play("O5", async {
        let all = Everybody::start().await;
        let often = "poll = \"1s\"\n";
        let home = Home::new(&format!("{}{often}{}{often}", bd_source("bd", &all.bd), zaia_source("zaia", &all.zaia)));
        // Not tried again within a pass, so that passes fail quickly.
        all.zaia.world().faults("/api/v1/chats", 3, &Fault::status(400));
        let daemon = Daemon::start(&home);
        daemon.wait_for("the source fails");
        daemon.wait_for("the source has recovered");
        let failed = passes(&home, "zaia", "failed");
        assert!(failed >= 2, "it was tried again: {failed}");
        assert!(
            passes(&home, "bd", "ok") > failed,
            "the other kept its rhythm: {:?}",
            home.rows("SELECT source_id, status, started_at FROM sync_runs")
        );
        assert_eq!(passes(&home, "bd", "failed"), 0);
        all.assert_exact(&home, "zaia");
        let log = daemon.end();
        assert_eq!(log.matches("the source fails").count(), 1, "{log}");
        assert_eq!(log.matches("the source has recovered").count(), 1, "{log}");
        assert!(log.contains("source=zaia") && log.contains("run="), "{log}");
        assert_eq!(log.matches("a stream could not be read").count(), 1, "one line, not one a try: {log}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_gone_is_told_of_once_however_long() {
    let sim = chatloom::sim::ZaiaSim::start(ZaiaData::new()).await.unwrap();
    let address = sim.base_url();
    drop(sim);
    let more = "poll = \"1s\"\ntimeout = \"1s\"\n";
    let home = Home::new(&source("zaia", "zaia", &address, "zaia-key", more));
    let daemon = Daemon::start(&home);
    until("two passes", SOON * 3, || passes(&home, "zaia", "failed") >= 2);
    let log = daemon.end();
    let loud = log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN")).count();
    assert_eq!(loud, 1, "{log}");
}
