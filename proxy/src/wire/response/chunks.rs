//! The chunked coding (RFC 9112 §7.1), undone.

use bytes::{Buf, Bytes, BytesMut};

use crate::wire::{
    Header,
    request::is_trailer,
    response::{Garbage, head::parse_trailers},
};

/// Longest line of a chunk's size with its extensions: Pingora's bound.
const SIZE_LINE_MAX: usize = 8 << 10;
/// Most digits of a chunk's size: more do not fit 64 bits, and leading zeros have no use.
const DIGITS_MAX: u8 = 16;
/// Longest trailer section: Pingora's bound.
const TRAILERS_MAX: usize = 64 << 10;

/// A chunked body, as far as it has been read.
#[derive(Debug)]
pub(crate) struct Chunks {
    stage: Stage,
}

/// What a chunked body consists of.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Never empty.
    Data(Bytes),
    /// At least one; the body has ended with them.
    Trailers(Vec<Header>),
    /// The end, without trailers.
    End,
}

#[derive(Debug)]
enum Stage {
    /// Within the line that tells a chunk's size.
    Size(SizeLine),
    /// So many bytes of the chunk are still to come; not 0.
    Data(u64),
    /// Behind a chunk: a line end must follow.
    DataEnd,
    /// Behind the last chunk; in the first `scanned` bytes of the buffer no trailer section ends.
    Trailers { scanned: usize },
}

/// The line that tells a chunk's size, byte by byte: the buffer keeps none of it.
#[derive(Debug, Default)]
pub(crate) struct SizeLine {
    size: u64,
    digits: u8,
    length: usize,
    part: Part,
}

#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Digits,
    /// Spaces between size and extension: "bad" white space, which a recipient removes.
    Space,
    Extension,
    /// The carriage return has come: the line feed must follow.
    End,
}

impl Default for Chunks {
    fn default() -> Chunks {
        Chunks { stage: Stage::Size(SizeLine::default()) }
    }
}

impl Chunks {
    /// Takes the next piece off the front of the buffer; `None` when more bytes are needed.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, Garbage> {
        loop {
            match &mut self.stage {
                Stage::Size(line) => {
                    let Some(size) = line.read(buffer)? else { return Ok(None) };
                    self.stage =
                        if size == 0 { Stage::Trailers { scanned: 0 } } else { Stage::Data(size) };
                }
                Stage::Data(_) if buffer.is_empty() => return Ok(None),
                Stage::Data(rest) => {
                    let length =
                        usize::try_from(*rest).map_or(buffer.len(), |it| it.min(buffer.len()));
                    *rest -= length as u64;
                    if *rest == 0 {
                        self.stage = Stage::DataEnd;
                    }
                    return Ok(Some(Piece::Data(buffer.split_to(length).freeze())));
                }
                Stage::DataEnd => {
                    if !takes_line_end(buffer)? {
                        return Ok(None);
                    }
                    self.stage = Stage::Size(SizeLine::default());
                }
                Stage::Trailers { scanned } => return read_trailers(scanned, buffer),
            }
        }
    }
}

impl SizeLine {
    /// Returns the size once the line is complete.
    fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<u64>, Garbage> {
        while let Some(&byte) = buffer.first() {
            buffer.advance(1);
            if let Some(size) = self.push(byte)? {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }

    /// Takes the next byte of the line. Returns the size once the line is complete.
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<u64>, Garbage> {
        self.length += 1;
        if SIZE_LINE_MAX < self.length {
            return Err(Garbage::Chunk);
        }
        self.part = match (self.part, byte) {
            (Part::End, b'\n') => return Ok(Some(self.size)),
            (Part::End, _) => return Err(Garbage::Chunk),
            (Part::Digits, byte) if byte.is_ascii_hexdigit() => {
                self.add_digit(byte)?;
                Part::Digits
            }
            (Part::Digits, _) if self.digits == 0 => return Err(Garbage::Chunk),
            (Part::Digits | Part::Space | Part::Extension, b'\r') => Part::End,
            (Part::Digits | Part::Space, b' ' | b'\t') => Part::Space,
            (Part::Digits | Part::Space, b';') => Part::Extension,
            (Part::Extension, b'\t' | b' '..=b'~' | 0x80..) => Part::Extension,
            (Part::Digits | Part::Space | Part::Extension, _) => return Err(Garbage::Chunk),
        };
        Ok(None)
    }

    fn add_digit(&mut self, byte: u8) -> Result<(), Garbage> {
        let digit = char::from(byte).to_digit(16).ok_or(Garbage::Chunk)?;
        self.digits += 1;
        if DIGITS_MAX < self.digits {
            return Err(Garbage::Chunk);
        }
        self.size = (self.size << 4) | u64::from(digit);
        Ok(())
    }
}

/// Takes a line end off the front; `false` when it has not wholly come.
fn takes_line_end(buffer: &mut BytesMut) -> Result<bool, Garbage> {
    match buffer.as_ref() {
        [] | [b'\r'] => Ok(false),
        [b'\r', b'\n', ..] => {
            buffer.advance(2);
            Ok(true)
        }
        _ => Err(Garbage::Chunk),
    }
}

/// Reads what follows the last chunk. Trailers that may not be passed on are left out.
fn read_trailers(scanned: &mut usize, buffer: &mut BytesMut) -> Result<Option<Piece>, Garbage> {
    if buffer.starts_with(b"\r\n") {
        buffer.advance(2);
        return Ok(Some(Piece::End));
    }
    let section = &buffer[..buffer.len().min(TRAILERS_MAX)];
    let Some(length) = length_of_section(section, *scanned)? else {
        if TRAILERS_MAX <= buffer.len() {
            return Err(Garbage::Trailers);
        }
        *scanned = buffer.len();
        return Ok(None);
    };
    let mut trailers = parse_trailers(buffer, length).ok_or(Garbage::Trailers)?;
    trailers.retain(|it| is_trailer(&it.name));
    Ok(Some(if trailers.is_empty() { Piece::End } else { Piece::Trailers(trailers) }))
}

/// Returns how long the trailer section is, up to and including its empty line; it does not end in
/// the first `scanned` bytes. Every line must end with carriage return and line feed.
fn length_of_section(section: &[u8], scanned: usize) -> Result<Option<usize>, Garbage> {
    for at in (scanned..section.len()).filter(|at| section[*at] == b'\n') {
        let line = &section[..at];
        if !line.ends_with(b"\r") {
            return Err(Garbage::Trailers);
        }
        if line.ends_with(b"\r\n\r") {
            return Ok(Some(at + 1));
        }
    }
    Ok(None)
}
