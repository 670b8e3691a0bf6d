//! Records: what operators see of the proxy from outside.

pub mod log_stream;
pub mod logging;
pub mod metrics;
