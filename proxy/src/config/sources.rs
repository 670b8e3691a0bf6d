//! The files that a configuration is read from, joined to one text in which every place knows its
//! file, line and column.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::config::problem::{Code, Location, Problem};

/// A configuration of a thousand backends is a tenth of this.
const LARGEST: usize = 1024 * 1024;

/// The same for all files together.
const LARGEST_TOGETHER: usize = 4 * LARGEST;

/// More in one folder are not fragments of a configuration.
const MOST_FILES: usize = 1000;

/// What names standard input among paths.
const STANDARD_INPUT: &str = "-";

/// Texts that together are one configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// All texts, each on lines of its own.
    text: String,
    /// In the order of their texts; never empty once anything is asked.
    files: Vec<Source>,
    /// Where each line of `text` begins.
    lines: Vec<usize>,
    /// Files and folders whose change may change the configuration.
    watched: Vec<PathBuf>,
}

/// One of the texts.
#[derive(Clone, Debug)]
struct Source {
    name: Arc<str>,
    /// Where relative paths in it start.
    base: PathBuf,
    range: Range<usize>,
}

impl Sources {
    /// Returns one text that reports call `name`. Relative paths in it start at `base`.
    pub(crate) fn of_text(name: &str, text: &str, base: &Path) -> (Self, Vec<Problem>) {
        let (mut sources, mut problems) = (Self::default(), Vec::new());
        if let Err(refusal) = sources.add(name, text.as_bytes(), base) {
            problems.push(sources.refuse(name, refusal));
        }
        (sources, problems)
    }

    /// Reads the files at `paths`: of a folder, all that end in `.yaml` or `.yml`, by name; `-` is
    /// standard input. What cannot be read is among the problems.
    pub(crate) fn read(paths: &[PathBuf]) -> (Self, Vec<Problem>) {
        let (mut sources, mut problems) = (Self::default(), Vec::new());
        let mut seen = BTreeSet::new();
        for path in paths {
            match files_at(path) {
                Ok(files) => {
                    sources.watched.push(path.clone());
                    for file in files {
                        // A file that is named twice is read once.
                        if seen.insert(fs::canonicalize(&file).unwrap_or_else(|_| file.clone())) {
                            sources.read_file(&file, &mut problems);
                        }
                    }
                }
                Err(refusal) => {
                    sources.watched.push(path.clone());
                    problems.push(sources.refuse(&path.display().to_string(), refusal));
                }
            }
        }
        sources.watched.sort();
        sources.watched.dedup();
        (sources, problems)
    }

    fn read_file(&mut self, path: &Path, problems: &mut Vec<Problem>) {
        let (name, base, bytes) = if path == Path::new(STANDARD_INPUT) {
            ("<stdin>".to_owned(), Path::new(""), read_bounded(io::stdin().lock()))
        } else {
            self.watched.push(path.to_owned());
            let base = path.parent().unwrap_or(Path::new(""));
            (path.display().to_string(), base, fs::File::open(path).and_then(read_bounded))
        };
        let added = bytes.map_err(Refusal::Io).and_then(|bytes| self.add(&name, &bytes, base));
        if let Err(refusal) = added {
            problems.push(self.refuse(&name, refusal));
        }
    }

    fn add(&mut self, name: &str, bytes: &[u8], base: &Path) -> Result<(), Refusal> {
        if LARGEST < bytes.len() {
            return Err(Refusal::TooLarge(LARGEST));
        }
        if LARGEST_TOGETHER < self.text.len() + bytes.len() {
            return Err(Refusal::TooLarge(LARGEST_TOGETHER));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                self.append(name, without_mark(text), base);
                Ok(())
            }
            Err(error) => {
                let (valid, _) = bytes.split_at(error.valid_up_to());
                Err(Refusal::NotUtf8(String::from_utf8_lossy(valid).into_owned()))
            }
        }
    }

    fn append(&mut self, name: &str, text: &str, base: &Path) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        let start = self.text.len();
        self.text.push_str(text);
        self.lines.push(start);
        self.lines.extend(text.match_indices('\n').map(|(at, _)| start + at + 1));
        let range = start..self.text.len();
        self.files.push(Source { name: name.into(), base: base.to_owned(), range });
    }

    /// Returns why `name` is refused as a whole; what of it can be shown is kept.
    fn refuse(&mut self, name: &str, refusal: Refusal) -> Problem {
        let (code, message, remedy, text) = match refusal {
            Refusal::Io(error) => {
                let remedy = "check the path, and that this user may read it";
                (Code::Unreadable, format!("cannot read the file: {error}"), remedy, String::new())
            }
            Refusal::NoFiles => {
                let message = "no file in this folder ends in `.yaml` or `.yml`".to_owned();
                (Code::Unreadable, message, "name the file, or put one there", String::new())
            }
            Refusal::TooLarge(bytes) => {
                let message = if bytes == LARGEST {
                    format!("the file has more than {bytes} bytes")
                } else {
                    format!("with this file, the configuration has more than {bytes} bytes")
                };
                (
                    Code::TooLarge,
                    message,
                    "check that this is the file that was meant",
                    String::new(),
                )
            }
            Refusal::NotUtf8(text) => {
                let message = format!("line {} is not UTF-8", text.matches('\n').count() + 1);
                (Code::NotUtf8, message, "save the file as UTF-8", text)
            }
        };
        self.append(name, &text, Path::new(""));
        let end = self.text.len();
        let location = self.locate(end..end);
        Problem {
            location: Some(Location { is_whole_file: text.is_empty(), ..location }),
            ..Problem::new(code, String::new(), None, message, remedy)
        }
    }

    /// Returns the texts, each as the part of the joined text that it is.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.files.iter().map(|file| file.range.clone())
    }

    /// Returns the joined text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns what the files are called, in the order in which they were read.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| &*file.name)
    }

    /// Returns the files and folders whose change may change the configuration.
    pub(crate) fn watched(&self) -> &[PathBuf] {
        &self.watched
    }

    /// Returns where relative paths start that are written at byte `at`.
    pub(crate) fn base(&self, at: usize) -> &Path {
        self.file_at(at).map_or(Path::new(""), |file| &file.base)
    }

    /// Returns the place of `span`; what is beyond the text means its end.
    pub(crate) fn locate(&self, span: Range<usize>) -> Location {
        let start = floor_boundary(&self.text, span.start);
        let file = self.file_at(start);
        let (name, range) = match file {
            Some(file) => (Arc::clone(&file.name), file.range.clone()),
            None => (Arc::from(""), 0..self.text.len()),
        };
        let start = start.clamp(range.start, range.end);
        let end = floor_boundary(&self.text, span.end).clamp(start, range.end);
        let first = self.line_index(range.start);
        let (line, column) = self.line_and_column(start);
        let (end_line, end_column) = self.line_and_column(end);
        Location {
            file: name,
            line: line - first + 1,
            column,
            end_line: end_line - first + 1,
            end_column,
            span: start..end,
            is_whole_file: false,
        }
    }

    fn file_at(&self, at: usize) -> Option<&Source> {
        let after = self.files.partition_point(|file| file.range.start <= at);
        self.files.get(after.saturating_sub(1))
    }

    fn line_index(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Returns the index of the line among those of all texts, and the column, counted from 1.
    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let line = self.line_index(at);
        let start = self.lines.get(line).copied().unwrap_or(0);
        (line, self.text.get(start..at).unwrap_or_default().chars().count() + 1)
    }
}

/// Why a file is refused as a whole.
enum Refusal {
    Io(io::Error),
    /// A folder without any.
    NoFiles,
    /// It has more than so many bytes.
    TooLarge(usize),
    /// With the text up to the first byte that is not.
    NotUtf8(String),
}

/// Returns the files that `path` stands for.
fn files_at(path: &Path) -> Result<Vec<PathBuf>, Refusal> {
    if path == Path::new(STANDARD_INPUT) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(Refusal::Io)?.take(MOST_FILES) {
        let file = entry.map_err(Refusal::Io)?.path();
        let is_yaml = file.extension().is_some_and(|it| it == "yaml" || it == "yml");
        // Editors keep copies under names that begin with a dot.
        let is_hidden =
            file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_yaml && !is_hidden && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Refusal::NoFiles);
    }
    files.sort();
    Ok(files)
}

/// Reads at most one byte more than a configuration may have, so that no device or pipe fills the
/// memory.
fn read_bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns `text` without the byte order mark that some editors put first. Places count from there.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns `at`, or the nearest place before it that does not split a character.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(texts: &[(&str, &str)]) -> Sources {
        let mut sources = Sources::default();
        for (name, text) in texts {
            sources.append(name, text, Path::new(name));
        }
        sources
    }

    #[test]
    fn a_location_counts_lines_and_characters_from_one() {
        let location = sources(&[("a", "ä: 1\nöö: 2\n")]).locate(8..10);
        assert_eq!((location.line, location.column), (2, 2));
        assert_eq!((location.end_line, location.end_column), (2, 3));
    }

    #[test]
    fn a_location_never_splits_a_character_or_leaves_the_text() {
        assert_eq!(sources(&[("a", "ä")]).locate(1..9).span, 0..2);
        assert_eq!(sources(&[("a", "")]).locate(7..9).span, 0..0);
        assert_eq!(Sources::default().locate(7..9).span, 0..0);
    }

    #[test]
    fn a_place_in_the_second_text_has_its_name_and_counts_from_its_beginning() {
        let sources = sources(&[("a", "1\n2"), ("b", "3\n4\n")]);
        let at = sources.text().find('4').unwrap();
        let location = sources.locate(at..at + 1);
        assert_eq!((&*location.file, location.line, location.column), ("b", 2, 1));
        assert_eq!(sources.base(at), Path::new("b"));
        let location = sources.locate(2..3);
        assert_eq!((&*location.file, location.line), ("a", 2));
    }
}
