//! The program under test, as a child process.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::{
    client::{Answer, Raw, soon, try_ask, until},
    setup::Setup,
};

/// How often other ports are tried when somebody else was faster.
const STARTS: usize = 5;

/// A running `bascule run`. It is killed when dropped, and its log shown if the test fails.
pub(crate) struct Proxy {
    child: Child,
    /// Its process group, in which those are that have taken over from it.
    group: u32,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    folder: PathBuf,
}

/// The program, with nothing of this process's environment that it would listen to.
pub(crate) fn program(args: &[&str]) -> Command {
    program_at(Path::new(env!("CARGO_BIN_EXE_bascule")), args)
}

/// The same, called by another path.
pub(crate) fn program_at(path: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    let named_by_us = std::env::vars().filter(|(name, _)| name.starts_with("BASCULE_"));
    named_by_us.for_each(|(name, _)| _ = command.env_remove(name));
    command.args(args).kill_on_drop(true).stdin(Stdio::null());
    command
}

/// An address that nobody listens on, and that no other test of this process is given.
pub(crate) fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(address.port()) {
            return address;
        }
    }
}

/// A fresh folder, for the files of one proxy.
pub(crate) fn folder() -> PathBuf {
    let name = format!("proxying-{:016x}", fastrand::u64(..));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

impl Proxy {
    pub(crate) async fn start(setup: Setup) -> Self {
        Self::start_by(setup, program).await
    }

    /// Starts one that is called in a way of its own.
    pub(crate) async fn start_by(setup: Setup, program: impl Fn(&[&str]) -> Command) -> Self {
        let mut log = String::new();
        for _ in 0..STARTS {
            let mut proxy = Self::spawn(&setup, &program);
            if proxy.is_up().await {
                return proxy;
            }
            log = proxy.log();
            if !log.contains("in use") {
                break;
            }
        }
        panic!("the proxy did not start:\n{log}");
    }

    /// Starts one that cannot start. Returns what it says.
    pub(crate) async fn refusal(setup: Setup) -> String {
        let mut proxy = Self::spawn(&setup, program);
        assert!(!proxy.exited().await.success());
        proxy.log()
    }

    fn spawn(setup: &Setup, program: impl Fn(&[&str]) -> Command) -> Self {
        let (public, admin, folder) = (free_address(), free_address(), folder());
        let config = placed(setup, public, admin);
        let file = folder.join("bascule.yaml");
        // JSON is YAML.
        fs::write(&file, config.0.to_string()).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let child = program(&["run", "--config", file.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(log)
            // Those that take over from it end with its group.
            .process_group(0)
            .spawn()
            .unwrap();
        let group = child.id().unwrap();
        Self { child, group, public, admin, folder }
    }

    /// Waits until clients are accepted. `false` when the program ended before that.
    async fn is_up(&mut self) -> bool {
        let admin = self.admin;
        until(async || {
            if self.child.try_wait().unwrap().is_some() {
                return Ok(false);
            }
            // Said once every listener is open, which is after being ready.
            if !self.log().contains("accepting") {
                return Err(format!("not accepting: {}", self.log()));
            }
            let ready = try_ask(admin, "GET", "/readyz", &[], "").await?;
            if ready.status == 200 { Ok(true) } else { Err(format!("{ready:?}")) }
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    /// A file beside its configuration.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// This configuration, at the addresses that the proxy has.
    pub(crate) fn configured(&self, setup: &Setup) -> Setup {
        placed(setup, self.public, self.admin)
    }

    /// Puts another configuration in the place of its file, as a whole.
    pub(crate) fn write(&self, setup: &Setup) {
        let next = self.folder.join("next.yaml");
        fs::write(&next, self.configured(setup).0.to_string()).unwrap();
        fs::rename(next, self.folder.join("bascule.yaml")).unwrap();
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the sidecar listens.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The file with what it is told to do.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.join("bascule.yaml")
    }

    pub(crate) fn config(&self) -> String {
        fs::read_to_string(self.config_file()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        let told = |name| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        told("log") + &told("bascule.log")
    }

    /// The log once it has this in it; it is written by a thread of its own, hence later than
    /// what it tells of.
    pub(crate) async fn log_until(&self, part: &str) -> String {
        until(async || {
            let log = self.log();
            if log.contains(part) { Ok(log) } else { Err(log) }
        })
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// One request on a connection of its own; it must be answered in full.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        try_ask(self.public, method, path, headers, body).await.unwrap()
    }

    /// One request with this id, to `/echo`.
    pub(crate) async fn echo(&self, method: &str, id: &str) -> Answer {
        self.ask(method, "/echo", &[("x-request-id", id)], "").await
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw::connect(self.public).await
    }

    /// A WebSocket conversation at `path`.
    pub(crate) async fn conversation(&self, path: &str) -> WebSocketStream<TcpStream> {
        let url = format!("ws://{}{path}", self.public);
        soon(client_async(url, self.connect().await.0)).await.unwrap().0
    }

    /// What the sidecar answers at `path`.
    pub(crate) async fn sidecar(&self, path: &str) -> Value {
        try_ask(self.admin, "GET", path, &[], "").await.unwrap().json()
    }

    /// The state of the pool `api`.
    pub(crate) async fn pool(&self) -> Value {
        self.sidecar("/proxy/health").await["pools"][0].clone()
    }

    /// Waits until the pool `api` is as claimed.
    pub(crate) async fn pool_until(&self, claim: impl Fn(&Value) -> bool) -> Value {
        until(async || {
            let pool = self.pool().await;
            if claim(&pool) { Ok(pool) } else { Err(pool.to_string()) }
        })
        .await
    }

    /// Every incident so far, oldest first.
    pub(crate) async fn incidents(&self) -> Vec<Value> {
        let incidents = self.sidecar("/incidents").await["incidents"].clone();
        incidents.as_array().unwrap().iter().rev().cloned().collect()
    }

    /// Waits until the incident of that number, from 1, is as claimed.
    pub(crate) async fn incident_until(
        &self,
        number: usize,
        claim: impl Fn(&Value) -> bool,
    ) -> Value {
        until(async || match self.incidents().await.get(number - 1) {
            Some(incident) if claim(incident) => Ok(incident.clone()),
            seen => Err(format!("{seen:?}")),
        })
        .await
    }

    /// The value of a metric, named with its labels as `/metrics` shows it.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = try_ask(self.admin, "GET", "/metrics", &[], "").await.unwrap().body;
        let text = String::from_utf8(text.to_vec()).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    /// Waits until a metric has this value: a request is counted after its client is answered.
    pub(crate) async fn metric_until(&self, series: &str, value: f64) {
        until(async || match self.metric(series).await {
            found if found == value => Ok(()),
            found => Err(format!("{series} {found}")),
        })
        .await;
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
    }

    pub(crate) async fn exited(&mut self) -> ExitStatus {
        soon(self.child.wait()).await.unwrap()
    }
}

fn placed(setup: &Setup, public: SocketAddr, admin: SocketAddr) -> Setup {
    setup
        .clone()
        .with("listeners.public.address", public.to_string())
        .with("admin.address", admin.to_string())
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // They may have ended by themselves.
        let group = format!("-{}", self.group);
        _ = std::process::Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        if std::thread::panicking() {
            eprintln!("--- log of the proxy at {}:\n{}---", self.public, self.log());
        }
        _ = fs::remove_dir_all(&self.folder);
    }
}
