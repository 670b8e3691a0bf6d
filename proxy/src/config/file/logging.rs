//! The parts of a configuration file that say what is logged, and how requests are traced.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    config::units::{FilePath, Name, Percent, duration::Length, http::UrlPath, net::Url},
    model,
};

/// What is logged, and how.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Logging {
    /// The least severe level that is written.
    pub(crate) level: Level,
    /// How lines look.
    pub(crate) format: LogFormat,
    /// The file that lines are appended to. Without it, standard error. After the file has been moved
    /// away, or on SIGUSR1, it is made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<FilePath>,
    /// Whose `X-Request-Id` is kept, if it is printable and has at most 128 characters; all other
    /// requests get one made here.
    pub(crate) request_id: Trusted,
    /// The access log: a line for each request. Without it, none; with `{}`, one with all defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<AccessLog>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// A human is needed.
    Error,
    /// Degraded but serving.
    Warn,
    /// State changed.
    #[default]
    Info,
    /// For developers.
    Debug,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trusted {
    /// The listener's `trusted_proxies`.
    #[default]
    TrustedProxies,
    /// Every client.
    Everyone,
}

/// The access log. Lines are written by a thread of its own; what does not fit into its queue is
/// dropped and counted, and no request waits.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccessLog {
    /// How a line looks.
    pub(crate) format: AccessFormat,
    /// The file that lines are appended to. Without it, standard output. After the file has been
    /// moved away, or on SIGUSR1, it is made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<FilePath>,
    /// What is in a line, in this order. See `docs/access-log.md` for what each says.
    #[schemars(length(min = 1))]
    pub(crate) fields: Vec<AccessField>,
    /// Headers of the request that are in a line, too, as `request_header.NAME`.
    pub(crate) request_headers: Vec<Name>,
    /// Headers of the response that are in a line, too, as `response_header.NAME`.
    pub(crate) response_headers: Vec<Name>,
    /// The share of requests that get a line by chance.
    pub(crate) sample: Percent,
    /// Which requests get a line whatever chance says.
    pub(crate) always: Vec<Kept>,
    /// What counts as slow: from the request's head to the end of its response.
    pub(crate) slow: Length,
    /// What is replaced by `[redacted]`.
    pub(crate) redact: Redact,
    /// How much of a client's address is written: all of it, its network (24 bits of IPv4, 48 of
    /// IPv6), or none of it.
    pub(crate) client: ClientDetail,
}

impl Default for AccessLog {
    fn default() -> Self {
        use model::AccessField as Field;
        const FIELDS: [Field; 21] = [
            Field::Time,
            Field::Client,
            Field::Method,
            Field::Host,
            Field::Path,
            Field::Query,
            Field::Protocol,
            Field::Status,
            Field::BytesIn,
            Field::BytesOut,
            Field::Duration,
            Field::FirstByte,
            Field::Route,
            Field::Pool,
            Field::Backend,
            Field::Fate,
            Field::AttemptDetails,
            Field::RequestId,
            Field::TraceId,
            Field::IncidentId,
            Field::UserAgent,
        ];
        Self {
            format: AccessFormat::default(),
            file: None,
            fields: FIELDS.map(AccessField).to_vec(),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            sample: Percent(1.0),
            always: vec![Kept::Errors, Kept::Slow, Kept::Retried, Kept::Incident],
            slow: Length::seconds(1),
            redact: Redact::default(),
            client: ClientDetail::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessFormat {
    /// An object of JSON.
    #[default]
    Json,
    /// `name=value` pairs.
    Text,
    /// As Apache's `combined`; `fields` has no effect.
    Combined,
}

/// A field of the access log, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessField(pub(crate) model::AccessField);

impl Serialize for AccessField {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for AccessField {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let field = model::AccessField::ALL.iter().find(|it| it.name() == name);
        field.map(|it| Self(*it)).ok_or_else(|| D::Error::custom("no such field"))
    }
}

impl JsonSchema for AccessField {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AccessField".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = model::AccessField::ALL.iter().map(|it| it.name()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kept {
    /// The client got a 5xx, or a response that broke off.
    #[serde(rename = "5xx")]
    Errors,
    /// The client got a 4xx.
    #[serde(rename = "4xx")]
    ClientErrors,
    /// It took long.
    Slow,
    /// It took more than one attempt.
    Retried,
    /// An incident of its pool was open when it ended.
    Incident,
}

/// What is replaced by `[redacted]`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redact {
    /// Headers whose values are, whatever their case.
    pub(crate) headers: Vec<Name>,
    /// Parameters of the query whose values are, whatever their case.
    pub(crate) query: Vec<Name>,
}

impl Default for Redact {
    fn default() -> Self {
        const HEADERS: [&str; 5] =
            ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];
        const QUERY: [&str; 12] = [
            "access_token",
            "api_key",
            "apikey",
            "auth",
            "code",
            "id_token",
            "key",
            "password",
            "refresh_token",
            "secret",
            "sig",
            "token",
        ];
        let names = |names: &[&str]| names.iter().map(|&it| Name(it.to_owned())).collect();
        Self { headers: names(&HEADERS), query: names(&QUERY) }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientDetail {
    /// All of it.
    #[default]
    Address,
    /// Its network.
    Network,
    /// None of it.
    None,
}

/// How requests are traced: `traceparent` and `tracestate` are taken in, and each attempt tells its
/// backend of itself. Without this, these headers are passed on as they are.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tracing {
    /// Whose trace is continued; everybody else's requests begin traces of their own.
    pub(crate) trust: Trusted,
    /// Whether `baggage` of somebody trusted is passed on.
    pub(crate) baggage: bool,
    /// The share of traces begun here that is recorded. A trace that is continued is recorded if its
    /// `traceparent` says so.
    pub(crate) sample: Percent,
    /// Which requests are recorded whatever chance says. This is decided at their end, so backends
    /// are not told of it.
    pub(crate) always: Vec<Kept>,
    /// What counts as slow: from the request's head to the end of its response.
    pub(crate) slow: Length,
    /// Names this proxy among all that is traced: `service.name`.
    pub(crate) service: Name,
    /// Who takes what is recorded. Without it, nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) otlp: Option<Otlp>,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            trust: Trusted::default(),
            baggage: true,
            sample: Percent(0.01),
            always: vec![Kept::Errors, Kept::Slow, Kept::Retried, Kept::Incident],
            slow: Length::seconds(1),
            service: Name("bascule".to_owned()),
            otlp: None,
        }
    }
}

/// A collector that takes spans by OTLP.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Otlp {
    /// Where it is: scheme, host and port. Usual ports are 4318 for `http`, 4317 for `grpc`.
    pub(crate) endpoint: Url,
    /// What it speaks.
    #[serde(default)]
    pub(crate) protocol: OtlpProtocol,
    /// The path that spans are sent to, where `protocol` is `http`.
    #[serde(default = "Otlp::default_path")]
    pub(crate) path: UrlPath,
    /// A file with headers that are sent along, one a line, `name: value`: the place for a token. It
    /// is read when the collector is connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) headers_file: Option<FilePath>,
    /// A file with the certificates that vouch for the collector, where `endpoint` is `https`. Without
    /// it, those that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<FilePath>,
    /// How long it may take to answer. Nothing but the spans waits for it.
    #[serde(default = "Otlp::default_timeout")]
    pub(crate) timeout: Length,
}

impl Otlp {
    pub(crate) fn default_path() -> UrlPath {
        UrlPath("/v1/traces".to_owned())
    }

    pub(crate) fn default_timeout() -> Length {
        Length::seconds(5)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OtlpProtocol {
    /// Protocol buffers over HTTP/1.1.
    #[default]
    Http,
    /// gRPC.
    Grpc,
}
