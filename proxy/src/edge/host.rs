//! Who serves requests at present, on a listener.
//!
//! Clients stay connected while configurations come and go. So what serves is looked up with each
//! request, also with each of those that share a connection over HTTP/2, and keeps it to its end.
//! Only what was agreed on with the connection stays as it was.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream},
    protocols::http::{ServerSession, custom::server::Session, v2::server::H2Options},
    server::ShutdownWatch,
};

/// Serves requests.
pub trait Serve: HttpServerApp + Send + Sync + 'static {
    /// Serves a request that came over HTTP/1.1 to the end of its response, or gives it back: it is for
    /// Pingora's frame, [`HttpServerApp::process_new_http`].
    fn serve(
        &self,
        session: Box<dyn Session>,
    ) -> impl Future<Output = Option<Box<ServerSession>>> + Send;
}

/// Where to find who serves.
pub type Host<A> = Arc<ArcSwap<A>>;

/// Serves the requests that share a connection over HTTP/2.
pub(crate) struct Hosted<A> {
    host: Host<A>,
    /// As who served said when the client connected.
    h2_options: Option<H2Options>,
    server_options: Option<HttpServerOptions>,
}

impl<A: HttpServerApp> Hosted<A> {
    pub(crate) fn new(host: Host<A>) -> Arc<Self> {
        let first = host.load();
        let (h2_options, server_options) = (first.h2_options(), first.server_options().cloned());
        drop(first);
        Arc::new(Self { host, h2_options, server_options })
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for Hosted<A> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let app = self.host.load_full();
        app.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.h2_options.clone()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.server_options.as_ref()
    }
}
