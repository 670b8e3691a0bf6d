//! The part of a configuration file that is said once for all listeners, routes or pools.

use std::{borrow::Cow, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_yaml::Mapping;

use crate::config::file::{listener::Listener, pool::Pool, route::Route};

/// What listeners, routes and pools are given that do not say it themselves. Mappings are joined key
/// by key; lists and single values are replaced as a whole.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Defaults {
    /// For every listener: all of its keys but `address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-keys-of" = "listeners.*"))]
    pub(crate) listeners: Option<Partial<Listener>>,
    /// For every route: its terms, such as `timeout`, `retries` and `headers`. Not its name, what it
    /// matches and where it leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-keys-of" = "routes[]"))]
    pub(crate) routes: Option<Partial<Route>>,
    /// For every pool: all of its keys but `backends`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-keys-of" = "pools.*"))]
    pub(crate) pools: Option<Partial<Pool>>,
}

impl Defaults {
    pub(crate) fn is_empty(&self) -> bool {
        self.listeners.is_none() && self.routes.is_none() && self.pools.is_none()
    }
}

/// What can be said for several at once.
pub(crate) trait Shared: JsonSchema {
    /// Keys that each must say for itself.
    const OWN: &'static [&'static str];
}

/// Returns the keys that each entry of a section must say for itself.
pub(crate) fn own_keys(section: &str) -> &'static [&'static str] {
    match section {
        "listeners" => Listener::OWN,
        "routes" => Route::OWN,
        "pools" => Pool::OWN,
        _ => &[],
    }
}

impl Shared for Listener {
    const OWN: &'static [&'static str] = &["address"];
}

impl Shared for Route {
    const OWN: &'static [&'static str] = &[
        "name", "match", "rewrite", "pool", "split", "split_by", "redirect", "respond", "sidecar",
        "mirror",
    ];
}

impl Shared for Pool {
    const OWN: &'static [&'static str] = &["backends"];
}

/// Some keys of a `T`. They have been given to every `T` before it is decoded, so nobody reads them
/// here.
#[derive(Debug)]
pub(crate) struct Partial<T>(Mapping, PhantomData<T>);

impl<T> Serialize for Partial<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de, T> Deserialize<'de> for Partial<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Mapping::deserialize(from).map(|keys| Self(keys, PhantomData))
    }
}

impl<T: Shared> JsonSchema for Partial<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Partial{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.remove("required");
        schema.remove("description");
        if let Some(serde_json::Value::Object(keys)) = schema.get_mut("properties") {
            for own in T::OWN {
                keys.remove(*own);
            }
        }
        schema
    }
}
