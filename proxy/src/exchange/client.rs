//! What is read from clients and written to them, for as long as they may take.

use std::{pin::pin, task::Poll};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use pingora::{Error, ErrorType, Result, http::ResponseHeader, protocols::http::ServerSession};
use tokio::time::timeout;

use crate::{
    client_connection::{Aside, ClientConnection, SaidHead},
    clock,
    exchange::{
        Exchange,
        lines::Lines,
        pace::{GRACE, Pace},
        request::RequestContext,
    },
    wire::{
        Header, map_of,
        request::last_chunk,
        response::{BodyLength, put_head},
    },
};

/// Room for the head of a response.
const HEAD: usize = 1024;

impl Exchange {
    /// Returns how slow the client of a request may be, in one direction.
    pub(crate) fn pace(&self, ctx: &RequestContext) -> Pace {
        Pace::new(GRACE, self.topology.listeners[ctx.listener].limits.min_rate)
    }
}

/// Reads what comes next of a request's body; `None` at its end. May be dropped and called again.
pub(crate) async fn read(session: &mut ServerSession, pace: &mut Pace) -> Result<Option<Bytes>> {
    let read = paced(pace, ErrorType::ReadTimedout, session.read_request_body()).await?;
    pace.record(read.as_ref().map_or(0, Bytes::len));
    Ok(read)
}

/// Asks the client for its body.
pub(crate) async fn ask(session: &mut ServerSession, pace: &mut Pace) -> Result<()> {
    paced(pace, ErrorType::WriteTimedout, session.write_continue_response()).await
}

/// Writes the head of a response.
pub(crate) async fn write_head(
    session: &mut ServerSession,
    pace: &mut Pace,
    header: ResponseHeader,
) -> Result<()> {
    let header = Box::new(header);
    paced(pace, ErrorType::WriteTimedout, session.write_response_header(header)).await
}

/// Gets the head of the final response ready to be written. `is_recorded` tells whether anybody reads
/// later on what was in it.
///
/// Over HTTP/1.1 it goes past Pingora's types, whose headers are hash maps: all lines would be sorted into
/// them, to be written out of them again.
pub(crate) fn final_head(
    session: &ServerSession,
    status: StatusCode,
    reason: &str,
    lines: &Lines<'_>,
    is_recorded: bool,
) -> Result<ResponseHeader> {
    let Some(aside) = aside_of(session) else { return all_of(status, reason, lines) };
    let mut bytes = Vec::with_capacity(HEAD);
    put_head(status, reason, lines.iter(), &mut bytes);
    aside.say_head(SaidHead { bytes, length: length_in(lines) });
    if is_recorded {
        return all_of(status, reason, lines);
    }
    ResponseHeader::build_no_case(status, Some(0))
}

/// Returns how the lines of a head frame the body.
fn length_in(lines: &Lines<'_>) -> BodyLength {
    if lines.get("transfer-encoding").is_some() {
        return BodyLength::Chunked;
    }
    let length = lines.get("content-length").and_then(|it| std::str::from_utf8(it).ok());
    let length = length.and_then(|it| it.trim().parse().ok());
    length.map_or(BodyLength::UntilClose, BodyLength::Known)
}

/// Has all of a response's body sent with its head, which is written next. `false` if that cannot be.
pub(crate) fn say_all(session: &ServerSession, body: &mut Vec<Bytes>) -> bool {
    let Some(aside) = aside_of(session) else { return false };
    aside.say_all(std::mem::take(body));
    true
}

/// Says all of a head to Pingora's session.
fn all_of(status: StatusCode, reason: &str, lines: &Lines<'_>) -> Result<ResponseHeader> {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    (parts.status, parts.headers) = (status, lines.map());
    let mut header = ResponseHeader::from(parts);
    if !reason.is_empty() && status.canonical_reason() != Some(reason) {
        header.set_reason_phrase(Some(reason))?;
    }
    Ok(header)
}

/// Writes the head of the final response. One that is all there is ends the stream, where there are
/// streams: gRPC takes the headers of such a response for its trailers.
pub(crate) async fn write_final_head(
    session: &mut ServerSession,
    pace: &mut Pace,
    header: ResponseHeader,
    is_all: bool,
) -> Result<()> {
    if let (true, ServerSession::H2(stream)) = (is_all, &mut *session) {
        return stream.write_response_header(Box::new(header), true).map_err(Error::into_down);
    }
    write_head(session, pace, header).await
}

/// Writes a piece of a response's body, which ends with it if it `is_last`.
pub(crate) async fn write(
    session: &mut ServerSession,
    pace: &mut Pace,
    data: Bytes,
    is_last: bool,
) -> Result<()> {
    let bytes = data.len();
    paced(pace, ErrorType::WriteTimedout, session.write_response_body(data, is_last)).await?;
    pace.record(bytes);
    Ok(())
}

/// Ends a response, with trailers if there are any.
pub(crate) async fn finish(
    session: &mut ServerSession,
    pace: &mut Pace,
    trailers: &[Header],
) -> Result<()> {
    if !trailers.is_empty()
        && let Some(aside) = aside_of(session)
    {
        // Nobody asks for it unless the response is in chunks.
        let fields = trailers.iter().map(|it| (&it.name[..], it.value.as_bytes()));
        let mut chunk = BytesMut::new();
        last_chunk(fields, &mut chunk);
        aside.say_last_chunk(chunk.freeze());
    }
    let finished = async {
        if !trailers.is_empty() {
            session.write_response_trailers(map_of(trailers)).await?;
        }
        session.finish_body().await
    };
    paced(pace, ErrorType::WriteTimedout, finished).await
}

/// Takes the trailers of a request whose body has been read.
pub(crate) fn trailers(session: &ServerSession) -> Vec<Header> {
    aside_of(session).map(Aside::trailers).unwrap_or_default()
}

/// Ends the client's connection with the response, which says so. Over HTTP/2 there is no such thing for
/// a single request.
pub(crate) fn end_connection(session: &mut ServerSession) {
    session.set_keepalive(None);
    if let Some(aside) = aside_of(session) {
        aside.end_connection();
    }
}

/// Finds what is told past Pingora's types to a session of our own, which alone listens.
fn aside_of(session: &ServerSession) -> Option<&Aside> {
    let ServerSession::Custom(session) = session else { return None };
    ClientConnection::of(session.digest()).map(|it| &*it.aside)
}

/// Waits for a client, for as long as it may take; the client is to blame for any error. What is
/// done at once, as nearly everything is, takes no look at the clock.
async fn paced<T>(
    pace: &mut Pace,
    late: ErrorType,
    done: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut done = pin!(done);
    let first = std::future::poll_fn(|cx| Poll::Ready(done.as_mut().poll(cx))).await;
    let result = match first {
        Poll::Ready(result) => result,
        Poll::Pending => {
            let limit = pace.wait(clock::now());
            let too_slow = |_| Error::explain(late, "the client is too slow");
            timeout(limit, done).await.map_err(too_slow).and_then(|it| it)
        }
    };
    if pace.is_waiting() {
        pace.stop(clock::now());
    }
    result.map_err(Error::into_down)
}

#[cfg(test)]
mod tests {
    use std::{
        task::{Context, Waker},
        time::Duration,
    };

    use pingora::protocols::l4::stream::Stream;
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::exchange::pace::MIN_RATE;

    #[tokio::test(start_paused = true)]
    async fn a_client_is_waited_for_as_long_as_it_may_take() {
        let mut pace = Pace::new(GRACE, MIN_RATE);
        let began = tokio::time::Instant::now();
        let never = std::future::pending::<Result<()>>();
        let error = paced(&mut pace, ErrorType::WriteTimedout, never).await.unwrap_err();
        assert_eq!(began.elapsed().as_secs(), GRACE.as_secs());
        assert_eq!(*error.esource(), pingora::ErrorSource::Downstream);
        assert_eq!(*error.etype(), ErrorType::WriteTimedout);
    }

    /// A client with its request read, and the proxy's side of it.
    async fn connected(request: &str) -> (TcpStream, ServerSession) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let stream = Stream::from(listener.accept().await.unwrap().0);
        let mut session = ServerSession::new_http1(Box::new(stream));
        assert!(session.read_request().await.unwrap());
        (client, session)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_in_its_body_is_given_up() {
        let request = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhello";
        let (_client, mut session) = connected(request).await;
        let mut pace = Pace::new(GRACE, MIN_RATE);
        assert_eq!(read(&mut session, &mut pace).await.unwrap().unwrap(), "hello");
        let error = read(&mut session, &mut pace).await.unwrap_err();
        assert_eq!(*error.etype(), ErrorType::ReadTimedout);
    }

    /// What a client does that sends requests and reads no answers.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_at_the_end_of_a_response_too() {
        let (_client, mut session) = connected("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut pace = Pace::new(GRACE, MIN_RATE);
        let mut header = ResponseHeader::build(200, None).unwrap();
        header.insert_header("transfer-encoding", "chunked").unwrap();
        write_head(&mut session, &mut pace, header).await.unwrap();
        // As much as the kernel takes.
        let full = timeout(Duration::from_secs(1), async {
            loop {
                let piece = Bytes::from_static(&[0; 1000]);
                write(&mut session, &mut pace, piece, false).await.unwrap();
            }
        });
        assert!(full.await.is_err());
        let mut pace = Pace::new(GRACE, MIN_RATE);
        let error = finish(&mut session, &mut pace, &[]).await.unwrap_err();
        assert_eq!(*error.etype(), ErrorType::WriteTimedout);
    }

    #[tokio::test]
    async fn what_is_done_at_once_is_no_wait() {
        let mut pace = Pace::new(GRACE, MIN_RATE);
        paced(&mut pace, ErrorType::WriteTimedout, async { Ok(()) }).await.unwrap();
        assert!(!pace.is_waiting());
    }

    #[test]
    fn a_wait_that_is_given_up_goes_on_with_the_next() {
        let mut pace = Pace::new(GRACE, MIN_RATE);
        let mut context = Context::from_waker(Waker::noop());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        {
            let never = std::future::pending::<Result<()>>();
            let wait = pin!(paced(&mut pace, ErrorType::ReadTimedout, never));
            assert!(wait.poll(&mut context).is_pending());
        }
        assert!(pace.is_waiting());
    }
}
