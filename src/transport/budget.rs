//! What multiplies: bytes held for each of many connections have a bound for the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

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
}
