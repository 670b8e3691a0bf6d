//! The sidecar, as the configuration describes it.

use std::{
    num::{NonZeroU16, NonZeroUsize},
    path::Path,
};

use crate::{
    config::{
        assemble::listener::tls,
        file::admin::{Admin, Anonymous, Auth, Local, NamedCertificate, NamedToken, Role},
        units::{
            FilePath, Name,
            http::{Host, Origin},
        },
    },
    model,
};

/// Returns the sidecar described; relative paths start at `base`.
pub(crate) fn admin(admin: Admin, base: &Path) -> model::Admin {
    let wide = |number: NonZeroU16| NonZeroUsize::from(number);
    // `join` keeps an absolute path as it is.
    let place = |FilePath(path): FilePath| base.join(path);
    model::Admin {
        address: admin.address.0,
        tls: admin.tls.map(|it| tls(it, base)),
        token_file: admin.token_file.map(place),
        auth: auth(admin.auth, base),
        allow_origins: admin.allow_origins.into_iter().map(|Origin(it)| it).collect(),
        allow_hosts: admin.allow_hosts.into_iter().map(|Host(it)| it).collect(),
        audit: model::AuditTrail {
            keep: wide(admin.audit.keep),
            file: admin.audit.file.map(place),
        },
        fault_injection: admin.fault_injection,
        log_stream: model::LogStreamLimits {
            buffer: wide(admin.log_stream.buffer),
            clients: wide(admin.log_stream.clients),
        },
    }
}

fn auth(auth: Auth, base: &Path) -> model::Auth {
    model::Auth {
        anonymous: match auth.anonymous {
            Anonymous::Viewer => Some(model::Role::Viewer),
            Anonymous::None => None,
        },
        local: match auth.local {
            Local::Operator => Some(model::Role::Operator),
            Local::Viewer => Some(model::Role::Viewer),
            Local::None => None,
        },
        // Which of the two is given has been checked: exactly one is.
        tokens: auth.tokens.into_iter().filter_map(|it| token(it, base)).collect(),
        certificates: auth
            .certificates
            .into_iter()
            .map(|NamedCertificate { name, role: of }| model::NamedCertificate {
                name: name.0,
                role: role(of),
            })
            .collect(),
    }
}

fn token(token: NamedToken, base: &Path) -> Option<model::NamedToken> {
    let hash = match (token.sha256_file, token.sha256_env) {
        (Some(FilePath(file)), _) => model::HashSource::File(base.join(file)),
        (None, Some(Name(name))) => model::HashSource::Environment(name),
        (None, None) => return None,
    };
    Some(model::NamedToken { name: token.name.0, role: role(token.role), hash })
}

fn role(role: Role) -> model::Role {
    match role {
        Role::Viewer => model::Role::Viewer,
        Role::Operator => model::Role::Operator,
    }
}
