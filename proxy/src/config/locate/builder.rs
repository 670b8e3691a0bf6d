//! Puts the parser's events together to a tree, and refuses what a configuration does not need.

use std::ops::Range;

use saphyr_parser::{Event, ScalarStyle, Span};

use crate::config::{
    locate::{Entry, Kind, MERGE, Node},
    path::{Path, clip},
    problem::{Code, Location, MOST_PROBLEMS, Problem},
};

/// A configuration needs eight levels; far more only serve to exhaust a reader.
const DEEPEST: usize = 32;

/// Enough for two thousand backends; with more, comparing each with each takes seconds.
const MOST_VALUES: usize = 20_000;

/// A list or a mapping that has begun and not ended.
enum Frame {
    List { start: usize, items: Vec<Node> },
    Map { start: usize, entries: Vec<Entry>, key: Option<Key> },
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
    text: &'t str,
    /// Where each character begins, in bytes: the parser counts characters.
    offsets: Option<Vec<usize>>,
    frames: Vec<Frame>,
    values: usize,
    root: Option<Node>,
    problems: Vec<Problem>,
}

impl<'t> Builder<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { text, offsets, frames: Vec::new(), values: 0, root: None, problems: Vec::new() }
    }

    /// Takes in one event. An error ends the reading.
    pub(crate) fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
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
                let frame = Frame::Map { start: span.start, entries: Vec::new(), key: None };
                self.open(frame, &span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end)?,
        }
        Ok(())
    }

    /// Ends the reading: what has been read is no tree.
    pub(crate) fn reject(&mut self, last: Problem) {
        self.problems.push(last);
        self.root = None;
    }

    /// Returns the tree, unless there is none, and all that was wrong.
    pub(crate) fn finish(mut self) -> (Option<Node>, Vec<Problem>) {
        if self.root.is_none() && self.problems.is_empty() {
            let message = "nothing but blanks and comments".to_owned();
            let remedy = "write at least `version`, `listeners`, `routes` and `pools`";
            self.report(Code::Empty, 0..0, message, remedy);
        }
        (self.root, self.problems)
    }

    fn open(&mut self, frame: Frame, span: &Range<usize>) -> Result<(), Problem> {
        if DEEPEST <= self.frames.len() {
            let message = format!("more than {DEEPEST} lists and mappings within each other");
            let remedy = "no key of a configuration is that deep; remove some levels";
            return Err(self.problem(Code::TooDeep, span.clone(), message, remedy));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Problem> {
        let (start, kind) = match self.frames.pop() {
            Some(Frame::List { start, items }) => (start, Kind::List(items)),
            Some(Frame::Map { start, entries, .. }) => (start, Kind::Map(entries)),
            None => return Ok(()),
        };
        self.attach(Node { span: start..end.max(start), kind })
    }

    /// Puts a finished node where it belongs.
    fn attach(&mut self, node: Node) -> Result<(), Problem> {
        self.values += 1;
        if MOST_VALUES < self.values {
            let message = format!("more than {MOST_VALUES} keys and values");
            let remedy = "check that this is the file that was meant";
            return Err(self.problem(Code::TooLarge, node.span, message, remedy));
        }
        match self.frames.last_mut() {
            None if self.root.is_some() => {
                let message = "a second document begins here".to_owned();
                let remedy = "keep one configuration per file; remove the `---` between them";
                return Err(self.problem(Code::SeveralDocuments, node.span, message, remedy));
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
            Some(text) => match self.line_of_key(&text) {
                Some(line) => {
                    let message = format!("`{}` is already given in line {line}", clip(&text));
                    let remedy = "keep one of the two";
                    self.report(Code::DuplicateKey, node.span, message, remedy);
                    Key::Rejected
                }
                None => Key::Usable { key: text, span: node.span },
            },
        };
        if let Some(Frame::Map { key, .. }) = self.frames.last_mut() {
            *key = Some(new);
        }
    }

    fn line_of_key(&self, text: &str) -> Option<usize> {
        let Some(Frame::Map { entries, .. }) = self.frames.last() else { return None };
        let first = entries.iter().find(|entry| entry.key == text)?;
        Some(Location::of(self.text, first.key_span.clone()).line)
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
        if self.problems.len() < MOST_PROBLEMS {
            let problem = self.problem(code, span, message, remedy);
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
        Problem {
            code,
            path: self.path().to_string(),
            location: Some(Location::of(self.text, span)),
            message,
            remedy: remedy.to_owned(),
        }
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
        match &self.offsets {
            None => index.min(self.text.len()),
            Some(offsets) => offsets.get(index).copied().unwrap_or(self.text.len()),
        }
    }
}
