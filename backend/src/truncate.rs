//! A body that promises all of itself, delivers half, and then closes the connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::wire::{Connection, Order};

/// Cuts the response's body short; the headers promise the whole of it.
///
/// A body of unknown length (chunked) is cut in the middle of its first piece, and its end is
/// never sent. An answer without a body has nothing to cut and stays as it is.
pub(crate) fn truncate(response: Response, connection: &Connection) -> Response {
    let (parts, inner) = response.into_parts();
    if inner.is_end_stream() {
        return Response::from_parts(parts, inner);
    }
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let promised = announced
        .and_then(|length| length.parse().ok())
        .or_else(|| HttpBody::size_hint(&inner).exact());
    let body = Truncated {
        inner,
        promised,
        remaining: promised.map(|length| length / 2),
        connection: connection.clone(),
    };
    Response::from_parts(parts, Body::new(body))
}

#[derive(Debug)]
struct Truncated {
    inner: Body,
    promised: Option<u64>,
    /// Bytes still to deliver; `None` until the first piece of a body of unknown length.
    remaining: Option<u64>,
    connection: Connection,
}

impl HttpBody for Truncated {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.remaining == Some(0) {
            // The connection closes once what was delivered is flushed; until then the body must
            // neither end nor fail, because either would drop what is still buffered.
            self.connection.order(Order::CloseOnceFlushed);
            return Poll::Pending;
        }
        let frame = match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        let Ok(mut data) = frame.into_data() else { return Poll::Ready(None) };
        let length = data.len() as u64;
        let remaining = self.remaining.unwrap_or(length.div_ceil(2));
        let delivered = remaining.min(length);
        self.remaining = Some(remaining - delivered);
        data.truncate(delivered as usize);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.promised.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
