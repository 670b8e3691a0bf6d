//! Hosts: does the one that the client named mean the one that the route names?

use std::net::Ipv6Addr;

use crate::model::HostMatch;

/// Tells whether `sent`, a `Host` header's value, is what `wanted` asks for.
///
/// Case, port, brackets, the root's trailing dot and the spelling of an IPv6 address make no
/// difference. An absent or empty host is nobody's.
pub(crate) fn is_match(wanted: &HostMatch, sent: Option<&str>) -> bool {
    let Some(sent) = sent.map(name_of).filter(|name| !name.is_empty()) else { return false };
    match wanted {
        HostMatch::Exact(configured) => {
            let configured = name_of(configured);
            configured.eq_ignore_ascii_case(sent) || is_same_address(configured, sent)
        }
        HostMatch::Below(domain) => is_below(domain, sent),
    }
}

/// Tells whether `sent` is one or more labels and a dot before `domain`. What could be no part of a
/// host's name is no label: `user@` might be taken for one.
pub(crate) fn is_below(domain: &str, sent: &str) -> bool {
    let split = sent.len().checked_sub(domain.len()).and_then(|at| sent.split_at_checked(at));
    let Some((labels, end)) = split else { return false };
    end.eq_ignore_ascii_case(domain)
        && labels.strip_suffix('.').is_some_and(|it| it.split('.').all(is_label))
}

/// Tells whether `text` may be one part of a host's name.
pub(crate) fn is_label(text: &str) -> bool {
    let is_part = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
    !text.is_empty() && text.bytes().all(is_part)
}

fn is_same_address(a: &str, b: &str) -> bool {
    // Only IPv6 has more than one spelling; the colon spares all others the parsing.
    b.contains(':')
        && a.parse::<Ipv6Addr>().is_ok_and(|a| b.parse::<Ipv6Addr>().is_ok_and(|b| a == b))
}

/// Cuts off port, brackets and trailing dot.
pub(crate) fn name_of(host: &str) -> &str {
    if let Some((address, _port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match host.split_once(':') {
        // More than one colon: an IPv6 address without brackets, hence without a port.
        Some((_, rest)) if rest.contains(':') => host,
        Some((name, _port)) => without_root(name),
        None => without_root(host),
    }
}

fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(configured: &str, sent: &str, expected: bool) {
        let wanted = match configured.strip_prefix("*.") {
            Some(domain) => HostMatch::Below(domain.to_owned()),
            None => HostMatch::Exact(configured.to_owned()),
        };
        assert_eq!(is_match(&wanted, Some(sent)), expected, "{configured} and {sent}");
    }

    #[test]
    fn a_host_is_the_same_in_any_case_and_with_any_port() {
        check("api.example.com", "api.example.com", true);
        check("api.example.com", "API.Example.com:8021", true);
        check("api.example.com", "api.example.com.", true);
        check("api.example.com", "api.example.com.:80", true);
        check("127.0.0.1", "127.0.0.1:8021", true);
    }

    #[test]
    fn an_ipv6_address_is_the_same_in_any_spelling() {
        check("::1", "[::1]", true);
        check("::1", "[::1]:8021", true);
        check("[::1]", "[::1]:8021", true);
        check("::1", "[0:0:0:0:0:0:0:1]", true);
        check("2001:db8::a", "[2001:DB8::A]:443", true);
        check("::1", "[::2]:8021", false);
    }

    #[test]
    fn other_hosts_are_others() {
        check("example.com", "api.example.com", false);
        check("example.com", "example.com.evil.com", false);
        check("example.com", "user@example.com", false);
        check("example.com", "example.com..", false);
        check("example.com", "", false);
        check("example.com", ":80", false);
        assert!(!is_match(&HostMatch::Exact("example.com".to_owned()), None));
    }

    #[test]
    fn a_wildcard_stands_for_one_or_more_labels() {
        check("*.example.com", "api.example.com", true);
        check("*.example.com", "a.b-1.EXAMPLE.com.:8021", true);
        check("*.example.com", "_x.example.com", true);
        for sent in [
            "example.com",
            ".example.com",
            "a..example.com",
            "myexample.com",
            "user@api.example.com",
            "a/b.example.com",
            "api.example.com.evil.com",
            "api.example.com..",
            "\u{e4}.example.com",
            "[::1].example.com",
            "",
        ] {
            check("*.example.com", sent, false);
        }
    }

    proptest! {
        #[test]
        fn nothing_a_client_sends_can_break_the_comparison(sent in any::<String>()) {
            _ = is_match(&HostMatch::Exact("example.com".to_owned()), Some(&sent));
            _ = is_match(&HostMatch::Below("com".to_owned()), Some(&sent));
        }

        #[test]
        fn a_name_is_itself(name in "[a-z0-9-]{1,8}(\\.[a-z0-9-]{1,8}){0,3}", port in any::<u16>()) {
            let (exact, below) = (HostMatch::Exact(name.clone()), HostMatch::Below(name.clone()));
            prop_assert!(is_match(&exact, Some(&name)));
            prop_assert!(!is_match(&below, Some(&name)));
            let with_port = format!("{}:{port}", name.to_uppercase());
            prop_assert!(is_match(&exact, Some(&with_port)));
            let below_it = format!("a.{with_port}");
            prop_assert!(is_match(&below, Some(&below_it)));
        }
    }
}
