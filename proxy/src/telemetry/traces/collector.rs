//! A connection to a collector, and what is said on it: OTLP over HTTP/1.1 or gRPC.

use std::{fs::File, io::Read as _, path::Path, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use pingora_rustls::{
    ClientConfig, RootCertStore, ServerName, TlsConnector, load_platform_certs_incl_env_into_store,
};
use prost::Message as _;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{
    model::{Collector, CollectorProtocol},
    telemetry::traces::spans,
    wire::grpc,
};

/// The method of gRPC.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// What is read of an answer: all that a collector says is how many spans it refuses, and why.
const ANSWER_MAX: usize = 64 * 1024;
/// What is read of a file with headers or certificates.
const FILE_MAX: u64 = 1024 * 1024;

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsent {
    #[error("no answer in time")]
    Late,
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("{0}")]
    File(String),
    #[error("the connection broke off: {0}")]
    Broken(String),
    #[error("it answers {0}")]
    Status(u16),
    #[error("it answers with the status {0} of gRPC")]
    GrpcStatus(u16),
}

impl Unsent {
    /// Tells whether the same spans may be taken later (OTLP, "Failures").
    pub(crate) fn may_be_repeated(&self) -> bool {
        match self {
            Self::Late | Self::Unreachable(_) | Self::Tls(_) | Self::File(_) | Self::Broken(_) => {
                true
            }
            Self::Status(status) => matches!(status, 429 | 502 | 503 | 504),
            // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
            Self::GrpcStatus(status) => matches!(status, 1 | 4 | 10 | 11 | 14 | 15),
        }
    }
}

/// An open connection to a collector.
pub(crate) struct Connection {
    speaks: Speaks,
    /// What is sent with every message.
    headers: HeaderMap,
    collector: Collector,
}

enum Speaks {
    Http(http1::SendRequest<Full<Bytes>>),
    Grpc(http2::SendRequest<Full<Bytes>>),
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Connection {
    /// Connects, and reads what is to be sent along.
    pub(crate) async fn open(collector: &Collector) -> Result<Self, Unsent> {
        let headers = match &collector.headers_file {
            Some(path) => headers(path)?,
            None => HeaderMap::new(),
        };
        let host = collector.host.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((host, collector.port)).await;
        let tcp = tcp.map_err(|error| Unsent::Unreachable(error.kind().to_string()))?;
        // A message is written whole.
        _ = tcp.set_nodelay(true);
        let stream: Box<dyn Io> = if collector.is_tls {
            let name = ServerName::try_from(host.to_owned());
            let name = name.map_err(|error| Unsent::Tls(error.to_string()))?;
            let connector = TlsConnector::from(Arc::new(settings(collector)?));
            let tls = connector.connect(name, tcp).await;
            Box::new(tls.map_err(|error| Unsent::Tls(error.to_string()))?)
        } else {
            Box::new(tcp)
        };
        let broken = |error: hyper::Error| Unsent::Broken(error.to_string());
        let speaks = match collector.protocol {
            CollectorProtocol::Http => {
                let (sender, connection) =
                    http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
                tokio::spawn(connection);
                Speaks::Http(sender)
            }
            CollectorProtocol::Grpc => {
                let io = TokioIo::new(stream);
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.map_err(broken)?;
                tokio::spawn(connection);
                Speaks::Grpc(sender)
            }
        };
        Ok(Self { speaks, headers, collector: collector.clone() })
    }

    /// Tells whether another message can be sent, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        match &self.speaks {
            Speaks::Http(sender) => !sender.is_closed(),
            Speaks::Grpc(sender) => !sender.is_closed(),
        }
    }

    /// Sends spans. Returns how many of them the collector refuses.
    pub(crate) async fn send(&mut self, spans: &spans::Request) -> Result<u64, Unsent> {
        let request = self.request(spans)?;
        let broken = |error: hyper::Error| Unsent::Broken(error.to_string());
        let (head, body) = match &mut self.speaks {
            Speaks::Http(sender) => {
                sender.ready().await.map_err(broken)?;
                sender.send_request(request).await.map_err(broken)?.into_parts()
            }
            Speaks::Grpc(sender) => {
                sender.ready().await.map_err(broken)?;
                sender.send_request(request).await.map_err(broken)?.into_parts()
            }
        };
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        let body = body.map_err(|error| Unsent::Broken(error.to_string()))?;
        if !head.status.is_success() || head.status == StatusCode::NO_CONTENT {
            return Err(Unsent::Status(head.status.as_u16()));
        }
        let trailers = body.trailers().cloned().unwrap_or_default();
        let bytes = body.to_bytes();
        match self.collector.protocol {
            CollectorProtocol::Http => Ok(rejected(&bytes)),
            CollectorProtocol::Grpc => {
                let said = trailers.get(grpc::STATUS).or_else(|| head.headers.get(grpc::STATUS));
                // Without a word on how it ended, a call has failed: 2 is "unknown".
                match said.and_then(|it| grpc::status(it.as_bytes())).unwrap_or(2) {
                    0 => Ok(bytes.get(5..).map_or(0, rejected)),
                    status => Err(Unsent::GrpcStatus(status)),
                }
            }
        }
    }

    fn request(&self, spans: &spans::Request) -> Result<Request<Full<Bytes>>, Unsent> {
        let Collector { host, port, is_tls, path, protocol, .. } = &self.collector;
        let scheme = if *is_tls { "https" } else { "http" };
        let length = spans.encoded_len();
        let mut body = BytesMut::with_capacity(length + 5);
        let mut request = Request::builder().method(Method::POST);
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&self.headers);
            headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        }
        request = match protocol {
            CollectorProtocol::Http => request
                .uri(path.as_str())
                .header(header::HOST, format!("{host}:{port}"))
                .header(header::CONTENT_TYPE, "application/x-protobuf"),
            CollectorProtocol::Grpc => {
                // Not compressed, and so long.
                body.put_u8(0);
                body.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
                request
                    .uri(format!("{scheme}://{host}:{port}{EXPORT}"))
                    .header(header::TE, "trailers")
                    .header(header::CONTENT_TYPE, "application/grpc")
            }
        };
        let encoded = spans.encode(&mut body);
        encoded.map_err(|error| Unsent::Broken(error.to_string()))?;
        let body = Full::new(body.freeze());
        request.body(body).map_err(|error| Unsent::Broken(error.to_string()))
    }
}

const USER_AGENT: &str = concat!("bascule/", env!("CARGO_PKG_VERSION"));

/// Returns how many spans an answer says are refused.
fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |it| it.rejected_spans);
    u64::try_from(rejected).unwrap_or(0)
}

/// Reads headers: a line each, `name: value`. What is wrong is told without what the file holds.
fn headers(path: &Path) -> Result<HeaderMap, Unsent> {
    let text = String::from_utf8(read(path)?);
    let text = text.map_err(|_| Unsent::File(format!("{} is not UTF-8", path.display())))?;
    let mut headers = HeaderMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let header = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let Some((name, value)) = header else {
            let line = index + 1;
            return Err(Unsent::File(format!(
                "line {line} of {} is not `name: value`",
                path.display()
            )));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

fn read(path: &Path) -> Result<Vec<u8>, Unsent> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
    let unreadable = |error| Unsent::File(format!("{} cannot be read: {error}", path.display()));
    read.map(|_| bytes).map_err(unreadable)
}

fn settings(collector: &Collector) -> Result<ClientConfig, Unsent> {
    let mut roots = RootCertStore::empty();
    let tls = |reason: String| Unsent::Tls(reason);
    match &collector.ca {
        Some(path) => {
            let bytes = read(path)?;
            for certificate in CertificateDer::pem_slice_iter(&bytes) {
                let certificate = certificate.map_err(|error| tls(error.to_string()))?;
                roots.add(certificate).map_err(|error| tls(error.to_string()))?;
            }
        }
        None => {
            let loaded = load_platform_certs_incl_env_into_store(&mut roots);
            loaded.map_err(|error| tls(error.to_string()))?;
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(error.to_string()))?;
    let mut settings = builder.with_root_certificates(roots).with_no_client_auth();
    let protocol: &[u8] = match collector.protocol {
        CollectorProtocol::Http => b"http/1.1",
        CollectorProtocol::Grpc => b"h2",
    };
    settings.alpn_protocols = vec![protocol.to_vec()];
    Ok(settings)
}
