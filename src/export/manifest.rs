//! What an export is: `export.json`, and the same in Parquet files and at the foot of pages.

use serde::Serialize;

use super::{Asked, Format};
use crate::store::Column;

/// The manifest of an export.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    pub format: Format,
    /// The version of chatloom that made it.
    pub chatloom: &'static str,
    /// The version of the store's schema.
    pub schema: i64,
    pub exported_at: String,
    /// What `_at` columns are in.
    pub times: &'static str,
    /// The zone in which hours and weekdays are counted, and pages show times.
    pub reporting_timezone: String,
    pub filter: Span,
    pub views: Vec<MadeView>,
}

/// What was asked for. Bounds are moments in UTC.
#[derive(Debug, Clone, Serialize)]
pub struct Span {
    /// Inclusive.
    pub since: Option<String>,
    /// Exclusive.
    pub until: Option<String>,
    /// Empty: all.
    pub sources: Vec<String>,
}

/// A view in an export.
#[derive(Debug, Clone, Serialize)]
pub struct MadeView {
    pub name: &'static str,
    pub view: &'static str,
    pub rows: u64,
    /// Rows that the range left out because nobody knows their time.
    pub left_out_without_time: i64,
    pub range_is_of: Option<&'static str>,
    pub parted_by: &'static [&'static str],
    pub columns: &'static [Column],
    pub files: Vec<MadeFile>,
}

/// A file of an export.
#[derive(Debug, Clone, Serialize)]
pub struct MadeFile {
    /// Relative to the export's folder.
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
}

impl Manifest {
    pub(super) fn new(asked: &Asked, schema: i64, reporting_timezone: String) -> Self {
        Self {
            format: asked.format,
            chatloom: env!("CARGO_PKG_VERSION"),
            schema,
            exported_at: moment(asked.now_ms),
            times: "UTC",
            reporting_timezone,
            filter: Span {
                since: asked.cut.since_ms.map(moment),
                until: asked.cut.until_ms.map(moment),
                sources: asked.cut.sources.clone(),
            },
            views: Vec::new(),
        }
    }

    /// The same in a sentence.
    pub(super) fn sentence(&self) -> String {
        let Span { since, until, sources } = &self.filter;
        let range = match (since, until) {
            (None, None) => "all time".to_owned(),
            (Some(since), None) => format!("from {since} on"),
            (None, Some(until)) => format!("before {until}"),
            (Some(since), Some(until)) => format!("from {since} on and before {until}"),
        };
        let sources =
            if sources.is_empty() { "all sources".to_owned() } else { format!("sources {}", sources.join(", ")) };
        format!(
            "chatloom {} (schema {}), exported at {}; times in {}; {range}, {sources}.",
            self.chatloom, self.schema, self.exported_at, self.reporting_timezone
        )
    }

    /// The same as keys and values, for files that can carry them.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let filter = serde_json::to_string(&self.filter).unwrap_or_default();
        [
            ("version", self.chatloom.to_owned()),
            ("schema", self.schema.to_string()),
            ("exported_at", self.exported_at.clone()),
            ("times", self.times.to_owned()),
            ("reporting_timezone", self.reporting_timezone.clone()),
            ("filter", filter),
        ]
        .into_iter()
        .map(|(name, value)| (format!("chatloom.{name}"), value))
        .collect()
    }
}

fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.3}"))
}
