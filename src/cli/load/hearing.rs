//! What one member hears: whether anything of it is doubled or out of order. Pure.

use std::collections::BTreeSet;

use super::messages::Name;
use super::tally::{Micros, Tally};

/// One member's ear.
#[derive(Debug)]
pub struct Hearing {
    room: usize,
    last_seq: u64,
    /// Of each sender of the room, the number that comes next.
    next: Vec<u32>,
    /// Numbers before those that have not come: empty as long as all is well.
    skipped: BTreeSet<Name>,
    heard: Heard,
}

/// What a member has heard, in deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Without the doubled ones.
    pub delivered: u64,
    /// Heard before, or never sent.
    pub doubled: u64,
    /// With a seq that does not rise, or is not the one that others were told.
    pub disordered: u64,
}

impl Hearing {
    pub fn new(tally: &Tally, room: usize) -> Self {
        let senders = tally.rooms.get(room).map_or(0, |room| room.senders as usize);
        let next = vec![0; senders];
        Self { room, last_seq: 0, next, skipped: BTreeSet::new(), heard: Heard::default() }
    }

    pub fn heard(&self) -> Heard {
        self.heard
    }

    pub fn hear(&mut self, tally: &Tally, name: Name, seq: u64, at: Micros) {
        let Some(message) = tally.message(name).filter(|_| self.is_new(tally, name)) else {
            self.heard.doubled += 1;
            return;
        };
        self.heard.delivered += 1;
        let agrees = tally.hear(self.room, message, seq, at);
        if seq <= self.last_seq || !agrees {
            self.heard.disordered += 1;
        }
        self.last_seq = self.last_seq.max(seq);
    }

    /// Of a message that was sent, so that numbers cannot leap.
    fn is_new(&mut self, tally: &Tally, name: Name) -> bool {
        let sender = tally.sender(name).filter(|sender| sender.room == self.room);
        let Some(next) = sender.and_then(|sender| self.next.get_mut(sender.place)) else {
            return false;
        };
        if name.number < *next {
            return self.skipped.remove(&name);
        }
        let skipped = (*next..name.number).map(|number| Name { number, ..name });
        self.skipped.extend(skipped);
        *next = name.number + 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::tally::tests::{name, tally};

    /// What a member of the first room has heard after messages of these senders and numbers.
    fn heard(messages: &[(u32, u32, u64)]) -> Heard {
        let tally = tally();
        for number in 0..4 {
            for sender in 0..3 {
                tally.send(name(sender, number), 1);
            }
        }
        let mut hearing = Hearing::new(&tally, 0);
        for (sender, number, seq) in messages {
            hearing.hear(&tally, name(*sender, *number), *seq, 2);
        }
        hearing.heard()
    }

    #[test]
    fn senders_take_turns_as_they_like() {
        let messages = [(0, 0, 1), (0, 1, 2), (1, 0, 3), (0, 2, 5), (1, 1, 9)];
        assert_eq!(heard(&messages), Heard { delivered: 5, ..Heard::default() });
    }

    #[test]
    fn a_message_that_comes_twice_is_doubled_and_nothing_else() {
        let messages = [(0, 0, 1), (0, 0, 1), (0, 1, 2), (0, 0, 3)];
        assert_eq!(heard(&messages), Heard { delivered: 2, doubled: 2, disordered: 0 });
    }

    #[test]
    fn a_message_that_comes_late_is_out_of_order_and_not_doubled() {
        let messages = [(0, 1, 2), (0, 0, 1), (0, 2, 3)];
        assert_eq!(heard(&messages), Heard { delivered: 3, doubled: 0, disordered: 1 });
        // One that was refused and sent again comes after later ones, under a later seq.
        let messages = [(0, 1, 1), (0, 0, 2)];
        assert_eq!(heard(&messages), Heard { delivered: 2, ..Heard::default() });
    }

    #[test]
    fn one_seq_cannot_be_two_messages() {
        let messages = [(0, 0, 1), (1, 0, 1)];
        assert_eq!(heard(&messages), Heard { delivered: 2, doubled: 0, disordered: 1 });
    }

    #[test]
    fn what_was_never_said_in_this_room_is_one_too_many() {
        let messages = [(2, 0, 1), (0, 4, 2), (7, 0, 3), (0, 999_999_999, 4)];
        assert_eq!(heard(&messages), Heard { doubled: 4, ..Heard::default() });
    }

    #[test]
    fn two_members_are_told_the_same_seq() {
        let tally = tally();
        tally.send(name(0, 0), 1);
        let mut members = [Hearing::new(&tally, 0), Hearing::new(&tally, 0)];
        members[0].hear(&tally, name(0, 0), 1, 2);
        members[1].hear(&tally, name(0, 0), 2, 2);
        assert_eq!(members.map(|member| member.heard().disordered), [0, 1]);
    }
}
