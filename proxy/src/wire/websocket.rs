//! WebSocket frames (RFC 6455 §5.2), as far as one must know where they end: only between two frames
//! can a third be put.

/// That the sender goes away (§7.4.1: 1001), as a server says it.
pub const GOING_AWAY: &[u8] = &[0x88, 0x02, 0x03, 0xe9];
/// The same as a client says it: masked, with zeros.
pub const GOING_AWAY_MASKED: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

/// A status line up to the status.
const STATUS_LINE: usize = 12;

/// Follows one direction of a connection that is upgraded to WebSocket, from its head on.
#[derive(Debug)]
pub struct Follower {
    is_response: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In a head: its first bytes, and how much of its end has come.
    Head { beginning: Vec<u8>, ended: usize },
    /// In the header of a frame: what has come of it.
    Header { bytes: [u8; 14], have: usize },
    /// In what a frame carries; so many bytes are left.
    Payload(u64),
    /// Whatever follows is no WebSocket.
    Other,
}

impl Follower {
    /// Follows what the client says.
    pub fn of_requests() -> Self {
        Self { is_response: false, state: State::head() }
    }

    /// Follows what the backend says.
    pub fn of_responses() -> Self {
        Self { is_response: true, state: State::head() }
    }

    /// Tells whether the next byte begins a frame.
    pub fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Header { have: 0, .. })
    }

    /// Takes in what comes next.
    pub fn take_in(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match &mut self.state {
                State::Head { beginning, ended } => {
                    if beginning.len() < STATUS_LINE {
                        beginning.push(byte);
                    }
                    *ended = match (*ended, byte) {
                        (at, b'\n') if at % 2 == 1 => at + 1,
                        (at, b'\r') if at % 2 == 0 => at + 1,
                        (_, b'\r') => 1,
                        _ => 0,
                    };
                    bytes = rest;
                    if *ended == 4 {
                        self.state = after_head(self.is_response, beginning);
                    }
                }
                State::Header { bytes: header, have } => {
                    header[*have] = byte;
                    *have += 1;
                    bytes = rest;
                    if let Some(length) = payload(&header[..*have]) {
                        self.state =
                            if length == 0 { State::between() } else { State::Payload(length) };
                    }
                }
                State::Payload(left) => {
                    let taken = (bytes.len() as u64).min(*left);
                    *left -= taken;
                    // No more than the length of a slice.
                    bytes = usize::try_from(taken).map_or(&[], |taken| &bytes[taken..]);
                    if *left == 0 {
                        self.state = State::between();
                    }
                }
                State::Other => return,
            }
        }
    }
}

impl State {
    fn head() -> Self {
        Self::Head { beginning: Vec::with_capacity(STATUS_LINE), ended: 0 }
    }

    fn between() -> Self {
        Self::Header { bytes: [0; 14], have: 0 }
    }
}

fn after_head(is_response: bool, beginning: &[u8]) -> State {
    match beginning.get(9..STATUS_LINE) {
        _ if !is_response => State::between(),
        Some(b"101") => State::between(),
        // An interim response; the final one follows.
        Some([b'1', ..]) => State::head(),
        Some(_) | None => State::Other,
    }
}

/// Returns how much a frame carries whose header is all there; `None` while it is not.
fn payload(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (length, extended) = match second & 0x7f {
        126 => {
            let bytes = header.get(2..4)?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), 2)
        }
        127 => {
            let bytes = header.get(2..10)?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), 8)
        }
        short => (u64::from(short), 0),
    };
    (2 + extended + mask <= header.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame that carries so many bytes.
    fn frame(length: usize, is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            ..126 => frame.push(mask | u8::try_from(length).unwrap()),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0x88; if is_masked { 4 } else { 0 } + length]);
        frame
    }

    #[test]
    fn only_an_upgraded_connection_has_frames() {
        let after = |head: &str| {
            let mut follower = Follower::of_responses();
            follower.take_in(head.as_bytes());
            follower.is_between_frames()
        };
        assert!(after("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"));
        assert!(after("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 X\r\na: b\r\n\r\n"));
        assert!(!after("HTTP/1.1 101 X\r\na: b\r\n"));
        assert!(!after("HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!after("HTTP/1.1 103 Early Hints\r\n\r\n"));
    }

    proptest! {
        #[test]
        fn frames_end_where_they_end(
            lengths in prop::collection::vec(
                prop_oneof![0_usize..130, 65_530_usize..65_540], 1..5,
            ),
            is_masked: bool,
            pieces in prop::collection::vec(1_usize..5000, 1..50),
        ) {
            let head = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec();
            let mut ends = std::collections::BTreeSet::from([head.len()]);
            let mut all = head;
            for length in lengths {
                all.extend(frame(length, is_masked));
                ends.insert(all.len());
            }
            let mut follower = Follower::of_requests();
            let (mut at, mut pieces) = (0, pieces.into_iter().cycle());
            while at < all.len() {
                let to = (at + pieces.next().unwrap()).min(all.len());
                follower.take_in(&all[at..to]);
                at = to;
                prop_assert_eq!(follower.is_between_frames(), ends.contains(&at), "{}", at);
            }
        }
    }
}
