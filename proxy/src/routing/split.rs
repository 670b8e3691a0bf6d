//! Splits: which of several pools gets a request?

use crate::{
    model::{PoolId, Split},
    snapshot::hash,
};

/// Returns the pool for a request. Requests with the same `key` go to the same pool, at every proxy
/// with these weights; without one, chance decides.
///
/// Pools take up a line one after another, each as much of it as it has weight, and a key has its
/// place on the line. Whoever makes up keys can choose a side, which the side must not mind. Where the
/// weights change by moving the border between two pools, only those whose place the border passes
/// change sides.
pub fn pick(split: &Split, key: Option<&[u8]>, random: &mut fastrand::Rng) -> Option<PoolId> {
    let whole: u64 = split.parts.iter().map(|(_, weight)| u64::from(*weight)).sum();
    if whole == 0 {
        return None;
    }
    let mut place = match key {
        Some(key) => scaled(hash(key), whole),
        None => random.u64(..whole),
    };
    for (pool, weight) in &split.parts {
        match place.checked_sub(u64::from(*weight)) {
            None => return Some(*pool),
            Some(rest) => place = rest,
        }
    }
    None
}

/// Returns the place of `hash` on a line that is `whole` long.
fn scaled(hash: u64, whole: u64) -> u64 {
    u64::try_from((u128::from(hash) * u128::from(whole)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(weights: &[u32]) -> Split {
        let parts = weights.iter().enumerate().map(|(pool, weight)| (PoolId(pool), *weight));
        Split { parts: parts.collect(), by: None }
    }

    /// How many of ten thousand requests each pool gets.
    fn shares(split: &Split, key: impl Fn(u32) -> Option<String>) -> Vec<u32> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut shares = vec![0; split.parts.len()];
        for number in 0..10_000 {
            let key = key(number);
            let pool = pick(split, key.as_ref().map(|it| it.as_bytes()), &mut random).unwrap();
            shares[pool.0] += 1;
        }
        shares
    }

    #[test]
    fn each_pool_gets_its_share_by_chance_or_by_key() {
        for by_key in [false, true] {
            let key = |number: u32| by_key.then(|| format!("user-{number}"));
            let found = shares(&split(&[95, 0, 5]), key);
            assert!((9400..9600).contains(&found[0]) && found[1] == 0, "{found:?}");
            assert_eq!(shares(&split(&[0, 3]), key), [0, 10_000]);
        }
    }

    #[test]
    fn a_known_key_has_its_known_place() {
        // Recorded: other releases and other machines must agree.
        let places = ["", "a", "user-1", "192.0.2.7"].map(|it| scaled(hash(it.as_bytes()), 1000));
        assert_eq!(places, [763, 371, 943, 480]);
    }

    proptest! {
        #[test]
        fn a_growing_last_part_only_takes_clients_from_the_others(
            key in any::<Vec<u8>>(), first in 1..100_u32, more in 0..100_u32,
        ) {
            let mut random = fastrand::Rng::with_seed(7);
            let mut pick = |weights: &[u32]| pick(&split(weights), Some(&key), &mut random).unwrap();
            let before = pick(&[100 + more, first]);
            let after = pick(&[100, first + more]);
            prop_assert!(before == after || before == PoolId(0), "{:?} {:?}", before, after);
        }
    }
}
