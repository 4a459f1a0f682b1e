//! How a pass ended, as `sync --json` prints it.

use serde::Serialize;

use super::runner::Runner;
use crate::store::{Counts, RowCounts, RunStatus};

/// One source's part of the document of `sync --json`.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    pub name: String,
    pub provider: &'static str,
    /// `ok`, `partial` or `failed`.
    pub status: &'static str,
    pub requests: u64,
    pub retries: u64,
    pub conversations: RowCounts,
    pub messages: RowCounts,
    pub dead_letters: u64,
    pub duration_ms: i64,
    pub error: Option<String>,
    /// Conversations that could not be read in this run.
    #[serde(skip)]
    pub conversations_failed: u64,
    /// The status as the run's record keeps it: it also knows `interrupted`.
    #[serde(skip)]
    pub run_status: RunStatus,
    /// The run's id in the store.
    #[serde(skip)]
    pub run: Option<i64>,
    /// The first stream that could not be read.
    #[serde(skip)]
    pub stream: Option<String>,
    /// The provider refused the key: asking again is no use until it changes.
    #[serde(skip)]
    pub key_refused: bool,
}

impl SourceReport {
    pub(super) fn new(
        runner: &Runner,
        run_status: RunStatus,
        counts: Counts,
        conversations_failed: u64,
        error: Option<String>,
        now_ms: i64,
    ) -> Self {
        let usage = runner.usage();
        Self {
            name: runner.source.name.clone(),
            provider: runner.source.provider.kind().as_str(),
            status: match run_status {
                RunStatus::Ok => "ok",
                RunStatus::Partial => "partial",
                RunStatus::Failed | RunStatus::Interrupted => "failed",
            },
            requests: usage.requests,
            retries: usage.retries,
            conversations: counts.conversations,
            messages: counts.messages,
            dead_letters: counts.dead,
            duration_ms: now_ms.saturating_sub(runner.started_ms).max(0),
            error,
            conversations_failed,
            run_status,
            run: Some(runner.run_id),
            stream: None,
            key_refused: false,
        }
    }

    /// The report of a source that could not even begin.
    #[must_use]
    pub fn not_begun(name: &str, provider: &'static str, error: String) -> Self {
        Self {
            name: name.to_owned(),
            provider,
            status: "failed",
            requests: 0,
            retries: 0,
            conversations: RowCounts::default(),
            messages: RowCounts::default(),
            dead_letters: 0,
            duration_ms: 0,
            error: Some(error),
            conversations_failed: 0,
            run_status: RunStatus::Failed,
            run: None,
            stream: None,
            key_refused: false,
        }
    }
}
