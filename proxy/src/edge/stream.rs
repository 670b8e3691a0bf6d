//! A [`Front`] as Pingora's stream.

use std::{future::poll_fn, os::fd::AsRawFd, sync::Arc};

use async_trait::async_trait;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest, tls::SslDigest,
};
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::edge::{
    front::{Front, LINGER, LINGER_BYTES},
    socket::Transport,
};

impl Front {
    /// Ends the connection so that the client gets what was sent last: the system would take it back
    /// if something had been received that nobody read, or came after (RFC 9112 §9.6). What has not
    /// been read, or is on its way, cannot be known; so every client is waited for, most of which close
    /// at once.
    pub(crate) async fn end(&mut self) {
        if !matches!(timeout(LINGER, AsyncWriteExt::shutdown(self)).await, Ok(Ok(()))) {
            return;
        }
        let mut left = LINGER_BYTES;
        // Who takes longer loses what it has not read by then.
        _ = timeout(LINGER, poll_fn(|cx| self.poll_discard(cx, &mut left))).await;
    }
}

#[async_trait]
impl Shutdown for Front {
    async fn shutdown(&mut self) {
        self.end().await;
    }
}

impl UniqueID for Front {
    fn id(&self) -> UniqueIDType {
        self.as_raw_fd()
    }
}

impl Ssl for Front {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.facts().tls.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        let is_told = self.facts().is_http2 || matches!(self.transport(), Transport::Tls(_));
        is_told.then_some(if self.facts().is_http2 { ALPN::H2 } else { ALPN::H1 })
    }
}

#[async_trait]
impl Peek for Front {}

impl GetTimingDigest for Front {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Front {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.facts().connection))
    }

    fn set_proxy_digest(&mut self, _: ProxyDigest) {}
}

impl GetSocketDigest for Front {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.facts().socket))
    }

    fn set_socket_digest(&mut self, _: SocketDigest) {}
}

#[cfg(test)]
pub(crate) mod tests {
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{
        client_connection::{Aside, ClientConnection},
        edge::{front::Facts, socket::Socket},
    };

    /// A client that reads nothing yet, and its connection.
    pub(crate) async fn connected() -> (TcpStream, Front) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = Socket::tcp(stream);
        let aside = Arc::<Aside>::default();
        let connection = ClientConnection::new(None, None, Arc::clone(&aside));
        let facts = Facts {
            socket: Arc::new(SocketDigest::from_raw_fd(socket.as_raw_fd())),
            connection: connection.pack().unwrap(),
            aside,
            tls: None,
            is_http2: false,
        };
        (client, Front::new(Transport::Plain(socket), facts))
    }

    /// Everything that the client is sent; a reset is an error.
    async fn read(mut client: TcpStream) -> Vec<u8> {
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        read
    }

    #[tokio::test]
    async fn who_has_sent_another_request_ahead_reads_the_end_and_no_reset() {
        let (mut client, mut front) = connected().await;
        front.write_all(b"the last answer").await.unwrap();
        // Nobody reads this: it lies in the system's buffer.
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        front.end().await;
        drop(front);
        assert_eq!(read(client).await, b"the last answer");
    }

    #[tokio::test]
    async fn who_speaks_on_after_the_last_goaway_reads_it_and_no_reset() {
        let (mut client, mut front) = connected().await;
        front.open();
        front.write_all(b"GOAWAY").await.unwrap();
        client.write_all(b"PING").await.unwrap();
        client.shutdown().await.unwrap();
        AsyncWriteExt::shutdown(&mut front).await.unwrap();
        drop(front);
        assert_eq!(read(client).await, b"GOAWAY");
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_closes_is_not_waited_for_for_long() {
        for is_http2 in [false, true] {
            let (client, mut front) = connected().await;
            if is_http2 {
                front.open();
            }
            let began = tokio::time::Instant::now();
            front.end().await;
            let waited = began.elapsed();
            assert!((LINGER..=2 * LINGER).contains(&waited), "{is_http2}: {waited:?}");
            drop(client);
        }
    }
}
