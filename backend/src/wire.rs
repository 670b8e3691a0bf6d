//! The byte stream under one connection, and the orders that end it in a chosen way.
//!
//! HTTP code above the stream cannot reset a connection, nor close it in the middle of a body it
//! has promised. It gives an [`Order`]; the stream carries it out below HTTP, at the right moment.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

/// How a connection is to end. Later variants outrank earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Carry on.
    Serve,
    /// Close as soon as everything written so far has been handed to the kernel.
    CloseOnceFlushed,
    /// As `CloseOnceFlushed`, and then the whole backend fails.
    FailOnceFlushed,
    /// Close; a WebSocket says goodbye first.
    Close,
    /// Close with a TCP reset.
    Reset,
    /// Close without a word.
    Cut,
    /// Close, and the whole backend fails.
    Fail,
}

impl Order {
    /// Whether the order is to be carried out at once.
    fn is_due(self) -> bool {
        Order::Close <= self
    }
}

/// A handle on one connection, to end it from anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    order: watch::Sender<Order>,
    /// One of the constants below. Relaxed, because only the connection's own task reads it and
    /// nothing else is published through it.
    phase: Arc<AtomicU8>,
}

/// No answer is owed, and at least one has been given.
const IDLE: u8 = 0;
/// A request is being answered.
const ANSWERING: u8 = 1;
/// The whole answer is written, but perhaps not all of it is with the kernel.
const ANSWERED: u8 = 2;
/// Nothing has been asked yet.
const NEW: u8 = 3;

impl Connection {
    pub(crate) fn new() -> Connection {
        let phase = Arc::new(AtomicU8::new(NEW));
        Connection { order: watch::Sender::new(Order::Serve), phase }
    }

    /// A request has arrived.
    pub(crate) fn begin(&self) {
        self.phase.store(ANSWERING, Ordering::Relaxed);
    }

    /// The answer is written to its end.
    pub(crate) fn answered(&self) {
        self.phase.store(ANSWERED, Ordering::Relaxed);
    }

    /// Whether it is kept alive and owes no answer. A request that has not been read yet does not
    /// count. A connection on which nothing was asked yet is not kept alive but expected to be used:
    /// servers give it more time.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == IDLE
    }

    /// Gives an order; one that outranks it stands.
    pub(crate) fn order(&self, order: Order) {
        self.order.send_if_modified(|current| {
            let outranks = *current < order;
            if outranks {
                *current = order;
            }
            outranks
        });
    }

    pub(crate) fn current_order(&self) -> Order {
        *self.order.borrow()
    }

    /// Waits for an order that is to be carried out at once.
    pub(crate) async fn ends(&self) -> Order {
        match self.order.subscribe().wait_for(|order| order.is_due()).await {
            Ok(order) => *order,
            // The sender is `self`, so it outlives the wait.
            Err(_) => Order::Cut,
        }
    }

    fn flushed(&self) {
        _ = self.phase.compare_exchange(ANSWERED, IDLE, Ordering::Relaxed, Ordering::Relaxed);
        match self.current_order() {
            Order::CloseOnceFlushed => self.order(Order::Close),
            Order::FailOnceFlushed => self.order(Order::Fail),
            Order::Serve | Order::Close | Order::Reset | Order::Cut | Order::Fail => {}
        }
    }
}

/// The stream that HTTP reads and writes.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    connection: Connection,
    _gone: oneshot::Sender<()>,
}

impl Wire {
    /// The stream, and a receiver that ends when it has been closed, by whomever.
    pub(crate) fn new(stream: TcpStream, connection: Connection) -> (Wire, oneshot::Receiver<()>) {
        let (gone_sender, gone) = oneshot::channel();
        (Wire { stream, connection, _gone: gone_sender }, gone)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.connection.current_order() == Order::Reset {
            // With no time to linger, closing sends a reset. Should the peer have closed first,
            // there is nothing left to reset and the error means nothing.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// HTTP flushes the stream only when its own buffer is empty, so this is the moment at which
    /// all it has written is with the kernel.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.connection.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
