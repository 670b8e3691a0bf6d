//! The load itself: one task that sends on schedule and gathers what comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::blob::pattern;
use crate::clock;
use crate::load::fate::{FailureKind, Fate, Record, broken_off, unanswered};
use crate::load::plan::LoadPlan;
use crate::load::report::{Report, Tally};

/// Below the time for which proxies and backends usually keep idle connections, so that it is the
/// client that closes them and none is closed just in use.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How a load is getting on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Requests sent so far.
    pub sent: u64,
    pub ok: u64,
    pub failed: u64,
}

/// A load in progress. Dropping it abandons the load at once.
#[derive(Debug)]
pub struct LoadRun {
    stop: watch::Sender<bool>,
    progress: watch::Receiver<Progress>,
    started: Instant,
    started_unix: f64,
    /// One task; a set, because a set ends its tasks when it is dropped.
    task: JoinSet<Report>,
}

/// Starts a load in the current tokio runtime.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn start(plan: LoadPlan) -> LoadRun {
    let (stop, stopped) = watch::channel(false);
    let (progress_sender, progress) = watch::channel(Progress::default());
    let (started, started_unix) = (clock::now(), clock::unix_seconds());
    let mut task = JoinSet::new();
    let load = Load {
        sender: Arc::new(Sender::new(&plan)),
        in_flight: JoinSet::new(),
        tally: Tally::new(started),
        records: Vec::new(),
        records_left_out: 0,
        progress: progress_sender,
        started,
        started_unix,
        plan,
    };
    task.spawn(load.run(stopped));
    LoadRun { stop, progress, started, started_unix, task }
}

impl LoadRun {
    /// How it is getting on at this moment.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until the load has got somewhere, such as `|it| 100 <= it.ok`. Returns early with
    /// the last progress when the load is over before that.
    pub async fn until(&self, reached: impl Fn(&Progress) -> bool) -> Progress {
        let mut progress = self.progress.clone();
        let found = progress.wait_for(reached).await.map(|found| *found);
        found.unwrap_or_else(|_| self.progress())
    }

    /// Waits for the plan's time to be over and for every request in flight.
    pub async fn finish(mut self) -> Report {
        self.join().await
    }

    /// Sends nothing more, and waits for the requests in flight.
    pub async fn stop(mut self) -> Report {
        self.stop.send_replace(true);
        self.join().await
    }

    /// As [`LoadRun::finish`], but stops when `ended` completes first.
    pub async fn finish_or_stop(mut self, ended: impl Future<Output = ()>) -> Report {
        tokio::select! {
            report = self.join() => return report,
            () = ended => {}
        }
        self.stop().await
    }

    async fn join(&mut self) -> Report {
        match self.task.join_next().await {
            Some(Ok(report)) => report,
            // The task panicked: nothing is known of its requests.
            Some(Err(_)) | None => {
                let tally = Tally::new(self.started);
                Report {
                    started: self.started,
                    started_unix: self.started_unix,
                    finished: tally.finished(),
                    summary: tally.summary(),
                    records: Vec::new(),
                    records_left_out: 0,
                }
            }
        }
    }
}

#[derive(Debug)]
struct Load {
    plan: LoadPlan,
    sender: Arc<Sender>,
    in_flight: JoinSet<Record>,
    tally: Tally,
    records: Vec<Record>,
    records_left_out: u64,
    progress: watch::Sender<Progress>,
    started: Instant,
    started_unix: f64,
}

impl Load {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Report {
        for number in 0.. {
            let due = self.plan.due(number);
            if self.plan.lasting.is_some_and(|lasting| lasting <= due) {
                break;
            }
            if self.wait_until(self.started + due, &mut stopped).await.is_err() {
                break;
            }
            self.send(number, self.started + due);
        }
        while let Some(Ok(record)) = self.in_flight.join_next().await {
            self.take_in(record);
        }
        Report {
            started: self.started,
            started_unix: self.started_unix,
            finished: self.tally.finished(),
            summary: self.tally.summary(),
            records: self.records,
            records_left_out: self.records_left_out,
        }
    }

    /// Takes in answers until `moment`; an error means that the load is to stop.
    async fn wait_until(
        &mut self,
        moment: Instant,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        while let Some(Ok(record)) = self.in_flight.try_join_next() {
            self.take_in(record);
        }
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return Err(Stopped),
                () = clock::sleep_until(Some(moment)) => return Ok(()),
                Some(Ok(record)) = self.in_flight.join_next() => self.take_in(record),
            }
        }
    }

    fn send(&mut self, number: u64, due: Instant) {
        let started = clock::now();
        let id = self.sender.id(number);
        let late = started.saturating_duration_since(due);
        if self.plan.in_flight_max <= self.in_flight.len() {
            let (took, fate) = (Duration::ZERO, Fate::Shed);
            return self.take_in(Record { id, started, late, took, fate, backend: None });
        }
        let (sender, timeout) = (self.sender.clone(), self.plan.timeout);
        self.progress.send_modify(|progress| progress.sent += 1);
        self.in_flight.spawn(async move {
            let (fate, backend) = match tokio::time::timeout(timeout, sender.exchange(&id)).await {
                Ok(answered) => answered,
                Err(_) => (timed_out(timeout), None),
            };
            let took = clock::now().saturating_duration_since(started);
            Record { id, started, late, took, fate, backend }
        });
    }

    fn take_in(&mut self, record: Record) {
        self.tally.record(&record);
        self.progress.send_modify(|progress| match record.is_ok() {
            true => progress.ok += 1,
            false => progress.failed += 1,
        });
        if self.records.len() < self.plan.records_max {
            self.records.push(record);
        } else {
            self.records_left_out += 1;
        }
    }
}

/// The load was told to stop, or its owner is gone.
struct Stopped;

fn timed_out(timeout: Duration) -> Fate {
    Fate::Failed {
        kind: FailureKind::Timeout,
        error: format!("no complete answer within {} ms", timeout.as_millis()),
    }
}

/// What all requests of a load share.
#[derive(Debug)]
struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    plan: LoadPlan,
    body: Bytes,
    /// Tells the ids of this load from those of any other.
    id_prefix: String,
}

impl Sender {
    fn new(plan: &LoadPlan) -> Sender {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut body = vec![0; plan.body_bytes];
        pattern::fill(0, &mut body);
        Sender {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .build(connector),
            plan: plan.clone(),
            body: body.into(),
            id_prefix: format!("load-{:08x}", fastrand::u32(..)),
        }
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.id_prefix)
    }

    /// Sends one request and reads its answer to the end; also names the backend that answered.
    async fn exchange(&self, id: &str) -> (Fate, Option<String>) {
        let mut request = Request::builder()
            .method(self.plan.method.clone())
            .uri(self.plan.url.clone())
            .header("x-request-id", id)
            .header("user-agent", "bascule-backend-load");
        if self.plan.idempotency_key {
            request = request.header("idempotency-key", id);
        }
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/octet-stream");
        }
        let request = match request.body(Full::new(self.body.clone())) {
            Ok(request) => request,
            Err(error) => {
                let failed = Fate::Failed { kind: FailureKind::Other, error: error.to_string() };
                return (failed, None);
            }
        };
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return (unanswered(&error), None),
        };
        let (status, backend) = (response.status().as_u16(), backend(response.headers()));
        let expected_blob = self.plan.expected_blob.filter(|_| status < 400);
        let fate = match received(response.into_body(), expected_blob).await {
            Err(broken) => broken,
            Ok(()) if status < 400 => Fate::Ok { status },
            Ok(()) => Fate::Status { status },
        };
        (fate, backend)
    }
}

/// Reads a body to its end; the error is what became of the request.
async fn received(mut body: Incoming, expected_blob: Option<u64>) -> Result<(), Fate> {
    let mut length: u64 = 0;
    let mut is_blob = true;
    let mut expected = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_off(&error))?;
        let Some(data) = frame.data_ref() else { continue };
        if expected_blob.is_some() {
            expected.resize(data.len(), 0);
            pattern::fill(length, &mut expected);
            is_blob &= data[..] == expected[..];
        }
        length += data.len() as u64;
    }
    match expected_blob {
        Some(size) if size != length || !is_blob => Err(Fate::Failed {
            kind: FailureKind::WrongBody,
            error: format!("{length} bytes that are not the blob of {size}"),
        }),
        Some(_) | None => Ok(()),
    }
}

fn backend(headers: &HeaderMap) -> Option<String> {
    headers.get("x-backend")?.to_str().ok().map(str::to_owned)
}
