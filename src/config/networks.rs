//! Networks as values of variables: reading them, and whether an address belongs to one.

use std::net::IpAddr;

use super::source::IpNetwork;
use super::types::ranged;
use super::var::Invalid;

/// Format text of a list of networks.
pub(super) const NETWORKS: &str = "comma-separated addresses or networks (e.g. 10.0.0.0/8)";

/// Addresses, or prefixes such as `10.0.0.0/8`; bits beyond the prefix are cleared.
pub(super) fn networks(text: &str) -> Result<Vec<IpNetwork>, Invalid> {
    text.split(',').map(|part| network(part.trim())).collect()
}

/// Format text of a list of ports.
pub(super) const PORTS: &str = "comma-separated port numbers (e.g. 80,443)";

/// Port numbers from 1 to 65535.
pub(super) fn ports(text: &str) -> Result<Vec<u16>, Invalid> {
    text.split(',')
        .map(|port| ranged(port.trim(), 1..=65_535, "no port number"))
        .collect()
}

fn network(text: &str) -> Result<IpNetwork, Invalid> {
    let bad = || Invalid::parse(format!("{text:?} is no address or network"));
    let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u8 = match prefix {
        "" if !text.contains('/') => bits,
        digits => ranged(digits, 0..=i64::from(bits), "").map_err(|_| bad())?,
    };
    let address = match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((a.to_bits() & mask).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((a.to_bits() & mask).into())
        }
    };
    Ok(IpNetwork { address, prefix })
}

impl IpNetwork {
    /// Whether `address` lies in the network. An IPv4 network written in its IPv4-mapped form means the IPv4 addresses.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address) {
            (IpAddr::V4(net), IpAddr::V4(v4)) => {
                // A prefix written on the IPv4-mapped form counts its 96 leading bits as well.
                let mapped = matches!(self.address, IpAddr::V6(_));
                let prefix = if mapped {
                    self.prefix.saturating_sub(96)
                } else {
                    self.prefix
                };
                let mask = u32::MAX
                    .checked_shl(32_u32.saturating_sub(prefix.into()))
                    .unwrap_or(0);
                net.to_bits() & mask == v4.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(v6)) => {
                let mask = u128::MAX
                    .checked_shl(128_u32.saturating_sub(self.prefix.into()))
                    .unwrap_or(0);
                net.to_bits() & mask == v6.to_bits() & mask
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_prefixes() {
        let one = |text: &str| networks(text).map(|n| format!("{}/{}", n[0].address, n[0].prefix));
        for (text, expected) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("fd00::1/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(one(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0/8",
            "x",
            "",
            "10.0.0.0/-1",
            "::/129",
        ] {
            assert!(networks(text).is_err(), "{text}");
        }
        assert_eq!(networks("10.0.0.0/8, ::1").map(|n| n.len()), Ok(2));
    }

    #[test]
    fn port_lists() {
        assert_eq!(ports("80, 443"), Ok(vec![80, 443]));
        for text in ["", "0", "65536", "80,", "80-90", "http"] {
            assert!(ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn membership() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::1", "::1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let network = networks(network).unwrap()[0];
            assert_eq!(
                network.contains(address.parse().unwrap()),
                expected,
                "{network:?} {address}"
            );
        }
    }
}
