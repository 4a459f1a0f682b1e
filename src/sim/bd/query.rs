//! Filters, sorting and page tokens of the generic list handler.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::table::{Clock, Column, Record, Table};
use super::{BdQuirks, TokenLookup};
use crate::sim::wire::RequestInfo;

/// The opaque `next_page` value: base64 of `{page}*_*{limit}`.
#[must_use]
pub fn page_token(page: u64, limit: u64) -> String {
    STANDARD.encode(format!("{page}*_*{limit}"))
}

/// Page and limit inside a token; `None` for rubbish, a plain number included.
#[must_use]
pub fn read_page_token(token: &str) -> Option<(u64, u64)> {
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (page, limit) = text.split_once("*_*")?;
    Some((page.parse().ok()?, limit.parse().ok()?))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    Ne,
    Lt,
    Lte,
    Gt,
    Gte,
    In,
    NotIn,
    Between,
    Like,
    NotLike,
    IsNotNull,
    /// `is_null`, which is broken.
    IsNull,
    /// Unknown or dead: does nothing.
    Nothing,
    /// Finds nothing.
    Blind,
}

/// Whether rows are kept, or why there can be none.
pub(super) enum Filtered<'a> {
    Rows(Vec<&'a dyn Record>),
    /// `<table> not found`.
    NotFound,
}

/// The firewall in front of the site takes these out of what is sent.
fn strip(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '<' | '>')).collect()
}

fn operator(sent: Option<&str>, quirks: &BdQuirks) -> Operator {
    let word = strip(sent.unwrap_or_default()).replace('%', "").trim().to_lowercase();
    if quirks.dead_operators.contains(&word.as_str()) {
        return Operator::Nothing;
    }
    if quirks.blind_operators.contains(&word.as_str()) {
        return Operator::Blind;
    }
    match word.as_str() {
        "" | "=" | "eq" => Operator::Eq,
        "ne" => Operator::Ne,
        "lt" => Operator::Lt,
        "lte" => Operator::Lte,
        "gt" => Operator::Gt,
        "gte" => Operator::Gte,
        "in" => Operator::In,
        "not_in" => Operator::NotIn,
        "between" => Operator::Between,
        "like" => Operator::Like,
        "not_like" => Operator::NotLike,
        "is_not_null" => Operator::IsNotNull,
        "is_null" => Operator::IsNull,
        _ => Operator::Nothing,
    }
}

/// A value as MySQL compares it: integer columns by number (text that is no number counts as 0), the rest
/// without regard to case.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i128),
    Text(String),
}

fn key(column: Column, text: &str) -> Key {
    if column == Column::Integer {
        let digits: String = text.trim().chars().take_while(char::is_ascii_digit).collect();
        return Key::Number(digits.parse().unwrap_or(0));
    }
    Key::Text(text.to_lowercase())
}

fn matches(column: Column, operator: Operator, cell: Option<&str>, value: &str) -> bool {
    // In SQL nothing compares with NULL.
    let Some(cell) = cell else { return operator == Operator::Nothing };
    let (have, want) = (key(column, cell), key(column, value));
    let among = || value.split(',').any(|one| key(column, one.trim()) == have);
    let like = || match (value.strip_suffix('%'), value.strip_prefix('%')) {
        (Some(start), None) => cell.to_lowercase().starts_with(&start.to_lowercase()),
        (None, Some(end)) => cell.to_lowercase().ends_with(&end.to_lowercase()),
        // Two signs do not survive the firewall.
        _ => cell.to_lowercase() == value.replace('%', "").to_lowercase(),
    };
    match operator {
        Operator::Eq => have == want,
        Operator::Ne => have != want,
        Operator::Lt => have < want,
        Operator::Lte => have <= want,
        Operator::Gt => have > want,
        Operator::Gte => have >= want,
        Operator::In => among(),
        Operator::NotIn => !among(),
        Operator::Between => value
            .split_once(',')
            .is_some_and(|(low, high)| key(column, low.trim()) <= have && have <= key(column, high.trim())),
        Operator::Like => like(),
        Operator::NotLike => !like(),
        Operator::IsNotNull | Operator::Nothing => true,
        Operator::IsNull | Operator::Blind => false,
    }
}

/// Applies the request's filters.
pub(super) fn filter<'a>(table: &Table<'a>, request: &RequestInfo, quirks: &BdQuirks, clock: &Clock) -> Filtered<'a> {
    let mut rows = table.rows.clone();
    let mut filters = vec![("property", "property_value", "property_operator")];
    if quirks.compound_filters {
        filters.push(("property[]", "property_value[]", "property_operator[]"));
    }
    for (names, values, operators) in filters {
        let (values, operators) = (request.all(values), request.all(operators));
        for (index, name) in request.all(names).into_iter().enumerate() {
            if quirks.ignore_filters || name.is_empty() {
                continue;
            }
            if name == "token" && table.model == "user" && quirks.token_lookup == TokenLookup::Ignored {
                continue;
            }
            let operator = operator(operators.get(index).copied(), quirks);
            let column = table.column(name);
            if operator == Operator::IsNull {
                return Filtered::NotFound;
            }
            if column == Column::Unknown {
                return Filtered::Rows(Vec::new());
            }
            let value = strip(values.get(index).copied().unwrap_or_default());
            rows.retain(|row| matches(column, operator, row.cell(name, clock).as_deref(), &value));
        }
    }
    Filtered::Rows(rows)
}

/// Sorts as asked, else last written first.
///
/// # Errors
/// The column does not exist.
pub(super) fn sort(
    table: &Table<'_>,
    rows: &mut [&dyn Record],
    request: &RequestInfo,
    quirks: &BdQuirks,
    clock: &Clock,
) -> Result<(), ()> {
    rows.sort_by_key(|row| std::cmp::Reverse((row.written(), row.id())));
    let wanted = request.first("order_column").filter(|name| !name.is_empty());
    let Some(name) = wanted.filter(|_| !quirks.ignore_order) else { return Ok(()) };
    let column = table.column(name);
    if column == Column::Unknown {
        return if quirks.bad_order_is_ignored { Ok(()) } else { Err(()) };
    }
    let by = |row: &&dyn Record| row.cell(name, clock).map(|cell| key(column, &cell));
    if request.first("order_type").is_some_and(|word| word.eq_ignore_ascii_case("desc")) {
        rows.sort_by_cached_key(|row| std::cmp::Reverse(by(row)));
    } else {
        rows.sort_by_cached_key(by);
    }
    Ok(())
}

/// Page number and size that a request comes to.
pub(super) fn paging(request: &RequestInfo, quirks: &BdQuirks) -> (u64, u64) {
    let asked = request.first("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0).unwrap_or(25);
    let (page, limit) = request.first("page").and_then(read_page_token).unwrap_or((1, asked));
    (page.max(1), limit.max(quirks.limit_floor).clamp(1, 100))
}

#[cfg(test)]
mod tests {
    use super::{BdQuirks, Operator, operator, page_token, paging, read_page_token};
    use crate::sim::wire::RequestInfo;

    fn get(query: &str) -> RequestInfo {
        RequestInfo::new("GET", "/", Some(query), Vec::new())
    }

    #[test]
    fn the_token_is_the_documented_one() {
        assert_eq!(page_token(2, 100), "MipfKjEwMA==");
        assert_eq!(read_page_token("MipfKjEwMA=="), Some((2, 100)));
    }

    #[test]
    fn a_plain_page_number_is_rubbish_and_means_page_one() {
        assert_eq!(read_page_token("2"), None);
        assert_eq!(paging(&get("page=2&limit=50"), &BdQuirks::default()), (1, 50));
    }

    #[test]
    fn the_size_stands_in_the_token_and_is_capped_silently() {
        let quirks = BdQuirks::default();
        let token = url::form_urlencoded::byte_serialize(page_token(3, 10).as_bytes()).collect::<String>();
        assert_eq!(paging(&get(&format!("page={token}&limit=100")), &quirks), (3, 10));
        assert_eq!(paging(&get("limit=150"), &quirks), (1, 100));
        assert_eq!(paging(&get(""), &quirks), (1, 25));
        assert_eq!(paging(&get("limit=1"), &BdQuirks { limit_floor: 20, ..quirks }), (1, 20));
    }

    #[test]
    fn a_raw_greater_than_arrives_as_equality() {
        let quirks = BdQuirks::default();
        assert_eq!(operator(Some(">"), &quirks), Operator::Eq);
        assert_eq!(operator(Some(">="), &quirks), Operator::Eq);
        assert_eq!(operator(Some("GT"), &quirks), Operator::Gt);
        assert_eq!(operator(Some("gt"), &BdQuirks { dead_operators: vec!["gt"], ..quirks }), Operator::Nothing);
    }

    proptest::proptest! {
        #[test]
        fn tokens_come_back_and_rubbish_does_no_harm(page in 0..u64::MAX, limit in 0..u64::MAX, rubbish in ".*") {
            proptest::prop_assert_eq!(read_page_token(&page_token(page, limit)), Some((page, limit)));
            let _nothing = read_page_token(&rubbish);
        }
    }
}
