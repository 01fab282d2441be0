//! What was sent and what arrived.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::process::Usage;

/// When each message was sent, and when the last member so far had it.
pub struct Crowd {
    began: Instant,
    /// Microseconds since the beginning.
    sent: Vec<AtomicU64>,
    heard: Vec<AtomicU64>,
}

impl Crowd {
    pub fn new(total: usize) -> Self {
        let zeros = || (0..total).map(|_| AtomicU64::new(0)).collect();
        Self { began: Instant::now(), sent: zeros(), heard: zeros() }
    }

    /// How many messages there are to be.
    pub fn total(&self) -> usize {
        self.sent.len()
    }

    pub fn send(&self, number: usize) {
        self.sent[number].store(self.now(), Ordering::Relaxed);
    }

    pub fn hear(&self, number: usize) {
        if let Some(heard) = self.heard.get(number) {
            heard.fetch_max(self.now(), Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// From the sender to the last member, for each message that anyone heard, rising.
    fn delays(&self) -> Vec<Duration> {
        let pairs = self.sent.iter().zip(&self.heard);
        let pairs = pairs.map(|(a, b)| (a.load(Ordering::Relaxed), b.load(Ordering::Relaxed)));
        let mut delays: Vec<_> = pairs
            .filter(|(_, heard)| *heard > 0)
            .map(|(sent, heard)| Duration::from_micros(heard.saturating_sub(sent)))
            .collect();
        delays.sort_unstable();
        delays
    }
}

/// What one member heard.
pub struct Report {
    /// By number.
    seen: Vec<bool>,
    last: u64,
    heard: usize,
    doubled: usize,
    disordered: usize,
}

impl Report {
    pub fn new(total: usize) -> Self {
        Self { seen: vec![false; total], last: 0, heard: 0, doubled: 0, disordered: 0 }
    }

    pub fn hear(&mut self, seq: u64, number: usize) {
        self.heard += 1;
        self.disordered += usize::from(seq <= self.last);
        self.last = seq;
        // A number that was never sent shows as one too many.
        let new = self.seen.get_mut(number).is_some_and(|seen| !std::mem::replace(seen, true));
        self.doubled += usize::from(!new);
    }
}

/// All of it together. `Display` is the table.
#[derive(Default)]
pub struct Tally {
    members: usize,
    sent: usize,
    delivered: usize,
    missing: usize,
    doubled: usize,
    disordered: usize,
    delays: Vec<Duration>,
    cpu: Duration,
    /// KiB, with nobody talking yet, and in the end.
    resident: (u64, u64),
}

impl Tally {
    pub fn add(&mut self, report: &Report) {
        self.members += 1;
        self.delivered += report.heard;
        self.missing += report.seen.iter().filter(|seen| !**seen).count();
        self.doubled += report.doubled;
        self.disordered += report.disordered;
    }

    pub fn conclude(&mut self, crowd: &Crowd, before: &Usage, after: &Usage) {
        self.sent = crowd.total();
        self.delays = crowd.delays();
        self.cpu = after.cpu.saturating_sub(before.cpu);
        self.resident = (before.resident, after.resident);
    }

    pub fn is_sound(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.disordered == 0
    }

    /// The delay that so many in a hundred messages did not exceed.
    fn percentile(&self, hundredths: usize) -> Duration {
        let rank = (self.delays.len() * hundredths).div_ceil(100).max(1);
        self.delays.get(rank - 1).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |delay: Duration| format!("{:.1} ms", delay.as_secs_f64() * 1e3);
        let deliveries = u32::try_from(self.delivered.max(1)).unwrap_or(u32::MAX);
        let each = self.cpu.as_secs_f64() * 1e6 / f64::from(deliveries);
        let rows = [
            ("members", self.members.to_string()),
            ("messages sent", self.sent.to_string()),
            ("deliveries expected", (self.sent * self.members).to_string()),
            ("deliveries", self.delivered.to_string()),
            ("missing", self.missing.to_string()),
            ("doubled", self.doubled.to_string()),
            ("out of order", self.disordered.to_string()),
            ("delay to the last member, p50", ms(self.percentile(50))),
            ("delay to the last member, p99", ms(self.percentile(99))),
            ("delay to the last member, max", ms(self.percentile(100))),
            ("server's CPU time", format!("{:.2} s", self.cpu.as_secs_f64())),
            ("server's CPU time a delivery", format!("{each:.2} us")),
            ("server's memory, all entered", format!("{} KiB", self.resident.0)),
            ("server's memory, at the end", format!("{} KiB", self.resident.1)),
        ];
        for (name, value) in rows {
            writeln!(f, "{name:<32}{value:>14}")?;
        }
        write!(f, "A delay ends when this process, which reads for all members, has read it.")
    }
}
