//! The end: stop accepting, finish what is in flight, go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::{
    signal::unix::{SignalKind, signal as on_signal},
    sync::watch,
};
use tracing::{info, warn};

use crate::{clock, snapshot::Live};

/// Longest wait for requests in flight. What orchestrators grant by default is 30 s or more.
const DRAIN: Duration = Duration::from_secs(25);
/// A request may be between its last byte and its end for a moment.
const SETTLING: Duration = Duration::from_millis(50);

/// Turns signals into the end of Pingora's server and of this process.
pub(crate) struct Watch {
    stop: SyncSender<()>,
    news: News,
}

/// Who is told that the process is about to end.
pub(crate) struct News {
    /// Whoever asks whether the process is ready.
    pub(crate) is_draining: Arc<AtomicBool>,
    /// Those that would go on for ever.
    pub(crate) end: watch::Sender<bool>,
}

impl Watch {
    pub(crate) fn new(stop: SyncSender<()>, news: News) -> Self {
        Self { stop, news }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Watch {
    async fn recv(&self) -> ShutdownSignal {
        signal().await;
        self.news.is_draining.store(true, Relaxed);
        self.news.end.send_replace(true);
        info!(target: "bascule::app", "stopping: no new connections, finishing what is in flight");
        // The receiver lives as long as the process.
        _ = self.stop.try_send(());
        let stop = self.stop.clone();
        tokio::spawn(async move {
            // Asked twice: whoever asks does not want to wait.
            signal().await;
            _ = stop.try_send(());
        });
        ShutdownSignal::GracefulTerminate
    }
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn signal() {
    match (on_signal(SignalKind::terminate()), on_signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}

/// Blocks until the process is told to stop and nothing is in flight any more.
pub(crate) fn finish(stopped: &Receiver<()>, live: &Arc<Live>) {
    // An error means that the server's thread is gone, which is the end as well.
    _ = stopped.recv();
    let deadline = clock::now() + DRAIN;
    thread::sleep(SETTLING);
    loop {
        let left = live.requests_in_flight.load(Relaxed);
        if left == 0 {
            info!(target: "bascule::app", "stopped");
            return;
        }
        if deadline <= clock::now() || stopped.try_recv().is_ok() {
            warn!(target: "bascule::app", requests = left, "stopped with requests in flight");
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
