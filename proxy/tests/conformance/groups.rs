//! The groups of cases: each is a file, and has a proxy of its own.

use std::{sync::Mutex, thread};

use serde_json::json;

use crate::{
    dialogue::Dialogue,
    http2, http2_client, known,
    proxy::Proxy,
    report::{Result, is_wanted},
    script::{self, Case},
    setup::Setup,
    stage::Stage,
};

/// Groups that run at the same time. Each waits most of the time, for the proxy or for itself.
const AT_A_TIME: usize = 4;

/// Cases that need the same configuration.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) kind: Kind,
}

/// What proxy a group needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A pool of one backend that speaks HTTP/1.1.
    Plain,
    /// The same, and whoever asks is a trusted proxy.
    TrustedProxy,
    /// The same, and requests may be sent again.
    Retrying,
    /// The same, for requests beneath `/in` alone.
    Routed,
    /// A backend that speaks HTTP/2.
    Http2,
    /// Clients that speak HTTP/2; lines of a language of their own.
    Http2Client,
}

macro_rules! groups {
    ($($kind:ident $name:literal),* $(,)?) => {
        &[$(Group {
            name: $name,
            text: include_str!(concat!("cases/", $name, ".txt")),
            kind: Kind::$kind,
        }),*]
    };
}

const GROUPS: &[Group] = groups![
    Plain "request_line",
    Plain "request_target",
    Plain "request_host",
    Plain "request_fields",
    Plain "request_framing",
    Plain "request_chunks",
    Plain "request_connection",
    Plain "expect",
    Plain "methods",
    Plain "upgrade",
    Plain "connections",
    Plain "response_status",
    Plain "response_fields",
    Plain "response_framing",
    Plain "response_chunks",
    Plain "response_interim",
    Plain "response_empty",
    Plain "response_broken",
    Plain "response_extra",
    Routed "errors",
    Plain "forwarded",
    TrustedProxy "forwarded_trusted",
    Retrying "retried",
    Http2 "http2_backend",
    Http2Client "http2_client",
];

/// Runs every wanted case of every group.
pub(crate) fn run_all() -> Vec<Result> {
    let (results, next) = (Mutex::new(Vec::new()), Mutex::new(GROUPS.iter()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let group = next.lock().unwrap().next();
                    let Some(group) = group else { return };
                    let of_group = run(group);
                    results.lock().unwrap().extend(of_group);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|it| GROUPS.iter().position(|group| group.name == it.group));
    results
}

fn run(group: &Group) -> Vec<Result> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if group.kind == Kind::Http2Client {
            let mut stage = Stage::new().await;
            let proxy = start(group.kind, &stage).await;
            return http2_client::run(group, &mut stage, proxy.public).await;
        }
        let mut cases = script::parse(group.text);
        cases.retain(|it| is_wanted(group.name, it.name));
        if cases.is_empty() {
            return Vec::new();
        }
        if group.kind == Kind::Http2 {
            return http2::run(group, &cases).await;
        }
        run_plain(group, &cases).await
    })
}

async fn run_plain(group: &Group, cases: &[Case]) -> Vec<Result> {
    let mut stage = Stage::new().await;
    let mut proxy = start(group.kind, &stage).await;
    let mut results = Vec::new();
    for case in cases {
        stage.prepare(proxy.public, known::reason(case.name).is_some());
        let failure = Dialogue::new(&mut stage).play(case).await.err();
        if failure.as_ref().is_some_and(|it| it.what.contains("goes on serving")) {
            // What is wrong with this one must not fail the others.
            proxy = start(group.kind, &stage).await;
        }
        results.push(Result { group: group.name, name: case.name, failure });
    }
    results
}

async fn start(kind: Kind, stage: &Stage) -> Proxy {
    let setup = setup(&[("stub", stage.backend())]);
    let trusted = json!(["127.0.0.0/8"]);
    match kind {
        Kind::TrustedProxy => setup.with("listeners.public.trusted_proxies", trusted).start().await,
        Kind::Routed => {
            let beneath = json!([{ "match": { "path_prefix": "/in" }, "pool": "api" },
                { "match": { "path_prefix": "/marker" }, "pool": "api" }]);
            setup.with("routes", beneath).start().await
        }
        Kind::Retrying => {
            let setup = setup.with("pools.api.retries.max_attempts", 2);
            let told = json!({ "answers": "retries" });
            setup.with("listeners.public.proxy_status", told).start().await
        }
        Kind::Plain | Kind::Http2 | Kind::Http2Client => setup.start().await,
    }
}

/// A pool in which nothing happens of itself: no checks, no ejections, no second attempts.
pub(crate) fn setup(addresses: &[(&str, std::net::SocketAddr)]) -> Setup {
    Setup::addresses(addresses)
        .without_ejection()
        .with("pools.api.health_check.interval", "60s")
        .with("pools.api.when_down", "fail_open")
        .with("pools.api.suspicion", json!({ "enabled": false }))
        .with("pools.api.retries.max_attempts", 1)
        .with("pools.api.timeouts.between_reads", "20s")
        .with("pools.api.hold_back", json!({ "patience": "20s" }))
}
