//! What every kind of textual value has: a parser, an example, and words for messages.

use crate::config::units::Fault;

/// A value that is written as text.
pub(crate) trait Leaf: Sized {
    /// Names the kind in the schema's `format`.
    const FORMAT: &'static str;
    /// Completes "expected …".
    const WHAT: &'static str;
    /// A valid value.
    const EXAMPLE: &'static str;
    /// For editors, a rough check.
    const PATTERN: Option<&'static str> = None;
    /// What some values look like to YAML, so that editors must accept it: `integer`, or `number`
    /// when there may be a fraction.
    const NUMBERS: Option<&'static str> = None;

    /// Reads a value; the fault says what is wrong with it.
    fn parse(text: &str) -> Result<Self, Fault>;

    /// Writes the value as a person would.
    fn write(&self) -> String;
}

/// Returns the schema of one kind.
pub(crate) fn schema_of<L: Leaf>() -> schemars::Schema {
    let json_type = match L::NUMBERS {
        Some(numbers) => serde_json::json!(["string", numbers]),
        None => serde_json::json!("string"),
    };
    let mut schema = schemars::json_schema!({
        "type": json_type,
        "format": L::FORMAT,
        "examples": [L::EXAMPLE],
    });
    if let Some(pattern) = L::PATTERN {
        schema.insert("pattern".to_owned(), pattern.into());
    }
    schema
}

/// Makes kinds of textual values known to the decoder and to the schema.
macro_rules! leaf_impls {
    ($($name:ident),* $(,)?) => {
        $(
            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    to.serialize_str(&$crate::config::units::leaf::Leaf::write(self))
                }
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    let text = <String as serde::Deserialize>::deserialize(from)?;
                    <$name as $crate::config::units::leaf::Leaf>::parse(&text)
                        .map_err(|fault| serde::de::Error::custom(fault.message))
                }
            }

            impl schemars::JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    $crate::config::units::leaf::schema_of::<$name>()
                }
            }
        )*
    };
}

pub(crate) use leaf_impls;
