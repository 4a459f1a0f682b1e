//! What comes of each kind of answer.

use std::time::Duration;

use serde_json::json;

use super::server::{Play, Server, answer, bomb, gzip, ok};
use super::*;
use crate::http::{Disposition, Unfit};

#[tokio::test]
async fn a_request_names_itself_shows_the_key_and_keeps_the_prefix() {
    let server = Server::play(vec![ok(r#"{"a":1}"#)]).await;
    let http = http(&server);
    assert_eq!(get(&http).await.unwrap(), json!({"a": 1}));
    let head = server.seen()[0].head.to_lowercase();
    assert!(head.starts_with("get /api/threads/7?page=a%2bb%3d http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: bearer {KEY}\r\n")), "{head}");
    assert!(head.contains("accept: application/json\r\n") && head.contains("accept-encoding: gzip\r\n"), "{head}");
    assert!(
        head.contains(concat!("user-agent: chatloom/", env!("CARGO_PKG_VERSION"), " (+read-only sync)\r\n")),
        "{head}"
    );
    assert!(!format!("{http:?} {:?}", settings("http://localhost/")).contains(KEY));
}

#[tokio::test]
async fn refusals_are_final_give_the_providers_reason_and_never_the_key() {
    let body = format!(r#"{{"status":"error","message":"no: \u001b[1mBearer {KEY}, {KEY}"}}"#);
    for (status, text) in [
        (401, "threads/7: the provider refused the key (401: no: [1m[key], [key])"),
        (403, "threads/7: the key may not read this (403: no: [1m[key], [key])"),
        (404, "threads/7: not found (404: no: [1m[key], [key])"),
        (410, "threads/7: not found (410: no: [1m[key], [key])"),
        (400, "threads/7: the provider rejected the request (400: no: [1m[key], [key])"),
        (405, "threads/7: the provider rejected the request (405: no: [1m[key], [key])"),
        (422, "threads/7: the provider rejected the request (422: no: [1m[key], [key])"),
        (501, "threads/7: the provider rejected the request (501: no: [1m[key], [key])"),
        (300, "threads/7: the provider rejected the request (300: no: [1m[key], [key])"),
    ] {
        let server = Server::play(vec![answer(status, &[], body.as_bytes())]).await;
        let error = get(&http(&server)).await.unwrap_err();
        assert_eq!(error.to_string(), text, "{error:?}");
        assert_eq!(server.seen().len(), 1, "{status} is not tried again");
    }
}

#[tokio::test]
async fn a_refusal_inside_a_200_counts_as_the_status_it_should_have_had() {
    let refuse = |status| move |_: &[u8]| Err::<(), _>(Unfit::Refused { status, detail: format!("because {KEY}") });
    let server = Server::play(vec![ok("{}")]).await;
    let http = http(&server);
    let ask = async |status| http.get(&["x"], &[], refuse(status)).await.unwrap_err();
    assert!(matches!(ask(401).await, FetchError::Unauthorized { detail, .. } if detail == "because [key]"));
    assert!(matches!(ask(403).await, FetchError::Forbidden { .. }));
    assert!(matches!(ask(404).await, FetchError::NotFound { status: 404, .. }));
    assert!(matches!(ask(200).await, FetchError::Rejected { status: 200, .. }));
    assert_eq!(server.seen().len(), 4);
    assert!(matches!(ask(500).await, FetchError::Unavailable { tries: 5, unreachable: false, .. }));
    assert_eq!(server.seen().len(), 9);
}

#[tokio::test]
async fn the_key_never_follows_a_redirect_to_another_origin() {
    let elsewhere = Server::play_at("127.0.0.2", vec![ok("{}")]).await;
    let location = format!("location: http://{}/api/threads/7?secret={KEY}", elsewhere.address);
    for status in [301, 302, 303, 307, 308] {
        let server = Server::play(vec![answer(status, &[&location], b"")]).await;
        let error = get(&http(&server)).await.unwrap_err();
        assert!(
            matches!(&error, FetchError::Redirected { target, .. } if *target == format!("http://{}/api/threads/7", elsewhere.address)),
            "{error:?}"
        );
        assert_eq!(error.disposition(), Disposition::StopSource);
        assert_eq!(server.seen().len(), 1);
    }
    assert!(elsewhere.seen().is_empty(), "no request may arrive there");
}

#[tokio::test]
async fn redirects_within_the_origin_are_followed_three_times() {
    let hop = |to: &str| answer(307, &[&format!("location: {to}")], b"");
    let server = Server::play(vec![hop("/api/threads/7/"), hop("/b?c=d"), hop("e"), ok("{}")]).await;
    let client = http(&server);
    assert_eq!(get(&client).await.unwrap(), json!({}));
    let asked: Vec<_> = server.seen().iter().map(|seen| seen.head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(asked[1..], ["GET /api/threads/7/ HTTP/1.1", "GET /b?c=d HTTP/1.1", "GET /e HTTP/1.1"]);
    assert!(server.seen().iter().all(|seen| !seen.head.to_lowercase().contains("referer")));
    assert_eq!((client.usage().requests, client.usage().retries), (4, 0));

    let server = Server::play(vec![hop("/round?and=round")]).await;
    let error = get(&http(&server)).await.unwrap_err();
    assert!(matches!(&error, FetchError::Redirected { target, .. } if target.ends_with("/round")), "{error:?}");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_a_refusal() {
    for headers in [&[][..], &["location: http://["]] {
        let server = Server::play(vec![answer(302, headers, b"")]).await;
        assert!(matches!(get(&http(&server)).await, Err(FetchError::Rejected { status: 302, .. })));
    }
}

#[tokio::test]
async fn packed_bodies_are_unpacked_and_bombs_cut_at_the_cap() {
    let packed = |body: &[u8]| answer(200, &["content-encoding: gzip"], body);
    let server = Server::play(vec![packed(&gzip(br#"{"a":"packed"}"#))]).await;
    assert_eq!(get(&http(&server)).await.unwrap(), json!({"a": "packed"}));

    let bomb = bomb(40_000);
    assert!(bomb.len() < 80_000, "it is small on the wire");
    let server = Server::play(vec![packed(&bomb)]).await;
    let error = get(&http(&server)).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { limit_bytes: CAP, .. }), "{error:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_not_even_read() {
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 100001\r\n\r\n{".to_vec();
    let server = Server::play(vec![Play::Send(announced)]).await;
    assert!(matches!(get(&http(&server)).await, Err(FetchError::TooLarge { .. })));
    let unannounced = [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(), vec![b' '; 100_001]].concat();
    let server = Server::play(vec![Play::Send(unannounced)]).await;
    assert!(matches!(get(&http(&server)).await, Err(FetchError::TooLarge { .. })));
}

#[tokio::test]
async fn an_endless_error_page_is_still_an_error_of_its_status() {
    let page = [b"HTTP/1.1 404 No\r\ncontent-length: 9999999\r\n\r\n".to_vec(), vec![b'x'; 200_000]].concat();
    let server = Server::play(vec![Play::Send(page)]).await;
    assert!(
        matches!(get(&http(&server)).await, Err(FetchError::NotFound { detail, .. }) if detail.chars().count() == 81)
    );
}

#[tokio::test]
async fn ids_that_no_address_can_carry_are_not_asked_for() {
    let server = Server::play(vec![ok("{}")]).await;
    let http = http(&server);
    for id in ["..", ".", ""] {
        let error = http.get(&["threads", id], &[], parse::<Value>).await.unwrap_err();
        assert!(matches!(error, FetchError::Rejected { .. }), "{error:?}");
    }
    assert!(server.seen().is_empty());
    http.get(&["threads", "../a/é"], &[], parse::<Value>).await.unwrap();
    assert!(server.seen()[0].head.starts_with("GET /api/threads/..%2Fa%2F%C3%A9 HTTP/1.1"));
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_or_protected_is_refused_before_any_request() {
    let make = |base: &str, key: &str| {
        let settings = HttpSettings { auth_value: SecretString::from(key.to_owned()), ..settings(base) };
        Http::new(settings, Arc::new(Pacer::new(60)), CancellationToken::new()).unwrap_err()
    };
    assert!(make("http://www.example.test", KEY).contains("https"));
    assert!(make("http://u:p@127.0.0.1", KEY).contains("password"));
    assert!(make("http://127.0.0.1", " ").contains("empty"));
    let why = make("http://127.0.0.1", "made-up\nkey");
    assert!(why.contains("line break") && !why.contains("made-up"), "{why}");
}

#[tokio::test]
async fn a_stopped_run_drops_the_request_in_flight() {
    let server = Server::play(vec![Play::Hang]).await;
    let cancel = CancellationToken::new();
    let pacer = Arc::new(Pacer::new(60));
    let base = format!("http://{}", server.address);
    let http = http_with(settings(&base), quick(), &pacer, &cancel);
    let stop = async {
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(get(&http), stop);
    assert!(matches!(result, Err(FetchError::Cancelled)));
    assert!(matches!(get(&http).await, Err(FetchError::Cancelled)));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn time_for_one_try_ends_a_silent_server() {
    let server = Server::play(vec![Play::Hang]).await;
    let base = format!("http://{}", server.address);
    let settings = HttpSettings { timeout: Duration::from_millis(50), ..settings(&base) };
    let policy = Policy { tries: 2, ..quick() };
    let http = http_with(settings, policy, &Arc::new(Pacer::new(1_000_000)), &CancellationToken::new());
    let error = get(&http).await.unwrap_err();
    assert_eq!(error.to_string(), "threads/7: gave up after 2 tries: timed out after 0.05 s");
    assert_eq!(error.disposition(), Disposition::StopSource);
}

#[tokio::test]
async fn providers_can_ask_from_any_task() {
    #[async_trait::async_trait]
    trait Asks {
        async fn ask(&self, id: &str, page: Option<&str>) -> Result<Value, FetchError>;
    }
    #[async_trait::async_trait]
    impl Asks for Http {
        async fn ask(&self, id: &str, page: Option<&str>) -> Result<Value, FetchError> {
            let limit = 5.to_string();
            let mut query = vec![("limit", limit.as_str())];
            query.extend(page.map(|page| ("page", page)));
            self.get(&["threads", id], &query, parse).await
        }
    }
    let server = Server::play(vec![ok("{}")]).await;
    let asks: Arc<dyn Asks + Send + Sync> = Arc::new(http(&server));
    let asked = tokio::spawn(async move { asks.ask("7", Some("x")).await });
    assert_eq!(asked.await.unwrap().unwrap(), json!({}));
}

#[tokio::test]
async fn an_offline_client_sends_nothing() {
    let http = crate::http::Http::offline().unwrap();
    let answer = http.get(&["x"], &[], |_| Ok(())).await;
    assert!(matches!(answer, Err(crate::http::FetchError::Cancelled)));
    assert_eq!(http.usage().requests, 0);
}
