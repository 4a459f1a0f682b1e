//! How a kill story goes: worlds, undisturbed readings, dying and going on, and what must hold afterwards.
#![cfg(debug_assertions)]
#![expect(clippy::print_stdout, reason = "what deaths cost is worth a look: --nocapture")]

use std::collections::BTreeSet;

use chatloom::sim::bd::{BdData, TokenLookup};
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;

use crate::harness::{Copy, Home, NOW_MS, demo_worlds};
use crate::kill_rig::{Case, Ended, contents, differences, post_mortem, run};

pub(crate) const SYNC: &[&str] = &["sync"];

/// Requests and conversation fetches of a reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) requests: usize,
    pub(crate) fetches: usize,
}

/// What a reading costs when nothing goes wrong, and an ordinary one after it that finds nothing new.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ideal {
    pub(crate) requests: usize,
    pub(crate) fetches: usize,
    pub(crate) idle: usize,
}

/// Runs something and says what it asked for.
pub(crate) fn cost<T>(case: &Case, work: impl FnOnce() -> T) -> (T, Cost) {
    let before = (case.requests(), case.fetched());
    let made = work();
    (made, Cost { requests: case.requests() - before.0, fetches: case.fetched() - before.1 })
}

pub(crate) fn must_end_well(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// The store as it is when nothing goes wrong, with what it cost.
pub(crate) fn undisturbed(case: &Case, before: &Home, commands: &[&[&str]]) -> (BTreeSet<String>, Ideal) {
    let home = twin(case, before);
    let ((), paid) = cost(case, || commands.iter().for_each(|args| must_end_well(&run(&home, args, ""))));
    let held = contents(&home.db());
    let ((), idle) = cost(case, || must_end_well(&run(&home, SYNC, "")));
    (held, Ideal { requests: paid.requests, fetches: paid.fetches, idle: idle.requests })
}

/// A folder of its own with a copy of the same store.
pub(crate) fn twin(case: &Case, of: &Home) -> Home {
    let home = Home::new(&case.config);
    if of.db().exists() {
        std::fs::copy(of.db(), home.db()).unwrap();
    }
    home
}

/// Runs the command again and again, each time with other faults, until it ends by itself. Returns how often it died.
/// `truth`: what a conversation that passes for fetched must hold.
pub(crate) fn until_it_ends(
    case: &Case,
    home: &Home,
    args: &[&str],
    truth: &Copy,
    mut faults: impl FnMut(u32) -> String,
) -> u32 {
    for n in 1..100 {
        let ended = run(home, args, &faults(n));
        if let Err(loss) = post_mortem(home, truth) {
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
pub(crate) fn assert_runs(home: &Home, deaths: u32) {
    assert_eq!(home.number("SELECT count(*) FROM sync_runs WHERE status = 'running'"), 0);
    let interrupted = home.number("SELECT count(*) FROM sync_runs WHERE status = 'interrupted'");
    assert!(interrupted <= i64::from(deaths), "{interrupted} of {deaths}");
}

pub(crate) fn assert_alike(case: &Case, what: &str, home: &Home, wanted: &BTreeSet<String>) {
    assert!(chatloom::store::changed_texts(&home.open()).unwrap().is_empty());
    let differences = differences(&contents(&home.db()), wanted);
    let shown: Vec<&String> = differences.iter().take(12).collect();
    assert!(differences.is_empty(), "{}, {what}: {} differences\n{shown:#?}", case.name, differences.len());
}

/// What kills cost at most: the pages in flight and the one that was being stored, each time; and an ordinary pass for
/// every run that gets as far as its own lists (`ended`), because a run that ends well promises to have met what was
/// there when it began. Runs in between finish what the dead ones had listed, and ask for no list.
pub(crate) fn assert_cheap(case: &Case, what: &str, deaths: u32, ended: u32, ideal: Ideal, paid: Cost) {
    let (deaths, ended) = (deaths as usize, ended as usize);
    // One more: a conversation that is gone is asked for once before its list was read, and that is no answer yet.
    let gone = usize::from(!case.fetches.is_empty());
    let told = format!("{:9} {what}: {deaths} deaths, {paid:?} against {ideal:?}", case.name);
    println!("{told}");
    assert!(paid.fetches <= ideal.fetches + deaths * case.in_flight + gone, "{told}");
    assert!(paid.requests <= ideal.requests + ended * ideal.idle + deaths * (case.in_flight + 1) + gone, "{told}");
}

/// Dies at ever later points of ever new processes, always on the same store.
pub(crate) fn die_and_go_on(case: &Case, args: &[&str]) {
    let empty = Home::new(&case.config);
    let (wanted, ideal) = undisturbed(case, &empty, &[args]);
    let points: &[&str] = if long() {
        &["commit.done", "commit.rows", "commit.cursor", "fetch.after"]
    } else {
        &["commit.done", "commit.rows"]
    };
    for point in points {
        let home = Home::new(&case.config);
        let (deaths, paid) =
            cost(case, || until_it_ends(case, &home, args, &case.truth(), |n| format!("crash={point}:{n}")));
        assert!(deaths >= 3, "{}: died {deaths} times at {point}", case.name);
        assert_alike(case, point, &home, &wanted);
        assert_cheap(case, point, deaths, 2, ideal, paid);
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

pub(crate) fn directory() -> BdData {
    chatloom::sim::demo::large_bd(3, 350, NOW_MS)
}

/// Whether every single point is to be tried.
pub(crate) fn long() -> bool {
    std::env::vars_os().any(|(name, value)| name == "CHATLOOM_TEST_LONG" && !value.is_empty())
}

/// A world for stories in which every point counts: few conversations, with all that the large ones have.
pub(crate) fn few<T>(conversations: usize, mut items: Vec<T>) -> Vec<T> {
    items.truncate(conversations);
    items
}

pub(crate) fn small_directory() -> BdData {
    let mut data = chatloom::sim::demo::large_bd(5, 40, NOW_MS);
    data.quirks.token_lookup = TokenLookup::Works;
    data
}

pub(crate) fn workspace(chats: usize) -> ZaiaData {
    let mut data = demo_worlds(2).zaia;
    data.chats = few(chats, data.chats);
    data.messages.retain(|message| data.chats.iter().any(|chat| chat.id == message.chat));
    data
}

pub(crate) fn bots(threads: usize) -> SitegptData {
    let mut data = demo_worlds(2).sitegpt;
    data.threads = few(threads, data.threads);
    data
}

/// A fresh store, killed at one point after the other, each time finished by a second run. Returns the points met.
pub(crate) fn die_everywhere(case: &Case, prepare: &[&[&str]], args: &[&str], stride: u32) -> BTreeSet<String> {
    let before = Home::new(&case.config);
    prepare.iter().for_each(|args| must_end_well(&run(&before, args, "")));
    let (wanted, ideal) = undisturbed(case, &before, &[args]);
    let truth = case.truth();
    let mut points = BTreeSet::new();
    let mut at = 1;
    loop {
        let home = twin(case, &before);
        let (died, paid) = cost(case, || {
            let died = run(&home, args, &format!("crash=*:{at}"));
            if let Err(loss) = post_mortem(&home, &truth).and_then(|()| shut(&died)) {
                panic!("{}: at point {at}, {:?}: {loss}", case.name, died.point());
            }
            if died.code.is_none() {
                must_end_well(&run(&home, args, ""));
            }
            died
        });
        let what = format!("point {at}, {:?}", died.point());
        assert_alike(case, &what, &home, &wanted);
        if died.code.is_some() {
            println!("{:9} {args:?}: {at} points, one in {stride} tried", case.name);
            return points;
        }
        assert_runs(&home, 1);
        assert_cheap(case, &what, 1, 1, ideal, paid);
        points.extend(died.point());
        // The first points, where a store is made, are all tried.
        at += if at < 12 || long() { 1 } else { stride };
    }
}

pub(crate) fn shut(ended: &Ended) -> Result<(), String> {
    match ended.code {
        None | Some(0) => Ok(()),
        Some(code) => Err(format!("exit {code}: {}", ended.stderr)),
    }
}
