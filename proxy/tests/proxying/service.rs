//! The service manager's side: what it is told, and the sockets that it hands over.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::{net::UnixDatagram, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use command_fds::{CommandFdExt, FdMapping};
use serde_json::json;

use crate::{
    client::{try_ask, until},
    proxy::{Proxy, folder, free_address, program},
    setup::{Setup, backend},
};

/// A service manager's socket, and what was said there so far.
struct Manager {
    socket: UnixDatagram,
    folder: PathBuf,
    said: String,
}

impl Manager {
    fn new() -> Self {
        // Paths of sockets are short.
        let folder = std::env::temp_dir().join(format!("bascule-{:08x}", fastrand::u32(..)));
        std::fs::create_dir(&folder).unwrap();
        let socket = UnixDatagram::bind(folder.join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, folder, said: String::new() }
    }

    /// Waits until a line is said that begins so, and returns the rest of it.
    async fn hears(&mut self, beginning: &str) -> String {
        until(async || {
            let mut piece = [0; 4096];
            while let Ok(length) = self.socket.recv(&mut piece) {
                self.said.push_str(&String::from_utf8_lossy(&piece[..length]));
            }
            let found = self.said.lines().find_map(|line| line.strip_prefix(beginning));
            found.map(str::to_owned).ok_or_else(|| self.said.clone())
        })
        .await
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn the_service_manager_is_told_how_it_is() {
    let mut manager = Manager::new();
    let path = manager.folder.join("notify");
    let (a, b) = (backend("a"), backend("b"));
    let mut proxy = Proxy::start_by(Setup::tiers(&[&a, &b]), |args| {
        let mut command = program(args);
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
        command
    })
    .await;
    manager.hears("READY=1").await;
    assert_eq!(manager.hears("STATUS=").await, "api: served by a");
    manager.hears("WATCHDOG=1").await;
    let order = json!({ "backend": "a", "mode": "refuse", "for": "30s" }).to_string();
    try_ask(proxy.admin, "POST", "/proxy/fail", &[], order).await.unwrap();
    manager.hears("STATUS=api: failed over to b").await;
    // A reload is one from the first of its words to the second, whoever asked for it.
    manager.said.clear();
    proxy.signal("-HUP").await;
    manager.hears("RELOADING=1").await;
    let at: u64 = manager.hears("MONOTONIC_USEC=").await.parse().unwrap();
    assert_ne!(at, 0);
    manager.hears("READY=1").await;
    // Another process is the service from then on, and says so itself.
    let answer = try_ask(proxy.admin, "POST", "/upgrade", &[], "").await.unwrap();
    let successor = answer.json()["process"]["successor"].to_string();
    assert_eq!(manager.hears("MAINPID=").await, successor);
    assert!(proxy.exited().await.success());
    assert!(!manager.said.contains("STOPPING=1"), "the service does not end: {}", manager.said);
    manager.said.clear();
    manager.hears("WATCHDOG=1").await;
    let pid = successor.parse::<u32>().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    manager.hears("STOPPING=1").await;
}

/// A process with sockets that it was handed, ended when dropped.
struct Activated(Child);

impl Drop for Activated {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_socket_of_the_service_manager_is_taken_by_its_name() {
    let primary = backend("primary");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let (public, admin) = (socket.local_addr().unwrap(), free_address());
    let folder = folder();
    let config = Setup::tiers(&[&primary])
        .with("listeners.public.address", "systemd:public")
        .with("admin.address", admin.to_string());
    let file = folder.join("bascule.yaml");
    std::fs::write(&file, config.0.to_string()).unwrap();
    // A client that comes before the service has started.
    let mut early = std::net::TcpStream::connect(public).unwrap();
    early.write_all(b"GET /api/data HTTP/1.0\r\n\r\n").unwrap();
    let start = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
        command.args(["run", "--config"]).arg(&file).stdin(Stdio::null()).stderr(Stdio::piped());
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name).process_group(0);
        let parent_fd = OwnedFd::from(socket.try_clone().unwrap());
        command.fd_mappings(vec![FdMapping { parent_fd, child_fd: 3 }]).unwrap();
        Activated(command.spawn().unwrap())
    };
    let mut wrong = start("other");
    assert_eq!(wrong.0.wait().unwrap().code(), Some(1));
    let mut text = String::new();
    wrong.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("no socket `public` was handed over, only `other`"), "{text}");
    let _proxy = start("public");
    early.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = [0; 12];
        early.read_exact(&mut answer).map(|()| answer)
    });
    assert_eq!(&answer.await.unwrap().unwrap(), b"HTTP/1.1 200");
    assert_eq!(try_ask(public, "GET", "/api/data", &[], "").await.unwrap().status, 200);
    std::fs::remove_dir_all(folder).unwrap();
}
