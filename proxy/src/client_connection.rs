//! What is known of a client's connection, carried by Pingora to whoever serves its requests.

use std::{net::IpAddr, sync::Arc};

use pingora::{
    http::ResponseHeader,
    protocols::{Digest, raw_connect::ProxyDigest},
};

/// A client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConnection {
    /// Index of the listener in the topology.
    pub listener: usize,
    /// The client's address: the peer's, or what a PROXY header says. `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// The client's certificate as `X-Forwarded-Client-Cert` tells of it, if it has shown one.
    pub certificate: Option<String>,
}

impl ClientConnection {
    /// Packs it for a stream to carry.
    ///
    /// # Errors
    /// Never in practice: Pingora's type wants a response that nobody looks at.
    pub fn pack(self) -> pingora::Result<Arc<ProxyDigest>> {
        let response = Box::new(ResponseHeader::build(200, Some(0))?);
        Ok(Arc::new(ProxyDigest::new(response, Some(Box::new(self)))))
    }

    /// Finds it in what a session knows of its connection.
    pub fn of(digest: Option<&Digest>) -> Option<&Self> {
        digest?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
    }
}
