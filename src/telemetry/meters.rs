//! The meters of this process. They always run: in a command that nobody scrapes they are a few idle numbers.

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Labels, Subject};

type Count = Family<Labels, Counter>;
type Seconds = Counter<f64, AtomicU64>;

/// How requests can end: the values of the label `class`.
pub(super) const CLASSES: [&str; 9] = ["2xx", "3xx", "401", "429", "4xx", "5xx", "timeout", "connect", "broken"];

/// What becomes of rows: the values of the labels `kind` and `change`.
pub(super) const KINDS: [&str; 2] = ["conversations", "messages"];
pub(super) const CHANGES: [&str; 3] = ["inserted", "updated", "deleted"];

/// How the daemon finds a source: the values of the label `state`.
pub(super) const STATES: [&str; 4] = ["well", "partly", "failing", "stopped"];

/// From an idle pass to a first one that takes hours.
const PASS_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0];

/// From a page on a fast disk to a transaction that waited for another program.
const COMMIT_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

pub(super) struct Meters {
    pub(super) registry: Registry,
    pub(super) requests: Count,
    pub(super) retries: Count,
    pub(super) throttled: Family<Labels, Seconds>,
    pub(super) rows_in: Count,
    pub(super) rows_changed: Count,
    pub(super) dead_letters: Count,
    pub(super) passes: Count,
    pub(super) pass_seconds: Family<Labels, Histogram>,
    pub(super) fetches: Count,
    pub(super) streams_failed: Count,
    pub(super) states: Family<Labels, Gauge>,
    pub(super) commit_seconds: Histogram,
    pub(super) commits_failed: Counter,
}

pub(super) static METERS: LazyLock<Meters> = LazyLock::new(Meters::new);

impl Meters {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("chatloom");
        let mut count = |name: &str, help: &str| {
            let family = Count::default();
            registry.register(name, help, family.clone());
            family
        };
        let requests = count("requests", "Requests sent to the provider, retries included, by how they ended");
        let retries = count("retries", "Requests that repeated one that had failed");
        let rows_in = count("rows_in", "Records read from the provider and handed to the store");
        let rows_changed = count("rows_changed", "Rows that the store inserted, updated or marked as deleted");
        let dead_letters = count("dead_letters", "Records that made no row and were put to the dead letters");
        let passes = count("passes", "Passes over a source, by mode and by how they ended");
        let fetches = count("conversation_fetches", "Conversations fetched, by outcome");
        let streams_failed = count("stream_failures", "Streams that a pass could not read");
        let throttled = Family::<Labels, Seconds>::default();
        let help = "Time spent waiting because the provider asked for it; streams that wait side by side count once";
        registry.register_with_unit("throttled", help, Unit::Seconds, throttled.clone());
        let pass_seconds = Family::new_with_constructor((|| Histogram::new(PASS_SECONDS)) as fn() -> Histogram);
        registry.register_with_unit("pass_duration", "How long passes took", Unit::Seconds, pass_seconds.clone());
        let states = Family::<Labels, Gauge>::default();
        registry.register("source_state", "1 for the state that the daemon finds the source in", states.clone());
        let commit_seconds = Histogram::new(COMMIT_SECONDS);
        let help = "How long transactions of the store took, folded batches together";
        registry.register_with_unit("commit_duration", help, Unit::Seconds, commit_seconds.clone());
        let commits_failed = Counter::default();
        registry.register("commit_failures", "Batches that the store could not keep", commits_failed.clone());
        Self {
            registry,
            requests,
            retries,
            throttled,
            rows_in,
            rows_changed,
            dead_letters,
            passes,
            pass_seconds,
            fetches,
            streams_failed,
            states,
            commit_seconds,
            commits_failed,
        }
    }

    /// Brings a source's counters into being, so that their first step can be seen as one.
    pub(super) fn begin(&self, subject: &Subject) {
        for class in CLASSES {
            drop(self.requests.get_or_create(&subject.labels_and([("class", class)])));
        }
        for kind in KINDS {
            for change in CHANGES {
                drop(self.rows_changed.get_or_create(&subject.labels_and([("kind", kind), ("change", change)])));
            }
        }
        for counters in [&self.retries, &self.rows_in, &self.dead_letters, &self.streams_failed] {
            drop(counters.get_or_create(&subject.labels()));
        }
        for outcome in ["read", "gone", "failed"] {
            drop(self.fetches.get_or_create(&subject.labels_and([("outcome", outcome)])));
        }
        drop(self.throttled.get_or_create(&subject.labels()));
    }
}
