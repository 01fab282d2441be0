//! The frames of RFC 6455 that a server writes: unmasked, never fragmented.

use bytes::Bytes;

use super::CloseCode;

const FIN_TEXT: u8 = 0x81;
const FIN_CLOSE: u8 = 0x88;
const FIN_PING: u8 = 0x89;

/// The longest header of an unmasked frame.
const HEADER_BYTES: usize = 10;

/// One text frame around what `write` appends to the buffer. The payload's length is known only
/// then, so it is written behind room for the longest header, and the header put right before it.
#[must_use]
pub fn text_frame(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut buffer = begin_text_frame(capacity);
    write(&mut buffer);
    finish_text_frame(buffer)
}

/// `buffer`: [`HEADER_BYTES`] of room and the payload.
pub(super) fn finish_text_frame(mut buffer: Vec<u8>) -> Bytes {
    let length = buffer.len() - HEADER_BYTES;
    let mut header = [0; HEADER_BYTES];
    header[0] = FIN_TEXT;
    let used = if let Ok(short @ 0..=125) = u8::try_from(length) {
        header[1] = short;
        2
    } else if let Ok(medium) = u16::try_from(length) {
        header[1] = 126;
        header[2..4].copy_from_slice(&medium.to_be_bytes());
        4
    } else {
        header[1] = 127;
        header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
        10
    };
    let start = HEADER_BYTES - used;
    buffer[start..HEADER_BYTES].copy_from_slice(&header[..used]);
    Bytes::from(buffer).slice(start..)
}

/// Room for a header, to which a payload is appended and [`finish_text_frame`] applied.
pub(super) fn begin_text_frame(capacity: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER_BYTES + capacity);
    buffer.resize(HEADER_BYTES, 0);
    buffer
}

/// The payloads of whole text frames that stand one behind the other, as this module writes them.
/// Ends at anything else.
pub fn texts(mut frames: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (payload, rest) = split_text(frames)?;
        frames = rest;
        Some(payload)
    })
}

fn split_text(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = frames.strip_prefix(&[FIN_TEXT])?;
    let (length, rest) = match rest.split_first()? {
        (126, rest) => {
            let (length, rest) = rest.split_first_chunk()?;
            (u16::from_be_bytes(*length).into(), rest)
        }
        (127, rest) => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::try_from(u64::from_be_bytes(*length)).ok()?, rest)
        }
        (short, rest) => (usize::from(*short), rest),
    };
    rest.split_at_checked(length)
}

/// A close frame with the code's own reason.
#[must_use]
pub fn close_frame(code: CloseCode) -> Bytes {
    let reason = code.reason();
    let mut frame = Vec::with_capacity(4 + reason.len());
    frame.push(FIN_CLOSE);
    // Reasons are short constants: `code` tests that they fit a control frame.
    frame.push(u8::try_from(2 + reason.len()).unwrap_or(2));
    frame.extend_from_slice(&code.code().to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    Bytes::from(frame)
}

/// A ping without payload.
#[must_use]
pub fn ping_frame() -> Bytes {
    Bytes::from_static(&[FIN_PING, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

    fn read_back(frame: &[u8]) -> Message {
        let stream = std::io::Cursor::new(frame.to_vec());
        WebSocket::from_raw_socket(stream, Role::Client, None).read().unwrap()
    }

    proptest! {
        #[test]
        fn another_implementation_reads_the_same_text(length in prop_oneof![
            0..300usize, 65_530..65_540usize
        ]) {
            let text = "x".repeat(length);
            let frame = text_frame(length, |buffer| buffer.extend_from_slice(text.as_bytes()));
            prop_assert_eq!(read_back(&frame), Message::text(text));
        }

        #[test]
        fn texts_come_out_as_they_went_in(
            lengths in proptest::collection::vec(
                prop_oneof![0..300usize, 65_530..65_540usize], 0..5
            ),
            cut in 0..9usize,
        ) {
            let of = |length: &usize| vec![b'x'; *length];
            let frame = |text: &Vec<u8>| text_frame(0, |buffer| buffer.extend_from_slice(text));
            let given: Vec<_> = lengths.iter().map(of).collect();
            let whole = given.iter().map(frame).collect::<Vec<_>>().concat();
            prop_assert_eq!(texts(&whole).collect::<Vec<_>>(), given.clone());
            // What lacks its end is no frame.
            if let Some(last) = given.last() && cut > 0 && cut <= last.len() + 2 {
                let all_but_last = &given[..given.len() - 1];
                let cut = &whole[..whole.len() - cut];
                prop_assert_eq!(texts(cut).collect::<Vec<_>>(), all_but_last.to_vec());
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            texts(&bytes).for_each(drop);
        }
    }

    #[test]
    fn another_implementation_reads_the_same_control_frames() {
        for code in CloseCode::ALL {
            let Message::Close(Some(close)) = read_back(&close_frame(code)) else {
                panic!("not a close frame");
            };
            assert_eq!(u16::from(close.code), code.code());
            assert_eq!(close.reason.as_str(), code.reason());
        }
        assert_eq!(read_back(&ping_frame()), Message::Ping(Bytes::new()));
    }
}
