//! Which addresses a target may have: a host name flows in, permitted addresses flow out
//! (delivery.md 14). A name in a configuration must not reach what only this machine can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Instance metadata services outside the link-local ranges: Alibaba Cloud and AWS over IPv6.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Resolves names by the system and drops forbidden addresses.
pub struct Resolver {
    pub allow_loopback: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_loopback = self.allow_loopback;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await?
                .filter(|address| is_permitted(address.ip(), allow_loopback))
                .collect();
            if found.is_empty() {
                return Err("no permitted address".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether requests may go to an address.
pub fn is_permitted(address: IpAddr, allow_loopback: bool) -> bool {
    let address = address.to_canonical();
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let nowhere = local || address.is_unspecified() || address.is_multicast();
    !nowhere && !METADATA.contains(&address) && (allow_loopback || !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w27_metadata_and_loopback_addresses_are_refused() {
        for (address, permitted) in [
            ("192.0.2.1", true),
            ("10.0.0.1", true),
            ("2001:db8::1", true),
            ("169.254.169.254", false),
            ("::ffff:169.254.169.254", false),
            ("100.100.100.200", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("0.0.0.0", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("224.0.0.1", false),
        ] {
            assert_eq!(is_permitted(address.parse().unwrap(), false), permitted, "{address}");
        }
        assert!(is_permitted("127.0.0.1".parse().unwrap(), true));
        assert!(is_permitted("::1".parse().unwrap(), true));
    }
}
