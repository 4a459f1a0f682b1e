//! Brilliant Directories: strange rows, clocks, markup, and sites that answer in other ways.

use chatloom::sim::bd::{BdData, BdQuirks, EmptyShape};
use chatloom::sim::demo::large_bd;
use chatloom::sim::{Answer, BdSim, Fault};
use serde_json::json;

use crate::harness::{Home, NOW_MS, assert_same, bd_source, copy_of, heads_of, wanted, wanted_heads};

async fn site(data: BdData) -> (BdSim, Home) {
    let sim = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    (sim, home)
}

fn assert_exact(home: &Home, sim: &BdSim) {
    let truth = sim.world().data.truth();
    assert_same(&copy_of(home, "bd"), &wanted(&truth));
    assert_same(&heads_of(home, "bd"), &wanted_heads(&truth));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_thread_that_is_not_listed_are_held_and_get_their_authors_once_it_is() {
    let mut data = BdData::new();
    let (ada, ben) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
    data.add_message("token-of-a-late-thread", &ada, NOW_MS, "Hello?");
    data.add_message("token-of-a-late-thread", &ben, NOW_MS + 1_000, "Hello!");
    data.add_message("token-of-a-late-thread", "nobody-known", NOW_MS + 2_000, "Me too!");
    let empty = data.add_thread(&ben, &ada, NOW_MS);
    let (sim, home) = site(data).await;

    home.sync().await;
    assert_exact(&home, &sim);
    let kinds = "SELECT author_kind FROM messages ORDER BY sent_at_ms";
    assert_eq!(home.rows(kinds), ["unknown"; 3]);
    let of_empty = format!(
        "SELECT v.messages, v.complete, v.answered, v.first_response_seconds FROM v_conversations AS v
         WHERE v.conversation_external_id = '{empty}'"
    );
    assert_eq!(home.rows(&of_empty), ["0|1|1|-"], "a thread in which nobody wrote is a conversation all the same");

    let rev = home.rev();
    {
        let mut world = sim.world();
        world.data.add_thread(&ada, &ben, NOW_MS);
        world.data.threads.last_mut().unwrap().token = "token-of-a-late-thread".to_owned();
    }
    home.sync().await;
    assert_exact(&home, &sim);
    assert_eq!(home.rows(kinds), ["contact", "agent", "unknown"]);
    let changed = home.rows(&format!("SELECT author_kind FROM messages WHERE rev > {rev} ORDER BY sent_at_ms"));
    assert_eq!(changed, ["contact", "agent"], "the change feed shows what changed, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_text_comes_through_exactly() {
    let picture = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(100_000));
    let cases: Vec<(&str, String)> = vec![
        ("👩‍👩‍👧‍👦 und 🇧🇷", "<p>👩‍👩‍👧‍👦 und 🇧🇷</p>".to_owned()),
        ("שלום \u{202b}مرحبا\u{202c} 123", "<p>שלום \u{202b}مرحبا\u{202c} 123</p>".to_owned()),
        ("e\u{301} stays e\u{301}", "<div>e\u{301} stays e\u{301}</div>".to_owned()),
        (
            "before\nafter",
            "<p>before</p><script>alert('x</p>')</script><style>p{color:red}</style><p>after</p>".to_owned(),
        ),
        ("a < b & c > d “q” €5 ☃", "<p>a &lt; b &amp; c &gt; d &ldquo;q&rdquo; &euro;5 &#x2603;</p>".to_owned()),
        ("&lt;b&gt; as text", "<p>&amp;lt;b&amp;gt; as text</p>".to_owned()),
        ("look: [image] done", format!("<p>look: <img src=\"{picture}\"> done</p>")),
        ("plain, no markup", "plain, no markup".to_owned()),
        ("one\ntwo\nthree", "<div>one<br>two<div>three</div></div>".to_owned()),
        ("", String::new()),
    ];
    let mut data = BdData::new();
    let (ada, ben) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
    let thread = data.add_thread(&ada, &ben, NOW_MS);
    for (at, (text, html)) in (0_i64..).zip(&cases) {
        data.add_html(&thread, &ada, NOW_MS + at * 1_000, text, html);
    }
    let (sim, home) = site(data).await;

    home.sync().await;
    assert_exact(&home, &sim);
    let kept = home.rows("SELECT coalesce(body_html, '') FROM messages ORDER BY sent_at_ms");
    for (kept, (text, html)) in kept.iter().zip(&cases) {
        assert!(kept == html, "the original HTML is kept byte for byte: {text}");
    }
    assert_eq!(home.number("SELECT count(*) FROM attachments"), 0, "a picture inside a message has no address");
}

#[tokio::test(flavor = "multi_thread")]
async fn wall_clock_times_are_read_in_the_sites_zone_through_both_changes_of_the_clocks() {
    let utc = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let mut data = BdData::new();
    let (ada, ben) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
    let thread = data.add_thread(&ada, &ben, utc("2025-11-02T04:00:00Z"));
    // Half past one happens twice that night; nothing tells the two apart, so both are the earlier one.
    let twice = ["2025-11-02T05:30:00Z", "2025-11-02T06:30:00Z"].map(|at| {
        let (at, text) = (utc(at), at.to_owned());
        data.add_message(&thread, &ada, at, &text)
    });
    // Half past two never happens that night: it moves forward by the hour that is left out.
    let never = data.add_message(&thread, &ada, utc("2026-03-08T07:30:00Z"), "skipped");
    data.change_message(never, |message| message.overrides = vec![("created_at", json!("20260308023000"))]);
    let timeless = data.add_message(&thread, &ada, utc("2026-03-09T12:00:00Z"), "no time");
    data.change_message(timeless, |message| message.overrides = vec![("created_at", json!("00000000000000"))]);
    let (_sim, home) = site(data).await;

    home.sync().await;
    let held = home.rows("SELECT external_id, sent_at FROM messages ORDER BY CAST(external_id AS INTEGER)");
    let expected = [
        format!("{}|2025-11-02T05:30:00.000Z", twice[0]),
        format!("{}|2025-11-02T05:30:00.000Z", twice[1]),
        format!("{never}|2026-03-08T07:30:00.000Z"),
        format!("{timeless}|-"),
    ];
    assert_eq!(held, expected);
    assert_eq!(home.rows("SELECT timezone FROM sources"), ["America/New_York"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_people_odd_columns_and_deleted_threads_are_understood_and_nothing_is_thrown_away() {
    let mut data = BdData::new();
    let people = ["Ada", "Ben", "Cleo"].map(|name| data.add_user(name, "Quill"));
    let [ada, ben, cleo] = &people;
    let shared = data.add_thread(ada, &format!("{ben}, {cleo},"), NOW_MS);
    for (at, person) in (0_i64..).zip(&people) {
        data.add_message(&shared, person, NOW_MS + at * 1_000, "hi");
    }
    let odd = data.add_message(&shared, ada, NOW_MS + 60_000, "odd");
    data.change_message(odd, |message| {
        message.overrides = vec![
            ("message_status", json!("seven")),
            ("a_column_of_tomorrow", json!({"nested": ["kept", 12345678901234567890_u64, 1.50]})),
        ];
    });
    let doomed = data.add_thread(ben, ada, NOW_MS);
    data.add_message(&doomed, ben, NOW_MS, "going away");
    data.soft_delete_thread(&doomed, NOW_MS + 5_000);
    data.quirks.numbers = true;
    let (sim, home) = site(data).await;

    home.sync().await;
    assert_exact(&home, &sim);
    let shown = "SELECT author_kind FROM v_messages ORDER BY sent_at_ms";
    assert_eq!(home.rows(shown), ["contact", "agent", "agent", "contact"], "views leave the deleted thread out");
    assert_eq!(home.number("SELECT count(*) FROM v_conversations"), 1);
    assert_eq!(home.rows(&format!("SELECT read FROM messages WHERE external_id = '{odd}'")), ["-"]);
    let raw = raw_record(&home, "messages", &odd.to_string());
    assert!(raw.contains(r#""a_column_of_tomorrow":{"nested":["kept",12345678901234567890,1.5]}"#), "{raw}");
    assert!(raw.contains(r#""message_status":"seven""#), "{raw}");

    // A deleted thread that comes back is un-marked.
    let now = crate::harness::now_ms();
    sim.world().data.change_thread(&doomed, |thread| (thread.deleted_ms, thread.updated_ms) = (None, now));
    home.sync().await;
    assert_exact(&home, &sim);
    assert_eq!(home.number("SELECT count(*) FROM v_conversations"), 2);
}

/// A stored raw record as text, unpacked.
fn raw_record(home: &Home, stream: &str, id: &str) -> String {
    let connection = home.open();
    let id: i64 = connection
        .query_row("SELECT id FROM raw_records WHERE stream = ?1 AND external_id = ?2", [stream, id], |row| row.get(0))
        .unwrap();
    chatloom::store::raw_record(&connection, id).unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_of_every_build_give_the_same_copy() {
    let quirks = |change: fn(&mut BdQuirks)| {
        let mut quirks = BdQuirks::default();
        change(&mut quirks);
        quirks
    };
    let builds = [
        ("next_page_ends", quirks(|q| q.next_page_ends = true)),
        ("ignore_filters", quirks(|q| q.ignore_filters = true)),
        ("ignore_order", quirks(|q| q.ignore_order = true)),
        ("neither filters nor order", quirks(|q| (q.ignore_filters, q.ignore_order) = (true, true))),
        ("no gt", quirks(|q| q.dead_operators = vec!["gt"])),
        ("no gt, gte", quirks(|q| q.dead_operators = vec!["gt", "gte"])),
        ("gt finds nothing", quirks(|q| q.blind_operators = vec!["gt"])),
        ("gt, gte find nothing", quirks(|q| q.blind_operators = vec!["gt", "gte"])),
        ("bad_order_is_ignored", quirks(|q| q.bad_order_is_ignored = true)),
        ("limit_floor", quirks(|q| q.limit_floor = 20)),
        ("numbers", quirks(|q| q.numbers = true)),
        ("site_info_in_array", quirks(|q| q.site_info_in_array = true)),
        ("iso_times", quirks(|q| q.iso_times = true)),
    ];
    for (name, quirks) in builds {
        let mut data = chatloom::sim::demo::large_bd(1, 350, NOW_MS);
        data.quirks = quirks;
        let (sim, home) = site(data).await;
        home.sync().await;
        println!("{name}");
        assert_exact(&home, &sim);
        let rev = home.rev();
        home.sync().await;
        home.assert_still(rev, name);
        {
            let mut world = sim.world();
            let thread = world.data.threads[3].token.clone();
            let owner = world.data.threads[3].owner.clone();
            world.data.add_message(&thread, &owner, NOW_MS, "news");
        }
        home.sync().await;
        println!("{name}, with news");
        assert_exact(&home, &sim);
        let live = home.number("SELECT count(*) FROM messages WHERE deleted_at_ms IS NULL");
        home.sync_with(&["--full"]).await;
        home.sync_with(&["--full"]).await;
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE deleted_at_ms IS NULL"), live, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_a_single_message_is_no_failure_however_it_says_so() {
    for empty in [
        EmptyShape::Array,
        EmptyShape::ArrayPageZero,
        EmptyShape::NotFoundError,
        EmptyShape::NullMessage,
        EmptyShape::FalseMessage,
    ] {
        let mut data = BdData::new();
        data.quirks.empty = empty;
        let (sim, home) = site(data).await;
        for _ in 0..2 {
            let report = home.sync().await;
            assert_eq!(report["sources"][0]["messages"]["inserted"], 0, "{empty:?}: {report}");
        }
        {
            let data = &mut sim.world().data;
            let (ada, ben) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
            let thread = data.add_thread(&ada, &ben, NOW_MS);
            data.add_message(&thread, &ada, NOW_MS, "the first one");
        }
        home.sync().await;
        assert_exact(&home, &sim);
    }
}

/// The answer of a site that has nothing to show, although it has.
fn nothing() -> Fault {
    let body =
        json!({"status": "success", "message": [], "total": 0, "current_page": 1, "total_pages": 0, "next_page": ""});
    Fault::Raw(Answer::json(200, &body))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_that_the_page_before_it_contradicts_is_not_believed() {
    let (sim, home) = site(large_bd(2, 450, NOW_MS)).await;
    home.sync().await;
    assert_exact(&home, &sim);
    for _ in 0..3 {
        // Messages: two true pages, then a false end.
        sim.world().faults("/api/v2/chat_message_items", 2, &Fault::Pass);
        sim.world().fault("/api/v2/chat_message_items", nothing());
        home.sync_with(&["--full"]).await;
        assert_eq!(sim.world().faults_left(), 0);
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE deleted_at_ms IS NOT NULL"), 0);
    }
    assert_exact(&home, &sim);
    let method = "SELECT json_extract(cursor, '$.method') FROM cursors WHERE stream = 'messages' AND scope = ''";
    assert_eq!(home.rows(method), ["keyset"], "once is no habit");
}
