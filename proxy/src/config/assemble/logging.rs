//! What is logged, and how requests are traced.

use std::path::Path;

use http::HeaderName;

use crate::{
    config::{
        file::logging::{
            AccessFormat, AccessLog, ClientDetail, Kept, Level, LogFormat, Logging, Otlp,
            OtlpProtocol, Redact, Tracing, Trusted,
        },
        units::Name,
    },
    model::{self, BackendAddress},
};

/// Returns what `logging` describes; relative paths start at `base`. `None` if a rule was broken.
pub(crate) fn logging(logging: Logging, base: &Path) -> Option<model::Logging> {
    Some(model::Logging {
        level: match logging.level {
            Level::Error => model::Level::Error,
            Level::Warn => model::Level::Warn,
            Level::Info => model::Level::Info,
            Level::Debug => model::Level::Debug,
        },
        format: match logging.format {
            LogFormat::Text => model::LogFormat::Text,
            LogFormat::Json => model::LogFormat::Json,
        },
        file: logging.file.map(|it| base.join(it.0)),
        request_id: trusted(logging.request_id),
        access: match logging.access {
            Some(it) => Some(access_log(it, base)?),
            None => None,
        },
    })
}

fn access_log(log: AccessLog, base: &Path) -> Option<model::AccessLog> {
    Some(model::AccessLog {
        format: match log.format {
            AccessFormat::Json => model::AccessFormat::Json,
            AccessFormat::Text => model::AccessFormat::Text,
            AccessFormat::Combined => model::AccessFormat::Combined,
        },
        file: log.file.map(|it| base.join(it.0)),
        fields: log.fields.into_iter().map(|it| it.0).collect(),
        request_headers: header_names(&log.request_headers)?,
        response_headers: header_names(&log.response_headers)?,
        sample: log.sample.0,
        always: always(&log.always),
        slow: log.slow.0,
        redact: redaction(&log.redact),
        client: match log.client {
            ClientDetail::Address => model::ClientDetail::Address,
            ClientDetail::Network => model::ClientDetail::Network,
            ClientDetail::None => model::ClientDetail::None,
        },
    })
}

fn header_names(names: &[Name]) -> Option<Vec<HeaderName>> {
    names.iter().map(|it| HeaderName::from_bytes(it.0.as_bytes()).ok()).collect()
}

fn redaction(redact: &Redact) -> model::Redaction {
    let lower = |names: &[Name]| names.iter().map(|it| it.0.to_ascii_lowercase()).collect();
    model::Redaction { headers: lower(&redact.headers), query: lower(&redact.query) }
}

/// Returns what is not told of requests.
pub(crate) fn redacted(logging: &Logging) -> model::Redaction {
    let access = logging.access.as_ref();
    access.map_or_else(|| redaction(&Redact::default()), |it| redaction(&it.redact))
}

fn always(kept: &[Kept]) -> model::Always {
    model::Always {
        errors: kept.contains(&Kept::Errors),
        client_errors: kept.contains(&Kept::ClientErrors),
        slow: kept.contains(&Kept::Slow),
        retried: kept.contains(&Kept::Retried),
        incident: kept.contains(&Kept::Incident),
    }
}

fn trusted(trusted: Trusted) -> model::Trusted {
    match trusted {
        Trusted::TrustedProxies => model::Trusted::Proxies,
        Trusted::Everyone => model::Trusted::Everyone,
    }
}

/// Returns what `tracing` describes; relative paths start at `base`. `None` if a rule was broken.
pub(crate) fn tracing(
    tracing: Tracing,
    redact: model::Redaction,
    base: &Path,
) -> Option<model::Tracing> {
    Some(model::Tracing {
        trust: trusted(tracing.trust),
        baggage: tracing.baggage,
        sample: tracing.sample.0,
        always: always(&tracing.always),
        slow: tracing.slow.0,
        redact,
        service: tracing.service.0,
        collector: match tracing.otlp {
            Some(it) => Some(collector(it, base)?),
            None => None,
        },
    })
}

fn collector(otlp: Otlp, base: &Path) -> Option<model::Collector> {
    let BackendAddress::Tcp { tls, host, port } = otlp.endpoint.address else { return None };
    Some(model::Collector {
        host,
        port,
        is_tls: tls,
        path: otlp.path.0,
        protocol: match otlp.protocol {
            OtlpProtocol::Http => model::CollectorProtocol::Http,
            OtlpProtocol::Grpc => model::CollectorProtocol::Grpc,
        },
        headers_file: otlp.headers_file.map(|it| base.join(it.0)),
        ca: otlp.ca.map(|it| base.join(it.0)),
        timeout: otlp.timeout.0,
    })
}
