//! Problems in SARIF 2.1.0.

use serde_json::{Value, json};

use crate::config::problem::{Code, Location, Problem, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Returns a document with one run.
pub(crate) fn document<'p>(problems: impl Iterator<Item = &'p Problem>) -> Value {
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "bascule",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": Code::ALL.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": problems.map(result).collect::<Vec<_>>(),
        }],
    })
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.id(),
        "name": code.name(),
        "shortDescription": { "text": code.meaning() },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

fn result(problem: &Problem) -> Value {
    let index = Code::ALL.iter().position(|code| *code == problem.code);
    let mut result = json!({
        "ruleId": problem.code.id(),
        "ruleIndex": index,
        "level": level(problem.severity()),
        "message": { "text": format!("{problem}; {}", problem.remedy) },
    });
    if let Some(location) = &problem.location {
        let mut place = physical(location);
        if !problem.path.is_empty() {
            place["logicalLocations"] = json!([{ "fullyQualifiedName": problem.path }]);
        }
        result["locations"] = json!([place]);
    }
    if let Some(also) = &problem.also {
        let mut place = physical(also);
        place["message"] = json!({ "text": "the first" });
        result["relatedLocations"] = json!([place]);
    }
    result
}

fn physical(location: &Location) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&location.file) },
            "region": {
                "startLine": location.line,
                "startColumn": location.column,
                "endLine": location.end_line,
                "endColumn": location.end_column,
            },
        },
    })
}

fn level(severity: Severity) -> &'static str {
    severity.word()
}

/// Returns a path as a relative reference (RFC 3986 §4.2), or as an absolute one if it is.
fn uri(path: &str) -> String {
    let mut uri = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_reference() {
        assert_eq!(uri("conf.d/a b.yaml"), "conf.d/a%20b.yaml");
        assert_eq!(uri("/etc/ä"), "file:///etc/%C3%A4");
        assert_eq!(uri("<stdin>"), "%3Cstdin%3E");
    }
}
