//! `bascule demo`: the whole system on one machine, for somebody who wants to see a failover.

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    app::{Extras, Source, Start},
    cli::{print, reject, serve, supervise},
    config,
    model::Topology,
    ports,
};

/// Where the page is served.
const PAGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3000);

/// Options of `bascule demo`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Requests a second that a generator sends, so that there is something to see; 0 for none
    #[arg(long, env = "BASCULE_LOAD", default_value_t = 20, value_name = "RPS")]
    load: u32,
    /// The demo backend; by default it is looked for beside this program
    #[arg(long, env = "BASCULE_BACKEND", value_name = "PATH")]
    backend: Option<PathBuf>,
    /// A configuration in place of the built-in one
    #[arg(short, long, env = "BASCULE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the page is served
    #[arg(long, env = "BASCULE_PAGE", default_value_t = PAGE, value_name = "ADDRESS")]
    page: SocketAddr,
}

pub(crate) fn run(options: &Options, start: &Start) -> Result<ExitCode> {
    let loaded = match &options.config {
        Some(file) => config::load(file),
        None => config::parse("demo.yaml", config::DEMO, Path::new(".")),
    };
    let source = options.config.as_deref();
    let source = source.map_or_else(Source::none, |file| Source::files(&[file.to_owned()], |_| {}));
    let (topology, effective) = match loaded {
        Ok(loaded) => (loaded.topology, Some(loaded.effective)),
        Err(rejection) => return Ok(reject(&rejection.to_string())),
    };
    let program = backend_program(options.backend.as_deref())?;
    let is_ending = Arc::new(AtomicBool::new(false));
    let mut children = Vec::new();
    for backend in &topology.pools[0].backends {
        let address: SocketAddr = backend
            .address
            .authority()
            .parse()
            .with_context(|| format!("demo backend `{}` needs an IP address", backend.name))?;
        drop(ports::bind(&format!("backend `{}`", backend.name), address)?);
        let arguments = ["serve", "--name", &backend.name, "--listen", &address.to_string()]
            .map(str::to_owned)
            .to_vec();
        children.push(supervise::start(&backend.name, &program, arguments, &is_ending)?);
        wait_for(address);
    }
    let banner = banner(&topology, options);
    let extras = Extras { dashboard: Some(options.page) };
    let target = format!("http://{}/api/data", topology.listeners[0].address);
    let mut load = None;
    let result = serve((topology, effective), source, extras, start, || {
        if options.load != 0 {
            let arguments =
                ["load", &target, "--rate", &options.load.to_string()].map(str::to_owned).to_vec();
            load = supervise::start("load", &program, arguments, &is_ending).ok();
        }
        print(&banner);
    });
    is_ending.store(true, Ordering::Relaxed);
    for child in children.into_iter().chain(load) {
        child.end();
    }
    result
}

/// Waits until a backend accepts connections: a check that came too early would find it unhealthy,
/// and the demo would begin with a failover. One that never does is the health checks' business.
fn wait_for(address: SocketAddr) {
    for _ in 0..250 {
        if TcpStream::connect(address).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Finds the demo backend's program.
fn backend_program(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        if path.is_file() {
            return Ok(path.to_owned());
        }
        bail!("--backend {}: no such file", path.display());
    }
    let beside = std::env::current_exe()
        .context("could not find this program's own path")?
        .with_file_name("bascule-backend");
    if beside.is_file() {
        return Ok(beside);
    }
    bail!(
        "the demo backend is not at {}; build it with `cargo build -p bascule-backend`, \
         or name it with --backend",
        beside.display()
    )
}

fn banner(topology: &Topology, options: &Options) -> String {
    let proxy = &topology.listeners[0].address;
    let admin = topology.admin.address;
    let page = options.page;
    let load = match options.load {
        0 => "none".to_owned(),
        rate => format!("{rate} requests a second"),
    };
    format!(
        "\nBascule is serving.\n\n  \
         page       http://{page}\n  \
         proxy      http://{proxy}/proxy/data\n  \
         sidecar    http://{admin}/proxy/health\n  \
         load       {load}\n\n\
         Fail the active backend on the page, or with:\n\n  \
         curl -X POST http://{proxy}/proxy/fail\n\n\
         A failed backend is started again after {} s. Stop with Ctrl-C.\n\n",
        supervise::RESTART_AFTER.as_secs(),
    )
}
