//! Zaia: long chats under every reading of the pages, side threads, and roles that say nothing.

use chatloom::sim::ZaiaSim;
use chatloom::sim::zaia::{Keeps, ListOrder, PaginationEncoding, Unsupported, ZaiaData, ZaiaQuirks};

use crate::harness::{Home, NOW_MS, assert_same, copy_of, heads_of, wanted, zaia_source};

async fn workspace(data: ZaiaData) -> (ZaiaSim, Home) {
    let sim = ZaiaSim::start(data).await.unwrap();
    let home = Home::new(&zaia_source("zaia", &sim));
    (sim, home)
}

/// A chat with so many messages a second apart.
fn add_long_chat(data: &mut ZaiaData, messages: i64) -> String {
    let channel = data.add_channel("whatsapp", "WhatsApp");
    let (owner, agent) = (data.add_external_user(&channel, Some("12025550100"), None), data.add_agent("Iris"));
    let chat = data.add_chat(Some(&channel), &owner, &agent, NOW_MS);
    for n in 0..messages {
        let (role, who) = if n % 2 == 0 { ("user", &owner) } else { ("assistant", &agent) };
        data.add_message(&chat, role, Some(who), NOW_MS + n * 1_000, &format!("{n}"));
    }
    chat
}

fn state(home: &Home, chat: &str) -> String {
    let sql = format!(
        "SELECT (SELECT count(*) FROM messages AS m WHERE m.conversation_id = c.id), c.complete, c.incomplete_reason
         FROM conversations AS c WHERE c.external_id = '{chat}'"
    );
    home.rows(&sql).pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn long_chats_are_read_as_far_as_any_request_reaches_and_the_rest_is_owned_up_to() {
    let encodings = [
        (PaginationEncoding::Brackets, Unsupported::Ignored, Keeps::Newest),
        (PaginationEncoding::Json, Unsupported::Ignored, Keeps::Oldest),
        (PaginationEncoding::Json, Unsupported::Rejected, Keeps::Newest),
        (PaginationEncoding::Plain, Unsupported::Ignored, Keeps::Newest),
        (PaginationEncoding::Plain, Unsupported::Rejected, Keeps::Oldest),
        (PaginationEncoding::None, Unsupported::Ignored, Keeps::Newest),
        (PaginationEncoding::None, Unsupported::Rejected, Keeps::Oldest),
    ];
    for (pagination, unsupported, keeps) in encodings {
        let mut data = ZaiaData::new();
        let [short, middle, long] = [249, 600, 1_100].map(|messages| add_long_chat(&mut data, messages));
        data.quirks = ZaiaQuirks { pagination, unsupported, keeps, ..ZaiaQuirks::default() };
        let (sim, home) = workspace(data).await;
        home.sync().await;
        let told = format!("{pagination:?} {unsupported:?} {keeps:?}");
        assert_eq!(state(&home, &short), "249|1|-", "{told}");
        if pagination == PaginationEncoding::None {
            assert_eq!(state(&home, &middle), "250|0|limit", "{told}");
            assert_eq!(state(&home, &long), "250|0|limit", "{told}");
        } else {
            assert_eq!(state(&home, &middle), "600|1|-", "{told}");
            assert_eq!(state(&home, &long), "1000|0|limit", "{told}");
        }
        assert_eq!(
            home.rows("SELECT DISTINCT incomplete FROM v_sources"),
            [home.number("SELECT count(*) FROM conversations WHERE complete = 0").to_string()]
        );
        let truth = wanted(&sim.world().data.truth());
        for (ids, row) in copy_of(&home, "zaia") {
            assert_eq!(truth.get(&ids), Some(&row), "{told}: what is there is exact");
        }
        // What fell out of the provider's window once it was stored stays stored.
        let rev = home.rev();
        home.sync().await;
        home.assert_still(rev, &told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_outgrows_the_limit_keeps_what_was_read_before() {
    let mut data = ZaiaData::new();
    let chat = add_long_chat(&mut data, 990);
    let (sim, home) = workspace(data).await;
    home.sync().await;
    assert_eq!(state(&home, &chat), "990|1|-");
    for n in 990..1_020 {
        sim.world().data.add_message(&chat, "user", None, NOW_MS + n * 1_000, &format!("{n}"));
    }
    home.sync().await;
    assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_side_threads_are_found_where_the_plain_list_leaves_them_out() {
    for hide_threaded in [false, true] {
        let mut data = ZaiaData::new();
        data.quirks.hide_threaded = hide_threaded;
        let mut threads = Vec::new();
        for _ in 0..5 {
            let chat = add_long_chat(&mut data, 6);
            let hung_on = data.messages.last().unwrap().id.clone();
            let thread = data.add_thread(&chat, &hung_on, NOW_MS + 10_000);
            for n in 0..3 {
                let id = data.add_message(&chat, "assistant", None, NOW_MS + 10_000 + n, &format!("aside {n}"));
                data.change_message(&id, |message| message.thread = Some(thread.clone()));
            }
            threads.push(thread);
        }
        let (sim, home) = workspace(data).await;
        home.sync().await;
        println!("hidden: {hide_threaded}");
        assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE thread_external_id IS NOT NULL"), 15);
        assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), 0);
        assert_eq!(home.number("SELECT count(DISTINCT thread_external_id) FROM messages"), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_senders_that_say_little_are_told_apart_as_far_as_anything_says() {
    let mut data = ZaiaData::new();
    let chat = add_long_chat(&mut data, 2);
    let owner = data.chats[0].owner.clone();
    let agent = data.chats[0].responder.clone();
    let human = data.add_user("Noor Vale", "noor@example.test");
    let rows = [
        ("operator", Some(human.as_str()), "agent"),
        ("operator", Some(owner.as_str()), "contact"),
        ("narrator", Some(agent.as_str()), "bot"),
        ("narrator", None, "unknown"),
        ("USER", None, "contact"),
        ("", None, "unknown"),
    ];
    for (at, (role, sender, _)) in (0_i64..).zip(&rows) {
        data.add_message(&chat, role, *sender, NOW_MS + 60_000 + at, "x");
    }
    let (_sim, home) = workspace(data).await;
    home.sync().await;
    let held = home.rows("SELECT author_kind FROM messages WHERE body_text = 'x' ORDER BY sent_at_ms");
    assert_eq!(held, rows.map(|(_, _, kind)| kind));
    assert_eq!(home.rows("SELECT escalated, agent_messages FROM v_conversations"), ["1|1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn workspaces_of_every_revision_give_the_same_copy() {
    let quirks = |change: fn(&mut ZaiaQuirks)| {
        let mut quirks = ZaiaQuirks::default();
        change(&mut quirks);
        quirks
    };
    let revisions = [
        quirks(|q| (q.order, q.newest_first) = (ListOrder::Insertion, true)),
        quirks(|q| (q.order, q.window_exclusive) = (ListOrder::ById, true)),
        quirks(|q| (q.order, q.ignore_window) = (ListOrder::LastMessageAsc, true)),
        quirks(|q| (q.ignore_window, q.hide_channelless) = (true, true)),
        quirks(|q| (q.list_removed, q.no_joins) = (true, true)),
        quirks(|q| (q.details_name_super_identities, q.channel_type_in_detail) = (true, true)),
        quirks(|q| (q.no_joins, q.unsupported) = (true, Unsupported::Rejected)),
    ];
    for quirks in revisions {
        let mut data = chatloom::sim::demo::worlds(3, NOW_MS).zaia;
        data.quirks = quirks.clone();
        // A chat that came in by the API, without a channel.
        let (owner, agent) = (data.chats[0].owner.clone(), data.chats[0].responder.clone());
        let bare = data.add_chat(None, &owner, &agent, NOW_MS - 3_600_000);
        data.add_message(&bare, "user", Some(&owner), NOW_MS - 3_600_000, "no channel");
        let silent = data.add_chat(None, &owner, &agent, NOW_MS - 1_800_000);
        let (sim, home) = workspace(data).await;
        home.sync().await;
        println!("{quirks:?}");
        assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
        assert!(heads_of(&home, "zaia").contains_key(&silent), "a chat in which nobody wrote is there too");
        let rev = home.rev();
        home.sync().await;
        if !quirks.hide_channelless {
            home.assert_still(rev, &format!("{quirks:?}"));
        }
        let at = crate::harness::now_ms() - 1_000;
        sim.world().data.add_message(&bare, "user", Some(&owner), at, "back again");
        // Where the windows leave such chats out, only a full pass reads the list that has them.
        home.sync_with(if quirks.hide_channelless { &["--full"] } else { &[] }).await;
        assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_its_list_leaves_out_is_settled_by_the_pass_that_read_it() {
    let mut data = ZaiaData::new();
    add_long_chat(&mut data, 4);
    let (owner, agent) = (data.chats[0].owner.clone(), data.chats[0].responder.clone());
    let bare = data.add_chat(None, &owner, &agent, NOW_MS);
    data.add_message(&bare, "user", Some(&owner), NOW_MS, "no channel");
    data.quirks.hide_channelless = true;
    let (sim, home) = workspace(data).await;
    home.sync().await;
    assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
    assert_eq!(state(&home, &bare), "1|1|-");
    let rev = home.rev();
    sim.world().clear_log();
    home.sync().await;
    home.assert_still(rev, "an idle pass");
    let requests = sim.world().requests();
    assert!(requests <= 2, "{requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_chat_changes_once() {
    let mut data = chatloom::sim::demo::large_zaia(1, 60, NOW_MS);
    let removed = data.chats[2].id.clone();
    data.quirks.list_removed = false;
    let (sim, home) = workspace(data).await;
    home.sync().await;
    sim.world().data.remove_chat(&removed, NOW_MS + 1_000);
    home.sync_with(&["--full"]).await;
    assert!(heads_of(&home, "zaia")[&removed].0);
    let rev = home.rev();
    for _ in 0..2 {
        home.sync_with(&["--full"]).await;
        home.assert_still(rev, "another full pass");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_its_own_limit_on_pages_is_read_to_the_end() {
    for page_cap in [20, 33, 50] {
        let mut data = ZaiaData::new();
        (0..150).for_each(|_| drop(add_long_chat(&mut data, 1)));
        data.quirks.page_cap = page_cap;
        let (sim, home) = workspace(data).await;
        home.sync().await;
        assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
        let known = home.rows("SELECT value FROM facts WHERE name = 'page_size'");
        assert_eq!(known, [format!("most {page_cap}")]);
        // A limit that is lowered is found by the next pass that reads everything.
        sim.world().data.quirks.page_cap = page_cap - 3;
        (0..5).for_each(|_| drop(add_long_chat(&mut sim.world().data, 1)));
        home.sync_with(&["--full"]).await;
        assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
        sim.world().data.quirks.page_cap = page_cap;
        home.sync_with(&["--full"]).await;
        // More news than a page holds.
        (0..60).for_each(|_| drop(add_long_chat(&mut sim.world().data, 2)));
        home.sync().await;
        assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_of_one_day_brings_the_chats_of_that_day() {
    const DAY: i64 = 86_400_000;
    let mut data = ZaiaData::new();
    let channel = data.add_channel("whatsapp", "WhatsApp");
    let agent = data.add_agent("Iris");
    let midnight = NOW_MS - NOW_MS % DAY;
    for n in 0..120 {
        let owner = data.add_external_user(&channel, Some("12025550100"), None);
        let at = midnight - 10 * DAY + n * DAY / 12;
        let chat = data.add_chat(Some(&channel), &owner, &agent, at);
        data.add_message(&chat, "user", Some(&owner), at, "Hello?");
    }
    let (sim, home) = workspace(data).await;
    let [since, until] =
        [4, 3].map(|days| jiff::Timestamp::from_millisecond(midnight - days * DAY).unwrap().to_string());
    let done = home.run(&["backfill", "--since", &since, "--until", &until]).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(home.number("SELECT count(*) FROM conversations"), 12);
    assert_eq!(home.number("SELECT count(*) FROM messages"), 12);
    assert!(sim.world().count("/api/v1/chat-messages") < 30, "only theirs were asked for");
    home.sync().await;
    assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rare_side_thread_is_found_when_its_chat_has_its_turn() {
    let mut data = ZaiaData::new();
    data.quirks.hide_threaded = true;
    let chats: Vec<String> = (0..60).map(|_| add_long_chat(&mut data, 4)).collect();
    let hidden = &chats[47];
    let on = data.messages.iter().find(|message| message.chat == *hidden).unwrap().id.clone();
    let thread = data.add_thread(hidden, &on, NOW_MS + 1_200);
    let owner = data.chats.iter().find(|chat| chat.id == *hidden).unwrap().owner.clone();
    let said = data.add_message(hidden, "user", Some(&owner), NOW_MS + 1_500, "between the lines");
    data.messages.iter_mut().find(|message| message.id == said).unwrap().thread = Some(thread);
    let (sim, home) = workspace(data).await;
    home.sync().await;
    let there = || home.number("SELECT count(*) FROM messages WHERE body_text = 'between the lines'");
    assert_eq!(there(), 0, "the first pass probes a few");
    for _ in 0..10 {
        home.sync_with(&["--full"]).await;
    }
    assert_eq!(there(), 1);
    assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
}
