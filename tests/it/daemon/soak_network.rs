//! A network between the daemon and a simulator that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on to one address, while it is whole.
pub(crate) struct Network {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    pub(crate) cut: Arc<AtomicU64>,
}

impl Network {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (whole, state) = watch::channel(true);
        let cut = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&cut);
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((here, _)) = listener.accept().await else { return };
                tokio::spawn(pass_on(here, target, state.clone(), Arc::clone(&counted)));
            }
        });
        Self { address, whole, accepting, cut }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks every connection, and refuses new ones, until it is mended.
    pub(crate) fn tear(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass_on(mut here: TcpStream, target: SocketAddr, mut whole: watch::Receiver<bool>, cut: Arc<AtomicU64>) {
    let both = async {
        let mut there = TcpStream::connect(target).await?;
        tokio::io::copy_bidirectional(&mut here, &mut there).await
    };
    tokio::select! {
        biased;
        _ = whole.wait_for(|whole| !whole) => { cut.fetch_add(1, Ordering::Relaxed); }
        // Either side may hang up whenever it likes.
        ended = both => drop(ended),
    }
}
