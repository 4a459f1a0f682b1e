//! Progress of long work: a bar per source on a terminal, one line per source and interval elsewhere.

use std::sync::Arc;

use crate::sync::Progress;

/// Shows the progress of passes until it is finished.
#[derive(Default)]
pub(super) struct Display {}

impl Display {
    /// Begins to show these sources.
    pub(super) fn watch(&self, _sources: Vec<Arc<Progress>>) {}

    /// Takes the bars away.
    pub(super) async fn finish(&self) {}
}
