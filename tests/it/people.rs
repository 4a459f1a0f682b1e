//! People across providers: who shares an address is one person, and is one no longer when the address was wrong.

use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{SitegptSim, ZaiaSim};

use crate::harness::{Home, NOW_MS, sitegpt_source, zaia_source};

const PEOPLE: &str =
    "SELECT name, conversations, providers, first_contact_at, last_contact_at FROM v_people ORDER BY conversations";
const DAY: i64 = 86_400_000;

struct Street {
    zaia: ZaiaSim,
    bots: SitegptSim,
    home: Home,
    /// The visitor at the workspace, and the thread at the bots.
    visitor: String,
    thread: String,
}

/// Ana writes by WhatsApp and, three days later, to a chatbot; another Ana shares her name alone.
async fn street() -> Street {
    let (mut workspace, mut account) = (ZaiaData::new(), SitegptData::new());
    let channel = workspace.add_channel("whatsapp", "Telephone");
    let agent = workspace.add_agent("Assistant");
    let visitor = workspace.add_external_user(&channel, Some("12025550123"), Some("Ana Lima"));
    let chat = workspace.add_chat(Some(&channel), &visitor, &agent, NOW_MS - 5 * DAY);
    workspace.add_message(&chat, "user", Some(&visitor), NOW_MS - 5 * DAY, "Bom dia");
    let other = workspace.add_external_user(&channel, Some("12025550188"), Some("Ana Lima"));
    let chat = workspace.add_chat(Some(&channel), &other, &agent, NOW_MS - 4 * DAY);
    workspace.add_message(&chat, "user", Some(&other), NOW_MS - 4 * DAY, "Hello");
    let bot = account.add_chatbot("Shop");
    let thread = account.add_thread(&bot, NOW_MS - 2 * DAY);
    account.add_normal(&thread, ("Again me", NOW_MS - 2 * DAY), ("Welcome back", NOW_MS - 2 * DAY));
    account.identify(&thread, Some("Ana"), Some("Ana@example.test"), Some("+1 (202) 555-0123"));
    let nobody = account.add_thread(&bot, NOW_MS - DAY);
    account.add_normal(&nobody, ("Who am I?", NOW_MS - DAY), ("Nobody told", NOW_MS - DAY));
    let zaia = ZaiaSim::start(workspace).await.unwrap();
    let bots = SitegptSim::start(account).await.unwrap();
    let home = Home::new(&format!("{}{}", zaia_source("agents", &zaia), sitegpt_source("bots", &bots, "v2")));
    home.sync().await;
    Street { zaia, bots, home, visitor, thread }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_number_at_two_providers_is_one_person_and_a_name_alone_is_none() {
    let street = street().await;
    let home = &street.home;
    assert_eq!(
        home.rows(PEOPLE),
        [
            "Ana Lima|1|zaia|2026-02-26T12:00:00.000Z|2026-02-26T12:00:00.000Z",
            "Ana Lima|2|sitegpt,zaia|2026-02-25T12:00:00.000Z|2026-02-28T12:00:00.000Z",
        ]
    );
    assert_eq!(
        home.rows("SELECT provider, visit, seconds_since_last FROM v_visits WHERE person_id = (SELECT person_id FROM v_people WHERE conversations = 2) ORDER BY visit"),
        ["zaia|1|-", "sitegpt|2|259200"]
    );
    let rev = home.rev();
    home.sync_with(&["--full"]).await;
    home.assert_still(rev, "nobody changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_wrong_takes_its_link_along() {
    let street = street().await;
    let home = &street.home;
    street.bots.world().data.change_thread(&street.thread, |thread| {
        thread.user.as_mut().unwrap().phone = Some("+1 202 555 0177".to_owned());
    });
    home.sync_with(&["--full"]).await;
    assert_eq!(home.number("SELECT count(*) FROM people"), 3);
    assert_eq!(home.number("SELECT count(*) FROM v_people WHERE conversations = 2"), 0);

    street
        .zaia
        .world()
        .data
        .change_identity(&street.visitor, |one| one.identifier = Some("ANA@example.test".to_owned()));
    home.sync_with(&["--full"]).await;
    assert_eq!(home.number("SELECT count(*) FROM people"), 2, "and a right one brings it back");
    assert_eq!(home.number("SELECT conversations FROM v_people ORDER BY conversations DESC LIMIT 1"), 2);
}

/// The longer of two names is the person's, as long as both are one.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_a_person_alone_has_their_own_name_again() {
    let mut account = SitegptData::new();
    let bot = account.add_chatbot("Shop");
    let visit = |account: &mut SitegptData, name: &str, email: &str| {
        let at = NOW_MS - DAY;
        let thread = account.add_thread(&bot, at);
        account.add_normal(&thread, ("Hello", at), ("Welcome", at));
        account.identify(&thread, Some(name), Some(email), None);
        thread
    };
    let al = visit(&mut account, "Al", "desk@example.test");
    visit(&mut account, "Bartholomew Longname", "desk@example.test");
    let bots = SitegptSim::start(account).await.unwrap();
    let home = Home::new(&sitegpt_source("bots", &bots, "v2"));
    home.sync().await;
    let people = "SELECT name, conversations FROM v_people ORDER BY name";
    assert_eq!(home.rows(people), ["Bartholomew Longname|2"]);
    bots.world().data.change_thread(&al, |thread| {
        thread.user.as_mut().unwrap().email = Some("al@example.test".to_owned());
    });
    home.sync_with(&["--full"]).await;
    assert_eq!(home.rows(people), ["Al|1", "Bartholomew Longname|1"]);
    let done = home.run(&["forget", "--email", "desk@example.test", "--yes"]).await;
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(home.rows(people), ["Al|1"]);
    let bytes = std::fs::read(home.db()).unwrap();
    assert!(!bytes.windows(11).any(|word| word == b"Bartholomew"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_is_nobodys_other_half() {
    let street = street().await;
    let home = &street.home;
    let done = home.run(&["forget", "--phone", "+12025550123", "--yes"]).await;
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(home.rows("SELECT conversations FROM v_people"), ["1"], "the other Ana stays");
    assert_eq!(home.number("SELECT count(*) FROM participant_keys"), 1);
}

/// Three are one person by way of the one in the middle, who shares a number with one and an address with the other.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_links_nobody_any_more() {
    let street = street().await;
    let home = &street.home;
    {
        let data = &mut street.bots.world().data;
        let bot = data.add_chatbot("Help desk");
        let thread = data.add_thread(&bot, NOW_MS - DAY / 2);
        data.add_user(&thread, "It is me", NOW_MS - DAY / 2);
        data.identify(&thread, Some("A. Lima"), Some("ana@example.test"), None);
    }
    home.sync().await;
    assert_eq!(
        home.rows("SELECT name, conversations FROM v_people ORDER BY conversations"),
        ["Ana Lima|1", "Ana Lima|3"]
    );
    let middle = "SELECT external_id FROM participants WHERE phone = '+1 (202) 555-0123' AND email IS NOT NULL";
    let done = home.run(&["forget", "--source", "bots", "--id", &home.rows(middle)[0], "--yes"]).await;
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(
        home.rows("SELECT name, conversations FROM v_people ORDER BY name, conversations"),
        ["A. Lima|1", "Ana Lima|1", "Ana Lima|1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_turns_out_to_be_everybody_s_links_nobody_any_more() {
    let mut account = SitegptData::new();
    let bot = account.add_chatbot("Shop");
    let visit = |account: &mut SitegptData, n: i64, phone: Option<&str>| {
        let thread = account.add_thread(&bot, NOW_MS - DAY + n * 1000);
        account.add_normal(&thread, ("Hello", NOW_MS - DAY + n * 1000), ("Welcome", NOW_MS - DAY + n * 1000 + 1));
        account.identify(&thread, Some("Guest"), Some("desk@example.test"), phone);
    };
    (0..198).for_each(|n| visit(&mut account, n, None));
    // These two have a number of their own in common.
    (198..200).for_each(|n| visit(&mut account, n, Some("+1 (202) 555-0123")));
    let bots = SitegptSim::start(account).await.unwrap();
    let home = Home::new(&sitegpt_source("bots", &bots, "v2"));
    home.sync().await;
    let linked =
        "SELECT count(*), count(person_id), count(DISTINCT person_id) FROM participants WHERE kind = 'contact'";
    assert_eq!(home.rows(linked), ["200|200|1"]);
    visit(&mut bots.world().data, 200, None);
    home.sync().await;
    assert_eq!(home.rows(linked), ["201|2|1"]);
    visit(&mut bots.world().data, 201, None);
    home.sync().await;
    assert_eq!((home.rows(linked), home.number("SELECT count(*) FROM people")), (vec!["202|2|1".to_owned()], 1));
}
