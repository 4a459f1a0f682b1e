//! The requests: what is sent, and what an answer or a refusal is taken for.

use std::sync::atomic::Ordering;

use jiff::tz::TimeZone;

use super::query::{self, Query};
use super::stream::{self, List};
use super::wire::{self, Envelope};
use super::{BrilliantDirectories, zone};
use crate::http::FetchError;
use crate::model::StreamKey;
use crate::provider::{Ask, Page};

/// The endpoint that proves a key, and nothing but the key.
pub(super) const VERIFY: &[&str] = &["token", "verify"];
/// The endpoint that tells the site's time zone.
pub(super) const SITE_INFO: &[&str] = &["site_info", "get"];
/// The endpoint of member records.
pub(super) const USER: &[&str] = &["user", "get"];

/// Sizes to fall back to when a page is too large: pictures may stand inside the messages, megabytes each.
const SMALLER: [u32; 3] = [25, 5, 1];
/// The smallest size that is remembered for later passes.
const REMEMBERED_MIN: u32 = 5;

/// What to do when the key may not read an endpoint.
pub(super) fn advice(endpoint: &str) -> String {
    format!(
        "allow `{endpoint}` for this key in Developer Hub -> API keys; it may also need the Advanced Endpoints switch"
    )
}

impl BrilliantDirectories {
    /// Asks one endpoint below `/api/v2`. A refusal of an endpoint names what to allow.
    pub(super) async fn ask(&self, path: &[&str], query: &Query) -> Result<Envelope, FetchError> {
        match self.sorted(path, query).await {
            // No permission of the key changes a firewall's refusal.
            Err(FetchError::Forbidden { endpoint, detail }) if !is_firewalls(&detail) => {
                Err(FetchError::Forbidden { endpoint, detail: with_advice(&detail, path) })
            }
            other => other,
        }
    }

    /// Tells a key that is no good from one that may not read this: clients of this API report 401 for either, and
    /// one question to the endpoint that every key may read tells which.
    async fn sorted(&self, path: &[&str], query: &Query) -> Result<Envelope, FetchError> {
        match self.send(path, query).await {
            Err(FetchError::Unauthorized { endpoint, detail }) if path != VERIFY => {
                if self.send(VERIFY, &Query::new()).await.is_ok() {
                    Err(FetchError::Forbidden { endpoint, detail })
                } else {
                    Err(FetchError::Unauthorized { endpoint, detail })
                }
            }
            other => other,
        }
    }

    async fn send(&self, path: &[&str], query: &Query) -> Result<Envelope, FetchError> {
        let segments: Vec<&str> = ["api", "v2"].iter().chain(path).copied().collect();
        let pairs: Vec<(&str, &str)> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let filtered = query.iter().any(|(name, _)| name.starts_with("property"));
        let of_a_list = path.last() == Some(&"get") && path.first().is_some_and(|model| stream::is_model(model));
        let read = |body: &[u8]| if of_a_list { wire::read_page(body, filtered) } else { wire::read(body) };
        self.http.get(&segments, &pairs, read).await
    }

    /// One page of a list, in smaller portions where it is too large as a whole.
    pub(super) async fn list_page(&self, key: &StreamKey, ask: &Ask) -> Result<Page, FetchError> {
        let Some(list) = stream::list(key.stream) else {
            return Err(never(format!("`{}` is not a list of this provider", key.stream)));
        };
        let zone = self.zone();
        let wanted = size_of(ask).0;
        let mut ask = at_most(ask.clone(), self.page_size(key.stream));
        loop {
            let Some((query, asked)) = query::build(list, &ask, zone.as_ref()) else {
                return Err(never(format!("{}: a question that this provider cannot be asked", list.model)));
            };
            match self.ask(&[list.model, "get"], &query).await {
                Ok(envelope) => {
                    let mut page = page_of(list, envelope, zone.as_ref(), asked.as_ref());
                    // Fewer rows than the caller asked for must not look like the end.
                    if page.last.is_none() && !page.records.is_empty() && size_of(&ask).0 < wanted {
                        page.last = Some(false);
                    }
                    return Ok(page);
                }
                Err(error) if says_empty(&error, list) => {
                    if asks_for_the_first(&ask) && self.proves_emptiness() {
                        let column = if matches!(ask, Ask::Token { .. }) { list.id } else { list.column };
                        self.prove_empty(list, column, &error).await?;
                    }
                    return Ok(empty(&ask));
                }
                Err(error @ FetchError::TooLarge { .. }) => {
                    let (limit, token) = size_of(&ask);
                    let Some(smaller) = SMALLER.into_iter().find(|size| *size < limit) else { return Err(error) };
                    self.facts.set(&size_fact(key.stream), smaller.max(REMEMBERED_MIN).to_string());
                    // A token carries its own size: only a later walk can be in smaller steps.
                    if token {
                        return Err(error);
                    }
                    ask = at_most(ask, smaller);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether one more list is to be proven empty in this pass.
    fn proves_emptiness(&self) -> bool {
        self.thorough.load(Ordering::Relaxed) || !self.proven_empty.swap(true, Ordering::Relaxed)
    }

    /// "Not found" without a filter is how some builds say "no rows", and how others refuse to sort by a column. A
    /// question without an order tells which: zero rows alone are no proof (section 2 of the provider page).
    pub(super) async fn prove_empty(&self, list: List, column: &str, refusal: &FetchError) -> Result<(), FetchError> {
        match self.ask(&[list.model, "get"], &query::probe(1)).await {
            Ok(envelope) if envelope.rows.is_empty() => Ok(()),
            Err(error) if says_empty(&error, list) => Ok(()),
            // A page that is too large has rows.
            Ok(_) | Err(FetchError::TooLarge { .. }) => Err(unsorted(list, column, refusal)),
            Err(error) => Err(error),
        }
    }

    /// Rows to ask for per page: fewer where a page was once too large.
    pub(super) fn page_size(&self, stream: &str) -> u32 {
        let known = self.facts.get(&size_fact(stream)).and_then(|text| text.parse().ok());
        known.unwrap_or(query::LIMIT_MAX).clamp(1, query::LIMIT_MAX)
    }

    /// The zone's name, asked of the site.
    pub(super) async fn site_zone(&self) -> Result<String, FetchError> {
        let endpoint = SITE_INFO.join("/");
        let say = |why: &str| if why.is_empty() { zone::ADVICE.to_owned() } else { format!("{why}; {}", zone::ADVICE) };
        let envelope = match self.sorted(SITE_INFO, &Query::new()).await {
            Err(FetchError::Forbidden { endpoint, detail }) if is_firewalls(&detail) => {
                return Err(FetchError::Forbidden { endpoint, detail: format!("{detail}; {}", zone::SETTING) });
            }
            Err(FetchError::Forbidden { endpoint, detail }) => {
                return Err(FetchError::Forbidden { endpoint, detail: say(&detail) });
            }
            Err(
                FetchError::NotFound { endpoint, status, detail } | FetchError::Rejected { endpoint, status, detail },
            ) => {
                return Err(FetchError::Rejected { endpoint, status, detail: say(&detail) });
            }
            other => other?,
        };
        let name = envelope.rows.first().and_then(|row| zone::of_site(row.get()));
        let problem = match name {
            Some(name) if zone::parse(&name).is_some() => return Ok(name),
            Some(_) => "the site names a time zone that is not known here",
            None => "the site does not name its time zone",
        };
        Err(FetchError::Rejected { endpoint, status: 200, detail: say(problem) })
    }
}

/// The list has rows, and none of them comes when they are asked for in their order.
fn unsorted(list: List, column: &str, refusal: &FetchError) -> FetchError {
    let (endpoint, status) = match refusal {
        FetchError::NotFound { endpoint, status, .. } | FetchError::Rejected { endpoint, status, .. } => {
            (endpoint.clone(), *status)
        }
        _ => (format!("{}/get", list.model), 0),
    };
    let detail = format!(
        "the list has rows, but the site refuses to sort it by `{column}` and answers as if there were none; ask the support \
         of Brilliant Directories to let `{model}/get` be sorted with `order_column={column}`; until then this list is not \
         read, and nothing was marked as deleted",
        model = list.model,
    );
    FetchError::Rejected { endpoint, status, detail }
}

/// A question that only a mistake in this program could put.
pub(super) fn never(detail: String) -> FetchError {
    FetchError::Rejected { endpoint: "brilliant_directories".to_owned(), status: 0, detail }
}

/// Whether a refusal came from a firewall in front of the site, and not from the site.
pub(super) fn is_firewalls(detail: &str) -> bool {
    detail.contains("firewall")
}

fn with_advice(detail: &str, path: &[&str]) -> String {
    let advice = advice(&path.iter().take(2).copied().collect::<Vec<_>>().join("/"));
    if detail.is_empty() { advice } else { format!("{detail}; {advice}") }
}

fn size_fact(stream: &str) -> String {
    format!("page_size.{stream}")
}

/// The rows a question asks for, and whether it continues by token.
fn size_of(ask: &Ask) -> (u32, bool) {
    match ask {
        Ask::After { limit, token, .. } | Ask::Token { limit, token } => (*limit, token.is_some()),
        Ask::Number { limit, .. } | Ask::Window { limit, .. } | Ask::Newest { limit } => (*limit, false),
    }
}

fn at_most(mut ask: Ask, size: u32) -> Ask {
    match &mut ask {
        Ask::After { limit, .. }
        | Ask::Token { limit, .. }
        | Ask::Number { limit, .. }
        | Ask::Window { limit, .. }
        | Ask::Newest { limit } => *limit = (*limit).min(size),
    }
    ask
}

/// "chat_message_items not found" is how some builds say "no rows". Any other 404 (no such path) is not.
pub(super) fn says_empty(error: &FetchError, list: List) -> bool {
    match error {
        FetchError::NotFound { detail, .. } | FetchError::Rejected { status: 404, detail, .. } => {
            wire::says_not_found(detail) && detail.to_ascii_lowercase().contains(list.model)
        }
        _ => false,
    }
}

/// Whether a question is about the beginning of a list, with no filter. One that goes on from a place was answered
/// before in the same order: "not found" is then the end.
fn asks_for_the_first(ask: &Ask) -> bool {
    matches!(ask, Ask::After { after: None, token: None, .. } | Ask::Token { token: None, .. } | Ask::Newest { .. })
}

/// An empty list: a count of zero is claimed only where no filter was sent, since a filter on a column that the site
/// does not have is answered alike.
fn empty(ask: &Ask) -> Page {
    let filtered = matches!(ask, Ask::After { after: Some(_), .. });
    Page { total: (!filtered).then_some(0), last: Some(true), ..Page::default() }
}

pub(super) fn page_of(list: List, envelope: Envelope, zone: Option<&TimeZone>, asked: Option<&stream::Asked>) -> Page {
    let (last, next, total) = (envelope.last(), envelope.next(), envelope.total);
    let records = envelope.rows.into_iter().map(|row| stream::record(list, row, zone, asked)).collect();
    Page { records, total, next, last, alone: false }
}

#[cfg(test)]
mod tests {
    use super::super::stream::{MESSAGES, list};
    use super::{at_most, empty, says_empty, size_of};
    use crate::http::FetchError;
    use crate::provider::Ask;

    fn not_found(detail: &str) -> FetchError {
        FetchError::NotFound { endpoint: "api/v2/chat_message_items/get".into(), status: 404, detail: detail.into() }
    }

    #[test]
    fn only_the_models_own_words_mean_an_empty_list() {
        let messages = list(MESSAGES).unwrap();
        assert!(says_empty(&not_found("chat_message_items not found"), messages));
        assert!(says_empty(&not_found("Chat_Message_Items Not Found"), messages));
        assert!(!says_empty(&not_found(""), messages), "a wrong base_url is not an empty site");
        assert!(!says_empty(&not_found("chat_message_threads not found"), messages));
        assert!(!says_empty(&FetchError::Cancelled, messages));
    }

    #[test]
    fn zero_is_claimed_only_without_a_filter() {
        let after = |after| Ask::After { after, token: None, limit: 100 };
        assert_eq!(empty(&after(Some(5))).total, None);
        assert_eq!(empty(&after(None)).total, Some(0));
        assert_eq!(empty(&Ask::Newest { limit: 1 }).total, Some(0));
    }

    #[test]
    fn a_page_shrinks_but_never_grows() {
        let token = Ask::Token { token: Some("t".into()), limit: 25 };
        assert_eq!(size_of(&at_most(token.clone(), 100)), (25, true));
        assert_eq!(size_of(&at_most(token, 5)), (5, true));
    }
}
