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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        let count = Arc::clone(&asked);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(indulge(habit, stream, Arc::clone(&count)));
            }
        });
        Self { addr, asked, _task: task }
    }

    /// On how many connections something was asked, health checks left out.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
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
