//! For `crate::fuzzing`: pages made of bytes, for walks that go on from any state.

use serde_json::value::RawValue;

use crate::model::RawRecord;
use crate::provider::Page;

/// Takes some bytes and makes a page of them: rows with small, repeated, extreme and missing keys, and any word about
/// what follows.
pub(crate) fn page(bytes: &mut &[u8]) -> Page {
    let head = take(bytes);
    let records = (0..head % 6).map(|_| record(take(bytes))).collect();
    let total = match (head >> 3) % 4 {
        0 => None,
        1 => Some(0),
        2 => Some(u64::from(take(bytes))),
        _ => Some(u64::MAX),
    };
    let said = (head >> 5) % 4;
    let token = take(bytes);
    Page {
        records,
        total,
        next: (!token.is_multiple_of(3)).then(|| format!("t{}", token % 8)),
        last: match said {
            0 => None,
            1 => Some(true),
            _ => Some(false),
        },
        alone: token == 7,
    }
}

fn record(byte: u8) -> RawRecord {
    let key = match byte {
        250 => None,
        251 => Some(i64::MIN),
        252 => Some(i64::MAX),
        253 => Some(0),
        254.. => Some(-1),
        small => Some(i64::from(small)),
    };
    let id = (byte != 249).then(|| format!("r{byte}"));
    RawRecord { id, key, parent: None, seq: 0, json: RawValue::NULL.to_owned() }
}

fn take(bytes: &mut &[u8]) -> u8 {
    match bytes.split_first() {
        Some((first, rest)) => {
            *bytes = rest;
            *first
        }
        None => 0,
    }
}
