//! The page's types are made from the sidecar's: `dashboard/src/wire/generated.ts` is current.
//!
//! From the JSON Schema that `schemars` makes of the answers, as `GET /openapi.json` has it. ts-rs and
//! specta were considered: each needs a derive of its own on every type, where the schemas are there
//! already, and what they print is what is printed here.

use std::{fmt::Write as _, fs, path::Path};

use bascule::admin::wire;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

const FILE: &str = "../dashboard/src/wire/generated.ts";
const HEAD: &str = "// What the sidecar sends, as it says itself. Generated from proxy/src/admin/wire: do not edit;\n\
    // `make regen` writes it anew, and a test of the proxy says when that is due.\n";

/// Returns the types that a page needs, by name.
fn definitions() -> Map<String, Value> {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    generator.subschema_for::<wire::FeedFrame>();
    generator.subschema_for::<wire::Incidents>();
    generator.subschema_for::<wire::Audit>();
    generator.subschema_for::<wire::WhoAmI>();
    generator.subschema_for::<wire::Ticket>();
    generator.subschema_for::<wire::FailAccepted>();
    generator.subschema_for::<wire::Recovered>();
    generator.subschema_for::<wire::BackendAnswer>();
    generator.subschema_for::<wire::PoolAnswer>();
    generator.subschema_for::<wire::Config>();
    generator.subschema_for::<wire::Process>();
    generator.take_definitions(true)
}

/// Returns what a schema is in TypeScript.
fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap().to_owned();
    }
    if let Some(value) = schema.get("const") {
        return literal(value);
    }
    if let Some(values) = schema["enum"].as_array() {
        return union(values.iter().map(literal));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(cases) = schema[key].as_array() {
            return union(cases.iter().map(type_of));
        }
    }
    match &schema["type"] {
        Value::String(kind) => simple(kind, schema),
        Value::Array(kinds) => {
            union(kinds.iter().map(|kind| simple(kind.as_str().unwrap(), schema)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "unknown".to_owned(),
    }
}

fn simple(kind: &str, schema: &Value) -> String {
    match kind {
        "integer" | "number" => "number".to_owned(),
        "array" => {
            let item = type_of(&schema["items"]);
            if item.contains(" | ") { format!("({item})[]") } else { format!("{item}[]") }
        }
        "object" if schema.get("properties").is_some() => object(schema, "  "),
        "object" => format!("Record<string, {}>", type_of(&schema["additionalProperties"])),
        "string" | "boolean" | "null" => kind.to_owned(),
        other => panic!("{other}"),
    }
}

/// Each once, `null` last.
fn union(cases: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for case in cases.flat_map(|it| it.split(" | ").map(str::to_owned).collect::<Vec<_>>()) {
        if !all.contains(&case) {
            all.push(case);
        }
    }
    all.sort_by_key(|it| it == "null");
    all.join(" | ")
}

fn literal(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |it| format!("'{it}'"))
}

fn object(schema: &Value, indent: &str) -> String {
    let mut text = String::from("{\n");
    for (name, of) in schema["properties"].as_object().unwrap() {
        document(&mut text, of, indent);
        writeln!(text, "{indent}{name}: {};", type_of(of)).unwrap();
    }
    text.push_str(&indent[2..]);
    text.push('}');
    text
}

fn document(text: &mut String, schema: &Value, indent: &str) {
    if let Some(about) = schema["description"].as_str() {
        let about = about.replace('\n', " ");
        writeln!(text, "{indent}/** {about} */").unwrap();
    }
}

fn declarations() -> String {
    let mut text = HEAD.to_owned();
    for (name, schema) in definitions() {
        text.push('\n');
        document(&mut text, &schema, "");
        match schema["oneOf"].as_array() {
            // Cases that are told apart by their `type`.
            Some(cases) if cases.iter().any(|it| it.get("properties").is_some()) => {
                writeln!(text, "export type {name} =").unwrap();
                let cases: Vec<String> =
                    cases.iter().map(|case| format!("  | {}", object(case, "      "))).collect();
                writeln!(text, "{};", cases.join("\n")).unwrap();
            }
            Some(_) | None if schema.get("properties").is_some() => {
                writeln!(text, "export interface {name} {}", object(&schema, "  ")).unwrap();
            }
            Some(_) | None => writeln!(text, "export type {name} = {};", type_of(&schema)).unwrap(),
        }
    }
    text
}

#[test]
fn the_pages_types_are_current() {
    let text = declarations();
    let file = Path::new(FILE);
    if std::env::var_os("BASCULE_BLESS").is_some() {
        fs::write(file, &text).unwrap();
    }
    let command = "BASCULE_BLESS=1 cargo test -p bascule --test sidecar";
    assert!(fs::read_to_string(file).unwrap_or_default() == text, "not current; run: {command}");
}
