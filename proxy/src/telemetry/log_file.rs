//! A file that lines are appended to, and that may be moved away at any time.
//!
//! Whoever rotates logs moves the file and says so with SIGUSR1; then it is made anew. A move that
//! nobody told of is noticed, too. Lines are handed over whole, so none is torn between two files.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::clock::{self, Timestamp};

/// How often it is looked whether the file is still where it was.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often all files were asked to be made anew.
static REOPENED: AtomicU64 = AtomicU64::new(0);

/// Has every log file of this process opened again before the next line.
pub fn reopen_all() {
    REOPENED.fetch_add(1, Relaxed);
}

/// A file that lines are appended to.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    /// Value of [`REOPENED`] when it was opened.
    opened: u64,
    looked: Timestamp,
    /// Whether the last line was not written to its end.
    is_torn: bool,
}

impl LogFile {
    /// Opens or makes the file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let opened = REOPENED.load(Relaxed);
        let file = open(path)?;
        let (path, looked) = (path.to_owned(), clock::now());
        Ok(Self { path, file, opened, looked, is_torn: false })
    }

    /// Returns the file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file again if that was asked for, or if it has been moved away. What cannot be
    /// opened leaves the old one in use.
    pub(crate) fn refresh(&mut self, now: Timestamp) -> io::Result<()> {
        let asked = REOPENED.load(Relaxed);
        if asked == self.opened && (now.since(self.looked) < LOOK_EVERY || self.is_in_place()) {
            if LOOK_EVERY <= now.since(self.looked) {
                self.looked = now;
            }
            return Ok(());
        }
        (self.opened, self.looked) = (asked, now);
        self.file = open(&self.path)?;
        self.is_torn = false;
        Ok(())
    }

    /// Appends whole lines.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.is_torn {
            // What could not be written to its end must not run into what follows.
            self.file.write_all(b"\n")?;
            self.is_torn = false;
        }
        self.file.write_all(lines).inspect_err(|_| self.is_torn = true)
    }

    #[cfg(unix)]
    fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt;

        let identity = |it: std::fs::Metadata| (it.dev(), it.ino());
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(named), Ok(open)) => identity(named) == identity(open),
            (Err(_), _) | (_, Err(_)) => false,
        }
    }

    #[cfg(not(unix))]
    fn is_in_place(&self) -> bool {
        self.path.exists()
    }
}

/// Lines are handed over whole, by one thread.
impl Write for LogFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.refresh(clock::now())?;
        self.append(lines)?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells whether a file can be appended to; it is made if it is not there.
///
/// # Errors
/// When it cannot; the error names it.
pub(crate) fn review(path: &Path) -> io::Result<()> {
    open(path).map(drop)
}

fn open(path: &Path) -> io::Result<File> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("{} cannot be written: {error}", path.display()))
    };
    OpenOptions::new().create(true).append(true).open(path).map_err(named)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> PathBuf {
        let name = format!("bascule-log-{:016x}", fastrand::u64(..));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew_when_asked() {
        let folder = folder();
        let (path, old) = (folder.join("log"), folder.join("log.1"));
        let mut file = LogFile::open(&path).unwrap();
        file.write_all(b"one\n").unwrap();
        fs::rename(&path, &old).unwrap();
        file.write_all(b"two\n").unwrap();
        reopen_all();
        file.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_move_that_nobody_tells_of_is_noticed() {
        let folder = folder();
        let path = folder.join("log");
        let mut file = LogFile::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        file.refresh(file.looked).unwrap();
        assert!(!path.exists(), "not looked at yet");
        file.refresh(file.looked + LOOK_EVERY).unwrap();
        file.append(b"one\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_torn_line_does_not_run_into_the_next() {
        let folder = folder();
        let path = folder.join("log");
        let mut file = LogFile::open(&path).unwrap();
        file.append(b"begun").unwrap();
        file.is_torn = true;
        file.append(b"whole\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "begun\nwhole\n");
        fs::remove_dir_all(folder).unwrap();
    }
}
