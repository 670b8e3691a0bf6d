//! The data plane over real sockets: the program itself, between clients that miss nothing and
//! backends that fail on command and prove what they executed.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is wrong")]
#![expect(clippy::panic, reason = "a test may stop at the first thing that is wrong")]
#![expect(clippy::disallowed_methods, reason = "a test measures with its own clock")]
#![expect(clippy::print_stderr, reason = "a test that fails shows the log of its proxy")]

mod access_log;
mod affinity;
mod answers;
mod bodies;
mod broken;
mod budgets;
mod certificates;
mod checks;
mod client;
mod commands;
mod connections;
mod crash;
mod departures;
mod edge;
mod faults;
mod framing;
mod grpc;
mod headers;
mod history;
mod hold_back;
mod http2;
mod http2_abuse;
mod incidents;
mod life;
mod limits;
mod load;
mod once;
mod orders;
mod outage;
mod overstays;
mod ports;
mod proxy;
mod rates;
mod reload;
mod rescue;
mod retries;
mod returns;
mod routing;
mod service;
mod setup;
mod sharing;
mod sockets;
mod streams;
mod stub;
mod suspicion;
mod terms;
mod tiers;
mod tls;
mod tls_backends;
mod traces;
mod unkept;
mod upgrade;
mod uploads;
mod websocket;
