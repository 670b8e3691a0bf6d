//! What one scalar means in its place.

use serde_yaml::Value;

use crate::config::{
    path::clip,
    problem::Code,
    shape::Shape,
    suggest::{nearest, ours},
    units::Fault,
};

/// Reads a scalar. YAML's own idea of its type does not matter, only the place it stands in.
pub(crate) fn scalar(text: &str, shape: &Shape) -> Result<Value, (Code, Fault)> {
    let found = clip(text);
    match shape {
        Shape::Text(kind) => {
            (kind.check)(text).map_err(|fault| (Code::BadValue, fault))?;
            Ok(text.into())
        }
        Shape::Choice(words) if words.iter().any(|word| word.text == text) => Ok(text.into()),
        Shape::Choice(words) => {
            let known = || words.iter().map(|word| word.text.as_str());
            let meant = ours(text, known()).map(|(meant, _)| meant);
            let remedy = match meant.or_else(|| nearest(text, known())) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("write one of {}", shape.what()),
            };
            Err((Code::UnknownChoice, Fault::new(format!("`{found}` is not known here"), remedy)))
        }
        Shape::Truth => match text {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => {
                let is_yes =
                    matches!(text.to_ascii_lowercase().as_str(), "yes" | "on" | "true" | "1");
                let remedy = format!("write `{is_yes}`");
                let message = format!("expected {}, found `{found}`", shape.what());
                Err((Code::WrongType, Fault::new(message, remedy)))
            }
        },
        Shape::Whole { min, max } => {
            let message = format!("expected {}, found `{found}`", shape.what());
            match text.parse::<u64>() {
                Ok(number) if (min..=max).contains(&&number) => Ok(number.into()),
                Ok(_) => {
                    Err((Code::OutOfRange, Fault::new(message, format!("write {min} to {max}"))))
                }
                Err(_) if text.parse::<f64>().is_ok() => {
                    Err((Code::OutOfRange, Fault::new(message, format!("write {min} to {max}"))))
                }
                Err(_) => {
                    Err((Code::WrongType, Fault::new(message, format!("write {min} to {max}"))))
                }
            }
        }
        Shape::Keys(_) | Shape::Named { .. } | Shape::List { .. } => {
            let message = format!("expected {}, found `{found}`", shape.what());
            Err((Code::WrongType, Fault::new(message, "write `key: value` lines below it")))
        }
    }
}
