//! Sends one backend's health checks, each in its time, and tells the fleet how they ended.
//!
//! One task per backend: a backend that hangs delays nobody else's checks. What a check does is
//! pingora-load-balancing's; when it happens, and how long it may take in all, is ours.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pingora::{
    Error, ErrorType,
    http::RequestHeader,
    lb::{
        Backend as CheckTarget,
        health_check::{HealthCheck as Check, HttpHealthCheck, TcpHealthCheck},
    },
};
use tokio::{
    net::lookup_host,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    classify::{UNEXPECTED_STATUS, check_symptom},
    clock,
    event::{Fault, FaultMode, Symptom},
    fleet::{Input, Pace},
    model::{Backend, BackendAddress, BackendId, CheckKind, HealthCheck, SharedTopology},
    snapshot::{BackendLive, Live},
};

/// How often the address of a backend given by name is looked up.
const RESOLVE_EVERY: Duration = Duration::from_secs(1);
/// The same, after a resolver that did not answer.
const RESOLVE_AGAIN: Duration = Duration::from_secs(10);

/// Checks one backend for as long as the process runs.
pub(crate) struct Checker {
    pub(crate) id: BackendId,
    pub(crate) topology: SharedTopology,
    pub(crate) live: Arc<Live>,
    pub(crate) inbox: mpsc::Sender<Input>,
    pub(crate) pace: watch::Receiver<Pace>,
}

impl Checker {
    /// Checks, tells, waits; again and again until the fleet is gone.
    pub(crate) async fn run(mut self) {
        let topology = Arc::clone(&self.topology);
        let policy = &topology.pool(self.id.pool).health_check;
        let backend = topology.backend(self.id);
        let check = check_of(policy, &backend.address);
        let mut random = fastrand::Rng::new();
        let mut next_lookup = Instant::now();
        loop {
            let began = Instant::now();
            let failure = timeout(policy.timeout, async {
                if next_lookup <= began {
                    next_lookup = began + self.look_up(backend, policy.timeout).await;
                }
                self.check(check.as_ref(), policy.timeout).await
            })
            .await
            .unwrap_or(Some(Symptom::ResponseTimedOut));
            let took = began.elapsed();
            if self.inbox.send(Input::Checked { backend: self.id, failure, took }).await.is_err() {
                return;
            }
            if !self.wait(began, policy, &mut random).await {
                return;
            }
        }
    }

    /// Looks up where the backend's name leads. Returns how long to wait before the next time.
    ///
    /// While an address is known, a resolver that does not answer takes only a share of the check's
    /// time and is left alone for longer: its trouble is not the backend's.
    async fn look_up(&self, backend: &Backend, limit: Duration) -> Duration {
        let live = self.live.backend(self.id);
        if live.address().is_none() {
            resolve(backend, live).await;
            return RESOLVE_EVERY;
        }
        match timeout(limit / 4, resolve(backend, live)).await {
            Ok(()) => RESOLVE_EVERY,
            Err(_) => RESOLVE_AGAIN,
        }
    }

    /// Makes one check. Returns what was wrong, if anything.
    async fn check(&self, check: &(dyn Check + Send + Sync), limit: Duration) -> Option<Symptom> {
        let live = self.live.backend(self.id);
        if let Some(fault) = live.fault(clock::now())
            && let Some(symptom) = suffer(fault, limit).await
        {
            return Some(symptom);
        }
        let Some(address) = live.address() else { return Some(Symptom::ConnectFailed) };
        let target = match CheckTarget::new(&address.to_string()) {
            Ok(target) => target,
            Err(error) => return Some(check_symptom(&error)),
        };
        check.check(&target).await.err().map(|error| check_symptom(&error))
    }

    /// Waits for the next check's turn, or for the pace to become fast. Returns whether to go on.
    async fn wait(
        &mut self,
        began: Instant,
        policy: &HealthCheck,
        random: &mut fastrand::Rng,
    ) -> bool {
        loop {
            let pace = *self.pace.borrow_and_update();
            let interval = match pace {
                Pace::Normal => policy.interval,
                Pace::Fast => policy.interval_fast,
            };
            let factor = 1.0 + policy.jitter * random.f64().mul_add(2.0, -1.0);
            let turn = began + interval.mul_f64(factor.max(0.0));
            tokio::select! {
                () = sleep_until(turn) => return true,
                changed = self.pace.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    if pace == Pace::Normal && *self.pace.borrow() == Pace::Fast {
                        return true;
                    }
                }
            }
        }
    }
}

/// Plays an injected fault on a check. Returns the symptom, unless the check may go on.
async fn suffer(fault: Fault, limit: Duration) -> Option<Symptom> {
    match fault.mode {
        FaultMode::Crash | FaultMode::Refuse | FaultMode::Error => {}
        FaultMode::Hang => sleep(limit.mul_f64(0.9)).await,
        FaultMode::Slow if fault.delay < limit.mul_f64(0.9) => {
            sleep(fault.delay).await;
            return None;
        }
        FaultMode::Slow => sleep(limit.mul_f64(0.9)).await,
    }
    Some(Symptom::Injected(fault.mode))
}

/// Looks up where the backend's name leads. What was known before stays when that fails: a backend
/// whose name is gone for a moment is still asked where it was last.
async fn resolve(backend: &Backend, live: &BackendLive) {
    let BackendAddress { host, port, .. } = &backend.address;
    if host.parse::<std::net::IpAddr>().is_ok() {
        return;
    }
    let Ok(found) = lookup_host((host.as_str(), *port)).await else { return };
    let found: Vec<SocketAddr> = found.collect();
    let is_current = live.address().is_some_and(|current| found.contains(&current));
    // IPv4 first: container networks announce IPv6 names that nothing listens on.
    let best = found.iter().find(|it| it.is_ipv4()).or(found.first());
    if let (false, Some(&address)) = (is_current, best) {
        live.resolved_to(address);
    }
}

fn check_of(policy: &HealthCheck, address: &BackendAddress) -> Box<dyn Check + Send + Sync> {
    match &policy.kind {
        CheckKind::Tcp => {
            let mut check = if address.tls {
                TcpHealthCheck::new_tls(&address.host)
            } else {
                TcpHealthCheck::new()
            };
            check.peer_template.options.connection_timeout = Some(policy.timeout);
            check
        }
        CheckKind::Http { path, expect } => {
            let mut check = HttpHealthCheck::new(&address.host, address.tls);
            check.peer_template.options.connection_timeout = Some(policy.timeout);
            check.peer_template.options.read_timeout = Some(policy.timeout);
            if let Some(request) = request_of(path, address) {
                check.req = request;
            }
            let expect = expect.clone();
            check.validator = Some(Box::new(move |response| {
                let status = response.status.as_u16();
                if expect.contains(&status) {
                    return Ok(());
                }
                Error::e_explain(ErrorType::CustomCode(UNEXPECTED_STATUS, status), "health check")
            }));
            Box::new(check)
        }
    }
}

/// Builds the request of an HTTP check; `None` for what validation has ruled out.
fn request_of(path: &str, address: &BackendAddress) -> Option<RequestHeader> {
    let mut request = RequestHeader::build("GET", path.as_bytes(), Some(3)).ok()?;
    request.append_header("Host", address.authority()).ok()?;
    request.append_header("User-Agent", "bascule-health-check").ok()?;
    Some(request)
}
