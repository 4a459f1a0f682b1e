//! SiteGPT: halves, times, visitors who introduce themselves late, and values nobody has heard of.

use chatloom::sim::sitegpt::{CursorPlace, MessageType, Side, SitegptData, SitegptQuirks, V0List, V2Order};
use chatloom::sim::{Answer, Fault, SitegptSim};
use serde_json::json;

use crate::harness::{Home, NOW_MS, assert_same, copy_of, sitegpt_source, wanted};

const APIS: [&str; 2] = ["v0", "v2"];

async fn account(data: SitegptData) -> (SitegptSim, Home) {
    let sim = SitegptSim::start(data).await.unwrap();
    let home = Home::new(&format!("{}{}", sitegpt_source("v0", &sim, "v0"), sitegpt_source("v2", &sim, "v2")));
    (sim, home)
}

fn assert_exact(home: &Home, sim: &SitegptSim) {
    let truth = sim.world().data.truth();
    for api in APIS {
        assert_same(&copy_of(home, api), &wanted(&truth));
        let held: Vec<String> = home.rows(&format!(
            "SELECT c.external_id FROM conversations AS c JOIN sources AS s ON s.id = c.source_id
             WHERE s.name = '{api}' ORDER BY 1"
        ));
        assert!(held.iter().eq(truth.conversations.keys()), "{held:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_thread_id_under_two_chatbots_is_two_conversations() {
    let mut data = SitegptData::new();
    for title in ["Shop", "Desk"] {
        let bot = data.add_chatbot(title);
        data.add_thread_named(&bot, "visitor-42", NOW_MS);
        let id = data.add_normal("visitor-42", (title, NOW_MS), ("answer", NOW_MS + 2_000));
        assert!(!id.is_empty());
    }
    let nobody = data.chatbots[0].id.clone();
    data.add_thread(&nobody, NOW_MS);
    let (sim, home) = account(data).await;
    home.sync().await;
    assert_exact(&home, &sim);
    let both = home.rows(
        "SELECT source, count(*) FROM v_conversations WHERE conversation_external_id LIKE '%/visitor-42' GROUP BY 1",
    );
    assert_eq!(both, ["v0|2", "v2|2"]);
    let empty = "SELECT DISTINCT messages, complete FROM v_conversations WHERE messages = 0";
    assert_eq!(home.rows(empty), ["0|1"], "a thread without messages is a complete conversation");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_later_leaves_its_question_alone() {
    let mut data = SitegptData::new();
    let bot = data.add_chatbot("Shop");
    let thread = data.add_thread(&bot, NOW_MS);
    data.add_normal(&thread, ("First", NOW_MS), ("Yes", NOW_MS + 2_000));
    let asked = Some(Side::new("Are you there?", NOW_MS + 60_000));
    let open = data.add_exchange(&thread, MessageType::Normal, asked, None);
    let (sim, home) = account(data).await;
    home.sync().await;
    assert_exact(&home, &sim);
    assert_eq!(home.rows("SELECT DISTINCT answered FROM v_conversations"), ["0"]);
    let rev = home.rev();

    sim.world().data.change_message(&thread, &open, |message| {
        message.answer = Some(Side::new("I am.", NOW_MS + 65_000));
        message.updated_ms = NOW_MS + 65_000;
    });
    let report = home.sync().await;
    assert_exact(&home, &sim);
    let changed = format!("SELECT DISTINCT external_id FROM messages WHERE rev > {rev}");
    assert_eq!(home.rows(&changed), [format!("{open}:a")]);
    assert_eq!(report["sources"][0]["messages"]["inserted"], 1);
    assert_eq!(report["sources"][0]["messages"]["updated"], 0);
    assert_eq!(home.rows("SELECT DISTINCT answered, first_response_seconds FROM v_conversations"), ["1|2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn halves_with_one_timestamp_keep_their_order_and_tell_no_latency() {
    let mut data = SitegptData::new();
    let bot = data.add_chatbot("Shop");
    let thread = data.add_thread(&bot, NOW_MS);
    for text in ["first", "second"] {
        data.add_normal(&thread, (text, NOW_MS), (text, NOW_MS));
    }
    let (sim, home) = account(data).await;
    home.sync().await;
    assert_exact(&home, &sim);
    for api in APIS {
        let order = format!(
            "SELECT author_kind, body_text FROM v_messages WHERE source = '{api}' ORDER BY sent_at_ms, seq, message_id"
        );
        assert_eq!(home.rows(&order), ["contact|first", "bot|first", "contact|second", "bot|second"]);
    }
    let latency = "SELECT DISTINCT first_response_seconds, first_response_by, answered FROM v_conversations";
    assert_eq!(home.rows(latency), ["-|bot|1"], "not known, which is not zero");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_gives_a_name_late_is_the_author_of_all_their_questions() {
    let mut data = SitegptData::new();
    let bot = data.add_chatbot("Shop");
    let thread = data.add_thread(&bot, NOW_MS);
    data.add_normal(&thread, ("Who, me?", NOW_MS), ("Yes, you", NOW_MS + 2_000));
    let (sim, home) = account(data).await;
    home.sync().await;
    let authors = "SELECT DISTINCT author_kind, author FROM v_messages ORDER BY 1";
    assert_eq!(home.rows(authors), ["bot|-", "contact|-"]);

    sim.world().data.identify(&thread, Some("Ada Quill"), Some("ada@example.test"), Some("+1 202 555 0100"));
    sim.world().data.add_user(&thread, "A human, please", NOW_MS + 60_000);
    home.sync().await;
    assert_exact(&home, &sim);
    assert_eq!(home.rows(authors), ["bot|-", "contact|Ada Quill"]);
    let people = "SELECT DISTINCT kind, name, email, phone FROM participants WHERE kind = 'contact'";
    assert_eq!(home.rows(people), ["contact|Ada Quill|ada@example.test|+1 202 555 0100"]);
    assert_eq!(home.rows("SELECT DISTINCT contact FROM v_conversations"), ["Ada Quill"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_vote_moves_the_fingerprint_and_only_the_answer() {
    let mut data = SitegptData::new();
    let bot = data.add_chatbot("Shop");
    let thread = data.add_thread(&bot, NOW_MS);
    let voted = data.add_normal(&thread, ("Old question", NOW_MS), ("Old answer", NOW_MS + 2_000));
    for n in 1..30 {
        data.add_normal(&thread, ("q", NOW_MS + n * 60_000), ("a", NOW_MS + n * 60_000 + 1_000));
    }
    let quiet = data.add_thread(&bot, NOW_MS);
    data.add_normal(&quiet, ("q", NOW_MS), ("a", NOW_MS + 1_000));
    let sim = SitegptSim::start(data).await.unwrap();
    let home = Home::new(&sitegpt_source("v0", &sim, "v0"));
    home.sync().await;
    let rev = home.rev();
    for vote in [1, -1, 0] {
        sim.world().data.change_message(&thread, &voted, |message| message.reaction = vote);
        sim.world().clear_log();
        home.sync().await;
        assert_same(&copy_of(&home, "v0"), &wanted(&sim.world().data.truth()));
        assert_eq!(home.rows(&format!("SELECT external_id FROM messages WHERE rev > {rev}")), [format!("{voted}:a")]);
        assert_eq!(sim.world().count("/api/v0/chatbots/{id}/threads/{id}"), 1, "the quiet thread is not fetched");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_tomorrow_lose_nothing() {
    let mut data = SitegptData::new();
    let bot = data.add_chatbot("Shop");
    let thread = data.add_thread(&bot, NOW_MS);
    data.add_normal(&thread, ("q", NOW_MS), ("a", NOW_MS));
    let sim = SitegptSim::start(data).await.unwrap();
    let home = Home::new(&sitegpt_source("v0", &sim, "v0"));
    let messages = json!([
        {"messageId": 412_345_678_901_234_567_u64, "messageType": "HOLOGRAM_MESSAGE", "reaction": "ECSTATIC",
         "question": {"text": "from the future", "timestamp": "2026-03-02T12:00:00.123456Z"},
         "answer": {"text": "so it seems", "timestamp": "2026-03-02T12:00:01.5Z", "mood": "calm"},
         "sources": [{"url": "https://shop.example.test/x", "title": "X"}, "https://shop.example.test/y"],
         "hologram": {"layers": [1, 2, 3]}},
        {"messageId": "412345678901234568", "messageType": "SYSTEM_MESSAGE", "systemMessageType": "MOON_LANDED",
         "question": null, "answer": null, "reaction": "NEUTRAL"}
    ]);
    let told = json!({"success": true, "message": "", "data": {"thread": {
        "threadId": thread, "mode": "TELEPATHY", "chatbotId": bot, "escalated": false, "messages": messages,
        "chatUser": null, "chatUserId": null, "startedAt": "2026-03-02T12:00:00Z"}}});
    sim.world().fault(&format!("/api/v0/chatbots/{bot}/threads/{thread}"), Fault::Raw(Answer::json(200, &told)));

    let done = home.run(&["sync", "--json"]).await;
    assert_eq!(done.code, 0, "{}", done.stdout);
    let held = home
        .rows("SELECT external_id, author_kind, kind, event, body_text, reaction, sent_at FROM messages ORDER BY seq");
    assert_eq!(
        held,
        [
            "412345678901234567:q|contact|text|-|from the future|0|2026-03-02T12:00:00.123Z",
            "412345678901234567:a|bot|text|-|so it seems|0|2026-03-02T12:00:01.500Z",
            "412345678901234568:a|system|event|MOON_LANDED||0|-",
        ]
    );
    let cited = home.rows("SELECT ordinal, url, title FROM citations ORDER BY ordinal");
    assert_eq!(cited, ["0|https://shop.example.test/x|X", "1|https://shop.example.test/y|-"]);
    let raw = home.rows("SELECT codec FROM raw_records WHERE stream = 'messages' ORDER BY seq");
    assert_eq!(raw.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_every_revision_give_the_same_copy() {
    let quirks = |change: fn(&mut SitegptQuirks)| {
        let mut quirks = SitegptQuirks::default();
        change(&mut quirks);
        quirks
    };
    let revisions = [
        quirks(|q| (q.v0_list, q.cursor) = (V0List::All, CursorPlace::Meta)),
        quirks(|q| (q.v0_newest_first, q.v2_order) = (true, V2Order::Started)),
        quirks(|q| (q.v0_true_times, q.v2_short_pages) = (true, true)),
        quirks(|q| (q.v0_phone_key, q.v0_user_always, q.omit_nulls) = (true, true, true)),
        quirks(|q| (q.v0_agent_names, q.clean_system_type) = (true, true)),
    ];
    for quirks in revisions {
        let mut data = chatloom::sim::demo::worlds(3, NOW_MS).sitegpt;
        data.quirks = quirks.clone();
        let (sim, home) = account(data).await;
        home.sync().await;
        println!("{quirks:?}");
        assert_exact(&home, &sim);
        let rev = home.rev();
        home.sync().await;
        home.assert_still(rev, &format!("{quirks:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_the_generation_doubles_nothing() {
    let sim = SitegptSim::start(chatloom::sim::demo::worlds(5, NOW_MS).sitegpt).await.unwrap();
    let home = Home::new(&sitegpt_source("bots", &sim, "v0"));
    home.sync().await;
    let messages = home.number("SELECT count(*) FROM messages");
    for api in ["v2", "v0"] {
        home.configure(&sitegpt_source("bots", &sim, api));
        home.sync().await;
        assert_eq!(home.number("SELECT count(*) FROM messages"), messages);
        assert_same(&copy_of(&home, "bots"), &wanted(&sim.world().data.truth()));
    }
}
