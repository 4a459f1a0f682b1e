//! What is told of a pass: log lines, metrics and health, over real sockets.

mod health;
mod lines;
mod metrics;

pub(crate) use health::listening;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chatloom::app::watched;
use chatloom::config::{Config, Env, load_with};
use chatloom::sim::{BdSim, SitegptSim, ZaiaSim, demo};
use chatloom::web::{Board, Served, start};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::harness::{Home, NOW_MS, Run, bd_source, now_ms, sitegpt_source, zaia_source};

/// The demonstration's three providers, and a folder that is configured for them.
pub(crate) struct Scene {
    pub(crate) home: Home,
    pub(super) bd: BdSim,
    pub(super) zaia: ZaiaSim,
    pub(super) _sitegpt: SitegptSim,
}

impl Scene {
    pub(crate) async fn set(prefix: &str, more: &str) -> Self {
        let worlds = demo::worlds(4, NOW_MS);
        let (bd, zaia) = (BdSim::start(worlds.bd).await.unwrap(), ZaiaSim::start(worlds.zaia).await.unwrap());
        let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
        let sources = [
            bd_source(&format!("{prefix}-bd"), &bd),
            zaia_source(&format!("{prefix}-zaia"), &zaia),
            sitegpt_source(&format!("{prefix}-sitegpt"), &sitegpt, "v2"),
        ];
        let home = Home::new(&format!("{more}\n{}", sources.concat()));
        Self { home, bd, zaia, _sitegpt: sitegpt }
    }

    pub(crate) fn config(&self) -> Config {
        load_with(Some(&self.home.folder.path().join("chatloom.toml")), &Env::default(), std::path::Path::new("/"))
            .unwrap()
    }
}

/// A listener in this process, its clock in the hands of the test.
pub(crate) struct Listener {
    pub(crate) served: Served,
    pub(super) cancel: CancellationToken,
    pub(super) now: Arc<AtomicI64>,
}

impl Listener {
    pub(crate) async fn over(config: &Config, token: Option<&str>) -> Self {
        let now = Arc::new(AtomicI64::new(now_ms()));
        let clock = {
            let now = Arc::clone(&now);
            Arc::new(move || now.load(Ordering::SeqCst))
        };
        let board = Board::new(config.store_path.clone(), watched(config), clock);
        let cancel = CancellationToken::new();
        let listen = "127.0.0.1:0".parse().unwrap();
        let served = start(listen, token.map(|token| token.to_owned().into()), board, cancel.clone()).await.unwrap();
        Self { served, cancel, now }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await
    }

    pub(crate) async fn ask(&self, request: &str) -> Answer {
        ask(self.served.address, request).await
    }

    pub(crate) async fn close(self) {
        self.cancel.cancel();
        self.served.ended().await;
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) async fn ask(address: std::net::SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// The value of a sample, named with its labels.
pub(super) fn sample(metrics: &str, named: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(named)?.strip_prefix(' ')?.parse().ok())
}

/// The sum over all samples of a metric that carry these labels.
pub(super) fn sum(metrics: &str, metric: &str, labels: &[&str]) -> f64 {
    metrics
        .lines()
        .filter(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{')))
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Looks again and again, for half a minute at most.
pub(super) async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..3_000 {
        if let Some(found) = look() {
            return found;
        }
        ticks.tick().await;
    }
    panic!("{what} did not come");
}

pub(super) fn json_lines(run: &Run) -> Vec<Value> {
    run.stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}
