//! The body of a request: which of the bytes that come belong to it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderValue;

use crate::wire::{
    Header,
    incoming::{Limits, Refusal},
    is_token,
    request::{BodyFraming, is_trailer},
    response::chunks::SizeLine,
};

/// A body, as far as it has come: its content is told from what frames it and from what follows, and
/// chunks are held against their grammar (RFC 9112 §7.1).
#[derive(Debug)]
pub struct Body {
    stage: Stage,
    /// The trailer section, line ends included, as far as it has come.
    section: BytesMut,
    /// How many bytes of trailers may still come, and how many of them may begin.
    room: usize,
    lines: usize,
}

#[derive(Debug)]
enum Stage {
    /// So many bytes are still to come; not 0.
    Counted(u64),
    /// Within the line that tells a chunk's size.
    Size(SizeLine),
    /// So many bytes of a chunk are still to come; not 0.
    Data(u64),
    /// Behind a chunk: a line end must follow, of which the carriage return may have come.
    DataEnd { has_return: bool },
    /// Behind the last chunk.
    Trailers(Part),
    /// All of it has come.
    Over,
}

/// Where in a trailer section a byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    LineStart,
    Name,
    Value,
    /// The carriage return of a line has come; of the last one if it is empty.
    LineEnd {
        is_empty: bool,
    },
}

impl Body {
    /// Makes ready for a body framed in this way. Its trailers may be as long and as many as the headers
    /// of a head.
    pub fn new(framing: BodyFraming, limits: &Limits) -> Self {
        let stage = match framing {
            BodyFraming::None | BodyFraming::Length(0) => Stage::Over,
            BodyFraming::Length(length) => Stage::Counted(length),
            BodyFraming::Chunked => Stage::Size(SizeLine::default()),
        };
        Self { stage, section: BytesMut::new(), room: limits.head, lines: limits.headers }
    }

    /// Tells whether all of the body has come.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Returns how many bytes are certain to come as they are, without anything to check in them.
    pub fn plain(&self) -> u64 {
        match self.stage {
            Stage::Counted(rest) | Stage::Data(rest) => rest,
            Stage::Size(_) | Stage::DataEnd { .. } | Stage::Trailers(_) | Stage::Over => 0,
        }
    }

    /// Takes the trailers that may be passed on, once all has come; `None` without any. Those that
    /// frame or route a message, or belong to a connection, are left out (RFC 9110 §6.5.1).
    pub fn take_trailers(&mut self) -> Option<Vec<Header>> {
        if !self.is_over() || self.section.is_empty() {
            return None;
        }
        let section = std::mem::take(&mut self.section).freeze();
        let trailers: Vec<Header> =
            section.split(|byte| *byte == b'\n').filter_map(field).collect();
        (!trailers.is_empty()).then_some(trailers)
    }

    /// Takes the next piece of content off what has come, without what frames it; and what frames it
    /// before and behind. `None` if there is none in it.
    ///
    /// # Errors
    /// When a chunk or a trailer is malformed, or the trailers are too long or too many.
    pub fn take_content(&mut self, bytes: &mut BytesMut) -> Result<Option<Bytes>, Refusal> {
        self.take_framing(bytes)?;
        let length = self.count(bytes.len());
        if length == 0 {
            return Ok(None);
        }
        let content = bytes.split_to(length).freeze();
        self.take_framing(bytes)?;
        Ok(Some(content))
    }

    fn take_framing(&mut self, bytes: &mut BytesMut) -> Result<(), Refusal> {
        let mut length = 0;
        while length < bytes.len() && self.plain() == 0 && !self.is_over() {
            self.push(bytes[length])?;
            length += 1;
        }
        bytes.advance(length);
        Ok(())
    }

    /// Takes content off what is still to come: as much as has come. 0 where something else comes next.
    fn count(&mut self, come: usize) -> usize {
        let (length, next) = match &mut self.stage {
            Stage::Counted(left) => (portion(left, come), (*left == 0).then_some(Stage::Over)),
            Stage::Data(left) => {
                let length = portion(left, come);
                (length, (*left == 0).then_some(Stage::DataEnd { has_return: false }))
            }
            Stage::Size(_) | Stage::DataEnd { .. } | Stage::Trailers(_) | Stage::Over => return 0,
        };
        if let Some(next) = next {
            self.stage = next;
        }
        length
    }

    /// Takes a byte of what frames the chunks.
    fn push(&mut self, byte: u8) -> Result<(), Refusal> {
        let next = match &mut self.stage {
            Stage::Size(line) => match line.push(byte).map_err(|_| Refusal::Chunk)? {
                None => return Ok(()),
                Some(0) => Stage::Trailers(Part::LineStart),
                Some(size) => Stage::Data(size),
            },
            Stage::DataEnd { has_return } => match (*has_return, byte) {
                (false, b'\r') => Stage::DataEnd { has_return: true },
                (true, b'\n') => Stage::Size(SizeLine::default()),
                (false | true, _) => return Err(Refusal::Chunk),
            },
            Stage::Trailers(part) => {
                let next = part.next(byte)?;
                if *part == Part::LineStart && next == Some(Part::Name) {
                    self.lines = self.lines.checked_sub(1).ok_or(Refusal::HeadTooLarge)?;
                }
                self.room = self.room.checked_sub(1).ok_or(Refusal::HeadTooLarge)?;
                // The line end of the empty line says nothing.
                if !matches!(next, None | Some(Part::LineEnd { is_empty: true })) {
                    self.section.put_u8(byte);
                }
                next.map_or(Stage::Over, Stage::Trailers)
            }
            Stage::Counted(_) | Stage::Data(_) | Stage::Over => return Ok(()),
        };
        self.stage = next;
        Ok(())
    }
}

impl Part {
    /// Returns where the byte after this one stands; `None` behind the empty line.
    fn next(self, byte: u8) -> Result<Option<Self>, Refusal> {
        let next = match (self, byte) {
            (Self::LineStart, b'\r') => Self::LineEnd { is_empty: true },
            (Self::Value, b'\r') => Self::LineEnd { is_empty: false },
            (Self::LineStart | Self::Name, byte) if is_token(byte) => Self::Name,
            (Self::Name, b':') => Self::Value,
            (Self::Value, b'\t' | b' '..=b'~' | 0x80..) => Self::Value,
            (Self::LineEnd { is_empty: true }, b'\n') => return Ok(None),
            (Self::LineEnd { is_empty: false }, b'\n') => Self::LineStart,
            (Self::LineStart | Self::Name | Self::Value | Self::LineEnd { .. }, _) => {
                return Err(Refusal::Chunk);
            }
        };
        Ok(Some(next))
    }
}

/// Reads a line of the trailer section, which has been checked; `None` for one that stays here.
fn field(line: &[u8]) -> Option<Header> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !is_trailer(name) {
        return None;
    }
    let value = HeaderValue::from_bytes(value).ok()?;
    Some(Header { name: Bytes::copy_from_slice(name), value })
}

/// Takes off as much of what is left as has come.
fn portion(left: &mut u64, come: usize) -> usize {
    let length = usize::try_from(*left).map_or(come, |it| it.min(come));
    *left -= length as u64;
    length
}
