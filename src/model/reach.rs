//! How far an address reaches: what a key may be sent to depends on it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Somewhere on the internet, as far as an address can tell.
    Public,
    /// In a network of somebody's own (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7).
    Private,
    /// On this machine.
    Loopback,
    /// Where no provider is: link-local, the metadata services of clouds, multicast, unspecified, reserved.
    Nowhere,
}

impl Reach {
    /// Where an address lies. An IPv4 address in the clothes of an IPv6 one (mapped, compatible, NAT64, 6to4) counts as
    /// what it leads to.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Whether a name that was written into the configuration may lead there.
    #[must_use]
    pub fn is_open_to(self, private_network: bool) -> bool {
        match self {
            Self::Public => true,
            Self::Private | Self::Loopback => private_network,
            Self::Nowhere => false,
        }
    }

    /// What such an address is called, with its article.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Private => "an address of a private network",
            Self::Loopback => "an address of this machine",
            Self::Nowhere => "an address that no provider has (link-local, metadata service, multicast or reserved)",
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [127, ..] => Reach::Loopback,
        // Metadata services that stand inside ranges which are otherwise private.
        [100, 100, 100, 200] | [192, 0, 0, 192] => Reach::Nowhere,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [224..=255, ..] => Reach::Nowhere,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    // The metadata service of one large cloud.
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => inner(high, low),
        [0, 0, 0, 0, 0, 0, high, low] => match inner(high, low) {
            // The unspecified address is among these.
            Reach::Public => Reach::Nowhere,
            other => other,
        },
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => inner(high, low),
        _ if address == METADATA => Reach::Nowhere,
        [0xfc00..=0xfdff, ..] => Reach::Private,
        [0xfe80..=0xffff, ..] | [0x2001, 0, ..] | [0x64, 0xff9b, 1, ..] => Reach::Nowhere,
        _ => Reach::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sorted_by_where_they_lead() {
        for (reach, addresses) in [
            (Reach::Public, &["192.0.2.7", "203.0.113.9", "2001:db8::1", "::ffff:192.0.2.7", "172.32.0.1"][..]),
            (
                Reach::Private,
                &[
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "100.64.0.1",
                    "fd12::1",
                    "::ffff:10.0.0.1",
                ],
            ),
            (Reach::Loopback, &["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"]),
            (
                Reach::Nowhere,
                &[
                    "169.254.169.254",
                    "169.254.0.1",
                    "::ffff:169.254.169.254",
                    "2002:a9fe:a9fe::1",
                    "fe80::1",
                    "fd00:ec2::254",
                    "100.100.100.200",
                    "0.0.0.0",
                    "0.1.2.3",
                    "::",
                    "224.0.0.1",
                    "255.255.255.255",
                    "ff02::1",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
            }
        }
        assert!(Reach::Public.is_open_to(false) && !Reach::Private.is_open_to(false));
        assert!(Reach::Private.is_open_to(true) && !Reach::Nowhere.is_open_to(true));
    }
}
