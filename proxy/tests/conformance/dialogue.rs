//! One case, acted out.

use crate::{
    message::{self, Extent, Message, Reading},
    script::{Case, Expected, PLAIN, Part, Step},
    stage::{Stage, Wire},
    wording,
};

/// Why a case does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What was awaited, where.
    pub(crate) what: String,
    pub(crate) expected: Vec<u8>,
    pub(crate) seen: Vec<u8>,
}

/// Who must have got something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Backend,
}

/// A case under way.
#[derive(Debug)]
pub(crate) struct Dialogue<'a> {
    stage: &'a mut Stage,
    /// The backend's connection on which the last request came, and the one before.
    current: usize,
    previous: usize,
}

impl<'a> Dialogue<'a> {
    pub(crate) fn new(stage: &'a mut Stage) -> Self {
        Self { stage, current: 0, previous: 0 }
    }

    /// Acts out a case. The stage is empty of it on return, whatever happened.
    pub(crate) async fn play(mut self, case: &Case) -> Result<(), Failure> {
        let played = self.steps(case).await;
        let ended = match played {
            Ok(()) => self.end(case).await,
            Err(failure) => Err(failure),
        };
        self.stage.client = None;
        let marked = self.mark(case).await;
        self.stage.client = None;
        ended.and(marked)
    }

    async fn steps(&mut self, case: &Case) -> Result<(), Failure> {
        for step in &case.steps {
            match step {
                Step::ClientSends(bytes) => self.stage.client().await.send(bytes).await,
                Step::ClientCloses => self.stage.client().await.close().await,
                Step::BackendGets(expected) => self.gets(Side::Backend, expected).await?,
                Step::ClientGets(expected) => self.gets(Side::Client, expected).await?,
                Step::BackendSends(bytes) => {
                    if let Some(wire) = self.stage.backend_of(self.current) {
                        wire.send(bytes).await;
                    }
                }
                Step::BackendCloses => {
                    if let Some(wire) = self.stage.backend_of(self.current) {
                        wire.close().await;
                    }
                }
                Step::BackendResets => self.stage.reset(self.current),
                Step::BackendIsNew => self.check_connection(self.current != self.previous)?,
                Step::BackendIsSame => self.check_connection(self.current == self.previous)?,
            }
        }
        Ok(())
    }

    fn check_connection(&self, is_fine: bool) -> Result<(), Failure> {
        if is_fine {
            return Ok(());
        }
        let seen = format!("connection {} after {}", self.current, self.previous).into_bytes();
        Err(Failure { what: "on which connection".into(), expected: Vec::new(), seen })
    }

    async fn gets(&mut self, side: Side, expected: &Expected) -> Result<(), Failure> {
        let current = self.current;
        let found = match side {
            Side::Client => self.stage.until_client(|wire| take(wire, expected)).await,
            Side::Backend => match expected {
                Expected::Bytes(_) => {
                    self.stage
                        .until_backend(|it| (it.number == current).then(|| take(it, expected))?)
                        .await
                }
                Expected::Message { .. } => self
                    .stage
                    .until_backend(|it| take(it, expected).map(|taken| (it.number, taken)))
                    .await
                    .map(|(number, taken)| {
                        self.previous = std::mem::replace(&mut self.current, number);
                        taken
                    }),
            },
        };
        match found {
            Some(Ok(())) => Ok(()),
            Some(Err(seen)) => Err(self.failure(side, expected, seen)),
            None => Err(self.failure(side, expected, self.unread(side))),
        }
    }

    fn failure(&self, side: Side, expected: &Expected, seen: Vec<u8>) -> Failure {
        let other = if side == Side::Client { Side::Backend } else { Side::Client };
        let beside = self.unread(other);
        let mut what = format!("the {} gets", name_of(side));
        if !beside.is_empty() {
            what += &format!("; meanwhile the {} got {}", name_of(other), beside.escape_ascii());
        } else if self.stage.client.as_ref().is_some_and(|it| it.is_ended) {
            what += "; the client's connection was closed";
        }
        Failure { what, expected: wording::expected_bytes(expected), seen }
    }

    fn unread(&self, side: Side) -> Vec<u8> {
        match side {
            Side::Client => self.stage.client.as_ref().map_or(Vec::new(), |it| it.unread.clone()),
            Side::Backend => self.stage.backends.iter().flat_map(|it| it.unread.clone()).collect(),
        }
    }

    /// Checks how the case ends: an answer of the proxy's own, an open connection, a closed one.
    async fn end(&mut self, case: &Case) -> Result<(), Failure> {
        if !case.end.statuses.is_empty() {
            self.own_answer(case).await?;
        }
        if !case.end.is_open {
            self.stage.client().await;
            let is_closed = self.stage.until_client(|it| it.is_ended.then_some(())).await;
            let seen = self.unread(Side::Client);
            let is_fine = is_closed.is_some() && seen.is_empty();
            let what = format!("the client's connection is closed: {}", is_closed.is_some());
            return if is_fine {
                Ok(())
            } else {
                Err(Failure { what, expected: Vec::new(), seen })
            };
        }
        self.ask("/still-open", false).await
    }

    async fn own_answer(&mut self, case: &Case) -> Result<(), Failure> {
        let extent = if case.is_head() { Extent::Head } else { Extent::Whole };
        let look = |wire: &mut Wire| match message::read(&wire.unread, extent, wire.is_ended) {
            Reading::Whole(it) => {
                wire.unread.drain(..it.length);
                Some(Some(it))
            }
            Reading::Wrong(_) => Some(None),
            Reading::Partial(_) => None,
        };
        let found = self.stage.until_client(look).await.flatten();
        let problem = match &found {
            None => Some("what is no answer"),
            Some(answer) => wrong_with(answer, case),
        };
        let Some(problem) = problem else { return Ok(()) };
        let beside = self.unread(Side::Backend);
        let what = match beside[..] {
            [] => format!("the client gets {problem}"),
            _ => format!("the client gets {problem}; the backend {}", beside.escape_ascii()),
        };
        let seen = found.map_or_else(|| self.unread(Side::Client), |it| wording::show(&it));
        let expected =
            format!("an answer of the proxy's own, {:?}", case.end.statuses).into_bytes();
        Err(Failure { what, expected, seen })
    }

    /// Asks for something on the client's connection, which must be answered.
    async fn ask(&mut self, path: &str, is_last: bool) -> Result<(), Failure> {
        let close = if is_last { "Connection: close\r\n" } else { "" };
        let sent = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{close}\r\n");
        self.stage.client().await.send(sent.as_bytes()).await;
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n").into_bytes();
        let whole =
            |head, body| Expected::Message { head, body, trailers: Vec::new(), part: Part::Whole };
        self.gets(Side::Backend, &whole(head, Vec::new())).await?;
        if let Some(wire) = self.stage.backend_of(self.current) {
            wire.send(PLAIN.as_bytes()).await;
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{close}").into_bytes();
        self.gets(Side::Client, &whole(head, b"ok".to_vec())).await
    }

    /// Proves that the backend got nothing else: a request on another connection comes next.
    pub(crate) async fn mark(&mut self, case: &Case) -> Result<(), Failure> {
        let path = format!("/marker/{}", case.name);
        let sent = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        self.stage.client().await.send(sent.as_bytes()).await;
        let look = |wire: &mut Wire| {
            let at = message::find(&wire.unread, format!("GET {path} ").as_bytes())?;
            let Reading::Whole(it) = message::read(&wire.unread[at..], Extent::Whole, false) else {
                return None;
            };
            wire.unread.drain(at..at + it.length);
            Some(wire.number)
        };
        let Some(number) = self.stage.until_backend(look).await else {
            let (what, seen) = ("the proxy goes on serving".into(), self.unread(Side::Client));
            return Err(Failure { what, expected: path.into_bytes(), seen });
        };
        self.stage.settle().await;
        if case.end.may_begin {
            self.stage.backends.iter_mut().for_each(forget_beginning);
        }
        let extra = self.unread(Side::Backend);
        self.stage.backends.iter_mut().for_each(|it| it.unread.clear());
        if let Some(wire) = self.stage.backend_of(number) {
            wire.send(PLAIN.as_bytes()).await;
        }
        let is_answered = |it: &Wire| {
            let read = message::read(&it.unread, Extent::Whole, it.is_ended);
            it.is_ended || matches!(read, Reading::Whole(_))
        };
        self.stage.until_client(|it| is_answered(it).then_some(())).await;
        if extra.is_empty() {
            return Ok(());
        }
        let what = "the backend gets nothing else".into();
        Err(Failure { what, expected: Vec::new(), seen: extra })
    }
}

/// What is wrong with an answer of the proxy's own.
fn wrong_with(answer: &Message, case: &Case) -> Option<&'static str> {
    let is_status = |it: &u16| answer.second_word() == it.to_string().as_bytes();
    let closes = |it: &&[u8]| it.eq_ignore_ascii_case(b"close");
    if !case.end.statuses.iter().any(is_status) {
        return Some("another status");
    }
    if answer.values("content-length").len() != 1 {
        return Some("no length");
    }
    if answer.values("connection").iter().any(closes) == case.end.is_open {
        return Some("the wrong word about its connection");
    }
    // RFC 9209: what went wrong, for programs.
    let is_error = !answer.second_word().starts_with(b"2");
    let said = answer.values("proxy-status");
    if is_error && (said.len() != 1 || !said[0].starts_with(b"bascule; error=")) {
        return Some("no word of why");
    }
    None
}

/// Forgets a request that never came to its end.
fn forget_beginning(wire: &mut Wire) {
    if matches!(message::read(&wire.unread, Extent::Whole, true), Reading::Partial(_)) {
        wire.unread.clear();
    }
}

fn name_of(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Backend => "backend",
    }
}

/// Takes what is expected off the front of what has come; what differs is returned. `None` while it
/// has not wholly come.
pub(crate) fn take(wire: &mut Wire, expected: &Expected) -> Option<Result<(), Vec<u8>>> {
    match expected {
        Expected::Bytes(bytes) => {
            let there = wire.unread.len().min(bytes.len());
            if wire.unread[..there] != bytes[..there] {
                return Some(Err(wire.unread.clone()));
            }
            (there == bytes.len()).then(|| {
                wire.unread.drain(..there);
                Ok(())
            })
        }
        Expected::Message { part, .. } if wire.unread.is_empty() && *part != Part::Broken => None,
        Expected::Message { part, .. } => take_message(wire, *part).map(|seen| match seen {
            Ok(seen) => wording::compare(expected, &seen),
            Err(wrong) => Err(wrong),
        }),
    }
}

fn take_message(wire: &mut Wire, part: Part) -> Option<Result<Message, Vec<u8>>> {
    let extent = if part == Part::Head { Extent::Head } else { Extent::Whole };
    match (message::read(&wire.unread, extent, wire.is_ended), part) {
        (Reading::Whole(it), Part::Whole | Part::Head) => {
            wire.unread.drain(..it.length);
            Some(Ok(it))
        }
        (Reading::Partial(Some(it)), Part::Broken) if wire.is_ended => {
            wire.unread.clear();
            Some(Ok(it))
        }
        (Reading::Whole(it), Part::Broken) if wire.is_ended => {
            Some(Err([b"(whole) ".to_vec(), wording::show(&it)].concat()))
        }
        (Reading::Wrong(wrong), _) => {
            Some(Err([format!("({wrong}) ").as_bytes(), &wire.unread].concat()))
        }
        (Reading::Partial(_) | Reading::Whole(_), _) => None,
    }
}
