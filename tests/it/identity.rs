//! What stays a source's own when keys, addresses, names and API generations change.

use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};

use crate::harness::{Home, assert_same, bd_source, copy_of, demo_worlds, sitegpt_source, source, wanted, zaia_source};

/// Rows and `rev`, to see that nothing was doubled and nothing touched.
fn held(home: &Home) -> Vec<i64> {
    let count = |table: &str| home.number(&format!("SELECT count(*) FROM {table}"));
    let mut held: Vec<i64> =
        ["sources", "conversations", "messages", "participants", "channels", "raw_records"].map(count).to_vec();
    held.push(home.number("SELECT rev FROM change_counter"));
    held
}

async fn sync(home: &Home) {
    let run = home.run(&["sync"]).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_and_a_new_address_change_nothing() {
    let worlds = demo_worlds(11);
    let (bd, zaia) = (BdSim::start(worlds.bd).await.unwrap(), ZaiaSim::start(worlds.zaia).await.unwrap());
    let home = Home::new(&format!("{}{}", bd_source("directory", &bd), zaia_source("agents", &zaia)));
    sync(&home).await;
    let before = held(&home);

    zaia.world().data.key = "another".to_owned();
    let refused = home.run(&["sync", "--source", "agents"]).await;
    assert_eq!(refused.code, 1);
    assert_eq!(held(&home), before, "a key that was refused costs no row");

    // The site moved to another host, the workspace has a new key.
    let data = bd.world().data.clone();
    let moved = BdSim::start(data).await.unwrap();
    home.configure(&format!(
        "{}{}",
        bd_source("directory", &moved),
        source("agents", "zaia", &zaia.base_url(), "another", "")
    ));
    let old_site = bd.world().requests();
    sync(&home).await;
    assert_eq!(held(&home), before);
    assert_eq!(bd.world().requests(), old_site);
    let addressed = format!("SELECT count(*) FROM sources WHERE base_url LIKE '{}%'", moved.base_url());
    assert_eq!(home.number(&addressed), 1, "the store names the new address");
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_sitegpts_api_there_and_back_doubles_nothing() {
    let sitegpt = SitegptSim::start(demo_worlds(12).sitegpt).await.unwrap();
    let home = Home::new(&sitegpt_source("bots", &sitegpt, "v0"));
    sync(&home).await;
    let (rows, truth) = (held(&home), wanted(&sitegpt.world().data.truth()));
    assert_same(&copy_of(&home, "bots"), &truth);
    let ids = "SELECT total(id * 31 + length(external_id)) FROM messages";
    let (message_ids, message_revs) = (home.number_of(ids), home.number("SELECT max(rev) FROM messages"));

    for api in ["v2", "v0", "v2"] {
        home.configure(&sitegpt_source("bots", &sitegpt, api));
        sync(&home).await;
        assert_same(&copy_of(&home, "bots"), &truth);
        assert_eq!(held(&home)[..3], rows[..3], "{api}: no source, conversation or message more");
        assert!((home.number_of(ids) - message_ids).abs() < 0.5, "{api}");
        // Only v2 names the human who answered.
        let touched = format!("SELECT count(*) FROM messages WHERE rev > {message_revs} AND author_kind <> 'agent'");
        assert_eq!(home.number(&touched), 0, "{api}: no message was touched that says the same in both");
        assert_eq!(home.number("SELECT count(*) FROM message_revisions"), 0);
        assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), 0);
    }
    let titled = i64::try_from(sitegpt.world().data.threads.iter().filter(|thread| thread.title.is_some()).count());
    assert_eq!(home.number("SELECT count(*) FROM conversations WHERE title IS NOT NULL"), titled.unwrap());
    // And once it is settled, nothing moves any more.
    let settled = held(&home);
    sync(&home).await;
    assert_eq!(held(&home), settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_configuration_stays_in_the_store() {
    let worlds = demo_worlds(13);
    let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
    let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
    let home = Home::new(&format!("{}{}", zaia_source("agents", &zaia), sitegpt_source("bots", &sitegpt, "v2")));
    sync(&home).await;
    let before = held(&home);
    let kept = sitegpt.world().data.chatbots[0].id.clone();
    home.configure(&format!("{}chatbots = [\"{kept}\"]\n", sitegpt_source("bots", &sitegpt, "v2")));
    for args in [&["sync"][..], &["sync", "--full"], &["sync", "--full"]] {
        assert_eq!(home.run(args).await.code, 0);
    }
    assert_eq!(held(&home)[..5], before[..5]);
    assert_eq!(home.number("SELECT count(*) FROM messages WHERE deleted_at_ms IS NOT NULL"), 0);
    let still = home.number("SELECT count(*) FROM v_conversations WHERE source = 'agents'");
    assert!(still > 100, "{still}");
    let status = home.run(&["status", "--json"]).await.json();
    let states: Vec<&str> =
        status["sources"].as_array().unwrap().iter().map(|s| s["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["ok", "disabled"], "one that only the store has is shown");
    // Back again, it goes on where it stood.
    home.configure(&zaia_source("agents", &zaia));
    let back = home.run(&["sync", "--json"]).await.json();
    assert!(back["sources"][0]["requests"].as_u64().unwrap() <= 2, "{back}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chatbot_that_may_not_be_read_any_more_makes_its_conversations_incomplete() {
    for api in ["v0", "v2"] {
        let sitegpt = SitegptSim::start(demo_worlds(14).sitegpt).await.unwrap();
        let home = Home::new(&sitegpt_source("bots", &sitegpt, api));
        sync(&home).await;
        let (before, threads) = (held(&home), home.number("SELECT count(*) FROM conversations"));
        let closed = sitegpt.world().data.chatbots[1].id.clone();
        let mine = format!(
            "FROM conversations AS c JOIN channels AS h ON h.id = c.channel_id WHERE h.external_id = '{closed}'"
        );
        let of_it = home.number(&format!("SELECT count(*) {mine}"));
        assert!(of_it > 20 && of_it < threads);
        // One of them misses messages for a reason of its own.
        let connection = rusqlite::Connection::open(home.db()).unwrap();
        connection
            .execute_batch(&format!(
                "UPDATE conversations SET complete = 0, incomplete_reason = 'count' WHERE id = (SELECT min(c.id) {mine})"
            ))
            .unwrap();
        drop(connection);

        sitegpt.world().forbid(&format!("/api/{api}/chatbots/{closed}"));
        // The other chatbot goes on.
        let other = sitegpt.world().data.threads.iter().position(|thread| thread.chatbot != closed).unwrap();
        let thread = sitegpt.world().data.threads[other].id.clone();
        sitegpt.world().data.add_user(&thread, "still here", crate::harness::NOW_MS);
        for full in [&["sync", "--json"][..], &["sync", "--full", "--json"]] {
            let run = home.run(full).await;
            assert_eq!(run.code, 1);
            let report = &run.json()["sources"][0];
            assert_eq!(report["status"], "partial", "{report}");
            assert!(report["error"].as_str().unwrap().contains(&closed), "{report}");
            assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = 'still here'"), 1);
            let forbidden = "SELECT count(*) FROM conversations WHERE complete = 0 AND incomplete_reason = 'forbidden'";
            assert_eq!(home.number(forbidden), of_it);
            assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), of_it);
            assert_eq!(home.number("SELECT incomplete FROM v_sources"), of_it);
            assert_eq!(home.number("SELECT count(*) FROM messages WHERE deleted_at_ms IS NOT NULL"), 0);
            assert_eq!(
                home.number("SELECT count(*) FROM cursors WHERE stream = 'full_pass'"),
                0,
                "what may not be read holds up no full pass"
            );
        }
        let status = home.run(&["status"]).await.stdout;
        assert!(status.contains(&format!("incomplete: {of_it} forbidden")), "{status}");
        let verify = home.run(&["verify", "--json"]).await;
        assert_eq!(verify.code, 1);
        let gaps = verify.json()["sources"][0]["gaps"].as_array().unwrap().clone();
        let (conversations, lists): (Vec<_>, Vec<_>) =
            gaps.iter().filter(|gap| gap["reason"] == "forbidden").partition(|gap| gap["conversation"].is_string());
        assert_eq!(conversations.len(), usize::try_from(of_it).unwrap());
        assert_eq!(lists.len(), 1);
        assert_eq!(lists[0]["stream"], format!("threads/{closed}"));
        // Nothing moves while it stays so.
        let rev = home.number("SELECT rev FROM change_counter");
        assert_eq!(home.run(&["sync"]).await.code, 1);
        assert_eq!(home.number("SELECT rev FROM change_counter"), rev);

        sitegpt.world().allow(&format!("/api/{api}/chatbots/{closed}"));
        sync(&home).await;
        assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), 0);
        assert_eq!(held(&home)[1], before[1]);
        assert_same(&copy_of(&home, "bots"), &wanted(&sitegpt.world().data.truth()));
        assert_eq!(home.run(&["verify"]).await.code, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chatbot_that_could_never_be_read_is_named() {
    let sitegpt = SitegptSim::start(demo_worlds(16).sitegpt).await.unwrap();
    let [open, closed] = [0, 1].map(|at| sitegpt.world().data.chatbots[at].id.clone());
    sitegpt.world().forbid(&format!("/api/v2/chatbots/{closed}"));
    let home = Home::new(&sitegpt_source("bots", &sitegpt, "v2"));
    assert_eq!(home.run(&["sync"]).await.code, 1);
    let status = home.run(&["status", "--json"]).await.json();
    let streams = status["sources"][0]["streams"].as_array().unwrap().clone();
    let told = streams.iter().find(|stream| stream["scope"] == closed.as_str()).unwrap();
    assert_eq!(told["method"], "cursor");
    assert!(told["note"].as_str().unwrap().starts_with("forbidden"), "{told}");
    let gaps = |verify: &crate::harness::Run| verify.json()["sources"][0]["gaps"].to_string();
    let verify = home.run(&["verify", "--json"]).await;
    assert_eq!(verify.code, 1);
    assert!(gaps(&verify).contains(&format!("\"stream\":\"threads/{closed}\"")), "{}", verify.stdout);

    // Who leaves it out of the configuration does not miss it.
    let more = format!("api = \"v2\"\nchatbots = [\"{open}\"]\n");
    home.configure(&source("bots", "sitegpt", &sitegpt.base_url(), "sgpt_test", &more));
    assert_eq!(home.run(&["sync"]).await.code, 0);
    let verify = home.run(&["verify", "--json"]).await;
    assert!(!gaps(&verify).contains("forbidden"), "{}", verify.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_with_one_credential_share_its_pace() {
    let bd = BdSim::start(demo_worlds(16).bd).await.unwrap();
    let home = Home::new(&format!(
        "{}{}{}",
        bd_source("one", &bd),
        bd_source("two", &bd),
        source("three", "brilliant_directories", &bd.base_url(), "key-of-its-own", "")
    ));
    let file = home.folder.path().join("chatloom.toml");
    let config = chatloom::config::load(Some(&file)).unwrap();
    let configured: Vec<_> = config.sources.iter().collect();
    let cancel = tokio_util::sync::CancellationToken::new();
    let built = chatloom::app::build_sources(&configured, std::collections::HashMap::new(), &cancel);
    let [Ok(one), Ok(two), Ok(three)] = built.as_slice() else { panic!("three sources") };
    // The provider wants quiet for longer than anybody waits: whoever shares the credential does not even ask.
    bd.world().fault("/", chatloom::sim::Fault::retry_after(429, 1000));
    assert!(one.provider.count().await.is_err());
    assert!(two.provider.count().await.is_err());
    assert_eq!(bd.world().requests(), 1);
    assert!(two.http.waiting().is_some() && three.http.waiting().is_none());
}
