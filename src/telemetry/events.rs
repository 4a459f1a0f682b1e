//! What can happen. Every function writes the line and moves the meter of one event, and gives the line the event's
//! name in the field `event`.
//!
//! Levels say what an operator has to do: `error` somebody must act; `warn` look when convenient; `info` a state
//! changed; `debug` every request, page and transaction; `trace` nothing of ours.
//! Names of fields are dotted and carry their unit; `source`, `stream`, `run` and `item` say whose line it is. The run
//! and the source usually come from the span around the event ([`run`]).

use std::time::Duration;

use tracing::Span;

use super::Subject;
use super::meters::{CHANGES, KINDS, METERS};

/// How a request ended, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The provider answered with this status.
    Status(u16),
    /// No whole answer came in time.
    Timeout,
    /// No connection could be made.
    Connect,
    /// The connection broke, or what came was no HTTP.
    Broken,
}

impl Class {
    fn label(self) -> &'static str {
        match self {
            Self::Status(401) => "401",
            Self::Status(429) => "429",
            Self::Status(200..=299) => "2xx",
            Self::Status(300..=399) => "3xx",
            Self::Status(400..=499) => "4xx",
            // What a provider invents beyond 599 is no success.
            Self::Status(500..) => "5xx",
            Self::Status(_) | Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
        }
    }
}

/// One request as it was made.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Path without query.
    pub endpoint: &'a str,
    pub class: Class,
    /// The how-manieth try of one question, from 1.
    pub tries: u32,
    /// Redirects followed before it in this try.
    pub hops: u32,
    pub took: Duration,
}

/// A request that will be made again.
#[derive(Debug, Clone, Copy)]
pub struct Retry<'a> {
    pub endpoint: &'a str,
    /// Set when the provider refused, and not the network failed.
    pub status: Option<u16>,
    pub tries: u32,
    pub wait: Duration,
    /// What the network did.
    pub trouble: Option<&'a str>,
    /// The first refusal since the provider last answered: worth a warning.
    pub first: bool,
}

/// What a batch or a replay did to a source's rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rows {
    pub rows_in: u64,
    /// Inserted, updated, deleted.
    pub conversations: [u64; 3],
    pub messages: [u64; 3],
    pub dead: u64,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy)]
pub struct PassEnd<'a> {
    pub mode: &'static str,
    /// `ok`, `partial`, `failed` or `interrupted`.
    pub status: &'static str,
    pub took: Duration,
    pub requests: u64,
    pub retries: u64,
    pub rows: Rows,
    pub error: Option<&'a str>,
    /// It will fail again until somebody does something: a refused key, a store that cannot be written.
    pub must_act: bool,
    /// Whoever runs the passes tells when a source begins to fail, stops, or recovers: no line for every failure.
    pub watched_over: bool,
}

/// What became of the fetch of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    Read,
    Gone,
    Failed,
}

/// A client for a source was made: its counters begin to exist.
pub fn source_known(subject: &Subject) {
    if !subject.source.is_empty() {
        METERS.begin(subject);
    }
}

/// The span of a run: every line inside says source and run. It is there at every level.
#[must_use]
pub fn run(subject: &Subject, run: i64) -> Span {
    tracing::error_span!("run", source = &*subject.source, run)
}

/// A request was made.
pub fn request_made(subject: &Subject, request: &Request<'_>) {
    let Request { endpoint, class, tries, hops, took } = *request;
    METERS.requests.get_or_create(&subject.labels_and([("class", class.label())])).inc();
    if tries > 1 && hops == 0 {
        METERS.retries.get_or_create(&subject.labels()).inc();
    }
    let status = if let Class::Status(status) = class { Some(status) } else { None };
    tracing::debug!(
        source = &*subject.source,
        event = "request_made",
        http.endpoint = endpoint,
        http.class = class.label(),
        http.status = status,
        http.tries = tries,
        http.hops = hops,
        http.duration_ms = millis(took),
        "request made"
    );
}

/// A request will be made again.
pub fn request_retried(subject: &Subject, retry: &Retry<'_>) {
    let Retry { endpoint, status, tries, wait, trouble, first } = *retry;
    let source = &*subject.source;
    if first && status.is_some() {
        tracing::warn!(
            source,
            event = "request_retried",
            http.endpoint = endpoint,
            http.status = status,
            http.tries = tries,
            wait.duration_ms = millis(wait),
            "the provider refused for now, trying again"
        );
    } else {
        tracing::debug!(
            source,
            event = "request_retried",
            http.endpoint = endpoint,
            http.status = status,
            http.tries = tries,
            wait.duration_ms = millis(wait),
            http.trouble = trouble,
            "trying again"
        );
    }
}

/// The provider wants a longer pause than a pass waits for.
pub fn put_off(subject: &Subject, endpoint: &str, status: Option<u16>, wait: Duration) {
    tracing::warn!(
        source = &*subject.source,
        event = "put_off",
        http.endpoint = endpoint,
        http.status = status,
        wait.duration_ms = millis(wait),
        "put off for a later run"
    );
}

/// Time was spent waiting because the provider asked for it.
pub fn throttled(subject: &Subject, waited: Duration) {
    if !waited.is_zero() {
        METERS.throttled.get_or_create(&subject.labels()).inc_by(waited.as_secs_f64());
    }
}

/// A batch was stored, or stored records were normalised again.
pub fn rows_stored(subject: &Subject, rows: &Rows) {
    METERS.rows_in.get_or_create(&subject.labels()).inc_by(rows.rows_in);
    for (kind, counts) in KINDS.into_iter().zip([rows.conversations, rows.messages]) {
        for (change, count) in CHANGES.into_iter().zip(counts) {
            METERS.rows_changed.get_or_create(&subject.labels_and([("kind", kind), ("change", change)])).inc_by(count);
        }
    }
    METERS.dead_letters.get_or_create(&subject.labels()).inc_by(rows.dead);
}

/// A transaction with this many batches and records ended well.
pub fn committed(batches: usize, records: usize, took: Duration) {
    METERS.commit_seconds.observe(took.as_secs_f64());
    tracing::debug!(
        event = "committed",
        store.batches = batches,
        store.records = records,
        store.duration_ms = millis(took),
        "stored"
    );
}

/// A batch could not be stored. The line is written by the pass, which ends with it.
pub fn commit_failed() {
    METERS.commits_failed.inc();
}

/// The full-text index failed; messages are stored without it.
pub fn search_index_behind(error: &dyn std::fmt::Display) {
    tracing::warn!(
        event = "search_index_behind",
        %error,
        "the full-text index is damaged and was left behind; `chatloom search rebuild` makes it anew"
    );
}

/// The full-text index was built from what is stored.
pub fn search_index_built(messages: u64) {
    tracing::info!(event = "search_index_built", messages, "the full-text index was built");
}

/// A pass ended. Idle ones are no news: they are told at `debug`.
pub fn pass_ended(subject: &Subject, end: &PassEnd<'_>) {
    METERS.passes.get_or_create(&subject.labels_and([("mode", end.mode), ("status", end.status)])).inc();
    METERS.pass_seconds.get_or_create(&subject.labels_and([("mode", end.mode)])).observe(end.took.as_secs_f64());
    let total = |at: usize| {
        end.rows.conversations.get(at).copied().unwrap_or(0) + end.rows.messages.get(at).copied().unwrap_or(0)
    };
    let (inserted, updated, deleted) = (total(0), total(1), total(2));
    macro_rules! tell {
        ($level:ident, $message:literal) => {
            tracing::$level!(
                source = &*subject.source,
                event = "pass_ended",
                pass.mode = end.mode,
                pass.status = end.status,
                pass.duration_ms = millis(end.took),
                http.requests = end.requests,
                http.retries = end.retries,
                rows.in = end.rows.rows_in,
                rows.inserted = inserted,
                rows.updated = updated,
                rows.deleted = deleted,
                rows.dead = end.rows.dead,
                error = end.error,
                $message
            )
        };
    }
    match end.status {
        "ok" if inserted + updated + deleted == 0 => tell!(debug, "read to the end, nothing new"),
        "ok" => tell!(info, "read to the end"),
        "partial" | "failed" if end.watched_over => tell!(debug, "not everything could be read"),
        "interrupted" => tell!(info, "stopped on the way; what was read is stored"),
        _ if end.must_act => tell!(error, "the source cannot be read until somebody acts"),
        "partial" => tell!(warn, "not everything could be read"),
        _ => tell!(warn, "the source could not be read; the next pass tries again"),
    }
}

/// A stream could not be read in this pass. `again`: nor in the one before, which was told.
pub fn stream_failed(subject: &Subject, stream: &str, error: &dyn std::fmt::Display, again: bool) {
    METERS.streams_failed.get_or_create(&subject.labels()).inc();
    if again {
        tracing::debug!(source = &*subject.source, stream, event = "stream_failed", %error, "still not read");
        return;
    }
    tracing::warn!(source = &*subject.source, stream, event = "stream_failed", %error, "a stream could not be read");
}

/// A conversation was fetched, or not; what there is to say of it is for the caller to say.
pub fn conversation_fetched(subject: &Subject, fetch: Fetch) {
    let outcome = match fetch {
        Fetch::Read => "read",
        Fetch::Gone => "gone",
        Fetch::Failed => "failed",
    };
    METERS.fetches.get_or_create(&subject.labels_and([("outcome", outcome)])).inc();
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{Standing, render};
    use super::*;

    fn value(text: &str, line: &str) -> Option<f64> {
        text.lines().find_map(|told| told.strip_prefix(line)?.trim().parse().ok())
    }

    #[test]
    fn events_move_their_meters() {
        let subject = Subject::new("events-test", "zaia");
        source_known(&subject);
        let labels = r#"{source="events-test",provider="zaia""#;
        let text = render(&Standing::default());
        assert_eq!(value(&text, &format!(r#"chatloom_requests_total{labels},class="429"}}"#)), Some(0.0), "{text}");
        for (class, tries) in
            [(Class::Status(200), 1), (Class::Status(429), 1), (Class::Timeout, 2), (Class::Status(999), 3)]
        {
            request_made(
                &subject,
                &Request { endpoint: "api/v1/chats", class, tries, hops: 0, took: Duration::from_millis(3) },
            );
        }
        throttled(&subject, Duration::from_millis(1_500));
        rows_stored(&subject, &Rows { rows_in: 7, conversations: [1, 0, 0], messages: [4, 2, 1], dead: 1 });
        let end = PassEnd {
            mode: "incremental",
            status: "ok",
            took: Duration::from_secs(2),
            requests: 4,
            retries: 2,
            rows: Rows::default(),
            error: None,
            must_act: false,
            watched_over: false,
        };
        pass_ended(&subject, &end);
        conversation_fetched(&subject, Fetch::Gone);
        let text = render(&Standing::default());
        for (line, expected) in [
            (format!(r#"chatloom_requests_total{labels},class="2xx"}}"#), 1.0),
            (format!(r#"chatloom_requests_total{labels},class="429"}}"#), 1.0),
            (format!(r#"chatloom_requests_total{labels},class="timeout"}}"#), 1.0),
            (format!(r#"chatloom_requests_total{labels},class="5xx"}}"#), 1.0),
            (format!("chatloom_retries_total{labels}}}"), 2.0),
            (format!("chatloom_throttled_seconds_total{labels}}}"), 1.5),
            (format!("chatloom_rows_in_total{labels}}}"), 7.0),
            (format!(r#"chatloom_rows_changed_total{labels},kind="messages",change="updated"}}"#), 2.0),
            (format!("chatloom_dead_letters_total{labels}}}"), 1.0),
            (format!(r#"chatloom_passes_total{labels},mode="incremental",status="ok"}}"#), 1.0),
            (format!(r#"chatloom_pass_duration_seconds_sum{labels},mode="incremental"}}"#), 2.0),
            (format!(r#"chatloom_conversation_fetches_total{labels},outcome="gone"}}"#), 1.0),
        ] {
            assert_eq!(value(&text, &line), Some(expected), "{line}\n{text}");
        }
        assert!(
            text.contains(&format!("chatloom_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))),
            "{text}"
        );
        assert!(text.contains("chatloom_store_open 0\n") && text.ends_with("# EOF\n"), "{text}");
    }
}
