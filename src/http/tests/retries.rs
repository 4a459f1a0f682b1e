//! What is tried again, when, and what it comes to.

use std::time::Duration;

use serde_json::json;

use super::server::{Play, Server, answer, gzip, ok};
use super::*;
use crate::http::{Disposition, Unfit};

/// Sends a whole answer's bytes but for the last few.
fn cut(play: Play, missing: usize) -> Play {
    let Play::Send(mut bytes) = play else { unreachable!("only answers can be cut") };
    bytes.truncate(bytes.len() - missing);
    Play::Send(bytes)
}

fn raw(text: &str) -> Play {
    Play::Send(text.as_bytes().to_vec())
}

#[tokio::test]
async fn whatever_may_pass_is_tried_again() {
    let body = r#"{"rows":[1,2,3]}"#;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for (story, first) in [
        ("an inner error", answer(500, &[], b"oops")),
        ("a bad gateway", answer(502, &[], b"<html>bad gateway</html>")),
        ("a Cloudflare 520", answer(520, &[], b"")),
        ("too slow a request", answer(408, &[], b"")),
        ("a firewall", answer(403, &["server: cloudflare"], b"<!DOCTYPE html><title>Just a moment</title>")),
        ("no content", raw("HTTP/1.1 204 No Content\r\n\r\n")),
        ("not modified", raw("HTTP/1.1 304 Not Modified\r\n\r\n")),
        ("a part", answer(206, &[], body.as_bytes())),
        ("an empty body", ok("")),
        ("a page for people", ok("<html><body>Maintenance</body></html>")),
        ("half a document", ok(r#"{"rows":[1,2"#)),
        ("cut short of its length", cut(ok(body), 5)),
        ("cut short in a chunk", raw(&format!("{chunked}10\r\n{}", body.split_at(9).0))),
        ("cut short between chunks", raw(&format!("{chunked}10\r\n{body}\r\n"))),
        ("a bad chunk", raw(&format!("{chunked}zz\r\n{body}\r\n0\r\n\r\n"))),
        ("cut short and packed", cut(answer(200, &["content-encoding: gzip"], &gzip(body.as_bytes())), 12)),
        (
            "packed, cut short and closed",
            Play::Send(
                [b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", gzip(body.as_bytes()).split_at(20).0].concat(),
            ),
        ),
        ("not packed at all", answer(200, &["content-encoding: gzip"], body.as_bytes())),
        ("no HTTP", raw("SSH-2.0-OpenSSH_9.6\r\n")),
        ("nothing", raw("")),
    ] {
        let server = Server::play(vec![first, ok(body)]).await;
        let http = http(&server);
        assert_eq!(get(&http).await.map_err(|error| error.to_string()), Ok(json!({"rows": [1, 2, 3]})), "{story}");
        assert_eq!((http.usage().requests, http.usage().retries), (2, 1), "{story}");
    }
}

#[tokio::test]
async fn what_does_not_pass_says_in_the_end_what_it_was() {
    for (play, text) in [
        (answer(503, &[], br#"{"message":"busy"}"#), "threads/7: gave up after 5 tries: status 503: busy"),
        (answer(429, &[], b""), "threads/7: gave up after 5 tries: status 429"),
        (
            ok("<html>"),
            "threads/7: gave up after 5 tries: the answer is not what the provider documents: \
             an HTML page where JSON was promised",
        ),
        (
            answer(403, &[], b"<html>blocked"),
            "threads/7: the key may not read this (403: a firewall in front of the provider answered with a page of its own)",
        ),
        (cut(ok("{}"), 1), "threads/7: gave up after 5 tries: the answer was cut short"),
    ] {
        let server = Server::play(vec![play]).await;
        let error = get(&http(&server)).await.unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.disposition(), Disposition::StopStream, "headers had arrived");
        assert_eq!(server.seen().len(), 5);
    }
}

#[tokio::test]
async fn a_closed_door_is_told_from_a_troubled_house() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let pacer = Arc::new(Pacer::new(1_000_000));
    let ask = async |base: String| {
        get(&http_with(settings(&base), quick(), &pacer, &CancellationToken::new())).await.unwrap_err()
    };
    let error = ask(format!("http://{gone}/api")).await;
    assert_eq!(error.to_string(), "threads/7: gave up after 5 tries: connection refused");
    assert!(matches!(error, FetchError::Unavailable { unreachable: true, .. }));
}

#[tokio::test]
async fn a_broken_body_may_hold_the_key_and_the_error_does_not() {
    let server = Server::play(vec![ok("{}")]).await;
    let read = |_: &[u8]| Err::<(), _>(Unfit::Broken(format!("odd \u{202e} field {KEY}\n")));
    let error = http(&server).get(&["x"], &[], read).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreadable { cause, tries: 5, .. } if cause == "odd field [key]"));
}

#[tokio::test]
async fn seconds_asked_for_are_waited_out_to_the_last() {
    for status in [429, 503] {
        let server = Server::play(vec![answer(status, &["retry-after: 1"], b""), ok("{}")]).await;
        let http = http(&server);
        get(&http).await.unwrap();
        assert!(server.gap(1) >= Duration::from_secs(1), "{:?}", server.gap(1));
        assert!(http.usage().throttled_ms >= 999, "{:?}", http.usage());
    }
}

#[tokio::test]
async fn a_date_asked_for_is_waited_for() {
    let headers = ["date: Sun, 06 Nov 1994 08:49:37 GMT", "retry-after: Sun, 06 Nov 1994 08:49:38 GMT"];
    let server = Server::play(vec![answer(429, &headers, b""), ok("{}")]).await;
    get(&http(&server)).await.unwrap();
    assert!(server.gap(1) >= Duration::from_secs(1), "{:?}", server.gap(1));
}

#[tokio::test]
async fn a_429_that_says_nothing_usable_means_a_minute() {
    for header in
        ["x: y", "retry-after: soon", "retry-after: -1", "retry-after:", "retry-after: Sun, 06 Nov 1994 08:49:37 GMT"]
    {
        let server = Server::play(vec![answer(429, &[header], b""), ok("{}")]).await;
        get(&http(&server)).await.unwrap();
        assert!(server.gap(1) >= quick().unspoken, "{header}: {:?}", server.gap(1));
    }
    let server = Server::play(vec![ok(r#"{"limited":true}"#), ok("{}")]).await;
    let read = |body: &[u8]| match parse::<Value>(body)?.get("limited") {
        Some(_) => Err(Unfit::Refused { status: 429, detail: String::new() }),
        None => Ok(()),
    };
    http(&server).get(&["x"], &[], read).await.unwrap();
    assert!(server.gap(1) >= quick().unspoken, "{:?}", server.gap(1));
    assert_eq!(Policy::default().unspoken, Duration::from_secs(60));
}

#[tokio::test]
async fn come_back_in_0_seconds_is_no_invitation_to_a_hot_loop() {
    let server = Server::play(vec![answer(429, &["retry-after: 0"], b""), ok("{}")]).await;
    get(&http(&server)).await.unwrap();
    assert!(server.gap(1) >= quick().least, "{:?}", server.gap(1));
}

#[tokio::test]
async fn a_long_wait_is_left_for_a_later_run_and_quiets_every_stream_of_the_credential() {
    let server = Server::play(vec![answer(503, &["retry-after: 99999999999999999999"], b""), ok("{}")]).await;
    let (pacer, cancel) = (Arc::new(Pacer::new(1_000_000)), CancellationToken::new());
    let base = format!("http://{}", server.address);
    let first = http_with(settings(&base), quick(), &pacer, &cancel);
    let second = http_with(settings(&base), quick(), &pacer, &cancel);
    assert!(first.waiting().is_none());
    for http in [&first, &second, &first] {
        let error = get(http).await.unwrap_err();
        assert!(matches!(error, FetchError::Deferred { wait, .. } if wait > Duration::from_secs(86_400)), "{error:?}");
    }
    assert_eq!(server.seen().len(), 1);
    assert!(second.waiting().is_some_and(|left| left > Duration::from_secs(86_400)));
    assert_eq!((first.usage().requests, second.usage().requests), (1, 0));
    assert_eq!(first.usage().throttled_ms, 0, "nobody waited");
}

#[tokio::test]
async fn a_wait_asked_of_one_stream_is_kept_by_the_others() {
    let server = Server::play(vec![answer(429, &["retry-after: 1"], b""), ok("{}")]).await;
    let client = http(&server);
    let other = async {
        while client.waiting().is_none() {
            tokio::task::yield_now().await;
        }
        get(&client).await
    };
    let (first, second) = tokio::join!(get(&client), other);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(server.seen().len(), 3);
    assert!(server.gap(1) >= Duration::from_secs(1), "{:?}", server.gap(1));
    assert!(client.usage().throttled_ms < 2_000, "two that wait side by side count once: {:?}", client.usage());
}

#[tokio::test]
async fn own_patience_is_limited_by_time_as_well() {
    let server = Server::play(vec![answer(500, &[], b"")]).await;
    let policy = Policy { budget: Duration::from_millis(1), ..quick() };
    let base = format!("http://{}", server.address);
    let http = http_with(settings(&base), policy, &Arc::new(Pacer::new(60)), &CancellationToken::new());
    assert!(matches!(get(&http).await, Err(FetchError::Unavailable { tries: 1, .. })));
}

#[tokio::test]
async fn a_pause_ends_at_once_when_the_run_is_stopped() {
    let server = Server::play(vec![answer(429, &["retry-after: 100"], b"")]).await;
    let cancel = CancellationToken::new();
    let base = format!("http://{}", server.address);
    let http = http_with(settings(&base), Policy::default(), &Arc::new(Pacer::new(60)), &cancel);
    let stop = async {
        while http.waiting().is_none() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(get(&http), stop);
    assert!(matches!(result, Err(FetchError::Cancelled)));
}

#[tokio::test]
async fn retries_keep_the_pace() {
    let server = Server::play(vec![answer(500, &[], b"")]).await;
    let base = format!("http://{}", server.address);
    let policy = Policy { tries: 7, ..quick() };
    // 600 a minute: five at once, then one every tenth of a second.
    let begin = std::time::Instant::now();
    let http = http_with(settings(&base), policy, &Arc::new(Pacer::new(600)), &CancellationToken::new());
    assert!(matches!(get(&http).await, Err(FetchError::Unavailable { tries: 7, .. })));
    let seen = server.seen();
    assert!(seen[6].at - begin >= Duration::from_millis(200));
}

#[tokio::test]
async fn every_request_is_counted_by_how_it_ended() {
    let counted = |source: &str, class: &str| {
        let text = crate::telemetry::render(&crate::telemetry::Standing::default());
        let line = format!("chatloom_requests_total{{source=\"{source}\",provider=\"zaia\",class=\"{class}\"}} ");
        text.lines().find_map(|told| told.strip_prefix(&line)?.parse::<u64>().ok())
    };
    let client = |base: &str, source: &str, policy: Policy| {
        let subject = crate::telemetry::Subject::new(source, "zaia");
        let settings = HttpSettings { subject, timeout: Duration::from_millis(300), ..settings(base) };
        http_with(settings, policy, &Arc::new(Pacer::new(1_000_000)), &CancellationToken::new())
    };
    let script = vec![
        answer(429, &["Retry-After: 0"], b"{}"),
        answer(500, &[], b"{}"),
        cut(ok("{\"a\":1}"), 3),
        Play::Hang,
        ok("{}"),
        answer(401, &[], b"{}"),
    ];
    let server = Server::play(script).await;
    let http = client(&format!("http://{}", server.address), "counted", quick());
    get(&http).await.unwrap();
    get(&http).await.unwrap_err();
    for class in ["429", "5xx", "broken", "timeout", "2xx", "401"] {
        assert_eq!(counted("counted", class), Some(1), "{class}");
    }
    assert_eq!(counted("counted", "connect"), Some(0), "what did not happen is told as well");

    // Nobody listens behind a port that was just given back.
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let http = client(&format!("http://{address}"), "counted-nobody", Policy { tries: 2, ..quick() });
    get(&http).await.unwrap_err();
    assert_eq!(counted("counted-nobody", "connect"), Some(2));
}
