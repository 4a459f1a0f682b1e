//! A proxy in front of a simulated provider, on bare sockets, that spoils what passes through it.
//!
//! It forwards every request to the simulator and hands the answer back as it is, unless a [`Fault`] is due: then the
//! connection, the head or the body is broken in the way asked for. Faults are scripted per path ([`Proxy::next`]), stay
//! until they are lifted ([`Proxy::always`]), or befall requests by chance ([`Proxy::chaos`]).

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chatloom::sim::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::fault::{Answer, Fault};

/// A request that came to the proxy.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case. Keys are looked for in what `Debug` makes of them.
    #[expect(dead_code, reason = "read by way of `Debug`")]
    headers: Vec<(String, String)>,
    /// What befell it; `None`: it was forwarded unharmed.
    pub(crate) fault: Option<&'static str>,
}

/// A running proxy. Dropping it stops it.
pub(crate) struct Proxy {
    addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Script {
    next: VecDeque<(String, Fault)>,
    always: Vec<(String, Fault)>,
    chaos: Option<Chaos>,
    seen: Vec<Seen>,
    connections: usize,
}

struct Chaos {
    rng: Rng,
    one_in: i64,
    faults: Vec<Fault>,
}

impl Script {
    fn due(&mut self, target: &str) -> Fault {
        if let Some(at) = self.next.iter().position(|(path, _)| target.starts_with(path.as_str())) {
            return self.next.remove(at).map_or(Fault::Pass, |(_, fault)| fault);
        }
        if let Some((_, fault)) = self.always.iter().find(|(path, _)| target.starts_with(path.as_str())) {
            return fault.clone();
        }
        let Some(chaos) = &mut self.chaos else { return Fault::Pass };
        if chaos.rng.between(1, chaos.one_in) != 1 {
            return Fault::Pass;
        }
        chaos.rng.pick(&chaos.faults).cloned().unwrap_or(Fault::Pass)
    }
}

impl Proxy {
    /// Starts in front of a server.
    pub(crate) async fn before(upstream: SocketAddr) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), upstream).await
    }

    /// The same at an address of the caller's choice.
    pub(crate) async fn at(addr: SocketAddr, upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let script: Arc<Mutex<Script>> = Arc::default();
        let told = Arc::clone(&script);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                lock(&told).connections += 1;
                let script = Arc::clone(&told);
                tokio::spawn(async move {
                    // A client that goes away, or a connection broken on purpose.
                    drop(serve(client, upstream, &script).await);
                });
            }
        });
        Self { addr, script, accepting }
    }

    /// What goes into `base_url`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next request whose path begins so meets this fault; several are used up in order. [`Fault::Pass`] lets one
    /// through.
    pub(crate) fn next(&self, path: &str, fault: Fault) {
        self.script().next.push_back((path.to_owned(), fault));
    }

    /// The same fault for so many requests.
    pub(crate) fn times(&self, path: &str, times: usize, fault: &Fault) {
        (0..times).for_each(|_| self.next(path, fault.clone()));
    }

    /// Every request whose path begins so meets this fault, until [`Proxy::heal`].
    pub(crate) fn always(&self, path: &str, fault: Fault) {
        self.script().always.push((path.to_owned(), fault));
    }

    /// One request in so many meets one of these.
    pub(crate) fn chaos(&self, seed: u64, one_in: i64, faults: Vec<Fault>) {
        self.script().chaos = Some(Chaos { rng: Rng::new(seed), one_in, faults });
    }

    /// From now on nothing goes wrong.
    pub(crate) fn heal(&self) {
        let mut script = self.script();
        script.next.clear();
        script.always.clear();
        script.chaos = None;
    }

    /// Scripted faults that have not been met yet.
    pub(crate) fn faults_left(&self) -> usize {
        self.script().next.len()
    }

    /// Every request so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script().seen.clone()
    }

    /// Requests so far whose path begins so.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.script().seen.iter().filter(|seen| seen.target.starts_with(path)).count()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.script().connections
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection until either side has enough.
async fn serve(mut client: TcpStream, upstream: SocketAddr, script: &Mutex<Script>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut pending = Vec::new();
    loop {
        let Some(head) = read_head(&mut client, &mut pending).await? else { return Ok(()) };
        let (target, headers) = parse(&head);
        let fault = {
            let mut script = lock(script);
            let fault = script.due(&target);
            let told = (!matches!(fault, Fault::Pass)).then(|| fault.name());
            let seen = Seen { at: Instant::now(), target: target.clone(), headers, fault: told };
            script.seen.push(seen);
            fault
        };
        let answer = if fault.needs_answer() { Some(forward(upstream, &head).await?) } else { None };
        if !fault.play(&mut client, answer).await? {
            return Ok(());
        }
    }
}

/// A request's head; the providers are only read, so none has a body.
async fn read_head(client: &mut TcpStream, pending: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = pending.split_off(end + 4);
            return Ok(Some(std::mem::replace(pending, rest)));
        }
        if client.read_buf(pending).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(head: &[u8]) -> (String, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    (target, headers)
}

/// Asks the simulator, over a connection of its own and without compression.
async fn forward(upstream: SocketAddr, head: &[u8]) -> io::Result<Answer> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.trim_end().split("\r\n");
    let mut request = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if !matches!(name.as_str(), "connection" | "accept-encoding") {
            request.push_str("\r\n");
            request.push_str(line);
        }
    }
    request.push_str("\r\nconnection: close\r\n\r\n");
    let mut server = TcpStream::connect(upstream).await?;
    server.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).await?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let body = bytes.split_off(end + 4);
    let (_, headers) = parse(&bytes);
    let status = String::from_utf8_lossy(&bytes).split(' ').nth(1).and_then(|status| status.parse().ok());
    let kept = headers.into_iter().filter(|(name, _)| !matches!(name.as_str(), "connection" | "content-length"));
    Ok(Answer { status: status.unwrap_or(502), headers: kept.collect(), body })
}
