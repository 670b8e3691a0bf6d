//! Rules about how backends are reached: certificates that belong together, keys that do something.

use crate::config::{file::pool::Pool, path::Path, problem::Code, validate::Review};

pub(crate) fn review(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    unspoken(pool, path, review);
    half_an_identity(pool, &path.key("tls"), review);
    unverified(pool, &path.key("tls"), review);
}

/// Without a backend that speaks TLS, nothing said of it does anything.
fn unspoken(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let is_spoken = pool.backends.iter().any(|backend| backend.url.address.is_tls());
    let (place, urls) = (path.key("tls"), path.key("backends"));
    if !is_spoken && review.is_written(&place) && review.is_sound(&[&place, &urls]) {
        let message = "tls does nothing: no backend of this pool has an `https` URL";
        review.report(Code::NoEffect, &place, message, "write `https://` URLs, or remove `tls`");
    }
}

fn half_an_identity(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let (cert, key) = (path.key("cert"), path.key("key"));
    let (there, missing) = match (&pool.tls.cert, &pool.tls.key) {
        (Some(_), None) => (&cert, "key"),
        (None, Some(_)) => (&key, "cert"),
        (Some(_), Some(_)) | (None, None) => return,
    };
    if review.is_sound(&[&cert, &key]) {
        let message = "a certificate is shown together with its private key, or not at all";
        review.report(Code::HalfAnIdentity, there, message, format!("add `{missing}`"));
    }
}

fn unverified(pool: &Pool, path: &Path, review: &mut Review<'_>) {
    let (verify, ca) = (path.key("verify"), path.key("ca"));
    if pool.tls.verify || !review.is_sound(&[&verify, &ca]) {
        return;
    }
    let message = "any certificate is accepted: anybody on the way can pretend to be a backend";
    let remedy = "name the certificates to trust with `ca`, and remove `verify`";
    review.report(Code::Unverified, &verify, message, remedy);
    if pool.tls.ca.is_some() {
        let message = "ca does nothing: without `verify`, no signature is checked";
        review.report(Code::NoEffect, &ca, message, "write `verify: true`, or remove `ca`");
    }
}
