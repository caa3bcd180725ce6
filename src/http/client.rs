//! Who sent a request: the address for the log, and the address that rules about clients may rely on.
//!
//! Anybody can write a forwarding header. Without `IMGFORGE_TRUSTED_PROXIES` they count for the log only, as in
//! imgproxy; with it only what a trusted proxy wrote counts, for both. Rules: `spec/http.md` section 2,
//! `spec/imgforge-original.md` section 6.

use std::net::IpAddr;

use http::HeaderMap;

use crate::config::access::TrustedProxies;

/// Who sent a request, for the log; empty on a Unix socket without forwarding headers. `peer` is the other end of the
/// connection, `None` on a Unix socket.
pub(super) fn logged(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    proxies: &TrustedProxies,
) -> String {
    let text = |address: Option<IpAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    if proxies.is_empty() {
        named(headers).unwrap_or_else(|| text(peer))
    } else {
        text(address(headers, peer, proxies))
    }
}

/// Who sent a request, as far as rules may rely on it: the peer, or what a trusted proxy says of it. `None` on a Unix
/// socket that is not trusted.
///
/// The last address of `X-Forwarded-For` that is no trusted proxy. Each proxy appends the address that it was called
/// from, so everything in front of that one is hearsay. Something that is no address ends the search at the proxy that
/// passed it on.
pub(super) fn address(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    proxies: &TrustedProxies,
) -> Option<IpAddr> {
    if !proxies.trusts(peer) {
        return peer;
    }
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let mut client = peer;
    for entry in lines
        .iter()
        .rev()
        .flat_map(|line| line.to_str().unwrap_or("?").rsplit(','))
    {
        let Some(address) = parse(entry.trim()) else {
            break;
        };
        client = Some(address);
        if !proxies.trusts(client) {
            break;
        }
    }
    client
}

/// An address, with or without a port; IPv6 with a port is in brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let address: IpAddr = match bare {
        Some((inside, _)) => inside.parse().ok()?,
        None => match text.parse() {
            Ok(address) => address,
            Err(_) => text.rsplit_once(':')?.0.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

/// First non-empty of the forwarding headers: what the client says of itself.
fn named(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| {
        let value = String::from_utf8_lossy(headers.get(name)?.as_bytes()).into_owned();
        (!value.is_empty()).then_some(value)
    };
    text("cf-connecting-ip")
        .or_else(|| {
            let list = text("x-forwarded-for")?;
            let first = list.split(',').next().unwrap_or_default().to_owned();
            (!first.is_empty()).then_some(first)
        })
        .or_else(|| text("x-real-ip"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::http::tests::headers;

    fn proxies(list: &str) -> TrustedProxies {
        Config::from_pairs(&[("IMGFORGE_TRUSTED_PROXIES", list)])
            .unwrap()
            .server
            .trusted_proxies
    }

    #[test]
    fn the_log_believes_every_header_where_no_proxy_is_named() {
        let rows: [(&[(&str, &str)], &str); 5] = [
            (&[], "9.9.9.9"),
            (&[("x-real-ip", "3.3.3.3")], "3.3.3.3"),
            (
                &[
                    ("x-forwarded-for", "2.2.2.2, 9.9.9.9"),
                    ("x-real-ip", "3.3.3.3"),
                ],
                "2.2.2.2",
            ),
            (
                &[("x-forwarded-for", ", 9.9.9.9"), ("x-real-ip", "3.3.3.3")],
                "3.3.3.3",
            ),
            (
                &[
                    ("cf-connecting-ip", "1.1.1.1"),
                    ("x-forwarded-for", "2.2.2.2"),
                ],
                "1.1.1.1",
            ),
        ];
        let peer: IpAddr = "9.9.9.9".parse().unwrap();
        for (given, expected) in rows {
            let (given, none) = (headers(given), TrustedProxies::default());
            assert_eq!(logged(&given, Some(peer), &none), expected, "{given:?}");
            assert_eq!(address(&given, Some(peer), &none), Some(peer), "{given:?}");
        }
        let (given, none) = (headers(&[]), TrustedProxies::default());
        assert_eq!(logged(&given, None, &none), "");
        assert_eq!(address(&given, None, &none), None);
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies = proxies("10.0.0.0/8, fd00::/8, unix");
        let rows: [(&str, &[&str], &str); 15] = [
            ("9.9.9.9", &["1.1.1.1"], "9.9.9.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6", "1.1.1.1 ,10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1:4711"], "1.1.1.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:1.1.1.1"], "1.1.1.1"),
            ("fd00::1", &["1.1.1.1"], "1.1.1.1"),
        ];
        for (peer, forwarded, expected) in rows {
            let mut given: Vec<_> = forwarded.iter().map(|f| ("x-forwarded-for", *f)).collect();
            // Headers that a proxy may pass on from its client.
            given.extend([("cf-connecting-ip", "6.6.6.6"), ("x-real-ip", "6.6.6.6")]);
            let mut map = HeaderMap::new();
            for (name, value) in given {
                map.append(name, value.parse().unwrap());
            }
            let peer = Some(peer.parse().unwrap());
            assert_eq!(
                logged(&map, peer, &proxies),
                expected,
                "{peer:?} {forwarded:?}"
            );
            let expected = expected.parse().ok();
            assert_eq!(
                address(&map, peer, &proxies),
                expected,
                "{peer:?} {forwarded:?}"
            );
        }
    }

    #[test]
    fn a_unix_socket_is_trusted_by_name() {
        let given = headers(&[("x-forwarded-for", "1.1.1.1")]);
        let of_list = |list| address(&given, None, &proxies(list));
        assert_eq!(of_list("unix"), "1.1.1.1".parse().ok());
        assert_eq!(of_list("10.0.0.0/8"), None);
    }
}
