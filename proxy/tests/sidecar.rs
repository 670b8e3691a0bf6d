//! The sidecar and the dashboard over real sockets, with a state made by hand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "sidecar/access.rs"]
mod access;
#[path = "sidecar/dashboard.rs"]
mod dashboard;
#[path = "sidecar/fail.rs"]
mod fail;
#[path = "sidecar/failback.rs"]
mod failback;
#[path = "sidecar/feed.rs"]
mod feed;
#[path = "sidecar/guard.rs"]
mod guard;
#[path = "sidecar/logs.rs"]
mod logs;
#[path = "sidecar/reads.rs"]
mod reads;
#[path = "sidecar/tls.rs"]
mod tls;
#[path = "sidecar/types.rs"]
mod types;
#[path = "sidecar/world.rs"]
mod world;
