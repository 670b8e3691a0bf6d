//! Traces: what backends are told of them, and what a collector gets by OTLP.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value as AnyValue},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    client::{Answer, until},
    load::{assert_none_failed, load, served},
    proxy::Proxy,
    setup::{Setup, backend},
    stub::Refusing,
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A collector that remembers what it gets.
struct Collector {
    addr: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    _task: JoinSet<()>,
}

impl Collector {
    async fn start(protocol: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let taken = Arc::clone(&spans);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let taken = Arc::clone(&taken);
                let service = service_fn(move |it| take(it, protocol, Arc::clone(&taken)));
                let io = TokioIo::new(stream);
                connections.spawn(async move {
                    if protocol == "grpc" {
                        let server = conn::http2::Builder::new(TokioExecutor::new());
                        _ = server.serve_connection(io, service).await;
                    } else {
                        _ = conn::http1::Builder::new().serve_connection(io, service).await;
                    }
                });
            }
        });
        Self { addr, spans, _task: task }
    }

    /// Waits until a request to this path is told of; all of its spans, its own first.
    async fn trace_of(&self, path: &str) -> Vec<Span> {
        until(async || {
            let spans = self.spans.lock().unwrap();
            let is_it = |it: &&Span| it.kind() == SpanKind::Server && text(it, "url.path") == path;
            let Some(server) = spans.iter().find(is_it) else {
                return Err(format!("{} spans", spans.len()));
            };
            let attempts = spans.iter().filter(|it| it.parent_span_id == server.span_id);
            Ok(std::iter::once(server).chain(attempts).cloned().collect())
        })
        .await
    }
}

async fn take(
    request: Request<Incoming>,
    protocol: &str,
    spans: Arc<Mutex<Vec<Span>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_grpc = protocol == "grpc";
    let path = if is_grpc {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    } else {
        "/v1/traces"
    };
    let mut response = Response::new(Full::default());
    if request.uri().path() != path || request.headers()["x-token"] != "secret" {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message = if is_grpc { body.slice(5..) } else { body };
    let message = ExportTraceServiceRequest::decode(message).unwrap();
    let scopes = message.resource_spans.into_iter().flat_map(|it| it.scope_spans);
    spans.lock().unwrap().extend(scopes.flat_map(|it| it.spans));
    if is_grpc {
        let headers = response.headers_mut();
        headers.insert("content-type", "application/grpc".parse().unwrap());
        headers.insert("grpc-status", "0".parse().unwrap());
    }
    Ok(response)
}

fn value<'s>(attributes: &'s [KeyValue], name: &str) -> Option<&'s AnyValue> {
    attributes.iter().find(|it| it.key == name)?.value.as_ref()?.value.as_ref()
}

fn text(span: &Span, name: &str) -> String {
    match value(&span.attributes, name) {
        Some(AnyValue::StringValue(text)) => text.clone(),
        Some(AnyValue::IntValue(number)) => number.to_string(),
        Some(AnyValue::BoolValue(truth)) => truth.to_string(),
        _ => String::new(),
    }
}

/// A proxy that records everything with this collector.
async fn traced(setup: Setup, addr: SocketAddr, protocol: &str) -> Proxy {
    let folder = crate::proxy::folder();
    let file = folder.join("headers");
    std::fs::write(&file, "# for the collector\nX-Token: secret\n").unwrap();
    let otlp = json!({
        "endpoint": format!("http://{addr}"), "protocol": protocol,
        "headers_file": file.to_str().unwrap(),
    });
    setup
        .with("tracing", json!({ "sample": "100%", "trust": "everyone", "otlp": otlp }))
        .start()
        .await
}

/// What the backend saw of a header.
fn seen(answer: &Answer, name: &str) -> Option<String> {
    let headers = answer.json()["headers"].clone();
    let pair = headers.as_array()?.iter().find(|it| it[0] == name)?;
    pair[1].as_str().map(str::to_owned)
}

#[tokio::test]
async fn without_tracing_headers_pass_as_they_are() {
    let primary = backend("primary");
    let proxy = Setup::tiers(&[&primary]).start().await;
    let headers = [("traceparent", "nonsense"), ("tracestate", "a=1"), ("baggage", "b=2")];
    let answer = proxy.ask("GET", "/echo", &headers, "").await;
    for (name, value) in headers {
        assert_eq!(seen(&answer, name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_trace_is_continued_of_whom_it_is_believed_and_begun_otherwise() {
    let primary = backend("primary");
    let headers = [("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "b=2")];
    for (trust, is_continued) in [("everyone", true), ("trusted_proxies", false)] {
        let proxy =
            Setup::tiers(&[&primary]).with("tracing", json!({ "trust": trust })).start().await;
        let answer = proxy.ask("GET", "/echo", &headers, "").await;
        let parent = seen(&answer, "traceparent").unwrap();
        assert_eq!((parent.len(), &parent[..3]), (55, "00-"));
        assert_eq!(parent[3..35] == PARENT[3..35], is_continued, "{parent}");
        assert_ne!(parent[36..52], PARENT[36..52], "the attempt has a span of its own");
        assert_eq!(seen(&answer, "tracestate").is_some(), is_continued);
        assert_eq!(seen(&answer, "baggage").is_some(), is_continued);
        let broken = [("traceparent", "00-nonsense"), ("tracestate", "a=1")];
        let answer = proxy.ask("GET", "/echo", &broken, "").await;
        assert_eq!(seen(&answer, "traceparent").unwrap().len(), 55);
        assert_eq!(seen(&answer, "tracestate"), None);
    }
}

async fn a_retried_request_is_told_of(protocol: &'static str) {
    let (refusing, secondary) = (Refusing::new(), backend("secondary"));
    let collector = Collector::start(protocol).await;
    let addresses = [("primary", refusing.addr()), ("secondary", secondary.addr())];
    // Refused requests are all that tells of the primary.
    let setup = Setup::addresses(&addresses)
        .with("pools.api.health_check.interval", "60s")
        .with("pools.api.health_check.fast_interval", "60s")
        .with("pools.api.health_check.fall", 100)
        .with("pools.api.outlier_detection.consecutive_failures", 1000);
    let proxy = traced(setup, collector.addr, protocol).await;
    let answer = proxy.ask("GET", "/echo?token=x", &[("traceparent", PARENT)], "").await;
    assert_eq!(answer.status, 200);
    let spans = collector.trace_of("/echo").await;
    let [server, attempts @ ..] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!(server.name, "GET rest");
    assert_eq!(server.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    assert_eq!(server.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(text(server, "url.query"), "token=[redacted]");
    assert_eq!(text(server, "http.response.status_code"), "200");
    let last = attempts.last().unwrap();
    assert_eq!(text(last, "bascule.backend"), "secondary");
    assert_eq!(text(last, "bascule.attempt.outcome"), "answered");
    let told = seen(&answer, "traceparent").unwrap();
    let span = u64::from_str_radix(&told[36..52], 16).unwrap();
    assert_eq!(last.span_id, span.to_be_bytes(), "the backend stands below its attempt");
    if let [first, _] = attempts {
        assert_eq!(text(first, "bascule.backend"), "primary");
        assert_eq!(text(first, "error.type"), "connection refused");
        assert_eq!(text(last, "bascule.attempt.role"), "retry");
        assert_eq!(text(last, "http.request.resend_count"), "1");
        assert_eq!(text(server, "bascule.fate"), "rescued");
    }
    for attempt in attempts {
        assert!(server.start_time_unix_nano <= attempt.start_time_unix_nano);
        assert!(attempt.end_time_unix_nano <= server.end_time_unix_nano);
    }
    proxy.metric_until("bascule_trace_spans_exported_total", spans.len() as f64).await;
}

#[tokio::test]
async fn a_retried_request_is_told_of_over_http() {
    a_retried_request_is_told_of("http").await;
}

#[tokio::test]
async fn a_retried_request_is_told_of_over_grpc() {
    a_retried_request_is_told_of("grpc").await;
}

#[tokio::test]
async fn what_matters_is_recorded_though_chance_says_no() {
    let primary = backend("primary");
    let collector = Collector::start("http").await;
    let proxy = traced(Setup::tiers(&[&primary]), collector.addr, "http").await;
    drop(proxy);
    let folder = crate::proxy::folder();
    let file = folder.join("headers");
    std::fs::write(&file, "x-token: secret").unwrap();
    let otlp = json!({
        "endpoint": format!("http://{}", collector.addr), "headers_file": file.to_str().unwrap(),
    });
    let proxy = Setup::tiers(&[&primary])
        .with("tracing", json!({ "sample": "0%", "otlp": otlp }))
        .start()
        .await;
    assert_eq!(proxy.get("/api/data").await.status, 200);
    assert_eq!(proxy.get("/status/500").await.status, 500);
    let spans = collector.trace_of("/status/500").await;
    assert_eq!((spans.len(), text(&spans[0], "bascule.kept")), (2, "5xx".to_owned()));
    let all = collector.spans.lock().unwrap();
    assert!(all.iter().all(|it| text(it, "url.path") != "/api/data"));
}

#[tokio::test]
async fn a_dead_collector_costs_spans_and_nothing_else() {
    let primary = backend("primary");
    let dead = Refusing::new();
    let proxy = traced(Setup::tiers(&[&primary]), dead.addr(), "grpc").await;
    let load = load(&proxy, "/api/data");
    served(&load, 200).await;
    assert_none_failed(&load.stop().await);
    until(async || {
        let dropped = proxy.metric(r#"bascule_trace_spans_dropped_total{reason="unsent"}"#).await;
        if 0.0 < dropped { Ok(()) } else { Err(format!("{dropped}")) }
    })
    .await;
    let log = proxy.log_until("spans are not taken").await;
    assert_eq!(log.matches("spans are not taken").count(), 1, "{log}");
}
