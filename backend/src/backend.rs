//! What all connections of one backend share.

use axum::http::HeaderValue;
use tokio::sync::watch;

use crate::ended::Ended;
use crate::faults::board::FaultBoard;
use crate::ledger::Ledger;

#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) name: String,
    /// The name as the `x-backend` header of every response.
    pub(crate) header: HeaderValue,
    pub(crate) faults: FaultBoard,
    pub(crate) ledger: Ledger,
    /// Set once the backend is to stop, and how.
    stop: watch::Sender<Option<Ended>>,
    /// Whether connections are accepted.
    listening: watch::Sender<bool>,
}

impl Backend {
    pub(crate) fn new(name: String, header: HeaderValue, ledger: Ledger) -> Backend {
        Backend {
            name,
            header,
            faults: FaultBoard::new(),
            ledger,
            stop: watch::Sender::new(None),
            listening: watch::Sender::new(true),
        }
    }

    /// Asks the backend to stop. A harsher end outranks a gentler one, also when it comes later.
    pub(crate) fn stop(&self, ended: Ended) {
        self.stop.send_if_modified(|current| {
            let outranks = *current < Some(ended);
            if outranks {
                *current = Some(ended);
            }
            outranks
        });
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<Option<Ended>> {
        self.stop.subscribe()
    }

    pub(crate) fn set_listening(&self, listening: bool) {
        self.listening
            .send_if_modified(|current| std::mem::replace(current, listening) != listening);
    }

    /// Waits until connections are accepted, or no longer are.
    pub(crate) async fn until_listening(&self, listening: bool) {
        // The sender is `self`, so the wait can only end by being fulfilled.
        let _ = self.listening.subscribe().wait_for(|current| *current == listening).await;
    }
}
