//! K: keys stay at home, whatever a provider, a network, a name or a file does.

mod files;
mod redirects;
mod said;
mod tls;
mod transport;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Row;

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "K1",
        "a redirect to another host, port or scheme (301, 302, 303, 307, 308)",
        "not followed: nothing is sent there, and the source fails with where it was led",
    ),
    Row::played(
        "K2",
        "redirects within the origin; one that leads to itself",
        "followed up to three times in one try; then the source fails",
    ),
    Row::played("K3", "a redirect to file:, to a link-local or a private address", "not followed, as in K1"),
    Row::played(
        "K4",
        "a next link in the body that points to another host",
        "a page token is opaque and sent as a query value to the configured origin; no address in a body is ever used",
    ),
    Row::played("K5", "a base URL with http://", "refused with status 2 before anything is sent, except on loopback"),
    Row::played(
        "K6",
        "a certificate that is expired, not valid yet, self-signed or for another name; TLS 1.0",
        "refused before a byte of a request; there is no switch to accept it; `ca_file` adds a private root",
    ),
    Row::played(
        "K7",
        "a base URL that is or hides a metadata, link-local or private address, with a user or a line break in it; a name \
         that leads to such an address",
        "refused with status 2; names are looked at when they are connected to (a unit test of `http` plays the resolver)",
    ),
    Row::played(
        "K8",
        "HTTPS_PROXY set in the environment",
        "honoured, as people behind a proxy need it, and named by `check` without its password; the key travels inside of \
         TLS; loopback is never asked through it",
    ),
    Row::played(
        "K9",
        "the key in logs at any level, panics, error chains, arguments, environment, store, core files",
        "never: every output and file of every story is searched for the key, its base64 and its end; no core is written",
    ),
    Row::played(
        "K10",
        "a provider that repeats the key, in errors, in headers, in what is stored",
        "masked as `[key]` before it is said or stored",
    ),
    Row::played(
        "K11",
        "a key file that others may read, a link, empty, with line ends, of 1 MB, binary",
        "line ends at the end are dropped; everything else is refused with status 2 and the reason",
    ),
    Row::played(
        "K12",
        "a key that is changed while the daemon runs",
        "the refused source stands still, looks at its key file, and goes on with the new key; so it does at SIGHUP",
    ),
    Row::played("K13", "umask 000", "store, -wal, -shm, lock, backups and configuration are made closed to others"),
    Row::played("K14", "two sources with two keys", "each key goes to its own origin alone"),
];

/// A host that nobody has any business with, and how many connected to it all the same.
struct Elsewhere {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Elsewhere {
    async fn at(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { addr, connections, accepting }
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(self.connections.load(Ordering::SeqCst), 0, "{} was connected to", self.addr);
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Whether a first page is stored.
fn has_messages(home: &crate::harness::Home) -> bool {
    home.db().exists()
        && rusqlite::Connection::open_with_flags(home.db(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|store| store.query_row("SELECT 1 FROM messages LIMIT 1", [], |_| Ok(())))
            .is_ok()
}
