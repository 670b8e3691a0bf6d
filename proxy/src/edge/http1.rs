//! HTTP/1.1 with a client: request after request, each handed on once its head has been checked.

use std::{future::poll_fn, io, pin::pin, time::Duration};

use bytes::Buf;
use pingora::{protocols::http::ServerSession, server::ShutdownWatch};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    clock,
    departure::Present,
    edge::{
        door::Door,
        front::Front,
        host::{Host, Serve},
        refuse,
        session::{End, Home, Session},
    },
    wire::incoming::{self, Limits, Refusal, Scan},
};

/// How a client of HTTP/2 begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How soon after a response the next request keeps the room that the last one took.
const BRIEF: Duration = Duration::from_millis(25);

/// What is waited for.
#[derive(Clone, Copy, Debug)]
enum Wait {
    /// The first request.
    First,
    /// Another, for which it has been waited so long already.
    Next(Duration),
}

/// What comes next on a connection.
#[derive(Debug)]
enum Next {
    /// A request, which has been admitted.
    Request,
    /// None.
    Instead(Instead),
}

/// What comes instead of a request.
#[derive(Debug)]
enum Instead {
    /// Nothing for a while.
    Nothing,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// The end.
    End,
    /// Something that is refused.
    Refused(Refusal),
}

/// Serves requests until the connection ends. Returns it if the client turns out to speak HTTP/2.
pub(crate) async fn serve<A>(
    mut front: Box<Front>,
    host: &Host<A>,
    door: &Door,
    shutdown: &ShutdownWatch,
) -> Option<Box<Front>>
where
    A: Serve,
{
    let mut wait = Wait::First;
    // From the first byte of a request to its end.
    let mut busy = None;
    loop {
        let instead = match next(&mut front, door, wait, shutdown, &mut busy).await {
            Next::Request => {
                // To serve takes many times the room that waiting does. It is made once for all that
                // come soon after one another, and given back when none does.
                let serving = Box::pin(serve_some(front, host, door, shutdown, &mut busy));
                let (returned, instead) = serving.await?;
                front = returned;
                instead
            }
            Next::Instead(it) => it,
        };
        match instead {
            Instead::Nothing => front.rest(),
            Instead::Http2 => return Some(front),
            Instead::End => {
                front.end().await;
                return None;
            }
            Instead::Refused(refusal) => {
                refuse(&mut front, refusal, door).await;
                return None;
            }
        }
        wait = Wait::Next(BRIEF);
    }
}

/// Serves the request that was admitted, and those that follow soon. Returns what came instead of another;
/// `None` if nothing more can be said to the client.
async fn serve_some<A>(
    mut front: Box<Front>,
    host: &Host<A>,
    door: &Door,
    shutdown: &ShutdownWatch,
    busy: &mut Option<Present>,
) -> Option<(Box<Front>, Instead)>
where
    A: Serve,
{
    let home = Home::default();
    let brief = BRIEF.min(door.terms().listener.timeouts.idle);
    let mut quiet = pin!(sleep(BRIEF));
    loop {
        busy.get_or_insert_with(|| door.departure.busy());
        let app = host.load_full();
        let is_kept = if front.wants_upgrade() {
            let reused = app.process_new_http(ServerSession::new_http1(front), shutdown).await?;
            // Pingora gives back what it was given.
            front = reused.consume().0.into_any().downcast().ok()?;
            true
        } else {
            let session = Session::begin(front, &home, *shutdown.borrow())?;
            if let Some(session) = app.serve(session).await {
                app.process_new_http(*session, shutdown).await;
            }
            let returned = home.take()?;
            front = returned.front;
            match returned.end {
                End::Kept => true,
                End::Last => false,
                End::Broken => return None,
            }
        };
        drop(app);
        if !front.finish() || !is_kept {
            return Some((front, Instead::End));
        }
        *busy = None;
        if front.incoming().is_empty() {
            // Moving a timer on costs less than making one.
            let now = clock::instant_of(clock::now());
            quiet.as_mut().reset(Instant::from_std(now + brief));
            let come = tokio::select! {
                biased;
                read = poll_fn(|cx| front.poll_fill_again(cx)) => match read {
                    Ok(length) if 0 < length => None,
                    Ok(_) | Err(_) => Some(Instead::End),
                },
                () = quiet.as_mut() => Some(Instead::Nothing),
            };
            if let Some(instead) = come {
                return Some((front, instead));
            }
        }
        let wait = Wait::Next(Duration::ZERO);
        if let Next::Instead(it) = next(&mut front, door, wait, shutdown, busy).await {
            return Some((front, it));
        }
    }
}

/// Waits for the next request, and admits it.
///
/// A connection without a request is not closed because the process ends: a request may be on its
/// way that its client must not send twice, and a closed connection would not tell whether it was
/// read (RFC 9112 §9.3.1). Nothing tells such a client to go but the response to its next request; so
/// that one is waited for a while. A client that asks so seldom that it does not come takes the risk
/// that it takes with any server that closes idle connections: to ask in the instant in which that
/// happens.
async fn next(
    front: &mut Front,
    door: &Door,
    wait: Wait,
    shutdown: &ShutdownWatch,
    busy: &mut Option<Present>,
) -> Next {
    let terms = door.terms();
    let limits = terms.limits();
    let may_be_http2 =
        matches!(wait, Wait::First) && terms.listener.http2 && terms.listener.tls.is_none();
    let mut scan = Scan::default();
    let mut deadline: Option<Instant> = None;
    loop {
        match look(front, &mut scan, &limits, may_be_http2) {
            Ok(Some(next)) => return next,
            Ok(None) => {}
            Err(refusal) => return Next::Instead(Instead::Refused(refusal)),
        }
        let has_begun = !front.incoming().is_empty();
        let read = if has_begun {
            busy.get_or_insert_with(|| door.departure.busy());
            let head = terms.listener.timeouts.head;
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + head);
            timeout_at(deadline, fill(front)).await
        } else {
            let mut shutdown = shutdown.clone();
            let is_ending = *shutdown.borrow_and_update();
            let usual = terms.listener.timeouts.idle;
            let patience = if is_ending { usual.min(door.departure.policy().idle) } else { usual };
            let patience = match wait {
                Wait::First => patience,
                Wait::Next(waited) => patience.saturating_sub(waited),
            };
            tokio::select! {
                biased;
                read = timeout(patience, fill(front)) => read,
                changed = shutdown.changed(), if !is_ending => match changed {
                    Ok(()) => continue,
                    Err(_) => return Next::Instead(Instead::End),
                },
            }
        };
        match read {
            Ok(Ok(length)) if 0 < length => {}
            // What was begun and broke off is answered by nobody: the client is gone.
            Ok(_) => return Next::Instead(Instead::End),
            Err(_) if has_begun => return Next::Instead(Instead::Refused(Refusal::TooSlow)),
            Err(_) => return Next::Instead(Instead::End),
        }
    }
}

/// Looks at what has come; `None` when more is needed to tell.
fn look(
    front: &mut Front,
    scan: &mut Scan,
    limits: &Limits,
    may_be_http2: bool,
) -> Result<Option<Next>, Refusal> {
    let incoming = front.incoming();
    let Some(empty) = incoming::empty_lines(incoming) else { return Ok(None) };
    incoming.advance(empty);
    if incoming.is_empty() {
        return Ok(None);
    }
    if may_be_http2 && PREFACE.starts_with(&incoming[..incoming.len().min(PREFACE.len())]) {
        return Ok((PREFACE.len() <= incoming.len()).then_some(Next::Instead(Instead::Http2)));
    }
    let Some(length) = scan.end(incoming, limits)? else { return Ok(None) };
    let head = incoming::inspect(&incoming[..length], limits)?;
    front.admit(length, head, limits);
    Ok(Some(Next::Request))
}

async fn fill(front: &mut Front) -> io::Result<usize> {
    poll_fn(|cx| front.poll_fill(cx)).await
}

/// Says what is wrong, and ends the connection.
async fn refuse(front: &mut Front, refusal: Refusal, door: &Door) {
    let id = format!("{:032x}", fastrand::u128(..));
    let terms = door.terms();
    tracing::debug!(target: "bascule::edge", listener = terms.listener.name, %refusal, "request refused");
    terms.metrics.request_refused(terms.index, refusal);
    // A client that is gone need not be told.
    let is_head = front.incoming().starts_with(b"HEAD ");
    let answer = refuse::answer(refusal, &id, terms.listener.proxy_status, is_head);
    if timeout(terms.listener.timeouts.head, front.write_all(&answer)).await.is_ok() {
        front.end().await;
    }
}
