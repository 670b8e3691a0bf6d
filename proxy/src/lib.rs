//! A load-balancing reverse proxy whose failover clients do not notice, with proof of it.
//!
//! The module list below is the map of the crate, and `tests/layers.rs` holds the code to it: a
//! module imports only from groups beneath its own.

// Command line: what was asked for, and the exit code that answers.
pub mod cli;

// Composition: builds every part and connects them.
pub mod app;

// Shells: they talk to the world; they never import each other.
pub mod admin;
pub mod control;
pub mod dashboard;
pub mod edge;
pub mod gateway;

// Engine: forwards an exchange attempt by attempt; the gateway frames it.
pub mod exchange;

// Adapters: the world's words in ours, and what several shells do alike.
pub mod alarms;
pub mod classify;
pub mod client_connection;
pub mod departure;
pub mod inbox;
pub mod orders;
pub mod pulse;
pub mod server_tls;
pub mod sockets;
pub mod strike;

// Records: what operators see.
pub mod history;
pub mod telemetry;

// Configuration: from what the user wrote to what the proxy runs.
pub mod config;

// Forecast (pure): what decisions will come to, worked out before anything happens.
pub mod forecast;

// Decisions (pure): synchronous, deterministic, told the time.
pub mod access;
pub mod balance;
pub mod fleet;
pub mod incident;
pub mod rate_limit;
pub mod retry;
pub mod routing;
pub mod shedding;
pub mod sticky;
pub mod suspicion;

// Wire (pure): HTTP/1.1 as clients and backends say it, and what comes before it, in bytes.
pub mod wire;

// State (pure): what decisions read, and the numbers that requests change.
pub mod snapshot;

// Facts (pure): what can happen.
pub mod event;

// Nouns (pure): the validated vocabulary that everything speaks.
pub mod model;

// Ground: time and how people write it, ports, files that are watched, secrets in files, and HTTP as the small servers and the
// command line speak it.
pub mod clock;
pub mod files;
pub mod ports;
pub mod token;
pub mod units;
pub mod web;
