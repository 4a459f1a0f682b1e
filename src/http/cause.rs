//! Why a connection or a transfer failed, in plain words and without the URL.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use super::resolve::Astray;

/// What went wrong on the way. `connect_timeout` is named when it ran out.
pub(super) fn plain(error: &reqwest::Error, connect_timeout: Duration) -> String {
    if error.is_connect() && error.is_timeout() {
        return format!("no connection within {}", seconds(connect_timeout));
    }
    if let Some(astray) = astray(error) {
        return astray;
    }
    // The error itself names the whole URL, and what it has to say stands in its sources.
    let mut innermost = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(cause) = known(error) {
            return cause;
        }
        innermost = error.to_string();
        source = error.source();
    }
    match (innermost.is_empty(), error.is_decode()) {
        (true, true) => "the body could not be unpacked".to_owned(),
        (true, false) => "the request failed".to_owned(),
        (false, true) => format!("the body could not be unpacked: {innermost}"),
        (false, false) => innermost,
    }
}

/// A name whose addresses were all refused says more than "name not found".
fn astray(error: &reqwest::Error) -> Option<String> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(astray) = error.downcast_ref::<Astray>() {
            return Some(astray.to_string());
        }
        source = error.source();
    }
    None
}

/// `60 s`, `0.5 s`.
pub(super) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn known(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls(error));
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // An io::Error hides what it wraps from `source`, which would skip it.
        if let Some(cause) = error.get_ref().and_then(|inner| known(inner)) {
            return Some(cause);
        }
        return of_kind(error.kind()).map(str::to_owned);
    }
    let words = error.to_string();
    if words.starts_with("dns error") || words.starts_with("failed to lookup address") {
        return Some("name not found".to_owned());
    }
    let cut =
        ["connection closed before message completed", "end of file before message length reached", "unexpected EOF"];
    cut.iter().any(|sign| words.contains(sign)).then(|| "the answer was cut short".to_owned())
}

fn tls(error: &rustls::Error) -> String {
    let words = error.to_string();
    match words.strip_prefix("invalid peer certificate: ") {
        Some(why) => format!("certificate not accepted: {why}"),
        None => format!("TLS failed: {words}"),
    }
}

fn of_kind(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset => "connection reset",
        ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::NotConnected => "connection closed",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => "network unreachable",
        ErrorKind::TimedOut => "timed out",
        ErrorKind::UnexpectedEof => "the answer was cut short",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_inside_an_io_error_is_named() {
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let wrapped = io::Error::new(ErrorKind::InvalidData, expired);
        assert!(known(&wrapped).unwrap().starts_with("certificate not accepted: "));
        let other = io::Error::new(ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert!(known(&other).unwrap().starts_with("TLS failed: "));
    }

    #[test]
    fn the_usual_troubles_have_plain_names() {
        assert_eq!(known(&io::Error::from(ErrorKind::ConnectionRefused)).as_deref(), Some("connection refused"));
        assert_eq!(known(&io::Error::other("dns error: no such host")).as_deref(), Some("name not found"));
        assert_eq!(known(&io::Error::other("whatever")), None);
        assert_eq!(seconds(Duration::from_millis(500)), "0.5 s");
        assert_eq!(seconds(Duration::from_secs(60)), "60 s");
    }
}
