//! The book of incidents: follows every story from the first sign of trouble to its end.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::Timestamp,
    event::{Event, Evidence, Heir, LossReason, Source, Symptom},
    incident::{
        Cause, Incident, IncidentState, Moments, Requests,
        signs::Signs,
        window::{self, Window},
    },
    model::{BackendId, PoolId, SharedTopology, Succession},
    snapshot::{IncidentWindow, Live},
};

/// Incidents kept, in all pools together; the oldest finished ones go first.
const KEPT: usize = 200;
/// Incidents of a pool of which requests can be told that they count them: a record is written soon
/// after its request.
const WINDOWS: usize = 4;
/// Pools whose numbers are remembered when they are configured no more, so that one that comes back
/// uses none twice.
const NUMBERED: usize = 1_024;
/// Signs of trouble kept of one incident.
const EVIDENCE_KEPT: usize = 16;
/// How long signs of trouble are taken to be of one trouble, at least; where checks are so slow that
/// they take longer to condemn a backend, as long as that. A backend may be suspected for hours
/// before it is lost, and what was seen then explains nothing.
const EVIDENCE_HOLDS: Duration = Duration::from_secs(60);
/// A failure this soon after an operator asked for one is taken to be that one.
const REQUEST_HOLDS: Duration = Duration::from_secs(60);

/// What happened to an incident, for logs and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The incident as it stands after this.
    pub incident: Arc<Incident>,
    /// What is new.
    pub news: News,
    /// With [`News::Settled`] and [`News::Recounted`]: what was counted and not told before.
    pub counted: Requests,
}

/// What is new of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A backend that served was lost.
    Opened,
    /// The first request succeeded elsewhere.
    Serving,
    /// Traffic has settled; the window is closed.
    Settled,
    /// The window was opened again by an attempt that failed late, and has closed again.
    Recounted,
    /// The backend may be picked again.
    Recovered,
    /// Traffic is back, or another story of the same backend begins.
    Closed,
}

/// Follows every incident of a topology.
#[derive(Debug)]
pub struct Book {
    topology: SharedTopology,
    /// Trouble of backends that are not lost.
    suspicions: BTreeMap<BackendId, Trouble>,
    /// When an operator asked for a backend to fail.
    requested: BTreeMap<BackendId, Timestamp>,
    /// Oldest first.
    stories: Vec<Story>,
    /// Incidents so far, by the pool's name.
    numbers: BTreeMap<String, u64>,
    /// The tier that serves, by pool.
    active: Vec<Option<usize>>,
    entries: VecDeque<Entry>,
}

/// What is known of a backend's trouble.
#[derive(Debug, Default)]
struct Trouble {
    /// The first signs.
    evidence: Vec<Evidence>,
    /// All of them, added up.
    signs: Signs,
}

#[derive(Debug)]
struct Story {
    incident: Incident,
    signs: Signs,
    window: Window,
    /// What was counted each time that its window closed; `None` if it has not.
    told: Option<Requests>,
}

impl Story {
    /// Tells whether an attempt at its backend that began then belongs to it, by its end.
    fn is_before_its_end(&self, began: Timestamp) -> bool {
        self.incident.moments.recovered.is_none_or(|recovered| began < recovered)
    }

    /// Tells of the counts of its window, which has closed.
    fn counted(&mut self) -> Entry {
        let requests = self.incident.requests;
        let told = self.told.replace(requests);
        Entry {
            incident: Arc::new(self.incident.clone()),
            news: if told.is_none() { News::Settled } else { News::Recounted },
            counted: requests.beyond(&told.unwrap_or_default()),
        }
    }
}

impl Book {
    /// Makes an empty book.
    pub fn new(topology: SharedTopology) -> Self {
        Self {
            active: vec![None; topology.pools.len()],
            topology,
            suspicions: BTreeMap::new(),
            requested: BTreeMap::new(),
            stories: Vec::new(),
            numbers: BTreeMap::new(),
            entries: VecDeque::new(),
        }
    }

    /// Numbers the incidents of each pool on from what is said there of it.
    pub fn number_from(&mut self, numbers: BTreeMap<String, u64>) {
        for (pool, number) in numbers {
            let highest = self.numbers.entry(pool).or_default();
            *highest = number.max(*highest);
        }
    }

    /// Takes over another topology. Stories of backends that go on go on; those of the others end.
    ///
    /// `active` says which tier serves in each of its pools.
    pub fn adopt(&mut self, topology: SharedTopology, active: Vec<Option<usize>>) {
        let heirs = Succession::between(&self.topology, &topology);
        // First, as long as all of them are called by the same topology's numbers.
        for index in 0..self.stories.len() {
            let place = self.stories[index].incident.place;
            if let Some(place) = place.filter(|&place| heirs.backend(place).is_none()) {
                self.finish_earlier(place);
            }
        }
        // What has not been fetched is counted by the new topology's series, or by none.
        for entry in &mut self.entries {
            rename(Arc::make_mut(&mut entry.incident), &heirs);
        }
        for Story { incident, .. } in &mut self.stories {
            rename(incident, &heirs);
            if let Some(place) = incident.place.filter(|_| incident.state != IncidentState::Closed)
            {
                incident.from_tier = topology.backend(place).tier;
            }
        }
        self.suspicions = renamed(std::mem::take(&mut self.suspicions), &heirs);
        self.requested = renamed(std::mem::take(&mut self.requested), &heirs);
        let is_told = |name: &String| self.stories.iter().any(|it| it.incident.pool == *name);
        if NUMBERED < self.numbers.len() {
            self.numbers.retain(|name, _| topology.pool_named(name).is_some() || is_told(name));
        }
        self.active = active;
        self.topology = topology;
        self.close_the_finished();
    }

    /// Takes in an event of `now`.
    pub fn handle(&mut self, event: &Event, live: &Live, now: Timestamp) {
        match *event {
            Event::BackendSuspected { backend, evidence } => {
                self.suspicions.insert(backend, Trouble::default());
                self.trouble(backend, evidence, live, now);
            }
            Event::EvidenceGathered { backend, evidence } => {
                self.trouble(backend, evidence, live, now);
            }
            Event::BackendCleared { backend } => _ = self.suspicions.remove(&backend),
            Event::BackendLost { backend, reason, served, heir } => {
                self.open(&Opening { backend, reason, served, heir }, live, now);
            }
            Event::BackendDrained { backend, served, heir, .. } => {
                let reason = LossReason::Drained;
                self.open(&Opening { backend, reason, served, heir }, live, now);
            }
            Event::FailoverRequested { backend, from, heir } => {
                let (reason, served) = (LossReason::Manual, Some(from));
                self.open(&Opening { backend, reason, served, heir }, live, now);
                // Nothing is wrong with it: the story ends when traffic returns.
                if let Some(Story { incident, .. }) = self.stories.last_mut()
                    && incident.place == Some(backend)
                {
                    incident.moments.recovered = Some(now);
                }
            }
            Event::BackendServed { backend } => self.serving(backend, now),
            Event::BackendRegained { backend } => self.recovered(backend, now),
            Event::TierChanged { pool, to, .. } => self.tier_changed(pool, to, now),
            // The return is told of when all of it is done; a loss that breaks it off is a story of
            // its own.
            Event::FailbackBegan { .. }
            | Event::FailbackAborted { .. }
            | Event::BackendEjected { .. }
            | Event::BackendEnabled { .. }
            | Event::WeightChanged { .. }
            | Event::FailoverEnded { .. }
            | Event::EvidenceDisagreed { .. }
            | Event::EvidenceAgreed { .. } => {}
            Event::FaultRequested { backend, .. } => _ = self.requested.insert(backend, now),
            Event::FaultWithdrawn { backend } => _ = self.requested.remove(&backend),
        }
        self.close_the_finished();
    }

    /// Takes in that a health check of `backend` passed that had begun at `began`, before the event
    /// that may follow from it.
    pub fn check_passed(&mut self, backend: BackendId, began: Timestamp) {
        if let Some(trouble) = self.suspicions.get_mut(&backend) {
            trouble.signs.check_passed(began);
        }
        for Story { incident, signs, .. } in &mut self.stories {
            if incident.place == Some(backend) && incident.is_under_way() {
                signs.check_passed(began);
                incident.cause = signs.cause();
            }
        }
    }

    /// Returns when [`Book::handle_deadline`] must be called next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let left = self.stories.iter().filter(|it| it.incident.place.is_some());
        left.filter_map(|story| story.window.deadline()).min()
    }

    /// Brings every window up to `now`. Calling it early or twice is harmless.
    pub fn handle_deadline(&mut self, live: &Live, now: Timestamp) {
        for story in &mut self.stories {
            // Of a backend that is gone nothing is waited for any more.
            let Some(place) = story.incident.place else { continue };
            let timeline = &live.pool(place.pool).timeline;
            let was_open = story.incident.window_to.is_none();
            story.window.advance(&mut story.incident, timeline, now);
            if was_open && story.incident.window_to.is_some() {
                if story.incident.state == IncidentState::Open {
                    story.incident.state = IncidentState::Serving;
                }
                self.entries.push_back(story.counted());
            }
        }
        self.close_the_finished();
    }

    /// Returns the next entry; `None` when all have been fetched.
    pub fn poll_entry(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// Returns every incident kept, oldest first.
    pub fn incidents(&self) -> Vec<Arc<Incident>> {
        self.stories.iter().map(|story| Arc::new(story.incident.clone())).collect()
    }

    /// Returns the incident of this pool that was opened last.
    pub fn latest(&self, pool: PoolId) -> Option<&Incident> {
        self.stories.iter().rev().map(|story| &story.incident).find(|it| it.is_in(pool))
    }

    /// Tells whether an incident of this pool is in its window.
    pub fn is_open(&self, pool: PoolId) -> bool {
        self.stories
            .iter()
            .any(|story| story.incident.is_in(pool) && story.incident.window_to.is_none())
    }

    /// Returns when the requests of the latest incidents of this pool finished, newest first.
    pub fn windows(&self, pool: PoolId) -> Vec<IncidentWindow> {
        let stories = self.stories.iter().rev().map(|story| &story.incident);
        let of_pool = stories.filter(|it| it.is_in(pool)).take(WINDOWS);
        of_pool
            .map(|it| IncidentWindow { number: it.number, from: it.window_from, to: it.window_to })
            .collect()
    }

    fn trouble(&mut self, backend: BackendId, evidence: Evidence, live: &Live, now: Timestamp) {
        let timeline = &live.pool(backend.pool).timeline;
        // An attempt that was waiting at the lost backend all along belongs to the story however
        // late it ends, also when the backend is well again, and the story over.
        let own = self.stories.iter().position(|it| {
            it.incident.place == Some(backend) && it.is_before_its_end(evidence.began)
        });
        let holds = self.evidence_holds(backend);
        if let Some(trouble) = self.suspicions.get_mut(&backend).filter(|_| own.is_none()) {
            if trouble.evidence.first().is_some_and(|first| first.at + holds < evidence.at) {
                *trouble = Trouble::default();
            }
            trouble.signs.note(evidence, timeline, backend.index, now);
            if trouble.evidence.len() < EVIDENCE_KEPT {
                trouble.evidence.push(evidence);
            }
        }
        for (index, Story { incident, signs, window, .. }) in self.stories.iter_mut().enumerate() {
            let is_own = own == Some(index);
            if is_own {
                signs.note(evidence, timeline, backend.index, now);
                incident.cause = signs.cause();
                if incident.evidence.len() < EVIDENCE_KEPT {
                    incident.evidence.push(evidence);
                }
            }
            if evidence.source == Source::HealthCheck || !incident.is_in(backend.pool) {
                continue;
            }
            if is_own {
                window.disturbed(incident, evidence.at);
            } else if incident.window_to.is_none() {
                // Trouble elsewhere keeps a window open, but opens none again.
                window.disturbed_elsewhere(incident, evidence.at);
            }
        }
    }

    fn evidence_holds(&self, backend: BackendId) -> Duration {
        let checks = &self.topology.pool(backend.pool).health_check;
        let condemned = (checks.interval + checks.timeout) * (checks.fall.get().saturating_add(1));
        EVIDENCE_HOLDS.max(condemned)
    }

    fn open(&mut self, opening: &Opening, live: &Live, now: Timestamp) {
        let Opening { backend, reason, served, heir } = *opening;
        let Trouble { evidence, mut signs } = self.suspicions.remove(&backend).unwrap_or_default();
        let ordered = ordered(reason);
        if let Some(cause) = ordered {
            signs.ordered(cause);
        }
        let from_tier = self.topology.backend(backend).tier;
        if served != Some(from_tier) {
            // It stood by; nobody's requests were going there.
            return;
        }
        self.finish_earlier(backend);
        // Not always the first: threads may have told of their failures in another order.
        let suspected = evidence.iter().map(|it| it.at).min().unwrap_or(now);
        let asked = self.requested.remove(&backend);
        let pool = self.topology.pool(backend.pool);
        let number = self.numbers.entry(pool.name.clone()).or_default();
        *number += 1;
        let timeline = &live.pool(backend.pool).timeline;
        let window_from = window::beginning(timeline, suspected, now);
        let incident = Incident {
            number: *number,
            pool: pool.name.clone(),
            backend: pool.backends[backend.index].name.clone(),
            place: Some(backend),
            state: IncidentState::Open,
            cause: signs.cause(),
            detected_by: reason,
            is_requested: ordered.is_some()
                || asked.is_some_and(|at| suspected.since(at) <= REQUEST_HOLDS)
                || evidence.iter().any(|it| matches!(it.symptom, Symptom::Injected(_))),
            from_tier,
            heir,
            heir_name: heir.map(|it| pool.backends[it.index].name.clone()),
            evidence,
            moments: Moments {
                suspected,
                decided: now,
                serving: None,
                stable: None,
                recovered: None,
                failed_back: None,
            },
            window_from,
            window_to: None,
            requests: Requests::default(),
            before: window::before(timeline, window_from, now),
            during: None,
            after: None,
        };
        self.enter(&incident, News::Opened);
        let window = Window::new(window_from, now);
        self.stories.push(Story { window, signs, incident, told: None });
        self.forget_the_oldest();
    }

    /// Ends an earlier story of the same backend that has not ended: it never got its traffic
    /// back.
    fn finish_earlier(&mut self, backend: BackendId) {
        for index in 0..self.stories.len() {
            let story = &mut self.stories[index];
            if story.incident.place == Some(backend)
                && story.incident.state != IncidentState::Closed
            {
                let was_open = story.incident.window_to.is_none();
                story.window.close(&mut story.incident);
                story.incident.state = IncidentState::Closed;
                let incident = story.incident.clone();
                if was_open {
                    let counted = story.counted();
                    self.entries.push_back(counted);
                }
                self.enter(&incident, News::Closed);
            }
        }
    }

    fn serving(&mut self, backend: BackendId, now: Timestamp) {
        let tier = self.topology.backend(backend).tier;
        for index in 0..self.stories.len() {
            let Story { incident, window, .. } = &mut self.stories[index];
            if incident.is_in(backend.pool)
                && (incident.place != Some(backend) || incident.moments.recovered.is_some())
                && incident.moments.serving.is_none()
                && incident.state != IncidentState::Closed
            {
                incident.moments.serving = Some(now);
                incident.heir = Some(Heir { tier, index: backend.index });
                incident.heir_name = Some(self.topology.backend(backend).name.clone());
                window.disturbed(incident, now);
                let incident = incident.clone();
                self.enter(&incident, News::Serving);
            }
        }
    }

    fn recovered(&mut self, backend: BackendId, now: Timestamp) {
        for index in 0..self.stories.len() {
            let incident = &mut self.stories[index].incident;
            if incident.place == Some(backend) && incident.moments.recovered.is_none() {
                incident.moments.recovered = Some(now);
                if is_back(self.active[backend.pool.0], incident) {
                    // Its tier serves already, or still, or has its place behind the one that
                    // does: being eligible is being back.
                    incident.moments.failed_back = Some(now);
                }
                let incident = incident.clone();
                self.enter(&incident, News::Recovered);
            }
        }
    }

    fn tier_changed(&mut self, pool: PoolId, to: Option<usize>, now: Timestamp) {
        self.active[pool.0] = to;
        for story in &mut self.stories {
            let incident = &mut story.incident;
            if incident.is_in(pool)
                && incident.state != IncidentState::Closed
                && incident.moments.recovered.is_some()
                && is_back(to, incident)
            {
                incident.moments.failed_back = Some(now);
            }
        }
    }

    /// Moves stories on whose backend is well again: to `Recovered`, and to `Closed` once traffic
    /// is back and what it cost is known.
    fn close_the_finished(&mut self) {
        for index in 0..self.stories.len() {
            let incident = &mut self.stories[index].incident;
            if incident.moments.recovered.is_none() || incident.state == IncidentState::Closed {
                continue;
            }
            if incident.window_to.is_none() {
                continue;
            }
            incident.state = if incident.moments.failed_back.is_some() {
                IncidentState::Closed
            } else {
                IncidentState::Recovered
            };
            if incident.state == IncidentState::Closed {
                let incident = incident.clone();
                self.enter(&incident, News::Closed);
            }
        }
    }

    fn enter(&mut self, incident: &Incident, news: News) {
        let incident = Arc::new(incident.clone());
        self.entries.push_back(Entry { incident, news, counted: Requests::default() });
    }

    fn forget_the_oldest(&mut self) {
        while KEPT < self.stories.len() {
            let finished =
                self.stories.iter().position(|it| it.incident.state == IncidentState::Closed);
            self.stories.remove(finished.unwrap_or(0));
        }
    }
}

/// Has an incident call its backends by the numbers of those that go on.
fn rename(incident: &mut Incident, heirs: &Succession) {
    let Some(place) = incident.place else { return };
    incident.heir = incident.heir.and_then(|heir| {
        let id = BackendId { pool: place.pool, index: heir.index };
        // By name it is remembered all the same.
        let BackendId { index, .. } = heirs.backend(id)?;
        Some(Heir { index, ..heir })
    });
    incident.place = heirs.backend(place);
}

fn renamed<T>(all: BTreeMap<BackendId, T>, names: &Succession) -> BTreeMap<BackendId, T> {
    all.into_iter().filter_map(|(id, it)| Some((names.backend(id)?, it))).collect()
}

/// What begins a story.
struct Opening {
    backend: BackendId,
    reason: LossReason,
    /// The backend's own tier if traffic went there; otherwise the tier that was active.
    served: Option<usize>,
    heir: Option<Heir>,
}

/// Returns what the story is about if an operator's order began it.
fn ordered(reason: LossReason) -> Option<Cause> {
    match reason {
        LossReason::Drained => Some(Cause::Drained),
        LossReason::Manual => Some(Cause::Manual),
        LossReason::HealthCheck | LossReason::Outlier => None,
    }
}

/// Tells whether traffic is back once `active` serves: in the tier that served before, or in a better
/// one, from which nothing will move it there.
fn is_back(active: Option<usize>, incident: &Incident) -> bool {
    active.is_some_and(|active| active <= incident.from_tier)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_adoption;
