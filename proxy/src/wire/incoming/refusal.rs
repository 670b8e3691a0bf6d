//! Why a request is refused before anybody acts on it.

/// Why a request is refused. The connection ends with it: where the next request begins is not
/// known any more, or not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The first line is not `METHOD target HTTP/1.1` with single spaces (RFC 9112 §3).
    #[error("the request line is malformed")]
    RequestLine,
    /// Not a version of HTTP/1 (RFC 9112 §2.3).
    #[error("the version of HTTP is not supported")]
    Version,
    /// Neither a path, nor an absolute URL, nor `*` for `OPTIONS` (RFC 9112 §3.2).
    #[error("the request target is malformed")]
    Target,
    /// More than the target's bound.
    #[error("the request target is too long")]
    TargetTooLong,
    /// `CONNECT`: this proxy opens no tunnels (RFC 9110 §9.3.6).
    #[error("tunnels are not offered")]
    Tunnel,
    /// A line that ends in a line feed alone, or holds a lone carriage return (RFC 9112 §2.2).
    #[error("a line does not end in carriage return and line feed")]
    LineEnd,
    /// A line that continues the one before (RFC 9112 §5.2).
    #[error("a header is folded over several lines")]
    Folded,
    /// A header whose name is no token, with white space before the colon, or without a colon
    /// (RFC 9112 §5.1).
    #[error("the name of a header is malformed")]
    HeaderName,
    /// A header's value with control characters (RFC 9110 §5.5).
    #[error("the value of a header holds control characters")]
    HeaderValue,
    /// More than the head's bound, or more headers than allowed; or trailers (RFC 6585 §5).
    #[error("the headers are too large")]
    HeadTooLarge,
    /// No `Host`, several, or one that names no host (RFC 9112 §3.2).
    #[error("the Host header is missing, repeated or malformed")]
    Host,
    /// A length that is repeated, no number, or beside a transfer coding (RFC 9112 §6.3).
    #[error("the Content-Length is repeated, malformed or contradicted")]
    Length,
    /// A transfer coding that leaves open where the body ends (RFC 9112 §6.1, §6.3).
    #[error("the Transfer-Encoding leaves open where the body ends")]
    Coding,
    /// A transfer coding beside `chunked` (RFC 9112 §6.1).
    #[error("the transfer coding is not supported")]
    UnknownCoding,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    #[error("the expectation is not supported")]
    Expectation,
    /// An offer to upgrade beside a body: what follows would have two readings.
    #[error("a request to upgrade carries a body")]
    UpgradeWithBody,
    /// A chunk whose size or end is malformed, or malformed trailers (RFC 9112 §7.1).
    #[error("the chunked body is malformed")]
    Chunk,
    /// The head did not come in time.
    #[error("the head of the request did not come in time")]
    TooSlow,
}

impl Refusal {
    /// Every refusal, for those who count them.
    pub const ALL: [Self; 18] = [
        Self::RequestLine,
        Self::Version,
        Self::Target,
        Self::TargetTooLong,
        Self::Tunnel,
        Self::LineEnd,
        Self::Folded,
        Self::HeaderName,
        Self::HeaderValue,
        Self::HeadTooLarge,
        Self::Host,
        Self::Length,
        Self::Coding,
        Self::UnknownCoding,
        Self::Expectation,
        Self::UpgradeWithBody,
        Self::Chunk,
        Self::TooSlow,
    ];

    /// Returns the status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::TooSlow => 408,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge => 431,
            Self::UnknownCoding => 501,
            Self::Version => 505,
            Self::Tunnel => 405,
            Self::RequestLine
            | Self::Target
            | Self::LineEnd
            | Self::Folded
            | Self::HeaderName
            | Self::HeaderValue
            | Self::Host
            | Self::Length
            | Self::Coding
            | Self::UpgradeWithBody
            | Self::Chunk => 400,
        }
    }

    /// Returns a word for metrics and answers.
    pub const fn code(self) -> &'static str {
        match self {
            Self::RequestLine => "request_line",
            Self::Version => "version",
            Self::Target => "target",
            Self::TargetTooLong => "target_too_long",
            Self::Tunnel => "tunnel",
            Self::LineEnd => "line_end",
            Self::Folded => "folded",
            Self::HeaderName => "header_name",
            Self::HeaderValue => "header_value",
            Self::HeadTooLarge => "head_too_large",
            Self::Host => "host",
            Self::Length => "length",
            Self::Coding => "coding",
            Self::UnknownCoding => "unknown_coding",
            Self::Expectation => "expectation",
            Self::UpgradeWithBody => "upgrade_with_body",
            Self::Chunk => "chunk",
            Self::TooSlow => "too_slow",
        }
    }

    /// Returns what the client can do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::TooSlow => "send the head of the request at once",
            Self::TargetTooLong => "send a shorter target",
            Self::HeadTooLarge => "send fewer or shorter headers",
            Self::Version => "speak HTTP/1.1",
            Self::Tunnel => "ask for the resource itself",
            Self::Expectation => "leave the expectation out",
            Self::UnknownCoding => "use `Transfer-Encoding: chunked` alone, or Content-Length",
            Self::RequestLine
            | Self::Target
            | Self::LineEnd
            | Self::Folded
            | Self::HeaderName
            | Self::HeaderValue
            | Self::Host
            | Self::Length
            | Self::Coding
            | Self::UpgradeWithBody
            | Self::Chunk => "send a well-formed HTTP request",
        }
    }
}
