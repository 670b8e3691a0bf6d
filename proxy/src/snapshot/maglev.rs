//! Consistent hashing: a table that says which backend of a tier a key belongs to.
//!
//! Maglev's (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI
//! 2016, section 3.4), with weights: each backend has its own order of preference among the places
//! of the table, worked out from its name, and all take turns to take the next free place that they
//! prefer, heavier ones more often. Every proxy that knows the same names and weights makes the same
//! table, whatever the order in which they are written; one name more or less moves little more
//! than its own share.
//!
//! The table is made of all backends of a tier, well or not. Where a key's backend cannot be picked,
//! the key is hashed again, which moves the keys of that backend and no others, and back when it is
//! well.

/// Places in a table: a prime, far more than backends, so that shares are true to about a percent.
const PLACES: u64 = 65_537;

/// The table of one tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maglev {
    /// Indices of backends; empty where a pool does not balance by hash.
    places: Box<[u16]>,
    /// What each backend's name is in numbers, by the same index; 0 for those of other tiers.
    names: Box<[u64]>,
}

impl Maglev {
    /// Makes the table for backends as `(index, name, weight)`. Those that weigh nothing get no place.
    pub fn new(backends: &[(usize, &str, u32)]) -> Self {
        let mut sorted: Vec<_> = backends
            .iter()
            .filter(|it| it.2 != 0)
            .filter_map(|&(index, name, weight)| Some((name, u16::try_from(index).ok()?, weight)))
            .collect();
        // The order of turns must not depend on the order in the file.
        sorted.sort_unstable();
        let heaviest = sorted.iter().map(|it| it.2).max().unwrap_or(1);
        let mut takers: Vec<Taker> = sorted.iter().map(|it| Taker::new(it.0, it.1, it.2)).collect();
        let mut places = vec![None; usize::try_from(PLACES).unwrap_or(0)];
        let mut left = if takers.is_empty() { 0 } else { places.len() };
        while 0 < left {
            for taker in &mut takers {
                taker.credit += taker.weight;
                if taker.credit < heaviest || left == 0 {
                    continue;
                }
                taker.credit -= heaviest;
                if let Some(place) = taker.next_free(&places) {
                    places[place] = Some(taker.index);
                    left -= 1;
                }
            }
        }
        let last = backends.iter().map(|it| it.0 + 1).max().unwrap_or(0);
        let mut names = vec![0; last];
        for &(index, name, _) in backends {
            names[index] = hash(name.as_bytes());
        }
        Self { places: places.into_iter().flatten().collect(), names: names.into() }
    }

    /// Returns whom a key of this hash belongs to; `None` from a table of nobody.
    pub fn of(&self, hash: u64) -> Option<usize> {
        let place = usize::try_from(hash % PLACES).ok()?;
        self.places.get(place).map(|&index| usize::from(index))
    }

    /// Returns how much a key of this hash prefers a backend, in relation to others: for the rare
    /// case that nobody whom the table names can be picked (Thaler and Ravishankar, 1998).
    pub fn preference(&self, hash: u64, index: usize) -> u64 {
        again(hash ^ self.names.get(index).copied().unwrap_or(0))
    }
}

/// A backend while the table is being made.
struct Taker {
    index: u16,
    weight: u32,
    credit: u32,
    /// Its next preferred place, and how far it is to the one after that.
    next: u64,
    skip: u64,
}

impl Taker {
    fn new(name: &str, index: u16, weight: u32) -> Self {
        let first = hash(name.as_bytes());
        let skip = again(first) % (PLACES - 1) + 1;
        Self { index, weight, credit: 0, next: first % PLACES, skip }
    }

    /// Returns the next place in its order that nobody has. As the number of places is a prime, the
    /// order comes by all of them.
    fn next_free(&mut self, places: &[Option<u16>]) -> Option<usize> {
        for _ in 0..PLACES {
            let place = usize::try_from(self.next).ok()?;
            self.next = (self.next + self.skip) % PLACES;
            if places.get(place).is_some_and(Option::is_none) {
                return Some(place);
            }
        }
        None
    }
}

/// Returns what stands for a key. The same on every machine and in every release: FNV-1a, and the
/// finaliser of SplitMix64, which makes every bit depend on every byte. Without a secret, clients
/// that make up their keys can choose their backend.
pub fn hash(key: &[u8]) -> u64 {
    let byte = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    again(key.iter().fold(0xcbf2_9ce4_8422_2325, byte))
}

/// Hashes a hash again.
pub fn again(hash: u64) -> u64 {
    let hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(backends: &[(String, u32)]) -> Maglev {
        let backends: Vec<_> = backends
            .iter()
            .enumerate()
            .map(|(at, (name, weight))| (at, &**name, *weight))
            .collect();
        Maglev::new(&backends)
    }

    fn shares(table: &Maglev, count: usize) -> Vec<f64> {
        let mut shares = vec![0.0; count];
        for &index in &table.places {
            shares[usize::from(index)] += 1.0 / table.places.len() as f64;
        }
        shares
    }

    fn names(weights: &[u32]) -> Vec<(String, u32)> {
        weights.iter().enumerate().map(|(at, &weight)| (format!("b-{at}"), weight)).collect()
    }

    #[test]
    fn the_table_is_the_same_on_every_machine_and_in_every_release() {
        let table = table(&names(&[1, 2, 3]));
        let found: Vec<_> = (0_u64..8).map(|key| table.of(again(key)).unwrap()).collect();
        let digest = table.places.iter().fold(0, |all, &it| again(all ^ u64::from(it)));
        assert_eq!(
            (hash(b"192.0.2.1"), found, digest),
            (0xd307_492f_ba64_da08, vec![0, 0, 0, 1, 2, 0, 1, 1], 0x9b32_c87d_2dbf_e610)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn everybody_gets_a_share_by_weight_and_one_that_goes_moves_little_but_its_own(
            weights in prop::collection::vec(1_u32..8, 2..10),
            gone in any::<prop::sample::Index>(),
        ) {
            let all = names(&weights);
            let before = table(&all);
            prop_assert_eq!(before.places.len() as u64, PLACES);
            let sum = f64::from(weights.iter().sum::<u32>());
            for (share, &weight) in shares(&before, all.len()).iter().zip(&weights) {
                prop_assert!((share - f64::from(weight) / sum).abs() < 0.01, "{share} {weights:?}");
            }
            let gone = gone.index(all.len());
            let kept: Vec<_> = (0..all.len()).filter(|it| *it != gone).collect();
            let fewer: Vec<_> = kept.iter().map(|&it| (it, &*all[it].0, all[it].1)).collect();
            let after = Maglev::new(&fewer);
            let stayed = |it: &(&u16, &u16)| usize::from(*it.0) != gone && it.0 != it.1;
            let moved = before.places.iter().zip(&after.places).filter(stayed).count();
            prop_assert!((moved as f64) < 0.25 * PLACES as f64, "{moved} moved needlessly");
            let mut reversed = fewer.clone();
            reversed.reverse();
            prop_assert_eq!(Maglev::new(&reversed), after);
        }
    }
}
