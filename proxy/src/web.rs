//! HTTP/1.1 as the sidecar, the dashboard and the command line speak it.

mod client;
mod error;
mod server;

pub use client::{
    Duplex, HttpClient, HttpClientError, Trust, TrustError, reachable, secure, under,
};
pub use error::{HttpError, Rejected};
pub use server::{PeerCertificate, closed, serve};
