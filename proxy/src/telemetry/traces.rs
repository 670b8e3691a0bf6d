//! Traces: a span for each request and for each of its attempts, sent to a collector by OTLP.
//!
//! Spans are built from the record of a request once all of it is over. That is why the SDK of
//! OpenTelemetry is not used here: its spans are started and ended while things happen, on the thread
//! on which they happen, and whether they are kept is decided at the start; here that is decided at
//! the end, so that a request that failed is never missing. What is used of OpenTelemetry is the
//! generated code of its messages.
//!
//! A thread of its own takes records out of a bounded queue, and speaks with the collector. While that
//! does not answer, the queue fills, and what does not fit is counted: no request waits.

mod collector;
mod spans;

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};
use tracing::{info, warn};

use crate::{
    model::Collector,
    telemetry::{
        requests::{
            queue::{Queue, Taker},
            trail::Traced,
        },
        traces::collector::{Connection, Unsent},
    },
};

/// Requests that may wait.
const PLACES: usize = 8_192;
/// How long more requests are waited for before they are sent: one message for all of them. It is
/// also what gives an incident time to be told of.
const LINGER: Duration = Duration::from_millis(500);
/// Most requests in a message. With three spans each that is a megabyte and a half; collectors take
/// four.
const BATCH: usize = 512;
/// How often a message is sent before it is given up.
const TRIES: u32 = 5;
/// How long is waited after the first failure; after each further one, twice as long.
const BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Takes requests that are to be traced, and has them sent.
#[derive(Debug, Default)]
pub struct Traces {
    queue: OnceLock<Option<Arc<Queue<Traced>>>>,
    counts: Arc<Counts>,
}

/// Spans, by what became of them.
#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    unsent: AtomicU64,
    rejected: AtomicU64,
}

/// Spans that were dropped, ever, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Too many waited.
    pub queue_full: u64,
    /// The collector did not take them, however often they were sent.
    pub unsent: u64,
    /// The collector refused them.
    pub rejected: u64,
}

impl Traces {
    /// Returns where traced requests are put; `None` when there is no thread to send them. It is
    /// started with the first.
    pub fn queue(&self) -> Option<&Arc<Queue<Traced>>> {
        let start = || {
            let counts = Arc::clone(&self.counts);
            let runtime = Builder::new_current_thread().enable_all().build();
            let started = runtime.and_then(|runtime| {
                let record = move |taker: Taker<_>| export_all(&taker, &counts, &runtime);
                Queue::start("traces", PLACES, LINGER, record)
            });
            let tell = |error: &io::Error| {
                warn!(target: "bascule::traces", %error, "traces cannot be exported");
            };
            started.inspect_err(tell).ok()
        };
        self.queue.get_or_init(start).as_ref()
    }

    /// Returns the spans that a collector has taken, ever.
    pub fn exported(&self) -> u64 {
        self.counts.exported.load(Relaxed)
    }

    /// Returns the spans that were dropped, ever.
    pub fn dropped(&self) -> Dropped {
        let queue = self.queue.get().and_then(Option::as_ref);
        Dropped {
            queue_full: queue.map_or(0, |it| it.dropped()),
            unsent: self.counts.unsent.load(Relaxed),
            rejected: self.counts.rejected.load(Relaxed),
        }
    }

    /// Waits until all has been sent; for a second at most.
    pub fn flush(&self) {
        if let Some(Some(queue)) = self.queue.get() {
            queue.flush();
        }
    }
}

fn export_all(taker: &Taker<Traced>, counts: &Counts, runtime: &Runtime) {
    let mut exporter = Exporter { counts, runtime, connection: None, failures: 0 };
    while let Some(taken) = taker.take(None, BATCH) {
        // Requests of one configuration go to one collector; a reload between them makes two messages.
        let mut batch: Vec<Traced> = Vec::new();
        for traced in taken.things {
            let other = batch.first().map(collector_of);
            if other.is_some_and(|it| it != collector_of(&traced)) {
                exporter.export(&std::mem::take(&mut batch));
            }
            batch.push(traced);
        }
        exporter.export(&batch);
        if let Some(waiting) = taken.waiting {
            _ = waiting.try_send(());
        }
    }
}

fn collector_of(traced: &Traced) -> Option<&Collector> {
    traced.record.topology.traces.as_ref()?.collector.as_ref()
}

struct Exporter<'a> {
    counts: &'a Counts,
    runtime: &'a Runtime,
    connection: Option<(Collector, Connection)>,
    /// Messages that could not be sent, in a row.
    failures: u32,
}

impl Exporter<'_> {
    fn export(&mut self, batch: &[Traced]) {
        let Some(collector) = batch.first().and_then(collector_of).cloned() else { return };
        let request = spans::request(batch);
        let count = spans::count(&request);
        for number in 1..=TRIES {
            match self.runtime.block_on(self.send(&collector, &request)) {
                Ok(rejected) => {
                    let rejected = rejected.min(count);
                    self.counts.exported.fetch_add(count - rejected, Relaxed);
                    self.counts.rejected.fetch_add(rejected, Relaxed);
                    self.succeeded(rejected);
                    return;
                }
                Err(unsent) => {
                    self.connection = None;
                    let may_help = unsent.may_be_repeated();
                    self.failed(&collector, &unsent);
                    if !may_help || number == TRIES {
                        break;
                    }
                    std::thread::sleep(self.backoff());
                }
            }
        }
        self.counts.unsent.fetch_add(count, Relaxed);
    }

    async fn send(
        &mut self,
        collector: &Collector,
        request: &spans::Request,
    ) -> Result<u64, Unsent> {
        let sent = async {
            let kept = self.connection.take();
            let mut connection = match kept.filter(|it| it.0 == *collector && it.1.is_open()) {
                Some((_, connection)) => connection,
                None => Connection::open(collector).await?,
            };
            let rejected = connection.send(request).await?;
            self.connection = Some((collector.clone(), connection));
            Ok(rejected)
        };
        tokio::time::timeout(collector.timeout, sent).await.unwrap_or(Err(Unsent::Late))
    }

    fn backoff(&self) -> Duration {
        let doubled = BACKOFF.saturating_mul(1 << self.failures.saturating_sub(1).min(8));
        let most = doubled.min(BACKOFF_MAX);
        // Many proxies must not come back to a collector at the same moment.
        most.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Says once that a collector takes no spans.
    fn failed(&mut self, collector: &Collector, unsent: &Unsent) {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            let address = format!("{}:{}", collector.host, collector.port);
            warn!(target: "bascule::traces", collector = address, reason = %unsent, "spans are not taken");
        }
    }

    fn succeeded(&mut self, rejected: u64) {
        if 0 < std::mem::take(&mut self.failures) {
            info!(target: "bascule::traces", "spans are taken again");
        }
        if rejected != 0 {
            warn!(target: "bascule::traces", spans = rejected, "the collector refused spans");
        }
    }
}
