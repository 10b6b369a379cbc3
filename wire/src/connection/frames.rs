//! A scanner of the frames that an HTTP/2 peer sends: it records what the peer announces.

use crate::connection::state::{ConnectionState, PING_PAYLOAD};

const FRAME_HEAD: usize = 9;
/// The place of the type in the head of a frame, and a type that no specification defines.
const KIND: usize = 3;
const UNKNOWN: u8 = 0xFB;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
/// The length of the payload of WINDOW_UPDATE.
const INCREMENT: usize = 4;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const MAX_HEADER_LIST_SIZE: u16 = 6;
/// The length of one setting: its number and its value.
const SETTING: usize = 6;

/// The position in the stream of frames.
#[derive(Debug, Default)]
pub(crate) struct FrameScanner {
    /// The head of the present frame, as far as it has arrived.
    head: [u8; FRAME_HEAD],
    have: usize,
    /// The bytes of the frame's payload that are still to come.
    left: usize,
    /// The last bytes of a payload that is read: one setting, or the payload of a PING.
    piece: [u8; 8],
    filled: usize,
}

impl FrameScanner {
    /// Reads on. `bytes` are the next bytes from the peer. The answers to our PING frames get a type
    /// that h2 ignores, because h2 did not send the PING and would log a warning.
    pub(crate) fn scan(&mut self, bytes: &mut [u8], state: &ConnectionState) {
        let mut at = 0;
        while at < bytes.len() {
            if self.left > 0 {
                let now = self.left.min(bytes.len() - at);
                self.left -= now;
                self.payload(&bytes[at..at + now], state);
                at += now;
                continue;
            }
            let now = (FRAME_HEAD - self.have).min(bytes.len() - at);
            self.head[self.have..self.have + now].copy_from_slice(&bytes[at..at + now]);
            (self.have, at) = (self.have + now, at + now);
            if self.have < FRAME_HEAD {
                return;
            }
            self.begin(state);
            if (self.head[3], self.head[4] & ACK) == (PING, ACK)
                && let Some(kind) = (at + KIND).checked_sub(FRAME_HEAD)
            {
                bytes[kind] = UNKNOWN;
            }
        }
    }

    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.head;
        u32::from_be_bytes([a & 0x7F, b, c, d])
    }

    fn begin(&mut self, state: &ConnectionState) {
        let [high, middle, low, kind, ..] = self.head;
        self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        (self.have, self.filled) = (0, 0);
        if kind == HEADERS {
            state.count_heads();
        }
        match kind {
            // The windows of a stream that has ended do not matter any more.
            DATA | HEADERS if self.head[4] & END_STREAM != 0 => {
                state.windows().close(self.stream());
            }
            DATA if self.left > 0 && self.head[4] & PADDED == 0 => {
                state.windows().arrive(self.stream(), self.left, 0);
            }
            RESET => state.windows().close(self.stream()),
            GOAWAY => state.set_going_away(),
            _ => {}
        }
    }

    fn payload(&mut self, bytes: &[u8], state: &ConnectionState) {
        let acknowledges = self.head[4] & ACK != 0;
        let size = match self.head[3] {
            SETTINGS if !acknowledges => SETTING,
            PING if acknowledges => PING_PAYLOAD.len(),
            // The first byte of the payload is the length of the padding.
            DATA if self.head[4] & (PADDED | END_STREAM) == PADDED && self.filled == 0 => {
                self.filled = 1;
                let padding = usize::from(bytes[0]) + 1;
                let length = self.left + bytes.len();
                state.windows().arrive(self.stream(), length, padding);
                return;
            }
            WINDOW_UPDATE if self.head[5..] == [0; 4] => INCREMENT,
            _ => return,
        };
        for byte in bytes {
            self.piece[self.filled] = *byte;
            self.filled += 1;
            if self.filled < size {
                continue;
            }
            self.filled = 0;
            let [a, b, c, d, e, f, ..] = self.piece;
            let value = u32::from_be_bytes([c, d, e, f]);
            match (self.head[3], u16::from_be_bytes([a, b])) {
                (SETTINGS, MAX_CONCURRENT_STREAMS) => state.set_max_streams(value),
                (SETTINGS, MAX_HEADER_LIST_SIZE) => state.set_max_head(value),
                (WINDOW_UPDATE, _) => {
                    state.extend_window(u32::from_be_bytes([a & 0x7F, b, c, d]));
                }
                (PING, _) if self.piece == PING_PAYLOAD => state.ping_answered(),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = &(payload.len() as u32).to_be_bytes()[1..];
        [length, &[kind, flags, 0, 0, 0, 0], payload].concat()
    }

    #[test]
    fn h2_sees_no_answer_to_a_ping_that_it_did_not_send() {
        let state = ConnectionState::new(Arc::default());
        let (ping, answer) = (frame(PING, 0, b"their ow"), frame(PING, ACK, &PING_PAYLOAD));
        let mut bytes = [&ping[..], &answer, &ping].concat();
        FrameScanner::default().scan(&mut bytes, &state);
        assert_eq!(bytes, [&ping[..], &frame(UNKNOWN, ACK, &PING_PAYLOAD), &ping].concat());
    }

    #[test]
    fn settings_pings_and_goaway_are_read_in_pieces_of_any_size() {
        let settings = [0, 4, 0, 1, 0, 0, 0, 3, 0, 0, 0, 7, 0, 6, 0, 0, 1, 0];
        let before = [
            frame(SETTINGS, 0, &settings),
            frame(SETTINGS, ACK, b""),
            frame(0, 1, &[SETTINGS; 300]),
            frame(PING, 0, &PING_PAYLOAD),
            frame(PING, ACK, b"another!"),
            frame(WINDOW_UPDATE, 0, &[0, 0, 1, 0]),
        ]
        .concat();
        for size in 1..=before.len() {
            let state = ConnectionState::new(Arc::default());
            let mut scanner = FrameScanner::default();
            let mut scan = |bytes: &[u8]| {
                bytes.to_vec().chunks_mut(size).for_each(|bytes| scanner.scan(bytes, &state));
            };
            state.doubt();
            state.use_window(65_535 + 256 - 16_383);
            scan(&before);
            assert_eq!((state.max_streams(), state.max_head()), (7, 256), "{size}");
            assert!(state.is_doubtful() && !state.is_going_away(), "{size}");
            scan(&frame(PING, ACK, &PING_PAYLOAD));
            assert!(!state.is_doubtful() && state.take_slot().is_none(), "{size}");
            scan(&frame(WINDOW_UPDATE, 0, &[0, 0, 0, 1]));
            assert!(state.take_slot().is_some(), "{size}");
            scan(&frame(GOAWAY, 0, &[0; 8]));
            assert!(state.is_going_away(), "{size}");
        }
    }
}
