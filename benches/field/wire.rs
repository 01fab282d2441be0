//! WebSocket frames as bytes, as few instructions each as can be: the generator must not be slower
//! than what it measures.

use crate::Failure;

/// Of a message's text.
const TEXT_BYTES: usize = 100;
/// Digits of a sender, and of its message's number.
const SENDER_DIGITS: usize = 2;
const NUMBER_DIGITS: usize = 8;
/// What stands before the text in a `chat` frame.
const BEFORE_TEXT: &[u8] = b"\"message\":\"";
/// What stands before and behind the seq: `,"at":` and a time of thirteen digits.
const BEFORE_SEQ: &[u8] = b",\"seq\":";
const BEHIND_SEQ: usize = b",\"at\":1790000000000}".len();

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const MASKED: u8 = 0x80;
const TWO_BYTES_OF_LENGTH: u8 = 0x7E;
/// What a mask is does not matter to anybody here, but that there is one.
const MASK: [u8; 4] = [0x5B, 0x1E, 0xC3, 0x72];

/// What one frame from a server is to a member.
pub enum Frame<'a> {
    Text(&'a [u8]),
    Ping,
    Close(&'a [u8]),
}

/// The text of a sender's message with this number.
pub fn text(sender: usize, number: u32) -> String {
    let mark = format!("{sender:0SENDER_DIGITS$}{number:0NUMBER_DIGITS$}");
    format!("{mark:.<TEXT_BYTES$}")
}

/// Appends a client's text frame.
pub fn say(out: &mut Vec<u8>, payload: &[u8]) {
    client_frame(out, TEXT, payload);
}

/// The answer to a ping that says nothing.
pub fn pong() -> Vec<u8> {
    let mut out = Vec::new();
    client_frame(&mut out, PONG, b"");
    out
}

fn client_frame(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.push(FIN | kind);
    if let Ok(short @ 0..=125) = u8::try_from(payload.len()) {
        out.push(MASKED | short);
    } else {
        out.push(MASKED | TWO_BYTES_OF_LENGTH);
        // No message here is longer.
        out.extend_from_slice(&u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Hands every whole frame to `hear`; gives how many bytes they had.
pub fn walk(bytes: &[u8], mut hear: impl FnMut(Frame<'_>)) -> Result<usize, Failure> {
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 2) {
        let (start, length) = match header[1] {
            TWO_BYTES_OF_LENGTH => {
                let Some(length) = bytes.get(at + 2..at + 4) else { break };
                (at + 4, usize::from(u16::from_be_bytes([length[0], length[1]])))
            }
            127 => return Err("a frame of more than 64 KiB".into()),
            length => (at + 2, usize::from(length)),
        };
        let Some(payload) = bytes.get(start..start + length) else { break };
        match header[0] ^ FIN {
            TEXT => hear(Frame::Text(payload)),
            PING => hear(Frame::Ping),
            CLOSE => hear(Frame::Close(payload)),
            other => return Err(format!("an unexpected frame of kind {other}").into()),
        }
        at = start + length;
    }
    Ok(at)
}

/// Finds messages in the payloads of frames, where the one before was.
#[derive(Default)]
pub struct Finder {
    text_at: usize,
}

impl Finder {
    /// The sender and the number of a message; `None` for any other frame.
    pub fn mark(&mut self, payload: &[u8]) -> Option<(usize, u32)> {
        let found = |at: usize| payload.get(at.checked_sub(BEFORE_TEXT.len())?..at);
        if found(self.text_at) != Some(BEFORE_TEXT) {
            let at = payload.windows(BEFORE_TEXT.len()).position(|found| found == BEFORE_TEXT)?;
            self.text_at = at + BEFORE_TEXT.len();
        }
        let mark = payload.get(self.text_at..self.text_at + SENDER_DIGITS + NUMBER_DIGITS)?;
        let (sender, number) = mark.split_at(SENDER_DIGITS);
        Some((usize::try_from(digits(sender)?).ok()?, u32::try_from(digits(number)?).ok()?))
    }
}

/// The seq of a message.
pub fn seq(payload: &[u8]) -> Option<u64> {
    let behind = payload.len().checked_sub(BEHIND_SEQ)?;
    let digits_of_it = payload[..behind].iter().rev().take_while(|byte| byte.is_ascii_digit());
    let start = behind - digits_of_it.count();
    payload[..start].ends_with(BEFORE_SEQ).then(|| digits(&payload[start..behind]))?
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}
