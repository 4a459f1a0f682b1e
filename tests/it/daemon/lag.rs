//! How long a message takes from the provider into the store.
//!
//! `cargo test --test it daemon::lag -- --nocapture` prints the distribution.

use std::collections::BTreeMap;
use std::time::Duration;

use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, ZaiaSim, bd::BdData};

use super::rig::{Daemon, SOON, until};
use crate::harness::{Home, bd_source, now_ms, zaia_source};

/// Messages per source, and the time between two.
const MESSAGES: usize = 110;
const PAUSE: Duration = Duration::from_millis(200);

/// What is promised with `poll = "2s"`, at the 99th percentile.
const PROMISED_MS: i64 = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_stands_in_the_store_within_three_seconds() {
    let mut site = BdData::new();
    let (owner, responder) = (site.add_user("Ada", "Quill"), site.add_user("Ben", "Marsh"));
    let thread = site.add_thread(&owner, &responder, now_ms() - 60_000);
    let mut workspace = ZaiaData::new();
    let channel = workspace.add_channel("widget", "Website");
    let agent = workspace.add_agent("Support agent");
    let visitor = workspace.add_external_user(&channel, Some("visitor@example.test"), None);
    let chat = workspace.add_chat(Some(&channel), &visitor, &agent, now_ms() - 60_000);
    workspace.add_message(&chat, "user", Some(&visitor), now_ms() - 60_000, "first");
    site.add_message(&thread, &owner, now_ms() - 60_000, "first");
    let (bd, zaia) = (BdSim::start(site).await.unwrap(), ZaiaSim::start(workspace).await.unwrap());
    let often = "poll = \"2s\"\n";
    let home = Home::new(&format!("{}{often}{}{often}", bd_source("bd", &bd), zaia_source("zaia", &zaia)));
    let daemon = Daemon::start(&home);
    until("the first passes", SOON, || home.db().exists() && stored(&home) == 2);

    let mut created: BTreeMap<String, i64> = BTreeMap::new();
    let mut seen: BTreeMap<String, i64> = BTreeMap::new();
    let reader = home.open();
    let mut newest = reader.prepare("SELECT body_text, rev FROM messages WHERE rev > ?1").unwrap();
    let mut rev: i64 = 0;
    let begin = now_ms();
    let step = i64::try_from(PAUSE.as_millis()).unwrap();
    until("all messages", SOON * 2, || {
        let now = now_ms();
        // One message to each source at its time, as visitors write: at no moment that the polls know of.
        let due = usize::try_from((now - begin) / step).unwrap().min(MESSAGES);
        while created.len() < 2 * due {
            let number = created.len() / 2;
            let (to_bd, to_zaia) = (format!("bd {number}"), format!("zaia {number}"));
            let at = now_ms();
            bd.world().data.add_message(&thread, &owner, at, &to_bd);
            zaia.world().data.add_message(&chat, "user", Some(&visitor), at, &to_zaia);
            created.insert(to_bd, at);
            created.insert(to_zaia, at);
        }
        // The change feed, as a reader of the store would follow it.
        let found: Vec<(String, i64)> =
            newest.query_map([rev], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        let at = now_ms();
        for (text, of) in found {
            rev = rev.max(of);
            seen.entry(text).or_insert(at);
        }
        created.keys().filter(|text| seen.contains_key(*text)).count() == 2 * MESSAGES
    });
    daemon.end();

    for source in ["bd", "zaia"] {
        let mut lags: Vec<i64> =
            created.iter().filter(|(text, _)| text.starts_with(source)).map(|(text, at)| seen[text] - at).collect();
        lags.sort_unstable();
        let at = |percent: usize| lags[(lags.len() * percent / 100).min(lags.len() - 1)];
        println!(
            "{source}: {} messages, lag in ms: 50% {}, 90% {}, 99% {}, worst {}",
            lags.len(),
            at(50),
            at(90),
            at(99),
            at(100)
        );
        assert!(at(99) <= PROMISED_MS, "{source}: {lags:?}");
    }
}

fn stored(home: &Home) -> i64 {
    home.open().query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap_or(0)
}
