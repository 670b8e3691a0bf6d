//! A backend that serves data, fails on command, and proves what it executed.
//!
//! The same program plays three parts: a backend of the demo, a backend of the containers, and
//! (through [`spawn`]) the backends that the proxy's own tests start inside their process. Faults
//! act on real sockets: a refused connection is refused by the kernel, a reset is a TCP reset.
//!
//! The module [`load`] is the other side: constant load that keeps the fate of every request.

mod answers;
mod backend;
mod blob;
mod body;
mod clock;
mod connection;
mod control;
mod data;
mod door;
mod echo;
mod ended;
mod faults;
mod front;
mod health;
mod idle;
mod ledger;
pub mod load;
mod problem;
mod router;
mod running;
mod server;
mod truncate;
mod wire;

pub use blob::pattern::{byte_at, fill};
pub use ended::Ended;
pub use faults::{Fault, FaultKind, InvalidFault, Percent, Scope};
pub use health::{HealthError, check_health};
pub use ledger::Executed;
pub use running::{Config, Running, SpawnError, spawn};
