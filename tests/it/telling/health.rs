//! Who is answered, and what.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chatloom::config::{Env, load_with};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::Home;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn ready_means_a_store_that_can_be_read_and_no_source_behind_its_time() {
    let scene = Scene::set("ready", "").await;
    let config = scene.config();
    let listener = Listener::over(&config, None).await;
    let none = listener.get("/readyz").await;
    assert_eq!(none.status, 503, "{none:?}");
    assert!(none.json()["store"].as_str().unwrap().contains("does not exist yet"), "{none:?}");
    assert_eq!(listener.get("/healthz").await.status, 200, "the process lives all the same");
    let metrics = listener.get("/metrics").await;
    assert!(metrics.status == 200 && metrics.body.contains("chatloom_store_open 0\n"), "{metrics:?}");
    listener.close().await;

    scene.home.sync().await;
    let listener = Listener::over(&config, None).await;
    let ready = listener.get("/readyz").await;
    assert_eq!((ready.status, ready.json()), (200, json!({"ready": true, "store": "ok", "stale": []})));

    // The default poll is five minutes: after a quarter of an hour and what a pass takes, all are behind.
    let second = &scene.config().sources[1].name;
    listener.now.fetch_add(3_600_000, Ordering::SeqCst);
    let behind = listener.get("/readyz").await;
    assert_eq!(behind.status, 503, "{behind:?}");
    let told = behind.json();
    let stale = told["stale"].as_array().unwrap();
    assert_eq!((told["store"].as_str(), stale.len()), (Some("ok"), 3), "{told}");
    assert_eq!(stale[1]["source"], second.as_str());
    let since = scene.home.rows(&format!("SELECT last_success_at FROM v_sources WHERE source = '{second}'")).remove(0);
    assert_eq!(stale[1]["since"], since.as_str());
    assert!(stale[1]["lag_seconds"].as_i64().unwrap() >= 3_600 && stale[1]["limit_seconds"].as_i64().unwrap() >= 900);
    let lag = sum(&listener.get("/metrics").await.body, "chatloom_source_stale", &["ready-"]);
    assert_eq!(lag, 3.0, "alerts see the same");
    listener.close().await;

    // A disabled source is nobody's business.
    let text = std::fs::read_to_string(scene.home.folder.path().join("chatloom.toml")).unwrap();
    scene.home.configure(&text.replace("[[sources]]", "[[sources]]\nenabled = false"));
    let listener = Listener::over(&scene.config(), None).await;
    listener.now.fetch_add(86_400_000, Ordering::SeqCst);
    assert_eq!(listener.get("/readyz").await.status, 200);
    listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_readers_who_should_be_are_answered() {
    let home = Home::new("");
    let config =
        load_with(Some(&home.folder.path().join("chatloom.toml")), &Env::default(), home.folder.path()).unwrap();
    let open = Listener::over(&config, None).await;
    let port = open.served.address.port();
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:1234", 200),
        (&*format!("127.0.0.1:{port}"), 200),
        ("[::1]:8787", 200),
        ("attacker.example.test", 421),
        (&*format!("attacker.example.test:{port}"), 421),
        ("localhost.example.test", 421),
        ("user@localhost", 421),
        ("192.0.2.7", 421),
        ("", 421),
    ] {
        for path in ["/healthz", "/metrics"] {
            let answer = open.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            assert_eq!(answer.status, status, "{host}: {answer:?}");
        }
    }
    for request in [
        "GET /healthz HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: attacker.example.test\r\n\r\n",
        "GET http://attacker.example.test/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let answer = open.ask(request).await;
        assert_eq!(answer.status, 421, "{request}: {answer:?}");
    }
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 405),
        ("DELETE /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nsomething", 413),
        ("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        ("GET /no/such/page HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 503),
        ("NOT HTTP AT ALL\r\n\r\n", 400),
    ] {
        let answer = open.ask(request).await;
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        if status != 400 {
            for header in [
                "x-content-type-options: nosniff",
                "cache-control: no-store",
                "content-security-policy: default-src 'none'",
            ] {
                assert!(answer.head.contains(header), "{request}: {}", answer.head);
            }
        }
    }
    let long = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(open.served.address).await.unwrap();
    // The listener may hang up before all of it is sent.
    drop(stream.write_all(long.as_bytes()).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    open.close().await;

    let closed = Listener::over(&config, Some("a-token-of-some-length")).await;
    for (authorization, status) in [
        ("Authorization: Bearer a-token-of-some-length\r\n", 200),
        ("Authorization: Bearer a-token-of-some-lengtH\r\n", 401),
        ("Authorization: Basic a-token-of-some-length\r\n", 401),
        ("", 401),
    ] {
        // Whoever has the token may call this machine by any name.
        let answer =
            closed.ask(&format!("GET /metrics HTTP/1.1\r\nHost: chat.example.test\r\n{authorization}\r\n")).await;
        assert_eq!(answer.status, status, "{authorization}: {answer:?}");
        assert_eq!(answer.head.contains("www-authenticate: bearer"), status == 401);
        assert!(!answer.body.contains("a-token"));
    }
    let unknown = closed.ask("GET /no/such/page HTTP/1.1\r\nHost: chat.example.test\r\n\r\n").await;
    assert_eq!(unknown.status, 401, "what there is, is told to those with the token alone");
    assert_eq!(closed.ask("GET /healthz HTTP/1.1\r\nHost: chat.example.test\r\n\r\n").await.status, 200);
    closed.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_dawdle_hold_up_nobody() {
    let home = Home::new("");
    let config =
        load_with(Some(&home.folder.path().join("chatloom.toml")), &Env::default(), home.folder.path()).unwrap();
    let listener = Listener::over(&config, None).await;
    // More of them than there is room for, each with half a request.
    let mut dawdlers = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(listener.served.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: local").await.unwrap();
        dawdlers.push(stream);
    }
    let answer = tokio::time::timeout(Duration::from_secs(4), listener.get("/healthz")).await;
    assert_eq!(answer.expect("answered before any dawdler's time is up").status, 200);
    // The first were pushed out long before their time.
    let mut rest = Vec::new();
    drop(tokio::time::timeout(Duration::from_secs(4), dawdlers[0].read_to_end(&mut rest)).await.expect("hung up on"));
    assert!(rest.is_empty());
    // Those who are left have five seconds for a whole head.
    let last = dawdlers.last_mut().unwrap();
    drop(tokio::time::timeout(Duration::from_secs(15), last.read_to_end(&mut rest)).await.expect("hung up on"));
    // Closing waits for none of them longer than it must.
    tokio::time::timeout(Duration::from_secs(10), listener.close()).await.expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_serves_until_it_is_told_to_stop() {
    let scene = Scene::set("served", "[http]\nlisten = \"127.0.0.1:0\"\n").await;
    scene.home.sync().await;
    let log = scene.home.folder.path().join("serve.log");
    let mut command = scene.home.command(&["serve", "--log-format", "json"], "chatloom=info");
    let mut child = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let address = listening(&log).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    // The port is taken now; that is said with what to do.
    scene.home.configure(&format!("[http]\nlisten = \"{address}\"\n"));
    let second = scene.home.run(&["serve"]).await;
    assert_eq!(second.code, 1);
    assert!(
        second.stderr.contains(&address.to_string()) && second.stderr.contains("another `listen`"),
        "{}",
        second.stderr
    );
    scene.home.configure("");
    let nothing = scene.home.run(&["serve"]).await;
    assert!(nothing.code == 2 && nothing.stderr.contains("[http]"), "{}", nothing.stderr);

    assert!(std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let ended = wait_for("the end", || child.try_wait().unwrap()).await;
    assert_eq!(ended.code(), Some(0));
}

/// Where a process listens that writes its log as JSON into this file.
pub(crate) async fn listening(log: &std::path::Path) -> std::net::SocketAddr {
    wait_for("the listener", || {
        let lines = std::fs::read_to_string(log).unwrap();
        let line = lines.lines().find(|line| line.contains("listening"))?;
        let line: Value = serde_json::from_str(line).ok()?;
        line["http.listen"].as_str()?.parse().ok()
    })
    .await
}
