//! What is recorded of single requests, for whoever writes it down: the access log, and traces.

pub mod attempts;
pub(crate) mod queue;
pub mod record;
pub(crate) mod redact;
pub mod trail;
