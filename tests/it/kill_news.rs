//! A run that ends well has met whatever was there when it began, also where the one before it died.
#![cfg(debug_assertions)]

use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};

use crate::daemon::{SOON, until};
use crate::failures::Everybody;
use crate::harness::{Home, NOW_MS, bd_source, sitegpt_source, zaia_source};
use crate::kill_rig::run;
use crate::kill_story::{blocking, long, must_end_well, small_directory};

/// Somebody says something at every provider, in a second of its own.
fn news(all: &Everybody, second: i64, text: &str) {
    let at_ms = NOW_MS + 1_000 * second;
    {
        let mut world = all.bd.world();
        let (thread, owner) = (world.data.threads[1].token.clone(), world.data.threads[1].owner.clone());
        world.data.add_message(&thread, &owner, at_ms, text);
    }
    {
        let mut world = all.zaia.world();
        let (chat, owner) = (world.data.chats[1].id.clone(), world.data.chats[1].owner.clone());
        world.data.add_message(&chat, "user", Some(&owner), at_ms, text);
    }
    let mut world = all.sitegpt.world();
    let thread = world.data.threads[1].id.clone();
    world.data.add_user(&thread, text, at_ms);
}

/// Dies after each commit in turn, and each time something is said before the next run.
async fn die_and_hear_news(source: &'static str, args: &'static [&'static str]) {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    blocking(move || {
        let command: Vec<&str> = [args, &["--source", source]].concat();
        must_end_well(&run(&home, &["sync", "--source", source], ""));
        for n in 1..200 {
            news(&all, 2 * n, &format!("before the run that dies after {n} commits"));
            let ended = run(&home, &command, &format!("crash=commit.done:{n}"));
            if ended.code.is_some() {
                must_end_well(&ended);
                assert!(n > 3, "it died only {n} times");
                return;
            }
            news(&all, 2 * n + 1, &format!("after the run that died after {n} commits"));
            must_end_well(&run(&home, &command, ""));
            all.assert_exact(&home, source);
        }
        panic!("{source}: it never ends");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_after_one_that_died_meets_what_came_since_at_a_directory() {
    die_and_hear_news("bd", &["sync"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_after_one_that_died_meets_what_came_since_in_a_workspace() {
    die_and_hear_news("zaia", &["sync"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_after_one_that_died_meets_what_came_since_at_chatbots() {
    die_and_hear_news("v0", &["sync"]).await;
    die_and_hear_news("v2", &["sync"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_run_after_one_that_died_meets_what_came_since() {
    die_and_hear_news("bd", &["sync", "--full"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_after_one_that_died_meets_what_came_since() {
    let all = Everybody::start().await;
    blocking(move || {
        for n in (1..200).step_by(if long() { 1 } else { 4 }) {
            let home = Home::new(&all.config());
            let ended = run(&home, &["sync", "--source", "bd"], &format!("crash=commit.done:{n}"));
            if ended.code.is_some() {
                must_end_well(&ended);
                assert!(n > 12, "it died only up to its commit {n}");
                return;
            }
            news(&all, 3 * n, &format!("after the first run that died after {n} commits"));
            must_end_well(&run(&home, &["sync", "--source", "bd"], ""));
            all.assert_exact(&home, "bd");
        }
        panic!("it never ends");
    })
    .await;
}

/// After a long pause a pass that is no first one brings as much as one: the index waits for its words there too, and what
/// it lacks when the pass dies it has after the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_brings_very_many_and_dies_leaves_no_word_out_of_the_index() {
    let all = Everybody::start().await;
    blocking(move || {
        let home = Home::new(&all.config());
        must_end_well(&run(&home, &["sync", "--source", "bd"], ""));
        {
            let mut world = all.bd.world();
            let (thread, owner) = (world.data.threads[1].token.clone(), world.data.threads[1].owner.clone());
            for number in 0..8_000 {
                world.data.add_message(&thread, &owner, NOW_MS + 1_000 * number, &format!("word{number}"));
            }
        }
        let lacking = || {
            home.number(
                "SELECT count(*) FROM messages WHERE id > (SELECT coalesce(max(id), 0) FROM message_search_docsize)",
            )
        };
        let mut lacked = 0;
        for commits in 8..16 {
            let requests = || all.bd.world().requests();
            let before = requests();
            let faults = format!("crash=commit.done:{commits}");
            let ended = std::thread::scope(|scope| {
                let pass = scope.spawn(|| run(&home, &["sync", "--source", "bd"], &faults));
                let more_than = |number: usize| until("requests", SOON, || requests() > number || pass.is_finished());
                // Somebody holds the store up until as many pages wait as may.
                more_than(before + 3);
                let holder = rusqlite::Connection::open(home.db()).unwrap();
                holder.busy_timeout(SOON).unwrap();
                holder.execute_batch("BEGIN IMMEDIATE").unwrap();
                more_than(requests() + 8);
                drop(holder);
                pass.join().unwrap()
            });
            assert_eq!(ended.code, None, "{}", ended.stderr);
            lacked = lacking();
            if lacked > 0 {
                break;
            }
        }
        assert!(lacked > 0, "the index never waited");
        must_end_well(&run(&home, &["sync", "--source", "bd"], ""));
        assert_eq!(lacking(), 0);
        all.assert_exact(&home, "bd");
    })
    .await;
}

/// A chat whose last word is older than where the windows had come to, and younger than the lookback: it came in after
/// they were read, and before the run that goes on with them began.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_after_one_that_died_meets_what_came_since_in_windows_that_were_read() {
    let mut data = ZaiaData::new();
    let channel = data.add_channel("whatsapp", "Shop");
    let agent = data.add_agent("Helper");
    let owner = data.add_external_user(&channel, Some("li@example.test"), Some("Li Wei"));
    let chat = move |data: &mut ZaiaData, at_ms| {
        let chat = data.add_chat(Some(&channel), &owner, &agent, at_ms);
        data.add_message(&chat, "user", Some(&owner), at_ms, "Hello?");
        chat
    };
    // More than a page within the lookback: it is read in several windows.
    for number in 0..250 {
        chat(&mut data, NOW_MS - 1_800_000 + 1_000 * number);
    }
    let zaia = ZaiaSim::start(data).await.unwrap();
    blocking(move || {
        let home = Home::new(&zaia_source("zaia", &zaia));
        must_end_well(&run(&home, &["sync"], ""));
        for n in 1..200 {
            let ended = run(&home, &["sync"], &format!("crash=commit.done:{n}"));
            if ended.code.is_some() {
                must_end_well(&ended);
                assert!(n > 3, "it died only {n} times");
                return;
            }
            let came = chat(&mut zaia.world().data, NOW_MS - 1_799_500 + 7_000 * n);
            must_end_well(&run(&home, &["sync"], ""));
            let found = format!("SELECT count(*) FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id WHERE c.external_id = '{came}'");
            assert_eq!(home.number(&found), 1, "after it died at commit {n}");
        }
        panic!("it never ends");
    })
    .await;
}

/// A list is read otherwise in the other version of the API: a place in it that a dead run left means nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_a_run_died_in_is_read_by_the_other_version_of_the_api() {
    for (first, then) in [("v0", "v2"), ("v2", "v0")] {
        let mut data = SitegptData::new();
        let chatbot = data.add_chatbot("Carpentry");
        for n in 0..250 {
            let thread = data.add_thread(&chatbot, NOW_MS - 1_000_000 + n);
            data.add_user(&thread, "hello", NOW_MS - 1_000_000 + n);
        }
        let sim = SitegptSim::start(data).await.unwrap();
        blocking(move || {
            let home = Home::new(&sitegpt_source("bots", &sim, first));
            let died = run(&home, &["sync"], "crash=fetch.after:4");
            assert_eq!(died.code, None, "{}", died.stderr);
            let left =
                "SELECT count(*) FROM cursors WHERE stream = 'threads' AND json_extract(cursor, '$.walk') IS NOT NULL";
            assert_eq!(home.number(left), 1, "{first}");
            home.configure(&sitegpt_source("bots", &sim, then));
            must_end_well(&run(&home, &["sync"], ""));
            assert_eq!(home.number("SELECT count(*) FROM messages"), 250, "{first} {then}");
        })
        .await;
    }
}

/// A first pass that died when it had read its lists.
fn died_with_its_lists_read(sim: &BdSim) -> Home {
    let home = Home::new(&bd_source("bd", sim));
    let died = run(&home, &["sync"], "crash=pass.listed");
    assert_eq!(died.code, None, "{}", died.stderr);
    home
}

/// What a first pass had read before it died may have changed since, and the run that gets through says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_after_one_that_died_meets_what_changed_in_its_lists_since() {
    let sim = BdSim::start(small_directory()).await.unwrap();
    blocking(move || {
        let home = died_with_its_lists_read(&sim);
        let gone = {
            let data = &mut sim.world().data;
            let token = data.threads[0].token.clone();
            data.soft_delete_thread(&token, NOW_MS + 60_000);
            token
        };
        must_end_well(&run(&home, &["sync"], ""));
        assert_eq!(home.rows("SELECT external_id FROM conversations WHERE deleted_reason = 'provider'"), [gone]);
    })
    .await;
}

/// A thread that shows itself only while the run that goes on asks for changes has its messages, or says that it has not.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_after_one_that_died_brings_the_messages_of_what_it_meets_last() {
    let sim = BdSim::start(small_directory()).await.unwrap();
    blocking(move || {
        let home = died_with_its_lists_read(&sim);
        let mut new = true;
        sim.world().on_request(move |data, request| {
            if request.first("property") == Some("updated_at") && std::mem::take(&mut new) {
                let (owner, responder) = (data.threads[0].owner.clone(), data.threads[0].responders.clone());
                let thread = data.add_thread(&owner, &responder, NOW_MS + 60_000);
                data.add_message(&thread, &owner, NOW_MS + 60_000, "the last to come");
            }
        });
        must_end_well(&run(&home, &["sync"], ""));
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = 'the last to come'"), 1);
        assert_eq!(home.number("SELECT count(*) FROM v_conversations WHERE complete AND messages = 0"), 0);
    })
    .await;
}
