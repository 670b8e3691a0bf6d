//! Rules about who may do what at the sidecar.

use crate::config::{
    file::{
        File,
        admin::{Admin, NamedToken},
    },
    path::Path,
    problem::Code,
    validate::Review,
};

/// What the audit trail calls whoever shows the token of `token_file`.
const NAMELESS: &str = "operator";

pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    let path = Path::default().key("admin");
    let auth = path.key("auth");
    unguarded(&file.admin, &path, review);
    for (index, token) in file.admin.auth.tokens.iter().enumerate() {
        source(token, &auth.key("tokens").item(index), review);
    }
    names(&file.admin, &auth, review);
    let certificates = auth.key("certificates");
    let shows = file.admin.tls.as_ref().is_some_and(|it| it.client_auth.is_some());
    if !shows && !file.admin.auth.certificates.is_empty() && review.is_sound(&[&certificates]) {
        let message = "nobody is asked for a certificate";
        let remedy = "add `client_auth` to `admin.tls`, or remove `certificates`";
        review.report(Code::NoEffect, &certificates, message, remedy);
    }
}

/// Somebody must be asked for something where strangers can come.
fn unguarded(admin: &Admin, path: &Path, review: &mut Review<'_>) {
    let (address, token_file) = (path.key("address"), path.key("token_file"));
    let (auth, tls) = (path.key("auth"), path.key("tls"));
    let is_guarded = admin.token_file.is_some()
        || !admin.auth.tokens.is_empty()
        || !admin.auth.certificates.is_empty();
    let is_open = !admin.address.0.ip().is_loopback() && !is_guarded;
    if is_open && review.is_sound(&[&address, &token_file, &auth, &tls]) && review.is_whole(&auth) {
        review.report(
            Code::UnguardedAdmin,
            &address,
            format!(
                "other machines can reach `{}`, and no token is asked of them",
                admin.address.0
            ),
            "add `token_file` or `auth.tokens` (`bascule token new` makes one), or listen on \
             `127.0.0.1`",
        );
    }
}

fn source(token: &NamedToken, path: &Path, review: &mut Review<'_>) {
    let (file, env) = (path.key("sha256_file"), path.key("sha256_env"));
    if !review.is_sound(&[&file, &env]) {
        return;
    }
    let what = match (&token.sha256_file, &token.sha256_env) {
        (Some(_), None) | (None, Some(_)) => return,
        (None, None) => "nothing is given",
        (Some(_), Some(_)) => "more than one is given",
    };
    let remedy = "write exactly one of `sha256_file`, `sha256_env`";
    review.report(Code::NotExactlyOne, path, what, remedy);
}

/// The audit trail tells callers apart by their names.
fn names(admin: &Admin, auth: &Path, review: &mut Review<'_>) {
    let tokens = auth.key("tokens");
    for (index, token) in admin.auth.tokens.iter().enumerate() {
        let path = tokens.item(index).key("name");
        let name = &token.name;
        let is_twice = admin.auth.tokens.iter().take(index).any(|other| other.name == *name);
        let is_taken = admin.token_file.is_some() && name.0 == NAMELESS;
        if (is_twice || is_taken) && review.is_sound(&[&path]) {
            let message = if is_twice {
                format!("another token is called `{}`", name.0)
            } else {
                format!("the token of `token_file` is called `{NAMELESS}`")
            };
            review.report(Code::DuplicateToken, &path, message, "give each caller its own name");
        }
    }
}
