//! JSON, an object a line: null as null, numbers as numbers, flags as `true` and `false`.
//!
//! What could steer a terminal is written as `\uXXXX`, which reads back as what it was.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::ExportError;
use super::folder::Folder;
use super::manifest::MadeFile;
use super::table::Table;
use crate::store::{Cell, Kind, Part, View};
use crate::telemetry::tame_json;

/// A view as one JSONL file.
pub(super) struct Jsonl<'f> {
    folder: &'f Folder,
    path: String,
    file: BufWriter<File>,
    view: &'static View,
    rows: u64,
}

impl<'f> Jsonl<'f> {
    pub(super) fn begin(folder: &'f Folder, view: &'static View) -> Result<Self, ExportError> {
        let path = format!("{}.jsonl", view.name);
        let file = folder.create(&path)?;
        Ok(Self { folder, path, file, view, rows: 0 })
    }
}

impl Table for Jsonl<'_> {
    fn row(&mut self, _: &Part, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        self.rows += 1;
        line(&mut self.file, self.view, cells).map_err(ExportError::at(&self.folder.path(&self.path)))
    }

    fn finish(self: Box<Self>) -> Result<Vec<MadeFile>, ExportError> {
        let bytes = self.folder.close(&self.path, self.file)?;
        Ok(vec![MadeFile { path: self.path, rows: self.rows, bytes }])
    }
}

fn line(out: &mut impl Write, view: &View, cells: &[Cell<'_>]) -> std::io::Result<()> {
    for (at, (cell, column)) in cells.iter().zip(view.columns).enumerate() {
        write!(out, "{}\"{}\":", if at == 0 { '{' } else { ',' }, column.name)?;
        match (cell, column.kind) {
            (Cell::Null, _) => out.write_all(b"null")?,
            (Cell::Integer(number), Kind::Flag) => out.write_all(if *number == 0 { b"false" } else { b"true" })?,
            (Cell::Integer(number), _) => write!(out, "{number}")?,
            (Cell::Real(number), _) => serde_json::to_writer(&mut *out, number)?,
            (Cell::Text(text), _) => out.write_all(tame_json(&serde_json::to_string(text)?).as_bytes())?,
        }
    }
    out.write_all(b"}\n")
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::store::Column;

    const VIEW: &View = &View::of_columns(&[
        Column { name: "a", kind: Kind::Text },
        Column { name: "n", kind: Kind::Integer },
        Column { name: "s", kind: Kind::Seconds },
        Column { name: "f", kind: Kind::Flag },
    ]);

    proptest! {
        #[test]
        fn any_text_comes_back_in_one_line(a in any::<String>(), n in any::<i64>(), s in -1e9..1e9_f64) {
            let mut out = Vec::new();
            let cells = [Cell::Text(Cow::Borrowed(a.as_str())), Cell::Integer(n), Cell::Real(s), Cell::Null];
            line(&mut out, VIEW, &cells).unwrap();
            let told = String::from_utf8(out).unwrap();
            prop_assert_eq!(told.matches('\n').count(), 1);
            prop_assert!(!told.trim_end().contains(crate::telemetry::is_wild));
            let read: serde_json::Value = serde_json::from_str(&told).unwrap();
            prop_assert_eq!(read["a"].as_str(), Some(a.as_str()));
            prop_assert_eq!(read["n"].as_i64(), Some(n));
            // serde_json reads fractions to the last digit but one; what was written is exact.
            let seconds = told.rsplit("\"s\":").next().and_then(|rest| rest.split(',').next()).unwrap();
            prop_assert_eq!(seconds.parse::<f64>().unwrap(), s);
            prop_assert!(read["f"].is_null());
        }
    }
}
