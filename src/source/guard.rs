//! Which addresses may be dialled. Rule: `spec/sources.md` section 3.
//!
//! Owns the classification of addresses, including IPv4 addresses embedded in IPv6 ones. It knows nothing of names,
//! URLs or sockets; `dial` asks it about every address that is about to be connected.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::SourceConfig;
use crate::config::source::IpNetwork;

/// Why an address may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Loopback or unspecified.
    Loopback,
    /// Link-local, unicast or multicast.
    LinkLocal,
    /// Private, unique local or carrier-grade NAT.
    Private,
    /// Multicast, reserved, or a metadata service: what `IMGFORGE_BLOCK_SPECIAL_ADDRESSES` adds.
    Special,
    /// Listed in `IMGFORGE_DENIED_SOURCE_NETWORKS`.
    Denied,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Special => "special",
            Self::Denied => "denied",
        })
    }
}

/// An address that may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class} source address is not allowed: {address}")]
pub struct Blocked {
    /// The address as it would have been dialled.
    pub address: IpAddr,
    /// The first rule that forbids it.
    pub class: Class,
}

/// The decision for one configuration.
#[derive(Clone, Debug)]
pub struct Guard {
    loopback: bool,
    link_local: bool,
    private: bool,
    special: bool,
    allowed: Vec<IpNetwork>,
    denied: Vec<IpNetwork>,
}

impl Guard {
    /// The guard of a configuration.
    pub fn new(config: &SourceConfig) -> Self {
        Self {
            loopback: config.allow_loopback,
            link_local: config.allow_link_local,
            private: config.allow_private,
            special: !config.block_special,
            allowed: config.allowed_networks.clone(),
            denied: config.denied_networks.clone(),
        }
    }

    /// Whether `address` may be dialled.
    ///
    /// Denied networks win over allowed ones, and those over the classes. A denied IPv4 network also covers the IPv6
    /// addresses that embed one of its own; an allowed one covers the address itself only, so that a translation prefix
    /// has to be allowed by its own name.
    ///
    /// # Errors
    ///
    /// The first rule that forbids the address, or the IPv4 address inside it.
    pub fn check(&self, address: IpAddr) -> Result<(), Blocked> {
        let outer = canonical(address);
        let inner = match outer {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => embedded(v6).map(IpAddr::V4),
        };
        let forms = [Some(outer), inner];
        let listed =
            |networks: &[IpNetwork], form| networks.iter().any(|network| network.contains(form));
        if forms
            .into_iter()
            .flatten()
            .any(|form| listed(&self.denied, form))
        {
            return Err(Blocked {
                address,
                class: Class::Denied,
            });
        }
        if listed(&self.allowed, outer) {
            return Ok(());
        }
        for class in [
            Class::Loopback,
            Class::LinkLocal,
            Class::Private,
            Class::Special,
        ] {
            let allowed = match class {
                Class::Loopback => self.loopback,
                Class::LinkLocal => self.link_local,
                Class::Private => self.private,
                Class::Special => self.special,
                Class::Denied => true,
            };
            if !allowed && forms.into_iter().flatten().any(|form| is(class, form)) {
                return Err(Blocked { address, class });
            }
        }
        Ok(())
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is(class: Class, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            match class {
                Class::Loopback => v4.is_loopback() || v4.is_unspecified(),
                Class::LinkLocal => v4.is_link_local() || (a, b, c) == (224, 0, 0),
                Class::Private => v4.is_private() || (a == 100 && b & 0xC0 == 64),
                Class::Special => is_special_v4(v4),
                Class::Denied => false,
            }
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.octets();
            match class {
                Class::Loopback => v6.is_loopback() || v6.is_unspecified(),
                Class::LinkLocal => (a == 0xFE && b & 0xC0 == 0x80) || (a == 0xFF && b & 0x0F == 2),
                Class::Private => a & 0xFE == 0xFC,
                Class::Special => is_special_v6(v6),
                Class::Denied => false,
            }
        }
    }
}

/// Multicast, "this network", protocol assignments, documentation, benchmarks, reserved, and the metadata services of
/// Alibaba Cloud and Azure.
fn is_special_v4(address: Ipv4Addr) -> bool {
    matches!(
        address.octets(),
        [0 | 224..=255, ..]
            | [192, 0, 0 | 2, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [100, 100, 100, 200]
            | [168, 63, 129, 16]
    )
}

/// Site-local, multicast, documentation, and the metadata service of AWS.
fn is_special_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    matches!(segments, [0xFEC0..=0xFFFF, ..] | [0x2001, 0x0DB8, ..])
        || segments == [0xFD00, 0x0EC2, 0, 0, 0, 0, 0, 0x254]
}

/// The IPv4 address that a transition mechanism would reach through this one; first form that fits, unwrapped once.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [
        b0,
        b1,
        b2,
        b3,
        b4,
        b5,
        b6,
        b7,
        b8,
        b9,
        b10,
        b11,
        c0,
        c1,
        c2,
        c3,
    ] = address.octets();
    let low = Ipv4Addr::new(c0, c1, c2, c3);
    match [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11] {
        // IPv4-compatible ::/96.
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => Some(low),
        // 6to4 2002::/16.
        [0x20, 0x02, ..] => Some(Ipv4Addr::new(b2, b3, b4, b5)),
        // NAT64 64:ff9b::/96.
        [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0] => Some(low),
        // NAT64 for local use 64:ff9b:1::/48, where byte 8 is reserved.
        [0, 0x64, 0xFF, 0x9B, 0, 1, ..] => Some(Ipv4Addr::new(b6, b7, b9, b10)),
        // Teredo 2001::/32 stores the client's address inverted.
        [0x20, 0x01, 0, 0, ..] => Some(Ipv4Addr::new(!c0, !c1, !c2, !c3)),
        // ISATAP.
        [.., 0 | 2, 0, 0x5E, 0xFE] => Some(low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNetwork {
        let (address, prefix) = text.split_once('/').unwrap();
        IpNetwork {
            address: address.parse().unwrap(),
            prefix: prefix.parse().unwrap(),
        }
    }

    fn network_guard(allowed: &[&str], denied: &[&str]) -> Guard {
        Guard {
            loopback: false,
            link_local: false,
            private: false,
            special: true,
            allowed: allowed.iter().map(|text| network(text)).collect(),
            denied: denied.iter().map(|text| network(text)).collect(),
        }
    }

    fn class(guard: &Guard, address: &str) -> Option<Class> {
        guard
            .check(address.parse().unwrap())
            .err()
            .map(|blocked| blocked.class)
    }

    #[test]
    fn classes() {
        use Class::{LinkLocal, Loopback, Private};
        let guard = network_guard(&[], &[]);
        let cases = [
            ("127.0.0.1", Some(Loopback)),
            ("127.255.255.255", Some(Loopback)),
            ("128.0.0.0", None),
            ("0.0.0.0", Some(Loopback)),
            ("::", Some(Loopback)),
            ("::1", Some(Loopback)),
            ("169.254.169.254", Some(LinkLocal)),
            ("169.253.255.255", None),
            ("224.0.0.1", Some(LinkLocal)),
            ("224.0.1.1", None),
            ("fe80::1", Some(LinkLocal)),
            ("febf::1", Some(LinkLocal)),
            ("fec0::1", None),
            ("ff02::1", Some(LinkLocal)),
            ("ff32::1", Some(LinkLocal)),
            ("ff05::1", None),
            ("10.0.0.1", Some(Private)),
            ("172.16.0.1", Some(Private)),
            ("172.31.255.255", Some(Private)),
            ("172.32.0.0", None),
            ("192.168.1.1", Some(Private)),
            ("100.64.0.1", Some(Private)),
            ("100.127.255.255", Some(Private)),
            ("100.128.0.0", None),
            ("fc00::1", Some(Private)),
            ("fdff::1", Some(Private)),
            ("fe00::1", None),
            ("8.8.8.8", None),
            ("2606:4700::1111", None),
            ("::ffff:127.0.0.1", Some(Loopback)),
            ("::ffff:10.0.0.1", Some(Private)),
            ("::ffff:8.8.8.8", None),
            ("::127.0.0.1", Some(Loopback)),
            ("::8.8.8.8", None),
            ("2002:7f00:1::", Some(Loopback)),
            ("2002:808:808::", None),
            ("64:ff9b::7f00:1", Some(Loopback)),
            ("64:ff9b::808:808", None),
            ("64:ff9b:1:7f00:0:100::", Some(Loopback)),
            ("64:ff9b:1:a00:0:100::", Some(Private)),
            ("64:ff9b:1:808:8:800::", None),
            ("2001:0:1:2:3:4:80ff:fffe", Some(Loopback)),
            ("2001:0:1:2:3:4:f7f7:f7f7", None),
            ("2001:db8::5efe:7f00:1", Some(Loopback)),
            ("2001:db8::200:5efe:a00:1", Some(Private)),
            ("2001:db8::100:5efe:a00:1", None),
        ];
        for (address, expected) in cases {
            assert_eq!(class(&guard, address), expected, "{address}");
        }
    }

    #[test]
    fn switches_open_their_class_only() {
        let mut open = network_guard(&[], &[]);
        open.loopback = true;
        assert_eq!(class(&open, "127.0.0.1"), None);
        assert_eq!(class(&open, "::ffff:127.0.0.1"), None);
        assert_eq!(class(&open, "10.0.0.1"), Some(Class::Private));
        // The compatible form of 0.0.0.1 looks like loopback from outside and like 0.0.0.1 from inside.
        assert_eq!(class(&open, "::1"), None);
    }

    #[test]
    fn special_addresses_are_blocked_on_request() {
        let mut guard = network_guard(&["198.51.100.7/32"], &[]);
        guard.private = true;
        let special = [
            "0.1.2.3",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.1.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "fec0::1",
            "ff05::1",
            "2001:db8::1",
            "fd00:ec2::254",
            "::ffff:240.0.0.1",
            "64:ff9b::c000:201",
        ];
        for address in special {
            assert_eq!(class(&guard, address), None, "{address}");
        }
        guard.special = false;
        for address in special {
            assert_eq!(class(&guard, address), Some(Class::Special), "{address}");
        }
        for address in [
            "8.8.8.8",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "198.51.100.7",
            "fd00:ec2::1",
            "2606:4700::1111",
        ] {
            assert_eq!(class(&guard, address), None, "{address}");
        }
    }

    #[test]
    fn networks_denied_then_allowed_then_classes() {
        let guard = network_guard(
            &["127.0.0.1/32", "10.1.0.0/16", "fd00:1::/32"],
            &["127.0.0.2/32", "10.1.2.0/24", "8.8.8.8/32", "2001:db8::/32"],
        );
        let cases = [
            ("127.0.0.1", None),
            ("127.0.0.2", Some(Class::Denied)),
            ("127.0.0.3", Some(Class::Loopback)),
            ("::ffff:127.0.0.2", Some(Class::Denied)),
            ("2002:7f00:2::", Some(Class::Denied)),
            ("::ffff:127.0.0.1", None),
            ("64:ff9b::7f00:1", Some(Class::Loopback)),
            ("10.1.1.1", None),
            ("10.1.2.1", Some(Class::Denied)),
            ("10.2.0.1", Some(Class::Private)),
            ("8.8.8.8", Some(Class::Denied)),
            ("fd00:1::1", None),
            ("fd00:2::1", Some(Class::Private)),
            ("2001:db8::1", Some(Class::Denied)),
        ];
        for (address, expected) in cases {
            assert_eq!(class(&guard, address), expected, "{address}");
        }
        let everything = network_guard(&["0.0.0.0/0", "::/0"], &[]);
        assert_eq!(class(&everything, "127.0.0.1"), None);
        assert_eq!(class(&everything, "::1"), None);
        let mapped = network_guard(&["::ffff:127.0.0.0/104"], &[]);
        assert_eq!(class(&mapped, "127.0.0.1"), None);
        assert_eq!(class(&mapped, "10.0.0.1"), Some(Class::Private));
    }
}
