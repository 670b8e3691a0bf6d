//! One client's connection, from being accepted to its end.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    sync::Arc,
};

use pingora::{
    apps::ServerApp,
    protocols::{SocketDigest, l4::socket::SocketAddr as PingoraAddr},
    server::ShutdownWatch,
};
use tokio::time::timeout;

use crate::{
    client_connection::{Aside, ClientConnection},
    edge::{
        admission::Counted,
        door::{Door, Terms},
        front::{Facts, Front},
        host::{Host, Hosted, Serve},
        http1,
        socket::{Socket, Transport},
    },
    model::ProxyProtocol,
    server_tls,
    telemetry::metrics::Turned,
    wire::proxy_header::{self, ProxyHeader},
};

/// Serves a client until its connection ends.
pub(crate) async fn serve<A>(
    socket: Socket,
    peer: Option<SocketAddr>,
    door: Arc<Door>,
    host: Host<A>,
    shutdown: ShutdownWatch,
) where
    A: Serve,
{
    let terms = door.terms();
    let prepared = timeout(terms.listener.timeouts.handshake, prepare(socket, peer, &terms)).await;
    let (mut front, _counted) = match prepared.unwrap_or(Err(Turned::HandshakeTimedOut)) {
        Ok(prepared) => prepared,
        Err(reason) => {
            tracing::debug!(target: "bascule::edge", listener = terms.listener.name, ?reason, ?peer, "connection refused");
            terms.metrics.connection_refused(terms.index, reason);
            return;
        }
    };
    // They may be others by the next request.
    drop(terms);
    if !front.facts().is_http2 {
        match http1::serve(front, &host, &door, &shutdown).await {
            Some(other) => front = other,
            None => return,
        }
    }
    front.open();
    // A response may wait in HTTP/2's own queue, or for room at the client, long after it has been
    // given: whoever waits for the end waits for this connection's. It ends when all is sent.
    let _busy = door.departure.busy();
    Hosted::new(host).process_new(front, &shutdown).await;
}

/// Finds out who the client is, whether it may connect, and agrees on TLS.
async fn prepare(
    mut socket: Socket,
    peer: Option<SocketAddr>,
    terms: &Terms,
) -> Result<(Box<Front>, Option<Counted>), Turned> {
    let client = client_of(&mut socket, peer, terms).await?;
    let address = client.map(|it| it.ip().to_canonical());
    let counted = match (&terms.clients, address) {
        (Some(clients), Some(address)) => {
            Some(clients.admit(address).ok_or(Turned::TooManyOfClient)?)
        }
        (Some(_) | None, _) => None,
    };
    let digest = Arc::new(SocketDigest::from_raw_fd(socket.as_raw_fd()));
    // Only the first value counts, and this is the first.
    _ = digest.peer_addr.set(client.map(PingoraAddr::Inet));
    let aside = Arc::<Aside>::default();
    let Some(tls) = &terms.tls else {
        let facts = Facts {
            socket: digest,
            connection: packed(address, None, &aside)?,
            aside,
            tls: None,
            is_http2: false,
        };
        return Ok((Box::new(Front::new(Transport::Plain(socket), facts)), counted));
    };
    let stream = tls.acceptor.accept(socket).await.map_err(|_| Turned::Handshake)?;
    let connection = stream.get_ref().1;
    let shown = connection.peer_certificates().and_then(|chain| chain.first());
    let facts = Facts {
        socket: digest,
        connection: packed(address, shown.map(server_tls::certificates::forwarded), &aside)?,
        aside,
        tls: Some(Arc::new(server_tls::digest(connection))),
        is_http2: connection.alpn_protocol() == Some(b"h2"),
    };
    Ok((Box::new(Front::new(Transport::Tls(Box::new(stream)), facts)), counted))
}

fn packed(
    address: Option<IpAddr>,
    certificate: Option<String>,
    aside: &Arc<Aside>,
) -> Result<Arc<pingora::protocols::raw_connect::ProxyDigest>, Turned> {
    ClientConnection::new(address, certificate, Arc::clone(aside))
        .pack()
        .map_err(|_| Turned::Handshake)
}

/// Returns who the client is: the peer, or whom a trusted peer speaks for.
async fn client_of(
    socket: &mut Socket,
    peer: Option<SocketAddr>,
    terms: &Terms,
) -> Result<Option<SocketAddr>, Turned> {
    let is_trusted = terms.trusts(peer.map(|it| it.ip()));
    match terms.listener.proxy_protocol {
        ProxyProtocol::None => return Ok(peer),
        ProxyProtocol::Accept if !is_trusted => return Ok(peer),
        ProxyProtocol::Require if !is_trusted => return Err(Turned::ProxyHeader),
        ProxyProtocol::Accept | ProxyProtocol::Require => {}
    }
    let mut known = 0;
    loop {
        let most = proxy_header::LONGEST.saturating_sub(known);
        let ahead = socket.look_ahead(most).await.map_err(|_| Turned::ProxyHeader)?;
        if ahead.len() == known {
            return Err(Turned::ProxyHeader);
        }
        known = ahead.len();
        match proxy_header::read(ahead) {
            Ok(ProxyHeader::Unfinished) => {}
            Ok(ProxyHeader::Present { length, client }) => {
                socket.skip(length);
                return Ok(client.or(peer));
            }
            Ok(ProxyHeader::Absent) if terms.listener.proxy_protocol == ProxyProtocol::Accept => {
                return Ok(peer);
            }
            Ok(ProxyHeader::Absent) | Err(_) => return Err(Turned::ProxyHeader),
        }
    }
}
