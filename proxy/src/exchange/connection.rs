//! One open connection to a backend.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use pingora_rustls::{
    ClientConfig, ClientTlsStream, RootCertStore, ServerName, TlsConnector,
    install_default_crypto_provider, load_platform_certs_incl_env_into_store,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use crate::{
    event::Symptom,
    model::{BackendAddress, BackendId, Protocol},
};

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
    Plain(TcpStream),
    Tls(Box<ClientTlsStream<TcpStream>>),
}

impl Connection {
    /// Connects to where the backend is, within `limit`, TLS included.
    pub(crate) async fn open(
        backend: BackendId,
        epoch: u64,
        address: std::net::SocketAddr,
        name: &BackendAddress,
        protocol: Protocol,
        limit: Duration,
    ) -> Result<Self, Symptom> {
        let opened = async {
            let tcp = TcpStream::connect(address).await.map_err(|error| symptom_of(&error))?;
            // Requests are written whole; waiting to fill a segment would only delay them. A
            // system that refuses is merely slower.
            _ = tcp.set_nodelay(true);
            if !name.tls {
                return Ok(Stream::Plain(tcp));
            }
            let host =
                ServerName::try_from(name.host.clone()).map_err(|_| Symptom::ConnectFailed)?;
            let connector = connector(protocol).ok_or(Symptom::ConnectFailed)?;
            let tls = connector.connect(host, tcp).await.map_err(|_| Symptom::ConnectFailed)?;
            Ok(Stream::Tls(Box::new(tls)))
        };
        let stream = timeout(limit, opened).await.unwrap_or(Err(Symptom::ConnectTimedOut))?;
        Ok(Self { backend, epoch, is_used: false, kept_for: None, stream })
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
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
            SockRef::from(self.tcp()).peek(&mut byte),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock
        )
    }

    /// Tells whether something can be read at once, if only the end. What is read is lost.
    fn has_something_to_say(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(self).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_ready()
    }

    /// Returns how many bytes the other side's kernel has confirmed so far; `None` where that
    /// cannot be known or says nothing: elsewhere than on Linux, and under TLS, where the other
    /// side's library answers for itself.
    #[cfg(target_os = "linux")]
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        use std::os::fd::AsRawFd;

        use pingora::protocols::l4::ext::get_tcp_info;

        match &self.stream {
            Stream::Plain(tcp) => Some(get_tcp_info(tcp.as_raw_fd()).ok()?.tcpi_bytes_acked),
            Stream::Tls(_) => None,
        }
    }

    /// Returns `None`: only Linux tells.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        None
    }
}

/// Returns the settings for TLS towards backends; `None` if the system's certificates cannot be
/// read. Read once: a process that could not read them at its start is restarted anyway.
fn connector(protocol: Protocol) -> Option<TlsConnector> {
    static SETTINGS: OnceLock<Option<[Arc<ClientConfig>; 2]>> = OnceLock::new();
    let made = SETTINGS.get_or_init(|| {
        install_default_crypto_provider();
        let mut roots = RootCertStore::empty();
        if let Err(error) = load_platform_certs_incl_env_into_store(&mut roots) {
            tracing::error!(target: "bascule::exchange", %error, "no certificates to trust");
            return None;
        }
        let settings = |offered: &[u8]| {
            let mut settings =
                ClientConfig::builder().with_root_certificates(roots.clone()).with_no_client_auth();
            settings.alpn_protocols = vec![offered.to_vec()];
            Arc::new(settings)
        };
        Some([settings(b"http/1.1"), settings(b"h2")])
    });
    let [http1, http2] = made.as_ref()?;
    Some(TlsConnector::from(Arc::clone(match protocol {
        Protocol::Http1 => http1,
        Protocol::Http2 => http2,
    })))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the system's list is long and grows")]
fn symptom_of(error: &io::Error) -> Symptom {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Symptom::ConnectionRefused,
        io::ErrorKind::TimedOut => Symptom::ConnectTimedOut,
        _ => Symptom::ConnectFailed,
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, into),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, into),
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
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
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
