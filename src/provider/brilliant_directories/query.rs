//! The query string of every question. Pure.
//!
//! Only word operators (`gt`, `gte`, `eq`): the provider's firewall strips `<`, `>` and `%`. Page numbers are never
//! built: `page` is an opaque token, and a plain number silently brings page 1 again. A token carries neither
//! filter nor order, so both are sent with every page (section 2 of the provider page).

use jiff::tz::TimeZone;

use super::stream::{Asked, List};
use crate::normalise::to_site_digits;
use crate::provider::Ask;

/// The provider cuts anything above to this, silently.
pub(super) const LIMIT_MAX: u32 = 100;

/// What is sent for a question: names and values, not encoded yet.
pub(super) type Query = Vec<(String, String)>;

/// Builds the query of a question, and the question as the site understands it where it was about times.
///
/// `None` for questions that this provider is never asked (numbered pages, windows), and for a question about
/// times while the site's zone is unknown.
pub(super) fn build(list: List, ask: &Ask, zone: Option<&TimeZone>) -> Option<(Query, Option<Asked>)> {
    let mut query = Query::new();
    let mut asked = None;
    match ask {
        Ask::After { after, token, limit } => {
            if let Some(after) = after {
                let (operator, value) = if list.timed {
                    let digits = to_site_digits(*after, zone?);
                    asked = Some(Asked { after_ms: *after, digits: digits.clone() });
                    ("gte", digits)
                } else {
                    ("gt", after.to_string())
                };
                filter(&mut query, list.column, operator, &value);
            }
            order(&mut query, list.column, "ASC");
            page(&mut query, token.as_deref(), *limit);
        }
        Ask::Token { token, limit } => {
            order(&mut query, list.id, "ASC");
            page(&mut query, token.as_deref(), *limit);
        }
        Ask::Newest { limit } => {
            order(&mut query, list.column, "DESC");
            page(&mut query, None, *limit);
        }
        Ask::Number { .. } | Ask::Window { .. } => return None,
    }
    Some((query, asked))
}

/// The query of a look-up by a column's exact value.
pub(super) fn equal(column: &str, value: &str, limit: u32) -> Query {
    let mut query = Query::new();
    filter(&mut query, column, "eq", value);
    page(&mut query, None, limit);
    query
}

/// The query of the first page in a list's own order.
pub(super) fn first(list: List, limit: u32) -> Query {
    let mut query = Query::new();
    order(&mut query, list.column, "ASC");
    page(&mut query, None, limit);
    query
}

/// The query of a first, unordered page: whether an endpoint answers at all.
pub(super) fn probe(limit: u32) -> Query {
    let mut query = Query::new();
    page(&mut query, None, limit);
    query
}

fn push(query: &mut Query, name: &str, value: impl Into<String>) {
    query.push((name.to_owned(), value.into()));
}

fn filter(query: &mut Query, column: &str, operator: &str, value: &str) {
    push(query, "property", column);
    push(query, "property_value", value);
    push(query, "property_operator", operator);
}

fn order(query: &mut Query, column: &str, direction: &str) {
    push(query, "order_column", column);
    push(query, "order_type", direction);
}

fn page(query: &mut Query, token: Option<&str>, limit: u32) {
    push(query, "limit", limit.clamp(1, LIMIT_MAX).to_string());
    if let Some(token) = token {
        push(query, "page", token);
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::stream::{MESSAGES, THREAD_IDS, THREADS, list};
    use super::{build, equal};
    use crate::provider::Ask;

    fn sent(stream: &str, ask: &Ask) -> String {
        let zone = TimeZone::get("America/New_York").unwrap();
        let (query, _) = build(list(stream).unwrap(), ask, Some(&zone)).unwrap();
        query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn a_first_pass_reads_ascending_without_a_filter() {
        let ask = Ask::After { after: None, token: None, limit: 100 };
        assert_eq!(sent(MESSAGES, &ask), "order_column=message_id&order_type=ASC&limit=100");
        assert_eq!(sent(THREAD_IDS, &ask), "order_column=thread_id&order_type=ASC&limit=100");
        assert_eq!(sent(THREADS, &ask), "order_column=updated_at&order_type=ASC&limit=100");
    }

    #[test]
    fn what_is_new_is_asked_for_with_word_operators() {
        let after = |after| Ask::After { after: Some(after), token: None, limit: 100 };
        assert_eq!(
            sent(MESSAGES, &after(55)),
            "property=message_id&property_value=55&property_operator=gt&order_column=message_id&order_type=ASC&limit=100"
        );
        // 2026-01-02T03:04:05Z, five hours earlier on the site's clock.
        assert_eq!(
            sent(THREADS, &after(1_767_323_045_000)),
            "property=updated_at&property_value=20260101220405&property_operator=gte\
             &order_column=updated_at&order_type=ASC&limit=100"
        );
    }

    #[test]
    fn a_token_goes_back_verbatim_with_filter_and_order_beside_it() {
        let token = Some("MipfKjEwMA==".to_owned());
        assert_eq!(
            sent(MESSAGES, &Ask::After { after: Some(7), token: token.clone(), limit: 50 }),
            "property=message_id&property_value=7&property_operator=gt\
             &order_column=message_id&order_type=ASC&limit=50&page=MipfKjEwMA=="
        );
        assert_eq!(
            sent(THREADS, &Ask::Token { token, limit: 100 }),
            "order_column=thread_id&order_type=ASC&limit=100&page=MipfKjEwMA=="
        );
    }

    #[test]
    fn the_newest_rows_are_asked_for_without_a_filter() {
        assert_eq!(sent(MESSAGES, &Ask::Newest { limit: 0 }), "order_column=message_id&order_type=DESC&limit=1");
        assert_eq!(sent(THREADS, &Ask::Newest { limit: 900 }), "order_column=updated_at&order_type=DESC&limit=100");
    }

    #[test]
    fn page_numbers_and_windows_do_not_exist_here() {
        let messages = list(MESSAGES).unwrap();
        assert!(build(messages, &Ask::Number { number: 2, limit: 100 }, None).is_none());
        assert!(build(messages, &Ask::Window { from: None, to: None, number: 1, limit: 100 }, None).is_none());
        let timed = Ask::After { after: Some(0), token: None, limit: 100 };
        assert!(build(list(THREADS).unwrap(), &timed, None).is_none(), "a wall clock needs its zone");
    }

    #[test]
    fn a_look_up_asks_for_equality() {
        let query = equal("token", "a b&c", 25);
        assert_eq!(query.first().map(|(name, value)| (name.as_str(), value.as_str())), Some(("property", "token")));
        assert!(query.iter().any(|(name, value)| name == "property_value" && value == "a b&c"));
        assert!(query.iter().any(|(name, value)| name == "property_operator" && value == "eq"));
    }
}
