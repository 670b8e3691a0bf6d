//! Stands in front of every handler: who asks, and may they?

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use crate::{
    access::{
        self, Asker, Client, Deed, Identity, Kind, Refusal, TOO_MANY_ATTEMPTS, counted_address,
    },
    admin::{
        Gate, OnlyRelayed, Sidecar, api,
        audit::{Asked, Trail},
        change::Ahead,
        query::{bad_request, shorten},
    },
    server_tls::certificates,
    telemetry::logging::AUDIT,
    web::{HttpError, PeerCertificate, Rejected},
};

/// Of an answer to a change: the `id` of its entry in the audit trail.
pub(crate) const AUDIT_ID: &str = "x-audit-id";

/// What a ticket comes in: `?ticket=…`.
const TICKET: &str = "ticket=";

/// Lets a request through to its handler, with its [`Client`] and its [`Identity`], or refuses it.
/// What changes something, or would have, is noted in the audit trail when it has ended.
pub(crate) async fn guard(
    State(sidecar): State<Arc<Sidecar>>,
    mut request: Request,
    next: Next,
) -> Response {
    let gate = &sidecar.state.gate;
    let client = Client::of(peer_of(&request), request.headers(), &sidecar.state.relay_key);
    let is_stranger = !client.is_relayed() && request.extensions().get::<OnlyRelayed>().is_some();
    if is_stranger || (client.is_relayed() && !is_relayed(request.uri().path())) {
        return api::not_found().await.into_response();
    }
    if !is_text(request.uri().path()) {
        let remedy = "write what is not ASCII as UTF-8, each byte as `%XX`";
        return bad_request("bad_path", "the path is not text", remedy).into_response();
    }
    let deed = Deed::of(request.method(), request.uri().path());
    let mut asked = Asked {
        client,
        speaks_for: speaks_for(client, request.headers()),
        request: shorten(&format!("{} {}", request.method(), request.uri().path())),
        identity: None,
    };
    let ticket = take_ticket(request.uri_mut());
    let identity = match judge(gate, deed, client, ticket.as_deref(), &request) {
        Ok(identity) => identity,
        // What led to it has been noted; a flood needs no line each.
        Err(Turned::MustWait(wait)) => {
            gate.count_refused(TOO_MANY_ATTEMPTS);
            return must_wait(wait).into_response();
        }
        Err(Turned::Refused(refusal)) => {
            gate.count_refused(refusal.code());
            let response = answer(&refusal).into_response();
            if deed == Deed::ChangeState {
                return noted(gate.trail(), asked, response);
            }
            note(&refusal, &asked);
            return response;
        }
    };
    asked.identity = Some(identity.clone());
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(identity);
    if deed != Deed::ChangeState {
        return next.run(request).await;
    }
    let ahead = Ahead::default();
    request.extensions_mut().insert(ahead.clone());
    let mut pending = Pending { trail: gate.trail(), asked: Some(asked), ahead };
    let response = next.run(request).await;
    match pending.asked.take().filter(|_| is_of_note(&response)) {
        Some(asked) => noted(gate.trail(), asked, response),
        None => response,
    }
}

/// Notes how a change ended, and tells whoever asked for it where that is to be found.
fn noted(trail: &Trail, asked: Asked, mut response: Response) -> Response {
    let id = trail.note(asked, &response);
    response.headers_mut().insert(AUDIT_ID, HeaderValue::from(id));
    response
}

/// A change that is under way. When its client leaves, the work may be done all the same.
struct Pending<'t> {
    trail: &'t Trail,
    asked: Option<Asked>,
    ahead: Ahead,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.trail.note_departed(asked, self.ahead.change());
        }
    }
}

/// Why somebody is turned away.
enum Turned {
    Refused(Refusal),
    /// Too much of what they showed was wrong.
    MustWait(Duration),
}

fn judge(
    gate: &Gate,
    deed: Deed,
    client: Client,
    ticket: Option<&str>,
    request: &Request,
) -> Result<Identity, Turned> {
    let headers = request.headers();
    let shows =
        deed != Deed::Greet && (ticket.is_some() || headers.contains_key(header::AUTHORIZATION));
    let counted = counted_address(client, headers);
    if let Some(wait) = gate.wait(counted).filter(|_| shows) {
        return Err(Turned::MustWait(wait));
    }
    let ticket = gate.redeem(ticket.filter(|_| shows), request.uri().path());
    let shown = request.extensions().get::<PeerCertificate>();
    let certificate = shown.map(|it| certificates::names(&it.0)).unwrap_or_default();
    let asker = Asker { client, headers, certificate: &certificate, ticket };
    let decided = gate.with_rules(|rules| access::decide(deed, &asker, rules));
    match &decided {
        Err(Refusal::TokenWrong | Refusal::TicketWrong) => gate.showed(counted, false),
        Ok(Identity { kind: Kind::Token, .. }) if shows => gate.showed(counted, true),
        Ok(_) | Err(_) => {}
    }
    decided.map_err(Turned::Refused)
}

/// Tells whether a path stands for text, as handlers take it to.
fn is_text(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let digits = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        match digits.and_then(|it| u8::from_str_radix(it, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => bytes.push(first),
        }
    }
    String::from_utf8(bytes).is_ok()
}

/// Takes the ticket out of an address, so that no handler and no line sees it.
fn take_ticket(uri: &mut Uri) -> Option<String> {
    let query = uri.query()?;
    let (tickets, others): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|it| it.starts_with(TICKET));
    // One that comes twice is none.
    let ticket = tickets.first()?.strip_prefix(TICKET)?.to_owned();
    let ticket = if tickets.len() == 1 { ticket } else { String::new() };
    let others = others.join("&");
    let path = uri.path();
    let rest = if others.is_empty() { path.to_owned() } else { format!("{path}?{others}") };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = rest.parse().ok();
    *uri = Uri::from_parts(parts).ok()?;
    Some(ticket)
}

/// Tells whether there is such a change at all: a path or a method that does not exist is none.
fn is_of_note(response: &Response) -> bool {
    !matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        || response
            .extensions()
            .get::<Rejected>()
            .is_none_or(|it| it.code != "unknown_path" && it.code != "method_not_allowed")
}

/// Adds what every answer carries.
pub(crate) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Tells whether the data plane may lead its clients to `path`, whatever its routes say.
fn is_relayed(path: &str) -> bool {
    path.starts_with("/proxy/") || path == "/logs"
}

fn peer_of(request: &Request) -> IpAddr {
    // Without a known peer, nobody is trusted.
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    request.extensions().get::<ConnectInfo<SocketAddr>>().map_or(unknown, |peer| peer.0.ip())
}

/// Leaves a line for somebody who wanted to read and may not.
fn note(refusal: &Refusal, asked: &Asked) {
    tracing::warn!(
        target: AUDIT,
        client = %asked.client.address,
        speaks_for = asked.speaks_for,
        request = asked.request,
        code = refusal.code(),
        reason = %refusal,
        "request refused"
    );
}

/// Returns for whom else the client says that it speaks: unproven, but worth a note.
fn speaks_for(client: Client, headers: &HeaderMap) -> Option<String> {
    let text = headers.get("x-forwarded-for")?.to_str().ok()?;
    (text != client.address.to_string()).then(|| shorten(text))
}

fn must_wait(wait: Duration) -> HttpError {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() != 0);
    HttpError::new(
        StatusCode::TOO_MANY_REQUESTS,
        TOO_MANY_ATTEMPTS,
        "too many wrong tokens came from this address",
        format!("wait for {seconds} s, then send a right one; nothing is looked at before"),
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

fn answer(refusal: &Refusal) -> HttpError {
    let status = match refusal {
        Refusal::CrossOrigin { .. } | Refusal::UnknownHost { .. } | Refusal::RoleTooLow { .. } => {
            StatusCode::FORBIDDEN
        }
        Refusal::TokenRequired { .. } | Refusal::TokenWrong | Refusal::TicketWrong => {
            StatusCode::UNAUTHORIZED
        }
    };
    let error = HttpError::new(status, refusal.code(), refusal.to_string(), refusal.remedy());
    if status == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer realm=\"bascule\"");
        error.with_header(header::WWW_AUTHENTICATE, bearer)
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_text_or_refused() {
        for path in ["/", "/incidents/api-1", "/incidents/%C3%A4", "/a%2Fb", "/100%", "/%zz"] {
            assert!(is_text(path), "{path}");
        }
        for path in ["/%FF", "/incidents/%C3", "/%c3%28"] {
            assert!(!is_text(path), "{path}");
        }
    }

    #[test]
    fn a_ticket_is_taken_out_of_the_address() {
        let check = |address: &str, ticket: Option<&str>, rest: &str| {
            let mut uri: Uri = address.parse().unwrap();
            assert_eq!(take_ticket(&mut uri).as_deref(), ticket, "{address}");
            assert_eq!(uri, rest, "{address}");
        };
        check("/logs", None, "/logs");
        check("/logs?level=warn", None, "/logs?level=warn");
        check("/logs?ticket=abc", Some("abc"), "/logs");
        check("/logs?level=warn&ticket=abc&pool=a", Some("abc"), "/logs?level=warn&pool=a");
        check("/logs?ticket=", Some(""), "/logs");
        check("/logs?ticket=a&ticket=b", Some(""), "/logs");
        check("/logs?tickets=a", None, "/logs?tickets=a");
    }

    #[test]
    fn the_data_plane_leads_to_few_paths() {
        for path in ["/proxy/health", "/proxy/fail", "/proxy/x", "/logs"] {
            assert!(is_relayed(path), "{path}");
        }
        for path in ["/metrics", "/incidents", "/series", "/readyz", "/proxy", "/logs/x", "/"] {
            assert!(!is_relayed(path), "{path}");
        }
    }
}
