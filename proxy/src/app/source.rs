//! Where the configuration is from, so that it can be read again.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{self, Loaded, Rejection},
    files::{Mark, mark},
    model::Topology,
};

/// What the command line says otherwise than the files.
type Adjust = Arc<dyn Fn(&mut Topology) + Send + Sync>;

/// Where the configuration is from.
#[derive(Clone)]
pub struct Source {
    files: Vec<PathBuf>,
    /// What the files were when this was made.
    first: Vec<Mark>,
    adjust: Adjust,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Source {
    /// One that cannot be read again: the program itself, or its arguments.
    pub fn none() -> Self {
        Self { files: Vec::new(), first: Vec::new(), adjust: Arc::new(|_| {}) }
    }

    /// Files and folders, to whose contents `adjust` is applied each time that they are read. To
    /// be made before they are: what changes in between is then found.
    pub fn files(
        paths: &[PathBuf],
        adjust: impl Fn(&mut Topology) + Send + Sync + 'static,
    ) -> Self {
        Self { files: paths.to_vec(), first: marks_of(paths), adjust: Arc::new(adjust) }
    }

    /// Returns the names of the files and folders.
    pub(crate) fn names(&self) -> Vec<String> {
        self.files.iter().map(|it| it.display().to_string()).collect()
    }

    /// Reads the configuration; `None` if it is from no file, or from one that can be read once only.
    pub fn read(&self) -> Option<Result<Loaded, Rejection>> {
        let is_there = !self.files.is_empty() && self.files.iter().all(|it| it != Path::new("-"));
        is_there.then(|| config::load_all(&self.files).map(|it| self.adjusted(it)))
    }

    /// Reads a text in place of the configuration.
    pub(crate) fn read_text(&self, text: &str) -> Result<Loaded, Rejection> {
        let base = self.files.first().and_then(|it| it.parent()).unwrap_or(Path::new(""));
        config::parse("request", text, base).map(|it| self.adjusted(it))
    }

    /// Returns what the files were when this was made.
    pub(crate) fn first_marks(&self) -> Vec<Mark> {
        self.first.clone()
    }

    /// Looks at the files, and at those in the folders, for whether they change.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        marks_of(&self.files)
    }

    /// Applies what the command line says otherwise than the files.
    pub fn adjust(&self, topology: &mut Topology) {
        (self.adjust)(topology);
    }

    fn adjusted(&self, mut loaded: Loaded) -> Loaded {
        self.adjust(&mut loaded.topology);
        loaded
    }
}

fn marks_of(paths: &[PathBuf]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for path in paths {
        marks.push(mark(path));
        let Ok(entries) = fs::read_dir(path) else { continue };
        let mut inside: Vec<PathBuf> = entries.flatten().map(|it| it.path()).collect();
        inside.sort();
        marks.extend(inside.iter().map(|it| mark(it)));
    }
    marks
}
