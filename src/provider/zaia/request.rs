//! The questions asked of Zaia, as pure functions: path segments and query parameters.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::provider::{Ask, Facts};

/// The largest page that lists of chats, threads and directories give (documented: 1 to 100).
pub(super) const PAGE_SIZE: u32 = 100;

/// The rows of a page when `pageSize` has no effect (documented default). No server has a smaller limit of its own.
const DEFAULT_PAGE_SIZE: usize = 10;

/// Finds out how many rows a page has at most, whatever is asked for: a server that has its own limit answers a
/// question for 100 rows with, say, 20, and looks as if that were all.
///
/// The fact `page_size` holds the size up to which a page that is not full is known to be the last (`57`: one of 58 rows
/// was seen), or the server's limit once it is proven (`most 20`). That nothing follows a page ends its list and proves
/// no more: a list may have just as many rows as a page. Passes that read everything doubt the first such page of every
/// list once more, unless it had a full one before: a limit may have been lowered.
pub(super) struct PageWatch {
    facts: Arc<Facts>,
    state: Mutex<Doubt>,
}

#[derive(Default)]
struct Doubt {
    /// A pass that reads everything is under way.
    everything: bool,
    /// Lists that were doubted in it.
    doubted: HashSet<String>,
    /// A first page that was not full and was doubted: its list, and its rows.
    short: Option<(String, usize)>,
}

impl PageWatch {
    const FACT: &str = "page_size";

    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self { facts, state: Mutex::default() }
    }

    /// A pass begins.
    pub(super) fn renew(&self, everything: bool) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Doubt { everything, ..Doubt::default() };
    }

    /// The server's own limit, if it is proven.
    fn most(&self) -> Option<usize> {
        self.facts.get(Self::FACT)?.strip_prefix("most ")?.parse().ok()
    }

    /// Pages of so many rows are believed to be the last when they are not full.
    fn believed(&self) -> usize {
        let known = self.facts.get(Self::FACT).and_then(|text| text.parse().ok()).unwrap_or(0);
        known.max(DEFAULT_PAGE_SIZE - 1)
    }

    fn believe(&self, rows: usize) {
        if rows > self.believed() {
            self.facts.set(Self::FACT, rows.to_string());
        }
    }

    /// Whether page `number` of a list, of so many rows where `limit` were asked for, is its last.
    pub(super) fn is_last(&self, list: &str, number: u32, rows: usize, limit: u32) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.most();
        if rows >= limit as usize {
            // A proven limit is proven for larger questions only.
            if most.is_none_or(|most| rows > most) {
                self.believe(rows - 1);
                if limit >= PAGE_SIZE {
                    // It was seen in this pass that the server has no limit of its own.
                    state.doubted.insert(list.to_owned());
                }
            }
            return false;
        }
        if number > 1 {
            let short = state.short.as_ref().filter(|(of, _)| of == list).map(|(_, size)| *size);
            return match short {
                Some(_) if rows == 0 => true,
                Some(size) => {
                    self.facts.set(Self::FACT, format!("most {size}"));
                    rows < size
                }
                // Its first page was read by another process, or another chat's list of threads came in between.
                None => most.map_or_else(|| rows <= self.believed(), |most| rows < most),
            };
        }
        state.short = None;
        match most {
            Some(most) if rows == most => return false,
            // It gives more now.
            Some(most) if rows > most => self.facts.set(Self::FACT, (rows - 1).to_string()),
            _ => {}
        }
        let small = rows < DEFAULT_PAGE_SIZE;
        let believed = small || most.is_some_and(|most| rows < most) || rows <= self.believed();
        if small || believed && !(state.everything && state.doubted.insert(list.to_owned())) {
            return true;
        }
        state.short = Some((list.to_owned(), rows));
        if most.is_none() {
            self.believe(rows - 1);
        }
        false
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
    fn a_page_that_is_not_full_is_doubted_until_a_larger_one_was_seen() {
        let watch = PageWatch::new(Arc::new(Facts::default()));
        assert!(watch.is_last("chats", 1, 9, 100) && watch.is_last("chats", 1, 0, 100));
        assert!(!watch.is_last("chats", 1, 33, 100));
        assert!(watch.is_last("chats", 1, 32, 100), "a larger one was seen");
        assert!(!watch.is_last("chats", 1, 33, 100), "that is open still");
        assert!(watch.is_last("chats", 2, 0, 100), "nothing followed");
        assert!(!watch.is_last("chats", 1, 33, 100), "which is said of that list alone");
        assert!(!watch.is_last("chats", 1, 34, 100) && watch.is_last("chats", 1, 33, 100));
        assert!(!watch.is_last("chats", 1, 100, 100) && watch.is_last("chats", 1, 99, 100));
        assert!(watch.is_last("chats", 3, 50, 100), "behind full pages");
    }

    #[test]
    fn passes_that_read_everything_doubt_every_list_once_more() {
        let watch = PageWatch::new(Arc::new(Facts::default()));
        assert!(!watch.is_last("chats", 1, 100, 100));
        watch.renew(true);
        assert!(!watch.is_last("channels", 1, 25, 100));
        assert!(watch.is_last("channels", 2, 0, 100));
        assert!(!watch.is_last("chats", 1, 25, 100), "each list by itself");
        assert!(!watch.is_last("chats", 2, 25, 100));
        assert!(watch.is_last("chats", 3, 4, 100));
        assert_eq!(watch.most(), Some(25), "the limit was lowered");
        let watch = PageWatch::new(Arc::new(Facts::default()));
        watch.renew(true);
        assert!(!watch.is_last("chats", 1, 67, 67) && !watch.is_last("chats", 1, 70, 100), "less was asked for");
        watch.renew(true);
        assert!(!watch.is_last("chats", 1, 100, 100) && watch.is_last("chats", 1, 70, 100), "a full page in this pass");
        let watch = PageWatch::new(Arc::new(Facts::default()));
        watch.facts.set(PageWatch::FACT, "most 25".to_owned());
        watch.renew(false);
        assert!(watch.is_last("chats", 1, 24, 100) && !watch.is_last("chats", 1, 25, 100));
    }

    #[test]
    fn a_servers_own_limit_is_found_and_kept() {
        let facts = Arc::new(Facts::default());
        let watch = PageWatch::new(Arc::clone(&facts));
        assert!(!watch.is_last("chats", 1, 48, 100));
        assert!(!watch.is_last("chats", 2, 48, 100));
        assert!(watch.is_last("chats", 3, 7, 100));
        assert_eq!(facts.get("page_size").as_deref(), Some("most 48"));
        let watch = PageWatch::new(Arc::clone(&facts));
        assert!(!watch.is_last("chats", 1, 48, 100) && watch.is_last("chats", 1, 47, 100));
        assert!(watch.is_last("chats", 1, 5, 10) && !watch.is_last("chats", 1, 10, 10), "less was asked for");
        assert!(watch.is_last("chats", 2, 3, 100) && !watch.is_last("chats", 2, 48, 100));
        assert!(!watch.is_last("chats", 1, 60, 100), "it gives more now");
        assert!(watch.is_last("chats", 2, 0, 100));
        assert_eq!(facts.get("page_size").as_deref(), Some("59"), "so far");
        let watch = PageWatch::new(Arc::new(Facts::default()));
        assert!(!watch.is_last("chats", 1, 25, 100));
        assert!(watch.is_last("chats", 2, 3, 100));
        assert!(!watch.is_last("chats", 1, 25, 100), "a page behind one that was not full proves the limit");
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
