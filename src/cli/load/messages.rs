//! The messages of one sender: their names on the wire, and what became of each.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

/// Of a run's tag: eight hexadecimal digits.
pub const TAG_BYTES: usize = 8;
/// A name is `tag-sender-number`, all of fixed width, so that names rise.
pub const NAME_BYTES: usize = TAG_BYTES + 1 + SENDER_DIGITS + 1 + NUMBER_DIGITS;
const SENDER_DIGITS: usize = 5;
const NUMBER_DIGITS: usize = 9;
/// Senders of a run, and messages of a sender.
pub const SENDERS_MAX: u32 = 99_999;
pub const NUMBERS: u32 = 1_000_000_000;

/// Which message of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub sender: u32,
    pub number: u32,
}

impl Name {
    pub fn write(self, tag: &str) -> String {
        let Self { sender, number } = self;
        format!("{tag}-{sender:0SENDER_DIGITS$}-{number:0NUMBER_DIGITS$}")
    }

    /// Reads the name at the beginning of a message; `None` for what this run has not written.
    pub fn read(text: &str, tag: &str) -> Option<Self> {
        let rest = text.get(..NAME_BYTES)?.strip_prefix(tag)?.strip_prefix('-')?;
        let (sender, number) = rest.split_once('-')?;
        Some(Self { sender: sender.parse().ok()?, number: number.parse().ok()? })
    }
}

/// What became of one message.
#[derive(Debug, Default)]
pub struct Message {
    /// Microseconds from the beginning of the run, at least 1; 0: not sent, or refused.
    pub sent_at: AtomicU64,
    /// Members that have heard it.
    pub heard: AtomicU32,
    pub acked: AtomicBool,
    /// What the first to tell of it said; 0: nobody has.
    pub seq: AtomicU64,
}

/// Messages by number. They lie in segments, each twice as long as the one before, so that there is
/// no bound but [`NUMBERS`], nothing ever moves, and reading takes no lock.
#[derive(Debug, Default)]
pub struct Messages {
    segments: [OnceLock<Box<[Message]>>; SEGMENTS],
}

const FIRST_SEGMENT: u32 = 64;
/// As many as hold [`NUMBERS`].
const SEGMENTS: usize = 24;

const _: () =
    assert!(((FIRST_SEGMENT as u64) << SEGMENTS) - (FIRST_SEGMENT as u64) > 1_000_000_000);

impl Messages {
    /// The message of this number, if one near it was ever about to be sent.
    pub fn get(&self, number: u32) -> Option<&Message> {
        let (segment, offset) = place(number)?;
        self.segments.get(segment)?.get()?.get(offset)
    }

    /// The same, made where it is not there yet; `None` past [`NUMBERS`].
    pub fn prepare(&self, number: u32) -> Option<&Message> {
        let (segment, offset) = place(number)?;
        let made =
            || (0..(FIRST_SEGMENT as usize) << segment).map(|_| Message::default()).collect();
        self.segments.get(segment)?.get_or_init(made).get(offset)
    }
}

fn place(number: u32) -> Option<(usize, usize)> {
    if number >= NUMBERS {
        return None;
    }
    let shifted = number + FIRST_SEGMENT;
    let segment = shifted.ilog2() - FIRST_SEGMENT.ilog2();
    let offset = shifted - (FIRST_SEGMENT << segment);
    Some((usize::try_from(segment).ok()?, usize::try_from(offset).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn names_are_read_as_they_were_written_and_rise() {
        let name = Name { sender: 12, number: 345 };
        let text = name.write("0a1b2c3d");
        assert_eq!(text, "0a1b2c3d-00012-000000345");
        assert_eq!(text.len(), NAME_BYTES);
        assert_eq!(Name::read(&format!("{text}......"), "0a1b2c3d"), Some(name));
        assert!(text < Name { sender: 12, number: 1_000 }.write("0a1b2c3d"));
    }

    #[test]
    fn what_others_say_has_no_name() {
        for text in
            ["", "hello", "0a1b2c3e-00012-000000345", "0a1b2c3d-00012-00000034", "ééééééééééééé"]
        {
            assert_eq!(Name::read(text, "0a1b2c3d"), None, "{text}");
        }
    }

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let messages = Messages::default();
        for number in 0..10_000 {
            assert!(messages.get(number).is_none_or(|m| m.sent_at.load(Ordering::Relaxed) == 0));
            let message = messages.prepare(number).unwrap();
            message.sent_at.store(u64::from(number) + 1, Ordering::Relaxed);
        }
        for number in 0..10_000 {
            let sent_at = messages.get(number).unwrap().sent_at.load(Ordering::Relaxed);
            assert_eq!(sent_at, u64::from(number) + 1);
        }
        assert!(place(NUMBERS - 1).unwrap().0 < SEGMENTS);
        assert!(messages.get(NUMBERS - 1).is_none() && messages.prepare(NUMBERS).is_none());
    }
}
