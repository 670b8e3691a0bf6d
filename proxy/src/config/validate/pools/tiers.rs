//! Rules about tiers: none missing, each large enough, and what happens between them.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{
    file::pool::{Backend, Pool},
    path::Path,
    problem::Code,
    units::{leaf::Leaf as _, number::Capacity},
    validate::Review,
};

pub(crate) fn review(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let (failback, place) = (&pool.tiers.failback, path.key("tiers").key("failback"));
    let (after, max_after) = (("after", &failback.after), ("max_after", &failback.max_after));
    review.ordered(&place, after, max_after, "longer");

    let backends = path.key("backends");
    let all_sound =
        (0..pool.backends.len()).all(|it| review.is_sound(&[&backends.item(it).key("tier")]));
    if !all_sound || !review.is_sound(&[&backends]) || has_gap(pool, &backends, review) {
        return;
    }
    let place = path.key("tiers").key("fail_over_below");
    if review.is_sound(&[&place]) {
        small_tiers(pool, &place, review);
        spill_over(pool, path, review);
    }
}

/// Reports the first gap.
fn has_gap(pool: &Pool, backends: &Path, review: &mut Review<'_>) -> bool {
    let used: BTreeSet<usize> = pool.backends.iter().map(|backend| backend.tier).collect();
    for (index, backend) in pool.backends.iter().enumerate() {
        let missing = (0..backend.tier).find(|tier| !used.contains(tier));
        if let Some(missing) = missing {
            let message =
                format!("tier {} is used, but no backend is in tier {missing}", backend.tier);
            let remedy = format!("write `tier: {missing}`; tiers count up from 0 without gaps");
            review.report(Code::TierGap, &backends.item(index).key("tier"), message, remedy);
            return true;
        }
    }
    false
}

/// Reports tiers that never have as many backends as they would need; they serve while they have
/// all.
fn small_tiers(pool: &Pool, place: &Path, review: &mut Review<'_>) {
    let Capacity::Backends(needed) = pool.tiers.fail_over_below else { return };
    for (tier, backends) in by_tier(pool) {
        let size = backends.len();
        if size < needed.get() {
            let message = format!(
                "tier {tier} has fewer than {needed} backends ({size}), so it serves only while all of them are eligible"
            );
            let remedy = format!(
                "write at most {size}, or a share such as `50%`, or add backends to tier {tier}"
            );
            review.report(Code::TierTooSmall, place, message, remedy);
        }
    }
}

/// Reports a spill-over that never happens, because no tier with another behind it can be below
/// its threshold and have anything left.
fn spill_over(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let (tiers, backends) = (path.key("tiers"), path.key("backends"));
    let place = tiers.key("spill_over");
    let are_weights_sound =
        (0..pool.backends.len()).all(|it| review.is_sound(&[&backends.item(it).key("weight")]));
    if !pool.tiers.spill_over || !review.is_sound(&[&place]) || !are_weights_sound {
        return;
    }
    let mut by_tier = by_tier(pool);
    by_tier.pop_last();
    let (message, remedy) = if by_tier.is_empty() {
        ("spill_over does nothing: there is no other tier", "give some backends a later `tier`")
    } else if by_tier.values().all(|tier| tier.len() == 1) {
        (
            "spill_over does nothing: a tier of one backend has nothing to keep",
            "remove `spill_over`",
        )
    } else if by_tier.values().any(|tier| can_be_partial(tier, pool.tiers.fail_over_below)) {
        return;
    } else {
        let needed = pool.tiers.fail_over_below.write();
        let message = format!(
            "spill_over does nothing: a tier below fail_over_below ({needed}) has nothing left"
        );
        let remedy = "raise `fail_over_below`, for example to `70%`, or remove `spill_over`";
        return review.report(Code::NoEffect, &place, message, remedy);
    };
    review.report(Code::NoEffect, &place, message, remedy);
}

/// Returns whether a tier can be below `needed` with at least one backend left.
fn can_be_partial(tier: &[&Backend], needed: Capacity) -> bool {
    match needed {
        Capacity::Backends(needed) => 2 <= needed.get().min(tier.len()),
        Capacity::Share(share) => {
            let weights = || tier.iter().map(|backend| backend.weight.get());
            let lightest = f64::from(weights().min().unwrap_or_default());
            1 < tier.len() && lightest < share.0 * f64::from(weights().sum::<u32>())
        }
    }
}

fn by_tier(pool: &Pool) -> BTreeMap<usize, Vec<&Backend>> {
    let mut tiers: BTreeMap<usize, Vec<&Backend>> = BTreeMap::new();
    for backend in &pool.backends {
        tiers.entry(backend.tier).or_default().push(backend);
    }
    tiers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::{Name, net::Url};

    #[test]
    fn a_tier_spills_over_only_if_something_of_it_can_be_left_below_the_threshold() {
        let check = |needed: &str, weights: &[u32], expected| {
            let backend = |weight: &u32| Backend {
                name: Name("a".to_owned()),
                url: Url::parse("http://127.0.0.1:3001").unwrap(),
                tier: 0,
                weight: (*weight).try_into().unwrap(),
            };
            let backends: Vec<Backend> = weights.iter().map(backend).collect();
            let tier: Vec<&Backend> = backends.iter().collect();
            let needed = Capacity::parse(needed).unwrap();
            assert_eq!(can_be_partial(&tier, needed), expected, "{needed:?} of {weights:?}");
        };
        check("1", &[100, 100], false);
        check("2", &[100, 100], true);
        check("2", &[100], false);
        check("50%", &[100, 100], false);
        check("51%", &[100, 100], true);
        check("50%", &[100, 10], true);
        check("5%", &[100, 10], false);
        check("100%", &[100], false);
    }
}
