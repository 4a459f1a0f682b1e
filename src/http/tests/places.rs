//! Where a connection may lead.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::*;
use crate::http::resolve::Found;

/// A resolver that finds the addresses in the name itself: `_127.0.0.1_.example.test`.
#[expect(clippy::needless_pass_by_value, reason = "it stands for the system's, which keeps the name")]
fn told_by_name(name: String) -> Found {
    let addresses: Vec<SocketAddr> =
        name.split('_').filter_map(|part| part.parse().ok()).map(|ip: IpAddr| SocketAddr::new(ip, 0)).collect();
    Box::pin(async move { Ok(addresses) })
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = inside.local_addr().unwrap().port();
    let met = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&met);
    tokio::spawn(async move {
        while inside.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let policy = Policy { look_up: told_by_name, ..quick() };
    let ask = async |name: &str, private_network: bool| {
        let settings = HttpSettings { private_network, ..settings(&format!("https://{name}:{port}/api")) };
        let http = http_with(settings, policy, &Arc::new(Pacer::new(1_000_000)), &CancellationToken::new());
        get(&http).await.unwrap_err().to_string()
    };
    for (name, private_network, words) in [
        ("_127.0.0.1_.example.test", false, "private_network = true allows it"),
        ("_10.0.0.1_.example.test", false, "an address of a private network"),
        ("_169.254.169.254_.example.test", true, "an address that no provider has"),
        ("nowhere.example.test", false, ""),
    ] {
        let told = ask(name, private_network).await;
        assert!(told.contains(words), "{told}");
        assert!(!told.contains(KEY), "{told}");
    }
    assert_eq!(met.load(Ordering::SeqCst), 0, "a connection was made");
    // The same name, where it is meant: the connection is made, and what answers there speaks no TLS.
    ask("_127.0.0.1_.example.test", true).await;
    assert!(met.load(Ordering::SeqCst) > 0);
}
