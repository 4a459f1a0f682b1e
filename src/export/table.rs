//! What the formats of tables have in common.

use super::ExportError;
use super::manifest::MadeFile;
use crate::store::{Cell, Part};

/// A view on its way into files.
pub(super) trait Table {
    /// Takes a row. Rows of one part come one after the other.
    fn row(&mut self, part: &Part, cells: &[Cell<'_>]) -> Result<(), ExportError>;

    /// Writes what is left, and says what was made.
    fn finish(self: Box<Self>) -> Result<Vec<MadeFile>, ExportError>;
}
