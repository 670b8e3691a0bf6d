//! The wire: HTTP/1.1 towards backends, as bytes and nothing else.
//!
//! A proxy stands between two parsers. Whenever its reading of a message differs from its
//! neighbour's, somebody can hide one message inside another (request smuggling, response
//! splitting). So what goes out is written anew from its parts, with exactly one `Host` and exactly
//! one framing; what comes in is framed by RFC 9112 §6.3 and refused where that leaves two
//! readings. Nothing here reads, writes or waits: bytes come in a buffer and leave as events, so
//! every rule can be tried on every split of its input.
//!
//! Pingora's own client is the measure; `response/parity.rs` feeds both the same bytes. Where
//! this codec differs, it is stricter:
//!
//! | Response | Pingora | here |
//! |---|---|---|
//! | both `Transfer-Encoding` and `Content-Length` | the length is dropped | so it is, and the connection is not used again |
//! | `Transfer-Encoding` other than exactly `chunked` | framed by its last coding | garbage: the coding beneath could not be told to the client |
//! | `Transfer-Encoding` in HTTP/1.0 | chunks, then closed | garbage (RFC 9112 §6.1: "faulty framing") |
//! | 101 that nobody asked for | a final response | garbage |
//! | `Connection` in several lines | the first counts | each `close` counts |
//! | space between chunk size and extension | spaces and tabs | so it is; other control bytes are garbage |
//! | line feeds in trailers without carriage return | garbage at the end alone | garbage anywhere |
//! | trailers | dropped | told, without those that would frame or route |
//! | `Content-Length` told several times alike | passed on as it is | told once |
//! | `Content-Length` of a 204 or an interim response | passed on | dropped (RFC 9110 §8.6) |

pub mod connection;
pub mod cookie;
pub mod fields;
pub mod forwarded;
pub mod grpc;
pub mod grpc_health;
pub mod incoming;
pub mod preamble;
pub mod proxy_header;
pub mod proxy_status;
pub mod request;
pub mod response;
pub mod trace_context;
pub mod websocket;

use http::{HeaderMap, HeaderName, HeaderValue};

/// A header as it stands on the wire: the name keeps its case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name, never empty, of token characters only.
    pub name: bytes::Bytes,
    /// The value, without white space around it and without folds.
    pub value: HeaderValue,
}

impl Header {
    /// Tells whether the header has this name; `name` must be in lower case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Returns headers as a map, for those who say them in HTTP/2.
pub(crate) fn map_of(headers: &[Header]) -> HeaderMap {
    // How many there are is somebody else's to say, and a map has a bound beyond which it panics.
    let mut map = HeaderMap::new();
    for it in headers {
        if let Ok(name) = HeaderName::from_bytes(&it.name)
            && map.try_append(name, it.value.clone()).is_err()
        {
            break;
        }
    }
    map
}

/// Tells whether a byte may stand in a token (RFC 9110 §5.6.2).
#[inline]
pub(crate) const fn is_token(byte: u8) -> bool {
    // Every byte of every name is asked about, so the answers are there.
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};
