//! Makes the seeds of fuzzing anew, from what the simulated providers really answer, the fixtures, and walks under way:
//! `cargo test --test it seeds_are_made_anew -- --ignored`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chatloom::provider::Page;
use chatloom::sim::{BdSim, RequestInfo, Sim, Site, SitegptSim, ZaiaSim};
use chatloom::sync::FeedCursor;
use chatloom::sync::walk::{Anchored, Changes, Keyset, Pages, Tokens, Walk, Windows};
use serde_json::Value;

use super::harness::{Home, NOW_MS, bd_source, demo_worlds, sitegpt_source, zaia_source};
use super::inputs::folder;

/// Elements kept of every array.
const KEPT: usize = 3;

fn shorter(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().take(KEPT).map(shorter).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, shorter(value))).collect(),
        other => other,
    }
}

fn write(target: &str, name: &str, data: &[u8]) {
    let folder = folder("seeds", target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), data).unwrap();
}

/// One answer of every endpoint that was asked, with its arrays cut short.
fn answers<D: Site>(target: &str, sim: &Sim<D>) {
    let world = sim.world();
    let mut seen = BTreeSet::new();
    for logged in world.log.iter().filter(|logged| logged.status == 200) {
        let request: &RequestInfo = &logged.request;
        if !seen.insert(logged.endpoint.clone()) {
            continue;
        }
        let body = world.data.answer(request).body;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let name: String = logged.endpoint.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        write(target, &format!("sim{name}.json"), shorter(body).to_string().as_bytes());
    }
}

fn fixtures(target: &str, fixture_folder: &str, prefix: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture_folder);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            write(target, &format!("fixture_{name}"), &fs::read(&path).unwrap());
        }
    }
}

/// Checkpoints of walks of every kind, begun and under way, each with bytes that make pages.
fn cursors() {
    let walks = [
        ("keyset", Walk::Keyset(Keyset::after(Some(7)))),
        ("changes", Walk::Changes(Changes::from(100, NOW_MS))),
        ("anchored", Walk::Anchored(Anchored::whole(Some(NOW_MS)))),
        ("tokens", Walk::Tokens(Tokens::by_cursor())),
        ("until_stable", Walk::Tokens(Tokens::until_stable(None))),
        ("pages", Walk::Pages(Pages::default())),
        ("overlapping", Walk::Pages(Pages::overlapping())),
        ("windows", Walk::Windows(Windows::complete(NOW_MS))),
        ("since", Walk::Windows(Windows::since(100, NOW_MS))),
        ("plain", Walk::Windows(Windows::plain_only(NOW_MS))),
    ];
    for (name, mut walk) in walks {
        let bytes: Vec<u8> = (1..60).map(|n: u8| n.wrapping_mul(37)).collect();
        for (part, steps) in [("begun", 0), ("under_way", 2)] {
            for _ in 0..steps {
                drop(walk.take(&Page { last: Some(false), next: Some("t1".to_owned()), ..Page::default() }, 3));
            }
            let cursor = FeedCursor {
                method: walk.method().to_owned(),
                watermark: Some(5),
                walk: Some(walk.clone()),
                ..FeedCursor::default()
            };
            let data = [cursor.to_json().into_bytes(), b"\n".to_vec(), bytes.clone()].concat();
            write("cursors", &format!("{name}_{part}"), &data);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes into fuzz/seeds"]
async fn seeds_are_made_anew() {
    let worlds = demo_worlds(5);
    let bd = BdSim::start(worlds.bd).await.unwrap();
    let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
    for api in ["v0", "v2"] {
        let sitegpt = SitegptSim::start(worlds.sitegpt.clone()).await.unwrap();
        let home = Home::new(&format!(
            "[store]\npath = \"chatloom.db\"\n\n{}{}{}",
            bd_source("directory", &bd),
            zaia_source("agents", &zaia),
            sitegpt_source("bots", &sitegpt, api)
        ));
        home.sync().await;
        let target = format!("sitegpt_{api}");
        answers(&target, &sitegpt);
        fixtures(&target, "sitegpt", api);
    }
    answers("brilliant_directories", &bd);
    answers("zaia", &zaia);
    fixtures("brilliant_directories", "brilliant_directories", "");
    fixtures("zaia", "zaia", "");
    cursors();
}
