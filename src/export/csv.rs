//! CSV as RFC 4180 has it: a header, UTF-8, lines that end in CR LF.
//!
//! NULL is an empty field and an empty text is `""`; no library of ours tells the two apart, and the format is this small.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::ExportError;
use super::folder::Folder;
use super::manifest::MadeFile;
use super::table::Table;
use crate::store::{Cell, Kind, Part, View};

/// A view as one CSV file.
pub(super) struct Csv<'f> {
    folder: &'f Folder,
    path: String,
    file: BufWriter<File>,
    view: &'static View,
    rows: u64,
}

impl<'f> Csv<'f> {
    pub(super) fn begin(folder: &'f Folder, view: &'static View) -> Result<Self, ExportError> {
        let path = format!("{}.csv", view.name);
        let mut file = folder.create(&path)?;
        let names: Vec<&str> = view.columns.iter().map(|column| column.name).collect();
        write!(file, "{}\r\n", names.join(",")).map_err(ExportError::at(&folder.path(&path)))?;
        Ok(Self { folder, path, file, view, rows: 0 })
    }
}

impl Table for Csv<'_> {
    fn row(&mut self, _: &Part, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        self.rows += 1;
        line(&mut self.file, self.view, cells).map_err(ExportError::at(&self.folder.path(&self.path)))
    }

    fn finish(self: Box<Self>) -> Result<Vec<MadeFile>, ExportError> {
        let bytes = self.folder.close(&self.path, self.file)?;
        Ok(vec![MadeFile { path: self.path, rows: self.rows, bytes }])
    }
}

fn line(out: &mut impl Write, view: &View, cells: &[Cell<'_>]) -> io::Result<()> {
    for (at, (cell, column)) in cells.iter().zip(view.columns).enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        match (cell, column.kind) {
            (Cell::Null, _) => {}
            (Cell::Integer(number), Kind::Flag) => out.write_all(if *number == 0 { b"false" } else { b"true" })?,
            (Cell::Integer(number), _) => write!(out, "{number}")?,
            (Cell::Real(number), _) => write!(out, "{number}")?,
            (Cell::Text(text), Kind::Text) => field(out, if is_formula(text) { "'" } else { "" }, text)?,
            (Cell::Text(text), _) => field(out, "", text)?,
        }
    }
    out.write_all(b"\r\n")
}

/// Whether a spreadsheet might take a text for more than text; also behind apostrophes, so that the one which is put
/// before it can be told from its own and taken away again.
fn is_formula(text: &str) -> bool {
    let begins = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    text.trim_start_matches('\'').starts_with(begins)
}

fn field(out: &mut impl Write, guard: &str, text: &str) -> io::Result<()> {
    let plain = !text.is_empty() && !text.contains([',', '"', '\r', '\n']) && text.trim() == text;
    if plain {
        out.write_all(guard.as_bytes())?;
        return out.write_all(text.as_bytes());
    }
    write!(out, "\"{guard}")?;
    for (at, piece) in text.split('"').enumerate() {
        if at > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(piece.as_bytes())?;
    }
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::store::Column;

    const VIEW: &View = &View::of_columns(&[
        Column { name: "a", kind: Kind::Text },
        Column { name: "b", kind: Kind::Text },
        Column { name: "n", kind: Kind::Integer },
        Column { name: "f", kind: Kind::Flag },
    ]);

    fn written(a: Option<&str>, b: &str, n: i64) -> String {
        let mut out = Vec::new();
        let a = a.map_or(Cell::Null, |a| Cell::Text(Cow::Borrowed(a)));
        line(&mut out, VIEW, &[a, Cell::Text(Cow::Borrowed(b)), Cell::Integer(n), Cell::Integer(1)]).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What docs/export.md tells readers to do.
    fn without_guard(text: &str) -> &str {
        match text.strip_prefix('\'') {
            Some(rest) if is_formula(rest) => rest,
            _ => text,
        }
    }

    #[test]
    fn nothing_is_a_formula_and_numbers_stay_numbers() {
        assert_eq!(written(None, "", -1), ",\"\",-1,true\r\n");
        assert_eq!(written(Some("=cmd|' /C calc'!A0"), "a\"b", 0), "'=cmd|' /C calc'!A0,\"a\"\"b\",0,true\r\n");
        assert_eq!(written(Some("'tis"), "'=1", 0), "'tis,''=1,0,true\r\n");
        for evil in ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1", "'=1"] {
            let told = written(Some(evil), "", 0);
            assert!(told.trim_start_matches('"').starts_with('\''), "{told:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(
            a in prop_oneof![any::<String>(), "['=+@\t\r\n\",-]{0,6}"],
            b in any::<String>(),
            n in any::<i64>(),
        ) {
            let told = written(Some(&a), &b, n);
            let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(told.as_bytes());
            let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(rows.len(), 1);
            prop_assert_eq!(without_guard(&rows[0][0]), a);
            prop_assert_eq!(without_guard(&rows[0][1]), b);
            prop_assert_eq!(&rows[0][2], n.to_string());
        }
    }
}
