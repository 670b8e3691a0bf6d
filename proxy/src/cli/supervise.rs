//! The demo's supervisor: starts a program again whenever it ends.

use std::{
    io,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use tracing::{info, warn};

/// How long after its end a program is started again: long enough to watch it being gone.
pub(crate) const RESTART_AFTER: Duration = Duration::from_secs(3);
/// How often the supervisor looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A program that is kept running.
pub(crate) struct Supervised {
    /// Shared by the thread that restarts it and the one that ends it; neither waits while
    /// holding the lock.
    child: Arc<Mutex<Child>>,
}

impl Supervised {
    /// Ends the program. It is not started again once `is_ending` is set.
    pub(crate) fn end(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        _ = child.kill();
        _ = child.wait();
    }
}

/// Starts `program` and keeps it running until `is_ending` is set.
pub(crate) fn start(
    name: &str,
    program: &Path,
    arguments: Vec<String>,
    is_ending: &Arc<AtomicBool>,
) -> Result<Supervised> {
    let launch = {
        let program = program.to_owned();
        move || spawn(&program, &arguments)
    };
    let first = launch().with_context(|| format!("could not start {}", program.display()))?;
    let child = Arc::new(Mutex::new(first));
    let watched = Arc::clone(&child);
    let is_ending = Arc::clone(is_ending);
    let name = name.to_owned();
    thread::Builder::new().name(format!("supervise {name}")).spawn(move || {
        while !is_ending.load(Ordering::Relaxed) {
            thread::sleep(LOOK_EVERY);
            let ended = {
                let mut child = watched.lock().unwrap_or_else(PoisonError::into_inner);
                child.try_wait()
            };
            let Ok(Some(status)) = ended else { continue };
            if is_ending.load(Ordering::Relaxed) {
                return;
            }
            warn!(target: "bascule::demo", name, %status, "ended; starting it again in {RESTART_AFTER:?}");
            thread::sleep(RESTART_AFTER);
            let mut child = watched.lock().unwrap_or_else(PoisonError::into_inner);
            if is_ending.load(Ordering::Relaxed) {
                return;
            }
            match launch() {
                Ok(again) => {
                    *child = again;
                    info!(target: "bascule::demo", name, "started again");
                }
                Err(error) => warn!(target: "bascule::demo", name, %error, "could not be started again"),
            }
        }
    })?;
    Ok(Supervised { child })
}

/// Starts the program with a pipe for its standard input that closes when this process ends,
/// however it ends: the program then ends, too.
fn spawn(program: &Path, arguments: &[String]) -> io::Result<Child> {
    Command::new(program)
        .args(arguments)
        .arg("--until-stdin-closes")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
}
