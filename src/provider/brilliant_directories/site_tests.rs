//! The adapter against a site that plays its part over the network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{BrilliantDirectories, Settings};
use crate::http::{FetchError, Http, HttpSettings, Pacer};
use crate::model::StreamKey;
use crate::provider::{Ask, Counted, Facts, Pass, Provider as _, UnknownParticipant};

const THREADS: &str = include_str!("../../../tests/fixtures/brilliant_directories/threads.json");
const MESSAGES: &str = include_str!("../../../tests/fixtures/brilliant_directories/messages.json");
const USER: &str = include_str!("../../../tests/fixtures/brilliant_directories/user.json");
const VERIFIED: &str = r#"{"status":"success","message":{"website":"https://www.example.test","key":"Sync key"}}"#;
const NOT_ALLOWED: &str = r#"{"status":"error","message":"API Key does not have permission to access this endpoint"}"#;
const ORDINARY: Pass = Pass { first: false, full: false, ranged: false };
const OWNER: &str = "0986d338d31285f7578138137f8a7c87";

/// What a site answers to a path below `/api/v2/` and a query.
type Answers = fn(&str, &str) -> (u16, String);

struct Site {
    asked: Arc<Mutex<Vec<String>>>,
    facts: Arc<Facts>,
    provider: BrilliantDirectories,
}

impl Site {
    async fn new(answers: Answers, timezone: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let Some(target) = head.split(' ').nth(1).and_then(|target| target.strip_prefix("/api/v2/")) else {
                    continue;
                };
                log.lock().unwrap().push(target.to_owned());
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                let (status, body) = answers(path, query);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                     connection: close\r\n\r\n{body}"
                );
                // A client that has seen enough hangs up.
                let _sent = stream.write_all(answer.as_bytes()).await.is_ok();
            }
        });
        let settings = HttpSettings {
            base_url: Url::parse(&format!("http://{address}/")).unwrap(),
            auth_header: "X-Api-Key",
            auth_value: SecretString::from("made-up-key"),
            private_network: false,
            roots: Vec::new(),
            timeout: Duration::from_secs(30),
            max_body_bytes: 10_000,
            subject: crate::telemetry::Subject::nobody(),
        };
        let http = Http::new(settings, Arc::new(Pacer::new(1_000_000)), CancellationToken::new()).unwrap();
        let facts = Arc::new(Facts::new(BTreeMap::new()));
        let timezone = timezone.map(str::to_owned);
        let provider =
            BrilliantDirectories::new(http, Arc::clone(&facts), Settings { timezone, ..Settings::default() });
        Self { asked, facts, provider }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    async fn look_up(&self, id: &str) -> Option<String> {
        let who = UnknownParticipant { external_id: id.to_owned(), contact_of: None };
        self.provider.lookup(&who).await.unwrap().map(|found| found.record.json.get().to_owned())
    }
}

fn ok(body: impl Into<String>) -> (u16, String) {
    (200, body.into())
}

fn rows(rows: &str) -> (u16, String) {
    ok(format!(r#"{{"status":"success","message":{rows},"total":1,"current_page":1,"total_pages":1}}"#))
}

fn first(limit: u32) -> Ask {
    Ask::After { after: None, token: None, limit }
}

#[tokio::test]
async fn a_page_of_messages_comes_with_its_way_on() {
    let site = Site::new(|_, _| ok(MESSAGES), Some("UTC")).await;
    let page = site.provider.page(&StreamKey::plain("messages"), &first(100)).await.unwrap();
    assert_eq!((page.records.len(), page.total, page.last), (5, Some(205), Some(false)));
    assert_eq!(page.next.as_deref(), Some("MipfKjEwMA=="));
    let ask = Ask::After { after: None, token: page.next, limit: 100 };
    site.provider.page(&StreamKey::plain("messages"), &ask).await.unwrap();
    let asked = site.asked();
    assert_eq!(asked[0], "chat_message_items/get?order_column=message_id&order_type=ASC&limit=100");
    assert!(asked[1].contains("page=MipfKjEwMA%3D%3D") && asked[1].contains("order_type=ASC"), "{}", asked[1]);
}

#[tokio::test]
async fn not_found_is_an_empty_list_and_a_wrong_address_is_not() {
    let empty = Site::new(
        |path, _| ok(format!(r#"{{"status":"error","message":"{} not found"}}"#, path.split('/').next().unwrap())),
        None,
    )
    .await;
    let messages = StreamKey::plain("messages");
    let page = empty.provider.page(&messages, &first(100)).await.unwrap();
    assert_eq!((page.records.len(), page.total, page.last), (0, Some(0), Some(true)));
    let after = Ask::After { after: Some(5), token: None, limit: 100 };
    assert_eq!(empty.provider.page(&messages, &after).await.unwrap().total, None, "a filter proves nothing");

    let wrong = Site::new(|_, _| (404, "<html>no such page</html>".to_owned()), None).await;
    assert!(matches!(wrong.provider.page(&messages, &first(100)).await, Err(FetchError::NotFound { .. })));
}

#[tokio::test]
async fn a_list_that_the_site_will_not_sort_is_not_an_empty_one() {
    const NOT_FOUND: &str = r#"{"status":"error","message":"chat_message_items not found","total":0}"#;
    let site =
        Site::new(|_, query| ok(if query.contains("order_column") { NOT_FOUND } else { MESSAGES }), Some("UTC")).await;
    let messages = StreamKey::plain("messages");
    for ask in [first(100), Ask::Newest { limit: 1 }, Ask::Token { token: None, limit: 100 }] {
        let error = site.provider.page(&messages, &ask).await.unwrap_err();
        assert!(matches!(error, FetchError::Rejected { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("refuses to sort it by `message_id`") && said.contains("ask the support"), "{said}");
    }
    let asked = site.asked();
    assert_eq!((asked.len(), asked[1].as_str()), (6, "chat_message_items/get?limit=1"));
    // What goes on from a place was answered in this order before: nothing found is the end.
    let on = Ask::Token { token: Some("MipfKjEwMA==".to_owned()), limit: 100 };
    assert_eq!(site.provider.page(&messages, &on).await.unwrap().last, Some(true));

    let line = site.provider.check().await.into_iter().find(|line| line.what == "chat_message_items/get").unwrap();
    let said = line.result.unwrap_err();
    assert!(said.contains("refuses to sort") && !said.contains("allow"), "{said}");
}

#[tokio::test]
async fn a_page_full_of_pictures_is_read_in_smaller_portions() {
    let site = Site::new(
        |_, query| {
            let limit: usize = query.rsplit_once("limit=").unwrap().1.parse().unwrap();
            let row = |id| format!(r#"{{"message_id":"{id}","message_content":"{}"}}"#, "x".repeat(300));
            let all: Vec<_> = (1..=limit).map(row).collect();
            ok(format!(r#"{{"status":"success","message":[{}]}}"#, all.join(",")))
        },
        None,
    )
    .await;
    let messages = StreamKey::plain("messages");
    let page = site.provider.page(&messages, &first(100)).await.unwrap();
    assert_eq!((page.records.len(), page.last), (25, Some(false)), "and its fewer rows do not look like the end");
    assert_eq!(site.facts.get("page_size.messages").as_deref(), Some("25"));
    assert_eq!(site.provider.page(&messages, &first(100)).await.unwrap().records.len(), 25);
    assert_eq!(site.asked().len(), 3, "the size is remembered");
}

#[tokio::test]
async fn a_missing_permission_names_what_to_allow_whatever_the_status() {
    for status in [200, 401, 403] {
        let answers: Answers = match status {
            200 => |path, _| if path == "token/verify" { ok(VERIFIED) } else { ok(NOT_ALLOWED) },
            401 => |path, _| if path == "token/verify" { ok(VERIFIED) } else { (401, NOT_ALLOWED.to_owned()) },
            _ => |path, _| if path == "token/verify" { ok(VERIFIED) } else { (403, NOT_ALLOWED.to_owned()) },
        };
        let site = Site::new(answers, None).await;
        let error = site.provider.page(&StreamKey::plain("messages"), &first(100)).await.unwrap_err();
        assert!(matches!(error, FetchError::Forbidden { .. }), "{error}");
        assert!(error.to_string().contains("allow `chat_message_items/get`"), "{error}");
    }
    let site = Site::new(|_, _| (401, r#"{"status":"error","message":"Invalid API key"}"#.to_owned()), None).await;
    let error = site.provider.page(&StreamKey::plain("messages"), &first(100)).await.unwrap_err();
    assert!(matches!(error, FetchError::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn the_zone_is_asked_of_the_site_once() {
    let site = Site::new(|_, _| rows(r#"[{"timezone":"US/Eastern"}]"#), None).await;
    site.provider.prepare(&ORDINARY).await.unwrap();
    site.provider.prepare(&ORDINARY).await.unwrap();
    assert_eq!(site.asked(), ["site_info/get"]);
    assert_eq!(site.facts.get("timezone").as_deref(), Some("US/Eastern"));

    let configured = Site::new(|_, _| (500, String::new()), Some("-05:00")).await;
    configured.provider.prepare(&ORDINARY).await.unwrap();
    assert_eq!(configured.facts.get("timezone").as_deref(), Some("-05:00"));
    assert!(configured.asked().is_empty());
}

#[tokio::test]
async fn a_full_pass_asks_for_the_zone_again_and_holds_on_to_it_when_there_is_no_answer() {
    let full = Pass { full: true, ..ORDINARY };
    let site = Site::new(|_, _| (404, r#"{"status":"error","message":"site_info not found"}"#.to_owned()), None).await;
    site.facts.set("timezone", "US/Eastern");
    site.facts.set("timezone_origin", "site");
    site.provider.prepare(&full).await.unwrap();
    assert_eq!((site.asked().len(), site.provider.timezone().as_deref()), (1, Some("US/Eastern")));

    let moved = Site::new(|_, _| rows(r#"[{"timezone":"Europe/London"}]"#), None).await;
    moved.facts.set("timezone", "US/Eastern");
    moved.provider.prepare(&full).await.unwrap();
    assert_eq!(moved.provider.timezone().as_deref(), Some("Europe/London"));
}

#[tokio::test]
async fn the_site_counts_its_rows_without_a_filter() {
    let site = Site::new(
        |path, query| match path {
            _ if query.contains("property") => (500, String::new()),
            "chat_message_items/get" => ok(r#"{"status":"success","message":[{"message_id":"9"}],"total":"55"}"#),
            _ => ok(r#"{"status":"error","message":"chat_message_threads not found"}"#),
        },
        None,
    )
    .await;
    let counts = site.provider.count().await.unwrap();
    assert_eq!(counts, [Counted { stream: "threads", total: 0 }, Counted { stream: "messages", total: 55 }]);
    assert_eq!(site.asked().len(), 3, "the empty list is asked for without an order too");
}

#[tokio::test]
async fn a_zone_that_cannot_be_learnt_says_what_to_do() {
    let refused: [Answers; 5] = [
        |path, _| if path == "token/verify" { ok(VERIFIED) } else { (403, NOT_ALLOWED.to_owned()) },
        |path, _| if path == "token/verify" { ok(VERIFIED) } else { (401, NOT_ALLOWED.to_owned()) },
        |_, _| (404, r#"{"status":"error","message":"site_info not found"}"#.to_owned()),
        |_, _| rows(r#"{"timezone":"UTC-5"}"#),
        |_, _| rows("[]"),
    ];
    for answers in refused {
        let error = Site::new(answers, None).await.provider.prepare(&ORDINARY).await.unwrap_err();
        assert!(matches!(error, FetchError::Forbidden { .. } | FetchError::Rejected { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("timezone = \"Area/City\"") && said.contains("site_info/get"), "{said}");
    }
    let error = Site::new(refused[0], Some("Nowhere/Land")).await.provider.prepare(&ORDINARY).await.unwrap_err();
    assert!(error.to_string().contains("timezone = \"Area/City\""), "{error}");
}

#[tokio::test]
async fn members_are_looked_up_by_token_or_by_number() {
    let site = Site::new(
        |path, query| match path {
            "user/get/4711" => ok(USER.replace(r#""total": "1""#, r#""total": "204""#)),
            "user/get" if query.contains(OWNER) => ok(USER),
            "user/get" if query.contains("everybody") => ok(USER.replace(r#""total": "1""#, r#""total": "204""#)),
            "user/get" => ok(r#"{"status":"success","message":[],"total":0}"#),
            _ => (404, r#"{"status":"error","message":"user not found"}"#.to_owned()),
        },
        None,
    )
    .await;
    assert!(site.look_up(OWNER).await.unwrap().contains("dana@example.test"));
    assert!(site.look_up("4711").await.unwrap().contains("dana@example.test"));
    assert_eq!(site.look_up("everybody").await, None);
    assert_eq!(site.look_up("gone").await, None);
    assert_eq!(site.look_up("99").await, None);
    assert_eq!(site.look_up(" ").await, None);
    let asked = site.asked();
    assert_eq!(
        asked[0],
        format!("user/get?property=token&property_value={OWNER}&property_operator=eq&limit=25"),
        "and nothing was asked for the empty id: {asked:?}"
    );
    assert_eq!(asked.len(), 5);

    let closed = Site::new(|_, _| (403, NOT_ALLOWED.to_owned()), None).await;
    let who = UnknownParticipant { external_id: OWNER.to_owned(), contact_of: None };
    assert!(matches!(closed.provider.lookup(&who).await, Err(FetchError::Forbidden { .. })));
}

#[tokio::test]
async fn a_check_tries_every_endpoint_and_says_what_to_enable() {
    let site = Site::new(
        |path, _| match path {
            "token/verify" => ok(VERIFIED),
            "chat_message_threads/get" => ok(THREADS),
            "chat_message_items/get" => (403, NOT_ALLOWED.to_owned()),
            "user/get" => (403, NOT_ALLOWED.to_owned()),
            _ => rows(r#"[{"timezone":"UTC"}]"#),
        },
        None,
    )
    .await;
    let lines = site.provider.check().await;
    let shape: Vec<_> = lines.iter().map(|line| (line.what.as_str(), line.result.is_ok(), line.optional)).collect();
    assert_eq!(
        shape,
        [
            ("key", true, false),
            ("chat_message_threads/get", true, false),
            ("chat_message_items/get", false, false),
            ("user/get", false, true),
            ("site_info/get", true, false),
        ]
    );
    for line in lines {
        if let Err(said) = line.result {
            assert!(said.contains(&format!("allow `{}`", line.what)) && said.contains("Advanced Endpoints"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_bad_key_is_one_line() {
    let site = Site::new(|_, _| (401, r#"{"status":"error","message":"Invalid key"}"#.to_owned()), Some("UTC")).await;
    let lines = site.provider.check().await;
    assert_eq!(lines.iter().map(|line| line.what.as_str()).collect::<Vec<_>>(), ["key"]);
    assert!(lines[0].result.is_err());
    assert_eq!(site.asked().len(), 1);
}
