//! The backend over real sockets: every path, every fault, every end.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is wrong")]
#![expect(clippy::panic, reason = "a test may stop at the first thing that is wrong")]
#![expect(clippy::disallowed_methods, reason = "a test measures with its own clock")]

mod answers;
mod blob;
mod client;
mod faults;
mod lifecycle;
mod load;
mod program;
mod refuse;
mod requests;
mod websocket;
