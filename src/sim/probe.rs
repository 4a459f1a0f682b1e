//! Asks simulated providers in tests: in process, or over a bare TCP connection.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::wire::RequestInfo;
use super::world::{Site, World};

/// A GET request for `target` with one header.
pub(super) fn request(target: &str, header: (&str, &str)) -> RequestInfo {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    RequestInfo::new("GET", path, query, vec![(header.0.to_owned(), header.1.to_owned())])
}

/// Status and JSON body (null when it is none) of a GET request.
pub(super) fn ask<D: Site>(world: &mut World<D>, target: &str, header: (&str, &str)) -> (u16, Value) {
    let (answer, _) = world.handle(request(target, header));
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

/// Everything that comes back over a new connection.
pub(super) async fn over_tcp(addr: SocketAddr, target: &str, header: (&str, &str)) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    let head =
        format!("GET {target} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n{}: {}\r\n\r\n", header.0, header.1);
    stream.write_all(head.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
