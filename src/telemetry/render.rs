//! The text that Prometheus reads: the meters of this process, and how the store stands.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::meters::METERS;
use super::{Labels, Subject};

/// What the text is, for the `Content-Type` header.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How the store stands at the moment of asking. Nothing of it is kept, so that a source which is no longer there
/// leaves no line behind.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// When this process began, in milliseconds since 1970 UTC.
    pub started_ms: i64,
    /// Whether the store could be read. Where it could not, nothing below is told.
    pub store_open: bool,
    pub store_bytes: u64,
    pub wal_bytes: u64,
    pub sources: Vec<SourceStanding>,
    /// Sources that the store holds and nobody reads any more, for want of a configuration. No metric tells of them.
    pub others: Vec<SourceStanding>,
}

/// One source's part of it.
#[derive(Debug, Clone)]
pub struct SourceStanding {
    pub subject: Subject,
    /// Whether it is read at all.
    pub enabled: bool,
    /// When the last pass ended that read everything.
    pub last_success_ms: Option<i64>,
    /// How old that is; for a source that was never read whole, how long this process has waited for it.
    pub lag_ms: i64,
    /// The lag from which on the source counts as stale.
    pub limit_ms: i64,
    pub stale: bool,
    /// Whether the last pass left something unread.
    pub failing: bool,
    pub incomplete: u64,
    /// Conversations that wait to be fetched.
    pub waiting: u64,
    pub dead_letters: u64,
}

type Gauges = Family<Labels, Gauge>;
type Exact = Family<Labels, Gauge<f64, AtomicU64>>;

/// Renders everything as OpenMetrics text.
#[must_use]
pub fn render(standing: &Standing) -> String {
    let mut text = String::new();
    let told = encode_registry(&mut text, &METERS.registry)
        .and_then(|()| encode_registry(&mut text, &gauges(standing)))
        .and_then(|()| encode_eof(&mut text));
    // Writing into memory does not fail; if it did, half a text would be worse than none.
    if told.is_ok() { text } else { "# EOF\n".to_owned() }
}

fn gauges(standing: &Standing) -> Registry {
    let mut registry = Registry::with_prefix("chatloom");
    // A gauge and not OpenMetrics' `info`, which older readers of the format refuse.
    let build = Gauges::default();
    build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").into())]).set(1);
    registry.register("build_info", "The version that runs; always 1", build);
    let started = Gauge::<f64, AtomicU64>::default();
    started.set(seconds(standing.started_ms));
    registry.register_with_unit("process_start_time", "When this process began", Unit::Seconds, started);
    let open = Gauge::<i64>::default();
    open.set(i64::from(standing.store_open));
    registry.register("store_open", "Whether the store can be read (1) or not (0)", open);
    if !standing.store_open {
        return registry;
    }
    for (name, help, bytes) in [
        ("store_size", "Size of the SQLite file", standing.store_bytes),
        ("store_wal_size", "Size of the write-ahead log beside it", standing.wal_bytes),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(whole(bytes));
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    }
    counts(&mut registry, &standing.sources);
    times(&mut registry, &standing.sources);
    registry
}

fn counts(registry: &mut Registry, sources: &[SourceStanding]) {
    type Read = fn(&SourceStanding) -> i64;
    let all: [(&str, &str, Read); 6] = [
        ("source_enabled", "Whether the source is read (1) or not (0)", |source| i64::from(source.enabled)),
        ("source_stale", "Whether the source is read and its lag is beyond its limit (1)", |source| {
            i64::from(source.stale)
        }),
        ("source_failing", "Whether the last pass over the source left something unread (1)", |source| {
            i64::from(source.failing)
        }),
        ("conversations_incomplete", "Conversations that miss messages, or may", |source| whole(source.incomplete)),
        ("conversations_waiting", "Conversations whose messages wait to be fetched", |source| whole(source.waiting)),
        ("dead_letters_open", "Dead letters that are not settled", |source| whole(source.dead_letters)),
    ];
    for (name, help, read) in all {
        let gauges = Gauges::default();
        for source in sources {
            gauges.get_or_create(&source.subject.labels()).set(read(source));
        }
        registry.register(name, help, gauges);
    }
}

fn times(registry: &mut Registry, sources: &[SourceStanding]) {
    type Read = fn(&SourceStanding) -> Option<i64>;
    let all: [(&str, &str, Read); 3] = [
        (
            "source_last_success_timestamp",
            "When the last pass ended that read the source whole, since 1970 UTC",
            |source| source.last_success_ms,
        ),
        ("source_lag", "Time since then; for a source that was never read whole, since this process began", |source| {
            source.enabled.then_some(source.lag_ms)
        }),
        ("source_lag_limit", "The lag from which on the source counts as stale", |source| {
            source.enabled.then_some(source.limit_ms)
        }),
    ];
    for (name, help, read) in all {
        let gauges = Exact::default();
        for source in sources {
            if let Some(value_ms) = read(source) {
                gauges.get_or_create(&source.subject.labels()).set(seconds(value_ms));
            }
        }
        registry.register_with_unit(name, help, Unit::Seconds, gauges);
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Milliseconds as seconds. Exact for every moment of the next thousands of years.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into the 53 bits that a float keeps")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
