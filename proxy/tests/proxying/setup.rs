//! What a proxy is told to do: one pool, `api`, and what a test changes of it.

use std::net::SocketAddr;

use bascule_backend::{Config, Running, spawn};
use serde_json::{Value, json};

use crate::proxy::Proxy;

/// A configuration in the making. Checks, ejections and failback come sooner than by default.
/// Deadlines are longer, because a machine that is busy with something else is no failure; a test
/// of a deadline sets it.
#[derive(Clone, Debug)]
pub(crate) struct Setup(pub(crate) Value);

/// A backend of that name on a free port.
pub(crate) fn backend(name: &str) -> Running {
    spawn(Config::new(name)).unwrap()
}

impl Setup {
    /// Each backend in a tier of its own, the first preferred.
    pub(crate) fn tiers(backends: &[&Running]) -> Self {
        let addresses = backends.iter().map(|it| (it.name(), it.addr()));
        Self::of(addresses.enumerate().map(|(tier, (name, addr))| placed(name, addr, tier, 100)))
    }

    /// Backends with their weights, all in one tier.
    pub(crate) fn one_tier(backends: &[(&Running, u32)]) -> Self {
        Self::of(backends.iter().map(|(it, weight)| placed(it.name(), it.addr(), 0, *weight)))
    }

    /// What listens at these addresses, each in a tier of its own. It is checked by connecting
    /// only, because it may not speak HTTP.
    pub(crate) fn addresses(addresses: &[(&str, SocketAddr)]) -> Self {
        let addresses = addresses.iter().enumerate();
        Self::of(addresses.map(|(tier, (name, addr))| placed(name, *addr, tier, 100)))
            .with("pools.api.health_check.tcp", json!({}))
    }

    fn of(backends: impl Iterator<Item = Value>) -> Self {
        Self(json!({
            "version": 1,
            "threads": 2,
            "listeners": { "public": {} },
            "routes": [{ "name": "rest", "pool": "api" }],
            "pools": { "api": {
                "tiers": { "failback": { "after": "1s" } },
                "backends": backends.collect::<Value>(),
                "health_check": {
                    "interval": "200ms", "fast_interval": "50ms", "timeout": "5s",
                    "rise": 2, "fall": 2,
                },
                "outlier_detection": { "eject_for": { "base": "1s" } },
                "retries": { "per_try_timeout": "5s" },
                "timeouts": { "connect": "5s" },
            }},
            "shutdown": { "websocket_grace": "100ms" },
            "admin": { "fault_injection": true },
            // Tests know requests by their ids.
            "logging": { "request_id": "everyone" },
        }))
    }

    /// Sets one key, named by the keys that lead to it, with dots between, and by
    /// numbers in lists.
    pub(crate) fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        let place = path.split('.').fold(&mut self.0, |place, key| match key.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[key],
        });
        *place = value.into();
        self
    }

    /// Checks, attempts and connections have the times that they have when nothing is said of them.
    pub(crate) fn with_defaults(mut self) -> Self {
        for section in ["health_check", "retries", "timeouts"] {
            self.0["pools"]["api"][section] = json!({});
        }
        self
    }

    /// Failed attempts take no backend out, so that a test can count them.
    pub(crate) fn without_ejection(self) -> Self {
        self.with("pools.api.outlier_detection.consecutive_failures", 1000)
    }

    /// Starts a proxy that does this. It accepts clients on return.
    pub(crate) async fn start(self) -> Proxy {
        Proxy::start(self).await
    }
}

fn placed(name: &str, addr: SocketAddr, tier: usize, weight: u32) -> Value {
    json!({ "name": name, "url": format!("http://{addr}"), "tier": tier, "weight": weight })
}
