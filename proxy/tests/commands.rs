//! The command line against a sidecar that is made up: what is sent, what is printed where, and by
//! which exit code it is answered.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "commands/changing.rs"]
mod changing;
#[path = "commands/failures.rs"]
mod failures;
#[path = "commands/fake.rs"]
mod fake;
#[path = "commands/following.rs"]
mod following;
#[path = "commands/itself.rs"]
mod itself;
#[path = "commands/reading.rs"]
mod reading;
