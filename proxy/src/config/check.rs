//! Holds a located tree against the [`Shape`] of a configuration and reports everything that does
//! not fit, where a decoder would stop at the first.
//!
//! The result can always be decoded: what is wrong or missing is replaced by a valid stand-in and
//! its path marked as damaged, so that later rules can look at all the rest without blaming it
//! for the same mistake twice.

use std::{borrow::Cow, collections::BTreeSet};

use serde_yaml::{Mapping, Value};

mod meant;
mod scalar;

use crate::config::{
    check::{
        meant::{required, unspaced, ways},
        scalar::scalar,
    },
    defaults::DEFAULTS,
    environment::{Environment, expand},
    file::defaults::own_keys,
    locate::{Entry, Kind, MERGE, Node},
    path::{Path, Step, clip},
    problem::{Code, MOST_PROBLEMS, Problem},
    shape::{Key, Shape},
    sources::Sources,
    suggest::{nearest, ours},
    units::{Fault, FilePath, Name, leaf::Leaf as _},
};

/// What checking a tree leads to.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Decodable, whatever was found.
    pub(crate) value: Value,
    /// Where a stand-in is used, or a default in place of what was meant.
    pub(crate) damaged: BTreeSet<Path>,
    pub(crate) problems: Vec<Problem>,
}

/// Checks the tree `root` of `sources`.
pub(crate) fn check(
    sources: &Sources,
    root: &Node,
    shape: &Shape,
    environment: Environment<'_>,
) -> Checked {
    let mut checker = Checker {
        sources,
        root,
        top: shape,
        environment,
        damaged: BTreeSet::new(),
        problems: Vec::new(),
    };
    let value = checker.value(root, shape, None, &Path::default());
    let value = value.unwrap_or_else(|Reported| stand_in(shape));
    Checked { value, damaged: checker.damaged, problems: checker.problems }
}

/// Stands for a value that is not usable, which has been reported.
struct Reported;

struct Checker<'c> {
    sources: &'c Sources,
    root: &'c Node,
    top: &'c Shape,
    environment: Environment<'c>,
    damaged: BTreeSet<Path>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    /// Returns what `node` means in a place of this `shape`. `remedy` is what the key advises.
    fn value(
        &mut self,
        node: &Node,
        shape: &Shape,
        remedy: Option<&str>,
        path: &Path,
    ) -> Result<Value, Reported> {
        match (&node.kind, shape) {
            (Kind::Rejected, _) => {
                self.damaged.insert(path.clone());
                Err(Reported)
            }
            (Kind::Map(entries), Shape::Keys(keys)) => Ok(self.keys(entries, keys, path)),
            (Kind::Map(entries), Shape::Named { value, min }) => {
                self.named(entries, value, *min, path)
            }
            (Kind::List(items), Shape::List { item, min }) => self.list(items, item, *min, path),
            (
                Kind::Plain(text),
                Shape::Text(_) | Shape::Choice(_) | Shape::Whole { .. } | Shape::Truth,
            ) if !text.is_empty() => {
                let text = self.expand(text, path)?;
                self.scalar(&text, shape, remedy, path)
            }
            (Kind::Quoted(text), Shape::Text(_) | Shape::Choice(_)) => {
                let text = self.expand(text, path)?;
                self.scalar(&text, shape, remedy, path)
            }
            // Inside `{…}` a variable must be in quotes, so these say nothing of the type.
            (Kind::Quoted(text), Shape::Whole { .. } | Shape::Truth) if text.contains("${") => {
                let text = self.expand(text, path)?;
                self.scalar(&text, shape, remedy, path)
            }
            (Kind::Plain(_) | Kind::Quoted(_) | Kind::List(_) | Kind::Map(_), _) => {
                Err(self.wrong_type(node, shape, path))
            }
        }
    }

    fn keys(&mut self, entries: &[Entry], keys: &[Key], path: &Path) -> Value {
        for entry in entries {
            if entry.key == MERGE {
                // Whatever is not written here was meant to come from elsewhere.
                self.damaged.extend(keys.iter().map(|key| path.key(&key.name)));
            } else if keys.iter().all(|key| key.name != entry.key) {
                self.unknown_key(entry, keys, path);
            }
        }
        let mut mapping = Mapping::new();
        for key in keys {
            let key_path = path.key(&key.name);
            let value = match entries.iter().find(|entry| entry.key == key.name) {
                Some(entry) => {
                    self.value(&entry.value, &key.shape, key.remedy.as_deref(), &key_path)
                }
                None if !key.required => continue,
                None => Err(self.missing_key(key, path)),
            };
            match value {
                Ok(value) => mapping.insert(key.name.as_str().into(), value),
                Err(Reported) if key.required => {
                    mapping.insert(key.name.as_str().into(), stand_in(&key.shape))
                }
                Err(Reported) => continue,
            };
        }
        mapping.into()
    }

    fn named(
        &mut self,
        entries: &[Entry],
        shape: &Shape,
        min: usize,
        path: &Path,
    ) -> Result<Value, Reported> {
        self.at_least(min, entries.len(), path)?;
        let mut mapping = Mapping::new();
        for entry in entries {
            let entry_path = path.key(&entry.key);
            if let Err(fault) = Name::parse(&entry.key) {
                let place = entry.key_span.clone();
                self.report_at(place, Code::BadValue, path, fault.message, fault.remedy);
                self.damaged.insert(entry_path);
                continue;
            }
            let value = self.value(&entry.value, shape, None, &entry_path);
            let value = value.unwrap_or_else(|Reported| stand_in(shape));
            mapping.insert(entry.key.as_str().into(), value);
        }
        Ok(mapping.into())
    }

    fn list(
        &mut self,
        items: &[Node],
        shape: &Shape,
        min: usize,
        path: &Path,
    ) -> Result<Value, Reported> {
        self.at_least(min, items.len(), path)?;
        let mut values = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let value = self.value(item, shape, None, &path.item(index));
            values.push(value.unwrap_or_else(|Reported| stand_in(shape)));
        }
        Ok(Value::Sequence(values))
    }

    fn at_least(&mut self, min: usize, found: usize, path: &Path) -> Result<(), Reported> {
        if min <= found {
            return Ok(());
        }
        let remedy = "give at least one, or remove the key if it may be absent";
        self.report(Code::NoneGiven, path, "nothing is given here".to_owned(), remedy.to_owned());
        Err(Reported)
    }

    fn expand<'t>(&mut self, text: &'t str, path: &Path) -> Result<Cow<'t, str>, Reported> {
        expand(text, self.environment).map_err(|Fault { message, remedy }| {
            self.report(Code::Variable, path, message, remedy);
            Reported
        })
    }

    fn scalar(
        &mut self,
        text: &str,
        shape: &Shape,
        remedy: Option<&str>,
        path: &Path,
    ) -> Result<Value, Reported> {
        let (code, message, remedy) = match scalar(text, shape) {
            Ok(value) => return Ok(self.in_its_folder(value, shape, path)),
            Err((code, fault)) => (code, fault.message, remedy.map_or(fault.remedy, str::to_owned)),
        };
        self.report(code, path, message, remedy);
        Err(Reported)
    }

    /// Joins a relative path to the folder of the file in which it is written.
    fn in_its_folder(&self, value: Value, shape: &Shape, path: &Path) -> Value {
        match (shape, &value) {
            (Shape::Text(kind), Value::String(text)) if kind.format == FilePath::FORMAT => {
                let base = self.sources.base(self.root.place(path).start);
                base.join(text).display().to_string().into()
            }
            (_, _) => value,
        }
    }

    fn unknown_key(&mut self, entry: &Entry, keys: &[Key], path: &Path) {
        if let Some(home) = secret_key(&entry.key, keys) {
            let message = format!("`{}` would put a secret into this file", clip(&entry.key));
            let remedy =
                format!("put it in a file of its own, and write the path of that: `{home}:`");
            self.damaged.insert(path.key(home));
            let place = entry.key_span.clone();
            self.report_at(place, Code::LiteralSecret, path, message, remedy);
            return;
        }
        let absent = |key: &&Key| !self.damaged.contains(&path.key(&key.name));
        let is_own = must_be_own(path, &entry.key);
        let candidates =
            keys.iter().filter(|_| !is_own).filter(absent).map(|key| key.name.as_str());
        let all = keys.iter().filter(|_| !is_own).map(|key| key.name.as_str());
        let other = ours(&entry.key, all);
        let meant = nearest(&entry.key, candidates).map(|it| (it, it.to_owned()));
        let remedy = match other.or(meant) {
            Some((meant, form)) => {
                self.damaged.insert(path.key(meant));
                format!("did you mean `{form}`?")
            }
            None if is_own => "remove it; each must say this for itself".to_owned(),
            None => self.home_of(&entry.key, keys, path),
        };
        let message = format!("unknown key `{}`", clip(&entry.key));
        self.report_at(entry.key_span.clone(), Code::UnknownKey, path, message, remedy);
    }

    /// Says where a key belongs that means nothing at `path`: if possible, somewhere below.
    fn home_of(&self, key: &str, keys: &[Key], path: &Path) -> String {
        let here = path.pattern();
        let mut homes = self.top.homes_of(key);
        if homes.iter().any(|home| home.starts_with(&here)) {
            homes.retain(|home| home.starts_with(&here));
        }
        if homes.is_empty() {
            return format!("remove it; known here: {}", listed(keys));
        }
        let named =
            |home: &String| if home.is_empty() { "the top".to_owned() } else { home.clone() };
        let homes: Vec<String> = homes.iter().map(named).collect();
        format!("it belongs in {}; look at the indentation", homes.join(" or "))
    }

    /// Says nothing when the key seems to be there, misspelt: then that has been reported.
    fn missing_key(&mut self, key: &Key, path: &Path) -> Reported {
        if self.damaged.insert(path.key(&key.name)) {
            let message = format!("`{}` is missing", key.name);
            let remedy = match &key.shape {
                Shape::Keys(_) | Shape::Named { .. } | Shape::List { .. } => {
                    format!("add `{}:` with at least one entry below it", key.name)
                }
                Shape::Text(_) | Shape::Choice(_) | Shape::Whole { .. } | Shape::Truth => {
                    format!("add `{}:` with {}", key.name, key.shape.what())
                }
            };
            // What is advised for a wrong value that has only one right one.
            let only = matches!(key.shape, Shape::Whole { min, max } if min == max);
            let remedy = key.remedy.clone().filter(|_| only).unwrap_or(remedy);
            let place = self.root.place(path);
            self.report_at(place, Code::MissingKey, path, message, remedy);
        }
        Reported
    }

    fn wrong_type(&mut self, node: &Node, shape: &Shape, path: &Path) -> Reported {
        let expected = shape.what();
        let (found, remedy) = match (&node.kind, shape) {
            (Kind::Plain(text), Shape::Keys(_) | Shape::Named { .. }) if text.is_empty() => (
                "nothing".to_owned(),
                "give the keys below it, `{}` for none, or remove the key".to_owned(),
            ),
            (Kind::Plain(text), _) if text.is_empty() => {
                ("nothing".to_owned(), "give a value, or remove the key".to_owned())
            }
            (Kind::Quoted(text), Shape::Whole { .. } | Shape::Truth) => {
                ("text in quotes".to_owned(), format!("write `{}` without quotes", clip(text)))
            }
            (Kind::Plain(text) | Kind::Quoted(text), Shape::List { .. }) => {
                (format!("`{}`", clip(text)), format!("write a list: `[{}]`", clip(text)))
            }
            (Kind::Plain(text) | Kind::Quoted(text), _) => {
                let remedy = meant_by(text, shape);
                (format!("`{}`", clip(text)), remedy)
            }
            (Kind::List(_), Shape::Keys(_) | Shape::Named { .. }) => (
                "a list".to_owned(),
                "write `name: …` lines; only lists have a `-` before each entry".to_owned(),
            ),
            (Kind::List(_), _) => ("a list".to_owned(), "write one value".to_owned()),
            (Kind::Map(_), Shape::List { .. }) => {
                ("a mapping".to_owned(), "put a `-` before each entry".to_owned())
            }
            (Kind::Map(_) | Kind::Rejected, _) => {
                ("a mapping".to_owned(), "write one value".to_owned())
            }
        };
        self.report(Code::WrongType, path, format!("expected {expected}, found {found}"), remedy);
        Reported
    }

    fn report(&mut self, code: Code, path: &Path, message: String, remedy: String) {
        self.damaged.insert(path.clone());
        self.report_at(self.root.place(path), code, path, message, remedy);
    }

    fn report_at(
        &mut self,
        place: std::ops::Range<usize>,
        code: Code,
        path: &Path,
        message: String,
        remedy: String,
    ) {
        if MOST_PROBLEMS <= self.problems.len() {
            return;
        }
        let location = Some(self.sources.locate(place));
        self.problems.push(Problem::new(code, path.to_string(), location, message, remedy));
    }
}

/// Returns what to write where `text` stands and keys are expected.
fn meant_by(text: &str, shape: &Shape) -> String {
    if let Some(meant) = unspaced(text, shape) {
        return format!("write a space after the colon: `{meant}`");
    }
    let required: Vec<&str> = required(shape).collect();
    match (ways(text, shape).as_slice(), required.as_slice()) {
        ([], []) => "write `key: value` lines below it".to_owned(),
        ([], required) => {
            format!("write `key: value` lines below it; required is `{}`", required.join("`, `"))
        }
        (ways, _) => format!("did you mean `{}`?", ways.join("` or `")),
    }
}

/// Tells whether `key` stands at `path`, below `defaults`, and cannot be said there for all.
fn must_be_own(path: &Path, key: &str) -> bool {
    match path.steps() {
        [Step::Key(top), Step::Key(section)] => top == DEFAULTS && own_keys(section).contains(&key),
        _ => false,
    }
}

/// Returns the key that names the file of a secret, where `given` is that for the secret itself.
fn secret_key<'k>(given: &str, keys: &'k [Key]) -> Option<&'k str> {
    const SECRETS: [&str; 4] = ["token", "secret", "password", "passphrase"];
    let given = given.to_ascii_lowercase().replace('-', "_");
    let is_secret = SECRETS.iter().any(|it| given == *it || given.ends_with(&format!("_{it}")));
    let homes = keys.iter().map(|key| key.name.as_str()).filter(|name| name.ends_with("_file"));
    homes.into_iter().find(|_| is_secret)
}

fn listed(keys: &[Key]) -> String {
    let names: Vec<String> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
    if names.is_empty() { "no keys".to_owned() } else { names.join(", ") }
}

/// Returns a valid value with nothing in it that is not required.
fn stand_in(shape: &Shape) -> Value {
    match shape {
        Shape::Keys(keys) => keys
            .iter()
            .filter(|key| key.required)
            .map(|key| (Value::from(key.name.as_str()), stand_in(&key.shape)))
            .collect::<Mapping>()
            .into(),
        Shape::Named { .. } => Mapping::new().into(),
        Shape::List { .. } => Value::Sequence(Vec::new()),
        Shape::Text(kind) => kind.example.into(),
        Shape::Choice(words) => words.first().map(|it| it.text.as_str()).unwrap_or_default().into(),
        Shape::Whole { min, .. } => (*min).into(),
        Shape::Truth => false.into(),
    }
}
