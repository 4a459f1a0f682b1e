//! For `crate::fuzzing`: what each provider's adapter makes of a body, without a request.

use crate::model::{RawRecord, Reject, Row};

/// A record, the stream that it would be read on, and its rows or why it has none.
pub type Normalised = (&'static str, RawRecord, Result<Vec<Row>, Reject>);

pub(crate) use super::brilliant_directories::fuzzed::read as brilliant_directories;
pub(crate) use super::sitegpt::fuzzed::{v0 as sitegpt_v0, v2 as sitegpt_v2};
pub(crate) use super::zaia::fuzzed::read as zaia;
