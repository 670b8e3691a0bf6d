//! Values on the command line.

use std::time::Duration;

use serde_json::Value;

use crate::units::parse_length;

/// Reads a length of time: one number and one unit, as in the configuration.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    parse_length(text).map_err(crate::units::Misread::remedy)
}

/// Reads `key=value`, as a condition: numbers and truths are such, everything else is text.
pub(crate) fn expectation(text: &str) -> Result<(String, Value), String> {
    let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        return Err("write KEY=VALUE, such as `intent=enabled`".to_owned());
    };
    let parsed = serde_json::from_str(value).ok();
    let plain = parsed.filter(|it: &Value| !it.is_object() && !it.is_array());
    Ok((key.to_owned(), plain.unwrap_or_else(|| value.into())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_is_a_key_and_a_value_of_its_kind() {
        let check = |text: &str, key: &str, value: Value| {
            assert_eq!(expectation(text).unwrap(), (key.to_owned(), value));
        };
        check("intent=enabled", "intent", json!("enabled"));
        check("weight=100", "weight", json!(100));
        check("is_active=true", "is_active", json!(true));
        check("trouble=null", "trouble", Value::Null);
        check("url=http://a?b=c", "url", json!("http://a?b=c"));
        assert!(expectation("weight").is_err() && expectation("=1").is_err());
    }
}
