//! Zaia answers oddly for a while: what is not answered is no word about what is there.

use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{Fault, ZaiaSim};

use crate::harness::{Home, NOW_MS, assert_same, copy_of, wanted, zaia_source};

/// Adds chats of two messages each, a minute apart.
fn add_chats(data: &mut ZaiaData, chats: i64) {
    let channel = data.add_channel("whatsapp", "WhatsApp");
    let (owner, agent) = (data.add_external_user(&channel, Some("12025550100"), None), data.add_agent("Iris"));
    for _ in 0..chats {
        let at = NOW_MS + i64::try_from(data.chats.len()).unwrap() * 60_000;
        let chat = data.add_chat(Some(&channel), &owner, &agent, at);
        data.add_message(&chat, "user", Some(&owner), at, "Hello?");
        data.add_message(&chat, "assistant", Some(&agent), at + 1_000, "Good day.");
    }
}

async fn workspace(chats: i64, page_cap: usize) -> (ZaiaSim, Home) {
    let mut data = ZaiaData::new();
    data.quirks.page_cap = page_cap;
    add_chats(&mut data, chats);
    let sim = ZaiaSim::start(data).await.unwrap();
    let home = Home::new(&zaia_source("zaia", &sim));
    (sim, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_whose_messages_are_not_found_for_a_while_stay() {
    let (sim, home) = workspace(12, 0).await;
    home.sync().await;
    let rev = home.rev();
    sim.world().faults("/api/v1/chat-messages", 12, &Fault::status(404));
    let done = home.run(&["sync", "--full", "--json"]).await;
    assert_eq!((done.code, sim.world().faults_left()), (1, 0), "{}", done.stderr);
    let source = done.json()["sources"][0].clone();
    assert_eq!(source["status"], "partial");
    assert!(source["error"].as_str().unwrap().contains("the chat is there"), "{source}");
    assert_eq!(home.number("SELECT count(*) FROM conversations WHERE deleted_at_ms IS NOT NULL"), 0);

    // The next pass asks for them again.
    sim.world().clear_log();
    home.sync().await;
    assert_eq!(sim.world().count("/api/v1/chat-messages"), 12);
    home.assert_still(rev, "nothing had changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_of_just_one_page_may_grow_beyond_it() {
    for page_cap in [10, 20, 50] {
        let (sim, home) = workspace(i64::try_from(page_cap).unwrap(), page_cap).await;
        home.sync().await;
        add_chats(&mut sim.world().data, 70);
        home.sync().await;
        assert_same(&copy_of(&home, "zaia"), &wanted(&sim.world().data.truth()));
    }
}
