//! `GET /openapi.json`: what can be asked here, for programs.
//!
//! Shapes of answers are made from the types in [`wire`](crate::admin::wire) by `schemars`, which makes
//! the configuration's schema as well. Which paths there are is a table; who may ask is
//! [`Deed`]'s to say, and the refusals that follow are added by it. utoipa and
//! aide were considered: both make parameters and bodies from what handlers extract, and these read
//! bodies and queries by hand, for the sake of their messages, so that all of it would have to be said
//! a second time all the same, and every type would need a second derive. Tests hold the table to the
//! router, the document to the file in `docs/`, and the answers to the document.

mod bodies;
mod operations;

use axum::Json;
use http::Method;
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    access::Deed,
    admin::{
        command,
        openapi::operations::{Answer, OPERATIONS, Operation},
    },
    model::Role,
};

/// Makes the document, OpenAPI 3.1.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = SchemaGenerator::new(settings);
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let entry = paths.entry(operation.path).or_insert_with(|| json!({}));
        entry[operation.method.to_lowercase()] = describe(operation, &mut generator);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Error".to_owned(), error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bascule's sidecar",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Where the state of a Bascule proxy is read and changed. Times are RFC 3339 \
                in UTC; lengths of time are seconds in answers and text such as `30s` in requests. Keys \
                of answers are never left out: what is not known is `null`. Unknown keys of requests are \
                refused.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:9901" }],
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `admin.auth.tokens`, or that of `admin.token_file`. Where \
                        `admin.tls` asks for certificates, one of `admin.auth.certificates` does as well.",
                },
            },
        },
    })
}

pub(crate) async fn show() -> Json<Value> {
    Json(document())
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    // Every method here is one that HTTP knows.
    let method = Method::from_bytes(operation.method.as_bytes()).unwrap_or_default();
    let deed = Deed::of(&method, operation.path);
    let mut answers = Map::new();
    for (status, answer) in operation.answers {
        answers.insert(status.to_string(), answer.describe(generator));
    }
    for (status, about) in refusals(operation, deed) {
        answers
            .entry(status.to_string())
            .or_insert_with(|| Answer::Error(about).describe(generator));
    }
    let least = match deed.role() {
        None => "nobody in particular",
        Some(Role::Viewer) => "a viewer",
        Some(Role::Operator) => "an operator",
    };
    let mut described = json!({
        "operationId": operation.id(),
        "summary": operation.summary,
        "description": format!("For {least}."),
        "parameters": parameters(operation),
        "responses": answers,
    });
    if let Some(body) = operation.body {
        described["requestBody"] = body();
    }
    described
}

/// Returns the refusals that follow from what an operation asks for, and from its body.
fn refusals(operation: &Operation, deed: Deed) -> Vec<(u16, &'static str)> {
    let mut refusals = vec![(400, "the request is malformed")];
    if deed != Deed::Greet {
        refusals.push((401, "the token or ticket is wrong, or one is needed"));
        refusals.push((429, "too many wrong tokens came from this address; see `Retry-After`"));
    }
    if deed.role().is_some() {
        refusals.push((
            403,
            "whoever asks may not, or a page of another site asks, or by a name that is not ours",
        ));
    }
    if operation.body.is_some() {
        refusals.push((408, "the body did not come in time"));
        refusals.push((413, "the body is too large"));
    }
    refusals
}

fn parameters(operation: &Operation) -> Value {
    let of_path =
        operation.path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
    let of_path = of_path.map(|name| {
        let schema = match name {
            "verb" => json!({ "enum": command::VERBS }),
            _ => json!({ "type": "string", "minLength": 1 }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let of_query = operation.parameters.iter().map(|it| {
        json!({ "name": it.name, "in": "query", "description": it.about, "schema": (it.schema)() })
    });
    of_path.chain(of_query).collect()
}

fn error() -> Value {
    json!({
        "type": "object",
        "description": "A refusal or a failure.",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "remedy"],
                "properties": {
                    "code": { "type": "string", "description": "For programs: one word, stable across releases." },
                    "message": { "type": "string", "description": "What is wrong." },
                    "remedy": { "type": "string", "description": "What would put it right." },
                    "present": { "description": "How things are, where they are not as was expected." },
                },
            },
        },
    })
}

impl Operation {
    /// Names it for programs: `post_backends_pool_name_verb`.
    fn id(&self) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let path: String = self.path.chars().filter(|it| !"{}".contains(*it)).map(plain).collect();
        format!("{}{path}", self.method.to_lowercase())
    }
}

impl Answer {
    fn describe(self, generator: &mut SchemaGenerator) -> Value {
        let with = |about: &str, kind: &str, schema: Value| json!({ "description": about, "content": { kind: { "schema": schema } } });
        match self {
            Self::Json(about, schema) => {
                with(about, "application/json", schema(generator).to_value())
            }
            Self::JsonOrYaml(about, schema) => json!({
                "description": about,
                "content": {
                    "application/json": { "schema": schema(generator) },
                    "application/yaml": { "schema": { "type": ["object", "string"] } },
                },
            }),
            Self::Text(about, kind) => with(about, kind, json!({ "type": "string" })),
            Self::Anything(about) => with(about, "*/*", json!({})),
            Self::Nothing(about) => json!({ "description": about }),
            Self::Error(about) => {
                with(about, "application/json", json!({ "$ref": "#/components/schemas/Error" }))
            }
        }
    }
}

/// Returns the shape of one type, and has it listed with those of the parts that it is made of.
fn shape<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_is_described_once_and_refers_to_what_there_is() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
        let mut ids = BTreeSet::new();
        for operation in OPERATIONS {
            assert!(ids.insert(operation.id()), "{}", operation.id());
            let described = &document["paths"][operation.path][operation.method.to_lowercase()];
            assert_eq!(described["operationId"], operation.id());
        }
    }

    #[test]
    fn what_needs_a_role_may_be_refused_and_greetings_may_not() {
        let document = document();
        let has = |path: &str, method: &str, status: &str| {
            !document["paths"][path][method]["responses"][status].is_null()
        };
        assert!(has("/proxy/fail", "post", "401") && has("/proxy/fail", "post", "403"));
        assert!(has("/logs", "get", "403") && has("/tickets", "post", "429"));
        assert!(!has("/livez", "get", "401") && !has("/livez", "get", "403"));
        assert!(has("/whoami", "get", "401") && !has("/whoami", "get", "403"));
    }
}
