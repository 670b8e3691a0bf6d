//! The two sides of a proxy: a client's connection and a backend's, as bytes.
//!
//! One task owns all sockets and looks at them together, so nothing is missed and nothing is shared.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Far above what anything here takes: who waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long to go on waiting for bytes on one side once others have come on the other side: the
/// proxy has gone another way than expected.
const CERTAINTY: Duration = Duration::from_secs(5);
/// The same for a case that is known to fail.
const CERTAINTY_KNOWN: Duration = Duration::from_millis(500);

/// A connection, with what has come on it and was not expected yet.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    pub(crate) number: usize,
    pub(crate) unread: Vec<u8>,
    /// Whether the other side has ended it, in good order or not.
    pub(crate) is_ended: bool,
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Stage {
    proxy: SocketAddr,
    listener: TcpListener,
    pub(crate) client: Option<Wire>,
    pub(crate) backends: Vec<Wire>,
    accepted: usize,
    certainty: Duration,
}

impl Wire {
    fn new(stream: TcpStream, number: usize) -> Self {
        Self { stream, number, unread: Vec::new(), is_ended: false }
    }

    /// Takes in what has come. Returns whether anything has.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_come = false;
        while !self.is_ended {
            let mut room = [0; 16 * 1024];
            let mut room = ReadBuf::new(&mut room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if !room.filled().is_empty() => {
                    self.unread.extend_from_slice(room.filled());
                }
                Poll::Ready(_) => self.is_ended = true,
            }
            has_come = true;
        }
        has_come
    }

    /// Sends bytes. That the other side takes no more is seen when its end is awaited.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        _ = timeout(PATIENCE, self.stream.write_all(bytes)).await;
    }

    /// Ends this side, and goes on reading.
    pub(crate) async fn close(&mut self) {
        _ = self.stream.shutdown().await;
    }

    fn has_something(&self) -> bool {
        !self.unread.is_empty()
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        Self {
            proxy,
            listener,
            client: None,
            backends: Vec::new(),
            accepted: 0,
            certainty: CERTAINTY,
        }
    }

    /// Where the backend listens.
    pub(crate) fn backend(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Makes ready for a case before this proxy.
    pub(crate) fn prepare(&mut self, proxy: SocketAddr, is_known: bool) {
        self.proxy = proxy;
        self.certainty = if is_known { CERTAINTY_KNOWN } else { CERTAINTY };
    }

    /// The client's connection, made if there is none.
    pub(crate) async fn client(&mut self) -> &mut Wire {
        if self.client.is_none() {
            let stream = TcpStream::connect(self.proxy).await.unwrap();
            stream.set_nodelay(true).unwrap();
            self.client = Some(Wire::new(stream, 0));
        }
        self.client.as_mut().unwrap()
    }

    /// Ends a backend's connection with a reset.
    pub(crate) fn reset(&mut self, number: usize) {
        if let Some(at) = self.backends.iter().position(|it| it.number == number) {
            let wire = self.backends.remove(at);
            _ = SockRef::from(&wire.stream).set_linger(Some(Duration::ZERO));
        }
    }

    pub(crate) fn backend_of(&mut self, number: usize) -> Option<&mut Wire> {
        self.backends.iter_mut().find(|it| it.number == number)
    }

    /// Waits until something comes on any connection. `false` when it takes too long.
    pub(crate) async fn progress(&mut self, patience: Duration) -> bool {
        timeout(patience, std::future::poll_fn(|cx| self.poll(cx))).await.is_ok()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut has_come = false;
        while let Poll::Ready(Ok((stream, _))) = self.listener.poll_accept(cx) {
            stream.set_nodelay(true).unwrap();
            self.accepted += 1;
            self.backends.push(Wire::new(stream, self.accepted));
            has_come = true;
        }
        for wire in self.client.iter_mut().chain(&mut self.backends) {
            has_come |= wire.poll(cx);
        }
        // Connections that only ask whether the door opens, and those that are over.
        self.backends.retain(|it| !it.is_ended || it.has_something());
        if has_come { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits for what `look` looks for on the client's side.
    pub(crate) async fn until_client<T>(
        &mut self,
        mut look: impl FnMut(&mut Wire) -> Option<T>,
    ) -> Option<T> {
        let mut waited = PATIENCE;
        loop {
            if let Some(found) = self.client.as_mut().and_then(&mut look) {
                return Some(found);
            }
            // Bytes that nobody expected at the backend: something has gone another way.
            if self.backends.iter().any(Wire::has_something) || self.client.as_ref()?.is_ended {
                waited = self.certainty;
            }
            let is_over = self.client.as_ref()?.is_ended;
            if is_over || !self.progress(waited).await {
                return None;
            }
        }
    }

    /// Waits for what `look` looks for on any connection of the backend.
    pub(crate) async fn until_backend<T>(
        &mut self,
        mut look: impl FnMut(&mut Wire) -> Option<T>,
    ) -> Option<T> {
        let mut waited = PATIENCE;
        loop {
            if let Some(found) = self.backends.iter_mut().find_map(&mut look) {
                return Some(found);
            }
            if self.client.as_ref().is_some_and(|it| it.is_ended || it.has_something()) {
                waited = self.certainty;
            }
            if !self.progress(waited).await {
                return None;
            }
        }
    }

    /// Takes in all that has been sent by now. What has arrived on one connection before something
    /// was read on another is there after this.
    pub(crate) async fn settle(&mut self) {
        // Each turn lets the runtime ask the kernel once: for a connection, then for its bytes.
        for _ in 0..4 {
            tokio::task::yield_now().await;
            std::future::poll_fn(|cx| {
                _ = self.poll(cx);
                Poll::Ready(())
            })
            .await;
        }
    }
}
