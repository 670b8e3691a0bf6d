//! Rules about what keeps requests together: keys that need, exclude or idle each other.

use crate::config::{
    file::pool::{Balance, Pool, SameSite},
    path::Path,
    problem::Code,
    units::duration::{Length, Wait},
    validate::{Review, limits::exactly_one},
};

/// Cookies are good for whole seconds.
const SHORTEST_TTL: Length = Length::seconds(1);

pub(crate) fn review(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let (balance, hash_path) = (path.key("balance"), path.key("hash"));
    if let Some(hash) = &pool.hash {
        let flags = [("client_address", hash.client_address), ("path", hash.path)];
        let others = [("header", hash.header.is_some()), ("cookie", hash.cookie.is_some())];
        exactly_one(&hash_path, &flags, &others, review);
        let is_used = matches!(pool.balance, Balance::Hash);
        if !is_used && review.is_sound(&[&balance, &hash_path]) {
            let message = "hash does nothing without `balance: hash`";
            let remedy = "write `balance: hash`, or remove `hash`";
            review.report(Code::NoEffect, &hash_path, message, remedy);
        }
    }
    let slow_start = path.key("slow_start");
    let is_slow = pool.slow_start != Wait::default() && matches!(pool.balance, Balance::Hash);
    if is_slow && review.is_sound(&[&balance, &slow_start]) {
        let message = "slow_start does nothing with `balance: hash`: a key's backend is always the \
                       same";
        review.report(Code::NoEffect, &slow_start, message, "remove `slow_start`");
    }
    sticky(pool, &path.key("sticky"), review);
}

fn sticky(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let Some(sticky) = &pool.sticky else { return };
    let (file, env) = (path.key("secret_file"), path.key("secret_env"));
    if sticky.secret_file.is_some()
        && sticky.secret_env.is_some()
        && review.is_sound(&[&file, &env])
    {
        let message = "both `secret_file` and `secret_env` are given";
        review.report(Code::NotExactlyOne, &env, message, "keep one of the two");
    }
    let (same_site, secure) = (path.key("same_site"), path.key("secure"));
    let is_everywhere = matches!(sticky.same_site, SameSite::None);
    if is_everywhere && !sticky.secure && review.is_sound(&[&same_site, &secure]) {
        let message = "browsers drop a cookie with `same_site: none` that is not `secure`";
        review.report(Code::Contradiction, &same_site, message, "write `secure: true`");
    }
    let ttl = path.key("ttl");
    if sticky.ttl < SHORTEST_TTL && review.is_sound(&[&ttl]) {
        let message = "cookies are good for whole seconds";
        review.report(Code::OutOfRange, &ttl, message, "write at least `1s`");
    }
}
