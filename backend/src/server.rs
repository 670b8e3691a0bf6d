//! The accept loop of one backend: takes connections in, refuses them, and ends them all.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::backend::Backend;
use crate::clock;
use crate::connection::{self, Signal, Stage};
use crate::door::Door;
use crate::ended::Ended;
use crate::idle;
use crate::router::router;

/// Connections served at once; more wait with the kernel until one ends.
const CONNECTIONS_MAX: usize = 8192;

/// Pause after the system had no means for another connection, or for listening again.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// How long connections may take to notice that they were cut before they are dropped.
const CUT_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Server {
    door: Door,
    backend: Arc<Backend>,
    router: Router,
    connections: JoinSet<()>,
    signals: watch::Sender<Signal>,
    /// How long requests in flight may take to finish on a graceful end.
    drain: Duration,
}

/// How a server ended, and its door, shut, which keeps the address for a successor.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ended: Ended,
    pub(crate) door: Door,
}

impl Server {
    pub(crate) fn new(door: Door, backend: Arc<Backend>, drain: Duration) -> Server {
        let start = Signal { retirements: 0, idle_closings: 0, stage: Stage::Serving };
        Server {
            door,
            router: router(backend.clone()),
            backend,
            connections: JoinSet::new(),
            signals: watch::Sender::new(start),
            drain,
        }
    }

    /// Serves until the backend is stopped; by then every connection is closed.
    pub(crate) async fn run(mut self) -> Outcome {
        let mut stopping = self.backend.stopping();
        let idle = idle::close_regularly(self.backend.clone(), self.signals.clone());
        let mut ended = tokio::select! {
            ended = self.serve(&mut stopping) => ended,
            never = idle => match never {},
        };
        self.door.shut();
        self.backend.set_listening(false);
        if ended == Ended::ShutDown {
            self.signals.send_modify(|signal| signal.stage = Stage::Draining);
            ended = self.drained(&mut stopping).await;
        }
        self.signals.send_modify(|signal| signal.stage = Stage::Cut);
        let all_ended = async { while self.connections.join_next().await.is_some() {} };
        if tokio::time::timeout(CUT_TIMEOUT, all_ended).await.is_err() {
            self.connections.shutdown().await;
        }
        Outcome { ended, door: self.door }
    }

    async fn serve(&mut self, stopping: &mut watch::Receiver<Option<Ended>>) -> Ended {
        let mut refusal = self.backend.faults.refusal();
        loop {
            let refused_until = *refusal.borrow_and_update();
            let look_again_at = self.mind_the_door(refused_until, clock::now());
            let may_accept = self.connections.len() < CONNECTIONS_MAX;
            tokio::select! {
                ended = stopped(stopping) => return ended,
                // The board outlives the server, so this cannot fail.
                _ = refusal.changed() => {}
                () = clock::sleep_until(look_again_at), if look_again_at.is_some() => {}
                accepted = self.door.accept(), if may_accept => self.admit(accepted).await,
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    /// Shuts or opens the door as the refusal asks; returns when to look again, if at all.
    fn mind_the_door(&mut self, refused_until: Option<Instant>, now: Instant) -> Option<Instant> {
        let refused_until = refused_until.filter(|until| now < *until);
        match (refused_until, self.door.is_open()) {
            (Some(_), true) => {
                self.door.shut();
                self.signals.send_modify(|signal| signal.retirements += 1);
                self.backend.set_listening(false);
                info!(backend = %self.backend.name, "refusing connections");
            }
            (None, false) => {
                if let Err(error) = self.door.reopen() {
                    error!(addr = %self.door.addr(), %error, "cannot listen again");
                    return Some(now + RETRY_AFTER);
                }
                self.backend.set_listening(true);
                info!(backend = %self.backend.name, "accepting connections again");
            }
            (Some(_), false) | (None, true) => {}
        }
        refused_until
    }

    async fn admit(&mut self, accepted: io::Result<TcpStream>) {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                return clock::sleep(RETRY_AFTER).await;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "connection was gone before it began");
            return;
        }
        let (backend, router) = (self.backend.clone(), self.router.clone());
        self.connections.spawn(connection::serve(
            stream,
            backend,
            router,
            self.signals.subscribe(),
        ));
    }

    /// Waits for the connections to end by themselves; a harsher end cuts the wait short.
    async fn drained(&mut self, stopping: &mut watch::Receiver<Option<Ended>>) -> Ended {
        let harsher = async {
            // Only a harsher end changes it, and the sender outlives the server.
            let _ = stopping.changed().await;
            stopping.borrow().unwrap_or(Ended::ShutDown)
        };
        let all_ended = async { while self.connections.join_next().await.is_some() {} };
        tokio::select! {
            ended = harsher => ended,
            () = all_ended => Ended::ShutDown,
            () = clock::sleep(self.drain) => Ended::ShutDown,
        }
    }
}

async fn stopped(stopping: &mut watch::Receiver<Option<Ended>>) -> Ended {
    match stopping.wait_for(Option::is_some).await {
        Ok(ended) => ended.unwrap_or(Ended::Killed),
        Err(_) => Ended::Killed,
    }
}
