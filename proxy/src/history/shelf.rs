//! The minutes that are kept in memory.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use crate::history::{code, minute::Minute, store::EncodedMinute};

/// Minutes kept at most: a day, and the one under way.
const MINUTES: u64 = 24 * 60 + 1;
/// The same, where all others are in a file: what charts ask for again and again.
const MINUTES_STORED: u64 = 16;
/// What all of them may weigh. A day of a pool with two backends at 300 requests a second weighs one and a
/// half megabytes.
const BYTES: usize = 16 << 20;

/// Minutes in memory. Each is called by its number since the Unix epoch.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// Of each pool, by its name, the minute under way.
    open: BTreeMap<String, (u64, Minute)>,
    /// Of each pool those before, encoded.
    kept: BTreeMap<String, BTreeMap<u64, Box<[u8]>>>,
    /// What those weigh.
    bytes: usize,
    /// What they may weigh.
    bytes_max: usize,
    /// Minutes kept of each pool.
    minutes_max: u64,
    /// Whether it is written to a file.
    is_for_file: bool,
    /// What has changed and is not in the file yet.
    unwritten: BTreeSet<(String, u64)>,
    /// Whether that is all there is: then nothing of it may be forgotten before it is stored.
    is_all_unwritten: bool,
    /// Whether what another process kept of the same minutes has been taken in.
    is_joined: bool,
    /// The Unix time of the second that is to be taken in next; `None` before the first.
    pub(crate) next: Option<u64>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            kept: BTreeMap::new(),
            bytes: 0,
            bytes_max: BYTES,
            minutes_max: MINUTES,
            is_for_file: false,
            unwritten: BTreeSet::new(),
            is_all_unwritten: false,
            is_joined: false,
            next: None,
        }
    }
}

impl Shelf {
    /// Makes an empty one that remembers what is to be written to a file.
    pub(crate) fn for_file() -> Self {
        Self { is_for_file: true, ..Self::default() }
    }

    /// Returns a pool's minute, to be changed. With a later one than before, those before are over.
    pub(crate) fn minute(&mut self, pool: &str, minute: u64) -> &mut Minute {
        if self.open.get(pool).is_some_and(|it| it.0 != minute)
            && let Some((before, body)) = self.open.remove(pool)
        {
            self.keep(pool, before, &code::encoded(&body));
        }
        if self.is_for_file {
            self.unwritten.insert((pool.to_owned(), minute));
        }
        if !self.open.contains_key(pool) {
            // Of what another process kept of it, this one's part comes on top.
            let begun = self.take(pool, minute).unwrap_or_default();
            self.open.insert(pool.to_owned(), (minute, begun));
        }
        &mut self.open.entry(pool.to_owned()).or_default().1
    }

    /// Takes back a minute that was kept.
    fn take(&mut self, pool: &str, minute: u64) -> Option<Minute> {
        let bytes = self.kept.get_mut(pool)?.remove(&minute)?;
        self.bytes -= bytes.len();
        code::decoded(&bytes)
    }

    /// Returns the minutes of a pool that are there, in no particular order.
    pub(crate) fn minutes(
        &self,
        pool: &str,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (u64, Cow<'_, Minute>)> {
        let open = self.open.get(pool).filter(|it| range.contains(&it.0));
        let kept = self.kept.get(pool).into_iter().flat_map(move |it| it.range(range.clone()));
        // What cannot be read, which we wrote ourselves, is as good as not there.
        let kept = kept.filter_map(|(at, bytes)| Some((*at, Cow::Owned(code::decoded(bytes)?))));
        kept.chain(open.map(|(at, minute)| (*at, Cow::Borrowed(minute))))
    }

    /// Returns what has changed since the last time, encoded, and whether that is all there is.
    pub(crate) fn unwritten(&mut self) -> (Vec<EncodedMinute>, bool) {
        let changed = std::mem::take(&mut self.unwritten);
        let found = changed.into_iter().filter_map(|(pool, minute)| {
            let open = self.open.get(&pool).filter(|it| it.0 == minute);
            let bytes = match open {
                Some((_, body)) => code::encoded(body).into(),
                None => self.kept.get(&pool)?.get(&minute)?.clone(),
            };
            Some((pool, minute, bytes))
        });
        (found.collect(), std::mem::take(&mut self.is_all_unwritten))
    }

    /// Takes in that all there was is in the file: memory need not hold it any more.
    pub(crate) fn all_is_stored(&mut self) {
        if !self.is_all_unwritten {
            self.minutes_max = MINUTES_STORED;
        }
    }

    /// Has all of it written once more: what was written of it may be lost.
    pub(crate) fn all_is_unwritten(&mut self) {
        self.minutes_max = MINUTES;
        self.is_all_unwritten = true;
        let open = self.open.iter().map(|(pool, (minute, _))| (pool.clone(), *minute));
        let kept = self.kept.iter();
        let kept = kept.flat_map(|(pool, it)| it.keys().map(|minute| (pool.clone(), *minute)));
        self.unwritten = open.chain(kept).collect();
    }

    /// Takes in, once, what a file holds of the minutes in which this process has run: another one served
    /// in them, too.
    pub(crate) fn join(&mut self, stored: impl IntoIterator<Item = (String, u64, Minute)>) {
        self.all_is_unwritten();
        if std::mem::replace(&mut self.is_joined, true) {
            return;
        }
        for (pool, minute, mut body) in stored {
            let open = self.open.get_mut(&pool).filter(|it| it.0 == minute);
            if let Some((_, mine)) = open {
                mine.absorb(&body);
            } else {
                if let Some(mine) = self.take(&pool, minute) {
                    body.absorb(&mine);
                }
                self.keep(&pool, minute, &code::encoded(&body));
            }
        }
    }

    /// Keeps a minute that is over. The oldest go when there are too many.
    fn keep(&mut self, pool: &str, minute: u64, bytes: &[u8]) {
        self.bytes += bytes.len();
        let minutes = self.kept.entry(pool.to_owned()).or_default();
        let before = minutes.insert(minute, bytes.into());
        self.bytes -= before.map_or(0, |it| it.len());
        let oldest_kept = minute.saturating_sub(self.minutes_max);
        while let Some(oldest) = self.oldest()
            && (oldest < oldest_kept || self.bytes_max < self.bytes)
        {
            self.forget(oldest);
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.kept.values().filter_map(|it| it.first_key_value()).map(|(at, _)| *at).min()
    }

    fn forget(&mut self, minute: u64) {
        for minutes in self.kept.values_mut() {
            self.bytes -= minutes.remove(&minute).map_or(0, |it| it.len());
        }
        self.kept.retain(|_, minutes| !minutes.is_empty());
        self.unwritten.retain(|it| it.1 != minute);
    }
}
