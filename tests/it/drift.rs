//! Providers whose data changes before every request: after one more, quiet pass everything that is there is held,
//! exactly.

use std::collections::BTreeMap;

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, Fault, Rng, SitegptSim, Truth, ZaiaSim};

use crate::harness::{Copy, Home, assert_same, bd_source, copy_of, now_ms, sitegpt_source, wanted, zaia_source};

/// The rows that the provider still has: what was removed while it was read may or may not have been met.
fn living(truth: &Truth) -> Copy {
    let gone = |id: &str| truth.conversations.get(id).is_some_and(|conversation| conversation.deleted);
    wanted(truth).into_iter().filter(|((conversation, _), row)| !row.4 && !gone(conversation)).collect()
}

/// Fails unless the source's living messages are held as they are.
fn assert_held(home: &Home, source: &str, truth: &Truth) {
    let living = living(truth);
    assert!(living.len() > 100, "only {} messages are left", living.len());
    let held: Copy = copy_of(home, source).into_iter().filter(|(ids, _)| living.contains_key(ids)).collect();
    assert_same(&held, &living);
}

/// How many seeds a story is played with: few in every run, more where `CHATLOOM_DRIFT_SEEDS` says so.
fn seeds(usual: u64) -> u64 {
    std::env::var_os("CHATLOOM_DRIFT_SEEDS").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(usual)
}

fn pick<'a, T>(rng: &mut Rng, items: &'a [T]) -> Option<&'a T> {
    // More often an old one: those were read already.
    let old = items.get(..items.len() / 3).unwrap_or_default();
    if rng.chance(60) { rng.pick(old) } else { rng.pick(items) }
}

fn change_bd(data: &mut BdData, rng: &mut Rng) {
    let (thread, message) = (pick(rng, &data.threads).cloned(), pick(rng, &data.messages).cloned());
    let (Some(thread), Some(message)) = (thread, message) else { return };
    for _ in 0..rng.between(0, 3) {
        let token = data.add_thread(&thread.owner, &thread.responders, now_ms());
        data.add_message(&token, &thread.owner, now_ms(), "came while the list was read");
        data.add_message(&thread.token, &thread.responders, now_ms(), "answered while the list was read");
    }
    // Touched: a thread moves to the end of what changed, a message to the front of what was written.
    data.change_thread(&thread.token, |thread| (thread.open, thread.updated_ms) = (false, now_ms()));
    data.change_message(message.id, |message| message.read = true);
    for _ in 0..rng.between(0, 2) {
        let (thread, message) = (pick(rng, &data.threads).cloned(), pick(rng, &data.messages).cloned());
        if let (Some(thread), Some(message)) = (thread, message) {
            data.remove_message(message.id);
            if rng.chance(30) {
                data.remove_thread(&thread.token);
            }
        }
    }
}

/// Reads a drifting directory, then a quiet one; gives what `status` shows of the method of each stream and why.
async fn read_drifting_bd(seed: u64, quirks: impl FnOnce(&mut BdData)) -> BTreeMap<String, (String, String)> {
    let mut data = BdData::new();
    let members = [data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh")];
    for number in 0..240 {
        let at_ms = now_ms() - 86_400_000 + number * 60_000;
        let thread = data.add_thread(&members[0], &members[1], at_ms);
        for (part, member) in [(0, 0), (1, 1), (2, 0)] {
            data.add_message(&thread, &members[member], at_ms + part * 1000, &format!("thread {number}, part {part}"));
        }
    }
    quirks(&mut data);
    let sim = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    let mut rng = Rng::new(seed);
    sim.world().on_request(move |data, _| change_bd(data, &mut rng));
    home.sync().await;
    sim.world().before_request = None;
    home.sync().await;
    let data = sim.world().data.clone();
    assert_held(&home, "bd", &data.truth());
    let open: BTreeMap<String, String> = home
        .rows("SELECT external_id || '|' || status FROM conversations")
        .iter()
        .filter_map(|row| row.split_once('|').map(|(id, status)| (id.to_owned(), status.to_owned())))
        .collect();
    for thread in &data.threads {
        let status = if thread.open { "open" } else { "closed" };
        assert_eq!(open.get(&thread.token).map(String::as_str), Some(status), "seed {seed}, thread {}", thread.id);
    }

    // Once more: nothing changes any more.
    let rev = home.rev();
    sim.world().clear_log();
    home.sync().await;
    home.assert_still(rev, "quiet");
    let status = home.run(&["status", "--json"]).await.json();
    let streams = status["sources"][0]["streams"].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut shown: BTreeMap<String, (String, String)> = streams
        .iter()
        .map(|stream| (text(&stream["name"]), (text(&stream["method"]), text(&stream["note"]))))
        .collect();
    shown.insert("requests".to_owned(), (sim.world().requests().to_string(), String::new()));
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_changes_while_it_is_read() {
    for seed in 1..=seeds(3) {
        let shown = read_drifting_bd(seed, |_| {}).await;
        assert_eq!(shown["messages"].0, "keyset", "{shown:?}");
        assert_eq!(shown["threads"].0, "keyset", "{shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_ignores_filters_is_read_by_proven_seams() {
    for seed in 1..=seeds(3) {
        let shown = read_drifting_bd(seed, |data| data.quirks.ignore_filters = true).await;
        for stream in ["messages", "threads", "thread_ids"] {
            assert_eq!(shown[stream].0, "anchored", "{shown:?}");
            assert_eq!(shown[stream].1, "the provider ignores the filter", "{shown:?}");
        }
        // An idle pass reads the ends of the lists, not the lists.
        let requests: usize = shown["requests"].0.parse().unwrap();
        assert!(requests <= 12, "{requests} requests");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_ignores_filters_and_order_is_read_as_well_as_can_be() {
    for seed in 1..=seeds(2) {
        let shown = read_drifting_bd(seed, |data| {
            data.quirks.ignore_filters = true;
            data.quirks.ignore_order = true;
        })
        .await;
        assert_eq!(shown["messages"].0, "best_effort", "{shown:?}");
        assert!(shown["messages"].1.contains("order"), "{shown:?}");
    }
}

fn change_zaia(data: &mut ZaiaData, rng: &mut Rng) {
    let Some(chat) = pick(rng, &data.chats).cloned() else { return };
    data.add_message(&chat.id, "user", Some(&chat.owner), now_ms(), "said while the list was read");
    if rng.chance(40) {
        let new = data.add_chat(chat.channel.as_deref(), &chat.owner, &chat.responder, now_ms());
        data.add_message(&new, "user", Some(&chat.owner), now_ms(), "opened while the list was read");
    }
    if rng.chance(40)
        && let Some(chat) = pick(rng, &data.chats).cloned()
    {
        data.purge_chat(&chat.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_changes_while_it_is_read() {
    for seed in 1..=seeds(2) {
        let mut data = ZaiaData::new();
        let channel = data.add_channel("widget", "Website");
        let responder = data.add_agent("Support agent");
        for number in 0..260 {
            let owner = data.add_external_user(&channel, Some(&format!("visitor{number}@example.test")), None);
            let at_ms = now_ms() - 86_400_000 + number * 60_000;
            let chat = data.add_chat(Some(&channel), &owner, &responder, at_ms);
            data.add_message(&chat, "user", Some(&owner), at_ms, &format!("question {number}"));
        }
        let sim = ZaiaSim::start(data).await.unwrap();
        let home = Home::new(&zaia_source("agents", &sim));
        let mut rng = Rng::new(seed);
        sim.world().on_request(move |data, request| {
            // While lists are read everything moves; while chats are fetched, now and then.
            if !request.path.ends_with("/chat-messages") || rng.chance(5) {
                change_zaia(data, &mut rng);
            }
        });
        home.sync().await;
        sim.world().before_request = None;
        home.sync().await;
        assert_held(&home, "agents", &sim.world().data.truth());
        let rev = home.rev();
        home.sync().await;
        home.assert_still(rev, "quiet");
    }
}

fn change_sitegpt(data: &mut SitegptData, rng: &mut Rng, removes: bool) {
    let Some(thread) = pick(rng, &data.threads).cloned() else { return };
    let now = now_ms();
    data.add_normal(&thread.id, ("asked while the list was read", now), ("answered at once", now));
    if rng.chance(40) {
        let new = data.add_thread(&thread.chatbot, now);
        data.add_normal(&new, ("opened while the list was read", now), ("welcome", now));
    }
    if removes
        && rng.chance(40)
        && let Some(thread) = pick(rng, &data.threads).cloned()
    {
        data.remove_thread(&thread.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chatbots_whose_conversations_change_while_they_are_read() {
    for (api, seed) in (1..=seeds(3)).map(|seed| (if seed % 3 == 0 { "v0" } else { "v2" }, seed)) {
        let mut data = SitegptData::new();
        let chatbot = data.add_chatbot("Shop");
        for number in 0..230 {
            let at_ms = now_ms() - 86_400_000 + number * 60_000;
            let thread = data.add_thread(&chatbot, at_ms);
            data.add_normal(&thread, (&format!("question {number}"), at_ms), (&format!("answer {number}"), at_ms));
        }
        let sim = SitegptSim::start(data).await.unwrap();
        let home = Home::new(&sitegpt_source("bots", &sim, api));
        let mut rng = Rng::new(seed);
        sim.world().on_request(move |data, request| {
            let lists = request.path.ends_with("/threads") || request.path.ends_with("/conversations");
            if lists || rng.chance(5) {
                // The numbered list of v0 promises nothing when rows go away.
                change_sitegpt(data, &mut rng, api == "v2");
            }
        });
        home.sync().await;
        sim.world().before_request = None;
        home.sync().await;
        assert_held(&home, "bots", &sim.world().data.truth());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_the_server_takes_no_longer_is_forgotten() {
    let mut data = SitegptData::new();
    let chatbot = data.add_chatbot("Shop");
    for number in 0..250 {
        data.add_thread(&chatbot, now_ms() - 86_400_000 + number * 60_000);
    }
    let sim = SitegptSim::start(data).await.unwrap();
    let home = Home::new(&sitegpt_source("bots", &sim, "v2"));
    let list = format!("/api/v2/chatbots/{chatbot}/conversations");
    sim.world().fault(&list, Fault::Pass);
    sim.world().fault(&list, Fault::status(400));
    home.sync().await;
    assert_eq!(sim.world().faults_left(), 0);
    assert_eq!(home.number("SELECT count(*) FROM conversations"), 250);
}
