//! What requests may say: parameters, paging, and the errors for what is wrong with them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::data::ZaiaData;
use super::{PaginationEncoding, Unsupported};
use crate::sim::wire::{Answer, RequestInfo};

/// A body, or the refusal that takes its place.
pub(super) type Told = Result<Value, Box<Answer>>;

pub(super) fn not_found() -> Told {
    Err(Box::new(error(404, "not-found", "Not found")))
}

pub(super) fn bad<T>(what: &str) -> Result<T, Box<Answer>> {
    Err(Box::new(invalid(what)))
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({
        "code": code, "message": message, "name": "PublicApiError",
        "cta": {"type": "support-contact", "url": "https://support.example.test"},
        "feedback": {"enUs": message, "esEs": message, "ptBr": message},
    });
    Answer::json(status, &body)
}

fn invalid(what: &str) -> Answer {
    error(400, "invalid-data", &format!("Invalid data: {what}"))
}

/// One page of a list, as a bare array, of at most so many rows (0: as many as are asked for).
pub(super) fn page<T>(
    request: &RequestInfo,
    most: usize,
    items: impl Iterator<Item = T>,
    show: impl Fn(T) -> Value,
) -> Told {
    let number = |name: &str, default: usize| match request.first(name) {
        None => Ok(default),
        Some(text) => match text.parse::<usize>() {
            Ok(number) if number > 0 => Ok(number),
            _ => bad(name),
        },
    };
    let (page, size) = (number("pageNumber", 1)?, number("pageSize", 10)?);
    if size > 100 {
        return bad("pageSize must be at most 100");
    }
    let size = if most == 0 { size } else { size.min(most) };
    Ok(items.skip((page - 1).saturating_mul(size)).take(size).map(show).collect())
}

/// No values mean no filter.
pub(super) fn wanted(values: &[&str], value: Option<&str>) -> bool {
    values.is_empty() || value.is_some_and(|value| values.contains(&value))
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.chars().enumerate().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

pub(super) fn uuids<'a>(request: &'a RequestInfo, name: &str) -> Result<Vec<&'a str>, Box<Answer>> {
    let values = request.all(name);
    if values.iter().all(|value| is_uuid(value)) { Ok(values) } else { bad(name) }
}

pub(super) fn required_uuid<'a>(request: &'a RequestInfo, name: &str) -> Result<&'a str, Box<Answer>> {
    match request.first(name) {
        Some(value) if is_uuid(value) => Ok(value),
        _ => bad(name),
    }
}

pub(super) fn date_time(request: &RequestInfo, name: &str) -> Result<Option<i64>, Box<Answer>> {
    match request.first(name) {
        // The parameters are nullable.
        None | Some("" | "null") => Ok(None),
        Some(text) => text.parse::<Timestamp>().map_or_else(|_| bad(name), |at| Ok(Some(at.as_millisecond()))),
    }
}

impl ZaiaData {
    /// The limit of a message list, by the one encoding that this revision reads.
    pub(super) fn limit(&self, request: &RequestInfo) -> Result<usize, Box<Answer>> {
        let brackets = request.first("pagination[limit]");
        let plain = request.first("limit");
        let object = request.first("pagination").map(serde_json::from_str::<Value>);
        let json = object.as_ref().map(|object| object.as_ref().ok().and_then(|object| object.get("limit")?.as_u64()));
        let number = |text: &str| text.parse::<u64>().ok();
        let (asked, others) = match self.quirks.pagination {
            PaginationEncoding::Brackets => (brackets.map(number), plain.is_some() || json.is_some()),
            PaginationEncoding::Json => (json, plain.is_some() || brackets.is_some()),
            PaginationEncoding::Plain => (plain.map(number), json.is_some() || brackets.is_some()),
            PaginationEncoding::None => (None, plain.is_some() || json.is_some() || brackets.is_some()),
        };
        if others && self.quirks.unsupported == Unsupported::Rejected {
            return bad("pagination");
        }
        match asked {
            None => Ok(250),
            Some(Some(limit @ 1..=1000)) => Ok(usize::try_from(limit).unwrap_or(250).max(self.quirks.least_limit)),
            Some(_) => bad("pagination.limit must be from 1 to 1000"),
        }
    }
}
