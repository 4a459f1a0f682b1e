//! The pages without a browser: what is sent, to whom, and what is said where nothing can be shown.

use base64::Engine as _;

use crate::telling::ask;
use crate::web_scene::{HOSTILE, Stage};

const POLICY: &str = "content-security-policy: default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_strangers_are_escaped_wherever_they_stand() {
    let stage = Stage::set("", None, |_| {}).await;
    for path in [
        "/",
        "/conversations",
        "/conversations/90001",
        "/people",
        "/people/90001",
        "/runs",
        "/dead-letters",
        "/search?q=script",
        "/people?name=%22%3E%3Cscript%3E",
        "/search?q=%22%3E%3Cscript%3E",
        "/conversations/90002",
    ] {
        let answer = stage.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(
            answer.head.contains(POLICY) && answer.head.contains("cache-control: no-store"),
            "{path}: {}",
            answer.head
        );
        for active in ["<script", "<img", "javascript:alert(1)\"", " style=", "onerror=\"", "data:text"] {
            assert!(active == "data:text" || !answer.body.contains(active), "{path} has {active}");
        }
        assert!(!answer.body.contains("href=\"javascript") && !answer.body.contains("href=\"data"), "{path}");
        assert!(!answer.head.contains("set-cookie"), "{path}");
    }
    let page = stage.get("/conversations/90001").await.body;
    for wanted in [
        "&lt;script&gt;alert('x')&lt;/script&gt;",
        "as it stood before",
        "voted down",
        "<del>Deleted answer</del>",
        "<a href=\"https://shop.example.test/returns\" rel=\"noopener noreferrer nofollow\">",
        "All 300,012",
        "/conversations/90001/messages/9000004/text",
        "Time unknown",
        "there may be more at the provider",
        "<bdi>",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    assert!(!page.contains("the-very-end") && page.len() < 200_000, "{}", page.len());
    let text = stage.get("/conversations/90001/messages/9000004/text").await;
    assert!(
        text.head.contains("content-type: text/plain; charset=utf-8") && text.head.contains("nosniff"),
        "{}",
        text.head
    );
    assert!(text.body.ends_with("the-very-end"));
    let hostile = stage.get("/conversations/90001/messages/9000001/text").await;
    assert!(hostile.body == HOSTILE && hostile.head.contains("text/plain"));
    // A hit leads to its message, and times are told where the reader is.
    let zoned = stage.get("/conversations/90001?message=9000003&zone=Asia%2FTokyo").await.body;
    assert!(zoned.contains("id=\"m9000003\"") && zoned.contains("zone=Asia%2FTokyo"), "{zoned}");
    let style = page
        .split("href=\"")
        .find_map(|rest| rest.strip_prefix("/style.css").map(|rest| rest.split('"').next().unwrap()));
    let style = stage.get(&format!("/style.css{}", style.unwrap())).await;
    assert!(style.status == 200 && style.head.contains("text/css") && !style.body.contains("url("), "{}", style.head);
    stage.listener.close().await;
}

/// Turns the direction of writing, isolates, takes no room, steers a terminal.
const WILD: &str = "pay\u{202e}lap\u{2066}x\u{200b}y\u{1b}[31m";

#[tokio::test(flavor = "multi_thread")]
async fn what_turns_hides_or_steers_is_visible() {
    let stage = Stage::set("", None, |store| {
        // Every place where a stranger's text stands.
        for (table, columns) in [
            ("participants", "name email phone"),
            ("people", "name"),
            ("conversations", "title page_url incomplete_reason"),
            ("messages", "body_text event"),
            ("citations", "url title"),
            ("attachments", "url name kind"),
            ("message_revisions", "body_text"),
            ("dead_letters", "error body external_id"),
            ("sync_runs", "error"),
        ] {
            for column in columns.split(' ') {
                store
                    .execute(&format!("UPDATE OR IGNORE {table} SET {column} = 'wild ' || ?1"), [WILD])
                    .unwrap_or_else(|error| panic!("{table} {column}: {error}"));
            }
        }
    })
    .await;
    for path in [
        "/",
        "/conversations",
        "/conversations/90001",
        "/people",
        "/people/90001",
        "/runs",
        "/dead-letters",
        "/search?q=wild",
        "/search?q=source:%E2%80%AEx+%E2%80%AE",
    ] {
        let answer = stage.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(path.contains("%E2") || answer.body.contains("wild pay\u{fffd}lap"), "{path}: {}", answer.body);
        // But what somebody typed stands in its field as it was typed.
        let fields = |line: &str| line.starts_with("<input") || line.starts_with("<a ");
        for element in answer.body.split_inclusive('>').filter(|element| !fields(element)) {
            assert!(!element.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{1b}']), "{path}: {element:?}");
        }
    }
    // A program gets what there is.
    let told = stage.get("/api/conversations/90001").await.json();
    assert_eq!(told["conversation"]["title"], format!("wild {WILD}"));
    stage.listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_out_of_a_history_without_a_word() {
    let stage = Stage::set("", None, |store| {
        let earlier = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 61)
            INSERT INTO message_revisions (message_id, revision, body_text, observed_at_ms)
            SELECT 9000004, i, 'version ' || i || iif(i = 61, replace(hex(zeroblob(5000)), '00', '.') || 'its end', ''), i FROM n";
        store.execute(earlier, []).unwrap();
    })
    .await;
    let page = stage.get("/conversations/90001").await.body;
    assert!(page.contains("version 12<") && !page.contains("version 11<") && page.contains("and 11 more"), "{page}");
    let link = "/conversations/90001/messages/9000004/text?revision=61";
    assert!(page.contains(&format!("href=\"{link}\"")) && !page.contains("its end"), "{page}");
    assert!(stage.get(link).await.body.ends_with("its end"));
    assert_eq!(stage.get("/conversations/90001/messages/9000004/text?revision=62").await.status, 404);
    // Behind the last message is nothing, and the way back.
    let end = stage.get("/conversations/90001?after=9000004").await.body;
    assert!(end.contains("Nothing stands after that message.") && end.contains("To the start"), "{end}");
    let told = stage.get("/api/conversations/90001").await.json();
    let message = told["messages"].as_array().unwrap().iter().find(|message| message["id"] == 9_000_004).unwrap();
    assert_eq!((message["revisions_count"].as_i64(), message["revisions"].as_array().unwrap().len()), (Some(61), 50));
    stage.listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_said() {
    let stage = Stage::set("", None, |_| {}).await;
    for (path, status, told) in [
        ("/conversations/4711", 404, "there is no conversation 4711"),
        ("/conversations/%3Cb%3E", 404, "there is no conversation"),
        ("/people/0", 404, "there is no person 0"),
        ("/conversations/90001?message=1", 404, "no such message"),
        ("/conversations/90001/messages/1/text", 404, "no such message"),
        ("/conversations?colour=red", 400, "there is: source, channel"),
        ("/conversations?source=%3Cb%3E", 400, "source is one of agents, bots, directory, and not"),
        ("/runs?source=x", 400, "source is one of"),
        ("/dead-letters?source=x", 400, "source is one of"),
        ("/?zone=Mars", 400, "Europe/Lisbon"),
        ("/?days=3", 400, "days is one of 30, 90, 365, all"),
        ("/conversations?after=0%27", 400, "after is what"),
    ] {
        let answer = stage.get(path).await;
        assert!(answer.status == status && answer.body.contains(told), "{path}: {answer:?}");
        assert!(answer.head.contains(POLICY) && answer.body.contains("<h1>") && !answer.body.contains("<b>"), "{path}");
    }
    std::fs::remove_file(stage.home.db()).unwrap();
    for path in ["/conversations", "/people", "/runs", "/dead-letters"] {
        let answer = stage.get(path).await;
        assert!(answer.status == 503 && answer.body.contains("`chatloom sync` makes it"), "{path}: {answer:?}");
    }
    let newer = rusqlite::Connection::open(stage.home.db()).unwrap();
    newer.execute_batch("PRAGMA application_id = 0x434C4F4D; PRAGMA user_version = 99; CREATE TABLE t (a)").unwrap();
    let answer = stage.get("/").await;
    assert!(answer.status == 503 && answer.body.contains("update chatloom"), "{answer:?}");
    stage.listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_token_as_a_password() {
    let token = "a-token-of-some-length";
    let stage = Stage::set("", Some(token), |_| {}).await;
    let asked = async |shown: &str| {
        ask(stage.listener.served.address, &format!("GET /people HTTP/1.1\r\nHost: chat.example.test\r\n{shown}\r\n"))
            .await
    };
    let basic =
        |pair: &str| format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(pair));
    assert_eq!(asked(&basic(&format!("anybody:{token}"))).await.status, 200);
    assert_eq!(asked(&basic(&format!(":{token}"))).await.status, 200);
    assert_eq!(asked(&format!("Authorization: Bearer {token}\r\n")).await.status, 200);
    for wrong in [
        String::new(),
        basic(token),
        basic("anybody:wrong"),
        basic(&format!("{token}:")),
        "Authorization: Basic !\r\n".to_owned(),
    ] {
        let answer = asked(&wrong).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(answer.head.contains("www-authenticate: bearer\r\n"), "{}", answer.head);
        assert!(answer.head.contains("www-authenticate: basic realm=\"chatloom\""), "{}", answer.head);
        assert!(!answer.body.contains("html"));
    }
    stage.listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_nobody_configures_any_more_is_shown_with_all_that_is_known() {
    let stage = Stage::set("", None, |store| {
        store.execute("UPDATE sources SET name = 'former' WHERE id = 2", []).unwrap();
    })
    .await;
    let told = stage.get("/api/sources").await.json();
    let find = |name: &str| told["sources"].as_array().unwrap().iter().find(|source| source["name"] == name).cloned();
    let former = find("former").unwrap();
    assert_eq!((&former["state"], &former["dead_letters"]), (&"not_configured".into(), &1.into()), "{former}");
    assert_eq!(former["incomplete"], stage.number("SELECT incomplete FROM v_sources WHERE source = 'former'"));
    assert!(former["last_success_at"].is_string(), "{former}");
    let states = stage.number("SELECT count(*) FROM sources");
    assert_eq!(
        told["sources"].as_array().unwrap().len() as i64,
        states + 1,
        "what is configured and new stands there, too"
    );
    let page = stage.get("/").await.body;
    assert!(page.contains("not configured") && page.contains("/dead-letters?source=former"), "{page}");
    stage.listener.close().await;
}
