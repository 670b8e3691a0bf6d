//! Sends one backend's health checks, each in its time, and tells the fleet how they ended.
//!
//! One task per backend: a backend that hangs delays nobody else's checks.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    net::lookup_host,
    sync::watch,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::{
    clock,
    control::check::{Check, limit_of},
    event::{Source, Strike, Symptom},
    exchange::Generation,
    fleet::{Input, Pace},
    model::{Backend, BackendAddress, BackendId, CheckKind, Place, Pool},
    snapshot::BackendLive,
    strike::{Patience, play},
};

/// How often the address of a backend given by name is looked up.
const RESOLVE_EVERY: Duration = Duration::from_secs(1);
/// The same, after a resolver that did not answer.
const RESOLVE_AGAIN: Duration = Duration::from_secs(10);

/// Checks in a row that may be made in vain, because this process was held up. A machine on which
/// every check is held up has to be believed in the end.
const IN_VAIN_MAX: u32 = 3;

/// Whom a checker checks, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) generation: Arc<Generation>,
    pub(crate) id: BackendId,
    pub(crate) pace: Pace,
    /// How often checking was taken up again so far: each time begins with a check.
    pub(crate) resumed: u64,
}

/// Checks one backend for as long as it is configured.
pub(crate) struct Checker {
    task: Task,
    /// Its sender is gone once the backend is not configured any more.
    tasks: watch::Receiver<Task>,
}

impl Checker {
    /// Makes a checker for whom the first task names.
    pub(crate) fn new(mut tasks: watch::Receiver<Task>) -> Self {
        let task = tasks.borrow_and_update().clone();
        Self { task, tasks }
    }

    /// Checks, tells, waits; again and again until the backend, or the fleet, is gone.
    pub(crate) async fn run(mut self) {
        let mut random = fastrand::Rng::new();
        let mut next_lookup = Instant::now();
        let mut in_vain = 0;
        let mut share = first_share(&mut random);
        let mut check = None;
        loop {
            let (generation, id) = (Arc::clone(&self.task.generation), self.task.id);
            let pool = generation.topology.pool(id.pool);
            let timeout = pool.health_check.timeout;
            let check = match &mut check {
                Some((number, check)) if *number == generation.number => &*check,
                other => {
                    let check = Check::new(pool, generation.topology.backend(id));
                    &other.insert((generation.number, check)).1
                }
            };
            let began = Instant::now();
            let deadline = began + timeout;
            let checked = async {
                match timeout_at(deadline, self.keep_address(&mut next_lookup)).await {
                    Ok(()) => self.check(check, deadline, &mut random).await,
                    Err(_) => Some(Symptom::ResponseTimedOut),
                }
            };
            let (failure, was_held_up) = watched(timeout, checked).await;
            if was_held_up && failure.is_some_and(Symptom::is_timeout) && in_vain < IN_VAIN_MAX {
                in_vain += 1;
                continue;
            }
            in_vain = 0;
            let took = began.elapsed();
            let recent = generation.live.backend(id).just_now(clock::now());
            let input = Input::Checked { backend: id, failure, took, recent };
            if !generation.inbox.send(input).await {
                return;
            }
            drop(generation);
            if !self.wait(began, share).await {
                return;
            }
            share = later_share(self.pool().health_check.jitter, &mut random);
        }
    }

    /// Looks up where the backend's name leads, if it is time to.
    async fn keep_address(&self, next_lookup: &mut Instant) {
        let now = Instant::now();
        if *next_lookup <= now {
            *next_lookup = now + self.look_up().await;
        }
    }

    /// Looks up where the backend's name leads. Returns how long to wait before the next time.
    ///
    /// While an address is known, a resolver that does not answer takes only a share of the check's
    /// time and is left alone for longer: its trouble is not the backend's.
    async fn look_up(&self) -> Duration {
        let (backend, live) = (self.backend(), self.live());
        if live.place().is_none() {
            resolve(backend, live).await;
            return RESOLVE_EVERY;
        }
        let limit = self.pool().health_check.timeout;
        match timeout(limit / 4, resolve(backend, live)).await {
            Ok(()) => RESOLVE_EVERY,
            Err(_) => RESOLVE_AGAIN,
        }
    }

    /// Makes one check, with an injected fault played on the way. Returns what was wrong, if
    /// anything.
    async fn check(
        &self,
        check: &Check,
        deadline: Instant,
        random: &mut fastrand::Rng,
    ) -> Option<Symptom> {
        let live = self.live();
        let now = clock::now();
        let strike = live.fault(now).and_then(|it| it.strike(Source::HealthCheck, now, random));
        if let Some(strike) = strike.filter(|strike| self.is_met(*strike)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let symptom = play(strike, Patience { connect: left, response: left }).await;
            if symptom.is_some() {
                return symptom;
            }
        }
        let place = live.place();
        let limit = limit_of(self.pool());
        timeout_at(
            deadline,
            check.make(&self.task.generation.connections, self.task.id, place.as_deref(), limit),
        )
        .await
        .unwrap_or(Some(Symptom::ResponseTimedOut))
    }

    /// Tells whether what the backend's checks ask would show `strike`. One that only connects sees
    /// nothing that comes later, and one may expect the very status of an injected error.
    fn is_met(&self, strike: Strike) -> bool {
        match (&self.pool().health_check.kind, strike) {
            (CheckKind::Tcp, _) => strike.mode().is_before_connection(),
            (CheckKind::Http(http), Strike::Error(status)) => !http.expect.contains(&status),
            (CheckKind::Http(_) | CheckKind::Grpc { .. }, _) => true,
        }
    }

    /// Waits for the next check's turn, which comes this share of an interval after the last began, or
    /// for the pace to become fast. Returns whether to go on.
    ///
    /// Another configuration that has the same backend changes how long is waited, no more.
    async fn wait(&mut self, began: Instant, share: f64) -> bool {
        loop {
            let policy = &self.pool().health_check;
            let interval = match self.task.pace {
                Pace::Normal | Pace::Never => policy.interval,
                Pace::Fast => policy.interval_fast,
            };
            let turn = began + interval.mul_f64(share);
            tokio::select! {
                () = sleep_until(turn), if self.task.pace != Pace::Never => return true,
                changed = self.tasks.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    let task = self.tasks.borrow_and_update().clone();
                    let before = std::mem::replace(&mut self.task, task);
                    let is_fast = before.pace == Pace::Normal && self.task.pace == Pace::Fast;
                    let is_resumed = before.resumed != self.task.resumed;
                    if is_fast || is_resumed && self.task.pace != Pace::Never {
                        return true;
                    }
                }
            }
        }
    }

    fn pool(&self) -> &Pool {
        self.task.generation.topology.pool(self.task.id.pool)
    }

    fn backend(&self) -> &Backend {
        self.task.generation.topology.backend(self.task.id)
    }

    fn live(&self) -> &BackendLive {
        self.task.generation.live.backend(self.task.id)
    }
}

/// Draws how long to wait for the second check, as a share of the interval.
///
/// All backends of a new configuration are checked at once, and jitter alone would take many intervals
/// to part thousands of them: they part at the first wait, which may be as little as half.
fn first_share(random: &mut fastrand::Rng) -> f64 {
    0.5 + 0.5 * random.f64()
}

/// Draws how long to wait for every check after that, as a share of the interval.
fn later_share(jitter: f64, random: &mut fastrand::Rng) -> f64 {
    (1.0 + jitter * random.f64().mul_add(2.0, -1.0)).max(0.0)
}

/// Carries out what has to be done within `limit`. Tells also whether this process was held up
/// meanwhile, by more than a quarter of that: then it says nothing that nothing was done in time.
///
/// A process that is stopped, or starved, finds all its timers run out at once, while what it waited
/// for may lie unread.
async fn watched<F: Future>(limit: Duration, work: F) -> (F::Output, bool) {
    let (tick, bearable) = (limit / 8, limit / 4);
    let mut work = pin!(work);
    let mut due = Instant::now() + tick;
    let mut was_held_up = false;
    loop {
        let output = tokio::select! {
            biased;
            output = work.as_mut() => Some(output),
            () = sleep_until(due) => None,
        };
        let now = Instant::now();
        was_held_up |= due + bearable < now;
        due = now + tick;
        if let Some(output) = output {
            return (output, was_held_up);
        }
    }
}

/// Looks up where the backend's name leads. What was known before stays when that fails: a backend
/// whose name is gone for a moment is still asked where it was last.
async fn resolve(backend: &Backend, live: &BackendLive) {
    let BackendAddress::Tcp { host, port, .. } = &backend.address else { return };
    if host.parse::<std::net::IpAddr>().is_ok() {
        return;
    }
    let Ok(found) = lookup_host((host.as_str(), *port)).await else { return };
    let found: Vec<SocketAddr> = found.collect();
    let is_current = match live.place().as_deref() {
        Some(Place::Ip(current)) => found.contains(current),
        Some(Place::Unix(_)) | None => false,
    };
    // IPv4 first: container networks announce IPv6 names that nothing listens on.
    let best = found.iter().find(|it| it.is_ipv4()).or(found.first());
    if let (false, Some(&address)) = (is_current, best) {
        live.resolved_to(address);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{task, time::advance};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn thousands_that_begin_together_have_parted_after_a_few_checks() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut counts = [0; 10];
        for _ in 0..2_000 {
            let mut waits = vec![first_share(&mut random)];
            waits.extend((1..5).map(|_| later_share(0.2, &mut random)));
            assert!(waits.iter().all(|it| (0.5..=1.2).contains(it)), "{waits:?}");
            let phase = waits.iter().sum::<f64>().fract();
            counts[(phase * 10.0) as usize] += 1;
        }
        // Twice as many as there should be would be seen in what backends have to do.
        assert!(counts.iter().all(|it| (100..400).contains(it)), "{counts:?}");
    }

    async fn nothing_in_time() -> (bool, bool) {
        let (ended, was_held_up) = watched(LIMIT, timeout(LIMIT, pending::<()>())).await;
        (ended.is_ok(), was_held_up)
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_late_by_himself_is_late() {
        assert_eq!(nothing_in_time().await, (false, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_stopped_learns_nothing_from_its_timers() {
        for pause in [1_300, 6_000] {
            let check = task::spawn(nothing_in_time());
            task::yield_now().await;
            advance(Duration::from_millis(pause)).await;
            assert_eq!(check.await.unwrap(), (false, true), "{pause} ms");
        }
        // Also when it had time left after the stop, and not enough.
        let check = task::spawn(nothing_in_time());
        task::yield_now().await;
        advance(Duration::from_millis(800)).await;
        assert_eq!(check.await.unwrap(), (false, true));
    }
}
