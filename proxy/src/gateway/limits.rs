//! What is let in: asks every limit on a request before anything is done for it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{HeaderName, HeaderValue, header::RETRY_AFTER};
use pingora::protocols::http::ServerSession;
use tokio::time::{Instant, sleep_until};

use crate::{
    clock,
    exchange::request::{Failure, InFlight, Overload, RequestContext},
    gateway::{Gateway, client_ip, headers, reply::Reply},
    model::{ProcessLimits, RateKey, RateLimit, Target, Topology},
    rate_limit::{Buckets, Verdict},
    shedding::{INTERVAL, Shedder},
    telemetry::metrics::LagGauge,
};

/// How often lag is measured: often enough to find the least within an interval.
const LOOK: Duration = Duration::from_millis(10);
/// What timers are late by in any case.
const TIMER: Duration = Duration::from_millis(1);

/// What this process lets in.
#[derive(Debug)]
pub struct Limits {
    /// Indexed by route; `None` where there is no limit.
    rates: Vec<Option<Arc<Rate>>>,
    /// Hashes keys with a secret of this process.
    hasher: RandomState,
    process: ProcessLimits,
    lag: Arc<Lag>,
}

/// How late the data plane runs, whatever is configured.
#[derive(Debug, Default)]
struct Lag {
    /// How much is turned away because of it, of [`u32::MAX`].
    shed: AtomicU32,
    /// What it may be, in nanoseconds; 0 for no bound.
    most: AtomicU64,
    /// Set once it is measured.
    is_measured: OnceLock<()>,
}

/// A route's rate limit.
#[derive(Debug)]
struct Rate {
    buckets: Buckets,
    limit: RateLimit,
    name: String,
    /// The field that describes the limit; the same in all responses.
    policy: Option<HeaderValue>,
}

impl Limits {
    /// Makes the limits of `topology`; nothing has come in yet.
    pub fn new(topology: &Topology) -> Self {
        let routes = topology.routes.iter();
        let rates =
            routes.map(|it| Some(Arc::new(Rate::new(&it.name, it.rate_limit.as_ref()?)))).collect();
        Self { rates, hasher: RandomState::new(), process: topology.limits, lag: Arc::default() }
    }

    /// Makes the limits of `topology`, which follows `before`. Routes of the same name and limit go on
    /// counting.
    #[must_use]
    pub fn succeeded_by(&self, topology: &Topology) -> Self {
        let known: HashMap<&str, &Arc<Rate>> =
            self.rates.iter().flatten().map(|it| (it.name.as_str(), it)).collect();
        let rates = topology.routes.iter().map(|route| {
            let limit = route.rate_limit.as_ref()?;
            let same = known.get(route.name.as_str()).filter(|it| it.limit == *limit);
            Some(same.map_or_else(|| Arc::new(Rate::new(&route.name, limit)), |it| Arc::clone(it)))
        });
        Self {
            rates: rates.collect(),
            hasher: self.hasher.clone(),
            process: topology.limits,
            lag: Arc::clone(&self.lag),
        }
    }

    /// Bounds lag as configured, for whoever measures it.
    pub fn take_effect(&self) {
        let most = self.process.max_lag.unwrap_or_default().as_nanos();
        self.lag.most.store(u64::try_from(most).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Rate {
    fn new(route: &str, limit: &RateLimit) -> Self {
        Self {
            buckets: Buckets::new(limit),
            limit: limit.clone(),
            name: route.to_owned(),
            policy: HeaderValue::try_from(policy_of(route, limit)).ok(),
        }
    }

    /// Describes the limit and what is left of it.
    fn fields(&self, left: u64, within: Duration) -> Vec<(HeaderName, HeaderValue)> {
        let left = format!("\"{}\";r={left};t={}", self.name, seconds(within));
        let left = HeaderValue::try_from(left).ok();
        let policy = (HeaderName::from_static("ratelimit-policy"), self.policy.clone());
        [policy, (HeaderName::from_static("ratelimit"), left)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

impl Gateway {
    /// Lets a request in, and counts it as under way if it is for a pool; the sidecar's are not, and
    /// it can always be reached. Returns the answer to one that is not let in.
    pub(crate) fn refuse(
        &self,
        session: &ServerSession,
        ctx: &mut RequestContext,
    ) -> Option<Reply> {
        let is_for_pool = matches!(ctx.target, Some(Target::Pool(_)));
        if is_for_pool && self.is_late() {
            ctx.failure = Some(Failure::Overloaded(Overload::Lag));
            return Some(Reply::overloaded());
        }
        if let Some(reply) = self.refuse_by_rate(session, ctx) {
            return Some(reply);
        }
        if is_for_pool {
            let live = &self.exchange.live;
            let guard = InFlight::request(live);
            let most = self.limits.process.max_requests.map_or(u64::MAX, |it| it.get().into());
            if most < live.requests_in_flight.load(Relaxed) {
                ctx.failure = Some(Failure::Overloaded(Overload::MaxRequests));
                return Some(Reply::overloaded());
            }
            ctx.guard = Some(guard);
        }
        None
    }

    /// Tells whether a request is of the share that is turned away because the data plane runs late.
    /// The first one to ask starts to measure.
    fn is_late(&self) -> bool {
        let limits = &self.limits;
        if limits.process.max_lag.is_none() {
            return false;
        }
        limits.lag.is_measured.get_or_init(|| {
            let (lag, shown) = (Arc::clone(&limits.lag), self.exchange.metrics.lag_gauge());
            // It ends with the data plane's event loop, of which it is a part.
            drop(tokio::spawn(measure(lag, shown)));
        });
        let shed = limits.lag.shed.load(Relaxed);
        shed != 0 && fastrand::u32(..) < shed
    }

    fn refuse_by_rate(&self, session: &ServerSession, ctx: &mut RequestContext) -> Option<Reply> {
        let number = ctx.route?;
        let rate = self.limits.rates.get(number)?.as_ref()?;
        let key = self.key_of(&rate.limit.key, session, ctx);
        let answer = rate.buckets.ask(key, clock::now());
        if answer.has_forgotten {
            self.exchange.metrics.rate_forgotten(number);
        }
        match answer.verdict {
            Verdict::Admitted { full_in } => {
                ctx.additions = rate.fields(answer.remaining, full_in);
                None
            }
            Verdict::Refused { retry_in } => {
                self.exchange.metrics.rate_limited(number);
                ctx.failure = Some(Failure::RateLimited);
                ctx.additions = rate.fields(0, retry_in);
                ctx.additions.push((RETRY_AFTER, HeaderValue::from(seconds(retry_in))));
                Some(Reply::rate_limited())
            }
        }
    }

    /// Returns what stands for whoever asks. Nobody can find out another key that has the same.
    fn key_of(&self, key: &RateKey, session: &ServerSession, ctx: &RequestContext) -> u64 {
        let hasher = &self.limits.hasher;
        let request = session.req_header();
        match key {
            RateKey::Route => 0,
            RateKey::Header(name) if let Some(value) = request.headers.get(name) => {
                hasher.hash_one(("header", value.as_bytes()))
            }
            RateKey::ClientAddress | RateKey::Header(_) => {
                let peer = client_ip(session);
                let trusted = &self.exchange.topology.listeners[ctx.listener].trusted_proxies;
                // Whom an untrusted peer speaks for, it may make up.
                let client = headers::client_of(request, peer, trusted).or(peer);
                hasher.hash_one(("address", client.map(network_of)))
            }
        }
    }
}

/// Measures how late the event loop runs a task that does nothing, for as long as it runs.
async fn measure(lag: Arc<Lag>, shown: LagGauge) {
    let mut shedder = Shedder::default();
    let mut judged = clock::now();
    loop {
        let due = clock::now() + LOOK;
        sleep_until(Instant::from_std(clock::instant_of(due))).await;
        let now = clock::now();
        // Timers are as fine as a millisecond.
        shedder.measured(now.since(due + TIMER));
        if INTERVAL <= now.since(judged) {
            judged = now;
            let max_lag = match lag.most.load(Relaxed) {
                0 => Duration::MAX,
                nanos => Duration::from_nanos(nanos),
            };
            let (share, least) = shedder.judge(max_lag);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of the type's range"
            )]
            lag.shed.store((share * f64::from(u32::MAX)) as u32, Relaxed);
            shown.set(least);
        }
    }
}

/// Returns what of an address one client has to itself: all of an IPv4 address, and the network of
/// 64 bits of an IPv6 address, within which clients choose addresses as they like (RFC 4291 §2.5.1,
/// RFC 8981).
fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Describes a limit (draft-ietf-httpapi-ratelimit-headers-11, section 3). Windows shorter than a
/// second cannot be written there.
fn policy_of(route: &str, limit: &RateLimit) -> String {
    let mut policy = format!("\"{route}\";q={}", limit.requests);
    if limit.per.subsec_nanos() == 0 {
        policy += &format!(";w={}", limit.per.as_secs());
    }
    if limit.burst != limit.requests {
        policy += &format!(";bascule-burst={}", limit.burst);
    }
    policy
}

/// Whole seconds, so that whoever waits that long does not come too early.
fn seconds(length: Duration) -> u64 {
    length.as_secs() + u64::from(length.subsec_nanos() != 0)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn limit(requests: u32, per: Duration, burst: u32) -> RateLimit {
        let (requests, burst) =
            (NonZeroU32::new(requests).unwrap(), NonZeroU32::new(burst).unwrap());
        RateLimit { requests, per, burst, key: RateKey::Route }
    }

    #[test]
    fn a_limit_is_described_by_what_the_draft_has_words_for() {
        let minute = Duration::from_secs(60);
        assert_eq!(policy_of("api", &limit(100, minute, 100)), "\"api\";q=100;w=60");
        let bursty = limit(5, Duration::from_millis(250), 9);
        assert_eq!(policy_of("route-1", &bursty), "\"route-1\";q=5;bascule-burst=9");
        let rate = Rate::new("api", &limit(100, minute, 100));
        let fields = rate.fields(7, Duration::from_millis(1_001));
        assert_eq!(fields[1].1, "\"api\";r=7;t=2");
    }

    #[test]
    fn a_client_of_ipv6_is_its_network() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
    }
}
