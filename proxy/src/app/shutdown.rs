//! The end: not ready, nobody new, what is in flight finished, gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::{
    signal::unix::{Signal, SignalKind, signal as on_signal},
    sync::oneshot,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    clock,
    departure::{CROSSING, Departure},
    snapshot::Live,
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

/// The signals that end the process.
pub(crate) struct Signals(Option<(Signal, Signal)>);

/// Which of them came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGTERM: a service manager's.
    Terminate,
    /// SIGINT: somebody's at a terminal.
    Interrupt,
}

impl Signals {
    /// Takes them over from the system. To be called in a runtime.
    pub(crate) fn take() -> Self {
        let both = (on_signal(SignalKind::terminate()), on_signal(SignalKind::interrupt()));
        let (Ok(terminate), Ok(interrupt)) = both else {
            // Without handlers the signals end the process by themselves.
            return Self(None);
        };
        Self(Some((terminate, interrupt)))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Stop {
        let Some((terminate, interrupt)) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => Stop::Terminate,
            _ = interrupt.recv() => Stop::Interrupt,
        }
    }
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn signal() {
    Signals::take().next().await;
}

/// What the end of the process needs to know of it.
pub(crate) struct Ending {
    /// Whoever asks whether the process is ready.
    pub(crate) is_draining: Arc<AtomicBool>,
    pub(crate) departure: Departure,
    pub(crate) live: Arc<Live>,
    /// Ends when the data plane does.
    pub(crate) data_plane: oneshot::Receiver<()>,
}

impl Ending {
    /// Returns when the process shall end: it was told to stop, and nothing is left to wait for.
    pub(crate) async fn run(mut self, mut signals: Signals) {
        let stop = tokio::select! {
            stop = signals.next() => stop,
            // An error means that its thread is gone, which is the end as well.
            _ = &mut self.data_plane => return,
        };
        self.is_draining.store(true, Relaxed);
        let policy = self.departure.policy();
        if stop == Stop::Terminate && !policy.delay.is_zero() {
            let delay_ms = millis(policy.delay);
            info!(target: "bascule::app", delay_ms, "not ready any more, and still serving");
            if timeout(policy.delay, signals.next()).await.is_ok() {
                return self.hurry();
            }
        }
        info!(target: "bascule::app", "stopping: no new connections, finishing what is in flight");
        self.departure.begin();
        tokio::select! {
            () = self.finished() => {}
            _ = signals.next() => self.hurry(),
        }
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
                info!(target: "bascule::app", took_ms = millis(now.since(began)), "stopped");
                return;
            }
            if bound <= now {
                warn!(
                    target: "bascule::app", requests, connections,
                    "stopped with requests in flight, which are cut: `shutdown.drain` has passed"
                );
                return;
            }
        }
    }

    fn left(&self) -> (u64, usize) {
        (self.live.requests_in_flight.load(Relaxed), self.departure.connections())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
