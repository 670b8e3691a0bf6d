//! The two messages of gRPC's health checking (`grpc/health/v1/health.proto`), as bytes on the wire:
//! one string there, one number back. That is too little for a compiler of protocols.

use bytes::{BufMut, Bytes, BytesMut};

/// Where backends are asked.
pub const PATH: &str = "/grpc.health.v1.Health/Check";
/// Longest name of a service.
pub const SERVICE_MAX: usize = 255;

/// Field 1, a string or a message.
const SERVICE: u8 = 0x0a;
/// Field 1, a number.
const STATUS: u64 = 0x08;
/// The status of a service that serves.
const SERVING: u64 = 1;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwell {
    /// The service says that it does not serve.
    NotServing,
    /// It is not one message as it should be.
    Garbage,
}

/// Returns the message, with its prefix, that asks for `service`; the empty name means the server as
/// a whole.
pub fn request(service: &str) -> Bytes {
    let service = &service.as_bytes()[..service.len().min(SERVICE_MAX)];
    let mut message = BytesMut::with_capacity(service.len() + 3);
    // The default is left out, as encoders do.
    if !service.is_empty() {
        message.put_u8(SERVICE);
        put_number(service.len() as u64, &mut message);
        message.put_slice(service);
    }
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(0));
    framed.put_slice(&message);
    framed.freeze()
}

/// Reads the answer, with its prefix.
pub fn read(body: &[u8]) -> Result<(), Unwell> {
    let garbage = Unwell::Garbage;
    let (prefix, mut message) = body.split_at_checked(5).ok_or(garbage)?;
    // Compressed it would be only if that had been offered.
    let [0, a, b, c, d] = *prefix else { return Err(garbage) };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(garbage);
    }
    let mut status = 0;
    while !message.is_empty() {
        let key = number(&mut message).ok_or(garbage)?;
        // Fields that are not known yet are passed over.
        match key & 7 {
            0 => {
                let value = number(&mut message).ok_or(garbage)?;
                if key == STATUS {
                    status = value;
                }
            }
            1 => skip(8, &mut message)?,
            2 => {
                let length = number(&mut message).ok_or(garbage)?;
                skip(length, &mut message)?;
            }
            5 => skip(4, &mut message)?,
            _ => return Err(garbage),
        }
    }
    if status == SERVING { Ok(()) } else { Err(Unwell::NotServing) }
}

fn skip(length: u64, message: &mut &[u8]) -> Result<(), Unwell> {
    let length = usize::try_from(length).map_err(|_| Unwell::Garbage)?;
    *message = message.get(length..).ok_or(Unwell::Garbage)?;
    Ok(())
}

/// Reads a number: seven bits a byte, the lowest first.
fn number(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_number(mut number: u64, out: &mut BytesMut) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return out.put_u8(low & 0x7f);
        }
        out.put_u8(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0][..], &length, message].concat()
    }

    #[test]
    fn the_question_is_a_string_in_field_one() {
        assert_eq!(request(""), framed(b""));
        assert_eq!(request("shop"), framed(b"\x0a\x04shop"));
        let long = "x".repeat(200);
        assert_eq!(request(&long), framed(&[b"\x0a\xc8\x01", long.as_bytes()].concat()));
    }

    #[test]
    fn the_answer_is_a_number_in_field_one() {
        assert_eq!(read(&framed(b"\x08\x01")), Ok(()));
        // Unknown, not serving, no such service.
        for status in [&b""[..], b"\x08\x00", b"\x08\x02", b"\x08\x03"] {
            assert_eq!(read(&framed(status)), Err(Unwell::NotServing));
        }
        // Fields of later versions, before and after.
        let later = b"\x12\x02ab\x08\x01\x1d\0\0\0\0\x21\0\0\0\0\0\0\0\0\x28\x80\x01";
        assert_eq!(read(&framed(later)), Ok(()));
    }

    #[test]
    fn anything_else_is_garbage() {
        let bad = [&b""[..], b"\0\0\0\0\x02\x08", b"\0\0\0\0\0\x08\x01", b"\x01\0\0\0\x02\x08\x01"];
        let messages = [&b"\x08"[..], b"\x0b", b"\x12\x09a", b"\x08\x80", b"\x1d\0"];
        let framed = messages.map(framed);
        for bytes in bad.into_iter().chain(framed.iter().map(Vec::as_slice)) {
            assert_eq!(read(bytes), Err(Unwell::Garbage), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(message: Vec<u8>, is_framed: bool) {
            _ = read(&if is_framed { framed(&message) } else { message });
        }

        #[test]
        fn the_questions_length_is_right(service in "[a-z.]{0,300}") {
            let asked = request(&service);
            prop_assert_eq!(asked.len() - 5, asked[4] as usize + ((asked[3] as usize) << 8));
        }
    }
}
