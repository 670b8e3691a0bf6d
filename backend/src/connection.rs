//! One connection, from its first byte until the stream is closed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::debug;

use crate::backend::Backend;
use crate::ended::Ended;
use crate::front::answer;
use crate::wire::{Connection, Order, Wire};

/// How long a kept-alive connection may wait for its next request. Longer than a proxy keeps idle
/// connections (55 s by default), so that it is never the backend that closes one just in use.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// What the server tells all its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    /// Grows each time the connections open at that moment are to finish and close.
    pub(crate) retirements: u64,
    /// Grows each time the connections that wait for a request are to be closed.
    pub(crate) idle_closings: u64,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Serving,
    /// Finish what is in flight, then close.
    Draining,
    /// Close at once.
    Cut,
}

/// Serves a connection. Returns once its stream is closed, also when it became a WebSocket.
pub(crate) async fn serve(
    stream: TcpStream,
    backend: Arc<Backend>,
    router: Router,
    mut signals: watch::Receiver<Signal>,
) {
    let connection = Connection::new();
    let (wire, mut gone) = Wire::new(stream, connection.clone());
    exchange(wire, &backend, router, &connection, &mut signals).await;
    match connection.current_order() {
        // A client that vanished before the answer was flushed must not keep a failure from
        // happening.
        Order::FailOnceFlushed | Order::Fail => backend.stop(Ended::Failed),
        Order::Serve | Order::CloseOnceFlushed | Order::Close | Order::Reset | Order::Cut => {}
    }
    loop {
        match signals.borrow_and_update().stage {
            Stage::Serving => {}
            Stage::Draining => connection.order(Order::Close),
            Stage::Cut => connection.order(Order::Cut),
        }
        tokio::select! {
            _ = &mut gone => return,
            changed = signals.changed() => if changed.is_err() { return },
        }
    }
}

/// Speaks HTTP until the connection ends, is ordered to end, or becomes something else.
async fn exchange(
    wire: Wire,
    backend: &Arc<Backend>,
    router: Router,
    connection: &Connection,
    signals: &mut watch::Receiver<Signal>,
) {
    let service = service_fn(|request| answer(backend, &router, connection, request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades();
    let mut served = pin!(served);
    let mut ends = pin!(connection.ends());
    let mut heeded = *signals.borrow();
    loop {
        tokio::select! {
            biased;
            _ = ends.as_mut() => return,
            changed = signals.changed() => {
                let before = std::mem::replace(&mut heeded, *signals.borrow());
                if changed.is_err() || heeded.stage == Stage::Cut {
                    return connection.order(Order::Cut);
                }
                if heeded.idle_closings != before.idle_closings && connection.is_idle() {
                    return;
                }
                if (heeded.retirements, heeded.stage) != (before.retirements, before.stage) {
                    served.as_mut().graceful_shutdown();
                }
            }
            result = served.as_mut() => {
                if let Err(error) = result {
                    debug!(%error, "connection ended early");
                }
                return;
            }
        }
    }
}
