//! HTTP/2 towards backends: many legs of exchanges on one connection.
//!
//! # What proves that a request was not processed
//!
//! A request that may not run twice may be sent again only on proof. RFC 9113 §8.7 names two, and
//! [`LegError::Refused`] stands for them and for what never left:
//!
//! - The backend reset the stream with `REFUSED_STREAM` (§8.7): it closed the stream before any
//!   processing. Resets with any other reason prove nothing.
//! - The backend sent `GOAWAY` with a last stream id below the stream's (§6.8): it will not act on
//!   it, whatever reason the frame gives. h2 hands a received `GOAWAY` to exactly those streams; those
//!   up to the last id go on, and fail like others if the connection then ends.
//! - The stream was never opened: the connection was closed, going away or full.
//!
//! Either frame is believed only while nothing of a response has come, because a backend that
//! answered has processed. The end of a connection proves nothing, with or without an earlier
//! `GOAWAY` that covered the stream: [`LegError::Closed`]. And where the backend closes right after
//! its `GOAWAY` while we write, the frame may be lost with the connection, which is again `Closed`.

mod leg;
mod request;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, PingPong, Reason,
    client::{Builder, Connection, SendRequest},
};
use http::{Request, uri::Scheme};
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use leg::{Head, Leg, LegDown, LegUp, Rest};
pub(crate) use request::check_head;

use crate::wire::request::{BodyFraming, Unsendable};

/// Window of a stream: a response of a megabyte comes without a pause on any usual round trip.
const STREAM_WINDOW: u32 = 1 << 20;
/// Window of a connection: eight streams may fill theirs before one that nobody reads holds up the
/// others.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Most bytes of a body that wait in a stream for the socket.
const SEND_BUFFER: usize = 256 << 10;
/// Longest list of headers that a backend may send.
const HEADER_LIST_MAX: u32 = 1 << 20;

/// How a connection is asked whether the backend is still there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pings {
    /// Time between an answer and the next question.
    pub(crate) interval: Duration,
    /// The connection is given up when an answer takes longer.
    pub(crate) timeout: Duration,
}

/// Why a leg has no good end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LegError {
    /// Proven not to have been processed: it may be sent again, whatever its method.
    #[error("the backend refused the request unprocessed")]
    Refused,
    /// The connection ended. What was sent may have been processed.
    #[error("the connection ended")]
    Closed,
    /// The backend broke the protocol.
    #[error("the backend broke the protocol")]
    Garbage,
    /// The backend reset the stream; it may have processed the request.
    #[error("the backend reset the stream: {0}")]
    Reset(Reason),
    /// The request cannot be put on the wire at all: it is the client's fault.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
}

/// A connection, held by whoever may start legs on it.
///
/// The connection ends by itself once no handle and no leg is left.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    send: SendRequest<Bytes>,
    scheme: Scheme,
    open: Arc<AtomicUsize>,
}

/// How many legs a backend is taken to admit at once until it has said so (RFC 9113 §6.5.2).
pub(crate) const LEGS_ASSUMED: usize = 100;

/// Begins HTTP/2 on a connected stream, by prior knowledge or after ALPN.
///
/// Nothing happens on the connection unless the returned future is polled; it ends with the
/// connection. Dropping it closes the connection under all its legs. The backend's first words are
/// not waited for, so that a first request loses no round trip to them; until they come, it is taken
/// to admit `legs` at once.
pub(crate) async fn handshake<T>(
    io: T,
    scheme: Scheme,
    pings: Option<Pings>,
    legs: usize,
) -> Result<(Handle, impl Future<Output = ()> + Send + 'static), LegError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (send, connection) = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEADER_LIST_MAX)
        .initial_max_send_streams(legs)
        .enable_push(false)
        .handshake(io)
        .await
        .map_err(|error| leg::classify(&error, leg::Seen::Response))?;
    Ok((Handle { send, scheme, open: Arc::default() }, drive(connection, pings)))
}

impl Handle {
    /// Tells whether a new leg may be started, as far as is known: the connection is neither closed
    /// nor going away.
    pub(crate) fn is_usable(&self) -> bool {
        let mut send = self.send.clone();
        matches!(send.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())))
    }

    /// Returns the number of legs under way.
    pub(crate) fn open_legs(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Returns how many legs the backend admits at once. Before its settings have come, what it was
    /// taken to admit.
    pub(crate) fn max_legs(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Starts a leg. `head` is the request as it shall be forwarded: what concerns the client's
    /// connection is removed here, and `Host` becomes `:authority`. Without a body the request is
    /// complete with this; otherwise [`LegUp`] sends it.
    ///
    /// `Refused` means that nothing was sent: the connection is closed, going away or full.
    pub(crate) fn start(&self, head: Request<()>, framing: BodyFraming) -> Result<Leg, LegError> {
        let head = request::prepare(head, framing, &self.scheme)?;
        let seat = Seat::take(&self.open, self.max_legs()).ok_or(LegError::Refused)?;
        let has_body = !matches!(framing, BodyFraming::None | BodyFraming::Length(0));
        // A clone has no leg of its own that waits to be opened, which makes it ready.
        let mut send = self.send.clone();
        let (response, body) = send.send_request(head, !has_body).map_err(|_| LegError::Refused)?;
        Ok(Leg { up: LegUp::new(body, has_body), down: LegDown::new(response, seat) })
    }
}

/// A place among the legs of a connection, free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    open: Arc<AtomicUsize>,
}

impl Seat {
    fn take(open: &Arc<AtomicUsize>, max: usize) -> Option<Seat> {
        let seat = Seat { open: Arc::clone(open) };
        // Taken first and given back on failure: two at once cannot both get the last one.
        (open.fetch_add(1, Relaxed) < max).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

async fn drive<T>(mut connection: Connection<T, Bytes>, pings: Option<Pings>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let questions = connection.ping_pong();
    let ended = match (pings, questions) {
        (Some(pings), Some(questions)) => tokio::select! {
            ended = connection => ended,
            () = until_silent(questions, pings) => {
                tracing::debug!(target: "bascule::exchange", "HTTP/2 ping not answered");
                return;
            }
        },
        (Some(_) | None, _) => connection.await,
    };
    if let Err(error) = ended {
        tracing::debug!(target: "bascule::exchange", %error, "HTTP/2 connection ended");
    }
}

/// Returns once the backend leaves a question unanswered.
async fn until_silent(mut questions: PingPong, pings: Pings) {
    loop {
        tokio::time::sleep(pings.interval).await;
        match tokio::time::timeout(pings.timeout, questions.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection has ended, and says so itself.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
