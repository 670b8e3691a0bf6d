//! `Proxy-Status` (RFC 9209): what a proxy had to do with a response, in a form for programs.
//!
//! The field is a list of structured items (RFC 9651): every proxy on the way appends one. What is
//! written of backends is only what kind of trouble there was; where they are is theirs to say.

use std::{fmt::Write as _, net::SocketAddr};

/// The field's name.
pub const PROXY_STATUS: &str = "proxy-status";
/// What this proxy calls itself, there and in `Via`.
const NAME: &str = "bascule";

/// What was wrong (RFC 9209 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// §2.3.2
    DnsError,
    /// §2.3.3: nowhere to send the request.
    DestinationNotFound,
    /// §2.3.4: somewhere, but nobody there can serve.
    DestinationUnavailable,
    /// §2.3.5
    DestinationIpUnroutable,
    /// §2.3.6
    ConnectionRefused,
    /// §2.3.7
    ConnectionTerminated,
    /// §2.3.8
    ConnectionTimeout,
    /// §2.3.11: as much is under way as may be.
    ConnectionLimitReached,
    /// §2.3.12
    TlsProtocolError,
    /// §2.3.13
    TlsCertificateError,
    /// §2.3.15: the client is to blame.
    HttpRequestError,
    /// §2.3.16: the request is well-formed, and not wanted.
    HttpRequestDenied,
    /// §2.3.17
    HttpResponseIncomplete,
    /// §2.3.25
    HttpResponseTimeout,
    /// §2.3.27
    HttpProtocolError,
    /// §2.3.28: the proxy answers in a backend's place, as it was told to.
    ProxyInternalResponse,
}

impl ProxyError {
    /// Every type that is used here.
    pub const ALL: [Self; 16] = [
        Self::DnsError,
        Self::DestinationNotFound,
        Self::DestinationUnavailable,
        Self::DestinationIpUnroutable,
        Self::ConnectionRefused,
        Self::ConnectionTerminated,
        Self::ConnectionTimeout,
        Self::ConnectionLimitReached,
        Self::TlsProtocolError,
        Self::TlsCertificateError,
        Self::HttpRequestError,
        Self::HttpRequestDenied,
        Self::HttpResponseIncomplete,
        Self::HttpResponseTimeout,
        Self::HttpProtocolError,
        Self::ProxyInternalResponse,
    ];

    /// Returns the registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DnsError => "dns_error",
            Self::DestinationNotFound => "destination_not_found",
            Self::DestinationUnavailable => "destination_unavailable",
            Self::DestinationIpUnroutable => "destination_ip_unroutable",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionTerminated => "connection_terminated",
            Self::ConnectionTimeout => "connection_timeout",
            Self::ConnectionLimitReached => "connection_limit_reached",
            Self::TlsProtocolError => "tls_protocol_error",
            Self::TlsCertificateError => "tls_certificate_error",
            Self::HttpRequestError => "http_request_error",
            Self::HttpRequestDenied => "http_request_denied",
            Self::HttpResponseIncomplete => "http_response_incomplete",
            Self::HttpResponseTimeout => "http_response_timeout",
            Self::HttpProtocolError => "http_protocol_error",
            Self::ProxyInternalResponse => "proxy_internal_response",
        }
    }
}

/// What is said of one response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyStatus<'a> {
    /// What was wrong; `None` where nothing was in the end.
    pub error: Option<ProxyError>,
    /// The status that a backend answered with, and that was not passed on.
    pub received_status: Option<u16>,
    /// Which backend was asked last.
    pub backend_address: Option<SocketAddr>,
    /// More, for people.
    pub details: Option<&'a str>,
}

impl ProxyStatus<'_> {
    /// Writes the item.
    pub fn write(&self) -> String {
        let mut item = NAME.to_owned();
        if let Some(error) = self.error {
            item += "; error=";
            item += error.name();
        }
        if let Some(backend_address) = self.backend_address {
            // Writing to a string cannot fail.
            _ = write!(item, "; next-hop=\"{backend_address}\"");
        }
        if let Some(status) = self.received_status {
            _ = write!(item, "; received-status={status}");
        }
        if let Some(details) = self.details {
            item += "; details=";
            put_string(details, &mut item);
        }
        item
    }
}

/// Appends a string (RFC 9651 §4.1.6). What no string can hold is left out.
fn put_string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars().filter(|it| matches!(it, ' '..='~')) {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_item_says_what_is_known() {
        let status =
            ProxyStatus { error: Some(ProxyError::ConnectionRefused), ..Default::default() };
        assert_eq!(status.write(), "bascule; error=connection_refused");
        let status = ProxyStatus {
            backend_address: Some("[2001:db8::1]:80".parse().unwrap()),
            received_status: Some(503),
            details: Some("so \"it\" \\ is\n\u{e4}"),
            ..ProxyStatus::default()
        };
        let expected = "bascule; next-hop=\"[2001:db8::1]:80\"; received-status=503; \
                        details=\"so \\\"it\\\" \\\\ is\"";
        assert_eq!(status.write(), expected);
        assert_eq!(ProxyStatus::default().write(), "bascule");
    }

    /// Reads one item as RFC 9651 §4.2.3 says, strictly; `None` if it is none.
    fn parameters(item: &str) -> Option<Vec<(String, String)>> {
        let mut rest = item.strip_prefix(NAME)?;
        let mut found = Vec::new();
        while let Some(behind) = rest.strip_prefix(';') {
            let behind = behind.trim_start_matches(' ');
            let (key, value) = behind.split_once('=')?;
            let is_key =
                |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "_-.*".contains(it);
            if !key.starts_with(|it: char| it.is_ascii_lowercase()) || !key.chars().all(is_key) {
                return None;
            }
            let (value, behind) = bare_item(value)?;
            found.push((key.to_owned(), value));
            rest = behind;
        }
        rest.is_empty().then_some(found)
    }

    fn bare_item(text: &str) -> Option<(String, &str)> {
        let Some(inner) = text.strip_prefix('"') else {
            let end = text.find(';').unwrap_or(text.len());
            let (value, behind) = text.split_at(end);
            let is_number = value.len() <= 15 && value.chars().all(|it| it.is_ascii_digit());
            let is_token = value.starts_with(|it: char| it.is_ascii_alphabetic())
                && value.bytes().all(|it| crate::wire::is_token(it) || matches!(it, b':' | b'/'));
            return (is_number || is_token).then(|| (value.to_owned(), behind));
        };
        let (mut value, mut letters) = (String::new(), inner.char_indices());
        loop {
            match letters.next()? {
                (at, '"') => return Some((value, &inner[at + 1..])),
                (_, '\\') => value.push(letters.next().filter(|it| "\"\\".contains(it.1))?.1),
                (_, letter @ ' '..='~') => value.push(letter),
                (_, _) => return None,
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_one_structured_item(
            error in prop::option::of(prop::sample::select(ProxyError::ALL.to_vec())),
            received_status in prop::option::of(100_u16..600),
            backend_address in prop::option::of(any::<(std::net::IpAddr, u16)>()),
            details in prop::option::of(any::<String>()),
        ) {
            let backend_address = backend_address.map(SocketAddr::from);
            let status = ProxyStatus { error, received_status, backend_address, details: details.as_deref() };
            let item = status.write();
            let parameters = parameters(&item).unwrap();
            let said = |key: &str| parameters.iter().find(|it| it.0 == key).map(|it| it.1.clone());
            prop_assert_eq!(said("error"), error.map(|it| it.name().to_owned()));
            prop_assert_eq!(said("received-status"), received_status.map(|it| it.to_string()));
            prop_assert_eq!(said("next-hop"), backend_address.map(|it| it.to_string()));
            let visible = details.map(|it| it.chars().filter(|it| matches!(it, ' '..='~')).collect());
            prop_assert_eq!(said("details"), visible);
            prop_assert!(http::HeaderValue::from_str(&item).is_ok());
        }
    }
}
