//! WebSocket frames: where they end, however they come.

use bascule::wire::websocket::Follower;

use super::{cuts, first};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";

pub fn check(bytes: &[u8]) {
    let (kind, bytes) = first(bytes);
    if kind % 2 == 0 {
        let mut follower = Follower::of_requests();
        follower.take_in(REQUEST);
        assert!(follower.is_between_frames());
        follower.take_in(bytes);
        assert_eq!(follower.is_between_frames(), is_whole(bytes));
    }
    for cut in cuts(bytes.len()) {
        let mut ends = [false; 2];
        for (parts, end) in [&[bytes][..], &[&bytes[..cut], &bytes[cut..]]].iter().zip(&mut ends) {
            let mut follower =
                if kind % 2 == 0 { Follower::of_requests() } else { Follower::of_responses() };
            parts.iter().for_each(|part| follower.take_in(part));
            *end = follower.is_between_frames();
        }
        assert_eq!(ends[0], ends[1], "in two parts, the first of {cut}");
    }
}

/// Tells whether all frames are there to their end, as RFC 6455 §5.2 draws them.
fn is_whole(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some((&[_, second], mut rest)) = bytes.split_first_chunk() else { return false };
        let mut length = u64::from(second & 0x7f);
        let extended = match length {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if 0 < extended {
            let Some((number, behind)) = rest.split_at_checked(extended) else { return false };
            length = number.iter().fold(0, |sum, byte| sum * 256 + u64::from(*byte));
            rest = behind;
        }
        let mask = if 0x80 <= second { 4 } else { 0 };
        let Some(length) = length.checked_add(mask).and_then(|it| usize::try_from(it).ok()) else {
            return false;
        };
        let Some(behind) = rest.get(length..) else { return false };
        bytes = behind;
    }
    true
}
