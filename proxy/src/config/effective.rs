//! A configuration with everything that is in force written out, and where each value comes from.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value as Json, json};
use serde_yaml::Value;

mod write;

use crate::config::{
    defaults::DEFAULTS,
    environment,
    locate::{Kind, Node},
    path::{Path, Step},
    problem::Location,
    sources::Sources,
};

/// Mappings whose values are sent to others, and may be secrets where a variable stands for them.
const SENT: [&str; 3] = ["headers", "set", "add"];

/// What is in force. Secrets are not in it: they are in files and variables, of which it has the
/// names.
#[derive(Clone, Debug)]
pub struct Effective {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sources: Arc<Sources>,
    root: Node,
    value: Value,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing is said, so it is as the reference says.
    Default,
    /// From a file.
    File {
        /// As it was named.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Whether it is written under `defaults`, for all.
        is_shared: bool,
        /// Variables of the environment that it is made of.
        variables: Vec<String>,
    },
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line, is_shared, variables } => {
                write!(f, "{file}:{line}")?;
                if *is_shared {
                    f.write_str(" (defaults)")?;
                }
                for variable in variables {
                    write!(f, " ${variable}")?;
                }
                Ok(())
            }
        }
    }
}

impl Effective {
    pub(crate) fn new(sources: Arc<Sources>, root: Node, value: Value) -> Self {
        Self { inner: Arc::new(Inner { sources, root, value }) }
    }

    /// Returns the place of `path`, or of what is around it.
    pub(crate) fn location(&self, path: &Path) -> Location {
        self.inner.sources.locate(self.inner.root.place(path))
    }

    /// Returns the configuration as YAML that means the same wherever it is read, except that paths
    /// are as this process sees them. With `origins`, each value has its source in a comment.
    pub fn yaml(&self, origins: bool) -> String {
        write::yaml(&self.inner.value, &|path| self.at(path), origins)
    }

    /// Returns the configuration, and the source of every value by its path.
    pub fn json(&self) -> Json {
        let mut origins = BTreeMap::new();
        self.visit(&self.inner.value, &Path::default(), &mut origins);
        json!({ "config": self.inner.value, "origins": origins })
    }

    fn visit(&self, value: &Value, path: &Path, origins: &mut BTreeMap<String, String>) {
        match value {
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    self.visit(value, &path.key(key.as_str().unwrap_or_default()), origins);
                }
            }
            Value::Sequence(items) if items.iter().any(Value::is_mapping) => {
                for (index, item) in items.iter().enumerate() {
                    self.visit(item, &path.item(index), origins);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Sequence(_)
            | Value::Tagged(_) => {
                origins.insert(path.to_string(), self.at(path).0.to_string());
            }
        }
    }

    /// Returns the origin of a value, and its text as written where that is to be shown in its place.
    fn at(&self, path: &Path) -> (Origin, Option<String>) {
        let Some(node) = self.inner.root.find(path) else { return (Origin::Default, None) };
        let place = self.inner.sources.locate(node.span.clone());
        let shared = self.inner.root.find(&Path::default().key(DEFAULTS));
        let is_shared = shared
            .is_some_and(|it| it.span.start <= node.span.start && node.span.end <= it.span.end);
        let text = match &node.kind {
            Kind::Plain(text) | Kind::Quoted(text) => text.as_str(),
            Kind::List(_) | Kind::Map(_) | Kind::Rejected => "",
        };
        let variables = environment::names(text);
        let is_sent = path.steps().iter().any(|step| match step {
            Step::Key(key) => SENT.contains(&key.as_str()),
            Step::Item(_) => false,
        });
        let shown = (is_sent && !variables.is_empty()).then(|| text.to_owned());
        let file = place.file.to_string();
        (Origin::File { file, line: place.line, is_shared, variables }, shown)
    }
}
