//! A small HTTP/1.1 client, over TLS or without: one connection per request, everything bounded.
//!
//! Connections are not kept. The requests are few, and one sent on a connection that the other
//! side is just closing would fail without anybody knowing whether it was executed; a fresh
//! connection on the loopback costs less than that doubt.

mod trust;

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

pub use trust::{Trust, TrustError};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use pingora_rustls::TlsConnector;
use rustls::{AlertDescription, ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

/// The largest answer taken: a page of incidents is far below, the whole of `/metrics` too.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Nobody whom this client talks to is far away.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// Nobody accepts connections there.
    #[error("{authority} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        authority: String,
        /// In the system's words.
        reason: String,
    },
    /// The connection was accepted, the answer did not come in time.
    #[error("{authority} did not answer within {} s", within.as_secs_f64())]
    TimedOut {
        /// Host and port.
        authority: String,
        /// How long was waited.
        within: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("{authority} broke off: {reason}")]
    Broken {
        /// Host and port.
        authority: String,
        /// In the library's words.
        reason: String,
    },
    /// The answer is longer than anybody needs.
    #[error("the answer of {authority} is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge {
        /// Host and port.
        authority: String,
    },
    /// Whoever is there does not show a certificate that is trusted, or does not trust ours.
    #[error(
        "{authority} and this program do not trust each other: {reason}; name the authority of its \
         certificate with --ca, and a certificate of your own with --cert and --key"
    )]
    Distrusted {
        /// Host and port.
        authority: String,
        /// In the library's words.
        reason: String,
    },
    /// What TLS needs cannot be had.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The address is not one of HTTP.
    #[error("`{address}` is not an address such as http://127.0.0.1:9901")]
    BadAddress {
        /// As it was given, without user and password.
        address: String,
    },
}

/// Sends requests over HTTP/1.1.
#[derive(Clone, Debug)]
pub struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Default for HttpClient {
    /// A client that trusts nobody: for plain HTTP.
    fn default() -> Self {
        Self::with(trust::none())
    }
}

impl HttpClient {
    /// Makes a client for `address`. Certificates are read only if it is spoken with over TLS.
    ///
    /// # Errors
    /// When one cannot be.
    pub fn of(address: &Uri, trust: &Trust) -> Result<Self, HttpClientError> {
        let is_tls = address.scheme_str() == Some("https");
        if is_tls { Ok(Self::with(trust.client_config()?)) } else { Ok(Self::default()) }
    }

    fn with(tls: ClientConfig) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .set_host(true)
            .build(connector);
        Self(client)
    }

    /// Sends `request` and returns the whole answer, or an error after `within`.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Response<Bytes>, HttpClientError> {
        let authority = authority_of(request.uri())?;
        let exchange = async {
            let response =
                self.0.request(request).await.map_err(|error| explain(&authority, &error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| explain_body(&authority, &*error))?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        timeout(within, exchange).await.unwrap_or_else(|_| {
            Err(HttpClientError::TimedOut { authority: authority.clone(), within })
        })
    }

    /// Sends `request` and returns the answer's head, with its body or upgraded connection to
    /// come, or an error after `within`.
    pub async fn begin(
        &self,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Response<Incoming>, HttpClientError> {
        let authority = authority_of(request.uri())?;
        timeout(within, self.0.request(request))
            .await
            .map_err(|_| HttpClientError::TimedOut { authority: authority.clone(), within })?
            .map_err(|error| explain(&authority, &error))
    }
}

/// A connection in both directions, whatever it is made of.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// Speaks TLS on a connection to `address`, if that says so; for what is not HTTP afterwards.
///
/// # Errors
/// When certificates cannot be read, or the two do not trust each other.
pub async fn secure(
    stream: TcpStream,
    address: &Uri,
    trust: &Trust,
) -> Result<Box<dyn Duplex>, HttpClientError> {
    if address.scheme_str() != Some("https") {
        return Ok(Box::new(stream));
    }
    let authority = authority_of(address)?;
    let bad = || HttpClientError::BadAddress { address: authority.clone() };
    let host = address.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
    let connector = TlsConnector::from(Arc::new(trust.client_config()?));
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            let (authority, reason) = (authority.clone(), error.to_string());
            Err(if is_about_trust(&error) {
                HttpClientError::Distrusted { authority, reason }
            } else {
                HttpClientError::Broken { authority, reason }
            })
        }
    }
}

/// Returns the address of `path_and_query`, which begins with `/`, below `base`.
///
/// # Errors
/// When `base` is neither an `http` address nor an `https` one.
pub fn under(base: &Uri, path_and_query: &str) -> Result<Uri, HttpClientError> {
    let authority = authority_of(base)?;
    let prefix = base.path().trim_end_matches('/');
    Uri::builder()
        .scheme(base.scheme_str().unwrap_or("http"))
        .authority(authority)
        .path_and_query(format!("{prefix}{path_and_query}"))
        .build()
        .map_err(|_| HttpClientError::BadAddress { address: base.to_string() })
}

/// Returns where what listens on `address` is reached from this machine: a listener on all
/// addresses, on the loopback.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Returns host and port of `uri`; never user and password, so that messages can name it.
fn authority_of(uri: &Uri) -> Result<String, HttpClientError> {
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    match uri.authority().filter(|authority| is_http && !authority.host().is_empty()) {
        Some(authority) => {
            let text = authority.as_str();
            Ok(text.rsplit_once('@').map_or(text, |(_, host)| host).to_owned())
        }
        None => Err(HttpClientError::BadAddress {
            address: format!("{}://{}", uri.scheme_str().unwrap_or(""), uri.host().unwrap_or("")),
        }),
    }
}

fn explain(authority: &str, error: &hyper_util::client::legacy::Error) -> HttpClientError {
    let (authority, reason) = (authority.to_owned(), reason_of(error));
    if is_about_trust(error) {
        HttpClientError::Distrusted { authority, reason }
    } else if error.is_connect() {
        HttpClientError::Unreachable { authority, reason }
    } else {
        HttpClientError::Broken { authority, reason }
    }
}

fn explain_body(authority: &str, error: &(dyn Error + 'static)) -> HttpClientError {
    let authority = authority.to_owned();
    if error.is::<LengthLimitError>() {
        HttpClientError::TooLarge { authority }
    } else {
        HttpClientError::Broken { authority, reason: reason_of(error) }
    }
}

/// Tells whether a certificate is the reason: ours, or theirs.
fn is_about_trust(error: &(dyn Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return is_distrust(tls);
    }
    // An error of the system's kind passes over what it holds when it is asked for its source.
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let held: Option<&(dyn Error + 'static)> = held.map(|it| it as _);
    held.or_else(|| error.source()).is_some_and(is_about_trust)
}

fn is_distrust(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(_)
            | rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                    | AlertDescription::UnknownCA
                    | AlertDescription::BadCertificate
                    | AlertDescription::CertificateExpired
                    | AlertDescription::CertificateUnknown,
            )
    )
}

/// Returns the innermost cause, and of an error of the system its kind: `connection refused`.
fn reason_of(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.raw_os_error().is_some()
        {
            return io.kind().to_string();
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => return cause.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_put_below_its_base() {
        let check = |base: &str, path: &str, expected: &str| {
            assert_eq!(under(&base.parse().unwrap(), path).unwrap(), expected);
        };
        check("http://proxy:9901", "/proxy/health", "http://proxy:9901/proxy/health");
        check("http://[::1]:9901/", "/incidents?limit=1", "http://[::1]:9901/incidents?limit=1");
        check("http://u:p@proxy/bascule/", "/readyz", "http://proxy/bascule/readyz");
        check("https://proxy:9901", "/readyz", "https://proxy:9901/readyz");
    }

    #[test]
    fn a_base_without_http_is_refused_and_its_password_not_repeated() {
        for base in ["ftp://u:secret@proxy:9901", "proxy:9901", "/x"] {
            let error = under(&base.parse().unwrap(), "/").unwrap_err();
            assert!(error.to_string().contains("is not an address"), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_the_loopback() {
        let check = |address: &str, expected: &str| {
            assert_eq!(reachable(address.parse().unwrap()).to_string(), expected);
        };
        check("0.0.0.0:8021", "127.0.0.1:8021");
        check("[::]:8021", "[::1]:8021");
        check("10.1.2.3:8021", "10.1.2.3:8021");
    }

    async fn ask(base: &Uri, within: Duration) -> Result<Response<Bytes>, HttpClientError> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = under(base, "/readyz")?;
        HttpClient::default().send(request, within).await
    }

    #[tokio::test]
    async fn a_closed_port_is_named_with_the_reason() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let base = format!("http://{address}").parse().unwrap();
        let error = ask(&base, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{address} cannot be reached: connection refused"));
    }

    #[tokio::test]
    async fn a_listener_that_never_answers_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let error = ask(&base, Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, HttpClientError::TimedOut { .. }), "{error}");
    }
}
