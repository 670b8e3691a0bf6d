//! Are secrets there, and are they secret?

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path as FilePath};

use crate::{
    config::{file::File, path::Path, problem::Code, validate::Review},
    token::{self, TokenError},
};

pub(crate) fn look(file: &File, review: &mut Review<'_>) {
    if let Some(secret) = &file.admin.token_file {
        in_file(&secret.0, &Path::default().key("admin").key("token_file"), review);
    }
    let tokens = Path::default().key("admin").key("auth").key("tokens");
    for (index, token) in file.admin.auth.tokens.iter().enumerate() {
        let path = tokens.item(index);
        // A hash is no secret: whoever reads it finds no token by it.
        if let Some(hash) = &token.sha256_file {
            report(token::read_hash(&hash.0), &path.key("sha256_file"), review);
        }
        if let Some(variable) = &token.sha256_env {
            report(token::read_hash_variable(&variable.0), &path.key("sha256_env"), review);
        }
    }
    for (name, pool) in &file.pools.0 {
        let path = Path::default().key("pools").key(&name.0).key("sticky");
        let Some(sticky) = &pool.sticky else { continue };
        if let Some(secret) = &sticky.secret_file {
            in_file(&secret.0, &path.key("secret_file"), review);
        }
        if let Some(variable) = &sticky.secret_env {
            let path = path.key("secret_env");
            report(token::read_variable(&variable.0), &path, review);
        }
    }
}

fn in_file(file: &FilePath, path: &Path, review: &mut Review<'_>) {
    report(token::read(file), path, review);
    permissions(file, path, review);
}

fn report<T>(read: Result<T, TokenError>, path: &Path, review: &mut Review<'_>) {
    let Err(error) = read else { return };
    if !review.is_sound(&[path]) {
        return;
    }
    // What the error says ends with what would help.
    let text = error.to_string();
    let (message, remedy) = text.split_once("; ").unwrap_or((&text, "make a new one"));
    review.report(Code::NoSecret, path, message, remedy);
}

/// Reports a secret that every user of this machine can read.
pub(crate) fn permissions(file: &FilePath, path: &Path, review: &mut Review<'_>) {
    const OTHERS: u32 = 0o007;
    let Ok(metadata) = fs::metadata(file) else { return };
    if metadata.permissions().mode() & OTHERS != 0 && review.is_sound(&[path]) {
        let message = format!("every user of this machine can read {}", file.display());
        let remedy = format!("chmod o= {}", file.display());
        review.report(Code::OpenSecret, path, message, remedy);
    }
}
