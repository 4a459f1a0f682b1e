//! Faults that pass: retried within one run, and not a row is missing.

use chatloom::sim::{Fault, World};
use serde_json::json;

use super::{Everybody, part};
use crate::harness::Home;

/// Everything that may befall a request and heal, with requests that work in between.
fn plague<D>(world: &mut World<D>, path: &str) {
    let faults = [
        Fault::status(500),
        Fault::status(502),
        Fault::Pass,
        Fault::Truncated,
        Fault::Pass,
        Fault::Html200,
        Fault::Pass,
        Fault::retry_after(429, 1),
        Fault::Pass,
        Fault::CloseConnection,
        Fault::Pass,
        Fault::CutBody,
        Fault::Pass,
        Fault::Garbage,
        Fault::retry_after(503, 1),
    ];
    for fault in faults {
        world.fault(path, fault);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_that_heal_cost_time_and_nothing_else() {
    let all = Everybody::start().await;
    plague(&mut all.bd.world(), "/api/v2/chat_message_items");
    plague(&mut all.zaia.world(), "/api/v1/chat");
    plague(&mut all.sitegpt.world(), "/api/v0/chatbots");
    plague(&mut all.sitegpt.world(), "/api/v2/chatbots");
    let home = Home::new(&all.config());
    let report = home.sync().await;
    all.assert_all_exact(&home);
    for source in ["bd", "zaia", "v0", "v2"] {
        assert_eq!(part(&report, source)["retries"], 9, "{report}");
    }
    assert_eq!(all.bd.world().faults_left() + all.zaia.world().faults_left() + all.sitegpt.world().faults_left(), 0);
    assert_eq!(home.number("SELECT sum(retries) FROM sync_runs"), 36);
    assert_eq!(home.number("SELECT count(*) FROM dead_letters"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_never_parses_is_not_the_end_of_its_stream() {
    let all = Everybody::start().await;
    // The second page of messages, and one thread and conversation, as often as anybody asks in one run.
    all.bd.world().fault("/api/v2/chat_message_items", Fault::Pass);
    all.bd.world().faults("/api/v2/chat_message_items", 5, &Fault::Truncated);
    let (bot, thread) = {
        let thread = &all.sitegpt.world().data.threads[5];
        (thread.chatbot.clone(), thread.id.clone())
    };
    let (v0, v2) =
        (format!("/api/v0/chatbots/{bot}/threads/{thread}"), format!("/api/v2/chatbots/{bot}/conversations/{thread}"));
    all.sitegpt.world().faults(&v0, 5, &Fault::Html200);
    all.sitegpt.world().faults(&v2, 5, &Fault::Status(500, json!({}), Vec::new()));
    let home = Home::new(&all.config());
    let done = home.run(&["sync", "--json"]).await;
    assert_eq!(done.code, 1, "{}", done.stdout);
    let report = done.json();
    assert_eq!(part(&report, "bd")["status"], "failed");
    assert_eq!(part(&report, "zaia")["status"], "ok");
    for api in ["v0", "v2"] {
        let part = part(&report, api);
        assert_eq!(part["status"], "partial", "{part}");
        super::assert_says(part["error"].as_str().unwrap(), &[&format!("source {api}"), &thread, "5 tries"]);
        let missing = format!("SELECT count(*) FROM v_conversations WHERE source = '{api}' AND complete = 0");
        assert_eq!(home.number(&missing), 1, "what was not read is marked");
    }
    let first_page = home.number("SELECT count(*) FROM v_messages WHERE source = 'bd'");
    assert!((50..=100).contains(&first_page), "{first_page}");

    home.sync().await;
    all.assert_all_exact(&home);
}
