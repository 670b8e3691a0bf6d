//! The end: not ready, nobody new, what is in flight finished, gone.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::{
    signal::unix::{Signal as OnSignal, SignalKind, signal as on_signal},
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    clock::{self, whole_millis},
    departure::{CROSSING, Departure},
    exchange::GenerationCell,
    telemetry::metrics::Drained,
};

/// How often it is looked whether anything is left to wait for.
const LOOK: Duration = Duration::from_millis(10);

/// Tells Pingora's server that the process's end has begun.
pub(crate) struct Watch(pub(crate) Departure);

#[async_trait]
impl ShutdownSignalWatch for Watch {
    async fn recv(&self) -> ShutdownSignal {
        self.0.begun().await;
        ShutdownSignal::GracefulTerminate
    }
}

/// The signals that this process acts upon.
pub(crate) struct Signals(Option<[OnSignal; 3]>);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM, a service manager's: to end.
    Terminate,
    /// SIGINT, somebody's at a terminal: to end without the delay.
    Interrupt,
    /// SIGUSR2: to let another process take over.
    Upgrade,
}

impl Signals {
    /// Takes them over from the system. To be called in a runtime.
    pub(crate) fn take() -> Self {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::user_defined2()];
        let [Ok(terminate), Ok(interrupt), Ok(upgrade)] = kinds.map(on_signal) else {
            // Without handlers the signals end the process by themselves.
            return Self(None);
        };
        Self(Some([terminate, interrupt, upgrade]))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        let Some([terminate, interrupt, upgrade]) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => Signal::Terminate,
            _ = interrupt.recv() => Signal::Interrupt,
            _ = upgrade.recv() => Signal::Upgrade,
        }
    }

    /// Waits for one that ends the process.
    async fn end(&mut self) {
        while self.next().await == Signal::Upgrade {}
    }
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn signal() {
    Signals::take().end().await;
}

/// The end of the process.
pub(crate) struct Ending {
    pub(crate) departure: Departure,
    pub(crate) current: GenerationCell,
    /// Ends when the data plane does.
    pub(crate) data_plane: oneshot::Receiver<()>,
    /// Tells the sidecar that another process serves it.
    pub(crate) leave: watch::Sender<bool>,
    /// Ends when the sidecar does.
    pub(crate) sidecar: oneshot::Receiver<()>,
}

impl Ending {
    /// Joins what the end of the process needs to know.
    pub(crate) fn new(
        departure: &Departure,
        current: &GenerationCell,
        data_plane: oneshot::Receiver<()>,
        leave: watch::Sender<bool>,
        sidecar: oneshot::Receiver<()>,
    ) -> Self {
        let (departure, current) = (departure.clone(), GenerationCell::clone(current));
        Self { departure, current, data_plane, leave, sidecar }
    }

    /// Ends the process because `signal` asked for it. Returns when nothing is left to wait for.
    pub(crate) async fn told(&self, signal: Signal, signals: &mut Signals) {
        let policy = self.departure.policy();
        if signal == Signal::Terminate && !policy.delay.is_zero() {
            let delay_ms = whole_millis(policy.delay);
            info!(target: "bascule::app", delay_ms, "not ready any more, and still serving");
            if timeout(policy.delay, signals.end()).await.is_ok() {
                return self.hurry();
            }
        }
        info!(target: "bascule::app", "stopping: no new connections, finishing what is in flight");
        self.departure.begin();
        tokio::select! {
            () = self.finished() => {}
            () = signals.end() => self.hurry(),
        }
    }

    /// Ends the process because another one has taken over, which the sidecar, too, leaves its place
    /// to.
    pub(crate) async fn taken_over(&mut self, signals: &mut Signals) {
        self.departure.begin();
        self.leave.send_replace(true);
        tokio::select! {
            () = self.finished() => {}
            () = signals.end() => return self.hurry(),
        }
        // Whoever asked for the upgrade still has to be told. It has a bound of its own, and an error
        // means that it has ended.
        _ = (&mut self.sidecar).await;
    }

    /// Whoever asks twice does not want to wait.
    fn hurry(&self) {
        let (requests, connections) = self.left();
        warn!(target: "bascule::app", requests, connections, "stopped at once, as asked twice");
    }

    /// Waits until everybody is gone, or those who are left have had their time.
    async fn finished(&self) {
        let policy = self.departure.policy();
        let began = clock::now();
        let bound = began + policy.drain;
        // Until then requests may be on their way on connections that look idle.
        let mut settled = began + policy.idle + CROSSING;
        loop {
            sleep(LOOK).await;
            let (requests, connections) = self.left();
            let now = clock::now();
            let is_idle = requests == 0 && self.departure.busy_connections() == 0;
            if !is_idle {
                // A response that began before the end says that its connection is kept: the time in
                // which the next request may come runs from the response's end.
                settled = settled.max(now + policy.idle + CROSSING);
            }
            if connections == 0 || settled <= now && is_idle {
                info!(target: "bascule::app", took_ms = whole_millis(now.since(began)), "stopped");
                return;
            }
            if bound <= now {
                self.current.load().metrics.cut(Drained::Process, requests);
                warn!(
                    target: "bascule::app", requests, connections,
                    "stopped with requests in flight, which are cut: `shutdown.drain` has passed"
                );
                return;
            }
        }
    }

    fn left(&self) -> (u64, usize) {
        (self.current.load().live.requests_in_flight.load(Relaxed), self.departure.connections())
    }
}
