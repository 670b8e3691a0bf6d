//! The history in a file: what a restart keeps, and what becomes of files that are no use.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::mpsc::RecvTimeoutError,
};

use super::{minute::Minute, *};
use crate::{event::Fate, model::sample};

/// A folder that goes when it goes.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("bascule-history-{:016x}", fastrand::u64(..));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn place(&self) -> Place {
        let again = Duration::from_millis(20);
        Place { file: self.join("history.redb"), bytes_max: 64 << 20, days: 30, again }
    }

    fn store(&self) -> Store {
        Store::open(&self.place().file, 64 << 20, 30 * 24 * 60).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn opened(place: Place) -> History {
    let (history, opened) = History::on_disk(place).unwrap();
    assert_ne!(opened.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Timeout));
    history
}

/// Returns a minute with so many requests in one second, and so much else that it weighs something.
fn minute(second: usize, requests: u64) -> Minute {
    let timeline = Timeline::new(1);
    for index in 0..requests {
        let took = Duration::from_micros(1 + index * 997 % 90_000);
        timeline.record(Timestamp::ZERO, took, Fate::Served, 1);
    }
    let counts = timeline.window(Timestamp::ZERO, Timestamp::from_millis(100), Timestamp::ZERO);
    let mut minute = Minute::default();
    minute.note(second, &counts, [("primary", requests)].into_iter());
    minute
}

fn batch(pool: &str, at: u64, minute: &Minute) -> Batch {
    Batch { minutes: vec![(pool.to_owned(), at, code::encoded(minute).into())], ..Batch::default() }
}

fn incident(pool: &str, number: u64, decided: u64) -> StoredIncident {
    StoredIncident { pool: pool.to_owned(), number, decided, record: b"{}".to_vec() }
}

fn requests(table: &Table) -> u64 {
    table.points.iter().flatten().map(|it| it.requests).sum()
}

/// A proxy with one pool, `api`, in which this many requests finish now.
fn served(history: &History, requests: u64) -> (Topology, Live) {
    let topology = sample::topology(vec![sample::pool("api", &[(0, 100), (1, 100)])]);
    let live = Live::new(&topology);
    let now = clock::now();
    for _ in 0..requests {
        live.pool(PoolId(0)).timeline.record(now, Duration::from_millis(2), Fate::Served, 1);
    }
    history.sample(&topology, &live, now);
    (topology, live)
}

#[test]
fn a_process_finds_what_the_one_before_has_kept() {
    let folder = Folder::new();
    let mut total = 0;
    for (requests_of, number) in [(5, 1), (7, 2)] {
        let history = opened(folder.place());
        let (topology, live) = served(&history, requests_of);
        let pool = topology.pools[0].name.clone();
        assert_eq!(history.numbers().get(&pool).copied().unwrap_or(0), number - 1);
        history.close(&topology, &live, vec![incident(&pool, number, number)]);
        total += requests_of;
        let history = opened(folder.place());
        history.sample(&topology, &Live::new(&topology), clock::now() + Duration::from_secs(2));
        assert_eq!(requests(&history.table(&pool, 900, None)), total, "those of both");
        assert_eq!(history.incidents().len(), usize::try_from(number).unwrap());
        assert_eq!(history.incidents()[0].number, number, "the newest first");
        assert!(history.status().unwrap().is_stored);
        // The next one finds nobody who has it.
        history.close(&topology, &live, Vec::new());
    }
}

#[test]
fn the_last_slot_is_within_the_last_second_whenever_it_ends() {
    for millis in 0..3_000 {
        let now = Timestamp::from_millis(1_000 + millis);
        let end = clock::at_wall(Duration::from_secs(end_of(now)));
        assert!(Timeline::floor(now) < Timeline::floor(end), "{now:?}");
    }
}

#[test]
fn a_file_that_another_process_has_is_taken_over_when_it_is_let_go() {
    let folder = Folder::new();
    let old = opened(folder.place());
    let new = opened(folder.place());
    assert!(!new.status().unwrap().is_stored);
    let (topology, live) = served(&new, 3);
    let pool = topology.pools[0].name.clone();
    let (old_topology, old_live) = served(&old, 4);
    old.close(&old_topology, &old_live, vec![incident(&pool, 1, 10)]);
    let deadline = clock::now() + Duration::from_secs(60);
    while !new.status().unwrap().is_stored {
        assert!(clock::now() < deadline, "not taken over");
        std::thread::yield_now();
    }
    // Both served in the same second, or nearly so.
    new.sample(&topology, &live, clock::now() + Duration::from_secs(2));
    assert_eq!(requests(&new.table(&pool, 900, None)), 7);
    assert_eq!(new.numbers()[&pool], 1);
    assert!(new.wants_incidents_again());
    assert_eq!(new.status().unwrap().failures, 0);
}

#[test]
fn a_damaged_file_is_put_aside_and_another_begun() {
    let folder = Folder::new();
    drop(folder.store());
    let whole = fs::read(folder.place().file).unwrap();
    let mut scratched = whole.clone();
    for byte in scratched.iter_mut().skip(64) {
        *byte ^= 0x5a;
    }
    let cut = whole[..whole.len() / 3].to_vec();
    for (index, bytes) in [b"not a history".to_vec(), scratched, cut].into_iter().enumerate() {
        fs::write(folder.place().file, &bytes).unwrap();
        let history = opened(folder.place());
        let status = history.status().unwrap();
        assert!(status.is_stored, "{index}");
        assert_eq!(status.failures, 1, "{index}");
        let aside = folder.files().into_iter().find(|it| it.contains("damaged")).unwrap();
        assert_eq!(fs::read(folder.join(&aside)).unwrap(), bytes, "{index}: as it was");
        let (topology, live) = served(&history, 1);
        history.close(&topology, &live, vec![]);
        fs::remove_file(folder.join(aside)).unwrap();
    }
}

#[test]
fn without_a_file_there_is_a_history_all_the_same() {
    let folder = Folder::new();
    // There is no such folder.
    let place = Place { file: folder.join("none/history.redb"), ..folder.place() };
    let history = opened(place);
    let (topology, live) = served(&history, 9);
    history.write(vec![incident("api", 1, 1)]);
    history.sample(&topology, &live, clock::now() + Duration::from_secs(2));
    assert_eq!(requests(&history.table(&topology.pools[0].name, 60, None)), 9);
    assert_eq!(history.incidents().len(), 1);
    let status = history.status().unwrap();
    assert!(!status.is_stored && 0 < status.failures, "{status:?}");
    // It comes about while there is always something to write: all that was in memory goes there.
    fs::create_dir(folder.join("none")).unwrap();
    let deadline = clock::now() + Duration::from_secs(60);
    while !history.status().unwrap().is_stored {
        assert!(clock::now() < deadline, "not tried again");
        history.write(vec![incident("api", 1, 1)]);
        std::thread::yield_now();
    }
    history.close(&topology, &live, vec![incident("api", 1, 1)]);
    let next = opened(Place { file: folder.join("none/history.redb"), ..folder.place() });
    next.sample(&topology, &Live::new(&topology), clock::now() + Duration::from_secs(2));
    assert_eq!(requests(&next.table(&topology.pools[0].name, 900, None)), 9);
    assert_eq!(next.incidents().len(), 1);
}

#[test]
fn a_change_is_there_as_a_whole_or_not_at_all() {
    // As a killed process leaves the file: copied while it is open, between two commits.
    let folder = Folder::new();
    let store = folder.store();
    for at in 0..50 {
        let incidents = vec![incident("api", at + 1, at)];
        let batch = Batch { incidents, ..batch("api", at, &minute(3, at)) };
        store.write(&batch).unwrap();
        let copy = Folder::new();
        fs::copy(folder.place().file, copy.place().file).unwrap();
        let found = copy.store();
        assert_eq!(found.minutes("api", 0..=99).unwrap().len() as u64, at + 1);
        assert_eq!(found.numbers().unwrap()["api"], at + 1);
    }
}

#[test]
fn two_incidents_of_one_number_do_not_overwrite_each_other() {
    let folder = Folder::new();
    let store = folder.store();
    let write = |it| store.write(&Batch { incidents: vec![it], ..Batch::default() }).unwrap();
    assert_eq!(write(incident("api", 1, 10)), 0);
    assert_eq!(write(StoredIncident { record: b"{1}".to_vec(), ..incident("api", 1, 10) }), 0);
    assert_eq!(write(incident("api", 1, 11)), 1, "another");
    let found = store.incidents().unwrap();
    assert_eq!((found.len(), &found[0].record[..]), (1, &b"{1}"[..]), "the story went on");
}

#[test]
fn after_a_day_minutes_are_kept_as_a_whole() {
    let folder = Folder::new();
    let store = folder.store();
    let whole = minute(7, 300);
    for pool in ["a", "b"] {
        for at in 100..110 {
            store.write(&batch(pool, at, &whole)).unwrap();
        }
    }
    store.tidy(105, 110).unwrap();
    for pool in ["a", "b"] {
        for (at, bytes) in store.minutes(pool, 0..=200).unwrap() {
            let found = code::decoded(&bytes).unwrap();
            assert_eq!(found.span(0, SECONDS), whole.span(0, SECONDS), "{at}");
            assert_eq!(found.answers(0, SECONDS).next(), Some(("primary", 300)), "{at}");
            assert_eq!(found.is_condensed(), at < 105, "{at}");
        }
    }
    // Once more, and what is older than is kept goes.
    store.tidy(108, 30 * 24 * 60 + 104).unwrap();
    let left: Vec<u64> = store.minutes("b", 0..=200).unwrap().iter().map(|it| it.0).collect();
    assert_eq!(left, [104, 105, 106, 107, 108, 109]);
}

#[test]
fn many_minutes_are_put_together_little_by_little() {
    let folder = Folder::new();
    let store = folder.store();
    let bytes: Box<[u8]> = code::encoded(&minute(7, 3)).into();
    let minutes = (0..1_200).map(|at| ("api".to_owned(), at, bytes.clone())).collect();
    store.write(&Batch { minutes, ..Batch::default() }).unwrap();
    for _ in 0..3 {
        store.tidy(1_200, 1_200).unwrap();
    }
    let found = store.minutes("api", 0..=2_000).unwrap();
    let condensed = found.iter().filter(|it| code::decoded(&it.1).unwrap().is_condensed()).count();
    assert_eq!((found.len(), condensed), (1_200, 1_200));
}

#[test]
fn the_file_stays_as_small_as_it_must() {
    let folder = Folder::new();
    let bytes_max = 8 << 20;
    let store = Store::open(&folder.place().file, bytes_max, u64::MAX).unwrap();
    let big = Batch {
        minutes: (0..60_u64)
            .map(|at| ("api".to_owned(), at, vec![7; 16 << 10].into_boxed_slice()))
            .collect(),
        incidents: vec![incident("api", 1, 1)],
        ..Batch::default()
    };
    for round in 0..20 {
        let incidents = big.incidents.clone();
        let mut batch = Batch { minutes: big.minutes.clone(), incidents, ..Batch::default() };
        for (_, at, _) in &mut batch.minutes {
            *at += round * 60;
        }
        store.write(&batch).unwrap();
        for _ in 0..16 {
            store.tidy(0, 10_000).unwrap();
        }
        // Beyond it there may be what has come since it was made smaller, here an eighth of it.
        assert!(store.bytes() <= bytes_max + bytes_max / 8, "{round}: {}", store.bytes());
        let found = store.minutes("api", 0..=u64::MAX).unwrap();
        assert_eq!(found.last().unwrap().0, round * 60 + 59, "the newest are there");
    }
    assert_eq!(store.incidents().unwrap().len(), 1, "incidents stay");
}

#[test]
fn a_locked_file_is_known_as_such() {
    let folder = Folder::new();
    let _has_it = folder.store();
    let found = Store::open(&folder.place().file, 1 << 20, 1);
    assert!(matches!(found, Err(StoreError::Locked)), "{found:?}");
}
