//! Killed at any instant: the next run goes on, nothing is lost, nothing stands twice, and little is asked again.
//!
//! Every story compares the whole store with one that was read undisturbed, and looks at what each dead process left.
//! `CHATLOOM_TEST_LONG=1` kills at every single point instead of at a sample.
#![cfg(debug_assertions)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chatloom::sim::Rng;
use chatloom::sim::sitegpt::SitegptData;

use crate::harness::{Home, NOW_MS};
use crate::kill_rig::{
    Case, bd, contents, differences, post_mortem, run, sitegpt, sitegpt_at, start, wait, zaia, zaia_at,
};
use crate::kill_story::{
    SYNC, assert_alike, assert_cheap, assert_runs, blocking, bots, cost, die_and_go_on, die_everywhere, directory,
    long, must_end_well, shut, small_directory, undisturbed, until_it_ends, workspace,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_killed_in_and_after_commits_goes_on() {
    let (case, _) = bd(directory()).await;
    blocking(move || die_and_go_on(&case, SYNC)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_killed_in_and_after_commits_goes_on() {
    let (case, _) = zaia(workspace(if long() { 150 } else { 50 })).await;
    blocking(move || die_and_go_on(&case, SYNC)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chatbots_killed_in_and_after_commits_go_on() {
    for api in ["v0", "v2"] {
        let (case, _) = sitegpt(bots(if long() { 140 } else { 40 }), api).await;
        blocking(move || die_and_go_on(&case, SYNC)).await;
    }
}

/// One request at a time: a page in flight, and perhaps the one before it, is all that a kill costs.
#[tokio::test(flavor = "multi_thread")]
async fn where_requests_are_made_one_by_one_a_kill_costs_a_page() {
    let cases = [
        zaia_at(workspace(40), 1).await.0,
        sitegpt_at(bots(40), "v0", 1).await.0,
        sitegpt_at(bots(40), "v2", 1).await.0,
    ];
    for case in cases {
        blocking(move || die_and_go_on(&case, SYNC)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_may_die_at_any_point() {
    let mut points = BTreeSet::new();
    let (case, _) = bd(small_directory()).await;
    points.extend(blocking(move || die_everywhere(&case, &[], SYNC, 5)).await);
    let (case, _) = zaia(workspace(6)).await;
    points.extend(blocking(move || die_everywhere(&case, &[], SYNC, 13)).await);
    for (api, stride) in [("v0", 13), ("v2", 14)] {
        let (case, _) = sitegpt(bots(6), api).await;
        points.extend(blocking(move || die_everywhere(&case, &[], SYNC, stride)).await);
    }
    for point in
        ["open.created", "open.settled", "migrate.begun", "migrate.step", "migrate.marked", "migrate.committed"]
    {
        assert!(points.contains(point), "{point} is not among {points:?}");
    }
}

/// Every fail point, where it is first passed.
const POINTS: &[&str] = &[
    "open.created",
    "open.settled",
    "migrate.begun",
    "migrate.step",
    "migrate.marked",
    "migrate.committed",
    "run.started",
    "run.recorded",
    "run.finished",
    "fetch.before",
    "fetch.after",
    "pass.listed",
    "pass.fetched",
    "commit.begun",
    "commit.rows",
    "commit.cursor",
    "commit.complete",
    "commit.done",
    "refetch.marked",
    "sweep.counted",
    "sweep.ended",
    "close.checkpoint",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_named_point_is_met_and_survived() {
    crate::faults::play("S2", async {
        const FULL: &[&str] = &["sync", "--full"];
        let (case, _) = bd(small_directory()).await;
        blocking(move || {
            let (wanted, _) = undisturbed(&case, &Home::new(&case.config), &[FULL]);
            for point in POINTS {
                let home = Home::new(&case.config);
                let died = run(&home, FULL, &format!("crash={point}"));
                assert_eq!((died.code, died.point().as_deref()), (None, Some(*point)), "{}", died.stderr);
                post_mortem(&home, &case.truth()).unwrap();
                must_end_well(&run(&home, FULL, ""));
                assert_alike(&case, point, &home, &wanted);
            }
        })
        .await;
    })
    .await;
}

/// Every process gets eight commits far, and there are twelve lists. The one that a dead process was reading comes first,
/// then those that were read longest ago: so even processes none of which gets through all lists see each of them.
#[tokio::test(flavor = "multi_thread")]
async fn processes_that_die_young_get_through_many_lists_together() {
    let mut data = SitegptData::new();
    for bot in 0..12 {
        let chatbot = data.add_chatbot(&format!("Helper {bot}"));
        data.add_thread(&chatbot, NOW_MS - 1_000_000 + bot);
    }
    let (case, _) = sitegpt(data, "v2").await;
    blocking(move || {
        let home = Home::new(&case.config);
        let met = || home.number("SELECT count(*) FROM conversations");
        for _ in 0..8 {
            let died = run(&home, SYNC, "crash=commit.done:8");
            assert_eq!(died.code, None, "{}", died.stderr);
        }
        assert_eq!(met(), 12);
        must_end_well(&run(&home, SYNC, ""));
        assert_alike(&case, "many lists", &home, &undisturbed(&case, &Home::new(&case.config), &[SYNC]).0);
    })
    .await;
}

/// Every process gets a dozen commits far. What the lists marked is fetched before any list is read again, so the lists
/// are paid for by the process that read them first and by the one that gets through, and by none in between.
#[tokio::test(flavor = "multi_thread")]
async fn processes_that_die_young_ask_for_the_lists_once_and_at_the_end_once_more() {
    let cases = [zaia(workspace(50)).await.0, sitegpt(bots(40), "v0").await.0, sitegpt(bots(40), "v2").await.0];
    for case in cases {
        blocking(move || {
            let (wanted, ideal) = undisturbed(&case, &Home::new(&case.config), &[SYNC]);
            let lists = ideal.requests - ideal.fetches;
            // Far enough to get through all the lists.
            let far = u32::try_from(lists).unwrap() + 3;
            let home = Home::new(&case.config);
            let (deaths, paid) = cost(&case, || {
                until_it_ends(&case, &home, SYNC, &case.truth(), |n| format!("crash=commit.done:{}", far + n))
            });
            // How many commits a process makes depends on which of them the writer folds together.
            assert!(deaths >= 1, "{}", case.name);
            assert_alike(&case, "died young", &home, &wanted);
            let what = format!("{}: {deaths} deaths, {paid:?} against {ideal:?}", case.name);
            println!("{what}");
            assert!(paid.fetches <= ideal.fetches + deaths as usize * case.in_flight, "{what}");
            assert!(paid.requests <= ideal.requests + lists + deaths as usize * case.in_flight, "{what}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_dies_goes_on() {
    const ALL: &[&str] = &["backfill"];
    const SOME: &[&str] = &["backfill", "--since", "2026-01-15", "--until", "2026-02-15"];
    let cases = [
        bd(directory()).await.0,
        zaia(workspace(25)).await.0,
        sitegpt(bots(25), "v0").await.0,
        sitegpt(bots(25), "v2").await.0,
    ];
    for case in cases {
        blocking(move || {
            let empty = Home::new(&case.config);
            for args in [ALL, SOME] {
                let (wanted, ideal) = undisturbed(&case, &empty, &[args]);
                let home = Home::new(&case.config);
                let (deaths, paid) = cost(&case, || {
                    until_it_ends(&case, &home, args, &case.truth(), |n| format!("crash=commit.done:{}", 2 * n))
                });
                assert_alike(&case, "backfill", &home, &wanted);
                assert_cheap(&case, "backfill", deaths, 2, ideal, paid);
                assert_eq!(home.number("SELECT count(*) FROM sync_runs WHERE mode <> 'backfill'"), 0);
            }
        })
        .await;
    }
}

/// Kills from outside, while requests come in and commits are under way, until a run gets through.
fn kill_from_outside(case: &Case, seed: u64) -> u32 {
    let empty = Home::new(&case.config);
    let (wanted, ideal) = undisturbed(case, &empty, &[SYNC]);
    let truth = case.truth();
    let home = Home::new(&case.config);
    let mut rng = Rng::new(seed);
    let mut deaths = 0;
    let ((), paid) = cost(case, || {
        for kill in 1..=6 {
            // Later and later, so that every run comes further than the one before it.
            let total = i64::try_from(ideal.requests).unwrap();
            let mut left = total * kill / 9 + rng.between(1, 1 + total / 4);
            let mut spin = rng.between(0, 60_000);
            let child = Arc::new(Mutex::new(start(&home, SYNC, "")));
            let victim = Arc::clone(&child);
            case.on_request(move || {
                left -= 1;
                if left == 0 {
                    while spin > 0 {
                        spin -= 1;
                        std::hint::spin_loop();
                    }
                    drop(victim.lock().unwrap().kill());
                }
            });
            let ended = wait(&child);
            case.on_request(|| ());
            if let Err(loss) = post_mortem(&home, &truth).and_then(|()| shut(&ended)) {
                panic!("{}: seed {seed}, kill {kill}: {loss}", case.name);
            }
            deaths += u32::from(ended.code.is_none());
        }
        must_end_well(&run(&home, SYNC, ""));
    });
    assert_alike(case, &format!("killed from outside, seed {seed}"), &home, &wanted);
    assert_runs(&home, deaths);
    assert_cheap(case, "killed from outside", deaths, 7, ideal, paid);
    deaths
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_from_outside_at_any_moment_nothing_is_lost() {
    crate::faults::play("S1", async {
        let seeds = if long() { 1..=20 } else { 1..=1 };
        let cases = [
            bd(directory()).await.0,
            zaia(workspace(25)).await.0,
            sitegpt(bots(25), "v0").await.0,
            sitegpt(bots(25), "v2").await.0,
        ];
        let mut deaths = 0;
        for case in cases {
            let seeds = seeds.clone();
            deaths += blocking(move || seeds.map(|seed| kill_from_outside(&case, seed)).sum::<u32>()).await;
        }
        println!("{deaths} processes were killed");
        assert!(deaths >= 10, "{deaths}");
    })
    .await;
}

/// The stories above are only worth something if they notice a loss. Here cursors and fetch marks are committed before
/// their rows: a process that dies between the two loses a page, and both the look at what it left and the comparison
/// at the end must say so.
#[tokio::test(flavor = "multi_thread")]
async fn cursors_ahead_of_their_rows_would_be_noticed() {
    let cases = [
        bd(directory()).await.0,
        zaia(workspace(8)).await.0,
        sitegpt(bots(8), "v0").await.0,
        sitegpt(bots(8), "v2").await.0,
    ];
    for case in cases {
        blocking(move || {
            let empty = Home::new(&case.config);
            let (wanted, _) = undisturbed(&case, &empty, &[SYNC]);
            let truth = case.truth();
            let (mut seen_dead, mut seen_at_the_end) = (0, 0);
            for n in (3..).step_by(2) {
                let home = Home::new(&case.config);
                let died = run(&home, SYNC, &format!("cursors_first,crash=commit.begun:{n}"));
                seen_dead += u32::from(post_mortem(&home, &truth).is_err());
                if died.code.is_some() {
                    break;
                }
                must_end_well(&run(&home, SYNC, ""));
                seen_at_the_end += u32::from(!differences(&contents(&home.db()), &wanted).is_empty());
            }
            assert!(seen_dead > 0 && seen_at_the_end > 0, "{}: {seen_dead} and {seen_at_the_end}", case.name);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dying_process_found_out_about_all_conversations_is_acted_upon_by_the_next() {
    let mut data = workspace(12);
    data.quirks.hide_threaded = true;
    let (case, _) = zaia(data).await;
    blocking(move || {
        let home = Home::new(&case.config);
        must_end_well(&run(&home, SYNC, ""));
        let store = rusqlite::Connection::open(home.db()).unwrap();
        let learnt = "INSERT INTO facts (source_id, name, value, learned_at_ms) VALUES (1, 'refetch_owed', '1', 0)
                      ON CONFLICT DO UPDATE SET value = '1'";
        store.execute(learnt, []).unwrap();
        drop(store);
        for commands in [1, 0] {
            let (ended, paid) = cost(&case, || run(&home, SYNC, ""));
            must_end_well(&ended);
            assert_eq!(paid.fetches.min(12), commands * 12, "paid once, and only once");
        }
        assert_eq!(home.number("SELECT count(*) FROM facts WHERE name = 'refetch_owed' AND value = '0'"), 1);
    })
    .await;
}
