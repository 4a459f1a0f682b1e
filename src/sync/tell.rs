//! What a pass tells of itself.

use std::time::Duration;

use super::error::PassError;
use super::report::SourceReport;
use super::runner::{Runner, Source};
use crate::http::FetchError;
use crate::store::{Counts, RowCounts, RunMode, StoreError};
use crate::telemetry::Subject;
use crate::telemetry::events::{self, PassEnd, Rows};

impl Source {
    /// Whose doing its passes are.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::new(&self.name, self.provider.kind().as_str())
    }
}

/// Counts, in the order in which they are told.
pub(super) fn rows(counts: &Counts) -> Rows {
    let changed = |rows: &RowCounts| [rows.inserted, rows.updated, rows.deleted];
    Rows {
        rows_in: counts.rows_in,
        conversations: changed(&counts.conversations),
        messages: changed(&counts.messages),
        dead: counts.dead,
    }
}

impl Runner {
    /// The span of this run: lines inside say source and run.
    pub(crate) fn span(&self) -> tracing::Span {
        events::run(&self.source.subject(), self.run_id)
    }

    /// Tells how the pass ended. `closed` says whether its run could be closed, `lasting` whether a stream will fail
    /// again until somebody does something about it.
    pub(crate) fn tell_end(
        &self,
        mode: RunMode,
        report: &SourceReport,
        ended_by: Option<&PassError>,
        lasting: bool,
        closed: &Result<(), StoreError>,
    ) {
        let refused = matches!(
            ended_by,
            Some(
                PassError::Store(_) | PassError::Fetch(FetchError::Unauthorized { .. } | FetchError::Redirected { .. })
            )
        );
        let unclosed = closed.as_ref().err().map(ToString::to_string);
        let end = PassEnd {
            mode: mode.as_str(),
            status: if unclosed.is_some() { "failed" } else { report.run_status.as_str() },
            took: Duration::from_millis(u64::try_from(report.duration_ms).unwrap_or(0)),
            requests: report.requests,
            retries: report.retries,
            rows: rows(&self.counted()),
            error: unclosed.as_deref().or(report.error.as_deref()),
            must_act: refused || lasting || unclosed.is_some(),
            watched_over: self.watched_over,
        };
        self.span().in_scope(|| events::pass_ended(&self.source.subject(), &end));
    }
}
