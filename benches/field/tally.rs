//! What was sent and what arrived: nothing missing, doubled or out of order?

use std::collections::HashMap;
use std::ops::Range;

/// Counts of deliveries. A member is to hear the messages of each sender, numbered from 0, once and
/// in order.
pub struct Tally {
    senders: usize,
    /// For each member and sender, the number that comes next.
    next: Vec<u32>,
    /// The last seq of each member.
    seqs: Vec<u64>,
    /// Numbers that were skipped, by place in `next`.
    gaps: HashMap<usize, Vec<Range<u32>>>,
    pub delivered: u64,
    pub doubled: u64,
    pub disordered: u64,
}

impl Tally {
    pub fn new(members: usize, senders: usize) -> Self {
        Self {
            senders,
            next: vec![0; members * senders],
            seqs: vec![0; members],
            gaps: HashMap::new(),
            delivered: 0,
            doubled: 0,
            disordered: 0,
        }
    }

    /// `seq`: if the server gives any.
    pub fn hear(&mut self, member: usize, sender: usize, number: u32, seq: Option<u64>) {
        let place = member * self.senders + sender;
        let next = &mut self.next[place];
        let mut in_order = true;
        if number == *next {
            self.delivered += 1;
            *next += 1;
        } else if number > *next {
            self.gaps.entry(place).or_default().push(*next..number);
            self.delivered += 1;
            *next = number + 1;
        } else if self.fill(place, number) {
            self.delivered += 1;
            in_order = false;
        } else {
            self.doubled += 1;
            return;
        }
        if let Some(seq) = seq {
            in_order &= seq > self.seqs[member];
            self.seqs[member] = seq;
        }
        self.disordered += u64::from(!in_order);
    }

    /// Whether the number was skipped before; then it is no longer.
    fn fill(&mut self, place: usize, number: u32) -> bool {
        let Some(gaps) = self.gaps.get_mut(&place) else { return false };
        let Some(found) = gaps.iter().position(|gap| gap.contains(&number)) else { return false };
        let gap = gaps.swap_remove(found);
        gaps.extend(
            [gap.start..number, number + 1..gap.end].into_iter().filter(|gap| !gap.is_empty()),
        );
        true
    }
}
