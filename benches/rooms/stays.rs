//! Who is in which room since when, and whether it hears what it is to hear.

use super::figures::Counts;

/// A member's stay in a room, as it goes on and off. It is to hear the room's messages, numbered
/// from 0, from where it came in, once and in order.
#[derive(Default)]
pub struct Stay {
    state: State,
    /// Numbers that were skipped.
    gaps: Vec<u32>,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Out,
    /// It came in behind this seq, and has heard nothing yet.
    Fresh(u64),
    In {
        first: u32,
        next: u32,
    },
}

impl Stay {
    pub fn begin(&mut self, head: u64) {
        *self = Self { state: State::Fresh(head), gaps: Vec::new() };
    }

    /// After this nothing may come. What it has heard by now, it was to hear.
    pub fn end(&mut self, counts: &mut Counts) {
        if let State::In { first, next } = self.state {
            counts.expected += u64::from(next - first);
        }
        *self = Self::default();
    }

    /// `base`: the seq of the room's message 0.
    pub fn hear(&mut self, number: u32, base: u64, counts: &mut Counts) {
        let (first, next) = match self.state {
            State::Out => {
                counts.out_of_order += 1;
                return;
            }
            State::Fresh(head) => (first_behind(head, base), first_behind(head, base)),
            State::In { first, next } => (first, next),
        };
        self.state = State::In { first, next: next.max(number + 1) };
        if number >= next {
            self.gaps.extend(next..number);
            counts.delivered += 1;
        } else if let Some(gap) = self.gaps.iter().position(|gap| *gap == number) {
            self.gaps.swap_remove(gap);
            counts.delivered += 1;
            counts.out_of_order += 1;
        } else {
            counts.doubled += 1;
        }
    }

    /// How many it is to hear in the whole stay, where so many have been said.
    pub fn expects(&self, said: u32, base: Option<u64>) -> u64 {
        let first = match (self.state, base) {
            (State::Out, _) => return 0,
            (State::Fresh(head), Some(base)) => first_behind(head, base),
            (State::Fresh(_), None) => 0,
            (State::In { first, .. }, _) => first,
        };
        u64::from(said.saturating_sub(first))
    }
}

/// The number of the first message behind this seq.
fn first_behind(head: u64, base: u64) -> u32 {
    u32::try_from((head + 1).saturating_sub(base)).unwrap_or(u32::MAX)
}
