//! The views of a store as files: CSV, JSONL, Parquet, or a page per conversation.
//!
//! One export reads one moment of the store ([`Snapshot`]), row by row, and appears under its name only when it is
//! whole (`folder.rs`). What it is stands in `export.json` (`manifest.rs`).

mod csv;
mod error;
mod folder;
mod html;
mod jsonl;
mod manifest;
mod parquet;
mod table;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use error::ExportError;
pub use manifest::{MadeFile, MadeView, Manifest, Span};

use crate::store::{Cut, Snapshot, VIEWS, View};
use folder::Folder;
use table::Table;

/// The kind of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Csv,
    Jsonl,
    Parquet,
    Html,
}

/// What is to be exported.
#[derive(Debug)]
pub struct Asked {
    pub format: Format,
    /// Names of views; nothing to pages, which are always of conversations.
    pub what: Vec<String>,
    pub cut: Cut,
    /// Whether an earlier export may be replaced.
    pub replace: bool,
    /// Milliseconds since 1970 UTC.
    pub now_ms: i64,
}

/// How far an export is, and whether it is to go on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rows written so far.
    pub rows: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Asks the export to stop. What it made so far goes away.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn row(&self) -> Result<(), ExportError> {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.go_on()
    }

    fn go_on(&self) -> Result<(), ExportError> {
        if self.stop.load(Ordering::Relaxed) { Err(ExportError::Stopped) } else { Ok(()) }
    }
}

/// The views of these names, once each, in the order of the table.
fn views(what: &[String]) -> impl Iterator<Item = &'static View> {
    VIEWS.iter().filter(|view| what.iter().any(|name| name == view.name))
}

/// Refuses a filter that would mean nothing to one of the views, before anything is read.
///
/// # Errors
/// [`ExportError::NoTime`] and [`ExportError::NoSource`].
pub fn fits(asked: &Asked) -> Result<(), ExportError> {
    let ranged = asked.cut.since_ms.is_some() || asked.cut.until_ms.is_some();
    for view in views(&asked.what) {
        if ranged && view.time.is_none() {
            return Err(ExportError::NoTime { view: view.name });
        }
        if !asked.cut.sources.is_empty() && !view.sourced {
            return Err(ExportError::NoSource { view: view.name });
        }
    }
    Ok(())
}

/// Writes an export to `target`, whole or not at all.
///
/// # Errors
/// The store cannot be read, the folder is taken or cannot be written, or it was told to stop. Nothing is left then.
pub fn export(snapshot: &Snapshot, asked: &Asked, target: &Path, progress: &Progress) -> Result<Manifest, ExportError> {
    fits(asked)?;
    snapshot.has_sources(&asked.cut.sources)?;
    let folder = Folder::begin(target, asked.replace)?;
    let mut manifest = Manifest::new(asked, snapshot.schema(), snapshot.timezone()?);
    // An interrupted statement fails with an error of its own: what was asked for is what is told.
    let made = fill(snapshot, asked, &folder, progress, &mut manifest).map_err(|error| match progress.go_on() {
        Err(stopped) => stopped,
        Ok(()) => error,
    });
    if let Err(error) = made.and_then(|()| folder.write_manifest(&manifest)).and_then(|()| progress.go_on()) {
        folder.abandon();
        return Err(error);
    }
    folder.finish()?;
    Ok(manifest)
}

fn fill(
    snapshot: &Snapshot,
    asked: &Asked,
    folder: &Folder,
    progress: &Progress,
    manifest: &mut Manifest,
) -> Result<(), ExportError> {
    if asked.format == Format::Html {
        let made = html::write(snapshot, asked, folder, progress, manifest)?;
        manifest.views.push(made);
        return Ok(());
    }
    for view in views(&asked.what) {
        let mut table: Box<dyn Table + '_> = match asked.format {
            Format::Csv => Box::new(csv::Csv::begin(folder, view)?),
            Format::Jsonl => Box::new(jsonl::Jsonl::begin(folder, view)?),
            _ => Box::new(parquet::Parquet::begin(folder, view, manifest)?),
        };
        let mut rows = 0;
        snapshot.rows(view, &asked.cut, |part, cells| {
            progress.row()?;
            rows += 1;
            table.row(part, cells)
        })?;
        let files = table.finish()?;
        let without_time = snapshot.without_time(view, &asked.cut)?;
        manifest.views.push(MadeView {
            name: view.name,
            view: view.view,
            rows,
            left_out_without_time: without_time,
            range_is_of: view.time,
            parted_by: if asked.format == Format::Parquet && view.parted { &["source", "month"] } else { &[] },
            columns: view.columns,
            files,
        });
    }
    Ok(())
}
