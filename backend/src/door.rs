//! The listening socket, which can be shut and reopened on the same address.
//!
//! A shut door has closed its listening socket and holds the address with a socket that is bound
//! but does not listen. The kernel then refuses every connection, and no other program, nor an
//! outgoing connection that was handed a free port, can take the address in the meantime.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that the kernel completes ahead of us; generous, so that a burst is not refused.
const BACKLOG: i32 = 1024;

#[derive(Debug)]
pub(crate) struct Door {
    addr: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(TcpListener),
    /// The socket holds the address; `None` when another program was quicker to take it.
    Shut(Option<Socket>),
}

impl Door {
    /// Listens on `addr`; with port 0, on a free port that stays the door's for its life.
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Door> {
        let listener = listening(bound(addr)?)?;
        Ok(Door { addr: listener.local_addr()?, state: State::Open(listener) })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Refuses connections from here on, those not yet accepted included.
    pub(crate) fn shut(&mut self) {
        // The old socket has to be closed first: an address that is listened on cannot be bound.
        self.state = State::Shut(None);
        self.state = State::Shut(bound(self.addr).ok());
    }

    /// Listens again. An error leaves the door shut and may be tried again.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        let held = match &mut self.state {
            State::Open(_) => return Ok(()),
            State::Shut(held) => held.take(),
        };
        let socket = held.map_or_else(|| bound(self.addr), Ok)?;
        self.state = State::Open(listening(socket)?);
        Ok(())
    }

    /// The next connection; never, while the door is shut.
    pub(crate) async fn accept(&self) -> io::Result<TcpStream> {
        match &self.state {
            State::Open(listener) => listener.accept().await.map(|(stream, _)| stream),
            State::Shut(_) => std::future::pending().await,
        }
    }
}

fn bound(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier life that linger in TIME_WAIT must not keep the address.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
