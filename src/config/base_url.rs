//! Where a provider is reached: https (or loopback), a host, an optional path prefix, and nothing else.

use std::net::IpAddr;

use url::{Host, Url};

use super::problem::{Complaint, shown};
use crate::model::{ProviderKind, Reach};

/// Checks a base URL. Slashes at the end of the path are dropped; the path before them is kept.
///
/// What a name leads to is looked at when it is connected to. An address is looked at here: it must be written as
/// addresses are, and lie where providers are (`private_network`: or in a network of one's own).
pub(super) fn base_url(text: &str, provider: Option<ProviderKind>, private_network: bool) -> Result<Url, Complaint> {
    // A URL may carry a password or a key; it is only repeated where it cannot.
    let told = if text.contains(['@', '?', '#']) { "the URL".to_owned() } else { shown(text) };
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(Complaint::new(format!("{told} has spaces, control characters or backslashes in it")));
    }
    let mut url = Url::parse(text).map_err(|error| {
        let complaint = Complaint::new(format!("{told} is not a URL: {error}"));
        match error {
            url::ParseError::RelativeUrlWithoutBase => complaint.suggest("begin it with https://"),
            _ => complaint,
        }
    })?;
    let loopback = match url.host() {
        None => return Err(Complaint::new(format!("{told} has no host")).suggest("begin it with https://")),
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            let complaint = Complaint::new(format!("{told} is not encrypted: the key would travel in the clear"));
            return Err(
                complaint.suggest("use https:// (http:// is only for this machine: 127.0.0.0/8, ::1, localhost)")
            );
        }
        scheme => {
            return Err(
                Complaint::new(format!("{} is not a scheme to fetch with", shown(scheme))).suggest("use https://")
            );
        }
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some((IpAddr::from(address), address.to_string())),
        Some(Host::Ipv6(address)) => Some((IpAddr::from(address), String::new())),
        _ => None,
    };
    if let Some((address, plain)) = address {
        // `0x7f000001`, `2130706433` and `127.1` are addresses to the standard for URLs, and to nobody else.
        if !text.contains(plain.as_str()) {
            return Err(Complaint::new(format!("{told} hides the address {plain}")).suggest("write it as it is"));
        }
        let reach = Reach::of(address);
        if !loopback && !reach.is_open_to(private_network) {
            let complaint = Complaint::new(format!("{told} is {}", reach.name()));
            return Err(if reach.is_open_to(true) {
                complaint.suggest("private_network = true below the source allows it, if that is meant")
            } else {
                complaint
            });
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            Complaint::new("the URL holds a user or password").suggest("keys go into api_key_env or api_key_file")
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Complaint::new("the URL has a query (?) or fragment (#)").suggest("leave it out"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    if let Some(prefix) = without_api_path(&path) {
        let mut shorter = url.clone();
        shorter.set_path(prefix);
        let appended = match provider {
            Some(ProviderKind::BrilliantDirectories) => "/api/v2",
            Some(ProviderKind::Zaia) => "/api/v1",
            Some(ProviderKind::Sitegpt) => "/api/v0 or /api/v2",
            None => "the API path",
        };
        let complaint = Complaint::new(format!("{told} already ends in the API path, and {appended} is appended"));
        return Err(complaint.suggest(format!("leave it out: \"{}\"", shorter.as_str().trim_end_matches('/'))));
    }
    Ok(url)
}

/// What stands before a final `/api/v<number>`, if the path ends so.
fn without_api_path(path: &str) -> Option<&str> {
    let (before, version) = path.rsplit_once('/')?;
    let (prefix, api) = before.rsplit_once('/')?;
    let number = version.strip_prefix(['v', 'V'])?;
    let versioned = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    (versioned && api.eq_ignore_ascii_case("api")).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, Complaint> {
        base_url(text, Some(ProviderKind::BrilliantDirectories), false).map(String::from)
    }

    #[test]
    fn hosts_ports_and_prefixes_are_kept() {
        for (text, expected) in [
            ("https://www.example.test", "https://www.example.test/"),
            ("https://www.example.test/", "https://www.example.test/"),
            ("https://www.example.test//", "https://www.example.test/"),
            ("HTTPS://WWW.Example.test:8443/proxy/bd/", "https://www.example.test:8443/proxy/bd"),
            ("https://www.example.test/api", "https://www.example.test/api"),
            ("https://www.example.test/api/v2/site", "https://www.example.test/api/v2/site"),
            ("http://localhost:9000", "http://localhost:9000/"),
            ("http://127.8.0.1/x", "http://127.8.0.1/x"),
            ("http://[::1]:9000", "http://[::1]:9000/"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_doubled_api_path_is_taken_off_in_the_suggestion() {
        for text in
            ["https://www.example.test/api/v2", "https://www.example.test/API/V2/", "https://www.example.test/api/v1"]
        {
            let complaint = read(text).unwrap_err();
            assert!(complaint.suggestion.unwrap().contains("\"https://www.example.test\""), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_base_is_refused() {
        for (text, part) in [
            ("", "not a URL"),
            ("www.example.test", "not a URL"),
            ("localhost:9000", "no host"),
            ("https://", "not a URL"),
            ("mailto:ada@example.test", "no host"),
            ("http://www.example.test", "not encrypted"),
            ("http://localhost.example.test", "not encrypted"),
            ("http://192.0.2.7", "not encrypted"),
            ("ftp://www.example.test", "scheme"),
            ("https://www.example.test/?x=1", "query"),
            ("https://www.example.test/#top", "fragment"),
            ("https://www.example .test", "spaces"),
            ("https://www.example.test\\x", "backslashes"),
        ] {
            let complaint = read(text).unwrap_err();
            assert!(complaint.message.contains(part), "{text}: {}", complaint.message);
        }
    }

    #[test]
    fn an_address_is_written_plainly_and_leads_where_providers_are() {
        for (text, part) in [
            ("https://169.254.169.254", "metadata"),
            ("https://[::ffff:169.254.169.254]", "metadata"),
            ("https://[fe80::1]", "link-local"),
            ("https://0.0.0.0", "reserved"),
            ("https://10.0.0.1", "private network"),
            ("https://192.168.1.20:8443/x", "private network"),
            ("https://[::ffff:127.0.0.1]", "this machine"),
            ("https://0x7f000001", "hides the address 127.0.0.1"),
            ("http://0x7f000001", "hides the address 127.0.0.1"),
            ("http://2130706433", "hides the address 127.0.0.1"),
            ("https://0xa9fea9fe", "hides the address 169.254.169.254"),
            ("http://127.1", "hides the address 127.0.0.1"),
        ] {
            let complaint = read(text).unwrap_err();
            assert!(complaint.message.contains(part), "{text}: {}", complaint.message);
        }
        for text in ["https://10.0.0.1", "https://[fd12::1]", "https://192.168.1.20:8443/x"] {
            assert!(base_url(text, None, true).is_ok(), "{text}");
        }
        assert!(base_url("https://169.254.169.254", None, true).is_err());
        assert!(base_url("http://10.0.0.1", None, true).unwrap_err().message.contains("not encrypted"));
        assert!(read("https://192.0.2.7/x").is_ok());
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        for text in
            ["https://ada:hunter2@example.test", "http://ada:hunter2@example.test", "https://hunter2@", "x?hunter2"]
        {
            let complaint = read(text).unwrap_err();
            assert!(!format!("{complaint:?}").contains("hunter2"), "{complaint:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(https?://)?\\PC{0,40}") {
            if let Ok(url) = base_url(&text, None, true) {
                proptest::prop_assert!(url.host().is_some() && url.username().is_empty() && url.query().is_none());
            }
        }
    }
}
