//! A listening socket, as it is before a runtime has it and while it may be handed on.

use std::{
    io,
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixListener},
};

use crate::model::ListenAddress;

/// A listening socket.
#[derive(Debug)]
pub enum Bound {
    /// At an IP address and a port.
    Tcp(TcpListener),
    /// At a path.
    Unix(UnixListener),
}

impl Bound {
    /// Returns another handle of the same socket, queue and all.
    ///
    /// # Errors
    /// When the process has as many descriptors as it may.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
        }
    }

    /// Returns where it listens; `None` for an address that no configuration has.
    pub fn address(&self) -> Option<ListenAddress> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok().map(ListenAddress::Tcp),
            Self::Unix(socket) => {
                let address = socket.local_addr().ok()?;
                address.as_pathname().map(|path| ListenAddress::Unix(path.to_owned()))
            }
        }
    }

    /// Never waits from now on: all handles of a socket share that.
    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }
}

impl From<Bound> for OwnedFd {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Tcp(socket) => socket.into(),
            Bound::Unix(socket) => socket.into(),
        }
    }
}
