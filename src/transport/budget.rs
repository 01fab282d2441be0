//! What multiplies: bytes held for each of many connections have a bound for the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

/// Counts bytes that connections hold, all together. It is asked before and told after, so it can
/// be exceeded by what one asks for at a time.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    max: usize,
}

impl Budget {
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }

    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.max
    }

    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub fn add(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// `bytes`, counted until nobody holds a part of them any more.
    #[must_use]
    pub fn hold(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        self.add(bytes.len());
        Bytes::from_owner(Held { bytes, budget: Arc::clone(self) })
    }
}

/// What one connection holds of a budget.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    used: AtomicUsize,
    /// Rung when nothing is held any more.
    emptied: Notify,
}

impl Share {
    #[must_use]
    pub fn of(budget: &Arc<Budget>) -> Arc<Self> {
        let budget = Arc::clone(budget);
        Arc::new(Self { budget, used: AtomicUsize::new(0), emptied: Notify::new() })
    }

    /// Whether all connections together hold too much, and each takes only little at a time.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.budget.is_spent()
    }

    /// Waits until it may hold more: with the budget spent, who holds nothing goes on.
    pub async fn room(&self) {
        while self.is_short() && self.used.load(Ordering::Acquire) > 0 {
            self.emptied.notified().await;
        }
    }

    /// As [`Budget::hold`].
    #[must_use]
    pub fn hold(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        self.used.fetch_add(bytes.len(), Ordering::AcqRel);
        let bytes = self.budget.hold(bytes);
        Bytes::from_owner(HeldByOne { bytes, share: Arc::clone(self) })
    }
}

struct HeldByOne {
    bytes: Bytes,
    share: Arc<Share>,
}

impl AsRef<[u8]> for HeldByOne {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for HeldByOne {
    fn drop(&mut self) {
        let bytes = self.bytes.len();
        if self.share.used.fetch_sub(bytes, Ordering::AcqRel) == bytes {
            self.share.emptied.notify_one();
        }
    }
}

struct Held {
    bytes: Vec<u8>,
    budget: Arc<Budget>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn what_is_held_counts_until_its_last_part_is_dropped() {
        let budget = Budget::new(4);
        let bytes = budget.hold(b"12345".to_vec());
        assert!(budget.is_spent());
        let part = bytes.slice(1..3);
        drop(bytes);
        assert_eq!((&part[..], budget.used()), (&b"23"[..], 5));
        drop(part);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn with_the_budget_spent_only_who_holds_nothing_goes_on() {
        let budget = Budget::new(4);
        let (one, other) = (Share::of(&budget), Share::of(&budget));
        let bytes = one.hold(b"1234".to_vec());
        assert!(other.room().now_or_never().is_some());
        let mut room = Box::pin(one.room());
        assert!(room.as_mut().now_or_never().is_none());
        drop(bytes);
        assert!(room.as_mut().now_or_never().is_some());
    }
}
