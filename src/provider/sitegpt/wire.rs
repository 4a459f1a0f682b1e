//! What SiteGPT's answers look like from outside: the two envelopes, their refusals and their paging blocks.
//!
//! v0 sends `success`, `message`, `data`, `error`; v2 sends `ok`, `data`, `error`, `meta`. Source: the
//! getting-started pages of both generations (`/docs/api-reference/getting-started`, `…/v2/getting-started`).

use serde_json::value::RawValue;

use super::json::{self, Fields};
use crate::http::{self, Unfit};

/// How much of a provider's own words is repeated in an error.
const MAX_DETAIL_CHARS: usize = 300;

/// Reads a body and hands what its envelope holds to `take`.
///
/// # Errors
/// See [`Answer::open`]; and those of `take`.
pub(super) fn read<T>(body: &[u8], take: impl FnOnce(&Answer<'_>) -> Result<T, Unfit>) -> Result<T, Unfit> {
    let raw: Box<RawValue> = http::parse(body)?;
    take(&Answer::open(&raw)?)
}

/// The contents of an answer that says it is a success.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    data: Fields<'a>,
    meta: Fields<'a>,
}

impl<'a> Answer<'a> {
    /// Opens the envelope of either generation.
    ///
    /// # Errors
    /// [`Unfit::Refused`] for an envelope that says no, [`Unfit::Broken`] for anything that is no envelope.
    fn open(raw: &'a RawValue) -> Result<Self, Unfit> {
        let envelope = Fields::of(raw).ok_or_else(|| broken("the answer is not an object"))?;
        let flag = envelope.flag("success").or_else(|| envelope.flag("ok"));
        // Without the flag an error beside no data still is a no.
        let refused = flag == Some(false)
            || (flag.is_none() && envelope.some("data").is_none() && envelope.some("error").is_some());
        if refused {
            return Err(refusal(&envelope));
        }
        let data = envelope.object("data").ok_or_else(|| broken("`data` is missing or is not an object"))?;
        Ok(Self { data, meta: envelope.object("meta").unwrap_or_default() })
    }

    /// The elements of the first of these arrays that is there. An empty array is an empty page.
    ///
    /// # Errors
    /// None of them is there, or it is null or something else: never to be taken for an empty page.
    pub(super) fn rows(&self, names: &[&str]) -> Result<Vec<&'a RawValue>, Unfit> {
        let found = names.iter().find_map(|name| self.data.some(name));
        found.and_then(json::array).ok_or_else(|| {
            broken(format!("`data.{}` is missing or is not an array", names.first().copied().unwrap_or_default()))
        })
    }

    /// One object of `data`.
    ///
    /// # Errors
    /// It is missing, null or something else.
    pub(super) fn item(&self, name: &str) -> Result<(&'a RawValue, Fields<'a>), Unfit> {
        let raw = self.data.some(name);
        raw.and_then(|raw| Some((raw, Fields::of(raw)?)))
            .ok_or_else(|| broken(format!("`data.{name}` is missing or is not an object")))
    }

    /// The cursor of the page behind one of so many rows, `None` at the end. The paging block stands in `data.pagination` (documented),
    /// `meta` or `meta.pagination` (the vendor's Python client reads `meta.nextCursor`).
    ///
    /// # Errors
    /// The provider says that there is a next page and does not say how to get it; or says nothing at all beside as many
    /// rows as were asked for.
    pub(super) fn next_cursor(&self, rows: usize, limit: u32) -> Result<Option<String>, Unfit> {
        let blocks = [self.data.object("pagination"), Some(self.meta.clone()), self.meta.object("pagination")];
        let more = blocks.iter().flatten().find_map(|block| block.flag("hasNextPage"));
        let cursor = blocks.iter().flatten().find_map(|block| block.id(&["nextCursor"]));
        let silent = || {
            blocks
                .iter()
                .flatten()
                .all(|block| ["hasNextPage", "nextCursor"].iter().all(|key| block.get(key).is_none()))
        };
        match (more, cursor) {
            (None, None) if rows >= limit as usize && silent() => {
                Err(broken("a full page that does not say what follows"))
            }
            (Some(false), _) | (None, None) => Ok(None),
            (Some(true), None) => Err(broken("`hasNextPage` is true, but there is no `nextCursor`")),
            (_, Some(cursor)) => Ok(Some(cursor)),
        }
    }
}

/// A body that is not what is documented.
pub(super) fn broken(why: impl Into<String>) -> Unfit {
    Unfit::Broken(why.into())
}

/// What the provider says in an envelope that says no, with the status that belongs to its code.
fn refusal(envelope: &Fields<'_>) -> Unfit {
    let error = envelope.object("error").unwrap_or_default();
    let code = error.words("code").or_else(|| envelope.words("code")).unwrap_or_default();
    let said = error.words("message").or_else(|| envelope.words("error")).or_else(|| envelope.words("message"));
    let words = [Some(code.clone()), said, error.words("hint")];
    let detail: Vec<String> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    Unfit::Refused { status: status_of(&code), detail: tidy(&detail.join(": ")) }
}

/// The status that should have come with an error code. Codes are those of the getting-started pages, and by their
/// endings those which are not listed there.
fn status_of(code: &str) -> u16 {
    let code = code.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| code.contains(part));
    if has(&["SCOPE_NOT_ALLOWED", "ANALYTICS_LOCKED", "FORBIDDEN"]) {
        403
    } else if has(&["AUTHORIZATION", "UNAUTHORIZED", "UNAUTHENTICATED", "EXPIRED"])
        || (has(&["NOT_VALID"]) && has(&["KEY", "TOKEN"]))
    {
        401
    } else if has(&["NOT_FOUND"]) {
        404
    } else if has(&["LIMIT"]) {
        429
    } else if has(&["VALIDATION", "NOT_VALID", "BAD_REQUEST"]) {
        400
    } else {
        500
    }
}

/// A provider's words on one line of bounded length.
fn tidy(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_DETAIL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(body: &str) -> Result<usize, Unfit> {
        read(body.as_bytes(), |answer| answer.rows(&["threads"]).map(|rows| rows.len()))
    }

    fn next(body: &str) -> Result<Option<String>, Unfit> {
        read(body.as_bytes(), |answer| answer.next_cursor(1, 2))
    }

    #[test]
    fn only_an_array_is_a_page() {
        assert_eq!(rows(r#"{"success":true,"message":"ok","data":{"threads":[]}}"#).unwrap(), 0);
        assert_eq!(rows(r#"{"ok":true,"data":{"threads":[{},{}]},"meta":{}}"#).unwrap(), 2);
        assert_eq!(rows("\u{feff}{\"ok\":true,\"data\":{\"threads\":[]}}").unwrap(), 0);
        for body in [
            "",
            "<html>busy</html>",
            "[]",
            r#"{"success":true,"message":"ok"}"#,
            r#"{"success":true,"data":null}"#,
            r#"{"success":true,"data":[]}"#,
            r#"{"success":true,"data":{}}"#,
            r#"{"success":true,"data":{"threads":null}}"#,
            r#"{"success":true,"data":{"threads":{}}}"#,
            r#"{"success":true,"data":{"threads":[]}"#,
            r#"{"success":true,"data":{"threads":[]}} trailing"#,
        ] {
            assert!(matches!(rows(body), Err(Unfit::Broken(_))), "{body}");
        }
    }

    #[test]
    fn a_no_inside_a_200_gets_the_status_it_should_have_had() {
        for (code, status) in [
            ("API_KEY_NOT_VALID", 401),
            ("TOKEN_NOT_VALID", 401),
            ("AUTHORIZATION_HEADER_REQUIRED", 401),
            ("CHATBOT_FETCH_FORBIDDEN", 403),
            ("TOKEN_SCOPE_NOT_ALLOWED", 403),
            ("ANALYTICS_LOCKED", 403),
            ("CHATBOT_NOT_FOUND", 404),
            ("MESSAGES_LIMIT_REACHED", 429),
            ("RATE_LIMITED", 429),
            ("REQUEST_VALIDATION_FAILED", 400),
            ("CURSOR_NOT_VALID", 400),
            ("SOMETHING_ELSE", 500),
        ] {
            let v0 = format!(
                r#"{{"success":false,"message":"no","data":null,"error":{{"code":"{code}","message":"why","details":null}}}}"#
            );
            let v2 = format!(
                r#"{{"ok":false,"error":{{"code":"{code}","message":"why","hint":"do this"}},"meta":{{"requestId":"r1"}}}}"#
            );
            for body in [v0, v2] {
                let Err(Unfit::Refused { status: found, detail }) = rows(&body) else { panic!("{body}") };
                assert_eq!(found, status, "{code}");
                assert!(detail.starts_with(&format!("{code}: why")), "{detail}");
            }
        }
        let bare = rows(r#"{"success":false}"#);
        assert!(matches!(bare, Err(Unfit::Refused { status: 500, .. })), "{bare:?}");
        let worded = rows(r#"{"error":"line one\nline two"}"#);
        assert!(matches!(&worded, Err(Unfit::Refused { detail, .. }) if detail == "line one line two"), "{worded:?}");
    }

    #[test]
    fn the_next_cursor_is_found_where_the_documents_put_it() {
        let data = |block: &str| format!(r#"{{"ok":true,"data":{{"threads":[],"pagination":{block}}}}}"#);
        assert_eq!(next(&data(r#"{"hasNextPage":true,"nextCursor":"c1"}"#)).unwrap().unwrap(), "c1");
        assert_eq!(next(&data(r#"{"hasNextPage":false,"nextCursor":"c1"}"#)).unwrap(), None);
        assert_eq!(next(&data(r#"{"hasNextPage":false,"nextCursor":null}"#)).unwrap(), None);
        assert_eq!(next(&data(r#"{"nextCursor":17}"#)).unwrap().unwrap(), "17");
        assert_eq!(next(&data("null")).unwrap(), None);
        let meta = r#"{"ok":true,"data":{},"meta":{"nextCursor":"m"}}"#;
        assert_eq!(next(meta).unwrap().unwrap(), "m");
        let nested = r#"{"ok":true,"data":{},"meta":{"pagination":{"nextCursor":"n","hasNextPage":true}}}"#;
        assert_eq!(next(nested).unwrap().unwrap(), "n");
    }

    #[test]
    fn a_promised_page_without_a_way_to_it_is_not_the_end() {
        let body = r#"{"ok":true,"data":{"threads":[],"pagination":{"hasNextPage":true,"nextCursor":null}}}"#;
        assert!(matches!(next(body), Err(Unfit::Broken(_))));
    }

    #[test]
    fn a_full_page_without_a_word_about_the_next_is_not_the_end() {
        let full = |body: &str| read(body.as_bytes(), |answer| answer.next_cursor(2, 2));
        let silent = r#"{"ok":true,"data":{"threads":[{},{}]},"meta":{"requestId":"r1"}}"#;
        assert!(matches!(full(silent), Err(Unfit::Broken(_))));
        assert_eq!(next(silent).unwrap(), None, "one that is not full may be all there is");
        for says_so in [r#"{"hasNextPage":false}"#, r#"{"nextCursor":null}"#] {
            assert_eq!(full(&format!(r#"{{"ok":true,"data":{{"pagination":{says_so}}}}}"#)).unwrap(), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(read(&bytes, |answer| answer.rows(&["threads"]).map(|rows| rows.len())));
        }
    }
}
