//! Every combination of what a request can show, against a rule written another way.

use std::net::IpAddr;

use super::*;

const TOKEN: &str = "0123456789abcdef";
const TRUSTED_ORIGIN: &str = "http://dash.example.com";

/// `(Host, is it trusted)`.
const HOSTS: [(&str, bool); 6] = [
    ("127.0.0.1:9901", true),
    ("localhost:9901", true),
    ("[::1]:9901", true),
    ("dash.example.com", true),
    ("evil.example:9901", false),
    ("", false),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Origin {
    None,
    Own,
    OwnTls,
    Trusted,
    Foreign,
    OwnNameOtherPort,
    Null,
    Two,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    None,
    Right,
    RightLowerCase,
    Wrong,
    Prefix,
    Empty,
    Basic,
    Two,
}

const ORIGINS: [Origin; 8] = [
    Origin::None,
    Origin::Own,
    Origin::OwnTls,
    Origin::Trusted,
    Origin::Foreign,
    Origin::OwnNameOtherPort,
    Origin::Null,
    Origin::Two,
];

const SHOWN: [Shown; 8] = [
    Shown::None,
    Shown::Right,
    Shown::RightLowerCase,
    Shown::Wrong,
    Shown::Prefix,
    Shown::Empty,
    Shown::Basic,
    Shown::Two,
];

fn headers_of(host: &str, origin: Origin, shown: Shown) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !host.is_empty() {
        headers.append(header::HOST, host.parse().unwrap());
    }
    let own = format!("http://{host}");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let origins: Vec<String> = match origin {
        Origin::None => vec![],
        Origin::Own => vec![own],
        Origin::OwnTls => vec![format!("https://{host}")],
        Origin::Trusted => vec![TRUSTED_ORIGIN.to_uppercase().replace("HTTP", "http")],
        Origin::Foreign => vec!["http://evil.test".to_owned()],
        Origin::OwnNameOtherPort => vec![format!("http://{name}:666")],
        Origin::Null => vec!["null".to_owned()],
        Origin::Two => vec![own.clone(), own],
    };
    for origin in origins {
        headers.append(header::ORIGIN, origin.parse().unwrap());
    }
    let right = format!("Bearer {TOKEN}");
    let values: Vec<String> = match shown {
        Shown::None => vec![],
        Shown::Right => vec![right],
        Shown::RightLowerCase => vec![format!("bearer {TOKEN}")],
        Shown::Wrong => vec!["Bearer 0123456789abcdeg".to_owned()],
        Shown::Prefix => vec!["Bearer 0123".to_owned()],
        Shown::Empty => vec!["Bearer ".to_owned()],
        Shown::Basic => vec![format!("Basic {TOKEN}")],
        Shown::Two => vec![right.clone(), right],
    };
    for value in values {
        headers.append(header::AUTHORIZATION, value.parse().unwrap());
    }
    headers
}

fn clients() -> [Client; 3] {
    let local: IpAddr = "127.0.0.1".parse().unwrap();
    let remote: IpAddr = "10.0.0.9".parse().unwrap();
    [
        Client { address: local, arrival: Arrival::Direct, is_local: true },
        Client { address: local, arrival: Arrival::Direct, is_local: false },
        Client { address: remote, arrival: Arrival::DataPlane, is_local: false },
    ]
}

/// The rule as one sentence: no foreign page; then the token decides where one is shown; then one
/// must be on this machine (or only read a log that no token guards) and use a trusted name.
fn may(deed: Deed, client: Client, origin: bool, shown: Shown, host: bool, token: bool) -> bool {
    let is_right = matches!(shown, Shown::Right | Shown::RightLowerCase);
    if !origin {
        false
    } else if token && shown != Shown::None {
        is_right
    } else {
        host && (client.is_local || (deed == Deed::ReadLog && !token))
    }
}

#[test]
fn every_combination_is_decided_by_the_rule() {
    let allow_origins = [TRUSTED_ORIGIN.to_owned()];
    let mut allowed = 0;
    let mut refused = 0;
    for (host, host_is_trusted) in HOSTS {
        for origin in ORIGINS {
            let origin_is_fine = match origin {
                Origin::None | Origin::Trusted => true,
                Origin::Own | Origin::OwnTls => !host.is_empty(),
                Origin::Foreign | Origin::OwnNameOtherPort | Origin::Null | Origin::Two => false,
            };
            for shown in SHOWN {
                for client in clients() {
                    for deed in [Deed::ChangeState, Deed::ReadLog] {
                        for token in [None, Some(TOKEN)] {
                            let rules =
                                Rules { allow_origins: &allow_origins, allow_hosts: &[], token };
                            let headers = headers_of(host, origin, shown);
                            let found = decide(deed, client, &headers, &rules);
                            let expected = may(
                                deed,
                                client,
                                origin_is_fine,
                                shown,
                                host_is_trusted,
                                token.is_some(),
                            );
                            let case = (host, origin, shown, client, deed, token);
                            assert_eq!(found.is_ok(), expected, "{case:?}: {found:?}");
                            *if expected { &mut allowed } else { &mut refused } += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(allowed + refused, 6 * 8 * 8 * 3 * 2 * 2);
    assert!(0 < allowed && allowed < refused);
}

#[test]
fn a_refusal_says_what_would_help_and_never_the_token() {
    let rules = Rules { allow_origins: &[], allow_hosts: &[], token: Some(TOKEN) };
    let [_, _, remote] = clients();
    let check = |host, origin, shown, expected: &str| {
        let headers = headers_of(host, origin, shown);
        let refusal = decide(Deed::ChangeState, remote, &headers, &rules).unwrap_err();
        assert_eq!(refusal.code(), expected);
        assert!(!refusal.remedy().is_empty());
        assert!(!format!("{refusal} {refusal:?} {}", refusal.remedy()).contains(TOKEN));
    };
    check("127.0.0.1", Origin::Foreign, Shown::Right, "cross_origin");
    check("127.0.0.1", Origin::None, Shown::Wrong, "token_wrong");
    check("127.0.0.1", Origin::None, Shown::None, "token_required");
    let [local, _, _] = clients();
    let headers = headers_of("evil.example", Origin::Own, Shown::None);
    let refusal = decide(Deed::ChangeState, local, &headers, &rules).unwrap_err();
    assert_eq!(refusal, Refusal::UnknownHost { host: "evil.example".to_owned() });
}

#[test]
fn an_origin_cannot_be_trusted_by_the_name_null() {
    let allow_origins = ["null".to_owned(), "*".to_owned()];
    let rules = Rules { allow_origins: &allow_origins, allow_hosts: &[], token: None };
    let headers = headers_of("127.0.0.1", Origin::Null, Shown::None);
    assert!(check_origin(&headers, &rules).is_err());
    let headers = headers_of("127.0.0.1", Origin::Foreign, Shown::None);
    assert!(check_origin(&headers, &rules).is_err());
}

#[test]
fn two_hosts_are_none() {
    let mut headers = HeaderMap::new();
    headers.append(header::HOST, "127.0.0.1".parse().unwrap());
    headers.append(header::HOST, "127.0.0.1".parse().unwrap());
    let rules = Rules { allow_origins: &[], allow_hosts: &[], token: None };
    let refusal = check_host(&headers, &rules).unwrap_err();
    assert!(refusal.to_string().contains("names no host"), "{refusal}");
}

#[test]
fn what_a_stranger_writes_is_cut_and_made_plain() {
    let mut headers = HeaderMap::new();
    headers.append(header::ORIGIN, "x".repeat(5_000).parse().unwrap());
    let rules = Rules { allow_origins: &[], allow_hosts: &[], token: None };
    let refusal = check_origin(&headers, &rules).unwrap_err();
    assert!(refusal.to_string().len() < 200, "{refusal}");
    assert_eq!(clip("a\u{1b}[31m\n"), "a\u{fffd}[31m\u{fffd}");
}
