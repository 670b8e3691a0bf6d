//! One open connection to a backend.

use std::{
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use pingora_rustls::{ClientTlsStream, TlsConnector};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    event::Symptom,
    exchange::tls::ConnectionTls,
    model::{BackendId, Place},
};

/// What HTTP/2 is called where protocols are agreed on (RFC 9113 §3.1).
const HTTP2: &[u8] = b"h2";

/// An open connection, and whose it is.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) backend: BackendId,
    /// The backend's epoch when the connection was made: after a loss it is not used again.
    pub(crate) epoch: u64,
    /// Whether it has carried a request.
    pub(crate) is_used: bool,
    /// How long the backend keeps it idle, if it has said so.
    pub(crate) kept_for: Option<Duration>,
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream, Sent),
    Tls(Box<ClientTlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// What was sent on a connection of TCP.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// What the other side's kernel had confirmed before anything was: the handshake may count. `None`
    /// where that cannot be known.
    confirmed_before: Option<u64>,
    /// Bytes that the kernel has taken since.
    bytes: u64,
}

/// How a connection is made.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Where the backend is.
    pub(crate) place: Arc<Place>,
    /// What is said before anything else, TLS included.
    pub(crate) preamble: Bytes,
    /// `None` without TLS.
    pub(crate) tls: Option<ConnectionTls>,
    /// For all of it.
    pub(crate) limit: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Unopened {
    pub(crate) symptom: Symptom,
    /// What was wrong with TLS, in the library's words, if that was it.
    pub(crate) tls: Option<String>,
}

impl Connection {
    /// Connects to a backend.
    pub(crate) async fn open(
        backend: BackendId,
        epoch: u64,
        terms: Terms,
    ) -> Result<Self, Unopened> {
        let Terms { place, preamble, tls, limit } = terms;
        let opened = async {
            match &*place {
                Place::Ip(address) => over_tcp(*address, &preamble, tls).await,
                Place::Unix(path) => {
                    let mut socket = UnixStream::connect(path).await?;
                    socket.write_all(&preamble).await?;
                    Ok(Stream::Unix(socket))
                }
            }
        };
        let stream =
            timeout(limit, opened).await.unwrap_or(Err(Symptom::ConnectTimedOut.into()))?;
        Ok(Self { backend, epoch, is_used: false, kept_for: None, stream })
    }

    fn socket(&self) -> SockRef<'_> {
        match &self.stream {
            Stream::Plain(tcp, _) => SockRef::from(tcp),
            Stream::Tls(tls) => SockRef::from(tls.get_ref().0),
            Stream::Unix(socket) => SockRef::from(socket),
        }
    }

    /// Tells whether TLS stands between the bytes given and the bytes sent.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Tells whether an idle connection still stands: open, and nothing received that nobody asked
    /// for. Asks the kernel, which knows of a close before the event loop does; and TLS, which may
    /// have taken from the kernel, and decrypted, more than the last response.
    pub(crate) fn is_open(&mut self) -> bool {
        if self.is_tls() && self.has_something_to_say() {
            return false;
        }
        let mut byte = [MaybeUninit::uninit()];
        matches!(
            self.socket().peek(&mut byte),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock
        )
    }

    /// Tells the same, as far as the event loop has heard: that takes no system call, and is true until a
    /// millisecond ago on a busy thread.
    pub(crate) fn seems_open(&mut self) -> bool {
        let peek = || self.socket().peek(&mut [MaybeUninit::uninit()]);
        let looked = match &self.stream {
            Stream::Plain(tcp, _) => tcp.try_io(Interest::READABLE, peek),
            Stream::Unix(socket) => socket.try_io(Interest::READABLE, peek),
            Stream::Tls(_) => return self.is_open(),
        };
        matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Tells whether something can be read at once, if only the end. What is read is lost.
    fn has_something_to_say(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(self).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_ready()
    }

    /// Returns what [`Connection::confirmed`] is once all that was sent so far has come; `None` where that
    /// says nothing. Takes no look at the kernel.
    pub(crate) fn confirmed_when_all_is(&self) -> Option<u64> {
        match &self.stream {
            Stream::Plain(_, sent) => Some(sent.confirmed_before? + sent.bytes),
            Stream::Tls(_) | Stream::Unix(_) => None,
        }
    }

    /// Returns how many bytes the other side's kernel has confirmed so far; `None` where that
    /// cannot be known or says nothing: elsewhere than on Linux, on a Unix socket, and under TLS,
    /// where the other side's library answers for itself.
    pub(crate) fn confirmed(&self) -> Option<u64> {
        match &self.stream {
            Stream::Plain(tcp, _) => confirmed(tcp),
            Stream::Tls(_) | Stream::Unix(_) => None,
        }
    }
}

impl From<Symptom> for Unopened {
    fn from(symptom: Symptom) -> Self {
        Self { symptom, tls: None }
    }
}

/// Returns how many bytes the other side's kernel has confirmed.
#[cfg(target_os = "linux")]
fn confirmed(tcp: &TcpStream) -> Option<u64> {
    use std::os::fd::AsRawFd;

    use pingora::protocols::l4::ext::get_tcp_info;

    Some(get_tcp_info(tcp.as_raw_fd()).ok()?.tcpi_bytes_acked)
}

/// Returns `None`: only Linux tells.
#[cfg(not(target_os = "linux"))]
fn confirmed(_: &TcpStream) -> Option<u64> {
    None
}

async fn over_tcp(
    address: SocketAddr,
    preamble: &[u8],
    tls: Option<ConnectionTls>,
) -> Result<Stream, Unopened> {
    let mut tcp = TcpStream::connect(address).await?;
    // Requests are written whole; waiting to fill a segment would only delay them. A system that
    // refuses is merely slower.
    _ = tcp.set_nodelay(true);
    let confirmed_before = if tls.is_none() { confirmed(&tcp) } else { None };
    if !preamble.is_empty() {
        tcp.write_all(preamble).await?;
    }
    match tls {
        None => Ok(Stream::Plain(tcp, Sent { confirmed_before, bytes: preamble.len() as u64 })),
        Some(tls) => agree(tls, tcp).await.map(|tls| Stream::Tls(Box::new(tls))),
    }
}

/// Begins TLS on a connection.
async fn agree(tls: ConnectionTls, tcp: TcpStream) -> Result<ClientTlsStream<TcpStream>, Unopened> {
    let wants_http2 = tls.settings.alpn_protocols.iter().any(|it| it == HTTP2);
    let connector = TlsConnector::from(tls.settings);
    let stream = connector
        .connect(tls.name, tcp)
        .await
        .map_err(|error| Unopened { symptom: fault_of(&error), tls: Some(error.to_string()) })?;
    // Who has not agreed to HTTP/2 would read nonsense (RFC 9113 §3.2).
    if wants_http2 && stream.get_ref().1.alpn_protocol() != Some(HTTP2) {
        let reason = "it does not offer HTTP/2 (ALPN `h2`)".to_owned();
        return Err(Unopened { symptom: Symptom::TlsFailed, tls: Some(reason) });
    }
    Ok(stream)
}

/// Says what was wrong with TLS.
fn fault_of(error: &io::Error) -> Symptom {
    let fault = error.get_ref().and_then(|it| it.downcast_ref());
    match fault {
        Some(rustls::Error::InvalidCertificate(_)) => Symptom::BadCertificate,
        Some(_) | None => Symptom::TlsFailed,
    }
}

impl From<io::Error> for Unopened {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the system's list is long and grows")]
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Without its file, a Unix socket is one that nobody listens on.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                Symptom::ConnectionRefused.into()
            }
            io::ErrorKind::TimedOut => Symptom::ConnectTimedOut.into(),
            _ => Symptom::ConnectFailed.into(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp, _) => Pin::new(tcp).poll_read(cx, into),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, into),
            Stream::Unix(socket) => Pin::new(socket).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp, sent) => {
                let written = ready!(Pin::new(tcp).poll_write(cx, bytes));
                sent.bytes += written.as_ref().map_or(0, |it| *it as u64);
                Poll::Ready(written)
            }
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
            Stream::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp, _) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Stream::Unix(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp, _) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Stream::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use pingora_rustls::{
        CertificateDer, ClientConfig, PrivateKeyDer, RootCertStore, ServerConfig, ServerName,
        TlsAcceptor, TlsConnector, install_default_crypto_provider,
    };
    use tokio::{
        io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use crate::{
        exchange::connection::{Connection, Stream},
        model::{BackendId, PoolId},
    };

    /// Two ends of a connection under TLS: the backend's and ours.
    async fn connected() -> (impl AsyncWrite + AsyncRead + Unpin, Connection) {
        install_default_crypto_provider();
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate: CertificateDer<'static> = cert.der().clone();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let accepted = async {
            let (tcp, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(Arc::new(server)).accept(tcp).await.unwrap()
        };
        let connector = TlsConnector::from(Arc::new(client));
        let (backend, tls) = tokio::join!(accepted, connector.connect(name, tcp));
        let stream = Stream::Tls(Box::new(tls.unwrap()));
        let backend_id = BackendId { pool: PoolId(0), index: 0 };
        let ours =
            Connection { backend: backend_id, epoch: 0, is_used: false, kept_for: None, stream };
        (backend, ours)
    }

    #[tokio::test]
    async fn what_tls_has_decrypted_and_nobody_has_read_makes_a_connection_unfit() {
        let (mut backend, mut ours) = connected().await;
        backend.write_all(b"answer").await.unwrap();
        backend.flush().await.unwrap();
        let mut answer = [0; 6];
        ours.read_exact(&mut answer).await.unwrap();
        assert!(ours.is_open());
        // The kernel gives all of it at once, and has nothing left to tell of.
        backend.write_all(b"answer, and more").await.unwrap();
        backend.flush().await.unwrap();
        ours.read_exact(&mut answer).await.unwrap();
        assert!(!ours.is_open());
    }
}
