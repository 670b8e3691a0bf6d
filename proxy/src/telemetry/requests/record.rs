//! What is recorded of a request that is over: numbers, and one buffer with all of its texts.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use http::{Method, Version};

use crate::{
    clock::Timestamp,
    event::{AttemptOutcome, Fate, Rescue, Symptom},
    model::{Always, BackendId, ClientDetail, PoolId, Target, Topology},
    snapshot::Live,
    telemetry::{
        metrics::Answer,
        requests::attempts::{AttemptRecord, Attempts, Role, TracePlace},
    },
};

/// Bytes kept of one text. A path is no longer than its listener allows, which is 8 KiB by default.
const TEXT_MAX: usize = 8 * 1024;

/// A request that is over.
#[derive(Debug)]
pub struct Record {
    /// What was configured when it began.
    pub topology: Arc<Topology>,
    /// Where incidents are found.
    pub live: Arc<Live>,
    /// Where it came in, an index.
    pub listener: usize,
    /// Its route, an index.
    pub route: Option<usize>,
    /// Where the route leads.
    pub target: Option<Target>,
    /// When its head had been read.
    pub began: Timestamp,
    /// When its client was answered.
    pub first_byte: Option<Timestamp>,
    /// When it was over.
    pub ended: Timestamp,
    /// Who asked, as far as is known.
    pub client: Option<IpAddr>,
    /// The other end of the connection.
    pub peer: Option<IpAddr>,
    /// The method.
    pub method: Method,
    /// The version of HTTP.
    pub version: Version,
    /// The version of TLS; `None` without.
    pub tls: Option<Cow<'static, str>>,
    /// What the client got.
    pub answer: Answer,
    /// The status of the response's head.
    pub status: Option<u16>,
    /// The status of a call of gRPC.
    pub grpc_status: Option<u16>,
    /// How it ended for its client.
    pub fate: Fate,
    /// What rescued it.
    pub rescue: Option<Rescue>,
    /// Why the proxy answered itself.
    pub failure: Option<&'static str>,
    /// How the latest failed attempt failed.
    pub symptom: Option<Symptom>,
    /// Attempts begun.
    pub attempt_count: u32,
    /// What is known of them.
    pub attempts: Attempts,
    /// Where it stands in a trace.
    pub place: Option<TracePlace>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the response's body.
    pub bytes_out: u64,
    /// Whether an incident may be told of only later that counts it.
    pub is_uncertain: bool,
    /// Why it is recorded.
    pub kept: Kept,
    /// Everything that is text.
    pub texts: Texts,
}

impl Record {
    /// Returns how long it took.
    pub fn took(&self) -> Duration {
        self.ended.since(self.began)
    }

    /// Returns the pool that its route leads to.
    pub fn pool(&self) -> Option<PoolId> {
        match self.target? {
            Target::Pool(pool) => Some(pool),
            Target::Sidecar | Target::Proxy => None,
        }
    }

    /// Returns the id of the incident that counts it, as far as is known by now.
    pub fn incident(&self) -> Option<String> {
        let pool = self.pool()?;
        let number = self.live.pool(pool).incident_at(self.ended)?;
        Some(format!("{}-{number}", self.topology.pool(pool).name))
    }

    /// Returns the backend that answered; without an answer, the last one tried.
    pub fn backend(&self) -> Option<BackendId> {
        let answered =
            |it: &&AttemptRecord| matches!(it.outcome, Some(AttemptOutcome::Answered { .. }));
        let attempts = || self.attempts.iter().filter(|it| it.role != Role::Mirror);
        let by_answer = attempts().filter(answered).last();
        by_answer.or_else(|| attempts().last()).map(|it| it.backend)
    }
}

/// Returns as much of an address as is to be written down.
pub fn shown(address: IpAddr, detail: ClientDetail) -> Option<IpAddr> {
    let bits = match (detail, address.to_canonical()) {
        (ClientDetail::None, _) => return None,
        (ClientDetail::Address, address) => return Some(address),
        (ClientDetail::Network, IpAddr::V4(_)) => 24,
        (ClientDetail::Network, IpAddr::V6(_)) => 48,
    };
    let network = ipnet::IpNet::new(address.to_canonical(), bits).ok()?;
    Some(network.network())
}

/// Why a request is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Its client got an error, or a response that broke off.
    Error,
    /// Its client was told that it had made a mistake.
    ClientError,
    /// It took more than one attempt.
    Retried,
    /// It ended while an incident of its pool was open.
    Incident,
    /// It took long.
    Slow,
    /// By chance.
    Sample,
}

/// What decides whether a request is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Merits {
    /// The status that says how it ended; `None` if no response did.
    pub status: Option<u16>,
    /// How it ended.
    pub fate: Fate,
    /// How long it took.
    pub took: Duration,
    /// Attempts begun.
    pub attempts: u32,
    /// Whether an incident of its pool is open.
    pub is_in_incident: bool,
}

impl Merits {
    /// Says why the request is recorded; `None` if it is not. `is_sampled` is what chance says.
    pub fn kept(&self, always: Always, slow: Duration, is_sampled: bool) -> Option<Kept> {
        let is_error = self.fate == Fate::Lost || self.status.is_some_and(|it| 500 <= it);
        let is_client_error = self.status.is_some_and(|it| (400..500).contains(&it));
        [
            (always.errors && is_error, Kept::Error),
            (always.retried && 1 < self.attempts, Kept::Retried),
            (always.incident && self.is_in_incident, Kept::Incident),
            (always.slow && slow <= self.took, Kept::Slow),
            (always.client_errors && is_client_error, Kept::ClientError),
            (is_sampled, Kept::Sample),
        ]
        .into_iter()
        .find_map(|(holds, kept)| holds.then_some(kept))
    }
}

impl Kept {
    /// Returns the word used for it in the configuration and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "5xx",
            Self::ClientError => "4xx",
            Self::Retried => "retried",
            Self::Incident => "incident",
            Self::Slow => "slow",
            Self::Sample => "sample",
        }
    }
}

/// A text of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The request id.
    RequestId,
    /// The host that was named.
    Host,
    /// Path and query, as sent.
    Target,
    /// Path and query, as backends get them, where they differ.
    Rewritten,
    /// `User-Agent`.
    UserAgent,
    /// `Referer`.
    Referer,
    /// `tracestate`.
    TraceState,
    /// A header of the request, by its place in the configuration.
    RequestHeader(usize),
    /// A header of the response, by its place in the configuration.
    ResponseHeader(usize),
}

/// The texts of a request, in one buffer.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: Vec<u8>,
    /// In order, each with the end of its bytes.
    ends: Vec<(Text, usize)>,
}

impl Texts {
    /// Makes room for what is usual.
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(256), ends: Vec::with_capacity(6) }
    }

    /// Adds a text. What is too long is cut.
    pub fn push(&mut self, text: Text, bytes: &[u8]) {
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(TEXT_MAX)]);
        self.ends.push((text, self.bytes.len()));
    }

    /// Adds another part to the text added last, with a comma between, as HTTP joins headers.
    pub fn join(&mut self, bytes: &[u8]) {
        if let Some((_, end)) = self.ends.last_mut() {
            self.bytes.extend_from_slice(b", ");
            self.bytes.extend_from_slice(&bytes[..bytes.len().min(TEXT_MAX)]);
            *end = self.bytes.len();
        }
    }

    /// Returns a text, if it was added.
    pub fn get(&self, text: Text) -> Option<&[u8]> {
        let at = self.ends.iter().position(|it| it.0 == text)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].1);
        self.bytes.get(start..self.ends[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_again() {
        let mut texts = Texts::new();
        texts.push(Text::Host, b"example.com");
        texts.push(Text::UserAgent, b"");
        texts.push(Text::RequestHeader(1), b"a");
        texts.join(b"b");
        texts.push(Text::RequestHeader(0), &[b'x'; TEXT_MAX + 1]);
        assert_eq!(texts.get(Text::Host), Some(&b"example.com"[..]));
        assert_eq!(texts.get(Text::UserAgent), Some(&b""[..]));
        assert_eq!(texts.get(Text::RequestHeader(1)), Some(&b"a, b"[..]));
        assert_eq!(texts.get(Text::RequestHeader(0)).map(<[u8]>::len), Some(TEXT_MAX));
        assert_eq!(texts.get(Text::Referer), None);
    }

    #[test]
    fn what_matters_is_kept_whatever_chance_says() {
        let always = Always {
            errors: true,
            client_errors: false,
            slow: true,
            retried: true,
            incident: true,
        };
        let dull = Merits {
            status: Some(200),
            fate: Fate::Served,
            took: Duration::from_millis(1),
            attempts: 1,
            is_in_incident: false,
        };
        let slow = Duration::from_secs(1);
        let check = |merits: Merits| merits.kept(always, slow, false);
        assert_eq!(check(dull), None);
        assert_eq!(dull.kept(always, slow, true), Some(Kept::Sample));
        assert_eq!(check(Merits { status: Some(503), ..dull }), Some(Kept::Error));
        assert_eq!(check(Merits { fate: Fate::Lost, ..dull }), Some(Kept::Error));
        assert_eq!(check(Merits { status: Some(404), ..dull }), None);
        assert_eq!(check(Merits { attempts: 2, ..dull }), Some(Kept::Retried));
        assert_eq!(check(Merits { took: slow, ..dull }), Some(Kept::Slow));
        assert_eq!(check(Merits { is_in_incident: true, ..dull }), Some(Kept::Incident));
        let nothing = Merits { status: Some(503), attempts: 3, is_in_incident: true, ..dull };
        assert_eq!(nothing.kept(Always::default(), slow, false), None);
        let also = Always { client_errors: true, ..always };
        let mistaken = Merits { status: Some(404), ..dull };
        assert_eq!(mistaken.kept(also, slow, false), Some(Kept::ClientError));
    }

    #[test]
    fn of_an_address_no_more_is_shown_than_is_wanted() {
        let check = |address: &str, detail| {
            shown(address.parse().unwrap(), detail).map(|it| it.to_string())
        };
        assert_eq!(check("192.0.2.77", ClientDetail::Address).unwrap(), "192.0.2.77");
        assert_eq!(check("::ffff:192.0.2.77", ClientDetail::Network).unwrap(), "192.0.2.0");
        assert_eq!(check("2001:db8:1:2::3", ClientDetail::Network).unwrap(), "2001:db8:1::");
        assert_eq!(check("192.0.2.77", ClientDetail::None), None);
    }
}
