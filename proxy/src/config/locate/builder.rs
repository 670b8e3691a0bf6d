//! Puts the parser's events together to a tree, and refuses what a configuration does not need.

use std::{collections::HashMap, ops::Range};

use saphyr_parser::{Event, ScalarStyle, Span};

use crate::config::{
    locate::{Entry, Kind, MERGE, Node},
    path::{Path, clip},
    problem::{Code, MOST_PROBLEMS, Problem},
    sources::Sources,
};

/// A configuration needs eight levels; far more only serve to exhaust a reader.
const DEEPEST: usize = 32;

/// Enough for ten thousand backends.
const MOST_VALUES: usize = 100_000;

/// A list or a mapping that has begun and not ended.
enum Frame {
    List { start: usize, items: Vec<Node> },
    Map { start: usize, entries: Vec<Entry>, key: Option<Key>, places: HashMap<String, usize> },
}

/// The key read last, whose value comes next.
enum Key {
    Usable {
        key: String,
        span: Range<usize>,
    },
    /// Its value stays unknown, and with it what else the mapping was meant to hold.
    Merge {
        span: Range<usize>,
    },
    /// Its value is read and dropped.
    Rejected,
}

/// A tree that is being built.
pub(crate) struct Builder<'t> {
    sources: &'t Sources,
    /// The text that is read, as part of all.
    range: Range<usize>,
    /// Where each character begins, in bytes: the parser counts characters.
    offsets: Option<Vec<usize>>,
    frames: Vec<Frame>,
    values: usize,
    root: Option<Node>,
    problems: Vec<Problem>,
}

impl<'t> Builder<'t> {
    pub(crate) fn new(sources: &'t Sources, range: Range<usize>, text: &str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        let (frames, problems) = (Vec::new(), Vec::new());
        Self { sources, range, offsets, frames, values: 0, root: None, problems }
    }

    /// Takes in one event. An error ends the reading.
    pub(crate) fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Problem>> {
        let span = self.bytes(span);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            Event::Alias(_) => {
                // The alias of a merge key is part of one mistake.
                if !matches!(
                    self.frames.last(),
                    Some(Frame::Map { key: Some(Key::Merge { .. }), .. })
                ) {
                    let message = "aliases are not supported".to_owned();
                    let remedy = "write the value out where it is needed";
                    self.report(Code::UnsupportedYaml, span.clone(), message, remedy);
                }
                self.attach(Node { span, kind: Kind::Rejected })?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_decoration(anchor, tag.is_some(), &span);
                let kind = match style {
                    ScalarStyle::Plain => Kind::Plain(text.into_owned()),
                    ScalarStyle::SingleQuoted
                    | ScalarStyle::DoubleQuoted
                    | ScalarStyle::Literal
                    | ScalarStyle::Folded => Kind::Quoted(text.into_owned()),
                };
                self.attach(Node { span, kind })?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_decoration(anchor, tag.is_some(), &span);
                self.open(Frame::List { start: span.start, items: Vec::new() }, &span)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_decoration(anchor, tag.is_some(), &span);
                let (start, entries, places) = (span.start, Vec::new(), HashMap::new());
                let frame = Frame::Map { start, entries, key: None, places };
                self.open(frame, &span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end)?,
        }
        Ok(())
    }

    /// Ends the reading: what has been read is no tree.
    pub(crate) fn reject(&mut self, last: Box<Problem>) {
        self.problems.push(*last);
        self.root = None;
    }

    /// Returns the tree, unless there is none, and all that was wrong.
    pub(crate) fn finish(mut self) -> (Option<Node>, Vec<Problem>) {
        if self.root.is_none() && self.problems.is_empty() {
            let message = "nothing but blanks and comments".to_owned();
            let remedy = "write at least `version`, `listeners`, `routes` and `pools`";
            let at = self.range.start;
            self.report(Code::Empty, at..at, message, remedy);
        }
        (self.root, self.problems)
    }

    fn open(&mut self, frame: Frame, span: &Range<usize>) -> Result<(), Box<Problem>> {
        if DEEPEST <= self.frames.len() {
            let message = format!("more than {DEEPEST} lists and mappings within each other");
            let remedy = "no key of a configuration is that deep; remove some levels";
            return Err(Box::new(self.problem(Code::TooDeep, span.clone(), message, remedy)));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Box<Problem>> {
        let (start, kind) = match self.frames.pop() {
            Some(Frame::List { start, items }) => (start, Kind::List(items)),
            Some(Frame::Map { start, entries, .. }) => (start, Kind::Map(entries)),
            None => return Ok(()),
        };
        self.attach(Node { span: start..end.max(start), kind })
    }

    /// Puts a finished node where it belongs.
    fn attach(&mut self, node: Node) -> Result<(), Box<Problem>> {
        self.values += 1;
        if MOST_VALUES < self.values {
            let message = format!("more than {MOST_VALUES} keys and values");
            let remedy = "check that this is the file that was meant";
            return Err(Box::new(self.problem(Code::TooLarge, node.span, message, remedy)));
        }
        match self.frames.last_mut() {
            None if self.root.is_some() => {
                let message = "a second document begins here".to_owned();
                let remedy = "keep one configuration per file; remove the `---` between them";
                return Err(Box::new(self.problem(
                    Code::SeveralDocuments,
                    node.span,
                    message,
                    remedy,
                )));
            }
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => match key.take() {
                Some(Key::Usable { key, span }) => {
                    entries.push(Entry { key, key_span: span, value: node });
                }
                Some(Key::Merge { span }) => {
                    let value = Node { span: node.span, kind: Kind::Rejected };
                    entries.push(Entry { key: MERGE.to_owned(), key_span: span, value });
                }
                Some(Key::Rejected) => {}
                None => self.begin_entry(node),
            },
        }
        Ok(())
    }

    /// Takes `node` as the key of the mapping that is being read.
    fn begin_entry(&mut self, node: Node) {
        let text = match node.kind {
            Kind::Plain(text) | Kind::Quoted(text) if !text.is_empty() => Some(text),
            Kind::Plain(_) | Kind::Quoted(_) | Kind::List(_) | Kind::Map(_) | Kind::Rejected => {
                None
            }
        };
        let new = match text {
            None => {
                let message = "a key must be a word".to_owned();
                let remedy = "write `key: value`; put text with special characters in quotes";
                self.report(Code::UnsupportedYaml, node.span, message, remedy);
                Key::Rejected
            }
            Some(text) if text == MERGE => {
                let message = "merge keys are not supported".to_owned();
                let remedy = "write the keys out where they are needed";
                self.report(Code::UnsupportedYaml, node.span.clone(), message, remedy);
                Key::Merge { span: node.span }
            }
            Some(text) => match self.first_of_key(&text, node.span.start) {
                Some(first) => {
                    let first = self.sources.locate(first..first + text.len());
                    let message =
                        format!("`{}` is already given in line {}", clip(&text), first.line);
                    let remedy = "keep one of the two";
                    let problem = self.problem(Code::DuplicateKey, node.span, message, remedy);
                    self.push(Problem { also: Some(first), ..problem });
                    Key::Rejected
                }
                None => Key::Usable { key: text, span: node.span },
            },
        };
        if let Some(Frame::Map { key, .. }) = self.frames.last_mut() {
            *key = Some(new);
        }
    }

    /// Returns where the mapping that is being read has this key already, and else notes that it
    /// does `at` this byte.
    fn first_of_key(&mut self, text: &str, at: usize) -> Option<usize> {
        let Some(Frame::Map { places, .. }) = self.frames.last_mut() else { return None };
        if let Some(first) = places.get(text) {
            return Some(*first);
        }
        places.insert(text.to_owned(), at);
        None
    }

    fn refuse_decoration(&mut self, anchor: usize, has_tag: bool, span: &Range<usize>) {
        if anchor != 0 {
            let message = "anchors are not supported".to_owned();
            let remedy = "remove the `&…`, and write the value out where it is needed";
            self.report(Code::UnsupportedYaml, span.clone(), message, remedy);
        }
        if has_tag {
            let message = "tags are not supported".to_owned();
            let remedy = "remove the `!…`; what a value means follows from its key";
            self.report(Code::UnsupportedYaml, span.clone(), message, remedy);
        }
    }

    fn report(&mut self, code: Code, span: Range<usize>, message: String, remedy: &str) {
        let problem = self.problem(code, span, message, remedy);
        self.push(problem);
    }

    fn push(&mut self, problem: Problem) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Returns a problem where the reading is.
    pub(crate) fn problem(
        &self,
        code: Code,
        span: Range<usize>,
        message: String,
        remedy: &str,
    ) -> Problem {
        let location = self.sources.locate(span);
        Problem::new(code, self.path().to_string(), Some(location), message, remedy)
    }

    /// Returns where in the tree the reading is.
    fn path(&self) -> Path {
        self.frames.iter().fold(Path::default(), |path, frame| match frame {
            Frame::List { items, .. } => path.item(items.len()),
            Frame::Map { key: Some(Key::Usable { key, .. }), .. } => path.key(key),
            Frame::Map { key: Some(Key::Merge { .. } | Key::Rejected) | None, .. } => path,
        })
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        let start = self.offset(span.start.index());
        start..self.offset(span.end.index()).max(start)
    }

    /// Returns the byte at which character `index` begins.
    pub(crate) fn offset(&self, index: usize) -> usize {
        let offset = match &self.offsets {
            None => index,
            Some(offsets) => offsets.get(index).copied().unwrap_or(usize::MAX),
        };
        self.range.start.saturating_add(offset).min(self.range.end)
    }
}
