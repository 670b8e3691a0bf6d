//! The file that every change is appended to, a JSON object a line.
//!
//! A thread of its own writes, so that no handler waits for a disk. It looks before each line whether
//! the file is still where it was: one that was renamed is let go, and a new one begun, which is all that
//! rotation needs. What cannot be written is counted and said; it is in the log all the same.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use crate::telemetry::logging::AUDIT;

/// Lines that may wait for the disk. Changes are made by people and by what they have set up: this is
/// minutes of them.
const QUEUE: usize = 1_024;

/// Where lines for the file go.
#[derive(Debug)]
pub(crate) struct AuditFile {
    lines: SyncSender<String>,
    lost: Arc<AtomicU64>,
}

impl AuditFile {
    /// Opens the file at `path`, or makes it, for its owner's eyes; counts in `lost` what could not be
    /// written.
    pub(crate) fn open(path: &Path, lost: Arc<AtomicU64>) -> io::Result<Self> {
        let file = open(path)?;
        let (lines, waiting) = sync_channel(QUEUE);
        let writer = Writer { path: path.to_owned(), file: Some(file), lost: Arc::clone(&lost) };
        thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&waiting))?;
        Ok(Self { lines, lost })
    }

    /// Has `line` written, soon.
    pub(crate) fn append(&self, line: String) {
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }
}

struct Writer {
    path: PathBuf,
    file: Option<File>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    /// Writes until nobody is left who could send a line.
    fn run(mut self, lines: &Receiver<String>) {
        let mut told = None;
        for line in lines {
            match self.write(line) {
                Ok(()) => told = None,
                Err(error) => {
                    self.lost.fetch_add(1, Relaxed);
                    // Perhaps another file can be written; the next line finds out.
                    self.file = None;
                    let kind = error.kind();
                    if told.replace(kind) != Some(kind) {
                        let path = self.path.display();
                        tracing::error!(target: AUDIT, %path, %error, "audit file cannot be written");
                    }
                }
            }
        }
    }

    fn write(&mut self, mut line: String) -> io::Result<()> {
        line.push('\n');
        let current = self.file.take().filter(|file| is_at(file, &self.path));
        let file = self.file.insert(match current {
            Some(file) => file,
            None => open(&self.path)?,
        });
        // In one call, so that no other process's line gets between.
        file.write_all(line.as_bytes())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()),
        (_, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::token;

    /// Writes as the thread does, without it.
    fn writer(name: &str) -> (Writer, PathBuf) {
        let folder =
            std::env::temp_dir().join(format!("bascule-{name}-{}", token::random().unwrap()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("audit.jsonl");
        let file = Some(open(&path).unwrap());
        (Writer { path, file, lost: Arc::default() }, folder)
    }

    #[test]
    fn a_renamed_file_is_let_go_and_a_new_one_begun() {
        let (mut writer, folder) = writer("renamed");
        writer.write("one".to_owned()).unwrap();
        fs::rename(&writer.path, folder.join("old")).unwrap();
        writer.write("two".to_owned()).unwrap();
        writer.write("three".to_owned()).unwrap();
        assert_eq!(fs::read_to_string(folder.join("old")).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&writer.path).unwrap(), "two\nthree\n");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_file_is_for_its_owner_and_grows() {
        let (mut writer, folder) = writer("grows");
        writer.write("one".to_owned()).unwrap();
        assert_eq!(fs::metadata(&writer.path).unwrap().mode() & 0o777, 0o600);
        writer.file = Some(open(&writer.path).unwrap());
        writer.write("two".to_owned()).unwrap();
        assert_eq!(fs::read_to_string(&writer.path).unwrap(), "one\ntwo\n");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_what_comes_later_is_written() {
        let (writer, folder) = writer("lost");
        let (path, lost) = (writer.path.clone(), Arc::clone(&writer.lost));
        let (lines, waiting) = sync_channel(QUEUE);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        lines.send("lost".to_owned()).unwrap();
        drop(lines);
        writer.run(&waiting);
        assert_eq!(lost.load(Relaxed), 1);
        fs::remove_dir_all(folder).unwrap();
    }
}
