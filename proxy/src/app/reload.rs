//! Reload: another configuration takes the place of the one in use, as a whole or not at all.
//!
//! One after the other: read and check it; bind and read all that it needs; make its generation, in
//! which what goes on is shared with the one before; have the fleet take it over; wait until backends
//! that are new have been checked once, while the generation before serves on; then have each request
//! that comes served by the new one. Whatever can fail comes before anything is changed.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tracing::{error, info, warn};

use crate::{
    admin::{Answer, Gate, Order, Signal as Heard, wire},
    app::{data_plane::DataPlane, notifier, source::Source},
    clock::{self, Timestamp},
    config::{
        Effective, Loaded,
        difference::{Change, difference},
    },
    control::Adoption,
    departure::Departure,
    exchange::{Generation, GenerationCell},
    files::Mark,
    gateway::Gateway,
    model::Topology,
    telemetry::metrics::ReloadResult,
};

/// How often files are looked at, where they are watched.
const LOOK: Duration = Duration::from_secs(1);
/// Longest wait for the fleet, which takes milliseconds.
const ADOPTION: Duration = Duration::from_secs(10);
/// What a check may take beyond its timeout, on a busy machine.
const BEYOND_CHECK: Duration = Duration::from_millis(500);
/// What a process is started with and keeps.
const FIXED: [&str; 7] =
    ["threads", "history", "admin.address", "admin.tls", "admin.log_stream", "logging", "version"];

/// Who asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    Api,
    Signal,
    Files,
}

impl Trigger {
    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Signal => "signal",
            Self::Files => "files",
        }
    }
}

/// What is loaded.
pub(crate) struct Loading {
    pub(crate) source: Source,
    /// What is shown of the configuration in use.
    pub(crate) shown: Arc<ArcSwap<wire::Config>>,
    /// What the files were when they were last loaded.
    pub(crate) marks: Vec<Mark>,
}

/// Loads configurations, one at a time.
pub(crate) struct Reloader {
    pub(crate) plane: Arc<DataPlane>,
    /// Who forwards at present.
    pub(crate) gateway: Gateway,
    pub(crate) current: GenerationCell,
    /// Who may do what, which is configured as well.
    pub(crate) gate: Arc<Gate>,
    pub(crate) adoptions: mpsc::Sender<Adoption>,
    pub(crate) departure: Departure,
    pub(crate) loading: Loading,
}

impl Reloader {
    /// Loads configurations when told to, for as long as the process runs.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut hang_up = hang_up();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.loading.marks.clone();
        loop {
            let hung_up = async {
                match &mut hang_up {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                _ = hung_up => {
                    self.reload(Trigger::Signal, false).await;
                }
                _ = looks.tick() => {
                    let marks = self.loading.source.marks();
                    // Seen twice: whoever writes it has finished.
                    let is_due = marks != self.loading.marks && marks == seen;
                    seen = marks;
                    if is_due && self.gateway.exchange.topology.reload.watch {
                        self.reload(Trigger::Files, false).await;
                    }
                }
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        // Whoever asked may have given up waiting.
        match order {
            Order::Reload { expect, is_dry, answer } => {
                let number = self.gateway.exchange.number;
                _ = answer.send(if expect.is_some_and(|it| it != number) {
                    Answer::Changed(number)
                } else {
                    self.reload(Trigger::Api, is_dry).await
                });
            }
            Order::Check { text, answer } => {
                let began = clock::now();
                let checked = match self.loading.source.read_text(&text) {
                    Ok(loaded) => self.judge(&loaded),
                    Err(rejection) => self.refused(rejection.problems().iter().map(Into::into)),
                };
                _ = answer.send(Answer::Done(Box::new(finish(checked, Trigger::Api, began))));
            }
        }
    }

    /// Loads the configuration again; with `is_dry` it is only tried.
    async fn reload(&mut self, trigger: Trigger, is_dry: bool) -> Answer {
        let began = clock::now();
        if !is_dry {
            // Before they are read: a change in between is found the next time.
            self.loading.marks = self.loading.source.marks();
            if self.departure.has_begun() {
                return self.refuse_as_leaving(trigger, began);
            }
        }
        let Some(read) = self.loading.source.read() else {
            warn!(target: "bascule::config", "there is no file to load again");
            return Answer::NoFile;
        };
        if !is_dry {
            notifier::reloading();
        }
        let (outcome, applied) = match read {
            Err(rejection) => (self.refused(rejection.problems().iter().map(Into::into)), None),
            Ok(loaded) if is_dry => (self.judge(&loaded), None),
            Ok(loaded) => match self.apply(&loaded).await {
                Ok(outcome) => (outcome, Some(loaded.effective.clone())),
                Err(refused) => (*refused, None),
            },
        };
        let outcome = finish(outcome, trigger, began);
        if !is_dry {
            self.note(trigger, &outcome);
            self.record(&outcome, applied);
            notifier::reloaded();
        }
        Answer::Done(Box::new(outcome))
    }

    /// Loads nothing, because the process is about to end: it would open listeners that it has let go.
    fn refuse_as_leaving(&self, trigger: Trigger, began: Timestamp) -> Answer {
        let generation = self.gateway.exchange.number;
        warn!(
            target: "bascule::config", trigger = trigger.name(), generation,
            "configuration not loaded: {LEAVING}; whoever is started next reads it"
        );
        let refused = self.refused([outside(LEAVING.to_owned())]);
        self.note(trigger, &finish(refused, trigger, began));
        Answer::Leaving
    }

    /// Leaves in the audit trail what no request of anybody's brought about.
    fn note(&self, trigger: Trigger, outcome: &wire::Reload) {
        let name = match trigger {
            // The request is in the trail.
            Trigger::Api => return,
            Trigger::Signal => "SIGHUP",
            Trigger::Files => "files",
        };
        let reasons = outcome.problems.iter().map(|it| it.message.as_str()).collect::<Vec<_>>();
        let refusal = (outcome.result == "refused").then(|| ("refused", reasons.join("; ")));
        self.gate.note_signal(Heard {
            name,
            action: "configuration.reload",
            target: "configuration".to_owned(),
            before: json!({ "generation": self.loading.shown.load().generation }),
            after: json!({ "generation": outcome.generation, "result": outcome.result }),
            refusal,
        });
    }

    /// Says what would become of a configuration.
    fn judge(&self, loaded: &Loaded) -> wire::Reload {
        match self.plane.prepare(&loaded.topology) {
            Err(faults) => self.refused(faults.iter().map(|it| outside(it.to_string()))),
            Ok(_) => match crate::app::review(&loaded.topology) {
                Err(error) => self.refused([outside(error.to_string())]),
                Ok(()) => match Gate::review(&loaded.topology.admin) {
                    Err(error) => self.refused([outside(error.to_string())]),
                    Ok(()) => self.outcome("accepted", loaded),
                },
            },
        }
    }

    /// Puts a configuration in the place of the one in use; what is in the way changes nothing.
    async fn apply(&mut self, loaded: &Loaded) -> Result<wire::Reload, Box<wire::Reload>> {
        let refused = |faults: Vec<String>| {
            Box::new(self.refused(faults.into_iter().map(wire::ConfigFault::outside)))
        };
        let preparation = self
            .plane
            .prepare(&loaded.topology)
            .map_err(|faults| refused(faults.iter().map(ToString::to_string).collect()))?;
        let before = Arc::clone(self.gateway.exchange.generation());
        let next = before
            .succeeded_by(loaded.topology.clone())
            .map_err(|error| refused(vec![error.to_string()]))?;
        let next = Arc::new(next);
        let gate = self
            .gate
            .prepare(&next.topology.admin)
            .map_err(|error| refused(vec![error.to_string()]))?;
        let (done, adopted) = oneshot::channel();
        let adoption = Adoption { generation: Arc::clone(&next), done };
        let is_adopted = self.adoptions.send(adoption).await.is_ok()
            && matches!(timeout(ADOPTION, adopted).await, Ok(Ok(())));
        if !is_adopted {
            error!(target: "bascule::config", "the fleet did not take the configuration over");
        }
        first_checks(&next).await;
        if self.departure.has_begun() {
            // Since this was begun. What the fleet makes of it until the end is of no matter.
            return Err(refused(vec![LEAVING.to_owned()]));
        }
        self.gate.adopt(gate);
        let exchange = self.gateway.exchange.succeeded_by(Arc::clone(&next));
        let limits = Arc::new(self.gateway.limits.succeeded_by(&next.topology));
        limits.take_effect();
        self.gateway = Gateway { exchange: Arc::new(exchange), limits, ..self.gateway.clone() };
        self.departure.adopt(next.topology.shutdown);
        self.plane.serve(preparation, &self.gateway, &self.departure);
        self.current.store(Arc::clone(&next));
        before.connections.retire(&next.connections);
        let result = if value_of(&loaded.effective) == self.loading.shown.load().config {
            "unchanged"
        } else {
            "applied"
        };
        Ok(self.outcome(result, loaded))
    }

    fn refused(&self, problems: impl IntoIterator<Item = wire::ConfigFault>) -> wire::Reload {
        let problems = problems.into_iter().collect();
        wire::Reload { result: "refused", problems, ..self.blank() }
    }

    fn outcome(&self, result: &'static str, loaded: &Loaded) -> wire::Reload {
        let changes = difference(&self.loading.shown.load().config, &value_of(&loaded.effective));
        wire::Reload {
            result,
            needs_restart: needs_restart(&changes),
            changes,
            problems: loaded.findings.problems().iter().map(Into::into).collect(),
            ..self.blank()
        }
    }

    fn blank(&self) -> wire::Reload {
        wire::Reload {
            schema: wire::SCHEMA,
            at: String::new(),
            trigger: "",
            result: "",
            generation: self.gateway.exchange.number,
            took_seconds: 0.0,
            changes: Vec::new(),
            needs_restart: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Says how a reload ended: in the log, the metrics and the answers of the sidecar. `applied` is
    /// what is in use since, if it is another configuration.
    fn record(&self, outcome: &wire::Reload, applied: Option<Effective>) {
        let number = outcome.generation;
        let result = match outcome.result {
            "applied" => ReloadResult::Applied,
            "unchanged" => ReloadResult::Unchanged,
            _ => ReloadResult::Refused,
        };
        for fault in &outcome.problems {
            let (path, line) = (fault.path.as_deref().unwrap_or_default(), fault.line.unwrap_or(0));
            warn!(
                target: "bascule::config", code = fault.code, severity = fault.severity, path, line,
                remedy = fault.remedy, "{}", fault.message
            );
        }
        let changes = outcome.changes.len();
        if result == ReloadResult::Refused {
            error!(
                target: "bascule::config", generation = number, trigger = outcome.trigger,
                problems = outcome.problems.len(),
                "configuration refused; the one in use stays"
            );
        } else {
            for change in outcome.changes.iter().take(LOGGED) {
                info!(target: "bascule::config", "{change}");
            }
            for path in &outcome.needs_restart {
                warn!(target: "bascule::config", path, "takes effect with the next start only");
            }
            info!(
                target: "bascule::config", generation = number, trigger = outcome.trigger, changes,
                took_ms = outcome.took_seconds * 1e3, "configuration {}", result.name()
            );
        }
        self.gateway.exchange.metrics.reloaded(result, number, clock::now());
        let mut shown = wire::Config::clone(&self.loading.shown.load());
        shown.last_reload = Some(outcome.clone());
        if let Some(effective) = applied {
            shown.generation = number;
            shown.loaded_at.clone_from(&outcome.at);
            shown.config = value_of(&effective);
            shown.yaml = effective.yaml(false);
        }
        self.loading.shown.store(Arc::new(shown));
    }
}

/// Why nothing is loaded any more.
const LEAVING: &str = "this process is about to end";

/// Changes told of in the log; the sidecar tells of more.
const LOGGED: usize = 50;

/// Takes over SIGHUP from the system. To be called in a runtime.
fn hang_up() -> Option<Signal> {
    signal(SignalKind::hangup())
        .inspect_err(|error| warn!(target: "bascule::app", %error, "SIGHUP cannot be listened to"))
        .ok()
}

/// Returns what is shown of a configuration that has just been loaded.
pub(crate) fn shown(source: &Source, effective: Option<&Effective>) -> wire::Config {
    wire::Config {
        schema: wire::SCHEMA,
        generation: 1,
        loaded_at: clock::rfc3339_of(clock::now()),
        files: source.names(),
        last_reload: None,
        config: effective.map_or(Value::Null, value_of),
        yaml: effective.map(|it| it.yaml(false)).unwrap_or_default(),
    }
}

/// Returns a configuration as it is shown.
fn value_of(effective: &Effective) -> Value {
    effective.json()["config"].take()
}

fn outside(message: String) -> wire::ConfigFault {
    wire::ConfigFault::outside(message)
}

fn finish(outcome: wire::Reload, trigger: Trigger, began: Timestamp) -> wire::Reload {
    let now = clock::now();
    wire::Reload {
        at: clock::rfc3339_of(now),
        trigger: trigger.name(),
        took_seconds: now.since(began).as_secs_f64(),
        ..outcome
    }
}

/// Waits until every backend has been checked once: a client's request is no health check. Those that
/// go on have been.
async fn first_checks(generation: &Generation) {
    let deadline = clock::now() + longest_check(&generation.topology) + BEYOND_CHECK;
    while !generation.snapshot.load().is_checked() {
        if deadline <= clock::now() {
            warn!(target: "bascule::app", "some backends have not answered their first health check");
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn longest_check(topology: &Topology) -> Duration {
    topology.pools.iter().map(|pool| pool.health_check.timeout).max().unwrap_or_default()
}

fn needs_restart(changes: &[Change]) -> Vec<String> {
    let is_fixed = |path: &str| {
        FIXED.iter().any(|fixed| {
            path.strip_prefix(fixed).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    changes.iter().map(|it| it.path.clone()).filter(|it| is_fixed(it)).collect()
}
