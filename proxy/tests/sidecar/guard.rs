//! Whatever is refused has no effect, and leaves a line in the audit.

use crate::world::{Answer, RELAY_KEY, TOKEN, Wish, World};

type Token = Option<&'static str>;
type Headers<'h> = &'h [(&'h str, &'h str)];

const HANG: &str = r#"{"mode":"hang"}"#;
const RIGHT: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");
const WRONG: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdeX");
const RELAY: (&str, &str) = ("x-bascule-relay", RELAY_KEY);
const REMOTE: (&str, &str) = ("x-bascule-client", "203.0.113.9");
const LOCAL: (&str, &str) = ("x-bascule-client", "127.0.0.1");

async fn world(token: Token) -> World {
    World::with(Wish { token, ..Wish::default() }).await
}

async fn fail(world: &World, headers: Headers<'_>) -> Answer {
    world.clients.ask("POST", "/proxy/fail", headers, HANG).await
}

#[tokio::test]
async fn a_refused_change_has_no_effect() {
    let cases: [(Token, Headers<'_>, u16, &str); 14] = [
        (None, &[("origin", "http://evil.example")], 403, "cross_origin"),
        (None, &[("origin", "null")], 403, "cross_origin"),
        (None, &[("origin", "http://127.0.0.1:1")], 403, "cross_origin"),
        (Some(TOKEN), &[("origin", "http://evil.example"), RIGHT], 403, "cross_origin"),
        (None, &[("host", "evil.example")], 403, "unknown_host"),
        (None, &[("host", "evil.example"), ("origin", "http://evil.example")], 403, "unknown_host"),
        (None, &[("x-forwarded-for", "203.0.113.9")], 401, "token_required"),
        (Some(TOKEN), &[("x-forwarded-for", "203.0.113.9")], 401, "token_required"),
        (Some(TOKEN), &[("forwarded", "for=203.0.113.9"), WRONG], 401, "token_wrong"),
        (Some(TOKEN), &[WRONG], 401, "token_wrong"),
        (None, &[RELAY, REMOTE], 401, "token_required"),
        (None, &[RELAY], 401, "token_required"),
        (Some(TOKEN), &[RELAY, REMOTE], 401, "token_required"),
        (None, &[("x-bascule-relay", "wrong"), ("x-real-ip", "10.0.0.9")], 401, "token_required"),
    ];
    for (token, headers, status, code) in cases {
        let mut world = world(token).await;
        for (path, body) in [("/proxy/fail", HANG), ("/proxy/recover", ""), ("/proxy/failback", "")]
        {
            let answer = world.clients.ask("POST", path, headers, body).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{headers:?}");
            assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
        }
        world.assert_untouched();
        assert_eq!(world.audit(), vec![format!("change refused: {code}"); 3]);
    }
}

#[tokio::test]
async fn whoever_may_is_let_through() {
    let cases: [(Token, Headers<'_>); 9] = [
        (None, &[]),
        (None, &[("origin", "http://dash.example.com")]),
        (None, &[("host", "localhost:9901"), ("origin", "http://localhost:9901")]),
        (None, &[("host", "dash.example.com")]),
        (Some(TOKEN), &[]),
        (Some(TOKEN), &[("x-forwarded-for", "203.0.113.9"), RIGHT]),
        (Some(TOKEN), &[("host", "proxy:9901"), RIGHT]),
        (Some(TOKEN), &[RELAY, REMOTE, RIGHT]),
        (None, &[RELAY, LOCAL]),
    ];
    for (token, headers) in cases {
        let world = world(token).await;
        let answer = fail(&world, headers).await;
        assert_eq!(answer.status, 202, "{headers:?}: {answer:?}");
        assert!(world.fault(0).is_some());
        assert_eq!(world.audit(), ["change made"]);
    }
}

#[tokio::test]
async fn a_wrong_relay_key_is_as_good_as_none() {
    let world = world(None).await;
    let headers = [("x-bascule-relay", "wrong"), REMOTE];
    assert_eq!(world.clients.ask("GET", "/metrics", &headers, "").await.status, 200);
    assert_eq!(fail(&world, &headers).await.status, 202);
}

#[tokio::test]
async fn the_data_plane_leads_to_nothing_but_the_proxys_own_paths() {
    let mut world = world(Some(TOKEN)).await;
    for path in ["/metrics", "/incidents", "/series", "/livez", "/readyz", "/"] {
        for method in ["GET", "POST"] {
            let answer = world.clients.ask(method, path, &[RELAY, LOCAL, RIGHT], "").await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_path"), "{path}");
        }
    }
    let answer = world.clients.ask("GET", "/proxy/health", &[RELAY, REMOTE], "").await;
    assert_eq!(answer.status, 200);
    world.assert_untouched();
}

#[tokio::test]
async fn reading_is_open_to_whoever_reaches_the_address() {
    let world = world(Some(TOKEN)).await;
    for path in ["/metrics", "/livez", "/readyz", "/proxy/health", "/incidents", "/series"] {
        let headers = [("origin", "http://evil.example"), ("x-forwarded-for", "203.0.113.9")];
        let answer = world.clients.ask("GET", path, &headers, "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
}

#[tokio::test]
async fn the_log_is_for_those_who_may() {
    let cases: [(Token, Headers<'_>, Option<u16>); 10] = [
        (None, &[], None),
        (None, &[("origin", "http://evil.example")], Some(403)),
        (None, &[("origin", "null")], Some(403)),
        (None, &[("host", "evil.example")], Some(403)),
        (None, &[RELAY, REMOTE], None),
        (Some(TOKEN), &[], None),
        (Some(TOKEN), &[RELAY, REMOTE], Some(401)),
        (Some(TOKEN), &[RELAY, REMOTE, WRONG], Some(401)),
        (Some(TOKEN), &[RELAY, REMOTE, RIGHT], None),
        (Some(TOKEN), &[("x-forwarded-for", "10.0.0.9")], Some(401)),
    ];
    for (token, headers, refused) in cases {
        let world = world(token).await;
        let found = world.clients.watch("/logs", headers).await;
        assert_eq!(found.err(), refused, "{token:?} {headers:?}");
    }
    // A token in an address would end up in logs and histories.
    let world = world(Some(TOKEN)).await;
    let path = format!("/logs?token={TOKEN}");
    assert_eq!(world.clients.watch(&path, &[RELAY, REMOTE]).await.err(), Some(401));
    assert_eq!(world.clients.watch(&path, &[]).await.err(), Some(400));
}

#[tokio::test]
async fn no_answer_and_no_log_line_repeats_a_secret() {
    let world = world(Some(TOKEN)).await;
    for headers in [&[RIGHT][..], &[WRONG], &[RELAY, REMOTE, RIGHT], &[RELAY, REMOTE]] {
        let answer = fail(&world, headers).await;
        assert!(!answer.text.contains(TOKEN) && !answer.text.contains(RELAY_KEY));
    }
    let mut subscription = world.state.logs.subscribe().unwrap();
    let lines = subscription.take_recent();
    assert!(!lines.is_empty());
    for line in lines {
        assert!(!line.json().contains(TOKEN), "{}", line.json());
        assert!(!line.json().contains(RELAY_KEY), "{}", line.json());
    }
    let debug = format!("{:?}", world.state);
    assert!(!debug.contains(TOKEN) && !debug.contains(RELAY_KEY), "{debug}");
}
