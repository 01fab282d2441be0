//! What all connections of a run share: its clock, its phases and its bookkeeping.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::arguments::{Pace, Plan};
use super::tally::{Micros, Tally};

#[derive(Debug)]
pub struct Run {
    pub tally: Tally,
    pub pace: Pace,
    /// Bytes of each message.
    pub bytes: usize,
    pub with_ids: bool,
    began: Instant,
    /// Cancelled when everybody is in: senders begin.
    pub go: CancellationToken,
    /// Cancelled when nothing more is to be sent.
    pub hush: CancellationToken,
    /// Cancelled when nothing more is expected: connections close.
    pub end: CancellationToken,
    /// What should not have happened, in the server's words, and how often.
    faults: Mutex<BTreeMap<String, u64>>,
}

impl Run {
    pub fn new(plan: &Plan, tally: Tally) -> Self {
        Self {
            tally,
            pace: plan.pace,
            bytes: plan.bytes,
            with_ids: plan.with_ids,
            began: Instant::now(),
            go: CancellationToken::new(),
            hush: CancellationToken::new(),
            end: CancellationToken::new(),
            faults: Mutex::default(),
        }
    }

    pub fn now(&self) -> Micros {
        micros(self.began.elapsed()).max(1)
    }

    pub async fn sleep_until(&self, at: Micros) {
        tokio::time::sleep_until(self.began + Duration::from_micros(at)).await;
    }

    /// Messages that wait for their acks.
    pub fn unacked(&self) -> u64 {
        let counts = &self.tally.counts;
        let sent = if self.with_ids { counts.sent.load(Ordering::Relaxed) } else { 0 };
        sent.saturating_sub(counts.acked.load(Ordering::Relaxed))
    }

    pub fn fault(&self, what: String) {
        *self.faults().entry(what).or_default() += 1;
    }

    pub fn faults(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}
