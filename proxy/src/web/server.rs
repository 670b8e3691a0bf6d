//! The accept loop of the small servers: bounded connections, deadlines, an orderly end.
//!
//! `axum::serve` has neither a limit on connections nor a deadline for a request's head, so a
//! client that opens sockets and says nothing would hold memory for ever.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use pingora_rustls::{CertificateDer, TlsAcceptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Operators, one page per tab and a scraper or two need a few dozen.
const CONNECTIONS_MAX: usize = 512;
/// From the start of a connection, or the end of the last answer, to the end of a request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// For TLS to be agreed on.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// What requests under way get to finish when the server ends.
const GRACE: Duration = Duration::from_secs(5);
/// How long a request may be on its way on a connection that looks idle when the server ends.
const CROSSING: Duration = Duration::from_millis(500);
/// After a failed accept (mostly: no file descriptor left), so that the loop does not spin.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The certificate that a client has proven to be its own, in the extensions of its requests.
#[derive(Clone, Debug)]
pub struct PeerCertificate(pub CertificateDer<'static>);

/// Serves `router` on `listener`, over TLS where there is an `acceptor`, until `shutdown`, then lets requests under way finish, for five
/// seconds at most. Each request carries its peer as [`ConnectInfo`], and a client's certificate as
/// [`PeerCertificate`].
///
/// Upgraded connections are no longer the server's: whoever upgraded them ends them.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    shutdown: impl Future<Output = ()>,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (closing, is_closing) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer, permit) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        while connections.try_join_next().is_some() {}
        // Answers are small and awaited; waiting for more to send would only delay them.
        _ = stream.set_nodelay(true);
        let (router, is_closing, acceptor) = (router.clone(), is_closing.clone(), acceptor.clone());
        connections.spawn(async move {
            match acceptor {
                None => converse(stream, (peer, None), router, is_closing).await,
                Some(acceptor) => {
                    // How a handshake fails is the client's to see; there is nobody to answer.
                    let Ok(Ok(stream)) = timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await
                    else {
                        return;
                    };
                    let chain = stream.get_ref().1.peer_certificates();
                    let shown = chain.and_then(|it| it.first()).cloned().map(PeerCertificate);
                    converse(stream, (peer, shown), router, is_closing).await;
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    closing.send_replace(true);
    // What has not finished by then is cut when the set is dropped.
    _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

/// Waits until `is_closing` becomes true; for ever when nobody is left to say so.
pub async fn closed(is_closing: &mut watch::Receiver<bool>) {
    if is_closing.wait_for(|closing| *closing).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so the permit is always there.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

async fn converse<S>(
    stream: S,
    (peer, certificate): (SocketAddr, Option<PeerCertificate>),
    router: Router,
    mut is_closing: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        router.call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    // How a connection ends is the client's business: errors here are not ours to report.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = closed(&mut is_closing) => {
            // A connection that looks idle is closed at once, and a request may be on its way.
            if timeout(CROSSING, connection.as_mut()).await.is_err() {
                connection.as_mut().graceful_shutdown();
                _ = connection.await;
            }
        }
    }
}
