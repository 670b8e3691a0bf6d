//! Requests as clients send them over HTTP/1.1: where one ends, and that it has one reading only.
//!
//! A request that two parsers read differently can hide another one. So before anybody acts on a
//! request, its head is held against the grammar of RFC 9112 with nothing forgiven, and every byte
//! that follows is known to belong to its body or not to. What readers are allowed to tolerate
//! (RFC 9112 §2.2: line feeds alone, white space in odd places, folded lines) is refused, because
//! backends differ in what they tolerate, too. Only empty lines before a request are skipped, which
//! old clients send behind a body.
//!
//! Nothing here reads or waits: a [`Scan`] is shown what has come so far and tells where the head
//! ends, [`inspect`] judges the head, and a [`Body`] takes what follows apart from the next request.

mod body;
mod head;
mod line;
mod refusal;
mod target;

pub use body::Body;
pub(crate) use head::empty_lines;
pub use head::{Head, Parts, Scan, inspect};
pub use refusal::Refusal;
#[cfg(test)]
use target::is_authority;

/// Bounds on the head of a request, and on its trailers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest head, in bytes, line ends included.
    pub head: usize,
    /// Most header lines.
    pub headers: usize,
    /// Longest target, in bytes.
    pub target: usize,
}

#[cfg(test)]
mod tests;
