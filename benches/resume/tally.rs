//! What arrived.

use std::fmt;
use std::time::Duration;

use crate::client::{Frame, Member};
use crate::process::Usage;
use crate::{Failure, PATIENCE};

/// What one member heard.
pub struct Report {
    after: u64,
    /// The number, and seq, of the last message.
    total: u64,
    last: u64,
    heard: u64,
    doubled: u64,
    disordered: u64,
}

impl Report {
    /// Of a member that holds everything up to `after` and waits for the rest up to `total`.
    pub fn new(after: u64, total: u64) -> Self {
        Self { after, total, last: after, heard: 0, doubled: 0, disordered: 0 }
    }

    /// Hears everything up to the last message; also ends when nothing comes any more, and then
    /// what is missing is missing.
    pub async fn listen(&mut self, member: &mut Member) -> Result<(), Failure> {
        while self.last < self.total
            && let Ok(text) = tokio::time::timeout(PATIENCE, member.text()).await
        {
            let text = text?;
            let frame: Frame<'_> = serde_json::from_str(&text)?;
            let (Some(seq), Some(message)) = (frame.seq, frame.message) else { continue };
            let right = message.trim_end().parse() == Ok(seq);
            self.heard += 1;
            self.doubled += u64::from(seq == self.last);
            self.disordered += u64::from(seq < self.last || !right);
            self.last = self.last.max(seq);
        }
        Ok(())
    }
}

/// All of it together. `Display` is the table.
#[derive(Default)]
pub struct Tally {
    members: u64,
    expected: u64,
    delivered: u64,
    doubled: u64,
    disordered: u64,
    took: Duration,
    cpu: Duration,
    /// KiB, before and at the end.
    resident: (u64, u64),
    /// KiB, while somebody read nothing.
    pub resident_stalled: u64,
    /// Delays, rising, of the quiet room by itself and beside the others.
    pub quiet_alone: Vec<Duration>,
    pub quiet_beside: Vec<Duration>,
}

impl Tally {
    pub fn add(&mut self, report: &Report) {
        self.members += 1;
        self.expected += report.total - report.after;
        self.delivered += report.heard;
        self.doubled += report.doubled;
        self.disordered += report.disordered;
    }

    pub fn conclude(&mut self, took: Duration, before: &Usage, after: &Usage) {
        self.took = took;
        self.cpu = after.cpu.saturating_sub(before.cpu);
        self.resident = (before.resident, after.resident);
    }

    fn missing(&self) -> u64 {
        (self.expected + self.doubled + self.disordered).saturating_sub(self.delivered)
    }

    pub fn is_sound(&self) -> bool {
        self.missing() == 0 && self.doubled == 0 && self.disordered == 0
    }
}

/// The delay that so many in a hundred did not exceed.
fn percentile(delays: &[Duration], hundredths: usize) -> String {
    let rank = (delays.len() * hundredths).div_ceil(100).max(1);
    let delay = delays.get(rank - 1).copied().unwrap_or_default();
    format!("{:.1} ms", delay.as_secs_f64() * 1e3)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deliveries = u32::try_from(self.delivered.max(1)).unwrap_or(u32::MAX);
        let each = self.cpu.as_secs_f64() * 1e6 / f64::from(deliveries);
        let mut rows = vec![
            ("members", self.members.to_string()),
            ("deliveries expected", self.expected.to_string()),
            ("deliveries", self.delivered.to_string()),
            ("missing", self.missing().to_string()),
            ("doubled", self.doubled.to_string()),
            ("out of order", self.disordered.to_string()),
            ("until the last had all", format!("{:.2} s", self.took.as_secs_f64())),
            ("server's CPU time", format!("{:.2} s", self.cpu.as_secs_f64())),
            ("server's memory before", format!("{} KiB", self.resident.0)),
            ("server's memory at the end", format!("{} KiB", self.resident.1)),
        ];
        if self.resident_stalled > 0 {
            let resident = format!("{} KiB", self.resident_stalled);
            rows.push(("server's memory, nothing read", resident));
        } else {
            // Of a stalled member's, storing what it hears is by far the most.
            rows.push(("server's CPU time a delivery", format!("{each:.2} us")));
        }
        for (what, delays) in [("alone", &self.quiet_alone), ("beside", &self.quiet_beside)] {
            if !delays.is_empty() {
                let [p50, p99, max] = [50, 99, 100].map(|rank| percentile(delays, rank));
                writeln!(f, "a quiet room's delay, {what:<9}p50 {p50}, p99 {p99}, max {max}")?;
            }
        }
        for (name, value) in rows {
            writeln!(f, "{name:<32}{value:>14}")?;
        }
        write!(f, "Delays are to the disk and back, and to the other member, in this process.")
    }
}
