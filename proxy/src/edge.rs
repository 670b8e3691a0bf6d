//! The edge: clients' connections, from the socket to requests that may be acted upon.
//!
//! Pingora accepts, too, and serves well whoever means well. It has no deadline for the head of a
//! request, none for its own look for HTTP/2, knows PROXY headers on TLS listeners only, forgives
//! much in a request, and opens no listener once it runs. So its listening services are not used:
//! connections are accepted here. Over HTTP/1.1 request by request is handed on (`http1.rs`, `front.rs`,
//! `session.rs`); over HTTP/2, which Pingora and `h2` bound by themselves, the connection as a whole goes
//! to Pingora's `HttpProxy`.
//!
//! What is agreed on before the first request (`connection.rs`): who the client is, by a PROXY
//! header of a trusted peer; that it has not too many connections; TLS (`server_tls.rs`).
//! Each step has a deadline.

mod admission;
mod connection;
mod door;
mod front;
mod host;
mod http1;
mod refuse;
mod session;
mod socket;
mod stream;

use std::{future::poll_fn, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use pingora::server::ShutdownWatch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};

use crate::{
    clock,
    edge::{admission::Slot, socket::Socket},
};

pub use door::{Door, DoorError, Reception, open};
pub use host::{Host, Serve};

/// Clients that are taken from the system's queue when nobody new is accepted any more: as many as
/// Linux lets wait there by default.
const QUEUED: usize = 4096;

/// How long to wait when the system has no more descriptors: they come back as connections end.
const PAUSE: Duration = Duration::from_millis(50);
/// How often changed certificates are looked for.
const REFRESH: Duration = Duration::from_secs(2);

/// Accepts clients until the door closes, and has them served by whoever `host` names at the time;
/// those that are connected then are served on.
pub async fn serve<A>(door: Arc<Door>, host: Host<A>)
where
    A: Serve,
{
    let accepting = match door.accepting() {
        Ok(accepting) => accepting,
        Err(error) => {
            let terms = door.terms();
            let name = &terms.listener.name;
            error!(target: "bascule::edge", listener = name, %error, "the listener could not be served");
            return;
        }
    };
    let mut closing = door.departure.watch();
    let refresh = refresh(&door);
    tokio::pin!(refresh);
    loop {
        let next = async {
            // Beyond the bound clients wait in the system's queue: that is what it is for.
            let slot = door.slots.take().await;
            (slot, accepting.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            // Once it is closed, nobody comes in here any more: others may use the socket.
            biased;
            // An error is an end as well.
            _ = closing.wait_for(|it| *it) => break,
            next = next => next,
            () = &mut refresh => continue,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                let terms = door.terms();
                let name = &terms.listener.name;
                // Not the listener's end: a client that left, or no descriptor to be had.
                warn!(target: "bascule::edge", listener = name, %error, "a client could not be accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        receive((socket, peer, slot), &door, &host, &closing);
    }
    if door.is_handed_on() {
        return;
    }
    for _ in 0..QUEUED {
        // They are connected, as far as they know, and would be reset with the socket's end.
        let Some(slot) = door.slots.try_take() else { break };
        let Some((socket, peer)) = accepting.accept_queued() else { break };
        receive((socket, peer, slot), &door, &host, &closing);
    }
}

/// Has a client served that was accepted.
fn receive<A>(
    (socket, peer, slot): (Socket, Option<SocketAddr>, Slot),
    door: &Arc<Door>,
    host: &Host<A>,
    closing: &ShutdownWatch,
) where
    A: Serve,
{
    let (door, host, closing) = (Arc::clone(door), Arc::clone(host), closing.clone());
    // Counted here: whoever waits for the last client's end must not overlook one.
    let present = door.departure.connection();
    tokio::spawn(async move {
        let terms = door.terms();
        let opened = terms.metrics.connection_opened(terms.index);
        drop(terms);
        let _open = (opened, present);
        let mut served = pin!(connection::serve(socket, peer, door, host, closing));
        poll_fn(|cx| clock::step(|| served.as_mut().poll(cx))).await;
        drop(slot);
    });
}

/// Reads certificates again when their files change; never ends.
async fn refresh(door: &Arc<Door>) {
    let mut turns = interval(REFRESH);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        turns.tick().await;
        let terms = door.terms();
        let Some(tls) = &terms.tls else { continue };
        let certificates = Arc::clone(&tls.certificates);
        // Files may lie on slow disks.
        let refreshed = tokio::task::spawn_blocking(move || certificates.refresh()).await;
        terms.metrics.certificates_expire(terms.index, &tls.certificates.expiries());
        let name = &terms.listener.name;
        match refreshed {
            Ok(Ok(true)) => {
                info!(target: "bascule::edge", listener = name, "certificates read again");
                told.clear();
            }
            Ok(Ok(false)) => {}
            Ok(Err(fault)) => {
                let fault = fault.to_string();
                if fault != told {
                    warn!(
                        target: "bascule::edge", listener = name, %fault,
                        "changed certificates cannot be used; the ones read before are kept"
                    );
                    told = fault;
                }
            }
            Err(error) => warn!(target: "bascule::edge", listener = name, %error, "certificates"),
        }
    }
}
