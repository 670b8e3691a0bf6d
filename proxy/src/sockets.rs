//! Listening sockets: those that this process was handed, and those that it binds and may hand on.

mod bound;
mod inherited;

use std::net::{SocketAddr, TcpListener};

pub use bound::Bound;
pub use inherited::{Inherited, TO_PREDECESSOR};

use crate::{
    model::ListenAddress,
    ports::{self, BindError},
};

/// Takes the socket that listens on `address` from those that were handed over, or else binds it for
/// `what`.
///
/// # Errors
/// As [`ports::bind`].
pub fn open(
    what: &str,
    address: SocketAddr,
    inherited: &Inherited,
) -> Result<TcpListener, BindError> {
    match inherited.take(&ListenAddress::Tcp(address)) {
        Some(Bound::Tcp(socket)) => Ok(socket),
        Some(Bound::Unix(_)) | None => ports::bind(what, address),
    }
}
