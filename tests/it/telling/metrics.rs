//! Metrics against what the runs say, and pages that speak of them.

use std::sync::Arc;

use chatloom::app::{SyncOptions, sync};
use chatloom::sim::Fault;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::now_ms;

use super::*;

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
