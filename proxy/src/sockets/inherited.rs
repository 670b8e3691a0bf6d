//! The sockets that a process is started with.
//!
//! A service manager that listens in a service's stead passes sockets by a small protocol: as
//! descriptors from 3 on, with their number and their names in the environment (`LISTEN_FDS`,
//! `LISTEN_FDNAMES`; sd_listen_fds(3)). A process that is about to be replaced by a newer one passes
//! its own in the same way, so there is one way in. Its last descriptor is then no listening socket
//! but a connection to itself, known by its name.

use std::{
    io,
    os::unix::net::UnixStream,
    sync::{Mutex, MutexGuard, PoisonError},
};

use listenfd::ListenFd;
use socket2::{Domain, Type};

use crate::{model::ListenAddress, sockets::Bound};

/// How a connection to the process before is called. No name of a service manager's has a slash.
pub const TO_PREDECESSOR: &str = "bascule/predecessor";

/// The sockets that this process was started with and that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Mutex<Vec<(String, Bound)>>,
    predecessor: Option<UnixStream>,
}

impl Inherited {
    /// Takes what this process was started with; nothing, as a rule. To be called first of all: the
    /// environment is changed, which nobody else may read meanwhile.
    ///
    /// # Errors
    /// When a descriptor is neither a listening stream socket nor what this program passes on.
    pub fn take_all() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let mut all = Self::default();
        for index in 0..given.len() {
            let name = names.next().unwrap_or_default().to_owned();
            if name == TO_PREDECESSOR {
                let (domain, kind) = (Domain::UNIX.into(), Type::STREAM.into());
                all.predecessor = given.take_custom(index, domain, kind, "connection")?;
                continue;
            }
            let bound = match given.take_tcp_listener(index) {
                Ok(socket) => socket.map(Bound::Tcp),
                Err(_) => given.take_unix_listener(index)?.map(Bound::Unix),
            };
            let Some(bound) = bound else { continue };
            bound.set_nonblocking()?;
            all.lock().push((name, bound));
        }
        Ok(all)
    }

    /// Takes the socket that listens on `address`, if there is one.
    pub fn take(&self, address: &ListenAddress) -> Option<Bound> {
        let mut sockets = self.lock();
        let index = match address {
            ListenAddress::Activated(wanted) => sockets.iter().position(|(name, _)| name == wanted),
            ListenAddress::Tcp(_) | ListenAddress::Unix(_) => {
                sockets.iter().position(|(_, it)| it.address().as_ref() == Some(address))
            }
        };
        index.map(|index| sockets.swap_remove(index).1)
    }

    /// Takes the connection to the process that this one was started by to replace it.
    pub fn take_predecessor(&mut self) -> Option<UnixStream> {
        self.predecessor.take()
    }

    /// Closes what nobody has taken. Returns how many.
    pub fn close_rest(&self) -> usize {
        std::mem::take(&mut *self.lock()).len()
    }

    /// Returns the names of what nobody has taken.
    pub fn names(&self) -> Vec<String> {
        self.lock().iter().map(|(name, _)| name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Bound)>> {
        // A thread that panicked while it held the lock has left the list whole.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn of(sockets: Vec<(String, Bound)>) -> Inherited {
        Inherited { sockets: Mutex::new(sockets), predecessor: None }
    }

    fn tcp(socket: &TcpListener) -> Bound {
        Bound::Tcp(socket.try_clone().unwrap())
    }

    #[test]
    fn a_socket_is_taken_by_its_address_once() {
        let (one, two) = ("127.0.0.1:0", "127.0.0.1:0");
        let [one, two] = [one, two].map(|it| TcpListener::bind(it).unwrap());
        let address = |it: &TcpListener| ListenAddress::Tcp(it.local_addr().unwrap());
        let inherited = of(vec![(String::new(), tcp(&one)), (String::new(), tcp(&two))]);
        let taken = inherited.take(&address(&two)).unwrap();
        assert_eq!(taken.address(), Some(address(&two)));
        assert!(inherited.take(&address(&two)).is_none());
        assert_eq!(inherited.close_rest(), 1);
        assert!(inherited.take(&address(&one)).is_none());
    }

    #[test]
    fn one_that_a_service_manager_has_opened_is_taken_by_its_name() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let inherited = of(vec![("public".to_owned(), tcp(&socket))]);
        assert!(inherited.take(&ListenAddress::Activated("other".to_owned())).is_none());
        assert_eq!(inherited.names(), ["public"]);
        assert!(inherited.take(&ListenAddress::Activated("public".to_owned())).is_some());
    }
}
