//! A Pingora proxy that forwards and does nothing else: what the framework costs, to measure
//! Bascule against (`loadtest/measure`).
//!
//! Takes one argument, a file: the address of the plain listener; the address of the TLS listener
//! with its certificate and key; `threads N`; `http N`, the version towards backends; then one backend a
//! line.

#![expect(clippy::expect_used, reason = "a tool for measuring: it ends when something is wrong")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;
use pingora::{
    Result,
    listeners::tls::TlsSettings,
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct RoundRobin {
    backends: Vec<String>,
    version: u8,
    turn: Arc<AtomicUsize>,
}

#[async_trait]
impl ProxyHttp for RoundRobin {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let turn = self.turn.fetch_add(1, Relaxed) % self.backends.len();
        let mut peer = HttpPeer::new(self.backends[turn].as_str(), false, String::new());
        peer.options.set_http_version(self.version, self.version);
        Ok(Box::new(peer))
    }
}

fn main() {
    let file = std::env::args().nth(1).filter(|it| !it.starts_with('-'));
    // `cargo test --benches` and `cargo bench` call it without a file.
    let Some(file) = file else { return };
    let text = std::fs::read_to_string(file).expect("the file can be read");
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let plain = lines.next().expect("the plain listener's address");
    let secure: Vec<&str> = lines.next().expect("the TLS listener").split(' ').collect();
    let threads = lines.next().and_then(|it| it.strip_prefix("threads ")).expect("threads");
    let version = lines.next().and_then(|it| it.strip_prefix("http ")).expect("a version");
    let conf = ServerConf {
        threads: threads.parse().expect("a number of threads"),
        upstream_keepalive_pool_size: 512,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let backends = lines.map(str::to_owned).collect();
    let version = version.parse().expect("1 or 2");
    let proxy = RoundRobin { backends, version, turn: Arc::default() };
    let mut service = http_proxy_service(&server.configuration, proxy);
    service.add_tcp(plain);
    let mut tls =
        TlsSettings::intermediate(secure[1], secure[2]).expect("a certificate and its key");
    tls.enable_h2();
    service.add_tls_with_settings(secure[0], None, tls);
    server.add_service(service);
    server.run_forever();
}
