//! Which connections wait for a request, and the closing of those that do.
//!
//! A server that closes a kept-alive connection cannot know that a request is on its way. To find
//! out what clients make of that race, connections are closed here as a real server closes them:
//! without an announcement, and only those that owe no answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::watch;

use crate::backend::Backend;
use crate::clock;
use crate::connection::Signal;
use crate::wire::Connection;

/// Gives the signal to close idle connections whenever a fault wants them closed; never ends.
pub(crate) async fn close_regularly(
    backend: Arc<Backend>,
    signals: watch::Sender<Signal>,
) -> Infallible {
    let mut closings = backend.faults.idle_closing();
    loop {
        let closing = *closings.borrow_and_update();
        let period = closing.filter(|it| clock::now() < it.until).map(|it| it.period);
        tokio::select! {
            // The board is kept alive by `backend`, so this cannot fail.
            _ = closings.changed() => {}
            () = clock::sleep_until(period.map(|period| clock::now() + period)) => {
                signals.send_modify(|signal| signal.idle_closings += 1);
            }
        }
    }
}

/// Makes the connection count as idle once the response has left.
pub(crate) fn until_sent(response: Response, connection: &Connection) -> Response {
    let connection = connection.clone();
    response.map(|inner| Body::new(Watched { inner, connection }))
}

/// A body that tells its connection when it is over, complete or not.
#[derive(Debug)]
struct Watched {
    inner: Body,
    connection: Connection,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.connection.answered();
    }
}
