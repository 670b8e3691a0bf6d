//! A sidecar that answers what it was told to, and remembers what it was asked; and the program.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{
        Request, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, task::JoinHandle, time::timeout};

/// Longer than anything here should take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One request as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// Method, path and query.
    pub(crate) what: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

#[derive(Default)]
struct Script {
    /// By method and path; the last answer is repeated.
    answers: BTreeMap<String, VecDeque<(StatusCode, Value)>>,
    asked: Vec<Asked>,
    /// What each connection to the log gets, frame by frame, before it is closed.
    logs: VecDeque<Vec<Value>>,
}

/// The sidecar.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Starts one with two pools that are well.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new()
            .route("/logs", get(logs))
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        let fake = Self { address, script, task };
        fake.answers("GET /proxy/health", 200, health());
        fake
    }

    /// From now on, `what` is answered so.
    pub(crate) fn answers(&self, what: &str, status: u16, body: Value) {
        self.answers_in_turn(what, [(status, body)]);
    }

    /// `what` is answered by each of these once, and by the last for ever.
    pub(crate) fn answers_in_turn(
        &self,
        what: &str,
        answers: impl IntoIterator<Item = (u16, Value)>,
    ) {
        let answers = answers
            .into_iter()
            .map(|(status, body)| (StatusCode::from_u16(status).unwrap(), body))
            .collect();
        self.script.lock().unwrap().answers.insert(what.to_owned(), answers);
    }

    /// The next connection to the log gets these frames.
    pub(crate) fn logs(&self, frames: Vec<Value>) {
        self.script.lock().unwrap().logs.push_back(frames);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }

    /// The requests that were to change something.
    pub(crate) fn changes(&self) -> Vec<(String, Value)> {
        let changes = self.asked().into_iter().filter(|it| !it.what.starts_with("GET "));
        changes.map(|it| (it.what, it.body)).collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs the program against this sidecar, to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        ran(program(arguments).env("BASCULE_ADMIN", self.url())).await
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let what = format!("{} {}", head.method, head.uri);
    let path = format!("{} {}", head.method, head.uri.path());
    let authorization = head.headers.get("authorization");
    let mut script = script.lock().unwrap();
    script.asked.push(Asked {
        what: what.clone(),
        authorization: authorization.map(|it| it.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let key = if script.answers.contains_key(&what) { what } else { path };
    let Some(answers) = script.answers.get_mut(&key) else {
        let error = json!({ "error": { "code": "unknown_path", "message": "?", "remedy": "" } });
        return (StatusCode::NOT_FOUND, axum::Json(error)).into_response();
    };
    let (status, body) =
        if 1 < answers.len() { answers.pop_front() } else { answers.front().cloned() }.unwrap();
    match body.as_str() {
        Some(text) => (status, text.to_owned()).into_response(),
        None => (status, axum::Json(body)).into_response(),
    }
}

async fn logs(
    State(script): State<Arc<Mutex<Script>>>,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Response {
    let frames = {
        let mut script = script.lock().unwrap();
        script.asked.push(Asked {
            what: format!("GET {}", request.uri()),
            authorization: None,
            body: Value::Null,
        });
        script.logs.pop_front()
    };
    match frames {
        Some(frames) => upgrade.on_upgrade(|socket| speak(socket, frames)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn speak(mut socket: WebSocket, frames: Vec<Value>) {
    for frame in frames {
        if socket.send(Message::text(frame.to_string())).await.is_err() {
            return;
        }
    }
}

/// The program, with nothing of this process's environment that it would listen to.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("BASCULE_"));
    ours.for_each(|(name, _)| _ = command.env_remove(name));
    command.env_remove("NO_COLOR").args(arguments).kill_on_drop(true).stdin(Stdio::null());
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

pub(crate) async fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } =
        timeout(PATIENCE, command.output()).await.expect("it does not end").unwrap();
    Ran {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        error: String::from_utf8(stderr).unwrap(),
    }
}

pub(crate) fn refusal(code: &str, message: &str, remedy: &str) -> Value {
    json!({ "error": { "code": code, "message": message, "remedy": remedy } })
}

/// A backend as `GET /proxy/health` shows it.
pub(crate) fn backend(name: &str, tier: u64, state: &str) -> Value {
    let is_up = state == "up";
    json!({
        "name": name, "url": format!("http://{name}:80"), "tier": tier, "weight": 100,
        "state": state, "intent": "enabled", "eligible": is_up, "active": is_up && tier == 0,
        "reason": if is_up { Value::Null } else { json!("connection refused") },
        "since": "2026-11-23T10:03:13.000Z", "ejected_until": null, "in_flight": 3,
        "requests": 1_000, "failures": 7, "last_check": null, "fault": null,
    })
}

/// Two pools: `api` with a backend and its backup, `web` with a backend of the same name.
pub(crate) fn health() -> Value {
    let pool = |name: &str, backends: Vec<Value>| {
        json!({
            "name": name, "status": "serving", "active_tier": 0, "active_backend": "a",
            "since": "2026-11-23T10:03:13.000Z", "shares": [1.0, 0.0], "failback": null,
            "returnable_tier": null, "failing_open": false, "open_incident": null,
            "last_minute": {
                "requests": 1_200, "lost": 0, "rescued": 2, "error_ratio": 0.0,
                "requests_per_second": 20.0, "p50_seconds": 0.001, "p99_seconds": 0.01,
            },
            "backends": backends,
        })
    };
    json!({
        "schema": 1, "now": "2026-11-23T10:05:27.000Z", "version": "0.1.0",
        "started_at": "2026-11-23T07:51:27.000Z", "ready": true, "fault_injection": true,
        "active": "a",
        "pools": [
            pool("api", vec![backend("a", 0, "up"), backend("b", 1, "up")]),
            pool("web", vec![backend("a", 0, "up"), backend("w", 1, "up")]),
        ],
    })
}

/// The same, with `api` failed over to `b`.
pub(crate) fn failed_over() -> Value {
    let mut health = health();
    let pool = &mut health["pools"][0];
    pool["status"] = "failed_over".into();
    pool["active_tier"] = 1.into();
    pool["open_incident"] = "api-1".into();
    pool["backends"][0] = backend("a", 0, "down");
    pool["backends"][1]["active"] = true.into();
    health
}

pub(crate) fn incident() -> Value {
    json!({
        "id": "api-1", "pool": "api", "backend": "a", "state": "serving", "cause": "crash",
        "detected_by": "traffic", "requested": false, "from_tier": 0, "to_tier": 1,
        "to_backend": "b",
        "evidence": [{
            "at": "2026-11-23T10:03:12.900Z", "source": "traffic", "detail": "connection refused",
        }],
        "moments": {
            "suspected_at": "2026-11-23T10:03:12.900Z", "decided_at": "2026-11-23T10:03:13.000Z",
            "serving_at": "2026-11-23T10:03:13.004Z", "stable_at": null, "recovered_at": null,
            "failed_back_at": null,
        },
        "detection_seconds": 0.1, "switch_seconds": 0.004,
        "window": { "from": "2026-11-23T10:03:12.900Z", "to": null },
        "requests": {
            "total": 40, "rescued": 2, "rescued_by_retry": 2, "rescued_by_hedge": 0, "lost": 0,
            "extra_attempts": 2, "error_ratio": 0.0,
        },
        "latency": { "before": null, "during": null, "after": null },
    })
}
