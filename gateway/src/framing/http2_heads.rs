//! Where a head is in the bytes of an HTTP/2 connection, so that its time limit can be applied.
//!
//! Only the headers of frames are read (RFC 9113 §4.1). The HTTP library judges everything else.

/// The length of the header of a frame.
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the frames of one direction of a connection, after the preface.
#[derive(Debug, Default)]
pub(crate) struct Http2Heads {
    header: [u8; FRAME_HEADER],
    /// The bytes of the next frame's header that have arrived.
    have: usize,
    /// The bytes of the current frame that have not arrived.
    left: usize,
    /// The current frame is a part of a head.
    in_part: bool,
    /// The last part of the current head was not the last one.
    more: bool,
}

impl Http2Heads {
    /// Whether a head, or the header of a frame, has begun and not ended.
    pub(crate) fn in_head(&self) -> bool {
        self.more || self.in_part && self.left > 0 || self.have > 0
    }

    /// Takes the next bytes of the connection, cut anywhere.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (FRAME_HEADER - self.have).min(bytes.len());
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == FRAME_HEADER {
                let [high, middle, low, kind, flags, ..] = self.header;
                self.have = 0;
                self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.in_part = matches!(kind, HEADERS | CONTINUATION);
                if self.in_part {
                    self.more = flags & END_HEADERS == 0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut frame = (length as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(FRAME_HEADER + length, 0xff);
        frame
    }

    #[test]
    fn a_head_lasts_from_its_first_frame_to_the_end_of_its_last() {
        let frames = [
            frame(4, 0, 6),
            frame(HEADERS, 0, 30),
            frame(CONTINUATION, END_HEADERS, 2),
            frame(0, 1, 9),
        ];
        let expected_after = [false, true, false, false];
        for cut in [1, 2, 7, 1000] {
            let mut heads = Http2Heads::default();
            for (frame, expected) in frames.iter().zip(expected_after) {
                for piece in frame.chunks(cut) {
                    heads.feed(piece);
                }
                assert_eq!(heads.in_head(), expected, "{cut}");
            }
            heads.feed(&frame(HEADERS, END_HEADERS, 5)[..FRAME_HEADER + 4]);
            assert!(heads.in_head(), "its last byte is missing");
            heads.feed(&[0, 0]);
            assert!(heads.in_head(), "the header of the next frame has begun");
        }
        let mut heads = Http2Heads::default();
        heads.feed(&frame(0, 0, 100)[..50]);
        assert!(!heads.in_head(), "a body may be slow");
    }
}
