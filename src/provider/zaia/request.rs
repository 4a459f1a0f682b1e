//! The questions asked of Zaia, as pure functions: path segments and query parameters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::provider::{Ask, Facts};

/// The largest page that lists of chats, threads and directories give (documented: 1 to 100).
pub(super) const PAGE_SIZE: u32 = 100;

/// The rows of a page when `pageSize` has no effect (documented default). No page is smaller than that by the server's
/// own choice, and what a server chooses is a round number.
const DEFAULT_PAGE_SIZE: usize = 10;

/// Finds out how many rows a page has at most, whatever is asked for: a server that has its own limit answers a
/// question for 100 rows with, say, 20, and looks as if that were all.
///
/// The fact `page_size` holds the largest page seen (`57`), or the server's limit once it is proven (`most 20`).
pub(super) struct PageWatch {
    facts: Arc<Facts>,
    /// A page as large as the largest seen is doubted once more: a pass that reads everything is under way.
    doubts: AtomicBool,
}

impl PageWatch {
    const FACT: &str = "page_size";

    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self { facts, doubts: AtomicBool::new(true) }
    }

    /// A pass that reads everything begins.
    pub(super) fn doubt(&self) {
        self.doubts.store(true, Ordering::Relaxed);
    }

    /// Whether page `number` of so many rows, where `limit` were asked for, is the last of its list.
    pub(super) fn is_last(&self, number: u32, rows: usize, limit: u32) -> bool {
        let fact = self.facts.get(Self::FACT).unwrap_or_default();
        if let Some(most) = fact.strip_prefix("most ").and_then(|text| text.parse::<usize>().ok()) {
            if rows <= most {
                return rows < most.min(limit as usize);
            }
            // The server gives more than it did.
            self.facts.set(Self::FACT, rows.to_string());
            return rows < limit as usize;
        }
        let largest: usize = fact.parse().unwrap_or(0);
        if rows > largest {
            self.facts.set(Self::FACT, rows.to_string());
        }
        let by_choice = rows >= DEFAULT_PAGE_SIZE && rows.is_multiple_of(5);
        if rows >= limit as usize {
            false
        } else if rows < largest || !by_choice {
            // Only a page that was taken for the last of its list, and was not, is followed by another.
            if number > 1 && rows > 0 && largest < limit as usize {
                self.facts.set(Self::FACT, format!("most {largest}"));
            }
            true
        } else if number > 1 {
            self.facts.set(Self::FACT, format!("most {rows}"));
            false
        } else {
            !(rows > largest || self.doubts.swap(false, Ordering::Relaxed))
        }
    }
}

/// The most messages that one request brings (documented: 1 to 1000).
pub(super) const MESSAGE_LIMIT: usize = 1000;

/// How many messages come when no limit is understood (documented default).
pub(super) const DEFAULT_LIMIT: usize = 250;

/// Query parameters, in the order in which they are sent.
pub(super) type Query = Vec<(&'static str, String)>;

/// The path below the base URL: `api/v1/…`.
pub(super) fn path<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    ["api", "v1"].into_iter().chain(rest.iter().copied()).collect()
}

/// The path of a feed's list; `None` for a stream that is no list.
pub(super) fn list_path(stream: &str) -> Option<&'static [&'static str]> {
    Some(match stream {
        "chats" => &["chats"],
        "details" => &["chats", "details"],
        "channels" => &["channels"],
        "responders" => &["super-identities", "responders"],
        "external_users" => &["external-users"],
        _ => return None,
    })
}

/// The query of one page of a feed, and how many rows were asked for; `None` for a question that Zaia cannot be
/// asked. `iso` spells a time in milliseconds as ISO 8601 in UTC.
///
/// Whether the bounds of a window belong to it is not documented, hence one millisecond more on each closed side.
pub(super) fn list_query(stream: &str, ask: &Ask, iso: impl Fn(i64) -> String) -> Option<(Query, u32)> {
    let mut query = Query::new();
    let (number, limit) = match *ask {
        Ask::Number { number, limit } => (number, limit),
        Ask::Window { from, to, number, limit } if stream == "chats" => {
            if let Some(from) = from {
                query.push(("lastChatMessageCreatedAtStart", iso(from.saturating_sub(1))));
            }
            if let Some(to) = to {
                query.push(("lastChatMessageCreatedAtEnd", iso(to.saturating_add(1))));
            }
            (number, limit)
        }
        _ => return None,
    };
    let limit = limit.clamp(1, PAGE_SIZE);
    query.extend(paging(number, limit));
    Some((query, limit))
}

/// The parameters of a numbered page.
pub(super) fn paging(number: u32, limit: u32) -> Query {
    vec![("pageNumber", number.max(1).to_string()), ("pageSize", limit.to_string())]
}

/// How the limit on messages is written; the reference gives an object and no encoding for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `pagination[limit]=1000`
    Brackets,
    /// `pagination={"limit":1000}`
    Json,
    /// `limit=1000`
    Plain,
    /// No limit is sent.
    Bare,
}

impl Encoding {
    /// Every spelling, in the order in which they are tried.
    pub(super) const ALL: [Self; 4] = [Self::Brackets, Self::Json, Self::Plain, Self::Bare];

    /// The word it is remembered by.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Brackets => "brackets",
            Self::Json => "json",
            Self::Plain => "plain",
            Self::Bare => "none",
        }
    }

    /// Reads the word back.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.word() == word)
    }

    fn parameter(self, limit: usize) -> Option<(&'static str, String)> {
        match self {
            Self::Brackets => Some(("pagination[limit]", limit.to_string())),
            Self::Json => Some(("pagination", format!("{{\"limit\":{limit}}}"))),
            Self::Plain => Some(("limit", limit.to_string())),
            Self::Bare => None,
        }
    }
}

/// The query for messages of a chat, or of one of its threads.
pub(super) fn messages_query(chat: &str, thread: Option<&str>, encoding: Encoding, limit: usize) -> Query {
    let mut query = vec![("chatId", chat.to_owned())];
    query.extend(thread.map(|thread| ("chatThreadId", thread.to_owned())));
    query.extend(encoding.parameter(limit));
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(query: &Query) -> String {
        query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    fn asked(stream: &str, ask: &Ask) -> Option<String> {
        list_query(stream, ask, |ms| format!("<{ms}>")).map(|(query, _)| spelled(&query))
    }

    #[test]
    fn windows_are_widened_in_case_their_bounds_are_exclusive() {
        let window = |from, to| Ask::Window { from, to, number: 2, limit: 100 };
        assert_eq!(
            asked("chats", &window(Some(1000), Some(2000))).unwrap(),
            "lastChatMessageCreatedAtStart=<999>&lastChatMessageCreatedAtEnd=<2001>&pageNumber=2&pageSize=100"
        );
        assert_eq!(asked("chats", &window(None, None)).unwrap(), "pageNumber=2&pageSize=100");
        assert_eq!(
            asked("chats", &window(None, Some(2000))).unwrap(),
            "lastChatMessageCreatedAtEnd=<2001>&pageNumber=2&pageSize=100"
        );
        assert_eq!(asked("details", &window(None, None)), None, "only chats have windows");
    }

    #[test]
    fn pages_stay_within_what_the_provider_allows() {
        assert_eq!(asked("details", &Ask::Number { number: 0, limit: 500 }).unwrap(), "pageNumber=1&pageSize=100");
        assert_eq!(asked("chats", &Ask::Number { number: 3, limit: 0 }).unwrap(), "pageNumber=3&pageSize=1");
    }

    #[test]
    fn a_round_number_of_rows_is_doubted_until_a_larger_page_was_seen() {
        let watch = PageWatch::new(Arc::new(Facts::default()));
        assert!(!watch.is_last(1, 10, 100));
        assert!(watch.is_last(2, 0, 100), "that was all");
        assert!(watch.is_last(1, 9, 100) && watch.is_last(1, 0, 100));
        assert!(!watch.is_last(1, 10, 100), "once more in a pass that reads everything");
        assert!(watch.is_last(1, 10, 100) && watch.is_last(1, 10, 100));
        watch.doubt();
        assert!(!watch.is_last(1, 10, 100));
        assert!(watch.is_last(1, 11, 100), "no server chooses eleven");
        watch.doubt();
        assert!(watch.is_last(1, 10, 100), "eleven were seen");
        assert!(!watch.is_last(1, 100, 100));
        assert!(watch.is_last(1, 50, 100));
    }

    #[test]
    fn a_servers_own_limit_is_found_and_kept() {
        let facts = Arc::new(Facts::default());
        let watch = PageWatch::new(Arc::clone(&facts));
        assert!(!watch.is_last(1, 20, 100));
        assert!(!watch.is_last(2, 20, 100));
        assert!(watch.is_last(3, 7, 100));
        assert_eq!(facts.get("page_size").as_deref(), Some("most 20"));
        let watch = PageWatch::new(Arc::clone(&facts));
        assert!(!watch.is_last(1, 20, 100) && watch.is_last(1, 19, 100));
        assert!(watch.is_last(1, 5, 10) && !watch.is_last(1, 10, 10), "less was asked for");
        assert!(watch.is_last(1, 60, 100), "it gives more now");
        assert_eq!(facts.get("page_size").as_deref(), Some("60"));
        let watch = PageWatch::new(Arc::new(Facts::default()));
        assert!(!watch.is_last(1, 25, 100));
        assert!(watch.is_last(2, 3, 100));
        assert!(!watch.is_last(1, 25, 100), "a page behind one that was not full proves the limit");
    }

    #[test]
    fn other_questions_cannot_be_asked() {
        assert_eq!(asked("chats", &Ask::Newest { limit: 1 }), None);
        assert_eq!(asked("chats", &Ask::Token { token: None, limit: 1 }), None);
        assert_eq!(asked("chats", &Ask::After { after: None, token: None, limit: 1 }), None);
        assert_eq!(list_path("messages"), None);
    }

    #[test]
    fn each_encoding_has_its_spelling_and_its_word() {
        let query = |encoding| spelled(&messages_query("c", Some("t"), encoding, 1000));
        assert_eq!(query(Encoding::Brackets), "chatId=c&chatThreadId=t&pagination[limit]=1000");
        assert_eq!(query(Encoding::Json), r#"chatId=c&chatThreadId=t&pagination={"limit":1000}"#);
        assert_eq!(query(Encoding::Plain), "chatId=c&chatThreadId=t&limit=1000");
        assert_eq!(query(Encoding::Bare), "chatId=c&chatThreadId=t");
        for encoding in Encoding::ALL {
            assert_eq!(Encoding::from_word(encoding.word()), Some(encoding));
        }
        assert_eq!(Encoding::from_word("unheard"), None);
    }

    #[test]
    fn paths_stand_below_the_version() {
        assert_eq!(path(list_path("responders").unwrap()), ["api", "v1", "super-identities", "responders"]);
    }
}
