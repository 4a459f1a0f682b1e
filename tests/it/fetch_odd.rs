//! Conversations that the network does not bring, and a list whose rows are never the same: one of many holds up no
//! other, an outage is not tried to the end, and every row is met.

use std::sync::atomic::{AtomicU64, Ordering};

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use serde_json::json;

use crate::failures::assert_says;
use crate::faults::fault::Fault;
use crate::faults::stage::{HASTE, Stage, part, sync, sync_with};
use crate::harness::{Home, NOW_MS, assert_same, copy_of, source, wanted};

const READ: &str = "SELECT count(*) FROM conversations WHERE complete = 1";

/// An account with one chatbot, read through one API, with a network between that can be told what to do.
struct Account {
    stage: Stage,
    home: Home,
    bot: String,
    threads: Vec<String>,
    /// Where the threads are listed; each stands below.
    list: String,
}

impl Account {
    async fn start(api: &str, threads: i64) -> Self {
        let mut data = SitegptData::new();
        let bot = data.add_chatbot("Shop");
        let threads = (0..threads)
            .map(|n| {
                let at = NOW_MS - 86_400_000 + n * 60_000;
                let thread = data.add_thread(&bot, at);
                data.add_normal(&thread, ("Open on Sunday?", at), ("Yes", at + 2_000));
                thread
            })
            .collect();
        let stage = Stage::with(BdData::new(), ZaiaData::new(), data).await;
        let key = if api == "v0" { "sitegpt-key" } else { "sgpt_test" };
        let home = Home::new(&source("bots", "sitegpt", &stage.sitegpt.base_url(), key, &format!("api = \"{api}\"\n")));
        let noun = if api == "v0" { "threads" } else { "conversations" };
        let list = format!("/api/{api}/chatbots/{bot}/{noun}");
        Self { stage, home, bot, threads, list }
    }

    fn thread(&self, n: usize) -> String {
        format!("{}/{}", self.list, self.threads[n])
    }

    fn lists_asked(&self) -> usize {
        self.stage.sitegpt.count(&format!("{}?", self.list))
    }

    /// A pass with all the provider has is in the store.
    async fn assert_heals(&self) {
        self.stage.sitegpt.heal();
        let done = sync(&self.home).await;
        assert_eq!(done.code, 0, "{}", done.stdout);
        assert_same(&copy_of(&self.home, "bots"), &wanted(&self.stage.all.sitegpt.world().data.truth()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_whose_connection_is_always_closed_holds_up_no_other() {
    for api in ["v0", "v2"] {
        let account = Account::start(api, 20).await;
        account.stage.sitegpt.always(&account.thread(7), Fault::CloseBefore);
        for pass in 1..=2 {
            let done = sync(&account.home).await;
            assert_eq!(done.code, 1, "{}", done.stdout);
            let told = part(&done, "bots");
            assert_eq!(told["status"], "partial", "{api}, pass {pass}: {told}");
            assert_says(told["error"].as_str().unwrap(), &["messages of", &account.threads[7], "5 tries", "network"]);
            assert_eq!(account.home.number(READ), 18 + pass, "{api}, pass {pass}");
            // The next pass brings what a visitor writes in another thread, and a new thread.
            let mut world = account.stage.all.sitegpt.world();
            world.data.add_user(&account.threads[8], "And on Monday?", NOW_MS + pass * 60_000);
            let new = world.data.add_thread(&account.bot, NOW_MS + pass * 60_000);
            world.data.add_user(&new, "Hello?", NOW_MS + pass * 60_000);
        }
        assert_eq!(account.home.number("SELECT count(*) FROM messages WHERE body_text = 'And on Monday?'"), 1);
        assert_eq!(
            account.home.number("SELECT max(fetch_failures) FROM conversations"),
            2,
            "it waits behind all others"
        );
        account.assert_heals().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_to_fetch_is_not_stopped_by_one_thread_either() {
    let account = Account::start("v0", 20).await;
    let died = sync_with(&account.home, &format!("{HASTE},crash=pass.listed")).await;
    assert_ne!(died.code, 0);
    assert_eq!(account.home.number(READ), 0);
    account.stage.sitegpt.always(&account.thread(0), Fault::CloseBefore);
    let lists = account.lists_asked();
    let done = sync(&account.home).await;
    assert_eq!(part(&done, "bots")["status"], "partial", "{}", done.stdout);
    assert_eq!(account.home.number(READ), 19);
    assert!(account.lists_asked() > lists, "and its list was asked for news");
    let tries = "SELECT max(fetch_failures) FROM conversations";
    assert_eq!(account.home.number(tries), 2, "once before the list was read, once after");
    account.assert_heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_in_the_middle_ends_the_source_after_a_few_tries_and_is_told_once() {
    let account = Account::start("v0", 40).await;
    let threads = format!("{}/", account.list);
    account.stage.sitegpt.times(&threads, 6, &Fault::Pass);
    account.stage.sitegpt.always(&threads, Fault::ResetBefore);
    let done = sync(&account.home).await;
    assert_eq!(done.code, 1);
    let told = part(&done, "bots");
    assert_eq!(told["status"], "failed", "{told}");
    let error = told["error"].as_str().unwrap();
    assert_says(error, &["source bots", "check base_url and this machine's network"]);
    assert_eq!(error.matches("5 tries").count(), 1, "{error}");
    // Those under way when it began, three that tell, and those that were under way by then.
    let tried = account.home.number("SELECT count(*) FROM conversations WHERE fetch_failures = 1");
    assert!((3..=10).contains(&tried), "{tried}");
    let asked = i64::try_from(account.stage.sitegpt.count(&threads)).unwrap();
    assert_eq!(asked, account.home.number(READ) + 5 * tried, "what was tried waits behind the others");
    account.assert_heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_signs_its_addresses_anew_in_every_answer_is_read_whole_at_the_usual_price() {
    let account = Account::start("v0", 250).await;
    let signed = AtomicU64::new(0);
    let sign = move |answer: &mut serde_json::Value| {
        for thread in answer["data"]["threads"].as_array_mut().into_iter().flatten() {
            let signature = signed.fetch_add(1, Ordering::Relaxed);
            thread["avatar"] = json!(format!("https://cdn.example.test/a.png?signature={signature}"));
        }
    };
    account.stage.sitegpt.always(&format!("{}?", account.list), Fault::json(sign));
    for args in [&["sync", "--json"][..], &["sync", "--json", "--full"]] {
        let before = account.lists_asked();
        let done = account.home.run(args).await;
        assert_eq!(done.code, 0, "{}", done.stdout);
        assert_eq!(account.home.number(READ), 250);
        let asked = account.lists_asked() - before;
        assert!(asked <= 10, "{asked} requests for 3 pages");
    }
    let status = account.home.run(&["status", "--json"]).await.json();
    let streams = status["sources"][0]["streams"].as_array().unwrap();
    let threads = streams.iter().find(|stream| stream["name"] == "threads").unwrap();
    assert_eq!(threads["note"], serde_json::Value::Null, "{threads}");
    assert_same(&copy_of(&account.home, "bots"), &wanted(&account.stage.all.sitegpt.world().data.truth()));
}
