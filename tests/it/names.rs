//! Finding out who is who: it never holds up messages, and it never becomes the main traffic.

use chatloom::sim::bd::{BdData, TokenLookup};
use chatloom::sim::{BdSim, Fault, Logged, ZaiaSim, demo};

use crate::harness::{Home, NOW_MS, bd_source, now_ms, zaia_source};

/// A site with so many members, each of whom asked the first one something.
fn members(count: usize, token_lookup: TokenLookup) -> BdData {
    let mut data = BdData::new();
    data.quirks.token_lookup = token_lookup;
    let answerer = data.add_user("Ada", "Quill");
    for n in 1..count {
        let asker = data.add_user("Member", &format!("Number{n}"));
        let thread = data.add_thread(&asker, &answerer, NOW_MS + i64::try_from(n).unwrap());
        data.add_message(&thread, &asker, NOW_MS, "Hello?");
    }
    data
}

const USER: &str = "/api/v2/user/get";

#[tokio::test(flavor = "multi_thread")]
async fn members_are_looked_up_within_a_small_budget_pass_by_pass() {
    let sim = BdSim::start(members(16, TokenLookup::Works)).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    let named = "SELECT count(*) FROM participants WHERE name IS NOT NULL";
    home.sync().await;
    let budget = 5;
    assert_eq!(sim.world().count(USER), budget);
    assert_eq!(home.number(named), i64::try_from(budget).unwrap());

    // A pass that changed nothing asks for nobody, though names are missing.
    sim.world().clear_log();
    home.sync().await;
    assert_eq!(sim.world().count(USER), 0);

    // Each pass that brought something asks for some more, until all are known; nobody is asked for twice.
    for _ in 0..3 {
        let (thread, owner) = {
            let world = sim.world();
            (world.data.threads[0].token.clone(), world.data.threads[0].owner.clone())
        };
        sim.world().data.add_message(&thread, &owner, NOW_MS + 60_000, "And?");
        home.sync().await;
    }
    assert_eq!(home.number(named), 16);
    assert_eq!(sim.world().count(USER), 16 - budget);
    let names = home.rows("SELECT name FROM participants WHERE kind = 'agent'");
    assert_eq!(names, ["Ada Quill"]);
    let known = "SELECT count(*) FROM participants WHERE email LIKE 'member%@example.test' AND phone IS NOT NULL";
    assert_eq!(home.number(known), 16);
}

/// Somebody says something more, so that the next pass has news.
fn news(sim: &BdSim) {
    let mut world = sim.world();
    let (thread, owner) = (world.data.threads[0].token.clone(), world.data.threads[0].owner.clone());
    world.data.add_message(&thread, &owner, NOW_MS + 60_000, "And?");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_whose_records_make_no_sense_do_not_stand_in_front_of_the_others() {
    let mut data = members(12, TokenLookup::Works);
    for user in &mut data.users[1..7] {
        user.overrides = vec![("email", serde_json::json!({"not": "a text"}))];
    }
    let sim = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    for _ in 0..4 {
        home.run(&["sync"]).await;
        news(&sim);
    }
    assert_eq!(home.number("SELECT count(*) FROM participants WHERE name IS NOT NULL"), 6);
    assert_eq!(sim.world().count(USER), 12, "each was asked for once");
    // What they lack was told once; a pass that read everything else is a good one.
    home.sync().await;
    assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_cannot_be_asked_for_does_not_either() {
    let sim = BdSim::start(members(4, TokenLookup::Works)).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    let refused = Fault::Status(405, serde_json::json!({"status": "error", "message": "not like this"}), Vec::new());
    sim.world().fault(USER, refused);
    home.sync().await;
    assert_eq!(home.number("SELECT count(*) FROM participants WHERE name IS NOT NULL"), 0);
    news(&sim);
    home.sync().await;
    assert_eq!(home.number("SELECT count(*) FROM participants WHERE name IS NOT NULL"), 3);
    assert_eq!(home.number("SELECT count(*) FROM participants WHERE looked_up_at_ms IS NOT NULL"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_cannot_be_asked_for_tokens_is_left_alone_after_five_misses() {
    for token_lookup in [TokenLookup::NoColumn, TokenLookup::Ignored] {
        let mut data = members(40, token_lookup);
        // Many feed requests make a larger budget than the misses use.
        let thread = data.threads[0].token.clone();
        let owner = data.threads[0].owner.clone();
        for n in 0..3_000 {
            data.add_message(&thread, &owner, NOW_MS + n, "x");
        }
        let sim = BdSim::start(data).await.unwrap();
        let home = Home::new(&bd_source("bd", &sim));
        home.sync().await;
        assert_eq!(sim.world().count(USER), 5, "{token_lookup:?}: five in a row are enough");
        assert_eq!(home.number("SELECT count(*) FROM participants WHERE name IS NOT NULL"), 0, "no wrong names");
        assert_eq!(home.number("SELECT count(*) FROM participants WHERE looked_up_at_ms IS NOT NULL"), 5);

        sim.world().clear_log();
        sim.world().data.add_message(&thread, &owner, NOW_MS + 60_000, "one more");
        home.sync().await;
        let asked: Vec<String> = sim
            .world()
            .log
            .iter()
            .filter(|logged| logged.endpoint == USER)
            .map(|logged| logged.request.first("property_value").unwrap_or_default().to_owned())
            .collect();
        assert!(asked.len() <= 5, "{asked:?}");
        let missed =
            home.rows("SELECT external_id FROM participants WHERE looked_up_at_ms IS NOT NULL ORDER BY id LIMIT 5");
        assert!(missed.iter().all(|token| !asked.contains(token)), "misses are remembered");
    }
}

const CHANNELS: &str = "/api/v1/channels";
const RESPONDERS: &str = "/api/v1/super-identities/responders";
const EXTERNAL_USERS: &str = "/api/v1/external-users";
const DETAILS: &str = "/api/v1/chats/details";

#[tokio::test(flavor = "multi_thread")]
async fn zaias_directories_are_read_at_first_at_full_and_for_somebody_new() {
    let sim = ZaiaSim::start(demo::worlds(2, NOW_MS).zaia).await.unwrap();
    let home = Home::new(&zaia_source("zaia", &sim));
    let directories = [CHANNELS, RESPONDERS, EXTERNAL_USERS, DETAILS];
    let read = || directories.map(|path| sim.world().count(path) > 0);

    home.sync().await;
    assert_eq!(read(), [true; 4]);
    assert_eq!(home.number("SELECT count(*) FROM channels WHERE name IS NULL OR kind = 'other'"), 0);
    assert_eq!(home.rows("SELECT name FROM participants WHERE kind = 'bot' ORDER BY 1"), ["After-sales", "Iris"]);
    let contacts = home.number("SELECT count(*) FROM participants WHERE kind = 'contact' AND name IS NOT NULL");
    assert!(contacts > 50, "{contacts}");

    // Nothing new: nothing is read but the list of chats.
    sim.world().clear_log();
    home.sync().await;
    assert_eq!(read(), [false; 4]);
    assert!(sim.world().requests() <= 2);

    // News from people who are known: no directory either.
    let (chat, owner) = {
        let world = sim.world();
        (world.data.chats[0].id.clone(), world.data.chats[0].owner.clone())
    };
    sim.world().data.add_message(&chat, "user", Some(&owner), now_ms() - 2_000, "Hello again");
    sim.world().clear_log();
    home.sync().await;
    assert_eq!(read(), [false; 4]);
    let asked_for = |wanted: &str| {
        let asked = |logged: &Logged| logged.request.first("chatId").map(str::to_owned);
        sim.world().log.iter().filter_map(asked).all(|chat| chat == wanted)
    };
    assert!(asked_for(&chat), "only the chat with news is fetched");

    // A new agent answers on a new channel to somebody new.
    {
        let data = &mut sim.world().data;
        let channel = data.add_channel("instagram", "Second account");
        let (agent, owner) =
            (data.add_agent("Juno"), data.add_external_user(&channel, Some("someone_ig"), Some("Mo Reed")));
        let chat = data.add_chat(Some(&channel), &owner, &agent, now_ms() - 2_000);
        data.add_message(&chat, "user", Some(&owner), now_ms() - 2_000, "Hi");
        data.add_message(&chat, "assistant", Some(&agent), now_ms() - 1_000, "Hello");
    }
    sim.world().clear_log();
    home.sync().await;
    assert_eq!(read(), [true, true, false, false], "one contact is looked up by the details of their chat");
    assert_eq!(sim.world().count("/api/v1/chats/{id}/details"), 1);
    let told = home.rows(
        "SELECT v.channel, c.name, v.contact FROM v_conversations AS v JOIN conversations AS k ON k.id = v.conversation_id
         JOIN channels AS c ON c.id = k.channel_id WHERE v.contact = 'Mo Reed'",
    );
    assert_eq!(told, ["instagram|Second account|Mo Reed"]);
    assert_eq!(home.number("SELECT count(*) FROM participants WHERE name = 'Juno' AND kind = 'bot'"), 1);

    sim.world().clear_log();
    home.sync_with(&["--full"]).await;
    assert_eq!(read(), [true; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_names_that_fails_does_not_make_the_source_fail() {
    let sim = ZaiaSim::start(demo::large_zaia(1, 3, NOW_MS)).await.unwrap();
    let home = Home::new(&zaia_source("zaia", &sim));
    let broken = Fault::Status(500, serde_json::json!({"message": "Internal server error"}), Vec::new());
    sim.world().faults(DETAILS, 5, &broken);
    let done = home.run(&["sync", "--json"]).await;
    assert_eq!((done.code, sim.world().faults_left()), (1, 0));
    assert_eq!(done.json()["sources"][0]["status"], "partial", "{}", done.stdout);
    assert_eq!(home.number("SELECT count(*) FROM messages"), home.number("SELECT count(*) FROM v_messages"));
    assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), 0);
}
