//! Claims that must hold of every input, whatever its bytes; each module is one target.
//!
//! libFuzzer looks for an input that breaks one (`fuzz/run`). `tests/corpora.rs` holds them against
//! the inputs that are kept, without libFuzzer.

pub mod config;
pub mod cookies;
pub mod forwarded;
pub mod grpc;
pub mod proxy_header;
pub mod request_body;
pub mod request_head;
pub mod response;
pub mod routing;
mod sample;
pub mod websocket;

/// Where an input is cut in two or more: everywhere if it is short, else at some places.
pub(crate) fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let step = length.div_ceil(64).max(1);
    (0..=length).step_by(step)
}

/// Takes the first byte off; 0 if there is none.
pub(crate) fn first(bytes: &[u8]) -> (u8, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest))
}
