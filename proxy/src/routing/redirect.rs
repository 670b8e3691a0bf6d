//! Redirects: where is the client sent?
//!
//! A redirect that leads where the client's input says is a gift to whoever writes links: visitors
//! trust the host that they see. So no part of a request becomes a host, but for the one that the
//! client has asked already, and only if it is one; and a path never begins with two slashes, which
//! browsers take for a host, or with a backslash, which they take for a slash.

use std::net::Ipv6Addr;

use crate::{
    model::{Location, Redirect, Rewrite},
    routing::{host, rewrite},
};

/// Returns the `Location` (RFC 9110 §10.2.2) for a request to `host` for `path_and_query`, whose
/// path `rewrite` changes, too. `None` if the request names no host and one is needed.
pub fn location(
    redirect: &Redirect,
    rewrite: Option<&Rewrite>,
    host: Option<&str>,
    path_and_query: &str,
) -> Option<String> {
    let (scheme, new_host, port, path, keeps_query) = match &redirect.to {
        Location::Whole(location) => return Some(location.clone()),
        Location::Changed { scheme, host, port, path, keeps_query } => {
            (scheme, host, port, path, *keeps_query)
        }
    };
    let rewritten = rewrite.map(|it| rewrite::rewrite(path_and_query, it));
    let sent = rewritten.as_deref().unwrap_or(path_and_query);
    let (sent_path, query) = sent.split_at(sent.find('?').unwrap_or(sent.len()));
    let path = path.as_deref().unwrap_or(if sent_path == "*" { "/" } else { sent_path });
    let mut location = String::new();
    if scheme.is_some() || new_host.is_some() || port.is_some() {
        if let Some(scheme) = scheme {
            location.push_str(scheme);
            location.push(':');
        }
        // Without a scheme, the one that the client used, which a proxy before this one may hide.
        location.push_str("//");
        match new_host {
            Some(host) => location.push_str(host),
            None => location.push_str(&asked(host?)?),
        }
        if let Some(port) = port {
            location.push_str(&format!(":{port}"));
        }
    }
    location.push('/');
    location.push_str(path.trim_start_matches(['/', '\\']));
    if keeps_query {
        location.push_str(query);
    }
    Some(location)
}

/// Returns the host that the client named, without port; `None` if it is no host.
fn asked(sent: &str) -> Option<String> {
    let name = host::name_of(sent);
    if name.contains(':') {
        return name.parse::<Ipv6Addr>().ok().map(|it| format!("[{it}]"));
    }
    name.split('.').all(host::is_label).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANY: Location =
        Location::Changed { scheme: None, host: None, port: None, path: None, keeps_query: true };

    fn to(scheme: &str, host: &str, port: u16, path: &str) -> Redirect {
        let given = |it: &str| (!it.is_empty()).then(|| it.to_owned());
        let to = Location::Changed {
            scheme: given(scheme),
            host: given(host),
            port: port.try_into().ok(),
            path: given(path),
            keeps_query: true,
        };
        Redirect { status: 302, to }
    }

    #[track_caller]
    fn check(redirect: &Redirect, host: &str, sent: &str, expected: &str) {
        assert_eq!(location(redirect, None, Some(host), sent).as_deref(), Some(expected));
    }

    #[test]
    fn what_is_not_given_stays() {
        check(&to("https", "", 0, ""), "A.example:80", "/x?y=1", "https://a.example/x?y=1");
        check(&to("https", "", 8443, ""), "a.example:80", "/", "https://a.example:8443/");
        check(&to("", "b.example", 0, ""), "a.example:80", "/x", "//b.example/x");
        check(&to("", "", 8443, ""), "[::1]:80", "/x", "//[::1]:8443/x");
        check(&to("", "", 0, "/new"), "a.example", "/x?y", "/new?y");
        check(&to("https", "", 0, ""), "a.example", "*", "https://a.example/");
    }

    #[test]
    fn a_query_goes_when_told_and_a_whole_location_is_as_given() {
        let Location::Changed { scheme, host, port, .. } = ANY else { panic!() };
        let path = Some("/new".to_owned());
        let to = Location::Changed { scheme, host, port, path, keeps_query: false };
        check(&Redirect { status: 301, to }, "a", "/x?y", "/new");
        let whole = Location::Whole("https://b.example/a?b".to_owned());
        let whole = Redirect { status: 301, to: whole };
        assert_eq!(location(&whole, None, None, "/x?y").as_deref(), Some("https://b.example/a?b"));
    }

    #[test]
    fn a_rewrite_changes_the_path_of_a_redirect() {
        let strip = Rewrite::StripPrefix("/old".to_owned());
        let redirect = to("", "b.example", 0, "");
        let found = location(&redirect, Some(&strip), None, "/old/x?y");
        assert_eq!(found.as_deref(), Some("//b.example/x?y"));
        let nothing_else = Redirect { status: 302, to: ANY };
        let found = location(&nothing_else, Some(&strip), None, "/old//evil.example");
        assert_eq!(found.as_deref(), Some("/evil.example"));
    }

    #[test]
    fn what_is_no_host_is_not_repeated() {
        for host in ["a@b", "a/b", "a b", "", "a..b", "[::1", "::g", "a\\b", "evil.example?"] {
            assert_eq!(location(&to("https", "", 0, ""), None, Some(host), "/"), None, "{host}");
        }
        assert_eq!(location(&to("https", "", 0, ""), None, None, "/"), None);
    }

    proptest! {
        #[test]
        fn no_request_decides_which_host_it_is_sent_to(
            path in "[/\\\\]{0,4}[a-z.@:?/\\\\]{0,20}",
            host in "[a-z.@:/\\\\\\[\\]]{0,12}",
        ) {
            let sent = format!("/{path}");
            let relative = location(&Redirect { status: 302, to: ANY }, None, None, &sent).unwrap();
            prop_assert!(relative.starts_with('/'));
            prop_assert!(!relative[1..].starts_with(['/', '\\']), "{}", relative);
            let fixed = location(&to("", "b.example", 0, ""), None, Some(&host), &sent).unwrap();
            prop_assert!(fixed.starts_with("//b.example/"), "{}", fixed);
            if let Some(same) = location(&to("https", "", 0, ""), None, Some(&host), &sent) {
                let end = same[8..].find('/').unwrap() + 8;
                prop_assert!(!same[8..end].contains(['@', '\\', '?']), "{}", same);
            }
        }
    }
}
