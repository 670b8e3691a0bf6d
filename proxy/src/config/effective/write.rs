//! Values as YAML, one to a line, with a comment for each.

use serde_yaml::Value;

use crate::config::{effective::Origin, path::Path};

/// Where comments begin, unless the value is longer.
const COLUMN: usize = 44;

/// Says where a value comes from, and what to show in its place.
type At<'a> = &'a dyn Fn(&Path) -> (Origin, Option<String>);

/// Returns `value` as a document. With `origins`, each line says where its value comes from.
pub(crate) fn yaml(value: &Value, at: At<'_>, origins: bool) -> String {
    let mut writer = Writer { text: String::new(), at, origins };
    if let Value::Mapping(entries) = value {
        writer.mapping(entries, &Path::default(), 0, "");
    }
    writer.text
}

struct Writer<'w> {
    text: String,
    at: At<'w>,
    origins: bool,
}

impl Writer<'_> {
    /// `opening` comes before the first key, in place of as much indentation.
    fn mapping(
        &mut self,
        entries: &serde_yaml::Mapping,
        path: &Path,
        indent: usize,
        opening: &str,
    ) {
        for (position, (key, value)) in entries.iter().enumerate() {
            let key = key.as_str().unwrap_or_default();
            let lead = match position {
                0 if !opening.is_empty() => opening.to_owned(),
                _ => " ".repeat(indent),
            };
            self.entry(&format!("{lead}{}:", scalar_text(key)), value, &path.key(key), indent);
        }
    }

    fn entry(&mut self, start: &str, value: &Value, path: &Path, indent: usize) {
        match value {
            Value::Mapping(entries) if !entries.is_empty() => {
                self.text.push_str(start);
                self.text.push('\n');
                self.mapping(entries, path, indent + 2, "");
            }
            Value::Sequence(items) if items.iter().any(Value::is_mapping) => {
                self.text.push_str(start);
                self.text.push('\n');
                for (index, item) in items.iter().enumerate() {
                    let (opening, path) =
                        (format!("{}- ", " ".repeat(indent + 2)), path.item(index));
                    match item {
                        Value::Mapping(entries) => {
                            self.mapping(entries, &path, indent + 4, &opening);
                        }
                        Value::Null
                        | Value::Bool(_)
                        | Value::Number(_)
                        | Value::String(_)
                        | Value::Sequence(_)
                        | Value::Tagged(_) => {
                            self.line(&format!("{opening}{}", scalar(item)), &path);
                        }
                    }
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Sequence(_)
            | Value::Mapping(_)
            | Value::Tagged(_) => {
                let shown = if let Value::Sequence(items) = value {
                    self.list(items, path)
                } else {
                    (self.at)(path).1.map_or_else(|| scalar(value), |text| quoted(&text))
                };
                self.line(&format!("{start} {shown}"), path);
            }
        }
    }

    fn list(&self, items: &[Value], path: &Path) -> String {
        let item = |(index, item): (usize, &Value)| {
            let shown = (self.at)(&path.item(index)).1;
            shown.map_or_else(|| scalar(item), |text| quoted(&text))
        };
        let items: Vec<String> = items.iter().enumerate().map(item).collect();
        format!("[{}]", items.join(", "))
    }

    fn line(&mut self, line: &str, path: &Path) {
        self.text.push_str(line);
        if self.origins {
            let width = line.chars().count();
            let gap = COLUMN.saturating_sub(width).max(2);
            self.text.push_str(&format!("{}# {}", " ".repeat(gap), (self.at)(path).0));
        }
        self.text.push('\n');
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(&text.replace("${", "$${")),
        Value::Bool(it) => it.to_string(),
        Value::Number(it) => it.to_string(),
        Value::Mapping(_) => "{}".to_owned(),
        Value::Sequence(_) => "[]".to_owned(),
        Value::Null | Value::Tagged(_) => "~".to_owned(),
    }
}

/// Returns `text` so that every reader of YAML takes it for text, or for the number that it is.
fn scalar_text(text: &str) -> String {
    let is_plain =
        |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.' | '/' | '%');
    let is_word = text.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '/')
        && text.chars().all(is_plain);
    let is_taken = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .contains(&text.to_ascii_lowercase().as_str());
    let is_number = text.starts_with(|it: char| it.is_ascii_digit())
        && !text.ends_with(|it: char| it.is_ascii_alphabetic() || it == '%');
    if is_word && !is_taken && !is_number { text.to_owned() } else { quoted(text) }
}

/// Returns `text` between quotes, as JSON and YAML write it alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
