//! HTTP/1.1 as the sidecar, the dashboard and the command line speak it.

mod client;
mod error;
mod server;

pub use client::{HttpClient, HttpClientError, ask_admin, reachable, under};
pub use error::{HttpError, Rejected};
pub use server::{closed, serve};
