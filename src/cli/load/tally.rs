//! What was sent and what of it arrived: shared by all connections of a run. It is told the time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::delays::Delays;
use super::hold::Holds;
use super::messages::{Message, Messages, Name};

/// Microseconds from the beginning of a run, at least 1.
pub type Micros = u64;

/// A run's bookkeeping. Nothing in it is held for longer than a few instructions.
#[derive(Debug)]
pub struct Tally {
    /// What all names of this run begin with.
    pub tag: String,
    pub rooms: Vec<RoomShape>,
    pub senders: Vec<Sender>,
    pub counts: Counts,
    delays: Mutex<Delays>,
    holds: Mutex<Holds>,
}

/// How many are in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomShape {
    pub members: u32,
    pub senders: u32,
}

#[derive(Debug)]
pub struct Sender {
    pub room: usize,
    /// Among the senders of its room.
    pub place: usize,
    pub messages: Messages,
}

/// Messages, but for the two that count deliveries.
#[derive(Debug, Default)]
pub struct Counts {
    /// Given to the server and not refused.
    pub sent: AtomicU64,
    pub refused: AtomicU64,
    pub acked: AtomicU64,
    /// Deliveries that those sent come to: one for each member of their room.
    pub expected: AtomicU64,
    /// Deliveries that were not doubled.
    pub heard: AtomicU64,
}

impl Tally {
    pub fn new(tag: String, rooms: Vec<RoomShape>, senders: Vec<Sender>) -> Self {
        let (counts, delays, holds) = Default::default();
        Self { tag, rooms, senders, counts, delays: Mutex::new(delays), holds: Mutex::new(holds) }
    }

    pub fn delays(&self) -> MutexGuard<'_, Delays> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn holds(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message goes out. False: there are no more numbers.
    pub fn send(&self, name: Name, at: Micros) -> bool {
        let Some(sender) = self.sender(name) else { return false };
        let Some(message) = sender.messages.prepare(name.number) else { return false };
        message.sent_at.store(at, Ordering::Relaxed);
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        self.counts.expected.fetch_add(self.members(sender), Ordering::Relaxed);
        true
    }

    /// The server refused a message. Without ids, nobody knows which one.
    pub fn refuse(&self, sender: usize, number: Option<u32>) {
        let Some(sender) = self.senders.get(sender) else { return };
        if let Some(message) = number.and_then(|number| sender.messages.get(number)) {
            message.sent_at.store(0, Ordering::Relaxed);
        }
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        self.counts.sent.fetch_sub(1, Ordering::Relaxed);
        self.counts.expected.fetch_sub(self.members(sender), Ordering::Relaxed);
    }

    /// A message is on disk. `None` for an ack that nothing waits for; else whether the seq is the
    /// one under which it was heard.
    pub fn ack(&self, name: Name, seq: u64, at: Micros) -> Option<bool> {
        let message = self.message(name)?;
        if message.acked.swap(true, Ordering::Relaxed) {
            return None;
        }
        self.counts.acked.fetch_add(1, Ordering::Relaxed);
        self.delays().ack.record(at.saturating_sub(message.sent_at.load(Ordering::Relaxed)));
        Some(agrees(message, seq))
    }

    /// A member hears a message for the first time. True: under the seq that others were told.
    pub(super) fn hear(&self, room: usize, message: &Message, seq: u64, at: Micros) -> bool {
        self.counts.heard.fetch_add(1, Ordering::Relaxed);
        let rank = message.heard.fetch_add(1, Ordering::Relaxed) + 1;
        let members = self.rooms.get(room).map_or(0, |room| room.members);
        let (first, middle) = (rank == 1, rank == members.div_ceil(2));
        if first || middle || rank == members {
            let delay = at.saturating_sub(message.sent_at.load(Ordering::Relaxed));
            let mut delays = self.delays();
            let Delays { first: to_first, middle: to_middle, last: to_last, .. } = &mut *delays;
            let reached = [(first, to_first), (middle, to_middle), (rank == members, to_last)];
            for (_, gathered) in reached.into_iter().filter(|(reached, _)| *reached) {
                gathered.record(delay);
            }
        }
        agrees(message, seq)
    }

    pub fn sender(&self, name: Name) -> Option<&Sender> {
        self.senders.get(usize::try_from(name.sender).ok()?)
    }

    /// A message that was sent and not refused.
    pub(super) fn message(&self, name: Name) -> Option<&Message> {
        let message = self.sender(name)?.messages.get(name.number)?;
        Some(message).filter(|message| message.sent_at.load(Ordering::Relaxed) > 0)
    }

    /// Deliveries that are still to come.
    pub fn outstanding(&self) -> u64 {
        let expected = self.counts.expected.load(Ordering::Relaxed);
        expected.saturating_sub(self.counts.heard.load(Ordering::Relaxed))
    }

    fn members(&self, sender: &Sender) -> u64 {
        self.rooms.get(sender.room).map_or(0, |room| room.members.into())
    }
}

/// Whether `seq` is what everybody else was told of this message.
fn agrees(message: &Message, seq: u64) -> bool {
    match message.seq.compare_exchange(0, seq, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => true,
        Err(told) => told == seq,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two rooms: two senders among three members, and one sender alone.
    pub fn tally() -> Tally {
        let sender = |room, place| Sender { room, place, messages: Messages::default() };
        let rooms =
            vec![RoomShape { members: 3, senders: 2 }, RoomShape { members: 1, senders: 1 }];
        let senders = vec![sender(0, 0), sender(0, 1), sender(1, 0)];
        Tally::new("0a1b2c3d".to_owned(), rooms, senders)
    }

    pub fn name(sender: u32, number: u32) -> Name {
        Name { sender, number }
    }

    fn hear(tally: &Tally, name: Name, seq: u64, at: Micros) -> bool {
        let room = tally.sender(name).unwrap().room;
        tally.hear(room, tally.message(name).unwrap(), seq, at)
    }

    #[test]
    fn delays_are_taken_at_the_first_the_middle_and_the_last_member() {
        let tally = tally();
        assert!(tally.send(name(1, 0), 1_000));
        for (at, outstanding) in [(1_010, 2), (1_020, 1), (1_050, 0)] {
            assert!(hear(&tally, name(1, 0), 7, at));
            assert_eq!(tally.outstanding(), outstanding);
        }
        let delays = tally.delays();
        let max = [&delays.first, &delays.middle, &delays.last].map(|member| member.figures().max);
        assert_eq!(max, [10, 20, 50]);
    }

    #[test]
    fn a_room_of_one_has_one_delay_for_all() {
        let tally = tally();
        tally.send(name(2, 0), 1);
        hear(&tally, name(2, 0), 1, 31);
        let delays = tally.delays();
        let max = [&delays.first, &delays.middle, &delays.last].map(|member| member.figures().max);
        assert_eq!(max, [30; 3]);
    }

    #[test]
    fn an_ack_counts_once_and_its_seq_is_the_one_that_was_heard() {
        let tally = tally();
        tally.send(name(0, 0), 100);
        tally.send(name(0, 1), 100);
        assert_eq!(tally.ack(name(0, 0), 4, 150), Some(true));
        assert_eq!(tally.ack(name(0, 0), 4, 160), None);
        assert!(!hear(&tally, name(0, 0), 5, 170), "another seq than the ack's");
        assert!(hear(&tally, name(0, 1), 5, 170));
        assert_eq!(tally.ack(name(0, 1), 6, 180), Some(false));
        assert_eq!(tally.ack(name(0, 2), 6, 180), None, "never sent");
        assert_eq!(tally.counts.acked.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_is_refused_is_not_expected_until_it_is_sent_again() {
        let tally = tally();
        tally.send(name(0, 0), 100);
        tally.send(name(2, 0), 100);
        tally.refuse(0, Some(0));
        assert_eq!(tally.outstanding(), 1);
        assert!(tally.message(name(0, 0)).is_none());
        tally.send(name(0, 0), 200);
        assert_eq!(tally.outstanding(), 4);
        tally.refuse(2, None);
        assert_eq!(tally.outstanding(), 3);
        assert_eq!(tally.counts.refused.load(Ordering::Relaxed), 2);
    }
}
