//! What a request looks like to a simulated provider, and what it answers; below that, connections that can be cut.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// One request, taken apart.
#[derive(Clone)]
pub struct RequestInfo {
    pub method: String,
    /// As sent (still percent-encoded), without the world's prefix.
    pub path: String,
    /// The path's parts, decoded.
    pub segments: Vec<String>,
    /// Query pairs in the order sent, decoded; a repeated name stands there repeatedly.
    pub query: Vec<(String, String)>,
    /// Header names in lower case, with their values. In the log the credential's value is blanked.
    pub headers: Vec<(String, String)>,
    /// When it came, on the runtime's clock.
    pub at: Instant,
}

impl RequestInfo {
    /// The first value of a query name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a query name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A header's value by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The path's parts as borrowed text, to match on.
    #[must_use]
    pub fn parts(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    pub(super) fn new(method: &str, path: &str, query: Option<&str>, headers: Vec<(String, String)>) -> Self {
        let segments = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let query = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self { method: method.to_owned(), path: path.to_owned(), segments, query, headers, at: Instant::now() }
    }

    /// Blanks the values that carry a credential.
    pub(super) fn blank_credentials(&mut self) {
        for (name, value) in &mut self.headers {
            if matches!(name.as_str(), "authorization" | "x-api-key" | "cookie") {
                "***".clone_into(value);
            }
        }
    }
}

impl std::fmt::Debug for RequestInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?}", self.method, self.path, self.query)
    }
}

/// Percent-decoding of one path segment; what is no valid escape stays as it is.
fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digits = (byte == b'%').then(|| (ahead.next(), ahead.next()));
        let hex = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        match digits.map(|(high, low)| (hex(high), hex(low))) {
            Some((Some(high), Some(low))) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer before it is sent.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// `content-type` included.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json; charset=utf-8", body.to_string().into_bytes())
    }

    /// An HTML page.
    #[must_use]
    pub fn html(status: u16, body: &str) -> Self {
        Self::bytes(status, "text/html; charset=UTF-8", body.as_bytes().to_vec())
    }

    fn bytes(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body }
    }
}

/// The sending side of one connection, as a handler sees it: how many more bytes of body get through.
#[derive(Debug, Clone)]
pub(super) struct Link(Arc<AtomicU64>);

const UNCUT: u64 = u64::MAX;

impl Link {
    /// The connection dies after so many bytes of the body; with 0, before the first byte of the head.
    pub(super) fn cut_after(&self, body_bytes: u64) {
        self.0.store(body_bytes, Ordering::SeqCst);
    }
}

/// Accepts connections that can be cut.
pub(super) struct CutListener(pub(super) TcpListener);

/// A connection that can be cut.
pub(super) struct CutStream {
    stream: TcpStream,
    link: Link,
    spent: bool,
}

impl Listener for CutListener {
    type Io = CutStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "simulated provider answers with delays");
        }
        (CutStream { stream, link: Link(Arc::new(AtomicU64::new(UNCUT))), spent: false }, peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, CutListener>> for Link {
    fn connect_info(stream: IncomingStream<'_, CutListener>) -> Self {
        stream.io().link.clone()
    }
}

impl AsyncRead for CutStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let limit = self.link.0.load(Ordering::SeqCst);
        if limit == UNCUT {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        if limit == 0 || self.spent {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let head = buf.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        let allowed = head.saturating_add(usize::try_from(limit).unwrap_or(usize::MAX));
        let sent = Pin::new(&mut self.stream).poll_write(cx, buf.get(..allowed).unwrap_or(buf));
        self.spent = sent.is_ready();
        sent
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestInfo, decode};

    #[test]
    fn a_path_is_split_before_it_is_decoded() {
        let request = RequestInfo::new("GET", "/a%2Fb/caf%C3%A9/%zz", Some("x=1+2&x=%3D&y"), Vec::new());
        assert_eq!(request.parts(), ["a/b", "café", "%zz"]);
        assert_eq!(request.all("x"), ["1 2", "="]);
        assert_eq!(request.first("y"), Some(""));
    }

    #[test]
    fn broken_escapes_stay() {
        assert_eq!(decode("%"), "%");
        assert_eq!(decode("%4"), "%4");
        assert_eq!(decode("%41%"), "A%");
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives_a_path(text in ".*") {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            proptest::prop_assert_eq!(decode(&escaped), text.clone());
            let _nothing = decode(&text);
        }
    }
}
