//! Who is answered: nobody who was led here by a foreign web page, nobody without the token where there is one, and
//! nobody who wants anything but to read.
//!
//! There are no cookies and no CORS headers, and none are to be added: a browser then shows a page elsewhere nothing of
//! an answer. [`is_foreign`] keeps such pages from having anything done for them in the first place.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::trouble::Trouble;
use super::{api, html};

/// An answer takes no longer; a store that cannot be read in this time counts as not to be read.
const ANSWER: Duration = Duration::from_secs(15);

/// Answered without the token: that the process lives is no secret, and those who only watch that need no key.
const OPEN: &str = "/healthz";

#[derive(Clone)]
struct Guard {
    token: Option<Arc<SecretString>>,
}

/// Puts the guard around routes, unknown ones included.
pub(super) fn around(router: Router, token: Option<SecretString>) -> Router {
    let guard = Guard { token: token.map(Arc::new) };
    router.fallback(unknown).layer(from_fn_with_state(guard, watch))
}

async fn unknown(uri: Uri) -> Response {
    nothing(&uri)
}

/// There is no such page, told as a page; below `/api` as every failure there.
fn nothing(uri: &Uri) -> Response {
    let why = "there is nothing at this address";
    if is_api(uri) {
        api::failure(StatusCode::NOT_FOUND, why)
    } else {
        html::answer(uri, Err(Trouble::Missing(why.to_owned())))
    }
}

/// Why somebody is not answered, in a line; below `/api` as every failure there.
fn failure(uri: &Uri, status: StatusCode, why: &str) -> Response {
    if is_api(uri) { api::failure(status, why) } else { (status, format!("{why}\n")).into_response() }
}

fn is_api(uri: &Uri) -> bool {
    uri.path() == "/api" || uri.path().starts_with("/api/")
}

/// Whether a path is text once its escapes are taken back. Nothing here has a name that is not.
fn is_text(path: &str) -> bool {
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match escaped.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

async fn watch(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let mut response = match guard.refuse(&request) {
        Some(refusal) => refusal,
        None if !is_text(uri.path()) => nothing(&uri),
        None => tokio::time::timeout(ANSWER, next.run(request))
            .await
            .unwrap_or_else(|_| failure(&uri, StatusCode::SERVICE_UNAVAILABLE, "this takes too long")),
    };
    harden(response.headers_mut());
    response
}

impl Guard {
    fn refuse(&self, request: &Request) -> Option<Response> {
        let (headers, uri) = (request.headers(), request.uri());
        // The token proves more than a name could.
        if self.token.is_none() && !is_called_by_a_loopback_name(request) {
            let why = "call this listener localhost, or by its loopback address";
            return Some(failure(uri, StatusCode::MISDIRECTED_REQUEST, why));
        }
        if is_foreign(request) {
            return Some(failure(uri, StatusCode::FORBIDDEN, "this listener answers no other site's pages"));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let why = "everything here is read-only: ask with GET or HEAD";
            let refusal = failure(uri, StatusCode::METHOD_NOT_ALLOWED, why);
            return Some(([(header::ALLOW, "GET, HEAD")], refusal).into_response());
        }
        if self.token.as_ref().is_some_and(|token| uri.path() != OPEN && !shows(headers, token)) {
            // Programs say Bearer; a browser asks its user, and says Basic.
            let ask = AppendHeaders([
                (header::WWW_AUTHENTICATE, "Bearer"),
                (header::WWW_AUTHENTICATE, "Basic realm=\"chatloom\", charset=\"UTF-8\""),
            ]);
            let refusal = failure(uri, StatusCode::UNAUTHORIZED, "show the token of [http] token_file");
            return Some((ask, refusal).into_response());
        }
        let has_body = headers.contains_key(header::TRANSFER_ENCODING)
            || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        has_body.then(|| failure(uri, StatusCode::PAYLOAD_TOO_LARGE, "send no body: everything here is read-only"))
    }
}

/// Whether the request's one and only authorization is the token. Takes as long for a near miss as for a wild guess.
fn shows(headers: &HeaderMap, token: &SecretString) -> bool {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return false };
    let Some((scheme, shown)) = given.as_bytes().iter().position(|byte| *byte == b' ').map(|at| {
        let (scheme, rest) = given.as_bytes().split_at(at);
        (scheme, rest.trim_ascii())
    }) else {
        return false;
    };
    // Whatever name was typed beside it: the token alone counts.
    let shown = match (scheme.eq_ignore_ascii_case(b"bearer"), scheme.eq_ignore_ascii_case(b"basic")) {
        (true, _) => Zeroizing::new(shown.to_vec()),
        (_, true) => match STANDARD.decode(shown).map(Zeroizing::new) {
            Ok(pair) => match pair.iter().position(|byte| *byte == b':') {
                Some(at) => Zeroizing::new(pair.iter().skip(at + 1).copied().collect()),
                None => return false,
            },
            Err(_) => return false,
        },
        _ => return false,
    };
    // Of the digests, which are of one length: not even how long the token is can be timed.
    let digest = |text: &[u8]| ring::digest::digest(&ring::digest::SHA256, text);
    let (shown, token) = (digest(&shown), digest(token.expose_secret().as_bytes()));
    bool::from(shown.as_ref().ct_eq(token.as_ref()))
}

/// Whether a browser says that a page of another origin asks. Following a link to a page of ours is no such thing:
/// then it is the visitor who looks at it.
fn is_foreign(request: &Request) -> bool {
    let headers = request.headers();
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|given| given == value);
    let followed = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
    if (says("sec-fetch-site", "cross-site") || says("sec-fetch-site", "same-site")) && !followed {
        return true;
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return false };
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let named = origin.to_str().ok().and_then(|origin| {
        // Behind a proxy that speaks TLS it is https to the browser.
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
    });
    origins.next().is_some()
        || named.is_none()
        || !named.zip(own).is_some_and(|(named, own)| named.eq_ignore_ascii_case(own))
}

/// A web page elsewhere can have its own name lead to this machine and ask in a visitor's browser; it cannot make the
/// browser say another name.
fn is_called_by_a_loopback_name(request: &Request) -> bool {
    let mut named = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return false };
    let in_line = request.uri().host().is_none_or(is_loopback_name);
    in_line
        && host
            .to_str()
            .ok()
            .and_then(|host| host.parse::<axum::http::uri::Authority>().ok())
            .is_some_and(|host| !host.as_str().contains('@') && is_loopback_name(host.host()))
}

fn is_loopback_name(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Nothing of an answer is kept, guessed at, or allowed to load anything. A page may set a policy of its own.
fn harden(headers: &mut HeaderMap) {
    const ALL: [(HeaderName, &str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        // No page elsewhere takes an answer in as a picture, a script or a frame, or keeps a hand on its window.
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in ALL {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// For `crate::fuzzing`: who is taken for a caller from this machine, and for one who has the token.
pub(crate) fn fuzzed(host: &[u8], authorization: &[u8]) {
    let mut request = Request::new(axum::body::Body::empty());
    if let Ok(host) = HeaderValue::from_bytes(host) {
        request.headers_mut().insert(header::HOST, host);
    }
    if let Ok(given) = HeaderValue::from_bytes(authorization) {
        request.headers_mut().insert(header::AUTHORIZATION, given);
    }
    if is_called_by_a_loopback_name(&request) {
        // A browser that sends such a name means this machine by it.
        let url = std::str::from_utf8(host).ok().and_then(|host| url::Url::parse(&format!("http://{host}/")).ok());
        let loopback = url.is_none_or(|url| match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        });
        assert!(loopback, "{:?} is taken for a loopback name", String::from_utf8_lossy(host));
    }
    let token = SecretString::from("a-long-token");
    if shows(request.headers(), &token) {
        let pair = authorization
            .trim_ascii_end()
            .rsplit(|byte| *byte == b' ')
            .next()
            .and_then(|pair| STANDARD.decode(pair).ok());
        let typed = pair.is_some_and(|pair| pair.ends_with(b":a-long-token"));
        assert!(typed || authorization.trim_ascii_end().ends_with(b"a-long-token"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback_names() {
        for name in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "[::1]", "::1"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in ["example.test", "localhost.example.test", "127.0.0.1.nip.example.test", "0.0.0.0", "10.0.0.1", ""]
        {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_told_apart_from_visitors() {
        let foreign = |lines: &[(&str, &str)]| {
            let request = Request::builder().uri("/metrics").header("host", "localhost:8787");
            let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            is_foreign(&request.body(axum::body::Body::empty()).unwrap())
        };
        for own in [
            &[][..],
            &[("origin", "http://localhost:8787")],
            &[("origin", "https://LOCALHOST:8787")],
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
        ] {
            assert!(!foreign(own), "{own:?}");
        }
        for other in [
            &[("origin", "http://attacker.example.test")][..],
            &[("origin", "http://localhost:9999")],
            &[("origin", "http://localhost")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "file://localhost:8787")],
            &[("origin", "http://localhost:8787"), ("origin", "http://localhost:8787")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        ] {
            assert!(foreign(other), "{other:?}");
        }
    }

    #[test]
    fn the_token_is_all_or_nothing() {
        let token = SecretString::from("a-long-token");
        let shown = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            shows(&headers, &token)
        };
        assert!(shown(&["Bearer a-long-token"]) && shown(&["bearer  a-long-token"]));
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert!(
            shown(&[&basic("anybody:a-long-token")]) && shown(&[&basic(":a-long-token").replace("Basic", "basic")])
        );
        for wrong in ["a-long-token", "a-long-token:", "x:a-long-toke", "x:a-long-token ", "x:y:a-long-token"] {
            assert!(!shown(&[&basic(wrong)]), "{wrong}");
        }
        for wrong in [&["Bearer a-long-toke"][..], &["Bearer "], &["Basic a-long-token"], &["a-long-token"], &[""], &[]]
        {
            assert!(!shown(wrong), "{wrong:?}");
        }
        assert!(!shown(&["Bearer a-long-token", "Bearer a-long-token"]), "which of two counts is anybody's guess");
    }
}
