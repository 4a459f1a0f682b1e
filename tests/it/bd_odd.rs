//! A directory whose answers are not what they seem: nothing may be taken for empty, or for deleted, by mistake.

use chatloom::sim::bd::BdData;
use chatloom::sim::demo::large_bd;
use chatloom::sim::{Answer, RequestInfo, Sim, Site};
use serde_json::{Value, json};

use crate::harness::{Home, NOW_MS, Run, assert_same, copy_of, wanted};

/// Where the messages are, and where the threads.
const ITEMS: &str = "/api/v2/chat_message_items/get";
const THREADS: &str = "/api/v2/chat_message_threads/get";

/// A simulated site with a twist.
struct Odd {
    data: BdData,
    /// Answers with "not found" to these, although there are rows.
    refuses: fn(&RequestInfo) -> bool,
    /// Answers without rows to these, although there are some.
    finds_nothing: fn(&RequestInfo) -> bool,
    /// Lists say how many rows there are.
    counts: bool,
    /// This message shows another id than its own.
    shows: Option<(u64, u64)>,
}

impl Odd {
    fn new(data: BdData) -> Self {
        Self { data, refuses: |_| false, finds_nothing: |_| false, counts: true, shows: None }
    }
}

impl Site for Odd {
    fn endpoint(&self, request: &RequestInfo) -> String {
        self.data.endpoint(request)
    }

    fn refuse(&self, request: &RequestInfo) -> Option<Answer> {
        self.data.refuse(request)
    }

    fn forbidden(&self, request: &RequestInfo) -> Answer {
        self.data.forbidden(request)
    }

    fn too_many(&self, request: &RequestInfo) -> Answer {
        self.data.too_many(request)
    }

    fn answer(&self, request: &RequestInfo) -> Answer {
        if (self.refuses)(request) {
            let why = format!("{} not found", request.segments[2]);
            return Answer::json(200, &json!({"status": "error", "message": why, "total": 0}));
        }
        let answer = self.data.answer(request);
        let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
        let list = request.path == ITEMS || request.path == THREADS;
        if list && (self.finds_nothing)(request) {
            body["message"] = json!([]);
        }
        if let (true, false, Some(body)) = (list, self.counts, body.as_object_mut()) {
            body.retain(|name, _| !["total", "total_pages", "current_page"].contains(&name.as_str()));
        }
        let mut text = body.to_string();
        if let Some((id, shown)) = self.shows {
            text = text.replace(&format!(r#""message_id":"{id}""#), &format!(r#""message_id":"{shown}""#));
        }
        Answer { body: text.into_bytes(), ..answer }
    }
}

async fn site(odd: Odd) -> (Sim<Odd>, Home) {
    let sim = Sim::start(odd).await.unwrap();
    let home = Home::new(&format!(
        "[[sources]]\nname = \"bd\"\nprovider = \"brilliant_directories\"\nbase_url = \"{}\"\napi_key = \"bd-key\"\n\
         requests_per_minute = 6000000\n",
        sim.base_url()
    ));
    (sim, home)
}

/// What is asked of a list in an order.
fn is_sorted_by(request: &RequestInfo, list: &str, column: &str) -> bool {
    request.path == list && request.first("order_column") == Some(column)
}

fn is_filtered(request: &RequestInfo, list: &str) -> bool {
    request.path == list && request.first("property").is_some()
}

fn marked(home: &Home) -> i64 {
    home.number("SELECT count(*) FROM messages WHERE deleted_at_ms IS NOT NULL")
}

fn assert_exact(sim: &Sim<Odd>, home: &Home) {
    assert_same(&copy_of(home, "bd"), &wanted(&sim.world().data.data.truth()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_the_site_will_not_sort_is_a_failure_and_no_empty_list() {
    let (sim, home) = site(Odd::new(large_bd(1, 250, NOW_MS))).await;
    sim.world().data.refuses = |request| is_sorted_by(request, ITEMS, "message_id");
    for args in [&["sync", "--json"][..], &["sync", "--full", "--json"]] {
        let done = home.run(args).await;
        assert_eq!(done.code, 1, "{}", done.stdout);
        let said = done.json()["sources"][0]["error"].as_str().unwrap().to_owned();
        assert!(said.contains("stream messages") && said.contains("refuses to sort it by `message_id`"), "{said}");
    }
    let checked = home.run(&["check"]).await;
    assert!(checked.code == 1 && checked.stdout.contains("order_column=message_id"), "{}", checked.stdout);

    sim.world().data.refuses = |_| false;
    home.sync().await;
    assert_exact(&sim, &home);

    // One that begins to refuse keeps what is stored.
    sim.world().data.refuses = |request| is_sorted_by(request, ITEMS, "message_id");
    for _ in 0..3 {
        let done = home.run(&["sync", "--full", "--json"]).await;
        assert_eq!(done.code, 1, "{}", done.stdout);
    }
    assert_exact(&sim, &home);
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_that_are_not_sorted_by_their_times_are_read_by_their_ids() {
    let (sim, home) = site(Odd::new(large_bd(1, 250, NOW_MS))).await;
    home.sync().await;
    sim.world().data.refuses = |request| is_sorted_by(request, THREADS, "updated_at");
    let closed = sim.world().data.data.threads[3].token.clone();
    sim.world().data.data.change_thread(&closed, |thread| thread.open = false);
    // Its lists have their turns to be put to the proof one after the other.
    for _ in 0..3 {
        home.sync().await;
    }
    let status = format!("SELECT status FROM conversations WHERE external_id = '{closed}'");
    assert_eq!(home.rows(&status), ["closed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_begins_to_find_nothing_neither_ends_a_first_pass_nor_deletes() {
    let (sim, home) = site(Odd { counts: false, ..Odd::new(large_bd(1, 450, NOW_MS)) }).await;
    sim.world().data.finds_nothing = |request| is_filtered(request, ITEMS);
    home.sync().await;
    assert_exact(&sim, &home);

    let (sim, home) = site(Odd { counts: false, ..Odd::new(large_bd(1, 450, NOW_MS)) }).await;
    home.sync().await;
    assert_exact(&sim, &home);
    sim.world().data.finds_nothing = |request| is_filtered(request, ITEMS);
    for _ in 0..3 {
        home.sync_with(&["--full"]).await;
        assert_eq!(marked(&home), 0);
    }
    assert_exact(&sim, &home);

    // The question that is to prove the end finds nothing either: then nothing is proven.
    let (sim, home) = site(Odd { counts: false, ..Odd::new(large_bd(1, 450, NOW_MS)) }).await;
    home.sync().await;
    sim.world().data.finds_nothing =
        |request| is_filtered(request, ITEMS) || request.first("order_type") == Some("DESC");
    for _ in 0..3 {
        home.sync_with(&["--full"]).await;
        assert_eq!(marked(&home), 0);
    }
    assert_exact(&sim, &home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_was_led_behind_the_last_row_deletes_nothing() {
    let (sim, home) = site(Odd { counts: false, ..Odd::new(large_bd(1, 450, NOW_MS)) }).await;
    home.sync().await;
    // The last row of the first page.
    let id = sim.world().data.data.messages[99].id;
    sim.world().data.shows = Some((id, 99_999));
    for _ in 0..3 {
        home.sync_with(&["--full"]).await;
    }
    assert_eq!(marked(&home), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanishes_all_at_once_is_told_and_not_believed() {
    let (sim, home) = site(Odd::new(large_bd(1, 60, NOW_MS))).await;
    home.sync().await;
    let all = std::mem::take(&mut sim.world().data.data.messages);
    for _ in 0..2 {
        let done = home.run(&["sync", "--full", "--json"]).await;
        assert_eq!((done.code, warnings(&done)), (0, 1), "{}", done.stderr);
        assert!(done.stderr.contains("nothing was marked as deleted"), "{}", done.stderr);
    }
    assert_eq!(marked(&home), 0);
    sim.world().data.data.messages = all;
    let done = home.run(&["sync", "--full", "--json"]).await;
    assert_eq!((done.code, warnings(&done)), (0, 0), "{}", done.stderr);
    assert_exact(&sim, &home);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_marked_as_deleted_before_is_no_news() {
    let (sim, home) = site(Odd::new(large_bd(1, 60, NOW_MS))).await;
    home.sync().await;
    // Never so much at once that it would be remarkable.
    for step in 1..=3 {
        sim.world().data.data.messages.drain(..15);
        for _ in 0..2 {
            let done = home.run(&["sync", "--full", "--json"]).await;
            assert_eq!((done.code, warnings(&done)), (0, 0), "step {step}: {}", done.stderr);
        }
        assert_eq!(marked(&home), 15 * step);
    }
}

/// How often a mass vanishing was told.
fn warnings(done: &Run) -> usize {
    done.stderr.lines().filter(|line| line.contains("mass_missing")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_once_what_to_do_about_it() {
    let (sim, home) = site(Odd::new(large_bd(1, 60, NOW_MS))).await;
    sim.world().forbid(ITEMS);
    let refused = home.run(&["sync", "--json"]).await;
    let told = home.run(&["status", "--json"]).await;
    let checked = home.run(&["check"]).await;
    let verified = home.run(&["verify", "--json"]).await;
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let error = |done: &Run| done.json()["sources"][0]["error"].as_str().unwrap_or_default().to_owned();
    for said in [error(&refused), error(&told), words(&checked.stdout), words(&verified.stdout)] {
        assert_eq!(said.matches("allow `chat_message_items/get`").count(), 1, "{said}");
        assert_eq!(said.matches("Developer Hub").count(), 1, "{said}");
    }

    sim.world().allow(ITEMS);
    let wall = Answer::html(403, "<!DOCTYPE html><html><title>Just a moment...</title></html>");
    let wall = Answer { headers: vec![("server".to_owned(), "cloudflare".to_owned())], ..wall };
    sim.world().faults(ITEMS, 5, &chatloom::sim::Fault::Raw(wall));
    let walled = error(&home.run(&["sync", "--json"]).await);
    assert!(walled.contains("firewall") && walled.contains("let this machine's address through"), "{walled}");
    assert!(!walled.contains("Developer Hub") && !walled.contains("allow `"), "{walled}");
}
