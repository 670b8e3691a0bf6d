//! A backend's end of an upgraded connection, which says goodbye when the proxy goes away.
//!
//! Pingora's path carries WebSockets and knows nothing of their frames. What it reads and writes
//! goes through here, so that both sides can be told between two frames (RFC 6455 §7.1.1) instead of
//! losing their connection when the process ends.
//!
//! Pingora's two halves tell each other that the request has no body, and that the response has
//! begun. If the half that faces the backend hears of the response first, it takes the end of the
//! request's body for the client's end of the conversation, and closes what has just been opened
//! (`proxy_handle_upstream` of pingora-proxy 0.9.1; which comes first is drawn at random). A backend
//! that answers within microseconds loses one conversation in a few that way. So the first look for
//! an answer finds none: by the second, the end of the body has been dealt with.

use std::{
    fmt, io,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll, ready},
};

use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::websocket::{Follower, GOING_AWAY, GOING_AWAY_MASKED};

/// Ends when the proxy is about to.
type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection to a backend, or to the sidecar, as Pingora takes it.
pub(crate) struct Tunnel<S> {
    connection: S,
    from_client: Follower,
    from_backend: Follower,
    /// Never locked: it only makes this fit to be shared.
    ending: Mutex<Ending>,
    stage: Stage,
    /// Whether an answer has been looked for.
    has_looked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Everything is passed on.
    Open,
    /// The proxy is about to end, and both sides are told between two frames.
    Ending,
    /// The backend is being told; so many bytes of that are left. Nothing of the client's follows.
    Telling(usize),
    /// The client is to be told.
    Told,
    /// Both have been told: there is no more to read.
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tunnel<S> {
    /// Makes one that ends when `goodbye` does.
    pub(crate) fn new(connection: S, goodbye: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            connection,
            from_client: Follower::of_requests(),
            from_backend: Follower::of_responses(),
            ending: Mutex::new(Box::pin(goodbye)),
            stage: Stage::Open,
            has_looked: false,
        }
    }

    fn poll_ending(&mut self, cx: &mut Context<'_>) {
        if let (Stage::Open, Ok(ending)) = (self.stage, self.ending.get_mut())
            && ending.as_mut().poll(cx).is_ready()
        {
            self.stage = Stage::Ending;
        }
        if self.stage == Stage::Ending && self.from_backend.is_between_frames() {
            // Inside of a client's frame the backend can be told nothing, and sees the end.
            self.stage = if self.from_client.is_between_frames() {
                Stage::Telling(GOING_AWAY_MASKED.len())
            } else {
                Stage::Told
            };
        }
    }

    /// Tells the backend that the client goes away.
    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Stage::Telling(left) = self.stage {
            let rest = &GOING_AWAY_MASKED[GOING_AWAY_MASKED.len() - left..];
            let written = ready!(Pin::new(&mut self.connection).poll_write(cx, rest));
            self.stage = match written {
                Ok(written) if 0 < written && written < left => Stage::Telling(left - written),
                // A backend that hears nothing any more has ended by itself.
                Ok(_) | Err(_) => Stage::Told,
            };
        }
        _ = ready!(Pin::new(&mut self.connection).poll_flush(cx));
        Poll::Ready(())
    }
}

impl<S> fmt::Debug for Tunnel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> VirtualSocket for Tunnel<S> {
    /// Does nothing: the connection has been made as it shall be.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_looked {
            this.has_looked = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.poll_ending(cx);
        if matches!(this.stage, Stage::Telling(_)) {
            ready!(this.poll_tell(cx));
        }
        match this.stage {
            Stage::Over => return Poll::Ready(Ok(())),
            Stage::Told if GOING_AWAY.len() <= into.remaining() => {
                into.put_slice(GOING_AWAY);
                this.stage = Stage::Over;
                return Poll::Ready(Ok(()));
            }
            Stage::Told | Stage::Open | Stage::Ending | Stage::Telling(_) => {}
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut this.connection).poll_read(cx, into))?;
        this.from_backend.take_in(&into.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if matches!(this.stage, Stage::Telling(_) | Stage::Told | Stage::Over) {
            // After its goodbye a client has nothing to say (RFC 6455 §5.5.1).
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = ready!(Pin::new(&mut this.connection).poll_write(cx, bytes))?;
        this.from_client.take_in(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_shutdown(cx)
    }
}
