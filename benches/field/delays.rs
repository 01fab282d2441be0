//! How long messages take, from before the sender's write to the kernel's arrival at a member.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

pub struct Delays {
    members: usize,
    senders: usize,
    /// Nanoseconds since the Unix epoch, by message.
    sent: Vec<u64>,
    /// Nanoseconds, by message and member; 0 for what has not come.
    heard: Vec<u32>,
}

/// Over all messages, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
}

impl Delays {
    pub fn new(messages: u32, members: usize, senders: usize) -> Self {
        let messages = messages as usize;
        Self { members, senders, sent: vec![0; messages], heard: vec![0; messages * members] }
    }

    /// Gives the time.
    pub fn send(&mut self, message: u32) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.sent[message as usize] = now;
        now
    }

    /// Senders take turns: each says every so many-th message.
    pub fn hear(&mut self, member: usize, sender: usize, number: u32, arrived: Option<u64>) {
        let message = number as usize * self.senders + sender;
        let Some((sent, arrived)) = self.sent.get(message).zip(arrived) else { return };
        let delay = u32::try_from(arrived.saturating_sub(*sent)).unwrap_or(u32::MAX);
        self.heard[message * self.members + member] = delay.max(1);
    }

    /// At the middle member, and at the last.
    pub fn conclude(mut self) -> (Quantiles, Quantiles) {
        let (mut middle, mut last) = (Vec::new(), Vec::new());
        for delays in self.heard.chunks_exact_mut(self.members) {
            delays.sort_unstable();
            // What was lost has no delay.
            let came = &delays[delays.partition_point(|delay| *delay == 0)..];
            if let Some(max) = came.last() {
                last.push(*max);
                middle.push(came[came.len() / 2]);
            }
        }
        (Quantiles::of(middle), Quantiles::of(last))
    }
}

impl Quantiles {
    fn of(mut delays: Vec<u32>) -> Self {
        delays.sort_unstable();
        let at = |hundredths: usize| {
            let rank = (delays.len() * hundredths).div_ceil(100).max(1);
            let delay = delays.get(rank - 1).copied().unwrap_or_default();
            Duration::from_nanos(delay.into()).as_secs_f64() * 1e3
        };
        Self { p50: at(50), p99: at(99) }
    }
}
