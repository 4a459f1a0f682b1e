//! A server that plays a script over a raw socket, so that answers can be broken in every way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What is done with one request.
#[derive(Clone)]
pub(super) enum Play {
    /// These bytes are sent and the connection is closed.
    Send(Vec<u8>),
    /// Nothing is sent and the connection stays open.
    Hang,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) at: Instant,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Plays the script one request after the other, its last line again and again.
    pub(super) async fn play(script: Vec<Play>) -> Self {
        Self::play_at("127.0.0.1", script).await
    }

    pub(super) async fn play_at(host: &str, script: Vec<Play>) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (log, script) = (Arc::clone(&log), script.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = socket.read_u8().await else { return };
                        head.push(byte);
                    }
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(Seen { head: String::from_utf8(head).unwrap(), at: Instant::now() });
                        log.len() - 1
                    };
                    match script.get(number).or(script.last()) {
                        Some(Play::Send(bytes)) => {
                            // The client may have hung up already, when it has read enough.
                            drop(socket.write_all(bytes).await);
                            drop(socket.shutdown().await);
                        }
                        Some(Play::Hang) | None => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, seen }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The time between a request and the one before it.
    pub(super) fn gap(&self, request: usize) -> std::time::Duration {
        let seen = self.seen();
        seen[request].at - seen[request - 1].at
    }
}

/// An answer with a status, further header lines and a body.
pub(super) fn answer(status: u16, headers: &[&str], body: &[u8]) -> Play {
    let mut bytes = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for header in headers {
        bytes.push_str(header);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    Play::Send([bytes.as_bytes(), body].concat())
}

pub(super) fn ok(body: &str) -> Play {
    answer(200, &["content-type: application/json"], body.as_bytes())
}

/// Gzip without compression.
pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    let crc = !body.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    [
        &head[..],
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        body,
        &crc.to_le_bytes(),
        &u32::from(length).to_le_bytes(),
    ]
    .concat()
}

/// Gzip that unpacks to `times` times 258 zero bytes and costs 13 bits for each.
pub(super) fn bomb(times: usize) -> Vec<u8> {
    let mut bits: Vec<u8> = vec![1, 1, 0];
    let code =
        |value: u32, length: u32| (0..length).rev().map(move |place| u8::try_from((value >> place) & 1).unwrap());
    bits.extend(code(0x30, 8));
    for _ in 0..times {
        bits.extend(code(0b1100_0101, 8));
        bits.extend(code(0, 5));
    }
    bits.extend(code(0, 7));
    let packed = bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |byte, bit| (byte << 1) | bit));
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255].into_iter().chain(packed).chain([0; 8]).collect()
}
