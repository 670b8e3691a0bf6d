//! A [`Front`] as Pingora's stream.

use std::{io, os::fd::AsRawFd, sync::Arc, time::Duration};

use async_trait::async_trait;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest, tls::SslDigest,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::edge::{front::Front, socket::Transport};

/// How long a client may take to take note of an answer that came before it had sent all.
const LINGER: Duration = Duration::from_secs(2);
/// How much a client may still send meanwhile.
const LINGER_BYTES: usize = 1 << 20;

impl Front {
    /// Ends the connection so that the client gets what was sent last: the system would take it back
    /// if something had been received that nobody read (RFC 9112 §9.6).
    pub(crate) async fn end(&mut self) {
        let has_unread = self.has_unread();
        if timeout(LINGER, AsyncWriteExt::shutdown(self)).await.is_err() || !has_unread {
            return;
        }
        // An error is an end as well.
        _ = timeout(LINGER, self.discard()).await;
    }

    async fn discard(&mut self) -> io::Result<()> {
        let mut left = LINGER_BYTES;
        let mut piece = vec![0; 16 * 1024];
        while 0 < left {
            let read = self.transport_mut().read(&mut piece).await?;
            if read == 0 {
                break;
            }
            left = left.saturating_sub(read);
        }
        Ok(())
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
