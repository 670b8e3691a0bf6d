//! What may stand where in a configuration, as the checker and the reference see it.
//!
//! A [`Shape`] is read from the JSON Schema, which is made from the types in [`file`]. So there is
//! one description of the file, and the checker cannot know other keys than the decoder.
//!
//! [`file`]: crate::config::file

use std::sync::OnceLock;

use schemars::{Schema, generate::SchemaSettings, transform::Transform};
use serde_json::{Map, Value};

use crate::config::{
    file::File,
    units::kinds::{LeafKind, kind_named},
};

/// What may stand in one place.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A mapping with known keys.
    Keys(Vec<Key>),
    /// A mapping from names.
    Named { value: Box<Shape>, min: usize },
    /// A list.
    List { item: Box<Shape>, min: usize },
    /// Text with a form of its own.
    Text(&'static LeafKind),
    /// One of these words.
    Choice(Vec<Word>),
    /// A whole number.
    Whole { min: u64, max: u64 },
    /// `true` or `false`.
    Truth,
}

/// A word of a [`Shape::Choice`].
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) meaning: String,
}

/// A key of a [`Shape::Keys`].
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    /// What to advise when the value is wrong, where a general answer would not help.
    pub(crate) remedy: Option<String>,
    pub(crate) description: String,
    /// As one would write it; `None` when there is none, or it follows from those of inner keys.
    pub(crate) default: Option<Value>,
    /// Where its own keys are described, if not below it.
    pub(crate) keys_of: Option<String>,
}

/// Returns the JSON Schema of the configuration.
pub(crate) fn json_schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<File>();
    Plainer.transform(&mut schema);
    let mut schema = schema.to_value();
    // The order must not depend on the features that other crates ask of serde_json.
    schema.sort_all_objects();
    schema
}

/// Removes what only mirrors Rust: `null` for an absent key, number formats, defaults that repeat
/// those of the keys inside.
#[derive(Clone)]
struct Plainer;

impl Transform for Plainer {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|it| it != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(options)) = schema.get("anyOf") {
            let option = options.iter().find(|it| it["type"] != "null").and_then(Value::as_object);
            for (key, value) in option.cloned().unwrap_or_default() {
                schema.ensure_object().entry(key).or_insert(value);
            }
            schema.remove("anyOf");
        }
        if schema.get("default").is_some_and(|it| it.is_null() || it.is_object()) {
            schema.remove("default");
        }
        if schema.get("type").is_some_and(|it| it == "integer") {
            schema.remove("format");
        }
        for text in ["description", "title"] {
            if let Some(Value::String(text)) = schema.get_mut(text) {
                *text = text.replace('\n', " ");
            }
        }
        schemars::transform::transform_subschemas(self, schema);
    }
}

/// Returns the shape of a whole configuration. An error is a mistake in this program.
pub(crate) fn root() -> Result<&'static Shape, &'static str> {
    static ROOT: OnceLock<Result<Shape, String>> = OnceLock::new();
    ROOT.get_or_init(|| shape(&json_schema())).as_ref().map_err(String::as_str)
}

fn shape(schema: &Value) -> Result<Shape, String> {
    let not_understood =
        || format!("the schema has a part that the checker does not understand: {schema}");
    let schema = schema.as_object().ok_or_else(not_understood)?;
    if let Some(kind) = schema.get("format").and_then(Value::as_str).and_then(kind_named) {
        return Ok(Shape::Text(kind));
    }
    if let Some(choices) = choices(schema) {
        return Ok(Shape::Choice(choices));
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_u64);
    let min = |key: &str| number(key).and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => Ok(Shape::Truth),
        Some("integer") => match (number("minimum"), number("maximum")) {
            (Some(min), Some(max)) => Ok(Shape::Whole { min, max }),
            (_, _) => Err(not_understood()),
        },
        Some("array") => {
            let item = schema.get("items").ok_or_else(not_understood)?;
            Ok(Shape::List { item: Box::new(shape(item)?), min: min("minItems") })
        }
        Some("object") => match schema.get("additionalProperties") {
            Some(value @ Value::Object(_)) => {
                Ok(Shape::Named { value: Box::new(shape(value)?), min: min("minProperties") })
            }
            Some(Value::Bool(false)) => keys(schema).map(Shape::Keys),
            Some(_) | None => Err(not_understood()),
        },
        Some(_) | None => Err(not_understood()),
    }
}

/// Returns the words of an enumeration, which are constants or, with descriptions, alternatives
/// of constants.
fn choices(schema: &Map<String, Value>) -> Option<Vec<Word>> {
    let word = |text: &Value, meaning: Option<&Value>| {
        let meaning = meaning.and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Word { text: text.as_str()?.to_owned(), meaning })
    };
    match (schema.get("oneOf"), schema.get("enum")) {
        (Some(Value::Array(options)), _) => {
            let constants = options.iter().filter_map(|it| Some((it.get("const")?, it)));
            constants.map(|(text, it)| word(text, it.get("description"))).collect()
        }
        (_, Some(Value::Array(words))) => words.iter().map(|text| word(text, None)).collect(),
        (_, _) => None,
    }
}

fn keys(schema: &Map<String, Value>) -> Result<Vec<Key>, String> {
    let required: Vec<&str> = match schema.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return Ok(Vec::new());
    };
    let text =
        |property: &Value, key: &str| property.get(key).and_then(Value::as_str).map(str::to_owned);
    properties
        .iter()
        .map(|(name, property)| {
            Ok(Key {
                name: name.clone(),
                shape: shape(property)?,
                required: required.contains(&name.as_str()),
                remedy: text(property, "x-remedy"),
                description: text(property, "description").unwrap_or_default(),
                default: property.get("default").cloned(),
                keys_of: text(property, "x-keys-of"),
            })
        })
        .collect()
}

impl Shape {
    /// Completes "expected …".
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Keys(_) | Self::Named { .. } => "a mapping".to_owned(),
            Self::List { .. } => "a list".to_owned(),
            Self::Text(kind) => kind.what.to_owned(),
            Self::Choice(words) => {
                let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
                format!("`{}`", words.join("`, `"))
            }
            Self::Whole { min, max } if min == max => format!("`{min}`"),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Truth => "`true` or `false`".to_owned(),
        }
    }

    /// Returns where in a configuration `key` belongs, e.g. `pools.*.health_check`.
    pub(crate) fn homes_of(&self, key: &str) -> Vec<String> {
        let mut homes = Vec::new();
        self.visit("", &mut |path, found| {
            if found.name == key {
                homes.push(path.to_owned());
            }
        });
        homes
    }

    /// Calls `visitor` with each key below this shape and the pattern of where it stands, each where
    /// it is described.
    pub(crate) fn visit<'s>(&'s self, at: &str, visitor: &mut impl FnMut(&str, &'s Key)) {
        match self {
            Self::Keys(keys) => {
                for key in keys {
                    visitor(at, key);
                    if key.keys_of.is_some() {
                        continue;
                    }
                    let dot = if at.is_empty() { "" } else { "." };
                    key.shape.visit(&format!("{at}{dot}{}", key.name), visitor);
                }
            }
            Self::Named { value, .. } => value.visit(&format!("{at}.*"), visitor),
            Self::List { item, .. } => item.visit(&format!("{at}[]"), visitor),
            Self::Text(_) | Self::Choice(_) | Self::Whole { .. } | Self::Truth => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_yaml::Value as Yaml;

    use super::*;

    /// Every key there is, with a valid value.
    fn everything(shape: &Shape) -> Yaml {
        match shape {
            Shape::Keys(keys) => keys
                .iter()
                .map(|key| (Yaml::from(key.name.as_str()), everything(&key.shape)))
                .collect::<serde_yaml::Mapping>()
                .into(),
            Shape::Named { value, .. } => {
                serde_yaml::Mapping::from_iter([(Yaml::from("name"), everything(value))]).into()
            }
            Shape::List { item, .. } => Yaml::Sequence(vec![everything(item)]),
            Shape::Text(kind) => kind.example.into(),
            Shape::Choice(words) => words[0].text.as_str().into(),
            Shape::Whole { max, .. } => (*max).into(),
            Shape::Truth => true.into(),
        }
    }

    #[test]
    fn the_decoder_and_the_checker_know_the_same_keys() {
        let complete = everything(root().unwrap());
        let file: File = serde_yaml::from_value(complete.clone()).unwrap();
        let written = serde_yaml::to_value(&file).unwrap();
        assert_eq!(sorted(&written), sorted(&complete));
    }

    fn sorted(value: &Yaml) -> String {
        serde_json::to_string(&serde_json::to_value(value).unwrap()).unwrap()
    }

    #[test]
    fn every_key_is_described() {
        root().unwrap().visit("", &mut |at, key| {
            assert!(key.description.ends_with('.'), "{at}.{}: `{}`", key.name, key.description);
        });
    }

    #[test]
    fn a_key_knows_where_it_belongs() {
        assert_eq!(root().unwrap().homes_of("url"), ["pools.*.backends[]"]);
    }
}
