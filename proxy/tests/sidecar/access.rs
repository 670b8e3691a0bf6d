//! Who may do what: every path, by everybody.

use std::collections::BTreeSet;

use bascule::admin;
use serde_json::json;

use crate::world::{Answer, TOKEN, VIEWER, Wish, World, until};

const OPERATORS: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");
const VIEWERS: (&str, &str) = ("authorization", "Bearer fedcba9876543210fedcba9876543210");
const NOBODYS: (&str, &str) = ("authorization", "Bearer 00000000000000000000000000000000");
const ELSEWHERE: (&str, &str) = ("x-forwarded-for", "203.0.113.9");
const FOREIGN: (&str, &str) = ("origin", "http://evil.example");
const REBOUND: (&str, &str) = ("host", "evil.example:9901");

/// Who asks, in the order of the columns below.
const CALLERS: [(&str, &[(&str, &str)]); 8] = [
    ("somebody elsewhere", &[ELSEWHERE]),
    ("a viewer", &[ELSEWHERE, VIEWERS]),
    ("an operator", &[ELSEWHERE, OPERATORS]),
    ("an operator, on another site's page", &[ELSEWHERE, OPERATORS, FOREIGN]),
    ("somebody here", &[]),
    ("somebody here, on another site's page", &[FOREIGN]),
    ("somebody here, by a stranger's name", &[REBOUND]),
    ("with a token of nobody's", &[ELSEWHERE, NOBODYS]),
];

/// What an open path answers, a path of the state, of records, and one that changes something, where
/// whoever may gets `done`. Nobody writes the log here, hence 501 for its level.
const fn open(done: u16) -> [u16; 8] {
    [done; 8]
}

const fn introduction(done: u16) -> [u16; 8] {
    [done, done, done, done, done, done, done, 401]
}

const fn state(done: u16) -> [u16; 8] {
    [done, done, done, done, done, done, done, 401]
}

const fn records(done: u16) -> [u16; 8] {
    [401, done, done, 403, done, 403, 403, 401]
}

const fn change(done: u16) -> [u16; 8] {
    [401, 403, done, 403, done, 403, 403, 401]
}

/// Method, path, its pattern in the router, body, and what each caller gets. Nobody carries out orders
/// here, which is why those that are let through are answered with 503.
const TABLE: &[(&str, &str, &str, &str, [u16; 8])] = &[
    ("GET", "/livez", "/livez", "", open(200)),
    ("GET", "/readyz", "/readyz", "", open(200)),
    ("GET", "/whoami", "/whoami", "", introduction(200)),
    ("GET", "/proxy/health", "/proxy/health", "", state(200)),
    ("GET", "/proxy/data", "/proxy/data", "", state(418)),
    ("GET", "/proxy/fail", "/proxy/fail", "", state(405)),
    ("GET", "/backends", "/backends", "", state(200)),
    ("GET", "/backends/api/primary", "/backends/{pool}/{name}", "", state(200)),
    ("GET", "/faults", "/faults", "", state(200)),
    ("GET", "/incidents", "/incidents", "", state(200)),
    ("GET", "/incidents/api-1", "/incidents/{id}", "", state(404)),
    ("GET", "/series", "/series", "", state(200)),
    ("GET", "/openapi.json", "/openapi.json", "", state(200)),
    ("GET", "/metrics", "/metrics", "", state(200)),
    ("HEAD", "/metrics", "/metrics", "", state(200)),
    ("GET", "/logs", "/logs", "", records(426)),
    ("GET", "/feed", "/feed", "", records(426)),
    ("GET", "/audit", "/audit", "", records(200)),
    ("GET", "/config", "/config", "", records(200)),
    ("GET", "/log-level", "/log-level", "", records(501)),
    ("GET", "/nothing", "", "", records(404)),
    ("POST", "/tickets", "/tickets", "", records(200)),
    ("POST", "/config/check", "/config/check", "version: 1", records(503)),
    ("POST", "/config/reload", "/config/reload", "", change(503)),
    ("PUT", "/log-level", "/log-level", r#"{"level":"loud"}"#, change(400)),
    ("GET", "/process", "/process", "", state(200)),
    ("POST", "/drain", "/drain", "", change(200)),
    ("POST", "/undrain", "/undrain", "", change(200)),
    ("POST", "/upgrade", "/upgrade", "", change(409)),
    ("POST", "/proxy/fail", "/proxy/fail", r#"{"mode":"hang"}"#, change(202)),
    ("POST", "/proxy/recover", "/proxy/recover", "", change(200)),
    ("POST", "/proxy/failback", "/proxy/failback", "", change(409)),
    ("POST", "/faults", "/faults", r#"{"mode":"hang"}"#, change(202)),
    ("DELETE", "/faults/api/primary", "/faults/{pool}/{backend}", "", change(200)),
    ("POST", "/backends/api/primary/drain", "/backends/{pool}/{name}/{verb}", "", change(503)),
    ("POST", "/pools/api/failover", "/pools/{pool}/failover", "", change(503)),
    ("POST", "/pools/api/failback", "/pools/{pool}/failback", "", change(503)),
    ("POST", "/nothing", "", "", change(404)),
    ("POST", "/livez", "/livez", "", change(405)),
    ("OPTIONS", "/proxy/health", "/proxy/health", "", change(405)),
    ("DELETE", "/audit", "/audit", "", change(405)),
];

async fn guarded() -> World {
    World::with(Wish { token: Some(TOKEN), ..Wish::default() }).await
}

#[tokio::test]
async fn everybody_gets_what_the_table_says() {
    let mut wrong = Vec::new();
    for (method, path, _, body, expected) in TABLE {
        for ((caller, headers), expected) in CALLERS.iter().zip(expected) {
            // Each in a world of its own: nothing that one did changes what the next gets.
            let world = guarded().await;
            let found = world.clients.ask(method, path, headers, body).await.status;
            if found != *expected {
                wrong.push(format!("{method} {path} by {caller}: {found}, not {expected}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Every path in the router.
fn paths() -> BTreeSet<&'static str> {
    let source = include_str!("../../src/admin.rs");
    let routes = source.split(".route(\"").skip(1).filter_map(|it| it.split_once('"'));
    routes.map(|(path, _)| path).collect()
}

#[test]
fn the_document_has_every_path_that_there_is_and_is_current() {
    let document = admin::openapi::document();
    let described: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(described, paths());
    let file = std::path::Path::new("docs/openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
    if std::env::var_os("BASCULE_BLESS").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    let command = "BASCULE_BLESS=1 cargo test -p bascule --test sidecar";
    assert!(std::fs::read_to_string(file).unwrap() == text, "not current; run: {command}");
}

#[test]
fn the_table_has_every_path_that_there_is() {
    let there_are = paths();
    let tried: BTreeSet<&str> = TABLE.iter().map(|it| it.2).filter(|it| !it.is_empty()).collect();
    assert!(10 < there_are.len());
    assert_eq!(tried, there_are);
}

#[tokio::test]
async fn everybody_can_find_out_who_they_are() {
    let world = guarded().await;
    let cases = [
        (&[ELSEWHERE][..], json!(["anonymous", null, "viewer"])),
        (&[ELSEWHERE, VIEWERS], json!(["token", "grafana", "viewer"])),
        (&[ELSEWHERE, OPERATORS], json!(["token", "operator", "operator"])),
        (&[], json!(["local", null, "operator"])),
        (&[REBOUND], json!(["anonymous", null, "viewer"])),
    ];
    for (headers, expected) in cases {
        let found = world.clients.ask("GET", "/whoami", headers, "").await.json();
        assert_eq!(json!([found["kind"], found["name"], found["role"]]), expected);
        assert_eq!((&found["address"], &found["is_relayed"]), (&json!("127.0.0.1"), &json!(false)));
    }
}

async fn ticket(world: &World, headers: &[(&str, &str)]) -> String {
    let answer = world.clients.ask("POST", "/tickets", headers, r#"{"path":"/logs"}"#).await;
    assert_eq!((answer.status, &answer.json()["path"]), (200, &json!("/logs")));
    answer.json()["ticket"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_ticket_opens_one_websocket_once() {
    let world = guarded().await;
    let ticket = ticket(&world, &[ELSEWHERE, VIEWERS]).await;
    let path = format!("/logs?level=error&ticket={ticket}");
    // A page of another site that got hold of it has no use for it.
    let foreign = world.clients.watch(&path, &[ELSEWHERE, FOREIGN]).await.err();
    assert_eq!(foreign, Some(403));
    assert_eq!(world.clients.watch(&path, &[ELSEWHERE]).await.err(), Some(401), "it was shown");
    let ticket = self::ticket(&world, &[ELSEWHERE, VIEWERS]).await;
    let path = format!("/logs?level=error&ticket={ticket}");
    let mut reader = world.clients.watch(&path, &[ELSEWHERE]).await.unwrap();
    assert_eq!(reader.next().await.unwrap()["type"], "hello");
    assert_eq!(world.clients.watch(&path, &[ELSEWHERE]).await.err(), Some(401));
    let mut subscription = world.state.logs.subscribe().unwrap();
    for line in subscription.take_recent() {
        assert!(!line.json().contains(&ticket), "{}", line.json());
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_takes_its_readers_and_tickets_with_it() {
    let world = guarded().await;
    let ticket = ticket(&world, &[ELSEWHERE, VIEWERS]).await;
    let mut revoked = Vec::new();
    for path in ["/logs", "/feed"] {
        revoked.push(world.clients.watch(path, &[ELSEWHERE, VIEWERS]).await.unwrap());
    }
    let mut local = world.clients.watch("/logs", &[]).await.unwrap();
    // Of the tokens that were given, this configuration knows none.
    let admin = &world.state.generation().topology.admin;
    world.state.gate.adopt(world.state.gate.prepare(admin).unwrap());
    for reader in &mut revoked {
        let (code, reason) = loop {
            if let Err(end) = reader.next().await {
                break end;
            }
        };
        assert_eq!((code, reason.as_str()), (1008, "what let you in has been replaced or revoked"));
    }
    let path = format!("/logs?ticket={ticket}");
    assert_eq!(world.clients.watch(&path, &[ELSEWHERE]).await.err(), Some(401));
    // Whoever was let in by something else reads on.
    world.clients.ask("POST", "/proxy/failback", &[], "").await;
    while !local.next().await.unwrap().to_string().contains("/proxy/failback") {}
}

#[tokio::test]
async fn a_viewers_ticket_changes_nothing_and_is_for_websockets_only() {
    let mut world = guarded().await;
    let ticket = ticket(&world, &[ELSEWHERE, VIEWERS]).await;
    let path = format!("/proxy/fail?ticket={ticket}");
    let answer = world.clients.ask("POST", &path, &[ELSEWHERE], "").await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "ticket_wrong"));
    world.assert_untouched();
    let answer = world.clients.ask("POST", "/tickets", &[VIEWERS], r#"{"path":"/audit"}"#).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_value"));
}

#[tokio::test]
async fn tickets_that_nobody_shows_are_bounded() {
    let world = guarded().await;
    for _ in 0..32 {
        ticket(&world, &[VIEWERS]).await;
    }
    let answer = world.clients.ask("POST", "/tickets", &[VIEWERS], "").await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "too_many_tickets"));
    assert_eq!(answer.headers["retry-after"], "30");
    ticket(&world, &[OPERATORS]).await;
}

#[tokio::test]
async fn whoever_shows_too_much_that_is_wrong_has_to_wait_and_nobody_else() {
    let world = guarded().await;
    let fail = async |headers: &[(&str, &str)]| -> Answer {
        world.clients.ask("GET", "/audit", headers, "").await
    };
    for _ in 0..9 {
        assert_eq!(fail(&[ELSEWHERE, NOBODYS]).await.status, 401);
    }
    // Whoever mistyped and then got it right begins anew.
    assert_eq!(fail(&[ELSEWHERE, VIEWERS]).await.status, 200);
    // Each wait is as long as it says; a few may pass on a busy machine.
    let mut answer = fail(&[ELSEWHERE, NOBODYS]).await;
    for _ in 0..40 {
        if answer.status == 429 {
            break;
        }
        answer = fail(&[ELSEWHERE, NOBODYS]).await;
    }
    assert_eq!((answer.status, answer.code().as_str()), (429, "too_many_attempts"));
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
    assert_eq!(fail(&[("x-forwarded-for", "203.0.113.8"), VIEWERS]).await.status, 200);
    assert_eq!(fail(&[]).await.status, 200);
    // What needs nothing shown goes on.
    let health = world.clients.ask("GET", "/proxy/health", &[ELSEWHERE], "").await;
    assert_eq!(health.status, 200);
    let alive = world.clients.ask("GET", "/livez", &[ELSEWHERE, NOBODYS], "").await;
    assert_eq!(alive.status, 200);
}

#[tokio::test]
async fn the_trail_says_who_from_where_what_before_and_after() {
    let world = guarded().await;
    let order = r#"{"mode":"hang","backend":"secondary"}"#;
    assert_eq!(
        world.clients.ask("POST", "/proxy/fail", &[ELSEWHERE, OPERATORS], order).await.status,
        202
    );
    assert_eq!(
        world.clients.ask("POST", "/proxy/fail", &[ELSEWHERE, VIEWERS], order).await.status,
        403
    );
    assert_eq!(world.clients.ask("POST", "/proxy/recover", &[], "").await.status, 200);
    let trail = world.clients.ask("GET", "/audit", &[VIEWERS], "").await.json();
    let entries = trail["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    let [recovered, refused, made] = [0, 1, 2].map(|at| entries[at].clone());
    assert_eq!(made["id"], 1);
    assert_eq!(
        made["who"],
        json!({ "kind": "token", "name": "operator", "address": "127.0.0.1",
            "speaks_for": "203.0.113.9", "is_relayed": false })
    );
    assert_eq!(
        json!([made["action"], made["target"], made["request"], made["result"], made["status"]]),
        json!(["fault.inject", "api/secondary", "POST /proxy/fail", "done", 202])
    );
    assert_eq!((&made["before"], &made["after"]["fault"]["mode"]), (&json!(null), &json!("hang")));
    assert_eq!(
        json!([refused["who"]["name"], refused["result"], refused["code"], refused["status"]]),
        json!([null, "refused", "role_too_low", 403])
    );
    assert_eq!(recovered["who"]["kind"], "local");
    assert_eq!(recovered["before"]["api/secondary"]["mode"], "hang");
    for (query, ids) in [
        ("?who=token", json!([1])),
        ("?who=local", json!([3])),
        ("?since=1", json!([3, 2])),
        ("?since=2000-01-01T00:00:00Z&limit=1", json!([3])),
        ("?since=2999-01-01T00:00:00Z", json!([])),
    ] {
        let found = world.clients.ask("GET", &format!("/audit{query}"), &[], "").await.json();
        let found: Vec<_> =
            found["entries"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
        assert_eq!(json!(found), ids, "{query}");
    }
    let answer = world.clients.ask("GET", "/audit?since=yesterday", &[], "").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_parameter"));
    assert!(!trail.to_string().contains(TOKEN) && !trail.to_string().contains(VIEWER));
}

#[tokio::test]
async fn a_flood_of_refusals_drives_no_change_out_of_memory() {
    let world = guarded().await;
    assert_eq!(world.post("/proxy/fail", r#"{"mode":"hang"}"#).await.status, 202);
    let keep = 1_000;
    for _ in 0..=keep {
        assert_eq!(world.clients.ask("POST", "/proxy/fail", &[ELSEWHERE], "").await.status, 401);
    }
    let trail = world.clients.ask("GET", "/audit?limit=10000", &[], "").await.json();
    let entries = trail["entries"].as_array().unwrap();
    assert_eq!(entries.len(), keep + 1);
    assert_eq!((&entries[keep]["id"], &entries[keep]["result"]), (&json!(1), &json!("done")));
}

#[tokio::test]
async fn a_change_whose_client_left_is_in_the_trail_all_the_same() {
    use tokio::{io::AsyncWriteExt, net::TcpStream};

    let world = guarded().await;
    let mut client = TcpStream::connect(world.address).await.unwrap();
    // The handler waits for the rest of the body, which never comes.
    let head = "POST /proxy/fail HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{";
    client.write_all(head.as_bytes()).await.unwrap();
    drop(client);
    until("the trail has it", || world.audit().len() == 1).await;
    let trail = world.clients.ask("GET", "/audit", &[], "").await.json();
    assert_eq!(trail["entries"].as_array().unwrap().len(), 1, "{trail}");
}
