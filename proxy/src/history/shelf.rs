//! The minutes that are kept in memory.

use std::{borrow::Cow, collections::BTreeMap, ops::RangeInclusive};

use crate::history::{code, minute::Minute};

/// Minutes kept at most: a day, and the one under way.
const MINUTES: u64 = 24 * 60 + 1;
/// What all of them may weigh. Of a pool with two backends that is busy all day, a day weighs about two
/// megabytes.
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
    /// The Unix time of the second that is to be taken in next; `None` before the first.
    pub(crate) next: Option<u64>,
}

impl Default for Shelf {
    fn default() -> Self {
        let (open, kept) = (BTreeMap::new(), BTreeMap::new());
        Self { open, kept, bytes: 0, bytes_max: BYTES, next: None }
    }
}

impl Shelf {
    /// Returns a pool's minute, to be changed. With a later one than before, those before are over.
    pub(crate) fn minute(&mut self, pool: &str, minute: u64) -> &mut Minute {
        if self.open.get(pool).is_some_and(|it| it.0 != minute)
            && let Some((before, body)) = self.open.remove(pool)
        {
            self.keep(pool, before, &code::encoded(&body));
        }
        &mut self.open.entry(pool.to_owned()).or_insert_with(|| (minute, Minute::default())).1
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

    /// Keeps a minute that is over. The oldest go when there are too many.
    fn keep(&mut self, pool: &str, minute: u64, bytes: &[u8]) {
        self.bytes += bytes.len();
        let minutes = self.kept.entry(pool.to_owned()).or_default();
        let before = minutes.insert(minute, bytes.into());
        self.bytes -= before.map_or(0, |it| it.len());
        let oldest_kept = minute.saturating_sub(MINUTES);
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
    }
}
