//! Half an hour in which everything goes wrong at once: one request in five is spoilt, the process is killed, its clock
//! jumps, and meanwhile people write, edit and remove. Then one pass and one sweep, and the store is what the providers
//! hold.
//!
//! `CHATLOOM_CHAOS_SECS` makes it longer (a second is a minute to the daemon), `CHATLOOM_CHAOS_SEED` another one, and
//! `CHATLOOM_CHAOS_RUNS` so many seeds one after the other. `-- --nocapture` prints the figures.
#![expect(clippy::print_stdout, reason = "what was survived is worth a look: --nocapture")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chatloom::sim::{BdSim, Rng, SitegptSim, Truth, ZaiaSim, demo};

use super::fault::{Answer, Fault};
use super::proxy::Proxy;
use super::stage::Stage;
use crate::daemon::rig::Daemon;
use crate::failures::Everybody;
use crate::harness::{Heads, Home, assert_same, copy_of, heads_of, now_ms, wanted, wanted_heads};

/// A minute of the daemon's takes a second, and its waits for providers a twentieth.
const FAST: &str = "speed=60,haste=20";

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var_os(name).and_then(|text| text.to_str()?.parse().ok()).unwrap_or(usual)
}

/// Whatever can befall a request without making the provider tell a lie about its data.
fn misfortunes() -> Vec<Fault> {
    let text = |body: &str| Fault::Answer(Answer::text(200, "application/json", body));
    vec![
        Fault::status(500),
        Fault::status(502),
        Fault::html(503),
        Fault::status(429),
        Fault::retry_after(429, "1"),
        Fault::retry_after(429, "soon"),
        Fault::retry_after(503, "-3"),
        Fault::retry_after(429, "7200"),
        Fault::html(200),
        Fault::html(403),
        Fault::status(204),
        text(""),
        text("{\"data\":[{\"id\":"),
        text("null"),
        text("[1,2"),
        text("\u{feff}<html>"),
        Fault::Answer(Answer { status: 200, headers: Vec::new(), body: vec![0xff, 0xfe, 0x00, b'{'] }),
        Fault::body(|mut body| {
            body.truncate(body.len() / 3);
            body
        }),
        Fault::ResetBefore,
        Fault::CloseBefore,
        Fault::ResetInHead,
        Fault::ResetInBody,
        Fault::CloseInBody,
        Fault::CutWithoutLength,
        Fault::CutChunks,
        Fault::BrokenChunk,
        Fault::Chunks,
        Fault::HugeLength,
        Fault::WrongLength(7),
        Fault::Hang,
        Fault::StallInBody,
        Fault::Late(Duration::from_millis(300)),
        Fault::CloseAfter,
        Fault::Gzip,
        Fault::CutGzip,
        Fault::GzipBomb(64 << 20),
        Fault::UnknownEncoding,
        Fault::Bytes(b"SSH-2.0-what\r\n".to_vec()),
    ]
}

async fn stage(seed: u64) -> Stage {
    let worlds = demo::worlds(seed, now_ms() - 3_600_000);
    let all = Everybody {
        bd: BdSim::start(worlds.bd).await.unwrap(),
        zaia: ZaiaSim::start(worlds.zaia).await.unwrap(),
        sitegpt: SitegptSim::start(worlds.sitegpt).await.unwrap(),
    };
    Stage::around(all).await
}

/// Somebody writes, edits or removes something at one of the three.
fn live(stage: &Stage, rng: &mut Rng) {
    let (seed, now) = (rng.bits(), now_ms());
    match rng.between(0, 2) {
        0 => demo::evolve_bd(&mut stage.all.bd.world().data, seed, now),
        1 => demo::evolve_zaia(&mut stage.all.zaia.world().data, seed, now),
        _ => demo::evolve_sitegpt(&mut stage.all.sitegpt.world().data, seed, now),
    }
}

/// The faults of the next process: its clock may jump by hours, once, after so many looks at it.
fn faults(rng: &mut Rng) -> String {
    if rng.chance(50) {
        let hours = rng.between(-5, 5);
        format!("{FAST},clock_jump={}:{}", hours * 3_600, rng.between(20, 400))
    } else {
        FAST.to_owned()
    }
}

/// The store holds what the provider holds. How a conversation looked in the end that went away before anybody asked for
/// it again is nowhere to be had: of those it is only known that they went.
fn assert_exact(home: &Home, source: &str, truth: &Truth) {
    let (mut held, mut wanted) = (copy_of(home, source), wanted(truth));
    for rows in [&mut held, &mut wanted] {
        rows.retain(|ids, _| truth.conversations.get(&ids.0).is_none_or(|head| !head.deleted));
    }
    assert_same(&held, &wanted);
    let (held, mut wanted) = (heads_of(home, source), wanted_heads(truth));
    wanted.retain(|id, head| held.contains_key(id) || !head.0);
    // Where a provider does not say whether it is escalated, that is computed; v0 shows no titles.
    let told = truth.conversations.values().any(|head| head.escalated.is_some());
    let last = |(deleted, escalated, title): (bool, Option<bool>, Option<String>)| {
        let escalated = escalated.filter(|_| told && !deleted);
        (deleted, escalated, title.filter(|_| source != "v0" && !deleted))
    };
    let heads = |heads: Heads| -> BTreeMap<_, _> { heads.into_iter().map(|(id, head)| (id, last(head))).collect() };
    assert_same(&heads(held), &heads(wanted));
}

async fn chaos(seconds: u64, seed: u64) {
    let mut rng = Rng::new(seed);
    let stage = stage(seed).await;
    let home = stage.home("poll = \"1m\"\nsweep = \"12m\"\ntimeout = \"1s\"\n");
    let proxies: [&Proxy; 3] = [&stage.bd, &stage.zaia, &stage.sitegpt];
    for proxy in proxies {
        proxy.chaos(rng.bits(), 5, misfortunes());
    }
    let (begin, length) = (Instant::now(), Duration::from_secs(seconds));
    let mut daemon = Daemon::start_faulty(&home, &faults(&mut rng));
    let (mut kills, mut ends, mut changes) = (0, 0, 0);
    while begin.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(rng.between(100, 900).unsigned_abs())).await;
        live(&stage, &mut rng);
        changes += 1;
        if rng.chance(20) {
            if rng.chance(75) {
                daemon.child.kill().unwrap();
                daemon.child.wait().unwrap();
                kills += 1;
            } else {
                daemon.end();
                ends += 1;
            }
            daemon = Daemon::start_faulty(&home, &faults(&mut rng));
        }
    }
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    let met: usize = proxies.iter().map(|proxy| proxy.seen().iter().filter(|seen| seen.fault.is_some()).count()).sum();
    let asked: usize = proxies.iter().map(|proxy| proxy.seen().len()).sum();
    let held = home.number("SELECT count(*) FROM messages");

    stage.heal();
    home.sync().await;
    home.sync_with(&["--full"]).await;
    let told = format!(
        "seed {seed}, {seconds} minutes: {asked} requests, {met} of them spoilt, {} kills, {ends} ends, {changes} changes; \
         {held} messages held before the last two passes, {} after",
        kills + 1,
        home.number("SELECT count(*) FROM messages")
    );
    println!("{told}");
    // The guards of the worlds must be gone before the worlds are asked again.
    let bots = stage.all.sitegpt.world().data.truth();
    let truths = [stage.all.bd.world().data.truth(), stage.all.zaia.world().data.truth(), bots.clone(), bots];
    for (source, truth) in ["bd", "zaia", "v0", "v2"].into_iter().zip(truths) {
        assert_exact(&home, source, &truth);
    }
    assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(home.number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_eq!(
        home.number("SELECT count(*) FROM conversations WHERE complete = 0 AND deleted_at_ms IS NULL"),
        0,
        "{told}"
    );
    assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0, "{told}");
    assert_eq!(home.number("SELECT count(*) FROM sync_runs WHERE status = 'running'"), 0, "{told}");
    assert!(met * 10 > asked, "it was chaos: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn half_an_hour_of_chaos_ends_in_an_exact_copy() {
    let (seconds, first) = (setting("CHATLOOM_CHAOS_SECS", 30), setting("CHATLOOM_CHAOS_SEED", 1));
    for seed in first..first + setting("CHATLOOM_CHAOS_RUNS", 1) {
        chaos(seconds, seed).await;
    }
}
