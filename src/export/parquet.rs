//! Parquet with types, in folders by source and month (as Hive lays them out).
//!
//! Rows of one part come together, so one file is open at a time. What is held is one row group, bounded by rows and
//! by bytes: a message of 50 MB is a group of its own.

mod group;

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::types::{ColumnPath, TypePtr};

use super::ExportError;
use super::folder::Folder;
use super::manifest::{MadeFile, Manifest};
use super::table::Table;
use crate::store::{Cell, Column, Kind, Part, View};
use group::Group;

/// The month of rows without a time, in the name of a folder. Hive's own word for NULL would do, but for Arrow, which
/// refuses to read where no folder has another one.
const NO_MONTH: &str = "unknown";
/// The source in the path of a file that only shows what rows would look like.
const NO_SOURCE: &str = "none";

/// A view as Parquet files.
pub(super) struct Parquet<'f> {
    folder: &'f Folder,
    view: &'static View,
    schema: TypePtr,
    properties: Arc<WriterProperties>,
    /// Which of the view's columns stand in the files: where the path says the source, it stands in no column.
    kept: Vec<bool>,
    group: Group,
    open: Option<Open>,
    made: Vec<MadeFile>,
}

struct Open {
    part: Part,
    path: String,
    writer: SerializedFileWriter<BufWriter<File>>,
    rows: u64,
}

impl<'f> Parquet<'f> {
    pub(super) fn begin(folder: &'f Folder, view: &'static View, manifest: &Manifest) -> Result<Self, ExportError> {
        let kept: Vec<bool> = view.columns.iter().map(|column| !(view.parted && column.name == "source")).collect();
        let columns: Vec<&Column> = view.columns.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(c, _)| c).collect();
        let failed =
            |error: &ParquetError| ExportError::Unwritable { path: PathBuf::from(view.name), cause: error.to_string() };
        let schema = Arc::new(parse_message_type(&message(&columns)).map_err(|error| failed(&error))?);
        let mut pairs: Vec<KeyValue> =
            manifest.pairs().into_iter().map(|(name, value)| KeyValue::new(name, value)).collect();
        pairs.push(KeyValue::new("chatloom.view".to_owned(), view.view.to_owned()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("chatloom {}", manifest.chatloom))
            .set_key_value_metadata(Some(pairs))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_data_page_size_limit(256 * 1024)
            .set_dictionary_page_size_limit(256 * 1024)
            // Texts repeat too seldom for looking each of them up.
            .set_column_dictionary_enabled(ColumnPath::from("body_text"), false)
            .set_column_statistics_enabled(ColumnPath::from("body_text"), EnabledStatistics::None)
            .build();
        let group = Group::of(columns.iter().map(|column| column.kind));
        Ok(Self { folder, view, schema, properties: Arc::new(properties), kept, group, open: None, made: Vec::new() })
    }

    fn file(&mut self, part: &Part) -> Result<(), ExportError> {
        let path = if self.view.parted {
            let source = part.source.as_deref().unwrap_or(NO_SOURCE);
            let month = part.month.as_deref().unwrap_or(NO_MONTH);
            format!("{}/source={source}/month={month}/part-0000.parquet", self.view.name)
        } else {
            format!("{}.parquet", self.view.name)
        };
        let file = self.folder.create(&path)?;
        let writer = SerializedFileWriter::new(file, Arc::clone(&self.schema), Arc::clone(&self.properties))
            .map_err(unwritten(self.folder.path(&path)))?;
        self.open = Some(Open { part: part.clone(), path, writer, rows: 0 });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        self.group.write(&mut open.writer).map_err(unwritten(self.folder.path(&open.path)))
    }

    fn close(&mut self) -> Result<(), ExportError> {
        self.flush()?;
        let Some(Open { path, writer, rows, .. }) = self.open.take() else { return Ok(()) };
        let file = writer.into_inner().map_err(unwritten(self.folder.path(&path)))?;
        let bytes = self.folder.close(&path, file)?;
        self.made.push(MadeFile { path, rows, bytes });
        Ok(())
    }
}

impl Table for Parquet<'_> {
    fn row(&mut self, part: &Part, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        let stays = self.open.as_ref().is_some_and(|open| !self.view.parted || open.part == *part);
        if !stays {
            self.close()?;
            self.file(part)?;
        }
        if let Some(open) = &mut self.open {
            open.rows += 1;
        }
        let kept = cells.iter().zip(&self.kept).filter(|(_, kept)| **kept).map(|(cell, _)| cell);
        if self.group.add(kept) { self.flush() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<MadeFile>, ExportError> {
        self.close()?;
        if self.made.is_empty() {
            // Nothing to tell, but what it would look like.
            self.file(&Part { source: None, month: None })?;
            self.close()?;
        }
        Ok(self.made)
    }
}

/// The schema of a view, in Parquet's own words.
fn message(columns: &[&Column]) -> String {
    let fields: Vec<String> = columns
        .iter()
        .map(|Column { name, kind }| match kind {
            Kind::Text => format!("OPTIONAL BINARY {name} (STRING);"),
            Kind::Integer => format!("OPTIONAL INT64 {name};"),
            Kind::Seconds => format!("OPTIONAL DOUBLE {name};"),
            Kind::Flag => format!("OPTIONAL BOOLEAN {name};"),
            Kind::Time => format!("OPTIONAL INT64 {name} (TIMESTAMP(MILLIS,true));"),
            Kind::Day => format!("OPTIONAL INT32 {name} (DATE);"),
        })
        .collect();
    format!("message row {{ {} }}", fields.join(" "))
}

/// Names the file that could not be written; a full disk comes in a wrapping of the library's.
fn unwritten(path: PathBuf) -> impl FnOnce(ParquetError) -> ExportError {
    move |error| match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(error) => ExportError::at(&path)(*error),
            Err(cause) => ExportError::Unwritable { path, cause: cause.to_string() },
        },
        error => ExportError::Unwritable { path, cause: error.to_string() },
    }
}
