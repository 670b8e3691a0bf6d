//! A sidecar with two fake backends and a fake data plane, each on a port of its own.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{Router, extract::Request};
use bascule::{
    access::KnownToken,
    admin::{self, AdminState, Gate, Process, wire::Config},
    clock::{self, Timestamp},
    config,
    departure::Departure,
    event::Fault,
    exchange::Generation,
    fleet::Input,
    history::History,
    inbox::Fact,
    model::{BackendId, Intent, PoolId, Role, Topology},
    orders::Orders,
    snapshot::{BackendSnapshot, Condition, PoolSnapshot, Schedule, Snapshot, TierSnapshot},
    telemetry::log_stream::LogStream,
    token::TokenHash,
    web::HttpClient,
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Known wherever [`TOKEN`] is.
pub(crate) const VIEWER: &str = "fedcba9876543210fedcba9876543210";
pub(crate) const RELAY_KEY: &str = "relay-key-of-this-process";
/// Longer than anything here should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a test may want otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) token: Option<&'static str>,
    pub(crate) fault_injection: bool,
    pub(crate) tcp_checks: bool,
    pub(crate) inbox: usize,
    pub(crate) log_buffer: usize,
    pub(crate) log_clients: usize,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            token: None,
            fault_injection: true,
            tcp_checks: false,
            inbox: 8,
            log_buffer: 1_000,
            log_clients: 4,
        }
    }
}

/// An HTTP server that answers everything with one status and remembers what it was asked.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    last_headers: Arc<Mutex<HeaderMap>>,
}

impl Fake {
    pub(crate) async fn start(status: u16, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let last_headers = Arc::new(Mutex::new(HeaderMap::new()));
        let (record, headers) = (Arc::clone(&asked), Arc::clone(&last_headers));
        let answer = move |request: Request| {
            record.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
            headers.lock().unwrap().clone_from(request.headers());
            let fields = [("x-backend", "fake"), ("x-secret", "kept"), ("content-type", "a/b")];
            let status = StatusCode::from_u16(status).unwrap();
            async move { (status, fields, body) }
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        Self { address, asked, last_headers }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn last_headers(&self) -> HeaderMap {
        self.last_headers.lock().unwrap().clone()
    }
}

/// A configuration of which nothing is shown.
fn unread() -> Config {
    Config {
        schema: 1,
        generation: 1,
        loaded_at: String::new(),
        files: Vec::new(),
        last_reload: None,
        config: Value::Null,
        yaml: String::new(),
    }
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) state: AdminState,
    pub(crate) inbox: mpsc::Receiver<Fact>,
    pub(crate) primary: Fake,
    pub(crate) secondary: Fake,
    pub(crate) data_plane: Fake,
    pub(crate) clients: Client,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) stopped: tokio::task::JoinHandle<()>,
    /// Puts what this thread logs into the live log.
    _logging: tracing::subscriber::DefaultGuard,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Wish::default()).await
    }

    pub(crate) async fn with(wish: Wish) -> Self {
        let primary = Fake::start(202, "{}").await;
        let secondary = Fake::start(202, "{}").await;
        let data_plane = Fake::start(418, "tea").await;
        let topology = topology(primary.address, secondary.address, wish);
        let logs = LogStream::new(topology.admin.log_stream);
        let logging = {
            use tracing_subscriber::{
                filter::Targets, layer::SubscriberExt, util::SubscriberInitExt,
            };
            // Lines of this test and of the crate, not of the libraries.
            let ours = ["sidecar", "bascule", "audit"].map(|it| (it, tracing::Level::INFO));
            let targets: Targets = ours.into_iter().collect();
            let targets = targets.with_target("sidecar", tracing::Level::DEBUG);
            tracing_subscriber::registry().with(targets).with(logs.clone()).set_default()
        };
        let (sender, inbox) = mpsc::channel(wish.inbox);
        let healthy = snapshot(&topology, Some(0), [Condition::Healthy; 2]);
        let generation = Generation::first(topology, sender).unwrap();
        generation.snapshot.store(Arc::new(healthy));
        // Nobody loads configurations here.
        let (reloads, _) = mpsc::channel(1);
        let state = AdminState {
            gate: Arc::new(gate(&generation.topology, wish.token)),
            current: Arc::new(ArcSwap::from_pointee(generation)),
            incidents: Arc::default(),
            history: History::default(),
            orders: Orders::new().0,
            logs,
            metrics: Arc::new(|| "bascule_build_info 1\n".to_owned()),
            started_at: clock::now(),
            relay_key: RELAY_KEY.to_owned(),
            process: Process::new(1, None, Departure::default()).0,
            config: Arc::new(ArcSwap::from_pointee(unread())),
            reloads,
            data_plane: Some(data_plane.address),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, mut is_stopping) = watch::channel(false);
        let shutdown = async move { _ = is_stopping.wait_for(|it| *it).await };
        let stopped = tokio::spawn(admin::serve(listener, state.clone(), None, shutdown));
        let clients = Client::of(address);
        Self {
            address,
            state,
            inbox,
            primary,
            secondary,
            data_plane,
            clients,
            stop,
            stopped,
            _logging: logging,
        }
    }

    pub(crate) fn be(&self, active_tier: Option<usize>, conditions: [Condition; 2]) {
        let generation = self.state.generation();
        let snapshot = snapshot(&generation.topology, active_tier, conditions);
        generation.snapshot.store(Arc::new(snapshot));
    }

    /// What the fleet was told.
    pub(crate) fn told(&mut self) -> Input {
        self.inbox.try_recv().unwrap().input
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.clients.ask("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.clients.ask("POST", path, &[], body).await
    }

    pub(crate) fn fault(&self, index: usize) -> Option<Fault> {
        self.state
            .generation()
            .live
            .backend(BackendId { pool: PoolId(0), index })
            .fault(clock::now())
    }

    /// Panics when anything has happened to the backends or the fleet.
    pub(crate) fn assert_untouched(&mut self) {
        assert_eq!(self.fault(0), None);
        assert_eq!(self.fault(1), None);
        assert!(self.inbox.try_recv().is_err(), "the fleet was told");
        assert_eq!(self.primary.asked(), Vec::<String>::new());
        assert_eq!(self.secondary.asked(), Vec::<String>::new());
    }

    /// Returns the fields of the audit lines.
    pub(crate) fn audit_fields(&self) -> Vec<Value> {
        let mut subscription = self.state.logs.subscribe().unwrap();
        let lines = subscription.take_recent();
        let audit = lines.iter().filter(|line| line.target() == "audit");
        let whole = audit.map(|line| serde_json::from_str::<Value>(line.json()).unwrap());
        whole.map(|line| line["fields"].clone()).collect()
    }

    /// Returns the messages of the audit lines, with their code where they have one.
    pub(crate) fn audit(&self) -> Vec<String> {
        let mut subscription = self.state.logs.subscribe().unwrap();
        let lines = subscription.take_recent();
        let audit = lines.iter().filter(|line| line.target() == "audit");
        audit
            .map(|line| match line.field("code").and_then(Value::as_str) {
                Some(code) => format!("{}: {code}", line.message()),
                None => line.message().to_owned(),
            })
            .collect()
    }
}

fn gate(topology: &Topology, token: Option<&str>) -> Gate {
    let known = |name: &str, role, token: &str| KnownToken {
        name: name.to_owned(),
        role,
        hash: Some(TokenHash::of(token.as_bytes())),
    };
    let tokens = token.map(|token| {
        vec![known("operator", Role::Operator, token), known("grafana", Role::Viewer, VIEWER)]
    });
    Gate::knowing(&topology.admin, tokens.unwrap_or_default())
}

fn topology(primary: SocketAddr, secondary: SocketAddr, wish: Wish) -> Topology {
    let Wish { fault_injection, log_buffer, log_clients, .. } = wish;
    let check = if wish.tcp_checks { "tcp: {}" } else { "http: {}" };
    let text = format!(
        r#"
version: 1
listeners:
  public: {{ address: "127.0.0.1:8021" }}
routes:
  - {{ name: rest, pool: api }}
pools:
  api:
    backends:
      - {{ name: primary, url: "http://{primary}", tier: 0 }}
      - {{ name: secondary, url: "http://{secondary}", tier: 1 }}
    health_check: {{ {check} }}
admin:
  address: "127.0.0.1:9901"
  allow_origins: ["http://dash.example.com"]
  fault_injection: {fault_injection}
  log_stream: {{ buffer: {log_buffer}, clients: {log_clients} }}
"#
    );
    match config::parse("test.yaml", &text, Path::new(".")) {
        Ok(loaded) => loaded.topology,
        Err(rejection) => panic!("{rejection}"),
    }
}

pub(crate) fn snapshot(
    topology: &Topology,
    active_tier: Option<usize>,
    conditions: [Condition; 2],
) -> Snapshot {
    let tiers = (0..2).map(|tier| TierSnapshot {
        eligible: if conditions[tier].is_eligible() { vec![tier] } else { vec![] },
        schedule: Schedule::default(),
        trusted: None,
    });
    let backends = conditions.map(|condition| BackendSnapshot {
        condition,
        intent: Intent::Enabled,
        weight: 100,
        is_ejected_by_hand: false,
        trouble: None,
        since: Timestamp::ZERO,
        epoch: 0,
        last_check: None,
    });
    assert_eq!(topology.pools.len(), 1);
    let pool = PoolSnapshot {
        active_tier,
        tiers: tiers.collect(),
        backends: backends.to_vec(),
        weights: Arc::from([1, 1]),
        ..PoolSnapshot::default()
    };
    Snapshot { pools: vec![pool] }
}

/// Somebody who asks one server.
pub(crate) struct Client {
    address: SocketAddr,
    http: HttpClient,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.text) {
            Ok(json) => json,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }

    /// Returns the code of an error, having checked that it is whole.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        let error = &json["error"];
        for key in ["code", "message", "remedy"] {
            assert!(error[key].as_str().is_some_and(|it| !it.is_empty()), "{key}: {self:?}");
        }
        assert_eq!(self.headers["content-type"], "application/json");
        error["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn remedy(&self) -> String {
        self.json()["error"]["remedy"].as_str().unwrap().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self { address, http: HttpClient::default() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request =
            http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let answer = self.http.send(request.body(body).unwrap(), PATIENCE).await.unwrap();
        let (head, body) = answer.into_parts();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    /// Opens a WebSocket, or returns the status of the refusal.
    pub(crate) async fn watch(&self, path: &str, headers: &[(&str, &str)]) -> Result<Reader, u16> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Reader { socket }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A reader of the live log.
pub(crate) struct Reader {
    socket: WebSocketStream<TcpStream>,
}

impl Reader {
    /// Returns the next frame, or the code and the reason of the end.
    pub(crate) async fn next(&mut self) -> Result<Value, (u16, String)> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.unwrap();
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.unwrap();
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(error)) => return Err((0, error.to_string())),
                None => return Err((0, "closed".to_owned())),
            }
        }
    }

    /// Returns the next frame's lines' messages.
    pub(crate) async fn messages(&mut self) -> Vec<String> {
        let frame = self.next().await.unwrap();
        assert_eq!(frame["type"], "lines", "{frame}");
        let lines = frame["lines"].as_array().unwrap();
        lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }
}

/// Waits until `is_so`, which something else brings about.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(PATIENCE, waiting).await.is_err() {
        panic!("not within {PATIENCE:?}: {what}");
    }
}
