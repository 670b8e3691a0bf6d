//! From text to a tree in which every key and value knows where it is written.
//!
//! Decoders forget places and stop at the first mistake. This pass goes over the whole text once
//! and keeps every place, so that later passes can report all mistakes, each at its line. It also
//! refuses the parts of YAML whose meaning a reader cannot see on the spot (anchors, aliases,
//! merge keys, tags, several documents). What a scalar means is left to the [schema]: to YAML
//! `no` is a truth value and `0123` a number, here both are the text that is written.
//!
//! [schema]: crate::config::shape

use std::ops::Range;

use saphyr_parser::{Parser, ScanError};

mod builder;

use crate::config::{
    locate::builder::Builder,
    path::{Path, Step, clip_to},
    problem::{Code, Problem},
    sources::Sources,
};

/// The key that takes another mapping's keys over. Its entry stays in the tree, rejected.
pub(crate) const MERGE: &str = "<<";

/// A value, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Bytes of the text.
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Written without quotes.
    Plain(String),
    /// Written with quotes or as a block, so certainly text.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Already reported; of no use to later passes.
    Rejected,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    /// Returns whether `path` is written.
    pub(crate) fn contains(&self, path: &Path) -> bool {
        self.find(path).is_some()
    }

    /// Returns what is written at `path`.
    pub(crate) fn find(&self, path: &Path) -> Option<&Self> {
        path.steps().iter().try_fold(self, |node, step| match (&node.kind, step) {
            (Kind::Map(entries), Step::Key(key)) => {
                entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value)
            }
            (Kind::List(items), Step::Item(index)) => items.get(*index),
            (
                Kind::Plain(_) | Kind::Quoted(_) | Kind::List(_) | Kind::Map(_) | Kind::Rejected,
                _,
            ) => None,
        })
    }

    /// Returns the stretch of text that stands for `path`: a scalar itself, the key of a list or a
    /// mapping. For what is not written, that of the nearest thing around it.
    pub(crate) fn place(&self, path: &Path) -> Range<usize> {
        let mut node = self;
        let mut place = self.span.clone();
        for step in path.steps() {
            let (inner, key_span) = match (&node.kind, step) {
                (Kind::Map(entries), Step::Key(key)) => {
                    match entries.iter().find(|entry| entry.key == *key) {
                        Some(entry) => (&entry.value, Some(entry.key_span.clone())),
                        None => return place,
                    }
                }
                (Kind::List(items), Step::Item(index)) => match items.get(*index) {
                    Some(item) => (item, None),
                    None => return place,
                },
                (
                    Kind::Plain(_)
                    | Kind::Quoted(_)
                    | Kind::List(_)
                    | Kind::Map(_)
                    | Kind::Rejected,
                    _,
                ) => return place,
            };
            let is_scalar = matches!(inner.kind, Kind::Plain(_) | Kind::Quoted(_));
            place = match key_span {
                Some(key_span) if !is_scalar || inner.span.is_empty() => key_span,
                Some(_) | None => inner.span.clone(),
            };
            node = inner;
        }
        place
    }
}

/// Reads the text that is this `range` of all. The tree is `None` when it is not YAML at all.
pub(crate) fn locate(sources: &Sources, range: Range<usize>) -> (Option<Node>, Vec<Problem>) {
    let text = sources.text().get(range.clone()).unwrap_or_default();
    let mut builder = Builder::new(sources, range, text);
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let step = match next {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                let at = builder.offset(error.marker().index());
                Err(Box::new(builder.problem(
                    Code::Syntax,
                    at..at + 1,
                    not_yaml(&error),
                    syntax_remedy(&error),
                )))
            }
        };
        if let Err(last) = step {
            builder.reject(last);
            break;
        }
    }
    builder.finish()
}

fn not_yaml(error: &ScanError) -> String {
    let info = error.info().trim_end_matches('.');
    format!("this is not YAML: {}", clip_to(120, info))
}

/// By what the parser says of an error; the last is for all others.
const SYNTAX: &[(&str, &str)] = &[
    ("tab", "indent with spaces; YAML does not allow tabs there"),
    (
        "'-' indicator",
        "begin this line in the column of the list's other `-`, or of its entry's other keys",
    ),
    ("expected key", "begin this line in the same column as the keys beside it"),
    (
        "quoted scalar",
        "a quote is left open or closed too early: look here and in the lines before",
    ),
    ("inside a block", "a `{` or `[` is left open: look in the lines before"),
    (
        "",
        "look at this line and the one before it: indentation, `: ` after a key, closing quotes and brackets",
    ),
];

fn syntax_remedy(error: &ScanError) -> &'static str {
    let fitting = SYNTAX.iter().find(|(sign, _)| error.info().contains(sign));
    fitting.map_or("", |(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locate(text: &str) -> (Option<Node>, Vec<Problem>) {
        let (sources, problems) = Sources::of_text("a.yaml", text, std::path::Path::new(""));
        assert_eq!(problems, []);
        super::locate(&sources, 0..text.len())
    }

    /// Returns the text that stands for `path`.
    fn place<'t>(text: &'t str, path: &Path) -> &'t str {
        let (root, problems) = locate(text);
        assert_eq!(problems, []);
        &text[root.unwrap().place(path)]
    }

    fn top(key: &str) -> Path {
        Path::default().key(key)
    }

    #[test]
    fn a_scalar_is_its_own_place_and_all_else_has_that_of_its_key() {
        let text = "a: 1\nlist:\n  - x: 'two words'\n  - { y: 3 }\n";
        assert_eq!(place(text, &top("a")), "1");
        assert_eq!(place(text, &top("list")), "list");
        assert_eq!(place(text, &top("list").item(0).key("x")), "'two words'");
        assert_eq!(place(text, &top("list").item(1)), "{ y: 3 }");
    }

    #[test]
    fn what_is_not_written_has_the_place_of_what_is_around_it() {
        let text = "a: { b: 1, c: }\n";
        assert_eq!(place(text, &top("a").key("absent").key("deeper")), "a");
        assert_eq!(place(text, &top("a").key("c")), "c");
        assert_eq!(place(text, &top("a").key("b").key("deeper")), "1");
    }

    #[test]
    fn places_are_right_after_wide_characters_and_carriage_returns() {
        let text = "ä: \"öö\"\r\n# ünd\r\nbß: [ '日本', z ]\r\n";
        assert_eq!(place(text, &top("ä")), "\"öö\"");
        assert_eq!(place(text, &top("bß")), "bß");
        assert_eq!(place(text, &top("bß").item(0)), "'日本'");
        assert_eq!(place(text, &top("bß").item(1)), "z");
    }

    #[test]
    fn words_that_other_readers_take_for_values_stay_words() {
        let (root, _) = locate("a: no\nb: 0123\nc: 1e3\nd: ~\n");
        let Kind::Map(entries) = root.unwrap().kind else { panic!("a mapping") };
        let is_plain =
            |entry: &Entry, word| matches!(&entry.value.kind, Kind::Plain(it) if it == word);
        let words = ["no", "0123", "1e3", "~"];
        assert!(entries.iter().zip(words).all(|(entry, word)| is_plain(entry, word)));
    }

    #[test]
    fn depth_is_bounded() {
        let (root, problems) = locate(&format!("{}{}", "[".repeat(40), "]".repeat(40)));
        assert!(root.is_none());
        assert_eq!(problems[0].code, Code::TooDeep);
        assert!(locate(&"[".repeat(100_000)).0.is_none());
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let (root, problems) = locate(&"- 1\n".repeat(200_000));
        assert!(root.is_none());
        assert_eq!(problems[0].code, Code::TooLarge);
    }
}
