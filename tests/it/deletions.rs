//! What providers delete is marked, never removed: by their own word at once, by absence after two complete readings.

use chatloom::sim::{BdSim, Fault, SitegptSim, Truth, ZaiaSim, demo};

use crate::harness::{
    Home, NOW_MS, assert_same, bd_source, copy_of, heads_of, sitegpt_source, wanted, wanted_heads, zaia_source,
};

/// Messages and conversations, deletions included; titles and escalations are no part of this.
fn assert_exact(home: &Home, source: &str, truth: &Truth) {
    assert_same(&copy_of(home, source), &wanted(truth));
    let deleted = |heads: crate::harness::Heads| heads.into_iter().map(|(id, head)| (id, head.0)).collect();
    assert_same::<String, bool>(&deleted(heads_of(home, source)), &deleted(wanted_heads(truth)));
}

fn marked(home: &Home) -> (i64, i64) {
    let of = |table: &str| home.number(&format!("SELECT count(*) FROM {table} WHERE deleted_at_ms IS NOT NULL"));
    (of("conversations"), of("messages"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_removes_rows_without_a_word() {
    let sim = BdSim::start(demo::large_bd(1, 450, NOW_MS)).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    home.sync().await;
    let (first, last) = {
        let data = &mut sim.world().data;
        let (first, middle) = (data.messages[0].clone(), data.messages[200].id);
        let last = data.messages.last().unwrap().id;
        let thread = data.threads[7].token.clone();
        for id in [first.id, middle, last] {
            data.remove_message(id);
        }
        data.remove_thread(&thread);
        (first, last)
    };
    home.sync().await;
    assert_eq!(marked(&home), (0, 0), "an ordinary pass does not look back");
    home.sync_with(&["--full"]).await;
    assert_eq!(marked(&home), (0, 0), "one reading is no proof");
    let report = home.sync_with(&["--full"]).await;
    assert_exact(&home, "bd", &sim.world().data.truth());
    assert_eq!(report["sources"][0]["messages"]["deleted"], 13);
    assert_eq!(report["sources"][0]["conversations"]["deleted"], 1);
    assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = ''"), 0, "the text stays");
    let rev = home.rev();
    home.sync_with(&["--full"]).await;
    home.assert_still(rev, "told once");

    // One comes back; a new one follows the removed last one.
    {
        let data = &mut sim.world().data;
        data.removed_messages.retain(|message| message.id != first.id);
        data.messages.insert(0, first);
        let (thread, owner) = (data.threads[0].token.clone(), data.threads[0].owner.clone());
        assert!(data.add_message(&thread, &owner, NOW_MS, "new") > last);
    }
    home.sync_with(&["--full"]).await;
    assert_exact(&home, "bd", &sim.world().data.truth());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_no_list_showed_any_more_is_gone_with_its_messages() {
    let sim = BdSim::start(demo::large_bd(1, 450, NOW_MS)).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    {
        let data = &mut sim.world().data;
        let thread = data.threads.remove(7);
        data.removed_threads.push(thread);
    }
    home.sync().await;
    home.sync_with(&["--full"]).await;
    home.sync_with(&["--full"]).await;
    assert_eq!(home.number("SELECT count(*) FROM conversations"), 45);
    {
        let data = &mut sim.world().data;
        let thread = data.removed_threads[0].token.clone();
        data.remove_thread(&thread);
    }
    for _ in 0..2 {
        assert_eq!(marked(&home), (0, 0), "one reading is no proof");
        home.sync_with(&["--full"]).await;
    }
    assert_eq!(marked(&home), (1, 10));
    let rev = home.rev();
    home.sync_with(&["--full"]).await;
    home.assert_still(rev, "told once");

    // Somebody writes in it all the same: with its message the conversation is back, in an ordinary pass.
    {
        let data = &mut sim.world().data;
        let (thread, owner) = (data.removed_threads[0].token.clone(), data.removed_threads[0].owner.clone());
        data.add_message(&thread, &owner, NOW_MS, "still here");
    }
    home.sync().await;
    assert_eq!(marked(&home), (0, 10));
    home.sync_with(&["--full"]).await;
    assert_eq!(marked(&home), (0, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_whose_filters_do_nothing_is_told_by_its_order() {
    let mut data = demo::large_bd(1, 450, NOW_MS);
    data.quirks.ignore_filters = true;
    let sim = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    home.sync().await;
    {
        let data = &mut sim.world().data;
        let gone = [0, 200, data.messages.len() - 1].map(|at| data.messages[at].id);
        gone.into_iter().for_each(|id| data.remove_message(id));
        let thread = data.threads[7].token.clone();
        data.remove_thread(&thread);
    }
    home.sync_with(&["--full"]).await;
    assert_eq!(marked(&home), (0, 0), "one reading is no proof");
    home.sync_with(&["--full"]).await;
    assert_exact(&home, "bd", &sim.world().data.truth());
    let fallen = "SELECT count(*) FROM cursors WHERE json_extract(cursor, '$.method') = 'anchored'";
    assert!(home.number(fallen) > 0, "this was no keyset");

    // Without an order there is no telling what a reading left out.
    sim.world().data.quirks.ignore_order = true;
    let kept = sim.world().data.messages[30].id;
    sim.world().data.remove_message(kept);
    let before = marked(&home);
    for _ in 0..3 {
        home.sync_with(&["--full"]).await;
    }
    assert_eq!(marked(&home), before, "a best effort deletes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_elsewhere_is_left_in_one_place() {
    let sim = BdSim::start(demo::large_bd(1, 120, NOW_MS)).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    home.sync().await;
    {
        let data = &mut sim.world().data;
        // A message stands in another thread now; and a thread has another token, which its messages follow.
        let [first, second] = [3, 5].map(|at| data.threads[at].token.clone());
        let moved = data.messages.iter().find(|message| message.thread_token == first).unwrap().id;
        data.change_message(moved, |message| message.thread_token = second.clone());
        let old = data.threads[7].token.clone();
        let new = "0123456789abcdef0123456789abcdef".to_owned();
        data.threads[7].token.clone_from(&new);
        let of_it: Vec<u64> =
            data.messages.iter().filter(|message| message.thread_token == old).map(|m| m.id).collect();
        of_it.into_iter().for_each(|id| data.change_message(id, |message| message.thread_token.clone_from(&new)));
    }
    home.sync_with(&["--full"]).await;
    let double = "SELECT count(*) FROM (SELECT 1 FROM v_messages GROUP BY message_external_id HAVING count(*) > 1)";
    assert_eq!(home.number(double), 0);
    assert_eq!(home.number("SELECT count(*) FROM v_messages"), 120);
    let live =
        i64::try_from(sim.world().data.threads.iter().filter(|thread| thread.deleted_ms.is_none()).count()).unwrap();
    assert_eq!(home.number("SELECT count(*) FROM conversations WHERE deleted_at_ms IS NULL"), live);
    assert_eq!(home.run(&["verify"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_fails_proves_no_absence() {
    let sim = BdSim::start(demo::large_bd(1, 450, NOW_MS)).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    home.sync().await;
    let gone = sim.world().data.messages[3].id;
    sim.world().data.remove_message(gone);
    for refusals in [2, 1, 1] {
        // The first two pages, which lack the message, are read; the third never is. A question with a filter is put twice
        // before the list is read without one.
        sim.world().faults("/api/v2/chat_message_items", 2, &Fault::Pass);
        sim.world().faults("/api/v2/chat_message_items", refusals, &Fault::status(400));
        let done = home.run(&["sync", "--full", "--json"]).await;
        assert_eq!(sim.world().faults_left(), 0, "{}", done.stdout);
        assert_eq!(marked(&home), (0, 0), "{}", done.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_seems_empty_for_a_while_deletes_nothing() {
    let sim = BdSim::start(demo::large_bd(1, 150, NOW_MS)).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    home.sync().await;
    let all = sim.world().data.clone();
    sim.world().data.messages.clear();
    sim.world().data.threads.clear();
    for _ in 0..3 {
        home.run(&["sync", "--full", "--json"]).await;
    }
    assert_eq!(marked(&home), (0, 0));
    sim.world().data = all;
    home.sync_with(&["--full"]).await;
    assert_exact(&home, "bd", &sim.world().data.truth());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_removes_chats_and_messages() {
    for (removed_is_404, list_removed) in [(false, false), (false, true), (true, false)] {
        let mut data = demo::large_zaia(1, 200, NOW_MS);
        (data.quirks.removed_is_404, data.quirks.list_removed) = (removed_is_404, list_removed);
        let sim = ZaiaSim::start(data).await.unwrap();
        let home = Home::new(&zaia_source("zaia", &sim));
        home.sync().await;
        let flagged = {
            let data = &mut sim.world().data;
            let [flagged, purged] = [2, 5].map(|at| data.chats[at].id.clone());
            let message = data.messages[100].id.clone();
            data.remove_chat(&flagged, NOW_MS);
            data.purge_chat(&purged);
            data.purge_message(&message);
            flagged
        };
        home.sync_with(&["--full"]).await;
        assert_eq!(marked(&home), (2, 0), "404 {removed_is_404}, listed {list_removed}: chats are known at once");
        home.sync_with(&["--full"]).await;
        let mut truth = sim.world().data.truth();
        // The messages of a chat that is gone carry no flag of their own.
        let in_chat =
            |ids: &(String, String)| heads_of(&home, "zaia").get(&ids.0).is_some_and(|head| head.0) && ids.0 != flagged;
        for (_, row) in truth.messages.iter_mut().filter(|(ids, _)| in_chat(ids)) {
            row.deleted = false;
        }
        assert_exact(&home, "zaia", &truth);
        let shown = home.number("SELECT count(*) FROM v_messages");
        assert_eq!(shown, 200 - 20 - 1, "views leave out what is gone");

        // A removal that is taken back.
        sim.world().data.change_chat(&flagged, |chat| (chat.removed, chat.updated_ms) = (false, NOW_MS + 1_000));
        home.sync_with(&["--full"]).await;
        assert_eq!(marked(&home), (1, 1), "404 {removed_is_404}, listed {list_removed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_removes_threads_and_messages() {
    let mut data = demo::large_sitegpt(1, 200, NOW_MS);
    // Threads so short that a single message is all they have.
    let bot = data.chatbots[0].id.clone();
    let short = data.add_thread(&bot, NOW_MS);
    data.add_user(&short, "just this", NOW_MS);
    let sim = SitegptSim::start(data).await.unwrap();
    let home = Home::new(&format!("{}{}", sitegpt_source("v0", &sim, "v0"), sitegpt_source("v2", &sim, "v2")));
    home.sync().await;
    {
        let data = &mut sim.world().data;
        let [gone, kept] = [3, 9].map(|at| data.threads[at].id.clone());
        let message = data.threads[9].messages[4].id.clone();
        data.remove_thread(&gone);
        data.remove_message(&kept, &message);
    }
    home.sync_with(&["--full"]).await;
    assert_eq!(marked(&home).0, 2, "404 on the thread is the provider's own word");
    home.sync_with(&["--full"]).await;
    let truth = sim.world().data.truth();
    for api in ["v0", "v2"] {
        assert_exact(&home, api, &truth);
    }
    let rev = home.rev();
    home.sync_with(&["--full"]).await;
    home.assert_still(rev, "again");
}

/// A page that leads too far with one wrong id, twice: what it led past is met when the sweep goes back, and stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_was_led_too_far_deletes_nothing_that_it_met_afterwards() {
    const MESSAGES: &str = "/api/v2/chat_message_items";
    let stage = crate::faults::stage::Stage::paged().await;
    let home = Home::new(&stage.bd_source(""));
    home.sync_with(&["--full"]).await;
    for _ in 0..2 {
        stage.bd.next(
            MESSAGES,
            crate::faults::fault::Fault::json(|page| {
                if let Some(last) = page["message"].as_array_mut().and_then(|rows| rows.last_mut()) {
                    last["message_id"] = serde_json::json!("1000000");
                }
            }),
        );
        let done = crate::faults::stage::sync_full(&home).await;
        assert_eq!((done.code, stage.bd.faults_left()), (0, 0), "{}", done.stderr);
        let deleted = "SELECT external_id FROM messages WHERE deleted_at_ms IS NOT NULL AND external_id <> '1000000'";
        assert_eq!(home.rows(deleted), [""; 0], "{}", done.stderr);
    }
    stage.heal();
    for _ in 0..2 {
        home.sync_with(&["--full"]).await;
    }
    assert_eq!(home.rows("SELECT external_id FROM messages WHERE deleted_at_ms IS NOT NULL"), ["1000000"]);
}
