//! What can be done to an answer on its way, and how it looks on the wire.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer as the simulator gave it.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Without `content-length` and `connection`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// An answer with a body of JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    /// An answer with any text.
    pub(crate) fn text(status: u16, content_type: &str, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec() }
    }

    /// With one header more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn head(&self, framing: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Whatever\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        head.extend_from_slice(framing.as_bytes());
        head.extend_from_slice(b"\r\n");
        head
    }

    fn whole(&self) -> Vec<u8> {
        let mut bytes = self.head(&format!("content-length: {}\r\n", self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

type EditBody = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
type EditAnswer = Arc<dyn Fn(&mut Answer) + Send + Sync>;

/// Something that befalls one request.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Nothing.
    Pass,
    /// This answer, and the simulator is not asked.
    Answer(Answer),
    /// The true answer, changed: status, headers, body.
    Edit(EditAnswer),
    /// These very bytes, then the connection is closed; the simulator is not asked.
    Bytes(Vec<u8>),
    /// The connection is reset before a byte of the answer.
    ResetBefore,
    /// The connection is closed before a byte of the answer.
    CloseBefore,
    /// Reset in the middle of the head.
    ResetInHead,
    /// Reset in the middle of the body.
    ResetInBody,
    /// Closed in the middle of a body whose length was announced.
    CloseInBody,
    /// A body without a length, closed in its middle: only its text shows that something is missing.
    CutWithoutLength,
    /// The chunked body ends without its last chunk.
    CutChunks,
    /// A chunk whose size is no number.
    BrokenChunk,
    /// The whole body in chunks, as it should be.
    Chunks,
    /// A length of ten terabytes is announced.
    HugeLength,
    /// The announced length is so many bytes off from the true one.
    WrongLength(i64),
    /// Chunks without end.
    EndlessBody,
    /// So many bytes in chunks, then nothing more.
    StallAfter(usize),
    /// Header lines without end.
    EndlessHeaders,
    /// Never answers.
    Hang,
    /// Half the body, then nothing more.
    StallInBody,
    /// A byte of the head every so often.
    SlowHead(Duration),
    /// A byte of the body every so often.
    SlowBody(Duration),
    /// The true answer, so late.
    Late(Duration),
    /// The true answer, every byte a packet of its own.
    Sliced,
    /// The true answer; then the connection is closed although it was to be kept.
    CloseAfter,
    /// The true answer, compressed, as `content-encoding: gzip`.
    Gzip,
    /// Compressed, and cut in the middle.
    CutGzip,
    /// So many bytes of zeros, compressed.
    GzipBomb(u64),
    /// Compressed twice, with both encodings named.
    GzipTwice,
    /// The true answer, with an encoding that nobody knows.
    UnknownEncoding,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Fault {
    /// A bare status with a small JSON body.
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(Answer::json(status, &serde_json::json!({"error": status})))
    }

    /// A bare status with a `Retry-After` of any kind.
    pub(crate) fn retry_after(status: u16, value: &str) -> Self {
        Self::Answer(Answer::json(status, &serde_json::json!({"error": status})).with("retry-after", value))
    }

    /// An HTML page where JSON was promised.
    pub(crate) fn html(status: u16) -> Self {
        Self::Answer(Answer::text(status, "text/html", "<!DOCTYPE html><html><title>Sign in</title></html>"))
    }

    /// The true answer with its JSON changed.
    pub(crate) fn json(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(move |answer| {
            if let Ok(mut value) = serde_json::from_slice(&answer.body) {
                edit(&mut value);
                answer.body = value.to_string().into_bytes();
            }
        }))
    }

    /// The true answer with the bytes of its body changed.
    pub(crate) fn body(edit: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let edit: EditBody = Arc::new(edit);
        Self::Edit(Arc::new(move |answer| answer.body = edit(std::mem::take(&mut answer.body))))
    }

    /// The true answer with every occurrence of one text replaced by other bytes.
    pub(crate) fn replace(from: &str, to: &[u8]) -> Self {
        let (from, to) = (from.as_bytes().to_vec(), to.to_vec());
        Self::body(move |body| {
            let mut made = Vec::with_capacity(body.len());
            let mut rest = body.as_slice();
            while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
                made.extend_from_slice(&rest[..at]);
                made.extend_from_slice(&to);
                rest = &rest[at + from.len()..];
            }
            made.extend_from_slice(rest);
            made
        })
    }

    /// The true answer with one more header line, as it is.
    pub(crate) fn header(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self::Edit(Arc::new(move |answer| answer.headers.push((name.clone(), value.clone()))))
    }

    /// Its name in logs of the tests.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Answer(_) => "another answer",
            Self::Edit(_) => "edited",
            Self::Bytes(_) => "bytes",
            Self::ResetBefore => "reset before",
            Self::CloseBefore => "closed before",
            Self::ResetInHead => "reset in the head",
            Self::ResetInBody => "reset in the body",
            Self::CloseInBody => "closed in the body",
            Self::CutWithoutLength => "cut without a length",
            Self::CutChunks => "cut chunks",
            Self::BrokenChunk => "broken chunk",
            Self::Chunks => "chunks",
            Self::HugeLength => "huge length",
            Self::WrongLength(_) => "wrong length",
            Self::EndlessBody => "endless body",
            Self::StallAfter(_) => "stalls after much",
            Self::EndlessHeaders => "endless headers",
            Self::Hang => "hangs",
            Self::StallInBody => "stalls in the body",
            Self::SlowHead(_) => "slow head",
            Self::SlowBody(_) => "slow body",
            Self::Late(_) => "late",
            Self::Sliced => "sliced",
            Self::CloseAfter => "closed after",
            Self::Gzip => "gzip",
            Self::CutGzip => "cut gzip",
            Self::GzipBomb(_) => "gzip bomb",
            Self::GzipTwice => "gzip twice",
            Self::UnknownEncoding => "unknown encoding",
        }
    }

    pub(super) fn needs_answer(&self) -> bool {
        !matches!(
            self,
            Self::Answer(_)
                | Self::Bytes(_)
                | Self::ResetBefore
                | Self::CloseBefore
                | Self::Hang
                | Self::EndlessHeaders
                | Self::GzipBomb(_)
        )
    }

    /// Answers, or does not. Whether the connection is to be kept.
    pub(super) async fn play(&self, client: &mut TcpStream, answer: Option<Answer>) -> io::Result<bool> {
        let mut answer = answer.unwrap_or_else(|| Answer::json(200, &Value::Null));
        let half = answer.body.len() / 2;
        match self {
            Self::Pass => client.write_all(&answer.whole()).await?,
            Self::Answer(answer) => client.write_all(&answer.whole()).await?,
            Self::Edit(edit) => {
                edit(&mut answer);
                client.write_all(&answer.whole()).await?;
            }
            Self::Bytes(bytes) => {
                client.write_all(bytes).await?;
                return finish(client).await;
            }
            Self::ResetBefore => return reset(client),
            Self::CloseBefore => return finish(client).await,
            Self::ResetInHead => {
                client.write_all(b"HTTP/1.1 200 OK\r\ncontent-ty").await?;
                pause().await;
                return reset(client);
            }
            Self::ResetInBody | Self::CloseInBody | Self::StallInBody => {
                let whole = answer.whole();
                client.write_all(&whole[..whole.len() - answer.body.len() + half]).await?;
                match self {
                    Self::CloseInBody => return finish(client).await,
                    Self::StallInBody => return wait_for_the_end(client).await,
                    _ => {
                        pause().await;
                        return reset(client);
                    }
                }
            }
            Self::CutWithoutLength => {
                client.write_all(&answer.head("connection: close\r\n")).await?;
                client.write_all(&answer.body[..half]).await?;
                return finish(client).await;
            }
            Self::Chunks | Self::CutChunks | Self::BrokenChunk => {
                client.write_all(&answer.head("transfer-encoding: chunked\r\n")).await?;
                let (first, second) = answer.body.split_at(half);
                client.write_all(&chunk(first)).await?;
                match self {
                    Self::CutChunks => return finish(client).await,
                    Self::BrokenChunk => {
                        client.write_all(b"zebra\r\nstripes\r\n").await?;
                        return finish(client).await;
                    }
                    _ => {
                        client.write_all(&chunk(second)).await?;
                        client.write_all(b"0\r\n\r\n").await?;
                    }
                }
            }
            Self::HugeLength => {
                client.write_all(&answer.head("content-length: 10000000000000\r\n")).await?;
                client.write_all(&answer.body).await?;
                return wait_for_the_end(client).await;
            }
            Self::WrongLength(off) => {
                let length = i64::try_from(answer.body.len()).unwrap() + off;
                client.write_all(&answer.head(&format!("content-length: {length}\r\n"))).await?;
                client.write_all(&answer.body).await?;
                return finish(client).await;
            }
            Self::EndlessBody => {
                client.write_all(&answer.head("transfer-encoding: chunked\r\n")).await?;
                let chunk = chunk(&vec![b' '; 1 << 16]);
                loop {
                    client.write_all(&chunk).await?;
                }
            }
            Self::StallAfter(bytes) => {
                client.write_all(&answer.head("transfer-encoding: chunked\r\n")).await?;
                let piece = chunk(&vec![b' '; 1 << 16]);
                for _ in 0..bytes.div_ceil(1 << 16) {
                    client.write_all(&piece).await?;
                }
                return wait_for_the_end(client).await;
            }
            Self::EndlessHeaders => {
                client.write_all(b"HTTP/1.1 200 OK\r\n").await?;
                for n in 0_u64.. {
                    client.write_all(format!("x-filler-{n}: {}\r\n", "y".repeat(500)).as_bytes()).await?;
                }
            }
            Self::Hang => return wait_for_the_end(client).await,
            Self::SlowHead(every) => {
                drip(client, &answer.whole(), *every).await?;
            }
            Self::SlowBody(every) => {
                client.write_all(&answer.head(&format!("content-length: {}\r\n", answer.body.len()))).await?;
                drip(client, &answer.body, *every).await?;
            }
            Self::Late(late) => {
                tokio::time::sleep(*late).await;
                client.write_all(&answer.whole()).await?;
            }
            Self::Sliced => drip(client, &answer.whole(), Duration::ZERO).await?,
            Self::CloseAfter => {
                client.write_all(&answer.whole()).await?;
                return finish(client).await;
            }
            Self::Gzip | Self::CutGzip | Self::GzipTwice | Self::GzipBomb(_) | Self::UnknownEncoding => {
                let packed = |bytes: &[u8]| {
                    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                    packer.write_all(bytes).unwrap();
                    packer.finish().unwrap()
                };
                let (body, encoding) = match self {
                    Self::Gzip => (packed(&answer.body), "gzip"),
                    Self::CutGzip => {
                        let mut body = packed(&answer.body);
                        body.truncate(body.len() / 2);
                        (body, "gzip")
                    }
                    Self::GzipTwice => (packed(&packed(&answer.body)), "gzip, gzip"),
                    Self::GzipBomb(size) => (zeros(*size), "gzip"),
                    _ => (answer.body.clone(), "rot13"),
                };
                let answer = Answer { body, ..answer }.with("content-encoding", encoding);
                client.write_all(&answer.whole()).await?;
            }
        }
        Ok(true)
    }
}

/// So many zeros, packed: a packed MiB over and over, which a reader unpacks as one stream. The checksum is none, so it
/// ends badly for whoever unpacks it to its end.
fn zeros(size: u64) -> Vec<u8> {
    const PIECE: usize = 1 << 20;
    let mut packer = flate2::Compress::new(flate2::Compression::best(), false);
    let mut piece = Vec::with_capacity(PIECE);
    packer.compress_vec(&vec![b'0'; PIECE], &mut piece, flate2::FlushCompress::Full).unwrap();
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    for _ in 0..size.div_ceil(PIECE as u64) {
        bytes.extend_from_slice(&piece);
    }
    bytes.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

async fn drip(client: &mut TcpStream, bytes: &[u8], every: Duration) -> io::Result<()> {
    for byte in bytes {
        client.write_all(&[*byte]).await?;
        if every.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(every).await;
        }
    }
    Ok(())
}

/// Lets what was written go out before the connection dies.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// The next close sends a reset.
fn reset(client: &TcpStream) -> io::Result<bool> {
    client.set_zero_linger()?;
    Ok(false)
}

async fn finish(client: &mut TcpStream) -> io::Result<bool> {
    client.shutdown().await?;
    Ok(false)
}

/// Until the client has had enough.
async fn wait_for_the_end(client: &mut TcpStream) -> io::Result<bool> {
    let mut nothing = [0; 64];
    while client.read(&mut nothing).await? > 0 {}
    Ok(false)
}
