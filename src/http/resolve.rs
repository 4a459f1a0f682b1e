//! Names to addresses, looked at before anything is sent there.
//!
//! A base URL is checked when the configuration is read, but what a name leads to is decided by whoever answers for
//! the name, at every connection anew. So it is decided here, where the connection is made, which addresses will do.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::model::Reach;

/// Asks for the addresses of a name.
pub(super) type LookUp = fn(String) -> Found;
pub(super) type Found = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// A name that leads nowhere a key may go.
#[derive(Debug)]
pub(super) struct Astray {
    name: String,
    address: IpAddr,
    private_network: bool,
}

impl fmt::Display for Astray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address, private_network } = self;
        let reach = Reach::of(*address);
        write!(f, "not connected: {name} leads to {address}, {}", reach.name())?;
        if !private_network && reach.is_open_to(true) && name != LOCALHOST {
            write!(f, "; private_network = true allows it")?;
        }
        Ok(())
    }
}

impl std::error::Error for Astray {}

const LOCALHOST: &str = "localhost";

/// The system's own resolver.
pub(super) fn system(name: String) -> Found {
    // The port is filled in by whoever connects.
    Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
}

/// Gives of a name's addresses those that a key may be sent to.
pub(super) struct Guarded {
    /// The host of the base URL. Other names are those of proxies, which the operator's environment names.
    host: String,
    private_network: bool,
    look_up: LookUp,
}

impl Guarded {
    pub(super) fn new(host: &str, private_network: bool, look_up: LookUp) -> Self {
        Self { host: host.to_owned(), private_network, look_up }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let is_ours = name.eq_ignore_ascii_case(&self.host);
        let private_network = self.private_network;
        let found = (self.look_up)(name.clone());
        Box::pin(async move {
            let mut addresses = found.await?;
            if is_ours && let Some(first) = addresses.first().map(SocketAddr::ip) {
                addresses.retain(|address| fits(&name, Reach::of(address.ip()), private_network));
                if addresses.is_empty() {
                    return Err(Astray { name, address: first, private_network }.into());
                }
            }
            Ok::<Addrs, _>(Box::new(addresses.into_iter()))
        })
    }
}

/// `localhost` is this machine and nothing else: plain http is spoken with it.
fn fits(name: &str, reach: Reach, private_network: bool) -> bool {
    if name.eq_ignore_ascii_case(LOCALHOST) { reach == Reach::Loopback } else { reach.is_open_to(private_network) }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    /// A resolver that finds the addresses in the name itself: `_10.0.0.1_fd12::1_.example.test`.
    #[expect(clippy::needless_pass_by_value, reason = "it stands for the system's, which keeps the name")]
    fn told_by_name(name: String) -> Found {
        let addresses = name.split('_').filter_map(|part| part.parse().ok());
        let addresses = addresses.map(|address: IpAddr| SocketAddr::new(address, 0)).collect();
        Box::pin(async move { Ok(addresses) })
    }

    async fn resolve(host: &str, asked: &str, private: bool) -> Result<Vec<String>, String> {
        let guarded = Guarded::new(host, private, told_by_name);
        let found = guarded.resolve(Name::from_str(asked).unwrap()).await;
        found.map(|found| found.map(|at| at.ip().to_string()).collect()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_name_leads_to_public_addresses_or_not_at_all() {
        let both = "_192.0.2.7_10.0.0.1_.example.test";
        assert_eq!(resolve(both, both, false).await.unwrap(), ["192.0.2.7"]);
        for address in ["10.0.0.1", "127.0.0.1", "::ffff:10.1.1.1", "fd12::1"] {
            let host = format!("_{address}_.example.test");
            let told = resolve(&host, &host, false).await.unwrap_err();
            assert!(told.contains(&host) && told.contains("private_network = true"), "{told}");
            assert_eq!(resolve(&host, &host, true).await.unwrap().len(), 1, "{address}");
        }
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0", "fd00:ec2::254"] {
            let host = format!("_{address}_.example.test");
            for private in [false, true] {
                let told = resolve(&host, &host, private).await.unwrap_err();
                assert!(told.contains("no provider has") && !told.contains("allows it"), "{told}");
            }
        }
    }

    #[tokio::test]
    async fn a_proxy_is_where_its_operator_says_and_localhost_on_this_machine() {
        let proxy = "_10.0.0.9_.example.test";
        assert_eq!(resolve("www.example.test", proxy, false).await.unwrap(), ["10.0.0.9"]);
        assert!(fits("localhost", Reach::Loopback, false));
        for reach in [Reach::Public, Reach::Private, Reach::Nowhere] {
            assert!(!fits("LOCALHOST", reach, true), "plain http is spoken with it");
        }
    }
}
