//! Listeners, as the configuration describes them.

use std::path::Path;

use crate::{
    config::{
        file::{
            Named,
            listener::{
                ClientAuthMode, Listener, ListenerLimits, ListenerTimeouts, ProxyProtocol,
                ProxyStatus, ProxyStatusAnswers, Tls, TlsVersion,
            },
        },
        units::{FilePath, Name, net::Network},
    },
    model,
};

/// Returns the listeners described; relative paths start at `base`.
pub(crate) fn listeners(listeners: Named<Listener>, base: &Path) -> Vec<model::Listener> {
    listeners.0.into_iter().map(|(name, it)| listener(name, it, base)).collect()
}

fn listener(Name(name): Name, it: Listener, base: &Path) -> model::Listener {
    model::Listener {
        name,
        address: it.address.0,
        trusted_proxies: it.trusted_proxies.into_iter().map(|Network(it)| it).collect(),
        proxy_protocol: match it.proxy_protocol {
            ProxyProtocol::None => model::ProxyProtocol::None,
            ProxyProtocol::Accept => model::ProxyProtocol::Accept,
            ProxyProtocol::Require => model::ProxyProtocol::Require,
        },
        http2: it.http2,
        tls: it.tls.map(|it| tls(it, base)),
        limits: limits(&it.limits),
        timeouts: timeouts(&it.timeouts),
        proxy_status: proxy_status(&it.proxy_status),
    }
}

/// Returns how TLS is spoken with clients; relative paths start at `base`.
pub(crate) fn tls(tls: Tls, base: &Path) -> model::ListenerTls {
    // `join` keeps an absolute path as it is.
    let place = |FilePath(path): FilePath| base.join(path);
    model::ListenerTls {
        min_version: match tls.min_version {
            TlsVersion::Tls12 => model::TlsVersion::Tls12,
            TlsVersion::Tls13 => model::TlsVersion::Tls13,
        },
        certificates: tls
            .certificates
            .into_iter()
            .map(|it| model::CertificateFiles { cert: place(it.cert), key: place(it.key) })
            .collect(),
        client_auth: tls.client_auth.map(|it| model::ClientAuth {
            is_required: it.mode == ClientAuthMode::Required,
            ca: place(it.ca),
        }),
    }
}

fn limits(limits: &ListenerLimits) -> model::ListenerLimits {
    model::ListenerLimits {
        connections: limits.connections,
        connections_per_client: limits.connections_per_client,
        head: limits.head.0,
        headers: limits.headers.get() as usize,
        target: limits.target.0,
        min_rate: limits.min_rate.0,
    }
}

fn timeouts(timeouts: &ListenerTimeouts) -> model::ListenerTimeouts {
    model::ListenerTimeouts {
        handshake: timeouts.handshake.0,
        head: timeouts.head.0,
        idle: timeouts.idle.0,
    }
}

fn proxy_status(status: &ProxyStatus) -> model::ProxyStatusPolicy {
    model::ProxyStatusPolicy {
        answers: match status.answers {
            ProxyStatusAnswers::None => model::ProxyStatusAnswers::None,
            ProxyStatusAnswers::Errors => model::ProxyStatusAnswers::Errors,
            ProxyStatusAnswers::Retries => model::ProxyStatusAnswers::Retries,
        },
        backend_address: status.backend_address,
    }
}
