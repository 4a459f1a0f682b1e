//! Keys that are wrong or may not read everything, and hosts that are not there.

use super::{Everybody, assert_says, part};
use crate::harness::{Home, source};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_at_once_and_costs_the_others_nothing() {
    let all = Everybody::start().await;
    for (name, key) in
        [("bd", "\"bd-key\""), ("zaia", "\"zaia-key\""), ("v0", "\"sitegpt-key\""), ("v2", "\"sgpt_test\"")]
    {
        let home = Home::new(&all.config().replace(key, "\"a-wrong-key\""));
        let done = home.run(&["sync", "--json"]).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        let report = done.json();
        for source in ["bd", "zaia", "v0", "v2"] {
            let part = part(&report, source);
            if source == name {
                assert_eq!(part["status"], "failed");
                assert!(part["requests"].as_u64().unwrap() <= 3, "a wrong key is no reason to insist: {part}");
                assert_says(part["error"].as_str().unwrap(), &[&format!("source {name}"), "api/v", "401", "key"]);
            } else {
                assert_eq!(part["status"], "ok", "{part}");
                all.assert_exact(&home, source);
            }
        }
        assert!(!done.stdout.contains("a-wrong-key") && !done.stderr.contains("a-wrong-key"));

        home.configure(&all.config());
        home.sync().await;
        all.assert_all_exact(&home);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_may_not_read_is_named_with_what_to_do_and_everything_else_is_read() {
    let all = Everybody::start().await;
    let bot = all.sitegpt.world().data.chatbots[0].id.clone();
    all.bd.world().forbid("/api/v2/chat_message_items");
    all.zaia.world().forbid("/api/v1/chat-messages");
    all.sitegpt.world().forbid(&format!("/api/v0/chatbots/{bot}/"));
    all.sitegpt.world().forbid(&format!("/api/v2/chatbots/{bot}/"));
    let home = Home::new(&all.config());
    let done = home.run(&["sync", "--json"]).await;
    assert_eq!(done.code, 1, "{}", done.stdout);
    let report = done.json();
    let error = |source: &str| part(&report, source)["error"].as_str().unwrap().to_owned();
    assert_says(&error("bd"), &["source bd", "stream messages", "chat_message_items/get", "403", "allow"]);
    assert_says(&error("zaia"), &["source zaia", "messages", "api/v1/chat-messages", "403"]);
    for api in ["v0", "v2"] {
        assert_says(&error(api), &[&format!("source {api}"), &format!("threads/{bot}"), "403"]);
        assert_eq!(part(&report, api)["status"], "partial", "the other chatbot was read");
    }
    let threads = i64::try_from(all.bd.world().data.threads.len()).unwrap();
    assert_eq!(
        home.number("SELECT conversations FROM v_sources WHERE source = 'bd'"),
        threads
            - home.number(
                "SELECT count(*) FROM conversations AS c JOIN sources AS s ON s.id = c.source_id
         WHERE s.name = 'bd' AND c.deleted_at_ms IS NOT NULL"
            )
    );
    let of_other_bot = home.number("SELECT count(*) FROM v_messages WHERE source = 'v2'");
    assert!(of_other_bot > 100, "{of_other_bot}");

    all.bd.world().allow("/api/v2/chat_message_items");
    all.zaia.world().allow("/api/v1/chat-messages");
    all.sitegpt.world().allow(&format!("/api/v0/chatbots/{bot}/"));
    all.sitegpt.world().allow(&format!("/api/v2/chatbots/{bot}/"));
    home.sync().await;
    all.assert_all_exact(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_may_not_be_read_are_no_failure() {
    let all = Everybody::start().await;
    all.bd.world().forbid("/api/v2/user");
    for path in ["channels", "external-users", "super-identities", "agents", "chats/details"] {
        all.zaia.world().forbid(&format!("/api/v1/{path}"));
    }
    let home = Home::new(&all.config());
    home.sync().await;
    all.assert_exact(&home, "bd");
    all.assert_exact(&home, "v0");
    let (held, truth) = (crate::harness::copy_of(&home, "zaia"), all.zaia.world().data.truth());
    assert!(held.keys().eq(truth.messages.keys()), "every message is there, whoever wrote it");
    assert_eq!(home.number("SELECT count(*) FROM sync_runs WHERE status <> 'ok'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_is_given_up_while_all_others_are_read() {
    let all = Everybody::start().await;
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("http://127.0.0.1:{port}");
    let away = format!(
        "{}{}{}",
        source("away1", "brilliant_directories", &nobody, "k1", ""),
        source("away2", "zaia", &nobody, "k2", ""),
        source("away3", "sitegpt", &nobody, "k3", "api = \"v0\"\n")
    );
    let home = Home::new(&format!("{}{away}", all.config()));
    let done = home.run(&["sync", "--json"]).await;
    assert_eq!(done.code, 1);
    let report = done.json();
    for name in ["away1", "away2", "away3"] {
        let part = part(&report, name);
        assert_eq!((&part["status"], part["requests"].as_u64()), (&"failed".into(), Some(5)), "{part}");
        assert_says(part["error"].as_str().unwrap(), &[&format!("source {name}"), "api/v", "5 tries"]);
    }
    all.assert_all_exact(&home);
    let statuses = home.rows("SELECT source, last_run_status FROM v_sources ORDER BY 1");
    assert_eq!(statuses, ["away1|failed", "away2|failed", "away3|failed", "bd|ok", "v0|ok", "v2|ok", "zaia|ok"]);
}
