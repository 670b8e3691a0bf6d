//! Constant load that keeps the fate of every request.
//!
//! Requests leave on schedule whether or not earlier ones were answered (an open loop). A closed
//! loop, where each client waits for its answer, sends less exactly while the other side is in
//! trouble, and so counts few failures and short waits where users would have met many.

mod fate;
mod histogram;
mod plan;
mod records;
mod report;
mod run;

pub(crate) use fate::root_cause;
pub use fate::{FailureKind, Fate, Record};
pub use plan::{LoadError, LoadPlan};
pub use report::{Report, Summary};
pub use run::{LoadRun, Progress, start};
