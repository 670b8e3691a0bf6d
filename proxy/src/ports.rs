//! Binding addresses: who has the port, when it is taken.

#![expect(clippy::wildcard_enum_match_arm, reason = "the systems' lists are long and grow")]

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// An address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("{what}: cannot listen on {address}: {reason}; {remedy}")]
pub struct BindError {
    /// What wanted it, e.g. ``listener `public` ``.
    what: String,
    address: SocketAddr,
    reason: String,
    remedy: String,
    #[source]
    source: io::Error,
}

impl BindError {
    /// Returns why, without what and where.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns what would put it right.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// Returns why, in the system's terms.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Returns whether a process of that name has the port.
    pub fn is_held_by(&self, name: &str) -> bool {
        self.reason.contains(&format!("`{name}`"))
    }
}

/// How many clients may wait to be accepted. The system takes its own bound if that is lower; what
/// the standard library asks for, 128, overflows when clients come back all at once, and those who do
/// not fit try again only after a second.
const WAITING: i32 = 65_535;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // As the standard library does: what was closed a moment ago does not keep the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(WAITING)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Binds `address` for `what`.
///
/// # Errors
/// Says what wanted which address, why it cannot have it and, where the system tells, which
/// process has it.
pub fn bind(what: &str, address: SocketAddr) -> Result<TcpListener, BindError> {
    listen(address).map_err(|source| {
        let (reason, remedy) = match source.kind() {
            io::ErrorKind::AddrInUse => match holder_of(address.port()) {
                Some(holder) => (
                    format!("the port is in use by {holder}"),
                    "stop that process or choose another port".to_owned(),
                ),
                None => (
                    "the port is in use".to_owned(),
                    format!(
                        "find the process with `ss -ltnp 'sport = :{}'`, or choose another port",
                        address.port()
                    ),
                ),
            },
            io::ErrorKind::PermissionDenied => (
                "not permitted".to_owned(),
                "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one".to_owned(),
            ),
            io::ErrorKind::AddrNotAvailable => (
                "no interface of this machine has that address".to_owned(),
                "use an address of this machine, or 0.0.0.0 for all of them".to_owned(),
            ),
            _ => (source.to_string(), "choose another address".to_owned()),
        };
        BindError { what: what.to_owned(), address, reason, remedy, source }
    })
}

/// Binds `address` and lets it go.
///
/// # Errors
/// Says why nobody could listen there.
pub fn try_out(address: SocketAddr) -> Result<(), BindError> {
    bind("a check", address).map(drop)
}

/// Returns the name and id of the process that listens on `port`, if the system lets us see it.
#[cfg(target_os = "linux")]
fn holder_of(port: u16) -> Option<String> {
    use procfs::{
        net::{TcpState, tcp, tcp6},
        process::{FDTarget, all_processes},
    };

    let sockets = tcp().into_iter().flatten().chain(tcp6().into_iter().flatten());
    let inodes: Vec<u64> = sockets
        .filter(|it| it.state == TcpState::Listen && it.local_address.port() == port)
        .map(|it| it.inode)
        .collect();
    all_processes().ok()?.flatten().find_map(|process| {
        let holds = process.fd().ok()?.flatten().any(|fd| match fd.target {
            FDTarget::Socket(inode) => inodes.contains(&inode),
            _ => false,
        });
        let name = process.stat().ok()?.comm;
        holds.then(|| format!("`{name}` (process {})", process.pid))
    })
}

#[cfg(not(target_os = "linux"))]
fn holder_of(_port: u16) -> Option<String> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_who_has_it() {
        let holder = bind("test", "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = holder.local_addr().unwrap();
        let message = bind("listener `public`", address).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(message.contains("listener `public`"), "{message}");
        assert!(message.contains(&address.to_string()), "{message}");
        assert!(message.contains(&format!("(process {pid})")), "{message}");
    }
}
