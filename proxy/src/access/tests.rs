//! Every combination of what a request can show, against a rule written another way.

use std::{collections::BTreeMap, net::IpAddr};

use super::*;
use crate::token::TokenHash;

const OPERATOR: &str = "0123456789abcdef";
const VIEWER: &str = "fedcba9876543210";
const TRUSTED_ORIGIN: &str = "http://dash.example.com";

/// Nobody may do anything.
pub(crate) const NONE: Rules<'_> = Rules {
    allow_origins: &[],
    allow_hosts: &[],
    anonymous: None,
    local: None,
    tokens: &[],
    certificates: &[],
};

/// `(Host, is it trusted)`; what else is trusted, `host` tests.
const HOSTS: [(&str, bool); 4] = [
    ("127.0.0.1:9901", true),
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
    Operator,
    OperatorLowerCase,
    Viewer,
    Wrong,
    Prefix,
    Empty,
    Basic,
    Two,
}

/// What comes with a request beside its headers: the names of a certificate, and a ticket.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    Nothing,
    StrangersCertificate,
    ViewersCertificate,
    OperatorsCertificate,
    ViewersTicket,
    OperatorsTicketAndViewersCertificate,
    WrongTicketAndOperatorsCertificate,
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

const SHOWN: [Shown; 9] = [
    Shown::None,
    Shown::Operator,
    Shown::OperatorLowerCase,
    Shown::Viewer,
    Shown::Wrong,
    Shown::Prefix,
    Shown::Empty,
    Shown::Basic,
    Shown::Two,
];

const BESIDE: [Beside; 7] = [
    Beside::Nothing,
    Beside::StrangersCertificate,
    Beside::ViewersCertificate,
    Beside::OperatorsCertificate,
    Beside::ViewersTicket,
    Beside::OperatorsTicketAndViewersCertificate,
    Beside::WrongTicketAndOperatorsCertificate,
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
    let right = format!("Bearer {OPERATOR}");
    let values: Vec<String> = match shown {
        Shown::None => vec![],
        Shown::Operator => vec![right],
        Shown::OperatorLowerCase => vec![format!("bearer {OPERATOR}")],
        Shown::Viewer => vec![format!("Bearer {VIEWER}")],
        Shown::Wrong => vec!["Bearer 0123456789abcdeg".to_owned()],
        Shown::Prefix => vec!["Bearer 0123".to_owned()],
        Shown::Empty => vec!["Bearer ".to_owned()],
        Shown::Basic => vec![format!("Basic {OPERATOR}")],
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

fn tokens() -> [KnownToken; 3] {
    let of = |name: &str, role, token: Option<&str>| KnownToken {
        name: name.to_owned(),
        role,
        hash: token.map(|it| TokenHash::of(it.as_bytes())),
    };
    [
        of("gone", Role::Operator, None),
        of("ci", Role::Operator, Some(OPERATOR)),
        of("grafana", Role::Viewer, Some(VIEWER)),
    ]
}

fn certificates() -> [NamedCertificate; 2] {
    [("ops.example.com", Role::Operator), ("look.example.com", Role::Viewer)]
        .map(|(name, role)| NamedCertificate { name: name.to_owned(), role })
}

fn ticket(role: Role) -> Ticket {
    Ticket::Of(Identity { kind: Kind::Token, name: Some("page".to_owned()), role: Some(role) })
}

impl Beside {
    fn certificate(self) -> Vec<String> {
        let name = match self {
            Self::Nothing | Self::ViewersTicket => return Vec::new(),
            Self::StrangersCertificate => "x.example.com",
            Self::ViewersCertificate | Self::OperatorsTicketAndViewersCertificate => {
                "LOOK.example.com"
            }
            Self::OperatorsCertificate | Self::WrongTicketAndOperatorsCertificate => {
                "ops.example.com"
            }
        };
        vec![name.to_owned()]
    }

    fn ticket(self) -> Ticket {
        match self {
            Self::Nothing
            | Self::StrangersCertificate
            | Self::ViewersCertificate
            | Self::OperatorsCertificate => Ticket::None,
            Self::ViewersTicket => ticket(Role::Viewer),
            Self::OperatorsTicketAndViewersCertificate => ticket(Role::Operator),
            Self::WrongTicketAndOperatorsCertificate => Ticket::Wrong,
        }
    }
}

/// What the configuration says.
#[derive(Clone, Copy, Debug)]
struct Said {
    anonymous: Option<Role>,
    local: Option<Role>,
    /// Whether anybody has a token or a certificate.
    anybody: bool,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    deed: Deed,
    origin_is_fine: bool,
    shown: Shown,
    beside: Beside,
    client: Client,
    host_is_trusted: bool,
    said: Said,
}

/// The rule as a story: greetings are for everybody; but for reading the state, no foreign page; then
/// what is shown decides, the token first, the ticket before the certificate; then the state is for
/// whoever may read it without showing anything; and the rest is for this machine, or for everybody
/// where nobody has anything to show, by a trusted name.
fn verdict(case: Case) -> &'static str {
    let Case { deed, said, shown, beside, .. } = case;
    let needed = match deed {
        Deed::Greet => return "ok",
        // As reading the state where everybody may.
        Deed::Introduce => {
            let said = Said { anonymous: Some(Role::Viewer), ..said };
            return verdict(Case { deed: Deed::ReadState, said, ..case });
        }
        Deed::ReadState | Deed::ReadRecords => Role::Viewer,
        Deed::ChangeState => Role::Operator,
    };
    if deed != Deed::ReadState && !case.origin_is_fine {
        return "cross_origin";
    }
    let of = |role| if needed <= role { "ok" } else { "role_too_low" };
    match (said.anybody, shown) {
        (false, _) | (true, Shown::None) => {}
        (true, Shown::Operator | Shown::OperatorLowerCase) => return of(Role::Operator),
        (true, Shown::Viewer) => return of(Role::Viewer),
        (true, Shown::Wrong | Shown::Prefix | Shown::Empty | Shown::Basic | Shown::Two) => {
            return "token_wrong";
        }
    }
    match (said.anybody, beside) {
        (_, Beside::ViewersTicket) => return of(Role::Viewer),
        (_, Beside::OperatorsTicketAndViewersCertificate) => return of(Role::Operator),
        (_, Beside::WrongTicketAndOperatorsCertificate) => return "ticket_wrong",
        (true, Beside::ViewersCertificate) => return of(Role::Viewer),
        (true, Beside::OperatorsCertificate) => return of(Role::Operator),
        (_, Beside::Nothing | Beside::StrangersCertificate)
        | (false, Beside::ViewersCertificate | Beside::OperatorsCertificate) => {}
    }
    let may_all = |role: Option<Role>| role.is_some_and(|it| needed <= it);
    if deed == Deed::ReadState && may_all(said.anonymous) {
        return "ok";
    }
    let here = case.client.is_local && may_all(said.local);
    let anywhere = !said.anybody && may_all(said.anonymous);
    match (here || anywhere, case.host_is_trusted) {
        (false, _) => "token_required",
        (true, false) => "unknown_host",
        (true, true) => "ok",
    }
}

fn is_fine(origin: Origin, host: &str) -> bool {
    match origin {
        Origin::None | Origin::Trusted => true,
        Origin::Own | Origin::OwnTls => !host.is_empty(),
        Origin::Foreign | Origin::OwnNameOtherPort | Origin::Null | Origin::Two => false,
    }
}

fn everything_said() -> Vec<Said> {
    let mut all = Vec::new();
    for anonymous in [None, Some(Role::Viewer)] {
        for local in [None, Some(Role::Viewer), Some(Role::Operator)] {
            for anybody in [false, true] {
                all.push(Said { anonymous, local, anybody });
            }
        }
    }
    all
}

#[test]
fn every_combination_is_decided_by_the_rule() {
    let allow_origins = [TRUSTED_ORIGIN.to_owned()];
    let (tokens, certificates) = (tokens(), certificates());
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    for (host, host_is_trusted) in HOSTS {
        for origin in ORIGINS {
            for shown in SHOWN {
                let headers = headers_of(host, origin, shown);
                for beside in BESIDE {
                    let certificate = beside.certificate();
                    for client in clients() {
                        for said in everything_said() {
                            let Said { anonymous, local, anybody } = said;
                            let rules = Rules {
                                allow_origins: &allow_origins,
                                allow_hosts: &[],
                                anonymous,
                                local,
                                tokens: if anybody { &tokens } else { &[] },
                                certificates: if anybody { &certificates } else { &[] },
                            };
                            for deed in Deed::ALL {
                                let asker = Asker {
                                    client,
                                    headers: &headers,
                                    certificate: &certificate,
                                    ticket: beside.ticket(),
                                };
                                let decided = decide(deed, &asker, &rules);
                                let word = decided.as_ref().map_or_else(Refusal::code, |_| "ok");
                                let origin_is_fine = is_fine(origin, host);
                                let case = Case {
                                    deed,
                                    origin_is_fine,
                                    shown,
                                    beside,
                                    client,
                                    host_is_trusted,
                                    said,
                                };
                                assert_eq!(word, verdict(case), "{host} {origin:?} {case:?}");
                                let role = decided.ok().and_then(|it| it.role);
                                let is_enough = word != "ok" || deed.role() <= role;
                                assert!(is_enough, "{role:?} {case:?}");
                                *found.entry(word).or_default() += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    let all = 4 * 8 * 9 * 7 * 3 * 12 * 5;
    assert_eq!(found.values().sum::<u32>(), all);
    assert_eq!(found.len(), 7, "{found:?}");
}

fn rules<'r>(tokens: &'r [KnownToken]) -> Rules<'r> {
    Rules { anonymous: Some(Role::Viewer), local: Some(Role::Operator), tokens, ..NONE }
}

fn asker(client: Client, headers: &HeaderMap) -> Asker<'_> {
    Asker { client, headers, certificate: &[], ticket: Ticket::None }
}

#[test]
fn a_refusal_says_what_would_help_and_never_the_token() {
    let tokens = tokens();
    let rules = rules(&tokens);
    let [local, _, remote] = clients();
    let check = |host, origin, shown, expected: &str| {
        let headers = headers_of(host, origin, shown);
        let refusal = decide(Deed::ChangeState, &asker(remote, &headers), &rules).unwrap_err();
        assert_eq!(refusal.code(), expected);
        assert!(REFUSALS.contains(&expected), "{expected} is not counted");
        assert!(!refusal.remedy().is_empty());
        let said = format!("{refusal} {refusal:?} {}", refusal.remedy());
        assert!(!said.contains(OPERATOR) && !said.contains(VIEWER), "{said}");
    };
    check("127.0.0.1", Origin::Foreign, Shown::Operator, "cross_origin");
    check("127.0.0.1", Origin::None, Shown::Wrong, "token_wrong");
    check("127.0.0.1", Origin::None, Shown::None, "token_required");
    check("127.0.0.1", Origin::None, Shown::Viewer, "role_too_low");
    let headers = headers_of("evil.example", Origin::Own, Shown::None);
    let refusal = decide(Deed::ChangeState, &asker(local, &headers), &rules).unwrap_err();
    assert_eq!(refusal, Refusal::UnknownHost { host: "evil.example".to_owned() });
}

#[test]
fn whoever_is_let_in_is_known_by_the_best_that_they_show() {
    let tokens = tokens();
    let rules = rules(&tokens);
    let [local, _, remote] = clients();
    let check = |deed, client, host, shown, expected: (Kind, Option<&str>, Option<Role>)| {
        let headers = headers_of(host, Origin::None, shown);
        let Identity { kind, name, role } = decide(deed, &asker(client, &headers), &rules).unwrap();
        assert_eq!((kind, name.as_deref(), role), expected);
    };
    let (operator, viewer) = (Some(Role::Operator), Some(Role::Viewer));
    let (here, evil) = ("127.0.0.1", "evil.example");
    let ci = (Kind::Token, Some("ci"), operator);
    check(Deed::ChangeState, remote, evil, Shown::Operator, ci);
    check(Deed::Introduce, local, here, Shown::Operator, ci);
    check(Deed::ReadRecords, local, here, Shown::Viewer, (Kind::Token, Some("grafana"), viewer));
    check(Deed::ChangeState, local, here, Shown::None, (Kind::Local, None, operator));
    check(Deed::ReadState, local, here, Shown::None, (Kind::Local, None, operator));
    let anonymous = (Kind::Anonymous, None, viewer);
    check(Deed::ReadState, remote, here, Shown::None, anonymous);
    // A page that made its own name lead here is nobody, wherever its browser is.
    check(Deed::ReadState, local, evil, Shown::None, anonymous);
    check(Deed::Introduce, local, evil, Shown::None, anonymous);
    for shown in [Shown::Operator, Shown::Wrong] {
        check(Deed::Greet, local, here, shown, (Kind::Anonymous, None, None));
    }
}

#[test]
fn a_websocket_is_asked_for_its_origin_whatever_it_reads() {
    let mut headers = headers_of("127.0.0.1", Origin::Foreign, Shown::Operator);
    let tokens = tokens();
    let [local, ..] = clients();
    let decided = |headers: &HeaderMap| {
        let decided = decide(Deed::ReadState, &asker(local, headers), &rules(&tokens));
        decided.map_err(|it| it.code()).map(|it| it.role)
    };
    assert_eq!(decided(&headers), Ok(Some(Role::Operator)));
    headers.insert(header::UPGRADE, "websocket".parse().unwrap());
    assert_eq!(decided(&headers), Err("cross_origin"));
}

#[test]
fn an_origin_cannot_be_trusted_by_the_name_null() {
    let allow_origins = ["null".to_owned(), "*".to_owned()];
    let rules = Rules { allow_origins: &allow_origins, ..NONE };
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
    let refusal = check_host(&headers, &NONE).unwrap_err();
    assert!(refusal.to_string().contains("names no host"), "{refusal}");
}

#[test]
fn what_a_stranger_writes_is_cut_and_made_plain() {
    let mut headers = HeaderMap::new();
    headers.append(header::ORIGIN, "x".repeat(5_000).parse().unwrap());
    let refusal = check_origin(&headers, &NONE).unwrap_err();
    assert!(refusal.to_string().len() < 200, "{refusal}");
    assert_eq!(clip("a\u{1b}[31m\n"), "a\u{fffd}[31m\u{fffd}");
}
