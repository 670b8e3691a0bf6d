//! A topology to put conditions and cookies into.

use std::{path::Path, sync::LazyLock};

use bascule::{config, model::Topology};

pub(crate) static TOPOLOGY: LazyLock<Topology> = LazyLock::new(|| {
    let text = "{version: 1, listeners: {public: {address: '127.0.0.1:1'}}, \
                routes: [{pool: api}], \
                pools: {api: {backends: [{name: a, url: 'http://127.0.0.1:2'}, \
                                         {name: b, url: 'http://127.0.0.1:3'}]}}}";
    config::parse("fuzz.yaml", text, Path::new("")).expect("well-formed").topology
});
