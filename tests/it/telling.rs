//! What is told of a pass: log lines, metrics and health, over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chatloom::app::{SyncOptions, sync, watched};
use chatloom::config::{Config, Env, load_with};
use chatloom::sim::{BdSim, Fault, SitegptSim, ZaiaSim, demo};
use chatloom::web::{Board, Served, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::harness::{Home, NOW_MS, Run, bd_source, now_ms, sitegpt_source, source, zaia_source};

/// The demonstration's three providers, and a folder that is configured for them.
struct Scene {
    home: Home,
    bd: BdSim,
    zaia: ZaiaSim,
    _sitegpt: SitegptSim,
}

impl Scene {
    async fn set(prefix: &str, more: &str) -> Self {
        let worlds = demo::worlds(4, NOW_MS);
        let (bd, zaia) = (BdSim::start(worlds.bd).await.unwrap(), ZaiaSim::start(worlds.zaia).await.unwrap());
        let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
        let sources = [
            bd_source(&format!("{prefix}-bd"), &bd),
            zaia_source(&format!("{prefix}-zaia"), &zaia),
            sitegpt_source(&format!("{prefix}-sitegpt"), &sitegpt, "v2"),
        ];
        let home = Home::new(&format!("{more}\n{}", sources.concat()));
        Self { home, bd, zaia, _sitegpt: sitegpt }
    }

    fn config(&self) -> Config {
        load_with(Some(&self.home.folder.path().join("chatloom.toml")), &Env::default(), std::path::Path::new("/"))
            .unwrap()
    }
}

/// A listener in this process, its clock in the hands of the test.
struct Listener {
    served: Served,
    cancel: CancellationToken,
    now: Arc<AtomicI64>,
}

impl Listener {
    async fn over(config: &Config, token: Option<&str>) -> Self {
        let now = Arc::new(AtomicI64::new(now_ms()));
        let clock = {
            let now = Arc::clone(&now);
            Arc::new(move || now.load(Ordering::SeqCst))
        };
        let board = Board::new(config.store_path.clone(), watched(config), clock);
        let cancel = CancellationToken::new();
        let listen = "127.0.0.1:0".parse().unwrap();
        let served = start(listen, token.map(|token| token.to_owned().into()), board, cancel.clone()).await.unwrap();
        Self { served, cancel, now }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await
    }

    async fn ask(&self, request: &str) -> Answer {
        ask(self.served.address, request).await
    }

    async fn close(self) {
        self.cancel.cancel();
        self.served.ended().await;
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) async fn ask(address: std::net::SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// The value of a sample, named with its labels.
fn sample(metrics: &str, named: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(named)?.strip_prefix(' ')?.parse().ok())
}

/// The sum over all samples of a metric that carry these labels.
fn sum(metrics: &str, metric: &str, labels: &[&str]) -> f64 {
    metrics
        .lines()
        .filter(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{')))
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_what_the_runs_say() {
    let scene = Scene::set("told", "").await;
    // A refusal that is tried again, and a record that makes no row.
    scene.zaia.world().fault("/api/v1/chat-messages", Fault::Status(503, json!({}), Vec::new()));
    let bad = scene.bd.world().data.messages[5].id;
    scene.bd.world().data.change_message(bad, |message| message.overrides = vec![("created_at", json!("soon"))]);
    let config = scene.config();
    let sources: Vec<_> = config.sources.iter().collect();
    let cancel = CancellationToken::new();
    let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(now_ms);
    let options = SyncOptions::default();
    sync(&config.store_path, "a test", &sources, options, clock, cancel, drop).await.unwrap();

    let listener = Listener::over(&config, None).await;
    let answer = listener.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", answer.head);
    let metrics = &answer.body;
    for run in scene.home.rows(
        "SELECT s.name, s.provider, r.mode, r.status, r.requests, r.retries, r.rows_in, r.inserted, r.updated, r.deleted, r.dead
         FROM sync_runs AS r JOIN sources AS s ON s.id = r.source_id",
    ) {
        let run: Vec<&str> = run.split('|').collect();
        let [name, provider, mode, status, numbers @ ..] = run.as_slice() else { panic!("{run:?}") };
        let numbers: Vec<f64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
        let whose = format!(r#"source="{name}",provider="{provider}""#);
        let change = |change: &str| {
            sum(metrics, "chatloom_rows_changed_total", &[&whose, &format!(r#"change="{change}""#)])
        };
        let told = [
            sum(metrics, "chatloom_requests_total", &[&whose]),
            sum(metrics, "chatloom_retries_total", &[&whose]),
            sum(metrics, "chatloom_rows_in_total", &[&whose]),
            change("inserted"),
            change("updated"),
            change("deleted"),
            sum(metrics, "chatloom_dead_letters_total", &[&whose]),
        ];
        assert_eq!(told.as_slice(), numbers, "{name}\n{metrics}");
        assert!(numbers[0] > 0.0 && numbers[3] > 0.0, "{run:?}");
        let pass = format!(r#"{whose},mode="{mode}",status="{status}""#);
        assert_eq!(sample(metrics, &format!("chatloom_passes_total{{{pass}}}")), Some(1.0), "{metrics}");
        let refused = sum(metrics, "chatloom_requests_total", &[&whose, r#"class="5xx""#]);
        assert_eq!(refused, if name.ends_with("zaia") { 1.0 } else { 0.0 }, "{name}");
        let open = sum(metrics, "chatloom_dead_letters_open", &[&whose]);
        assert_eq!(open, numbers[6], "{name}");
        let fetched = sum(metrics, "chatloom_conversation_fetches_total", &[&whose, r#"outcome="read""#]);
        assert_eq!(fetched > 0.0, *provider != "brilliant_directories", "{name}: {fetched}");
        let last = sample(metrics, &format!("chatloom_source_last_success_timestamp_seconds{{{whose}}}"));
        assert_eq!(last.is_some(), *status == "ok", "{name}\n{metrics}");
        assert_eq!(sum(metrics, "chatloom_source_failing", &[&whose]), f64::from(u8::from(*status != "ok")));
        assert_eq!(sum(metrics, "chatloom_source_stale", &[&whose]), 0.0);
    }
    assert!(sample(metrics, "chatloom_commit_duration_seconds_count").unwrap() > 3.0, "{metrics}");
    let bytes = std::fs::metadata(&config.store_path).unwrap().len();
    assert_eq!(sample(metrics, "chatloom_store_size_bytes").map(|bytes| bytes.to_string()), Some(bytes.to_string()));
    assert_eq!(sample(metrics, "chatloom_store_open"), Some(1.0));
    listener.close().await;
}

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
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
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

/// Looks again and again, for half a minute at most.
async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..3_000 {
        if let Some(found) = look() {
            return found;
        }
        ticks.tick().await;
    }
    panic!("{what} did not come");
}

fn json_lines(run: &Run) -> Vec<Value> {
    run.stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn json_logs_say_whose_each_line_is() {
    let scene = Scene::set("logged", "[log]\nformat = \"json\"\nlevel = \"debug\"\n").await;
    scene.zaia.world().fault("/api/v1/chat-messages", Fault::Status(503, json!({}), Vec::new()));
    let bad = scene.bd.world().data.messages[5].id;
    scene.bd.world().data.change_message(bad, |message| message.overrides = vec![("created_at", json!("soon"))]);
    // An empty variable counts as none: the configuration decides.
    let done = scene.home.run_logging(&["sync", "--json"], "").await;
    let lines = json_lines(&done);
    let named = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();

    let requests = named("request_made");
    let sent: i64 = scene.home.number("SELECT sum(requests) FROM sync_runs");
    assert_eq!(i64::try_from(requests.len()).unwrap(), sent);
    let runs =
        scene.home.rows("SELECT s.name || '|' || r.id FROM sync_runs AS r JOIN sources AS s ON s.id = r.source_id");
    for line in &requests {
        let whose = format!("{}|{}", line["source"].as_str().unwrap(), line["run"].as_i64().unwrap());
        assert!(runs.contains(&whose), "{line}");
        assert!(
            line["http.duration_ms"].is_u64() && line["http.endpoint"].is_string() && line["level"] == "debug",
            "{line}"
        );
    }
    assert_eq!(named("request_retried").len(), 1);
    assert_eq!(named("request_retried")[0]["http.status"], 503);
    let letter = named("dead_letter")[0];
    assert_eq!(
        (&letter["source"], &letter["stream"], &letter["level"]),
        (&json!("logged-bd"), &json!("messages"), &json!("warn"))
    );
    assert_eq!(letter["item"], bad.to_string());
    assert!(letter["run"].is_i64());
    // The writer's own thread says whose batch it was.
    assert!(named("committed").len() > 3);
    let ends = named("pass_ended");
    assert_eq!(ends.len(), 3, "{ends:#?}");
    for end in ends {
        let partial = end["source"] == "logged-bd";
        assert_eq!(
            (end["pass.status"].as_str(), end["level"].as_str()),
            if partial { (Some("partial"), Some("warn")) } else { (Some("ok"), Some("info")) }
        );
        assert!(end["rows.inserted"].as_u64().unwrap() > 0 && end["pass.duration_ms"].is_u64(), "{end}");
    }
    // The flag wins over the configuration, and the variable over the level.
    let text = scene.home.run_logging(&["sync", "--full", "--log-format", "text"], "chatloom=warn").await;
    assert!(
        !text.stderr.is_empty() && text.stderr.lines().all(|line| !line.starts_with('{') && !line.contains("DEBUG")),
        "{}",
        text.stderr
    );
    // A filter that cannot be read is said, and the usual one taken.
    let odd = scene.home.run_logging(&["sync", "--full"], "chatloom=loud").await;
    assert!(odd.stderr.contains("CHATLOOM_LOG cannot be read") && odd.stderr.contains("pass_ended"), "{}", odd.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_an_error_and_an_outage_is_not() {
    let scene = Scene::set("levels", "").await;
    let later = vec![("retry-after".to_owned(), "99999".to_owned())];
    scene.zaia.world().fault("/api/v1/", Fault::Status(503, json!({}), later));
    let text = std::fs::read_to_string(scene.home.folder.path().join("chatloom.toml")).unwrap();
    scene.home.configure(&text.replace("bd-key", "not-the-key"));
    let done = scene.home.run_logging(&["sync", "--log-format", "json"], "chatloom=info").await;
    assert_eq!(done.code, 1);
    let ends: Vec<Value> = json_lines(&done).into_iter().filter(|line| line["event"] == "pass_ended").collect();
    let level = |source: &str| ends.iter().find(|end| end["source"] == source).unwrap()["level"].clone();
    assert_eq!(
        (level("levels-bd"), level("levels-zaia"), level("levels-sitegpt")),
        ("error".into(), "warn".into(), "info".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_stays_one_line_whatever_an_id_holds() {
    let worlds = demo::worlds(4, NOW_MS);
    let bd = BdSim::start(worlds.bd).await.unwrap();
    let id = bd.world().data.messages[5].id;
    bd.world().data.change_message(id, |message| {
        message.overrides = vec![("message_id", json!("9\n<3>forged\u{1b}[2J")), ("created_at", json!("soon"))];
    });
    let home = Home::new(&source("wild", "brilliant_directories", &bd.base_url(), "bd-key", ""));
    for format in ["text", "json"] {
        let done = home.run_logging(&["sync", "--full", "--log-format", format], "chatloom=debug").await;
        assert!(done.stderr.contains("dead letters"), "{}", done.stderr);
        assert!(!done.stderr.contains('\u{1b}'), "{}", done.stderr);
        for line in done.stderr.lines() {
            assert!(!line.starts_with("<3>"), "{line}");
            assert!(if format == "json" { line.starts_with('{') } else { line.starts_with("20") }, "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_gets_priorities_and_a_pipe_does_not() {
    use std::os::unix::fs::MetadataExt as _;
    let home = Home::new("");
    let log = home.folder.path().join("journal");
    let file = std::fs::File::create(&log).unwrap();
    let metadata = file.metadata().unwrap();
    let stream = format!("{}:{}", metadata.dev(), metadata.ino());
    let serve = |stderr: std::fs::File, stream: &str| {
        let mut command = home.command(&["serve"], "chatloom=info");
        command
            .stderr(stderr)
            .env("JOURNAL_STREAM", stream)
            .env("CHATLOOM__HTTP__LISTEN", "127.0.0.1:0")
            .spawn()
            .unwrap()
    };
    for (stream, begins) in [(stream.as_str(), "<6>serving health and metrics "), ("1:2", "20"), ("nonsense", "20")] {
        std::fs::write(&log, "").unwrap();
        let mut child = serve(file.try_clone().unwrap(), stream);
        let line = wait_for("a line", || {
            let text = std::fs::read_to_string(&log).unwrap();
            text.trim_start_matches('\0').lines().next().filter(|_| text.ends_with('\n')).map(str::to_owned)
        })
        .await;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.starts_with(begins), "{stream}: {line}");
    }
}

/// Every name of a metric in a text: words that begin as ours do.
fn names(text: &str) -> std::collections::BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("chatloom_"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_alerts_and_page_speak_of_metrics_that_there_are() {
    let scene = Scene::set("named", "").await;
    let config = scene.config();
    let sources: Vec<_> = config.sources.iter().collect();
    let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(now_ms);
    sync(&config.store_path, "a test", &sources, SyncOptions::default(), clock, CancellationToken::new(), drop)
        .await
        .unwrap();
    // What only the daemon says.
    use chatloom::telemetry::sources::{Change, SourceState, source_changed};
    let subject = chatloom::telemetry::Subject::new("named-bd", "brilliant_directories");
    source_changed(&subject, SourceState::Well, &Change::default());
    let listener = Listener::over(&config, None).await;
    let told = listener.get("/metrics").await.body;
    listener.close().await;
    let samples: String = told.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let exported = names(&samples);

    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let read = |name: &str| std::fs::read_to_string(docs.join(name)).unwrap();
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let queries: Vec<&str> = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(queries.len() >= 25, "{queries:?}");
    let alerts = read("alerts.yml");
    assert!(alerts.matches("- alert: ").count() >= 10);
    let page = read("monitoring.md");
    // The page calls histograms by their base name, queries ask for a part of them.
    let base = |name: &String| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let bases: std::collections::BTreeSet<String> = exported.iter().map(base).collect();
    for (file, text, known) in [
        ("grafana-dashboard.json", dashboard.to_string(), &exported),
        ("alerts.yml", alerts, &exported),
        ("monitoring.md", page.clone(), &bases),
    ] {
        let unknown: Vec<_> = names(&text).into_iter().filter(|name| !known.contains(name)).collect();
        assert!(unknown.is_empty(), "{file} speaks of {unknown:?}, exported are {exported:#?}");
    }
    let silent: Vec<_> = bases.difference(&names(&page)).cloned().collect();
    assert!(silent.is_empty(), "monitoring.md says nothing of {silent:?}");
    // The units and classes that alerts rest on.
    for (label, value) in [("class", "401"), ("source", "named-bd")] {
        assert!(told.contains(&format!("{label}=\"{value}\"")), "{told}");
    }
    // The text itself, by the rules of the format.
    assert!(told.ends_with("# EOF\n") && told.matches("# EOF").count() == 1);
    let typed: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let once: std::collections::BTreeSet<&str> = typed.iter().copied().collect();
    assert_eq!(typed.len(), once.len(), "every metric is described once");
    for name in once {
        assert!(told.contains(&format!("# HELP {name} ")), "{name}");
    }
}
