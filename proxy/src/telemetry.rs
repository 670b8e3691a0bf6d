//! Records: what operators see of the proxy from outside.

pub mod access_log;
pub mod log_file;
pub mod log_level;
pub mod log_stream;
pub mod logging;
pub mod metrics;
pub mod requests;
pub mod sinks;
pub mod traces;
