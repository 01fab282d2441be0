//! Whether a connection is alive: pings when nothing is heard, and the two ways to give up on it.
//! Told the time and what it needs to know; pure otherwise.

use crate::domain::Millis;
use crate::domain::limits::SILENT_HEARTBEATS;

/// What can be seen of a connection from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Bytes received so far.
    pub received: u64,
    /// Whether the server is reading; while it is not, silence is its own doing.
    pub reading: bool,
    /// Bytes queued and bytes taken by the socket so far.
    pub queued: u64,
    pub written: u64,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    Ping,
    /// Close with 4408.
    GiveUp,
}

#[derive(Debug)]
pub struct Pulse {
    heartbeat: Millis,
    stall: Millis,
    received: u64,
    heard_at: Millis,
    ping: Option<Ping>,
    written: u64,
    taken_at: Millis,
}

#[derive(Debug)]
struct Ping {
    /// It has left once this many bytes are written.
    ends: u64,
    left_at: Option<Millis>,
}

impl Pulse {
    /// `heartbeat`: silence before a ping. `stall`: how long a socket may take nothing of what
    /// waits for it.
    #[must_use]
    pub fn new(heartbeat: Millis, stall: Millis, now: Millis) -> Self {
        Self { heartbeat, stall, received: 0, heard_at: now, ping: None, written: 0, taken_at: now }
    }

    /// Called every now and then. After [`Beat::Ping`] the caller queues one and tells
    /// [`Self::pinged`].
    pub fn tick(&mut self, now: Millis, vitals: Vitals) -> Option<Beat> {
        if vitals.queued == vitals.written || vitals.written != self.written {
            self.written = vitals.written;
            self.taken_at = now;
        } else if now.saturating_sub(self.taken_at) >= self.stall {
            return Some(Beat::GiveUp);
        }
        if !vitals.reading || vitals.received != self.received {
            self.received = vitals.received;
            self.heard_at = now;
            self.ping = None;
            return None;
        }
        let Some(ping) = &mut self.ping else {
            let silent = now.saturating_sub(self.heard_at) >= self.heartbeat;
            return silent.then_some(Beat::Ping);
        };
        // A ping that still waits behind other bytes proves nothing.
        if ping.left_at.is_none() && vitals.written >= ping.ends {
            ping.left_at = Some(now);
        }
        let patience = self.heartbeat * u64::from(SILENT_HEARTBEATS);
        let left_at = ping.left_at?;
        (now.saturating_sub(left_at) >= patience).then_some(Beat::GiveUp)
    }

    /// A ping was queued; `ends`: bytes queued so far, with it.
    pub fn pinged(&mut self, ends: u64) {
        self.ping = Some(Ping { ends, left_at: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(received: u64, queued: u64, written: u64) -> Vitals {
        Vitals { received, reading: true, queued, written }
    }

    #[test]
    fn silence_is_pinged_and_given_up_on_two_heartbeats_after_the_ping_left() {
        let mut pulse = Pulse::new(100, 10_000, 0);
        assert_eq!(pulse.tick(99, reading(0, 0, 0)), None);
        assert_eq!(pulse.tick(100, reading(0, 0, 0)), Some(Beat::Ping));
        pulse.pinged(2);
        assert_eq!(pulse.tick(500, reading(0, 2, 0)), None, "the ping has not left");
        assert_eq!(pulse.tick(510, reading(0, 2, 2)), None);
        assert_eq!(pulse.tick(709, reading(0, 2, 2)), None);
        assert_eq!(pulse.tick(710, reading(0, 2, 2)), Some(Beat::GiveUp));
    }

    #[test]
    fn any_byte_is_life() {
        let mut pulse = Pulse::new(100, 10_000, 0);
        assert_eq!(pulse.tick(100, reading(0, 0, 0)), Some(Beat::Ping));
        pulse.pinged(2);
        assert_eq!(pulse.tick(150, reading(0, 2, 2)), None);
        assert_eq!(pulse.tick(340, reading(1, 2, 2)), None);
        assert_eq!(pulse.tick(439, reading(1, 2, 2)), None);
        assert_eq!(pulse.tick(440, reading(1, 2, 2)), Some(Beat::Ping));
    }

    #[test]
    fn the_clock_stands_still_while_the_server_does_not_read() {
        let mut pulse = Pulse::new(100, 10_000, 0);
        let not_reading = Vitals { reading: false, ..Vitals::default() };
        assert_eq!(pulse.tick(5_000, not_reading), None);
        assert_eq!(pulse.tick(5_099, reading(0, 0, 0)), None);
        assert_eq!(pulse.tick(5_100, reading(0, 0, 0)), Some(Beat::Ping));
    }

    #[test]
    fn a_socket_that_takes_nothing_is_given_up_on() {
        let mut pulse = Pulse::new(100_000, 1_000, 0);
        let mut received = 0;
        let mut tick = |now, queued, written| {
            received += 1;
            pulse.tick(now, reading(received, queued, written))
        };
        assert_eq!(tick(500, 10, 0), None, "one that had nothing to take");
        assert_eq!(tick(900, 10, 5), None);
        assert_eq!(tick(1_899, 20, 5), None);
        assert_eq!(tick(1_900, 20, 5), Some(Beat::GiveUp));
    }
}
