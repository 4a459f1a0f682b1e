//! The support metrics against a second way to work them out (tests/readers/metrics_oracle.py), on random conversations with
//! every pitfall, in zones whose clocks are changed in every way there is.

use chatloom::sim::{BdSim, bd::BdData};

use crate::harness::{Home, NOW_MS, bd_source};
use crate::metrics::differing;
use crate::python::{said, script};

/// Clocks changed by an hour, by half of one, around Ramadan, no longer, by a quarter of an hour once, by a whole day, never.
const ZONES: [&str; 7] = [
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "UTC",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_view_says_what_messages_and_definitions_say() {
    let mut site = BdData::new();
    let (owner, responder) = (site.add_user("Ada", "Quill"), site.add_user("Ben", "Marsh"));
    let thread = site.add_thread(&owner, &responder, NOW_MS);
    site.add_message(&thread, &owner, NOW_MS, "first");
    let bd = BdSim::start(site).await.unwrap();
    for (seed, zone) in ZONES.iter().enumerate() {
        let home = Home::new(&format!("[reporting]\ntimezone = \"{zone}\"\n{}", bd_source("directory", &bd)));
        home.sync().await;
        said(script("metrics_oracle.py").arg(home.db()).arg(seed.to_string()));
        assert_eq!(differing(&home.open()), 0);
    }
}
