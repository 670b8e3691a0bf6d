//! The part of an address after the question mark: known keys only, each at most once.

use std::collections::BTreeMap;

use axum::extract::Query;
use http::{StatusCode, Uri};

use crate::web::HttpError;

/// The keys and values of a query.
#[derive(Debug)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads the query of `uri`, which may hold the keys in `known`.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, HttpError> {
        let remedy = || format!("known parameters: {}", known.join(", "));
        let refuse = |message: String| bad_request("unknown_parameter", message, remedy());
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| refuse("the query cannot be read".to_owned()))?;
        let mut parameters = BTreeMap::new();
        for (key, value) in pairs.0 {
            if !known.contains(&key.as_str()) {
                return Err(refuse(format!("unknown parameter `{}`", shorten(&key))));
            }
            if parameters.contains_key(&key) {
                let remedy = "give each parameter once";
                return Err(bad_request("bad_parameter", format!("`{key}` comes twice"), remedy));
            }
            parameters.insert(key, value);
        }
        Ok(Self(parameters))
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Returns the whole number of `key`, which must lie in `1..=max`.
    pub(crate) fn count(&self, key: &str, max: usize) -> Result<Option<usize>, HttpError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.parse() {
            Ok(count) if (1..=max).contains(&count) => Ok(Some(count)),
            Ok(_) | Err(_) => {
                let message = format!("`{key}` is `{}`", shorten(text));
                let remedy = format!("give a whole number from 1 to {max}");
                Err(bad_request("bad_parameter", message, remedy))
            }
        }
    }
}

pub(crate) fn bad_request(
    code: &'static str,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, code, message, remedy)
}

/// Returns what somebody wrote, fit to be repeated in a message: short, and in one line.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let plain = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    let mut short: String = text.chars().take(LONGEST).map(plain).collect();
    if LONGEST < text.chars().count() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, HttpError> {
        Parameters::of(&format!("/x{query}").parse().unwrap(), &["pool", "limit"])
    }

    #[test]
    fn known_keys_are_read() {
        let parameters = read("?pool=a%20b&limit=7").unwrap();
        assert_eq!(parameters.text("pool"), Some("a b"));
        assert_eq!(parameters.count("limit", 9), Ok(Some(7)));
        assert_eq!(read("").unwrap().count("limit", 9), Ok(None));
    }

    #[test]
    fn what_is_not_known_or_comes_twice_is_refused() {
        let error = read("?limt=7").unwrap_err();
        assert_eq!(error.message, "unknown parameter `limt`");
        assert_eq!(error.remedy, "known parameters: pool, limit");
        assert_eq!(read("?pool=a&pool=b").unwrap_err().message, "`pool` comes twice");
        assert!(read(&format!("?{}=1", "x".repeat(9_000))).unwrap_err().message.len() < 200);
    }

    #[test]
    fn a_count_outside_its_range_is_refused() {
        for text in ["0", "10", "-1", "7.0", "x", "", "99999999999999999999999"] {
            let error = read(&format!("?limit={text}")).unwrap().count("limit", 9).unwrap_err();
            assert_eq!(error.message, format!("`limit` is `{text}`"));
        }
    }
}
