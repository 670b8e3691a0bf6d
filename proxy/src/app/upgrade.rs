//! An upgrade: another process of the same program, at the same place on the disk, takes over.
//!
//! It is started with this process's listening sockets, the very same and not others at the same
//! addresses: clients that wait in their queues are accepted by whoever comes to it, and there is no
//! moment in which connecting is refused. Only when it accepts clients itself, and has not failed at
//! it for a moment, does this process let its own go. Until then nothing has happened that cannot be
//! undone: a process that fails is ended, and this one goes on.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
    process::{Command as StdCommand, ExitStatus},
    time::Duration,
};

use command_fds::{CommandFdExt, FdMapping};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

use crate::{app::record::Word, sockets::TO_PREDECESSOR};

/// Longest wait for a process to accept clients: it reads its configuration, and checks backends that
/// are new.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// For how long it must then live on before this process relies on it.
const PROBATION: Duration = Duration::from_secs(1);
/// Longest wait for the exit code of a process that has closed its connection.
const EXIT_WITHIN: Duration = Duration::from_secs(5);
/// Longest word that is read.
const WORD: u64 = 64 << 10;
/// What comes after standard input, output and error.
const FIRST: i32 = 3;

/// The program that this process runs, as it was called.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// Why there was no upgrade.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeFailed {
    #[error("could not start {}: {error}", path.display())]
    Start { path: PathBuf, error: io::Error },
    #[error("could not talk to the new process: {0}")]
    Talk(#[from] io::Error),
    #[error("the new process says: {0}")]
    Said(String),
    #[error("the new process ended ({0}) before it was ready; its messages are in the log")]
    Ended(ExitStatus),
    #[error("the new process was not ready within {} s", READY_WITHIN.as_secs())]
    Late,
}

/// A process that is ready to take over.
#[derive(Debug)]
pub(crate) struct Successor {
    pub(crate) pid: u32,
    /// The program's.
    pub(crate) version: String,
}

/// A process on which nothing relies yet. It is ended with this.
struct Unproven(Option<Child>);

impl Program {
    /// Finds out what was called. A path is kept as it is, links and all: what it leads to later is
    /// what is started.
    pub(crate) fn of_this_process() -> Option<Self> {
        let mut all = std::env::args_os();
        let path = resolve(&all.next()?, std::env::var_os("PATH").as_deref())?;
        Some(Self { path, arguments: all.collect() })
    }

    /// Starts it with `sockets`, tells it `record`, and waits until it has taken over.
    ///
    /// May be dropped: the process that was started is then ended.
    pub(crate) async fn take_over(
        &self,
        sockets: Vec<(String, OwnedFd)>,
        record: Vec<u8>,
    ) -> Result<Successor, UpgradeFailed> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        let mut child = Unproven(Some(self.start(sockets, theirs)?));
        let word = timeout(READY_WITHIN, converse(ours, &record)).await;
        let successor = match word.map_err(|_| UpgradeFailed::Late)? {
            Ok(Word::Ready { pid, version }) => Successor { pid, version },
            Ok(Word::Failed { reason }) => return Err(UpgradeFailed::Said(reason)),
            Err(error) => {
                return Err(child.end().await.map_or(error.into(), UpgradeFailed::Ended));
            }
        };
        if let Ok(ended) = timeout(PROBATION, child.wait()).await {
            return Err(UpgradeFailed::Ended(ended?));
        }
        // It is on its own from here.
        child.0 = None;
        Ok(successor)
    }

    fn start(
        &self,
        sockets: Vec<(String, OwnedFd)>,
        theirs: StdUnixStream,
    ) -> Result<Child, UpgradeFailed> {
        let fault = |error| UpgradeFailed::Start { path: self.path.clone(), error };
        let mut names = Vec::new();
        let mut mappings = Vec::new();
        let connection = (TO_PREDECESSOR.to_owned(), OwnedFd::from(theirs));
        for (child_fd, (name, parent_fd)) in (FIRST..).zip(sockets.into_iter().chain([connection]))
        {
            names.push(name);
            mappings.push(FdMapping { parent_fd, child_fd });
        }
        let mut command = StdCommand::new(&self.path);
        command
            .args(&self.arguments)
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            // Whoever gets them, without a name of its own.
            .env("LISTEN_PID", "")
            // Of this process only; the other one is watched in its own name.
            .env_remove("WATCHDOG_PID");
        command.fd_mappings(mappings).map_err(|error| fault(io::Error::other(error)))?;
        // With the command its descriptors are closed here, which are the other process's now.
        Command::from(command).spawn().map_err(fault)
    }
}

impl Unproven {
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.0 {
            Some(child) => child.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Returns how a process ended that has closed its connection.
    async fn end(&mut self) -> Option<ExitStatus> {
        timeout(EXIT_WITHIN, self.wait()).await.ok()?.ok()
    }
}

impl Drop for Unproven {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            _ = child.start_kill();
        }
    }
}

/// Tells the record, and hears the word.
async fn converse(mut connection: UnixStream, record: &[u8]) -> io::Result<Word> {
    connection.write_all(record).await?;
    let mut line = String::new();
    let length = BufReader::new(connection.take(WORD)).read_line(&mut line).await?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}

/// Finds the file that was called by `name`, as the system did.
fn resolve(name: &OsStr, search: Option<&OsStr>) -> Option<PathBuf> {
    let name = Path::new(name);
    if 1 < name.components().count() {
        return std::path::absolute(name).ok();
    }
    let found = search.into_iter().flat_map(std::env::split_paths).map(|it| it.join(name));
    let found = found.into_iter().find(|it| it.is_file());
    found.or_else(|| std::env::current_exe().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_kept_as_it_was_called() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(resolve(OsStr::new("/a/b"), None), Some(PathBuf::from("/a/b")));
        assert_eq!(resolve(OsStr::new("./a/b"), None), Some(here.join("a/b")));
    }

    #[test]
    fn a_name_is_looked_for_where_the_system_looks() {
        let found = resolve(OsStr::new("sh"), Some(OsStr::new("/nowhere:/bin:/usr/bin")));
        assert_eq!(found, Some(PathBuf::from("/bin/sh")));
        let found = resolve(OsStr::new("sh"), Some(OsStr::new("/nowhere")));
        assert_eq!(found, std::env::current_exe().ok());
    }

    #[tokio::test]
    async fn a_process_that_ends_has_not_taken_over() {
        let program = |script: &str| Program {
            path: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".into(), script.into()],
        };
        let ended = program("exit 7").take_over(Vec::new(), b"{}\n".to_vec()).await.unwrap_err();
        assert!(matches!(ended, UpgradeFailed::Ended(it) if it.code() == Some(7)), "{ended}");
        let says = r#"read record <&3; echo '{"failed":{"reason":"no"}}' >&3"#;
        let failed = program(says).take_over(Vec::new(), b"{}\n".to_vec()).await.unwrap_err();
        assert!(matches!(&failed, UpgradeFailed::Said(it) if it == "no"), "{failed}");
        let says = r#"read record <&3; echo '{"ready":{"pid":1,"version":"x"}}' >&3; exit 8"#;
        let ended = program(says).take_over(Vec::new(), b"{}\n".to_vec()).await.unwrap_err();
        assert!(matches!(ended, UpgradeFailed::Ended(it) if it.code() == Some(8)), "{ended}");
    }

    #[tokio::test]
    async fn a_process_that_does_not_exist_cannot_take_over() {
        let program = Program { path: PathBuf::from("/nowhere/bascule"), arguments: Vec::new() };
        let failed = program.take_over(Vec::new(), Vec::new()).await.unwrap_err();
        assert!(failed.to_string().contains("/nowhere/bascule"), "{failed}");
    }
}
