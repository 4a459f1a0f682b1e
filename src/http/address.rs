//! Addresses: which a key may be sent to, and how one is put together.

use std::net::IpAddr;

use url::{Host, Url};

use crate::model::Reach;

/// Checks that a key may be sent to a base URL. What a name leads to is looked at when it is connected to
/// (`resolve`); an address is looked at here.
///
/// # Errors
/// Says what is wrong with it. The text never quotes the URL, which may hold a password.
pub(super) fn check(base: &Url, private_network: bool) -> Result<(), String> {
    if !base.username().is_empty() || base.password().is_some() {
        return Err("base_url must not hold a user name or a password".to_owned());
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err("base_url must end with its path: no ? and no #".to_owned());
    }
    if let Some(address) = literal(base)
        && !is_loopback(base)
        && !Reach::of(address).is_open_to(private_network)
    {
        return Err(format!("base_url is {}", Reach::of(address).name()));
    }
    match base.scheme() {
        "https" if base.host().is_some() => Ok(()),
        "http" if is_loopback(base) => Ok(()),
        "http" => Err("base_url must begin with https:// (http:// is for loopback addresses only)".to_owned()),
        _ => Err("base_url must begin with https://".to_owned()),
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

/// Whether an address is on this machine: 127.0.0.0/8, `::1`, `localhost`.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// The path below the base URL as it is sent, percent-encoded, without a slash in front. Also the name of the
/// endpoint in errors.
pub(super) fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| encode(segment)).collect::<Vec<_>>().join("/")
}

/// Whether a segment can be sent at all. `.` and `..` are folded away by every URL library, encoded or not, and an
/// empty one makes an item's address that of its list: either would silently ask for something else.
pub(super) fn can_be_sent(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
}

/// `base/path?query`, where `path` comes from [`path`].
pub(super) fn build(base: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    let prefix = base.path().trim_end_matches('/');
    if !path.is_empty() {
        url.set_path(&format!("{prefix}/{path}"));
    }
    let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    url.set_query((!pairs.is_empty()).then(|| pairs.join("&")).as_deref());
    url
}

/// Percent-encodes everything but the characters that RFC 3986 leaves unreserved.
pub(super) fn encode(text: &str) -> String {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    // As long as it may get: a text that grows leaves copies behind, and this may be a key.
    let mut encoded = String::with_capacity(text.len().saturating_mul(3));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(HEX.get(usize::from(byte >> 4)));
            encoded.extend(HEX.get(usize::from(byte & 15)));
        }
    }
    encoded
}

/// Where a redirect leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hop {
    /// To the same scheme, host and port: the key may go there.
    Same(Url),
    /// Elsewhere: origin and path of it, no query.
    Elsewhere(String),
}

/// Resolves a `Location`. `None` when it is none.
pub(super) fn hop(from: &Url, location: &str) -> Option<Hop> {
    let mut to = from.join(location).ok()?;
    to.set_fragment(None);
    let plain = to.username().is_empty() && to.password().is_none();
    if to.origin() == from.origin() && plain { Some(Hop::Same(to)) } else { Some(Hop::Elsewhere(shown(&to))) }
}

/// Origin and path of a URL, for people.
pub(super) fn shown(url: &Url) -> String {
    let origin = url.origin();
    if origin.is_tuple() {
        format!("{}{}", origin.ascii_serialization(), url.path())
    } else {
        format!("a {}: address", url.scheme())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_key_goes_over_https_or_stays_on_this_machine() {
        for good in [
            "https://www.example.test/x",
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:2/a",
            "http://LOCALHOST",
        ] {
            assert_eq!(check(&url(good), false), Ok(()), "{good}");
        }
        for bad in [
            "http://www.example.test",
            "http://192.0.2.1",
            "http://localhost.example.test",
            "http://0.0.0.0",
            "ftp://127.0.0.1",
            "file:///tmp/x",
            "https://www.example.test/?a=b",
            "https://www.example.test/#a",
            "https://169.254.169.254",
            "https://[::ffff:169.254.169.254]",
        ] {
            assert!(check(&url(bad), true).is_err(), "{bad}");
        }
        for private in
            ["https://10.0.0.1", "https://192.168.1.1:8443/x", "https://[fd12::1]", "https://[::ffff:127.0.0.1]"]
        {
            assert!(check(&url(private), false).is_err() && check(&url(private), true).is_ok(), "{private}");
        }
        let refused = check(&url("https://user:hunter2@www.example.test"), true).unwrap_err();
        assert!(refused.contains("password") && !refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn the_prefix_stays_and_every_character_survives() {
        let base = url("https://www.example.test/pre%20fix/api/");
        let built =
            build(&base, &path(&["threads", "a/../b?#%é\\"]), &[("page", "MSo+Kg=="), ("pagination[limit]", "5")]);
        assert_eq!(
            built.as_str(),
            "https://www.example.test/pre%20fix/api/threads/a%2F..%2Fb%3F%23%25%C3%A9%5C?page=MSo%2BKg%3D%3D&pagination%5Blimit%5D=5"
        );
        assert_eq!(build(&url("https://www.example.test"), "a", &[]).as_str(), "https://www.example.test/a");
        assert_eq!(build(&base, "", &[]).as_str(), base.as_str());
    }

    #[test]
    fn redirects_are_told_apart_by_origin() {
        let from = url("https://example.test/api/v2/x?page=1");
        assert_eq!(hop(&from, "/api/v2/x/?page=1"), Some(Hop::Same(url("https://example.test/api/v2/x/?page=1"))));
        assert_eq!(hop(&from, "https://example.test:443/y#z"), Some(Hop::Same(url("https://example.test/y"))));
        for (location, target) in [
            ("https://www.example.test/api?key=1", "https://www.example.test/api"),
            ("http://example.test/api", "http://example.test/api"),
            ("//evil.test", "https://evil.test/"),
            ("https://example.test:8443/", "https://example.test:8443/"),
            ("https://u:p@example.test/q", "https://example.test/q"),
            ("javascript:alert(1)", "a javascript: address"),
        ] {
            assert_eq!(hop(&from, location), Some(Hop::Elsewhere(target.to_owned())), "{location}");
        }
        assert_eq!(hop(&from, "https://["), None);
    }

    proptest! {
        #[test]
        fn any_id_stays_one_segment(id in any::<String>()) {
            prop_assume!(can_be_sent(&id));
            let built = build(&url("https://www.example.test/api"), &path(&["threads", &id]), &[("q", &id)]);
            let segments: Vec<_> = built.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 3);
            prop_assert_eq!(segments[2], encode(&id));
            prop_assert_eq!(built.query_pairs().next().unwrap().1, id);
        }
    }
}
