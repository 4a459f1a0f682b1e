//! Log lines.

use chatloom::sim::{BdSim, Fault, demo};
use serde_json::{Value, json};

use crate::harness::{Home, NOW_MS, source};

use super::*;

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
    for (stream, begins) in
        [(stream.as_str(), "<6>serving the page, health and metrics "), ("1:2", "20"), ("nonsense", "20")]
    {
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
