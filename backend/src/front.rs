//! Where every request arrives: it is logged, struck by faults, and otherwise answered.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use crate::backend::Backend;
use crate::faults::plan::{Ending, Plan, Subject};
use crate::idle::until_sent;
use crate::ledger::Carried;
use crate::problem::Problem;
use crate::truncate::truncate;
use crate::wire::{Connection, Order};
use crate::{body, clock};

/// Header that names a request; one and the same for all its attempts.
const REQUEST_ID: &str = "x-request-id";

/// Mark on a response: the backend fails as soon as the response has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailAfterwards;

/// The request's id, if it has one that is text.
pub(crate) fn request_id(request: &Request<Body>) -> Option<&str> {
    request.headers().get(REQUEST_ID)?.to_str().ok()
}

/// Answers one request, unless a fault keeps it from being answered.
pub(crate) async fn answer(
    backend: &Arc<Backend>,
    router: &Router,
    connection: &Connection,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    connection.begin();
    let subject = Subject::of(request.uri().path());
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(connection.clone());
    let mut response = match subject {
        Subject::Control => route(router, request).await,
        Subject::Health | Subject::Traffic => {
            let plan = backend.faults.plan(subject, clock::now(), &mut fastrand::Rng::new());
            record(backend, subject, plan, &request);
            carry_out(plan, backend, router, connection, request).await
        }
    };
    response.headers_mut().insert("x-backend", backend.header.clone());
    if response.extensions().get::<FailAfterwards>().is_some() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        connection.order(Order::FailOnceFlushed);
    }
    Ok(until_sent(response, connection))
}

fn record(backend: &Backend, subject: Subject, plan: Plan, request: &Request<Body>) {
    if subject == Subject::Health {
        return backend.ledger.record_health_check();
    }
    let carried = match plan.ending {
        Ending::Hung { .. } => Carried::Never,
        Ending::Served | Ending::Truncated | Ending::Error(_) | Ending::Reset => Carried::Out,
    };
    backend.ledger.record(request_id(request), request.method(), carried);
}

async fn carry_out(
    plan: Plan,
    backend: &Backend,
    router: &Router,
    connection: &Connection,
    request: Request<Body>,
) -> Response {
    let response = match plan.ending {
        Ending::Served => route(router, request).await,
        Ending::Truncated => truncate(route(router, request).await, connection),
        Ending::Error(status) => {
            body::discard(request.into_body()).await;
            injected_error(status)
        }
        Ending::Reset => {
            hold(backend, plan).await;
            return never(connection, Order::Reset).await;
        }
        Ending::Hung { until } => {
            backend.faults.hold_until(until).await;
            return never(connection, Order::Close).await;
        }
    };
    hold(backend, plan).await;
    response
}

async fn hold(backend: &Backend, plan: Plan) {
    if let Some(delay) = plan.delay {
        backend.faults.hold_for(delay).await;
    }
}

/// Ends the connection without an answer.
async fn never(connection: &Connection, order: Order) -> Response {
    connection.order(order);
    std::future::pending().await
}

fn injected_error(status: StatusCode) -> Response {
    Problem::new(
        status,
        "fault_injected",
        format!("an injected fault answers {status}"),
        "POST /recover ends it; GET /faults shows how long it has left",
    )
    .into_response()
}

async fn route(router: &Router, request: Request<Body>) -> Response {
    match TowerToHyperService::new(router.clone()).call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
