//! A data plane in this process, for clients that speak HTTP/2.

use std::{net::SocketAddr, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use bascule::{
    alarms::Alarms,
    config,
    control::{Control, INBOX},
    exchange::{Connections, Exchange},
    gateway::Gateway,
    snapshot::{Live, SnapshotCell},
    telemetry::metrics::Metrics,
};
use pingora::{
    apps::{HttpServerOptions, ServerApp},
    protocols::l4::stream::Stream,
    server::configuration::ServerConf,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{client::until, setup::Setup};

/// A gateway with its engine and its fleet, behind one listener.
pub(crate) struct Plane {
    pub(crate) public: SocketAddr,
    pub(crate) live: Arc<Live>,
    _tasks: JoinSet<()>,
    _stop: watch::Sender<bool>,
}

impl Plane {
    pub(crate) async fn start(setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public = listener.local_addr().unwrap();
        let config = setup.with("listeners.public.address", public.to_string());
        let loaded = config::parse("a test's", &config.0.to_string(), Path::new("")).unwrap();
        let topology = Arc::new(loaded.topology);
        let live = Arc::new(Live::new(&topology));
        let metrics = Arc::new(Metrics::new(&topology).unwrap());
        let snapshot: SnapshotCell = Arc::default();
        let (inbox, facts) = mpsc::channel(INBOX);
        let alarms = Arc::new(Alarms::new(&topology));
        let connections = Arc::new(Connections::new(&topology, &live).unwrap());
        let control = Control::new(
            Arc::clone(&topology),
            Arc::clone(&live),
            Arc::clone(&metrics),
            Arc::clone(&snapshot),
            Arc::new(ArcSwap::default()),
            Arc::clone(&alarms),
            Arc::clone(&connections),
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(control.run(inbox.clone(), facts));
        let (seen, counted) = (Arc::clone(&snapshot), Arc::clone(&live));
        let exchange = Exchange::new(topology, seen, counted, metrics, inbox, alarms, connections);
        let (stop, stopped) = watch::channel(false);
        let gateway = Gateway {
            ending: stopped.clone(),
            exchange: Arc::new(exchange),
            relay_key: "key".to_owned(),
            sidecar: "127.0.0.1:9".parse().unwrap(),
        };
        tasks.spawn(accept(listener, gateway, stopped));
        until(async || snapshot.load().is_checked().then_some(()).ok_or("unchecked".into())).await;
        Self { public, live, _tasks: tasks, _stop: stop }
    }
}

async fn accept(listener: TcpListener, gateway: Gateway, stopped: watch::Receiver<bool>) {
    let mut proxy = pingora_proxy::http_proxy(&Arc::new(ServerConf::default()), gateway);
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    proxy.server_options = Some(options);
    let proxy = Arc::new(proxy);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (proxy, stopped) = (Arc::clone(&proxy), stopped.clone());
        connections.spawn(async move {
            proxy.process_new(Box::new(Stream::from(stream)), &stopped).await;
        });
    }
}
