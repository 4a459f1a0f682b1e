//! Full passes that die: asked for by hand they begin anew, a daemon's goes on, and together they count as one reading.
#![cfg(debug_assertions)]

use chatloom::sim::bd::BdData;
use chatloom::sim::demo::{evolve_bd, evolve_sitegpt, evolve_zaia};

use crate::harness::{Copy, Home, NOW_MS};
use crate::kill_rig::{Case, bd, run, sitegpt, zaia};
use crate::kill_story::{
    SYNC, assert_alike, blocking, bots, directory, must_end_well, twin, undisturbed, until_it_ends, workspace,
};

const FULL: &[&str] = &["sync", "--full"];

/// A store that knows an earlier state of the world, which then went on; and that earlier truth.
async fn evolved(kind: &str) -> (Case, Home, Copy) {
    let later = NOW_MS + 3_600_000;
    let (case, evolve): (Case, Box<dyn FnOnce() + Send>) = match kind {
        "directory" => {
            let (case, world) = bd(directory()).await;
            let evolve = move || {
                let data = &mut world.lock().unwrap().data;
                evolve_bd(data, 7, later);
                let gone = data.messages.iter().map(|message| message.id).step_by(40).collect::<Vec<_>>();
                gone.into_iter().for_each(|id| data.remove_message(id));
            };
            (case, Box::new(evolve))
        }
        "workspace" => {
            let (case, world) = zaia(workspace(25)).await;
            (case, Box::new(move || evolve_zaia(&mut world.lock().unwrap().data, 7, later)))
        }
        api => {
            let (case, world) = sitegpt(bots(25), if api == "v0" { "v0" } else { "v2" }).await;
            (case, Box::new(move || evolve_sitegpt(&mut world.lock().unwrap().data, 7, later)))
        }
    };
    blocking(move || {
        let home = Home::new(&case.config);
        must_end_well(&run(&home, SYNC, ""));
        let truth = case.truth();
        evolve();
        (case, home, truth)
    })
    .await
}

/// Asked for by hand, it begins anew each time, and what was read by those that died counts for nothing by itself.
#[tokio::test(flavor = "multi_thread")]
async fn full_passes_that_die_and_the_one_that_does_not_count_as_one_reading() {
    for kind in ["directory", "workspace", "v0", "v2"] {
        let (case, before, truth_before) = evolved(kind).await;
        blocking(move || {
            let (once, _) = undisturbed(&case, &before, &[FULL]);
            let (twice, _) = undisturbed(&case, &before, &[FULL, FULL]);
            let once_in_a_run = if kind == "directory" { "sweep.counted" } else { "refetch.marked" };
            for point in ["commit.cursor", once_in_a_run] {
                let home = twin(&case, &before);
                let faults = |n: u32| match point {
                    "sweep.counted" | "refetch.marked" => format!("crash={point}:{}", if n < 3 { 1 } else { 9999 }),
                    _ => format!("crash={point}:{}", 2 * n),
                };
                assert!(until_it_ends(&case, &home, FULL, &truth_before, faults) >= 2);
                assert_alike(&case, &format!("full, {point}"), &home, &once);
                must_end_well(&run(&home, FULL, ""));
                assert_alike(&case, &format!("full twice, {point}"), &home, &twice);
            }
        })
        .await;
    }
}

/// Every daemon gets a dozen commits far, which is less than it takes to sweep the threads: only one that does not sweep
/// them again comes to the messages.
#[tokio::test(flavor = "multi_thread")]
async fn daemons_that_die_young_get_through_a_full_pass_together() {
    let mut data = BdData::new();
    let (owner, responder) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
    for n in 0..1_550 {
        let thread = data.add_thread(&owner, &responder, NOW_MS - 1_000_000 + n);
        data.add_message(&thread, &owner, NOW_MS - 1_000_000 + n, "hello");
    }
    let (case, _) = bd(data).await;
    blocking(move || {
        let home = Home::new(&case.config.replace("[[sources]]", "[[sources]]\npoll = \"1h\"\nsweep = \"1s\""));
        must_end_well(&run(&home, SYNC, ""));
        let swept = "SELECT count(*) FROM sync_runs WHERE mode = 'sweep' AND status = 'ok'";
        let mut deaths = 0;
        while home.number(swept) == 0 {
            let died = run(&home, &["run"], "crash=commit.done:12");
            assert_eq!(died.code, None, "{}", died.stderr);
            deaths += 1;
            assert!(deaths < 20, "{:?}", home.rows("SELECT mode, status, requests FROM sync_runs"));
        }
        assert!(deaths > 1, "{deaths}");
    })
    .await;
}

/// What changes in the part that a full pass had read before it died is met by the next that is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_pass_that_died_is_not_gone_on_with_by_one_that_is_asked_for() {
    let (case, world) = bd(directory()).await;
    blocking(move || {
        let home = Home::new(&case.config);
        must_end_well(&run(&home, SYNC, ""));
        // After the messages, before the threads.
        let died = run(&home, FULL, "crash=pass.listed");
        assert_eq!(died.code, None, "{}", died.stderr);
        let id = {
            let data = &mut world.lock().unwrap().data;
            let id = data.messages[0].id;
            data.edit_message(id, "said otherwise");
            id
        };
        must_end_well(&run(&home, FULL, ""));
        assert_eq!(
            home.rows(&format!("SELECT body_text FROM messages WHERE external_id = '{id}'")),
            ["said otherwise"]
        );
    })
    .await;
}

/// None of them gets through: each begins anew, and goes on with the conversations that were read longest ago.
#[tokio::test(flavor = "multi_thread")]
async fn full_passes_that_die_young_see_every_conversation_in_turn() {
    for synced_before in [false, true] {
        let (case, world) = sitegpt(bots(40), "v2").await;
        blocking(move || {
            let home = Home::new(&case.config);
            if synced_before {
                must_end_well(&run(&home, SYNC, ""));
            }
            let all = i64::try_from(world.lock().unwrap().data.threads.len()).unwrap();
            for n in 0..4 {
                let ended = run(&home, FULL, "crash=fetch.after:20");
                if ended.code.is_some() {
                    // A first pass, which goes on.
                    assert!(n > 0 && !synced_before);
                    must_end_well(&ended);
                    break;
                }
            }
            let fetched =
                "SELECT count(*) FROM conversations WHERE fetched_at_ms > (SELECT started_at_ms FROM sync_runs
                WHERE mode = 'sweep' ORDER BY id LIMIT 1)";
            assert_eq!(home.number(fetched), all, "{synced_before}");
        })
        .await;
    }
}
