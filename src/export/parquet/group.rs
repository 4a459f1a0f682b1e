//! Rows as columns, until there are enough of them for a row group.

use std::io::Write;

use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use bytes::Bytes;

use crate::store::{Cell, Kind};

/// A group is written once it has so many rows, or its texts so many bytes.
const ROWS: usize = 65_536;
const TEXT_BYTES: usize = 8 * 1024 * 1024;

/// What is handed to the encoder in one piece.
const SLICE: usize = 1_024;

/// Columns of rows that are not written yet.
pub(super) struct Group {
    columns: Vec<Values>,
    rows: usize,
    text_bytes: usize,
}

/// One column: its values, and for every row whether there is one.
struct Values {
    kind: Kind,
    present: Vec<i16>,
    of: Of,
}

enum Of {
    Long(Vec<i64>),
    Day(Vec<i32>),
    Real(Vec<f64>),
    Flag(Vec<bool>),
    /// All texts one behind the other, and where each ends.
    Text(Vec<u8>, Vec<usize>),
}

impl Group {
    pub(super) fn of(kinds: impl Iterator<Item = Kind>) -> Self {
        let column = |kind| Values {
            kind,
            present: Vec::new(),
            of: match kind {
                Kind::Text => Of::Text(Vec::new(), Vec::new()),
                Kind::Integer | Kind::Time => Of::Long(Vec::new()),
                Kind::Day => Of::Day(Vec::new()),
                Kind::Seconds => Of::Real(Vec::new()),
                Kind::Flag => Of::Flag(Vec::new()),
            },
        };
        Self { columns: kinds.map(column).collect(), rows: 0, text_bytes: 0 }
    }

    /// Takes a row, and says whether the group is full.
    pub(super) fn add<'c>(&mut self, cells: impl Iterator<Item = &'c Cell<'c>>) -> bool {
        for (values, cell) in self.columns.iter_mut().zip(cells) {
            self.text_bytes += values.push(cell);
        }
        self.rows += 1;
        self.rows >= ROWS || self.text_bytes >= TEXT_BYTES
    }

    /// Writes what there is as a row group, and is empty then.
    pub(super) fn write<W: Write + Send>(&mut self, writer: &mut SerializedFileWriter<W>) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        for values in &mut self.columns {
            let Some(column) = group.next_column()? else {
                return Err(ParquetError::General("a column without a place in the schema".to_owned()));
            };
            values.write(column)?;
        }
        group.close()?;
        (self.rows, self.text_bytes) = (0, 0);
        Ok(())
    }
}

impl Values {
    /// Takes a value, and says how much text it brought. What does not fit the column's type is none.
    fn push(&mut self, cell: &Cell<'_>) -> usize {
        let mut bytes = 0;
        let taken = match (&mut self.of, cell) {
            (Of::Text(texts, ends), Cell::Text(text)) => {
                texts.extend_from_slice(text.as_bytes());
                ends.push(texts.len());
                bytes = text.len();
                true
            }
            (Of::Long(values), Cell::Integer(number)) => {
                values.push(*number);
                true
            }
            (Of::Long(values), Cell::Text(text)) if self.kind == Kind::Time => {
                let at = text.parse::<jiff::Timestamp>().ok();
                values.extend(at.map(jiff::Timestamp::as_millisecond));
                at.is_some()
            }
            (Of::Day(values), Cell::Text(text)) => {
                let day = text.parse::<jiff::civil::Date>().ok().and_then(days);
                values.extend(day);
                day.is_some()
            }
            (Of::Real(values), Cell::Real(number)) => {
                values.push(*number);
                true
            }
            #[expect(clippy::cast_precision_loss, reason = "seconds that happen to be whole are far below 2^53")]
            (Of::Real(values), Cell::Integer(number)) => {
                values.push(*number as f64);
                true
            }
            (Of::Flag(values), Cell::Integer(number)) => {
                values.push(*number != 0);
                true
            }
            _ => false,
        };
        self.present.push(i16::from(taken));
        bytes
    }

    fn write(&mut self, mut column: SerializedColumnWriter<'_>) -> Result<()> {
        let present = std::mem::take(&mut self.present);
        let levels = Some(present.as_slice());
        match &mut self.of {
            Of::Long(values) => {
                column.typed::<Int64Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Of::Day(values) => {
                column.typed::<Int32Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Of::Real(values) => {
                column.typed::<DoubleType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Of::Flag(values) => {
                column.typed::<BoolType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Of::Text(texts, ends) => {
                let texts = Bytes::from(std::mem::take(texts));
                let writer = column.typed::<ByteArrayType>();
                let (mut from, mut ends_left) = (0, ends.as_slice());
                for levels in present.chunks(SLICE) {
                    let here = levels.iter().filter(|level| **level == 1).count();
                    let (ends_here, rest) = ends_left.split_at(here.min(ends_left.len()));
                    let values: Vec<ByteArray> = ends_here
                        .iter()
                        .map(|end| {
                            let text = texts.slice(from..*end);
                            from = *end;
                            ByteArray::from(text)
                        })
                        .collect();
                    writer.write_batch(&values, Some(levels), None)?;
                    ends_left = rest;
                }
                ends.clear();
            }
        }
        column.close()
    }
}

/// Days since 1970.
fn days(day: jiff::civil::Date) -> Option<i32> {
    let since = jiff::civil::date(1970, 1, 1).until(day).ok()?;
    Some(since.get_days())
}
