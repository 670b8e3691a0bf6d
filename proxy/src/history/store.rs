//! The history on the disk: one file, an embedded database ([redb](https://docs.rs/redb)).
//!
//! A change is written as a whole or not at all, whenever the process ends: pages are never changed in
//! place, and a commit is one page with checksums. One process at a time has the file; another finds it
//! locked. All of this blocks, and is called by threads that may wait.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{
    AccessGuard, Database, Error, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};

use crate::history::{code, minute::Minute};

/// Blocks of [`code`], by pool and the minute's number.
const MINUTES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("minutes");
/// Incidents, by pool and number: when each was decided, in milliseconds of Unix time, and its record.
const INCIDENTS: TableDefinition<'_, (&str, u64), (u64, &[u8])> = TableDefinition::new("incidents");
/// Single numbers.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// The first minute that is kept second by second.
const FINE_FROM: &str = "fine_from";

/// What redb may keep of the file in memory.
const CACHE_BYTES: usize = 4 << 20;
/// Incidents kept of one pool; the oldest go first.
const INCIDENTS_MAX: u64 = 1_000;
/// Minutes that are put together in one transaction, at most.
const CONDENSED_AT_ONCE: usize = 500;
/// The part of its pages that the file may use: it doubles when it is full.
const FILLED: u64 = 2;

/// A pool's name, a minute's number, and the minute as [`code`] has it.
pub(crate) type EncodedMinute = (String, u64, Box<[u8]>);

/// What is to be written, as one change.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) minutes: Vec<EncodedMinute>,
    pub(crate) incidents: Vec<StoredIncident>,
    /// Whether the minutes are all that memory holds.
    pub(crate) is_all: bool,
}

/// An incident, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIncident {
    /// Its pool's name.
    pub pool: String,
    /// Its number there.
    pub number: u64,
    /// When it was decided, in milliseconds of Unix time: two of the same number are told apart by it.
    pub decided: u64,
    /// Its record, as JSON.
    pub record: Vec<u8>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("another process has it open")]
    Locked,
    #[error("it is damaged, or no history: {0}")]
    Damaged(String),
    #[error("{0}")]
    Failed(String),
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "they are another crate's, and many")]
        match error {
            Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => Self::Locked,
            Error::Corrupted(what) => Self::Damaged(what),
            Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::Damaged(error.to_string())
            }
            Error::UpgradeRequired(_) | Error::TableTypeMismatch { .. } => {
                Self::Damaged(error.to_string())
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Makes one of what redb's calls return, each of which has an error of its own.
fn from(error: impl Into<Error>) -> StoreError {
    error.into().into()
}

type Outcome<T> = Result<T, StoreError>;

/// The file, open.
#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
    path: PathBuf,
    /// What the file may weigh.
    bytes_max: u64,
    /// Minutes kept.
    minutes_max: u64,
}

impl Store {
    /// Opens the file, or makes it. All of it is read and checked.
    pub(crate) fn open(path: &Path, bytes_max: u64, minutes_max: u64) -> Outcome<Self> {
        let open = || -> Outcome<Self> {
            let database = Database::builder()
                .set_cache_size(CACHE_BYTES)
                .set_check_integrity_on_open(true)
                .create(path)
                .map_err(from)?;
            let store = Self { database, path: path.to_owned(), bytes_max, minutes_max };
            let change = store.database.begin_write().map_err(from)?;
            // So that readers find them.
            change.open_table(MINUTES).map_err(from)?;
            change.open_table(INCIDENTS).map_err(from)?;
            change.open_table(NUMBERS).map_err(from)?;
            change.commit().map_err(from)?;
            Ok(store)
        };
        guarded(open)
    }

    /// Writes all of `batch`, or nothing. Returns how many incidents were left out because another one
    /// has their number.
    pub(crate) fn write(&self, batch: &Batch) -> Outcome<usize> {
        guarded(|| {
            let change = self.database.begin_write().map_err(from)?;
            let left_out = put(&change, batch).map_err(StoreError::from)?;
            change.commit().map_err(from)?;
            Ok(left_out)
        })
    }

    /// Puts seconds of before `fine_from`, a minute's number, together, forgets what is older than is
    /// kept, and then the oldest until the file is as small as it must be.
    pub(crate) fn tidy(&self, fine_from: u64, now: u64) -> Outcome<()> {
        guarded(|| {
            let change = self.database.begin_write().map_err(from)?;
            condense(&change, fine_from).map_err(StoreError::from)?;
            drop_before(&change, now.saturating_sub(self.minutes_max)).map_err(StoreError::from)?;
            let stats = change.stats().map_err(from)?;
            let bytes = stats.allocated_pages() * u64::try_from(stats.page_size()).unwrap_or(4096);
            if self.bytes_max / FILLED < bytes {
                forget_some(&change).map_err(StoreError::from)?;
            }
            change.commit().map_err(from)
        })
    }

    /// Returns a pool's minutes.
    pub(crate) fn minutes(
        &self,
        pool: &str,
        range: RangeInclusive<u64>,
    ) -> Outcome<Vec<(u64, Vec<u8>)>> {
        guarded(|| {
            let table = self.database.begin_read().map_err(from)?;
            let table = table.open_table(MINUTES).map_err(from)?;
            let found = table.range((pool, *range.start())..=(pool, *range.end())).map_err(from)?;
            found
                .map(|it| {
                    it.map(|(key, bytes)| (key.value().1, bytes.value().to_vec())).map_err(from)
                })
                .collect()
        })
    }

    /// Returns the minutes of all pools from that number on; what cannot be read is left out.
    pub(crate) fn minutes_from(&self, first: u64) -> Outcome<Vec<(String, u64, Minute)>> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(MINUTES)?;
            let mut found = Vec::new();
            for pool in pools(&table)? {
                for entry in table.range((pool.as_str(), first)..=(pool.as_str(), u64::MAX))? {
                    let (key, bytes) = entry?;
                    let body = code::decoded(bytes.value());
                    found.extend(body.map(|body| (pool.clone(), key.value().1, body)));
                }
            }
            Ok(found)
        };
        guarded(|| read().map_err(StoreError::from))
    }

    /// Returns every incident.
    pub(crate) fn incidents(&self) -> Outcome<Vec<StoredIncident>> {
        guarded(|| {
            let table = self.database.begin_read().map_err(from)?;
            let table = table.open_table(INCIDENTS).map_err(from)?;
            table.iter().map_err(from)?.map(|it| it.map(stored).map_err(from)).collect()
        })
    }

    /// Returns the highest number of an incident, by pool.
    pub(crate) fn numbers(&self) -> Outcome<BTreeMap<String, u64>> {
        guarded(|| {
            let table = self.database.begin_read().map_err(from)?;
            let table = table.open_table(INCIDENTS).map_err(from)?;
            last_of_each(&table).map_err(StoreError::from)
        })
    }

    /// Returns what the file weighs.
    pub(crate) fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |it| it.len())
    }
}

/// Puts a damaged file aside, under a name that says when.
pub(crate) fn put_aside(path: &Path, unix_seconds: u64) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".damaged-{unix_seconds}"));
    let aside = PathBuf::from(name);
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Does what works with bytes that may be anybody's: where redb takes what it finds for impossible, it
/// panics.
fn guarded<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::Damaged("reading it failed in a way that cannot be".to_owned()))
    })
}

fn put(change: &WriteTransaction, batch: &Batch) -> Result<usize, Error> {
    let mut minutes = change.open_table(MINUTES)?;
    for (pool, minute, bytes) in &batch.minutes {
        minutes.insert((pool.as_str(), *minute), &**bytes)?;
    }
    let mut incidents = change.open_table(INCIDENTS)?;
    let mut left_out = 0;
    for it in &batch.incidents {
        let key = (it.pool.as_str(), it.number);
        if incidents.get(key)?.is_some_and(|before| before.value().0 != it.decided) {
            left_out += 1;
            continue;
        }
        incidents.insert(key, (it.decided, it.record.as_slice()))?;
        if let Some(oldest) = it.number.checked_sub(INCIDENTS_MAX) {
            incidents
                .retain_in((it.pool.as_str(), 0)..=(it.pool.as_str(), oldest), |_, _| false)?;
        }
    }
    Ok(left_out)
}

/// Puts the seconds of minutes before `fine_from` together, of some that are not yet.
fn condense(change: &WriteTransaction, fine_from: u64) -> Result<(), Error> {
    let mut numbers = change.open_table(NUMBERS)?;
    let mut minutes = change.open_table(MINUTES)?;
    let from = numbers.get(FINE_FROM)?.map_or(0, |it| it.value());
    let mut found = Vec::new();
    let mut is_all = true;
    for pool in pools(&minutes)? {
        for entry in minutes.range((pool.as_str(), from)..(pool.as_str(), fine_from))? {
            let (key, bytes) = entry?;
            let body = code::decoded(bytes.value());
            if body.as_ref().is_some_and(Minute::is_condensed) {
                continue;
            }
            if CONDENSED_AT_ONCE <= found.len() {
                is_all = false;
                break;
            }
            found.push((pool.clone(), key.value().1, body));
        }
    }
    for (pool, minute, body) in found {
        let key = (pool.as_str(), minute);
        match body {
            Some(body) => _ = minutes.insert(key, code::encoded(&body.condensed()).as_slice())?,
            None => _ = minutes.remove(key)?,
        }
    }
    if is_all && from < fine_from {
        numbers.insert(FINE_FROM, fine_from)?;
    }
    Ok(())
}

/// Forgets the minutes before `oldest`.
fn drop_before(change: &WriteTransaction, oldest: u64) -> Result<(), Error> {
    let mut minutes = change.open_table(MINUTES)?;
    for pool in pools(&minutes)? {
        minutes.retain_in((pool.as_str(), 0)..(pool.as_str(), oldest), |_, _| false)?;
    }
    Ok(())
}

/// Forgets the oldest sixteenth of the minutes.
fn forget_some(change: &WriteTransaction) -> Result<(), Error> {
    let mut minutes = change.open_table(MINUTES)?;
    let all = pools(&minutes)?;
    let mut numbers = Vec::new();
    for entry in minutes.iter()? {
        numbers.push(entry?.0.value().1);
    }
    if numbers.is_empty() {
        // The rest is not so much that it must go.
        return Ok(());
    }
    let some = numbers.len() / 16;
    let (_, oldest_kept, _) = numbers.select_nth_unstable(some);
    let oldest_kept = *oldest_kept + 1;
    for pool in all {
        minutes.retain_in((pool.as_str(), 0)..(pool.as_str(), oldest_kept), |_, _| false)?;
    }
    Ok(())
}

/// Returns the pools of which there are minutes, without reading these.
fn pools(
    minutes: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
) -> Result<Vec<String>, Error> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let next = match found.last() {
            None => minutes.first()?.map(|(key, _)| key.value().0.to_owned()),
            Some(last) => {
                let after = (last.as_str(), u64::MAX)..;
                let next = minutes.range(after)?.next().transpose()?;
                next.map(|(key, _)| key.value().0.to_owned())
            }
        };
        match next {
            Some(name) => found.push(name),
            None => return Ok(found),
        }
    }
}

fn last_of_each(
    incidents: &impl ReadableTable<(&'static str, u64), (u64, &'static [u8])>,
) -> Result<BTreeMap<String, u64>, Error> {
    let mut found = BTreeMap::new();
    for entry in incidents.iter()? {
        let (key, _) = entry?;
        let (pool, number) = key.value();
        // In order: the last one said stays.
        found.insert(pool.to_owned(), number);
    }
    Ok(found)
}

type Entry<'t> = (AccessGuard<'t, (&'static str, u64)>, AccessGuard<'t, (u64, &'static [u8])>);

fn stored((key, value): Entry<'_>) -> StoredIncident {
    let (pool, number) = key.value();
    let (decided, record) = value.value();
    StoredIncident { pool: pool.to_owned(), number, decided, record: record.to_vec() }
}
