//! Who serves the clients of a listener: Pingora's proxy, and in front of it the way that most requests
//! over HTTP/1.1 take.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream},
    protocols::http::{ServerSession, custom::server::Session, v2::server::H2Options},
    server::ShutdownWatch,
};
use pingora_proxy::HttpProxy;

use crate::{edge::Serve, gateway::Gateway};

/// Serves the clients of one listener, as one generation says.
pub(crate) struct Service {
    gateway: Gateway,
    proxy: Arc<HttpProxy<Gateway>>,
}

impl Service {
    /// Puts what most requests need, `gateway`, in front of what all do: the proxy made of the same.
    pub(crate) fn new(gateway: Gateway, proxy: HttpProxy<Gateway>) -> Self {
        Self { gateway, proxy: Arc::new(proxy) }
    }
}

impl Serve for Service {
    fn serve(
        &self,
        session: Box<dyn Session>,
    ) -> impl Future<Output = Option<Box<ServerSession>>> + Send {
        self.gateway.serve(session)
    }
}

#[async_trait]
impl HttpServerApp for Service {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.proxy.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.proxy.server_options()
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}
