//! Killed at any instant: the next run goes on, nothing is lost, nothing stands twice, and little is asked again.
//!
//! Every story compares the whole store with one that was read undisturbed, and looks at what each dead process left.
//! `CHATLOOM_TEST_LONG=1` kills at every single point instead of at a sample.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chatloom::sim::Rng;
use chatloom::sim::bd::{BdData, TokenLookup};
use chatloom::sim::demo::{evolve_bd, evolve_sitegpt, evolve_zaia};
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;

use crate::harness::{Home, NOW_MS, demo_worlds};
use crate::kill_rig::{
    Case, Ended, IN_FLIGHT, bd, contents, differences, post_mortem, run, sitegpt, start, wait, zaia,
};

const SYNC: &[&str] = &["sync"];

/// Requests and conversation fetches of a reading.
#[derive(Debug, Clone, Copy)]
struct Cost {
    requests: usize,
    fetches: usize,
}

/// Runs something and says what it asked for.
fn cost<T>(case: &Case, work: impl FnOnce() -> T) -> (T, Cost) {
    let before = (case.requests(), case.fetched());
    let made = work();
    (made, Cost { requests: case.requests() - before.0, fetches: case.fetched() - before.1 })
}

fn must_end_well(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// The store as it is when nothing goes wrong, with what it cost.
fn undisturbed(case: &Case, before: &Home, commands: &[&[&str]]) -> (BTreeSet<String>, Cost) {
    let home = twin(case, before);
    let ((), cost) = cost(case, || commands.iter().for_each(|args| must_end_well(&run(&home, args, ""))));
    (contents(&home.db()), cost)
}

/// A folder of its own with a copy of the same store.
fn twin(case: &Case, of: &Home) -> Home {
    let home = Home::new(&case.config);
    if of.db().exists() {
        std::fs::copy(of.db(), home.db()).unwrap();
    }
    home
}

/// Runs the command again and again, each time with other faults, until it ends by itself. Returns how often it died.
fn until_it_ends(case: &Case, home: &Home, args: &[&str], mut faults: impl FnMut(u32) -> String) -> u32 {
    let truth = case.truth();
    for n in 1..500 {
        let ended = run(home, args, &faults(n));
        if let Err(loss) = post_mortem(home, &truth) {
            panic!("{}: after {:?}: {loss}", case.name, ended.point());
        }
        if ended.code.is_some() {
            must_end_well(&ended);
            assert_runs(home, n - 1);
            return n - 1;
        }
    }
    panic!("{}: it never ends", case.name);
}

/// Runs that died after they had begun are recorded as interrupted, and none is left open.
fn assert_runs(home: &Home, deaths: u32) {
    assert_eq!(home.number("SELECT count(*) FROM sync_runs WHERE status = 'running'"), 0);
    let interrupted = home.number("SELECT count(*) FROM sync_runs WHERE status = 'interrupted'");
    assert!(interrupted <= i64::from(deaths), "{interrupted} of {deaths}");
}

fn assert_alike(case: &Case, what: &str, home: &Home, wanted: &BTreeSet<String>) {
    let differences = differences(&contents(&home.db()), wanted);
    let shown: Vec<&String> = differences.iter().take(12).collect();
    assert!(differences.is_empty(), "{}, {what}: {} differences\n{shown:#?}", case.name, differences.len());
}

/// A killed run costs at most what the lists cost when they are read again, and the pages in flight.
fn assert_cheap(case: &Case, what: &str, deaths: u32, plain: Cost, paid: Cost, in_flight: usize) {
    let deaths = deaths as usize;
    let lists = plain.requests - plain.fetches;
    assert!(
        paid.fetches <= plain.fetches + deaths * in_flight,
        "{}, {what}: {deaths} deaths, {paid:?} against {plain:?}",
        case.name
    );
    assert!(
        paid.requests <= plain.requests + deaths * (lists + in_flight),
        "{}, {what}: {deaths} deaths, {paid:?} against {plain:?}",
        case.name
    );
    println!("{:9} {what}: {deaths} deaths, {paid:?} against {plain:?}", case.name);
}

/// Dies at ever later points of ever new processes, always on the same store.
fn die_and_go_on(case: &Case, args: &[&str]) {
    let empty = Home::new(&case.config);
    let (wanted, plain) = undisturbed(case, &empty, &[args]);
    for point in ["commit.done", "commit.rows", "commit.cursor", "fetch.after"] {
        let home = Home::new(&case.config);
        let (deaths, paid) =
            cost(case, || until_it_ends(case, &home, args, |n| format!("crash={point}:{n}")));
        assert!(deaths >= 3, "{}: died {deaths} times at {point}", case.name);
        assert_alike(case, point, &home, &wanted);
        assert_cheap(case, point, deaths, plain, paid, IN_FLIGHT);
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn directory() -> BdData {
    chatloom::sim::demo::large_bd(3, 350, NOW_MS)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_killed_in_and_after_commits_goes_on() {
    let (case, _) = bd(directory()).await;
    blocking(move || die_and_go_on(&case, SYNC)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_killed_in_and_after_commits_goes_on() {
    let (case, _) = zaia(demo_worlds(2).zaia).await;
    blocking(move || die_and_go_on(&case, SYNC)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chatbots_killed_in_and_after_commits_go_on() {
    for api in ["v0", "v2"] {
        let (case, _) = sitegpt(demo_worlds(2).sitegpt, api).await;
        blocking(move || die_and_go_on(&case, SYNC)).await;
    }
}
