//! The bytes of a blob: a fixed pseudo-random sequence that can be entered at any offset.
//!
//! Words of eight bytes are the finaliser of SplitMix64 applied to their index, so a byte that is
//! missing, repeated or out of place shows at once, and nothing compresses the body on its way.

const WORD_BYTES: u64 = 8;

/// The byte of every blob at `offset`.
pub fn byte_at(offset: u64) -> u8 {
    word(offset / WORD_BYTES)[(offset % WORD_BYTES) as usize]
}

/// Fills `bytes` with what blobs hold from `offset` on.
pub fn fill(offset: u64, bytes: &mut [u8]) {
    let head = ((WORD_BYTES - offset % WORD_BYTES) % WORD_BYTES) as usize;
    let (head, rest) = bytes.split_at_mut(head.min(bytes.len()));
    let first_word = (offset + head.len() as u64) / WORD_BYTES;
    for (byte, offset) in head.iter_mut().zip(offset..) {
        *byte = byte_at(offset);
    }
    for (bytes, index) in rest.chunks_mut(WORD_BYTES as usize).zip(first_word..) {
        bytes.copy_from_slice(&word(index)[..bytes.len()]);
    }
}

fn word(index: u64) -> [u8; 8] {
    let mut mixed = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filling_agrees_with_the_byte_at_each_offset() {
        for offset in 0..20 {
            for length in 0..40 {
                let mut bytes = vec![0; length];
                fill(offset, &mut bytes);
                let expected: Vec<u8> = (offset..).take(length).map(byte_at).collect();
                assert_eq!(bytes, expected, "offset {offset}, length {length}");
            }
        }
    }

    #[test]
    fn the_pattern_is_what_it_always_was() {
        // SplitMix64 from seed 0 begins with e220a8397b1dcdaf.
        let first: Vec<u8> = (0..8).map(byte_at).collect();
        assert_eq!(first, 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
    }
}
