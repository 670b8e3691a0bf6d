//! What no real backend does: nonsense on the wire, silence, doors slammed; and a relay that
//! counts connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};

/// An address at which connections are refused, for as long as this lives.
pub(crate) struct Refusing(TcpSocket);

impl Refusing {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Bound and not listening: the kernel refuses, and nobody else gets the port.
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// What is done with a connection once a request's head has come in on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Habit {
    /// Close it without a word.
    Close,
    /// Keep it and say nothing.
    Keep,
    /// Say this and close it.
    Say(&'static str),
    /// Say this and keep it.
    SayAndKeep(&'static str),
    /// Pass everything on, in both directions, the head included.
    Relay(SocketAddr),
}

/// A listener with a habit.
pub(crate) struct Stub {
    pub(crate) addr: SocketAddr,
    asked: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Stub {
    pub(crate) async fn new(habit: Habit) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let stub = Self::serving(move |stream| indulge(habit, stream, Arc::clone(&count))).await;
        Self { asked, ..stub }
    }

    /// A listener that does this with each connection, those of health checks included.
    pub(crate) async fn serving<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream));
            }
        });
        Self { addr, asked: Arc::default(), _task: task }
    }

    /// On how many connections something was asked, health checks left out; for stubs with a habit.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

/// Reads a request's head. `None` when the connection ends before.
pub(crate) async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Reads a request whose body is framed by `Content-Length`, or that has none. Returns its head.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let head = read_head(stream).await?;
    let small = head.to_ascii_lowercase();
    let length = small.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |it| it.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}

/// The value of a header in a head, in the case in which it was sent; empty when it is missing.
pub(crate) fn value<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|it| it.0.eq_ignore_ascii_case(name)).map_or("", |it| it.1)
}

async fn indulge(habit: Habit, mut stream: TcpStream, asked: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            // Somebody only wanted to see whether the door opens.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    if !head.starts_with(b"GET /health ") {
        asked.fetch_add(1, Relaxed);
    }
    match habit {
        Habit::Close => {}
        Habit::Keep => std::future::pending().await,
        Habit::Say(words) => _ = stream.write_all(words.as_bytes()).await,
        Habit::SayAndKeep(words) => {
            _ = stream.write_all(words.as_bytes()).await;
            std::future::pending::<()>().await;
        }
        Habit::Relay(to) => {
            let Ok(mut onward) = TcpStream::connect(to).await else { return };
            if onward.write_all(&head).await.is_ok() {
                _ = copy_bidirectional(&mut stream, &mut onward).await;
            }
        }
    }
}
