//! Conformance: what the proxy makes of every byte that RFC 9110, 9112, 9113, 6455 and 7239 speak
//! of, and of those that they forbid.
//!
//! Both sides of the proxy are raw sockets. A case is a dialogue: what the client sends, what the
//! backend must have got, what that says, what the client must have got, and whether the client's
//! connection stays. Cases are data, in `cases/`, named after the section they come from;
//! `script.rs` has their language. Each group has a proxy of its own and runs its cases one after
//! the other; a case that fails stops none of the others.
//!
//! `BASCULE_CASES=words` runs only the cases in whose name or group one of the words occurs.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is wrong")]
#![expect(clippy::panic, reason = "a test may stop at the first thing that is wrong")]
#![expect(clippy::print_stderr, reason = "the report is for whoever runs the tests")]

#[path = "../proxying/client.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests; each needs a part")]
mod client;
#[path = "../proxying/proxy.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests; each needs a part")]
mod proxy;
#[path = "../proxying/setup.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests; each needs a part")]
mod setup;

mod dialogue;
mod groups;
mod http2;
mod http2_client;
mod known;
mod message;
mod mutation;
mod notices;
mod report;
mod script;
mod stage;
mod wording;

/// Every case of every group; failures come at the end, all of them, with a count.
#[test]
fn every_case_holds() {
    report::conclude(groups::run_all());
}

/// Nobody on the backends' side sees a request that no client sent, whatever clients send.
#[test]
fn mutated_requests_smuggle_nothing() {
    mutation::run();
}
