//! What is logged: of the proxy itself, and of each request.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Logging {
    /// The least severe level written.
    pub level: Level,
    /// How lines look.
    pub format: LogFormat,
    /// Where they go; `None` for standard error.
    pub file: Option<PathBuf>,
    /// Whose `X-Request-Id` is kept.
    pub request_id: Trusted,
    /// The line for each request; `None` if there is none.
    pub access: Option<AccessLog>,
}

impl Logging {
    /// Lines of this level and format on standard error, and no access log.
    pub fn plain(level: Level, format: LogFormat) -> Self {
        Self { level, format, file: None, request_id: Trusted::Proxies, access: None }
    }
}

/// Severity, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A human is needed.
    Error,
    /// Degraded but serving.
    Warn,
    /// State changed.
    Info,
    /// For developers.
    Debug,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 4] = [Self::Error, Self::Warn, Self::Info, Self::Debug];

    /// Returns the name used in the configuration and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// How the lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Of whom something is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// The listener's trusted proxies.
    Proxies,
    /// Every client.
    Everyone,
}

/// The access log: a line for each request.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// How a line looks.
    pub format: AccessFormat,
    /// Where lines go; `None` for standard output.
    pub file: Option<PathBuf>,
    /// What is in a line, in this order.
    pub fields: Vec<AccessField>,
    /// Headers of the request that are in a line, too.
    pub request_headers: Vec<HeaderName>,
    /// Headers of the response that are in a line, too.
    pub response_headers: Vec<HeaderName>,
    /// The share of requests that get a line by chance, 0 to 1.
    pub sample: f64,
    /// Which requests get one in any case.
    pub always: Always,
    /// What counts as slow.
    pub slow: Duration,
    /// What is not written down.
    pub redact: Redaction,
    /// How much of a client's address is.
    pub client: ClientDetail,
}

/// How a line of the access log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// An object of JSON.
    Json,
    /// `name=value` pairs.
    Text,
    /// As Apache's `combined`, whatever the fields are.
    Combined,
}

/// Which requests are recorded whatever chance says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Always {
    /// Those whose client got a 5xx, or a response that broke off.
    pub errors: bool,
    /// Those whose client got a 4xx.
    pub client_errors: bool,
    /// Those that took long.
    pub slow: bool,
    /// Those that took more than one attempt.
    pub retried: bool,
    /// Those that ended while an incident of their pool was open.
    pub incident: bool,
}

/// What is replaced before it is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// Headers whose values are; lower case.
    pub headers: Vec<String>,
    /// Parameters of a query whose values are; lower case.
    pub query: Vec<String>,
}

/// How much of a client's address is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientDetail {
    /// All of it.
    Address,
    /// Its network: 24 bits of IPv4, 48 of IPv6.
    Network,
    /// Nothing.
    None,
}

/// Declares [`AccessField`]: each field with its name and what it says.
macro_rules! fields {
    ($($name:ident = $text:literal $kind:ident, $doc:literal;)*) => {
        /// What a line of the access log can have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum AccessField {
            $(#[doc = $doc] $name,)*
        }

        impl AccessField {
            /// Every field there is, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the name by which it is chosen, and found in a line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Returns what its value is: text, a number, `true` or `false`, or a list.
            pub const fn kind(self) -> &'static str {
                match self { $(Self::$name => stringify!($kind),)* }
            }

            /// Returns what it says.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

fields! {
    Time = "time" text, "When the request's head had been read, in UTC.";
    RequestId = "request_id" text, "Names the request, here and at its backend.";
    TraceId = "trace_id" text, "Names the trace that it belongs to, if requests are traced.";
    SpanId = "span_id" text, "Names it within the trace.";
    IncidentId = "incident_id" text, "The incident that it is counted in.";
    Listener = "listener" text, "Where it came in.";
    Client = "client" text, "Who asked: as far as trusted proxies tell, else the peer.";
    Peer = "peer" text, "The other end of the connection, as PROXY headers tell.";
    Method = "method" text, "The method.";
    Scheme = "scheme" text, "`https` over TLS, else `http`.";
    Host = "host" text, "The host that was named.";
    Path = "path" text, "The path, as sent.";
    Query = "query" text, "The query, as sent, but for what is redacted.";
    Protocol = "protocol" text, "The version of HTTP that the client speaks.";
    TlsVersion = "tls_version" text, "The version of TLS.";
    UserAgent = "user_agent" text, "The header of that name.";
    Referer = "referer" text, "The header of that name, its query redacted like the request's.";
    Route = "route" text, "The route that matched.";
    Pool = "pool" text, "The pool that the route leads to.";
    Backend = "backend" text, "The backend that answered; without an answer, the last one tried.";
    Status = "status" number, "The status that the client got.";
    GrpcStatus = "grpc_status" number, "The status of a call of gRPC.";
    Origin = "origin" text, "Who made the response: `upstream`, `proxy`, or `aborted` if it did not end.";
    Fate = "fate" text, "How it ended for its client: `served`, `rescued`, `lost` or `abandoned`.";
    Rescue = "rescue" text, "What rescued it: `retry` or `hedge`.";
    Failure = "failure" text, "Why the proxy answered itself.";
    Symptom = "symptom" text, "How the latest failed attempt failed.";
    RetryReason = "retry_reason" text, "How the first failed attempt failed, if another followed.";
    Attempts = "attempts" number, "Attempts begun.";
    AttemptDetails = "attempt_details" list, "Each attempt, in order.";
    Hedged = "hedged" truth, "Whether a second attempt was begun beside the first.";
    BytesIn = "bytes_in" number, "Bytes of the request's body that came.";
    BytesOut = "bytes_out" number, "Bytes of the response's body that were sent.";
    Duration = "duration" number, "Seconds from the request's head to the end of its response.";
    FirstByte = "first_byte" number, "Seconds from the request's head to the head of its response.";
    Kept = "kept" text, "Why it has a line: `sample`, or what of `always` it is.";
}
