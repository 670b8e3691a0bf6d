//! Sending in bursts.
//!
//! To send to a process that sleeps takes several times as long as to one that is awake: it has to be
//! woken, on a virtual machine by way of the host. A data plane that sends each message as soon as it
//! is ready finds its neighbours asleep again and again; one that first gets ready all that it can, and
//! then sends one after the other, wakes each of them once. The same holds for its own system calls,
//! whose code and data stay in the processor's caches meanwhile.

use std::sync::atomic::Ordering::Relaxed;

use tokio::task::yield_now;

use crate::exchange::Exchange;

impl Exchange {
    /// Lets others that are ready get to where they send something, too, which is to be done next; nobody
    /// who waits for the network is waited for. With nobody else under way there is nothing to be gained, nor over HTTP/2:
    /// what its requests are answered is gathered by their connection.
    pub(crate) async fn join_burst(&self, is_http2: bool) {
        if !is_http2 && 1 < self.live.requests_in_flight.load(Relaxed) {
            yield_now().await;
        }
    }
}
