//! Where frames end: seen from outside, so that the parser is given whole ones, and a connection
//! that has said nothing needs no parser and no buffer.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

/// Follows a peer's frames. What they say is the parser's affair, and so is every fault.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    /// The last whole frame leaves its message unfinished.
    within_message: bool,
    /// Bytes of that message so far.
    unfinished: usize,
}

impl Boundary {
    /// How many of `bytes`, which begin with a frame, the parser shall have now: up to the end of
    /// the last whole frame, or all of them if it will refuse one. `longest`: a payload's bytes.
    pub(super) fn whole_frames(&mut self, bytes: &[u8], longest: usize) -> usize {
        let mut start = 0;
        loop {
            let mut cursor = Cursor::new(&bytes[start..]);
            let (header, length) = match FrameHeader::parse(&mut cursor) {
                Ok(Some(parsed)) => parsed,
                Ok(None) => return start,
                Err(_) => return bytes.len(),
            };
            let header_bytes = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
            let payload = usize::try_from(length).unwrap_or(usize::MAX);
            if payload > longest {
                return bytes.len();
            }
            let Some(end) =
                (start + header_bytes).checked_add(payload).filter(|end| *end <= bytes.len())
            else {
                return start;
            };
            if let OpCode::Data(_) = header.opcode {
                self.within_message = !header.is_final;
                self.unfinished = if header.is_final { 0 } else { self.unfinished + payload };
            }
            start = end;
        }
    }

    /// Bytes of a message of which more frames are to come, without their headers.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }

    pub(super) fn is_within_message(&self) -> bool {
        self.within_message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: [u8; 8] = [0x81, 0x82, 1, 2, 3, 4, b'a', b'b'];
    const BEGINNING: [u8; 8] = [0x01, 0x82, 1, 2, 3, 4, b'a', b'b'];
    const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];
    const END: [u8; 6] = [0x80, 0x80, 0, 0, 0, 0];

    #[test]
    fn a_frame_is_whole_at_its_last_byte() {
        let bytes = [TEXT, TEXT].concat();
        for length in 0..=bytes.len() {
            let mut boundary = Boundary::default();
            let whole = boundary.whole_frames(&bytes[..length], 10);
            assert_eq!(whole, length / TEXT.len() * TEXT.len());
            assert!(!boundary.is_within_message());
        }
    }

    #[test]
    fn a_message_is_unfinished_until_its_last_frame_whatever_comes_between() {
        let mut boundary = Boundary::default();
        assert_eq!(boundary.whole_frames(&BEGINNING, 10), BEGINNING.len());
        assert_eq!((boundary.is_within_message(), boundary.unfinished()), (true, 2));
        assert_eq!(boundary.whole_frames(&PING, 10), PING.len());
        assert_eq!((boundary.is_within_message(), boundary.unfinished()), (true, 2));
        assert_eq!(boundary.whole_frames(&END, 10), END.len());
        assert_eq!((boundary.is_within_message(), boundary.unfinished()), (false, 0));
    }

    #[test]
    fn what_will_be_refused_is_not_waited_for() {
        let whole_frames = |bytes: &[u8]| Boundary::default().whole_frames(bytes, 10);
        let too_long = [0x81, 0x8b, 0, 0, 0];
        let far_too_long = [0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4];
        let no_such_kind = [0x83, 0x80, 0, 0, 0, 0];
        assert_eq!(whole_frames(&[&TEXT[..], &no_such_kind].concat()), 14);
        assert_eq!(whole_frames(&far_too_long), far_too_long.len());
        assert_eq!(whole_frames(&[&too_long[..], &[0]].concat()), 6);
    }
}
