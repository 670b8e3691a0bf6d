//! The name by which a request calls us.

use std::net::IpAddr;

use http::{HeaderMap, header};

use crate::access::Rules;

/// Returns the `Host` header, if there is exactly one that is text.
pub(crate) fn of(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

/// Tells whether nobody but us can be called `host`.
pub(crate) fn is_trusted(host: &str, rules: &Rules<'_>) -> bool {
    let name = name_of(host);
    let origins = rules
        .allow_origins
        .iter()
        .filter_map(|origin| origin.split_once("://"))
        .map(|(_, authority)| name_of(authority.trim_end_matches('/')));
    is_address(name)
        || name.eq_ignore_ascii_case("localhost")
        || origins.into_iter().any(|trusted| trusted.eq_ignore_ascii_case(name))
        || rules.allow_hosts.iter().any(|trusted| {
            // An entry with a port means that port only.
            let wanted = if name_of(trusted) == trusted { name } else { host };
            trusted.eq_ignore_ascii_case(wanted)
        })
}

/// Returns `host` without its port; an IPv6 address keeps its brackets.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

fn is_address(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => matches!(name.parse(), Ok(IpAddr::V4(_))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::NONE;

    fn check(host: &str, expected: bool) {
        let origins = ["https://dash.example.com:8443".to_owned()];
        let hosts = ["proxy".to_owned(), "page.example.com:3000".to_owned()];
        let rules = Rules { allow_origins: &origins, allow_hosts: &hosts, ..NONE };
        assert_eq!(is_trusted(host, &rules), expected, "{host}");
    }

    #[test]
    fn addresses_and_localhost_are_ours_with_any_port() {
        for host in ["127.0.0.1", "127.0.0.1:9901", "10.1.2.3:80", "[::1]", "[::1]:9901"] {
            check(host, true);
        }
        for host in ["localhost", "LOCALHOST:9901"] {
            check(host, true);
        }
    }

    #[test]
    fn names_are_ours_only_when_trusted() {
        for host in ["proxy", "proxy:9901", "Proxy", "dash.example.com", "dash.example.com:1"] {
            check(host, true);
        }
        check("page.example.com:3000", true);
        for host in ["page.example.com", "page.example.com:3001", "example.com", "evil.example"] {
            check(host, false);
        }
    }

    #[test]
    fn what_only_looks_like_an_address_is_a_name() {
        for host in [
            "",
            ":9901",
            "127.0.0.1.evil.example",
            "127.0.0.1.nip.io:9901",
            "localhost.evil.example",
            "localhost.",
            "2130706433",
            "0x7f.1",
            "::1",
            "[::1].evil.example",
            "[evil.example]",
            "127.0.0.1:9901:evil",
            "evil.example:127.0.0.1",
            "user@127.0.0.1",
            "127.0.0.1/",
            " 127.0.0.1",
        ] {
            check(host, false);
        }
    }
}
