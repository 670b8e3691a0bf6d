//! The page, and the one way from it to the sidecar.
//!
//! The page and its API have one origin, so it needs no permission to ask across origins, and the
//! sidecar needs to trust no page but this one. Nothing is relayed but what the page uses. Where pages
//! come from, and by which name this server is called, is checked here, because the sidecar sees only
//! this server. What a browser shows, a token or a ticket, is passed on, and the sidecar judges it. A
//! browser that shows nothing acts with this server's token, if it was given one: keep it on the
//! loopback then, or behind something that knows who asks.

mod page;
mod relay;
mod tunnel;

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, get, post},
};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    access::{self, Refusal, Rules},
    web::{self, HttpClient, HttpError},
};

/// WebSockets relayed at a time: more than the sidecar takes by default.
const TUNNELS_MAX: usize = 64;
/// What a relayed WebSocket gets to end when the server ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Scripts, styles, pictures and connections of our own only; nobody may put the page in a frame.
const SECURITY_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; \
                               frame-ancestors 'none'; object-src 'none'";

/// What the dashboard was told.
#[derive(Clone)]
pub struct DashboardConfig {
    /// The sidecar: `http://127.0.0.1:9901`.
    pub admin: Uri,
    /// Asks the sidecar: over TLS, if its address says so.
    pub client: HttpClient,
    /// The operators' token, sent with every relayed call.
    pub token: Option<String>,
    /// Names, with or without port, by which browsers may call this server, beside addresses and
    /// `localhost`.
    pub allow_hosts: Vec<String>,
}

impl fmt::Debug for DashboardConfig {
    /// Leaves the token out, and what else of the sidecar's address might be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DashboardConfig")
            .field("admin", &self.admin.host())
            .field("has_token", &self.token.is_some())
            .field("allow_hosts", &self.allow_hosts)
            .finish()
    }
}

/// What the handlers share.
pub(crate) struct Dashboard {
    pub(crate) config: DashboardConfig,
    pub(crate) tunnels: Arc<Semaphore>,
    /// Becomes true when tunnels shall end.
    pub(crate) is_closing: watch::Receiver<bool>,
}

/// Serves the page on `listener` until `shutdown`; ends within six seconds then.
pub async fn serve(
    listener: TcpListener,
    config: DashboardConfig,
    shutdown: impl Future<Output = ()>,
) {
    let (closing, is_closing) = watch::channel(false);
    let until_shutdown = async {
        shutdown.await;
        closing.send_replace(true);
    };
    web::serve(listener, router(config, is_closing), None, until_shutdown).await;
    // Every tunnel holds a receiver; when the last one is gone, all have ended.
    _ = timeout(FAREWELL, closing.closed()).await;
}

fn router(config: DashboardConfig, is_closing: watch::Receiver<bool>) -> Router {
    let dashboard =
        Arc::new(Dashboard { config, tunnels: Arc::new(Semaphore::new(TUNNELS_MAX)), is_closing });
    let read = || -> MethodRouter<Arc<Dashboard>> { get(relay::relay) };
    // GET is relayed there, too: the sidecar's answer is the command to use.
    let act = || post(relay::relay).get(relay::relay);
    let guarded = Router::new()
        .route("/api/proxy/health", read())
        .route("/api/proxy/fail", act())
        .route("/api/proxy/recover", act())
        .route("/api/backends", read())
        .route("/api/backends/{pool}/{name}/{verb}", act())
        .route("/api/pools/{pool}/failover", act())
        .route("/api/pools/{pool}/failback", act())
        .route("/api/config", read())
        .route("/api/config/check", post(relay::relay_config).get(relay::relay))
        .route("/api/config/reload", post(relay::relay_config).get(relay::relay))
        .route("/api/process", read())
        .route("/api/log-level", get(relay::relay).put(relay::relay))
        .route("/api/incidents", read())
        .route("/api/incidents/{id}", read())
        .route("/api/series", read())
        .route("/api/metrics", read())
        .route("/api/audit", read())
        .route("/api/whoami", read())
        .route("/api/tickets", act())
        .route("/api/logs", get(tunnel::tunnelled))
        .route("/api/feed", get(tunnel::tunnelled))
        .route("/api", any(not_relayed))
        .route("/api/", any(not_relayed))
        .route("/api/{*path}", any(not_relayed))
        .fallback(page::page)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&dashboard), guard));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(guarded)
        .layer(middleware::map_response(harden))
        .with_state(dashboard)
}

/// Refuses what comes for a name that is not ours, and what a page of another site asks for.
async fn guard(State(dashboard): State<Arc<Dashboard>>, request: Request, next: Next) -> Response {
    let rules = Rules {
        allow_origins: &[],
        allow_hosts: &dashboard.config.allow_hosts,
        // Who may do what is the sidecar's to say.
        anonymous: None,
        local: None,
        tokens: &[],
        certificates: &[],
    };
    let headers = request.headers();
    let is_page = !request.uri().path().starts_with("/api/");
    let decision = access::check_host(headers, &rules).and_then(|()| {
        // Scripts are loaded with an Origin of their own page, which is this one.
        if is_page { Ok(()) } else { access::check_origin(headers, &rules) }
    });
    match decision {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            tracing::warn!(
                method = %request.method(),
                path = request.uri().path(),
                code = refusal.code(),
                reason = %refusal,
                "request to the dashboard refused"
            );
            answer(&refusal).into_response()
        }
    }
}

fn answer(refusal: &Refusal) -> HttpError {
    let status = match refusal {
        Refusal::UnknownHost { .. } => StatusCode::MISDIRECTED_REQUEST,
        Refusal::CrossOrigin { .. }
        | Refusal::TokenRequired { .. }
        | Refusal::TokenWrong
        | Refusal::TicketWrong
        | Refusal::RoleTooLow { .. } => StatusCode::FORBIDDEN,
    };
    HttpError::new(status, refusal.code(), refusal.to_string(), refusal.remedy())
}

/// Adds what every answer carries.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The page says how long each of its files may be kept; nothing else may be.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn not_relayed() -> HttpError {
    HttpError::new(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "the dashboard does not relay this path",
        "ask the sidecar itself",
    )
}

async fn method_not_allowed(method: Method) -> HttpError {
    let message = format!("{method} is not allowed here");
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message, "use GET")
}
