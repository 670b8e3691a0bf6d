//! The life of the process: it serves, another one takes over, it ends.

use std::{io, os::fd::OwnedFd, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use crate::{
    admin::{NoUpgrade, Process, ProcessOrder, Stage, Successor, Upgrade},
    app::{
        data_plane::DataPlane,
        history::Keeper,
        notifier::Notifier,
        record::{Record, SCHEMA, line_of},
        shutdown::{Ending, Signal, Signals},
        upgrade::Program,
    },
    clock,
    control::Question,
    exchange::GenerationCell,
    sockets::Bound,
    telemetry::metrics::{Metrics, UpgradeResult},
};

/// Who asks for an upgrade hears of it, unless it was a signal.
type Reply = Option<oneshot::Sender<Result<Successor, NoUpgrade>>>;

/// Everything that outlives a single request.
pub(crate) struct Life {
    pub(crate) process: Arc<Process>,
    pub(crate) orders: mpsc::Receiver<ProcessOrder>,
    pub(crate) current: GenerationCell,
    pub(crate) notifier: Notifier,
    pub(crate) estate: Estate,
    pub(crate) ending: Ending,
}

/// What is handed on to a successor.
pub(crate) struct Estate {
    /// What is started; `None` where nothing can be.
    pub(crate) program: Option<Program>,
    pub(crate) sockets: Sockets,
    pub(crate) recorder: Recorder,
}

/// Tells a successor how things are.
pub(crate) struct Recorder {
    pub(crate) questions: mpsc::Sender<Question>,
    pub(crate) keeper: Keeper,
    pub(crate) generation: u64,
    pub(crate) relay_key: String,
}

/// Every socket that this process listens on.
pub(crate) struct Sockets {
    /// The sidecar's.
    pub(crate) servers: Vec<Bound>,
    /// The listeners'.
    pub(crate) plane: Arc<DataPlane>,
}

/// Why the process ends.
enum End {
    /// It was told to, by this signal.
    Told(Signal),
    /// Another one serves.
    TakenOver,
    /// The data plane has ended.
    Broken,
}

impl Life {
    /// Serves until the end, which it returns after.
    pub(crate) async fn run(mut self, mut signals: Signals) {
        self.notifier.ready();
        let end = self.serve(&mut signals).await;
        match end {
            End::Broken => error!(target: "bascule::app", "the data plane has ended"),
            End::Told(signal) => {
                self.process.enter(Stage::Draining { successor: None });
                self.notifier.stopping();
                self.ending.told(signal, &mut signals).await;
            }
            End::TakenOver => {
                // Their queues are the other one's to serve.
                self.estate.sockets.servers.clear();
                // So is the history's file. What finishes here from now on is not in it.
                let keeper = self.estate.recorder.keeper.clone();
                // A disk may make it wait; who finishes here need not.
                let closed = tokio::task::spawn_blocking(move || keeper.close());
                self.ending.taken_over(&mut signals).await;
                _ = closed.await;
            }
        }
    }

    async fn serve(&mut self, signals: &mut Signals) -> End {
        loop {
            let reply = tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Upgrade => None,
                    Signal::Terminate | Signal::Interrupt => return End::Told(signal),
                },
                Some(ProcessOrder::Upgrade(reply)) = self.orders.recv() => Some(reply),
                () = self.notifier.look_after() => continue,
                // An error means that its thread is gone.
                _ = &mut self.ending.data_plane => return End::Broken,
            };
            if let Some(end) = self.upgrade(reply, signals).await {
                return end;
            }
        }
    }

    /// Lets another process take over. Returns the end that follows; `None` to go on.
    async fn upgrade(&mut self, reply: Reply, signals: &mut Signals) -> Option<End> {
        info!(target: "bascule::app", "upgrading: another process is started to take over");
        self.process.enter(Stage::Upgrading);
        let result = {
            let attempt = self.estate.pass_on();
            tokio::pin!(attempt);
            loop {
                tokio::select! {
                    result = &mut attempt => break result,
                    signal = signals.next() => match signal {
                        Signal::Upgrade => refuse(None, &self.current.load().metrics),
                        // What was started ends with the attempt.
                        Signal::Terminate | Signal::Interrupt => return Some(End::Told(signal)),
                    },
                    Some(ProcessOrder::Upgrade(reply)) = self.orders.recv() => {
                        refuse(Some(reply), &self.current.load().metrics);
                    }
                    () = self.notifier.look_after() => {}
                }
            }
        };
        let upgrade = Upgrade { at: clock::now(), result: result.clone().map_err(reason_of) };
        self.process.tried(upgrade);
        let end = match &result {
            Ok(successor) => {
                let Successor { pid, version } = successor;
                info!(target: "bascule::app", pid, version, "another process has taken over");
                self.current.load().metrics.upgrade(UpgradeResult::Completed);
                self.process.enter(Stage::Draining { successor: Some(*pid) });
                self.notifier.succeeded_by(*pid);
                Some(End::TakenOver)
            }
            Err(failed) => {
                let reason = reason_of(failed.clone());
                warn!(target: "bascule::app", reason, "the upgrade failed; this process goes on serving");
                self.current.load().metrics.upgrade(UpgradeResult::Failed);
                self.process.enter(Stage::Serving);
                None
            }
        };
        if let Some(reply) = reply {
            // Whoever asked may have gone away.
            _ = reply.send(result);
        }
        end
    }
}

impl Estate {
    async fn pass_on(&self) -> Result<Successor, NoUpgrade> {
        let failed = |error: &dyn std::fmt::Display| NoUpgrade::Failed(error.to_string());
        if let Some(reason) = obstacle() {
            return Err(NoUpgrade::Impossible(reason));
        }
        let program = self.program.as_ref().ok_or(NoUpgrade::Impossible(
            "a demonstration has backends of its own, which end with it",
        ))?;
        let sockets = self.sockets.handed_on().map_err(|error| failed(&error))?;
        let record = self.recorder.record().await;
        let record = record.ok_or_else(|| failed(&"the fleet does not answer"))?;
        let record = line_of(&record).map_err(|error| failed(&error))?;
        let taken = program.take_over(sockets, record).await.map_err(|error| failed(&error))?;
        Ok(Successor { pid: taken.pid, version: taken.version })
    }
}

impl Recorder {
    pub(crate) fn new(
        questions: mpsc::Sender<Question>,
        keeper: &Keeper,
        generation: u64,
        relay_key: String,
    ) -> Self {
        Self { questions, keeper: keeper.clone(), generation, relay_key }
    }

    /// `None` if nobody knows, because the process is about to end.
    async fn record(&self) -> Option<Record> {
        let (question, answer) = oneshot::channel();
        self.questions.send(question).await.ok()?;
        Some(Record {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            generation: self.generation,
            relay_key: self.relay_key.clone(),
            fleet: answer.await.ok()?,
            incidents: self.keeper.numbers(),
        })
    }
}

impl Sockets {
    /// Returns another handle of every socket, with its name.
    fn handed_on(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let mut all = Vec::new();
        for server in &self.servers {
            all.push((UNNAMED.to_owned(), server.try_clone()?.into()));
        }
        for (name, socket) in self.plane.sockets()? {
            all.push((name.unwrap_or_else(|| UNNAMED.to_owned()), socket.into()));
        }
        Ok(all)
    }
}

/// How sockets are called that are known by their addresses.
const UNNAMED: &str = "-";

/// Says why no other process can take over from this one.
fn obstacle() -> Option<&'static str> {
    let is_set = |name| std::env::var_os(name).is_some();
    let is_services =
        std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|it| it == std::process::id().to_string());
    if std::process::id() == 1 {
        Some("this is the first process of its container, which ends with it")
    } else if is_services && !is_set("NOTIFY_SOCKET") {
        Some("systemd takes the end of this process for the service's: it needs Type=notify")
    } else {
        None
    }
}

fn refuse(reply: Reply, metrics: &Metrics) {
    warn!(target: "bascule::app", "an upgrade is refused: another one is under way");
    metrics.upgrade(UpgradeResult::Refused);
    if let Some(reply) = reply {
        // Whoever asked may have gone away.
        _ = reply.send(Err(NoUpgrade::Untimely("an upgrade is under way")));
    }
}

fn reason_of(failed: NoUpgrade) -> String {
    match failed {
        NoUpgrade::Untimely(reason) | NoUpgrade::Impossible(reason) => reason.to_owned(),
        NoUpgrade::Failed(reason) => reason,
    }
}
