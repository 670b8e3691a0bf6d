//! The sidecar's sockets: the one that it is known by, and where it speaks TLS, one for the data plane.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result};
use tokio::sync::{oneshot, watch};
use tracing::error;

use crate::{
    admin::{self, AdminState},
    app::{spawn, start::Start, wait_for_first_checks},
    exchange::Generation,
    model::Topology,
    ports,
    server_tls::Tls,
    sockets,
    web::reachable,
};

/// The sidecar before it is served.
pub(crate) struct SidecarDoor {
    /// Where it is known to be.
    pub(crate) listener: TcpListener,
    tls: Option<Tls>,
    /// Where the data plane asks, if not there.
    relayed: Option<TcpListener>,
    /// Where the data plane asks.
    relayed_at: SocketAddr,
}

impl SidecarDoor {
    /// Binds it, and reads what TLS needs.
    pub(crate) fn open(topology: &Topology, start: &Start) -> Result<Self> {
        let admin = &topology.admin;
        let tls = admin.tls.as_ref().map(|it| Tls::new(it, false)).transpose();
        let tls = tls.context("admin.tls")?;
        let listener = sockets::open("admin", admin.address, &start.inherited)?;
        let relayed = match &tls {
            Some(_) => {
                Some(ports::bind("admin (for the data plane)", (Ipv4Addr::LOCALHOST, 0).into())?)
            }
            None => None,
        };
        let relayed_at = match &relayed {
            Some(relayed) => relayed.local_addr()?,
            None => reachable(admin.address),
        };
        Ok(Self { listener, tls, relayed, relayed_at })
    }

    /// Serves until it is told that another process does; the data plane, to the end. Returns what ends
    /// when it does, and where the data plane asks.
    pub(crate) fn serve(
        self,
        state: AdminState,
        mut leaving: watch::Receiver<bool>,
        (start, generation): (&Start, &Generation),
    ) -> Result<(oneshot::Receiver<()>, SocketAddr)> {
        if start.predecessor.is_some() {
            // Until this process is ready, the one before answers.
            wait_for_first_checks(&generation.topology, &generation.snapshot);
        }
        if let Some(relayed) = self.relayed {
            let state = state.clone();
            spawn("sidecar-relay", async move {
                match tokio::net::TcpListener::from_std(relayed) {
                    Ok(relayed) => admin::serve_relayed(relayed, state).await,
                    Err(error) => {
                        error!(target: "bascule::admin", %error, "the data plane cannot be answered");
                    }
                }
            })?;
        }
        let (listener, tls) = (self.listener, self.tls);
        let (running, ended) = oneshot::channel::<()>();
        spawn("sidecar", async move {
            let told = async move {
                if leaving.wait_for(|it| *it).await.is_err() {
                    // Nobody can say so any more.
                    std::future::pending::<()>().await;
                }
            };
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => admin::serve(listener, state, tls, told).await,
                Err(error) => {
                    error!(target: "bascule::admin", %error, "the sidecar could not be started");
                }
            }
            drop(running);
        })?;
        Ok((ended, self.relayed_at))
    }
}
