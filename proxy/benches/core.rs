//! What single functions on the way of a request take: `make microbench`.
//!
//! Goals: `pick` among 1,000 backends within 150 ns, `route` among 1,000 routes within 300 ns.

#![expect(clippy::expect_used, reason = "a tool for measuring: it ends when something is wrong")]

use std::{fmt::Write, hint::black_box, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bascule::{
    balance, clock,
    config::parse,
    event::{Fate, Idempotence},
    model::{PoolId, Topology},
    routing::{self, Index, RequestFacts},
    snapshot::{Kind, Live, Maglev, PoolSnapshot, Schedule, SnapshotCell, TierSnapshot, Timeline},
    wire::incoming::{Limits, Scan, inspect},
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::HeaderMap;

fn topology(routes: &str, backends: usize, pool: &str) -> Topology {
    let mut text = format!(
        "version: 1\nlisteners: {{ a: {{ address: '127.0.0.1:1' }} }}\nroutes:\n{routes}\n\
         pools:\n  api:\n{pool}    backends:\n"
    );
    for number in 0..backends {
        let (a, b) = (number / 200, number % 200 + 1);
        _ = writeln!(text, "      - {{ name: b{number}, url: 'http://127.1.{a}.{b}:2' }}");
    }
    parse("bench.yaml", &text, Path::new("")).expect("well-formed").topology
}

/// All backends are well.
fn well(topology: &Topology) -> PoolSnapshot {
    let backends = &topology.pools[0].backends;
    let of = |(index, it): (usize, &bascule::model::Backend)| (index, it.weight.get());
    let weights: Vec<(usize, u32)> = backends.iter().enumerate().map(of).collect();
    let named: Vec<_> = weights.iter().map(|&(at, it)| (at, &*backends[at].name, it)).collect();
    PoolSnapshot {
        active_tier: Some(0),
        tables: [Maglev::new(&named)].into(),
        weights: weights.iter().map(|it| it.1).collect(),
        tiers: vec![TierSnapshot {
            eligible: weights.iter().map(|it| it.0).collect(),
            schedule: Schedule::new(&weights),
            trusted: None,
        }],
        ..PoolSnapshot::default()
    }
}

fn pick(criterion: &mut Criterion) {
    let policies = [
        ("round_robin", ""),
        ("least_requests", ""),
        ("peak_ewma", ""),
        ("hash", ""),
        ("hash, bound", "    hash: { client_address: true, bound: 1.25 }\n"),
        ("round_robin, limits", "    limits: { max_requests: 100 }\n"),
    ];
    for (name, keys) in policies {
        let mut group = criterion.benchmark_group(format!("pick: {name}"));
        let balance = name.split(',').next().unwrap_or_default();
        for count in [2, 200, 1_000, 2_000] {
            let pool = format!("    balance: {balance}\n{keys}");
            let topology = topology("  - { pool: api }", count, &pool);
            let (live, snapshot) = (Live::new(&topology), well(&topology));
            let live = live.pool(PoolId(0));
            let (mut random, now) = (fastrand::Rng::with_seed(7), clock::now());
            for backend in &live.backends {
                backend.peak_ewma.observe(Duration::from_millis(random.u64(1..9)), now);
            }
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                bencher.iter(|| {
                    let request = balance::Request {
                        tried: &[],
                        idempotence: Idempotence::Idempotent,
                        hash: Some(random.u64(..)),
                        home: None,
                    };
                    let pool = &topology.pools[0];
                    balance::pick(pool, &snapshot, live, request, &mut random, now)
                });
            });
        }
        group.finish();
    }
}

/// A route of number `number`, and the host and path of a request for it.
type Shape = fn(usize) -> (String, String, String);

/// What tells routes apart.
const SHAPES: [(&str, Shape); 4] = [
    ("paths", |it| {
        let service = format!("/api/v1/service-{it}");
        (
            format!("path_prefix: {service}/"),
            "example.com".to_owned(),
            format!("{service}/users/17"),
        )
    }),
    ("hosts", |it| {
        let host = format!("tenant-{it}.example.com");
        (format!("hosts: [{host}]"), host, "/users/17".to_owned())
    }),
    ("hosts and paths", |it| {
        let (host, path) = (format!("tenant-{}.example.com", it / 10), format!("/v{}", it % 10));
        (format!("hosts: [{host}], path_prefix: {path}/"), host, format!("{path}/users/17"))
    }),
    ("patterns", |it| {
        let path = format!("/service-{it}/users/17");
        (format!("path_regex: '/service-{it}/[a-z]+/[0-9]+'"), "example.com".to_owned(), path)
    }),
];

fn route(criterion: &mut Criterion) {
    for (name, shape) in SHAPES {
        let mut group = criterion.benchmark_group(format!("route: {name}"));
        for count in [1, 4, 8, 16, 100, 1_000, 5_000] {
            if name == "patterns" && 1_000 < count {
                continue;
            }
            let mut routes = String::new();
            for number in 0..count {
                let conditions = shape(number).0;
                _ = writeln!(routes, "  - {{ match: {{ {conditions} }}, pool: api }}");
            }
            let topology = topology(&routes, 1, "");
            let index = Index::new(&topology);
            let (_, host, path) = shape(count / 2);
            let headers = HeaderMap::new();
            let request = RequestFacts {
                host: Some(&host),
                path: &path,
                query: None,
                method: "GET",
                headers: &headers,
                listener: 0,
            };
            assert_eq!(index.route(&topology, &request).map(|it| it.0), Some(count / 2));
            group.bench_function(BenchmarkId::new("index", count), |bencher| {
                bencher.iter(|| index.route(&topology, black_box(&request)).map(|it| it.0));
            });
            group.bench_function(BenchmarkId::new("one by one", count), |bencher| {
                bencher.iter(|| routing::route(&topology, black_box(&request)).map(|it| it.0));
            });
        }
        group.finish();
    }
}

/// What is counted when a request has finished.
fn count(criterion: &mut Criterion) {
    let topology = topology("  - { pool: api }", 2, "");
    let (live, timeline, now) = (Live::new(&topology), Timeline::new(2), clock::now());
    let took = Duration::from_micros(700);
    criterion.bench_function("count: a request in the timeline", |bencher| {
        bencher.iter(|| {
            timeline.record(now, black_box(took), Fate::Served, 1);
            timeline.record_answer(now, 1);
        });
    });
    let times = &live.pool(PoolId(0)).backends[0].times;
    criterion.bench_function("count: how long an answer took", |bencher| {
        bencher.iter(|| times.learn(Kind::of(0, "GET", "/users/17"), black_box(took), now));
    });
}

/// How the view that requests read is read, and replaced.
fn snapshot(criterion: &mut Criterion) {
    let topology = topology("  - { pool: api }", 1_000, "");
    let full = bascule::snapshot::Snapshot { pools: vec![well(&topology)] };
    let cell: SnapshotCell = Arc::new(ArcSwap::from_pointee(full.clone()));
    criterion.bench_function("snapshot: load", |bencher| {
        bencher.iter(|| cell.load().pool(PoolId(0)).active_tier);
    });
    let (one, other) = (Arc::new(full.clone()), Arc::new(full));
    criterion.bench_function("snapshot: swap", |bencher| {
        bencher.iter(|| {
            cell.store(Arc::clone(&one));
            cell.store(Arc::clone(&other));
        });
    });
}

/// What the edge does with a request's bytes before anybody acts on them.
fn head(criterion: &mut Criterion) {
    let limits = Limits { head: 65_536, headers: 100, target: 8_192 };
    let short = "GET /users/17 HTTP/1.1\r\nHost: example.com\r\n\r\n".to_owned();
    let browser = "GET /users/17?page=2 HTTP/1.1\r\nHost: example.com\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
        Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
        Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n\
        Referer: https://example.com/users\r\nCookie: theme=dark; session=0123456789abcdef\r\n\
        Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nConnection: keep-alive\r\n\r\n";
    for (name, text) in [("short", short), ("a browser's", browser.to_owned())] {
        criterion.bench_function(&format!("head: {name}"), |bencher| {
            bencher.iter(|| {
                let bytes = black_box(text.as_bytes());
                let end = Scan::default().end(bytes, &limits).ok().flatten().expect("a head");
                inspect(&bytes[..end], &limits)
            });
        });
    }
}

criterion_group! {
    name = core;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700));
    targets = pick, route, count, snapshot, head
}
criterion_main!(core);
