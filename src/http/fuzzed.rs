//! For `crate::fuzzing`: what is read of an answer besides its JSON, and addresses.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use url::Url;

use super::address::{self, Hop};
use super::retry_after;
use super::words::Words;

const KEY: &str = "sk+made/up=0123456789";
const MONTH: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// `Retry-After` (several times) and `Date`: never more than the longest wait.
pub(crate) fn waits(date: &[u8], retry_after: &[&[u8]]) {
    let mut headers = HeaderMap::new();
    if let Ok(date) = HeaderValue::from_bytes(date) {
        headers.insert(DATE, date);
    }
    for value in retry_after {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(RETRY_AFTER, value);
        }
    }
    let wait = retry_after::asked(&headers);
    assert!(wait.is_none_or(|wait| wait <= MONTH), "no run can wait {wait:?}");
}

/// `Location`: what is followed stays within the origin, and what is told of another place holds nothing secret.
pub(crate) fn location(text: &str) {
    let Ok(from) = Url::parse("https://www.example.test/base/api/v2/things?page=2") else { return };
    match address::hop(&from, text) {
        None => {}
        Some(Hop::Same(to)) => {
            assert_eq!(to.origin(), from.origin(), "the key would leave its origin");
            assert!(to.username().is_empty() && to.password().is_none(), "{to}");
        }
        Some(Hop::Elsewhere(shown)) => assert!(!shown.contains(['?', '#']), "{shown}"),
    }
}

/// What an error may repeat of a provider's words: short, clean, and without the key wherever it stands.
pub(crate) fn words(text: &str, at: usize, turns_writing: fn(char) -> bool) {
    let echo: String = text.chars().take(at).chain(KEY.chars()).chain(text.chars().skip(at)).collect();
    let words = Words::new(&format!("Bearer {KEY}"));
    for shown in [words.clean(&echo), words.reason(echo.as_bytes()), words.reason(text.as_bytes())] {
        assert!(shown.chars().count() <= 201, "too long to be shown");
        assert!(!shown.contains(KEY), "the key is shown");
        assert!(!shown.chars().any(|c| c.is_control() || turns_writing(c)), "{shown:?}");
    }
}

/// A base URL that the configuration took: the client takes it too, and whatever is asked for stays below it.
pub(crate) fn base(base: &Url, segments: &[&str], query: &[(&str, &str)]) {
    assert_eq!(address::check(base, false), Ok(()), "the configuration takes what the client refuses: {base}");
    let sendable: Vec<&str> = segments.iter().copied().filter(|segment| address::can_be_sent(segment)).collect();
    let url = address::build(base, &address::path(&sendable), query);
    assert_eq!(url.origin(), base.origin());
    let prefix = base.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(prefix);
    assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')), "{url} is not below {base}");
    let count = |path: &str| path.split('/').filter(|part| !part.is_empty()).count();
    assert_eq!(count(url.path()), count(prefix) + sendable.len(), "{url}: a segment became two, or none");
    let sent: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let wanted: Vec<(String, String)> =
        query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(sent, wanted, "a server reads another question");
}
