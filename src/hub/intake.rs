//! What a lane has taken out of its room's channel and not handed out yet.
//!
//! In a room where nobody hears a message before its commit, one commit covers far more than the
//! channel holds. The lane takes it in here meanwhile, once for all its members.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::sync::watch;

use super::state::Item;
use crate::domain::Seq;
use crate::domain::limits::LANE_BATCH_BYTES;
use crate::mutation::{self, Mutation};
use crate::transport::Budget;

#[derive(Debug)]
pub(super) struct Intake {
    live: broadcast::Receiver<Item>,
    /// The place in the room's channel of what comes next.
    next: u64,
    /// In a room where nobody hears anything before it is committed: the last committed seq.
    committed: Option<watch::Receiver<Seq>>,
    waiting: VecDeque<Item>,
    /// Bytes of frames that wait.
    bytes: usize,
    /// From so many on nothing more is taken.
    most: usize,
    /// What waits for its commit in all lanes.
    held: Arc<Budget>,
}

/// How it stands with the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// What was there is taken, or as much as may wait.
    Open,
    /// Something is lost, and everything before it: it has to be looked for in the log.
    Missed,
    /// The room is no more.
    Closed,
}

impl Intake {
    /// `next`: items that went into the channel before. `held_bytes`: of frames that may wait for
    /// their commit, and one item more; `held`: of those in all lanes.
    pub(super) fn new(
        live: broadcast::Receiver<Item>,
        next: u64,
        committed: Option<watch::Receiver<Seq>>,
        held_bytes: usize,
        held: Arc<Budget>,
    ) -> Self {
        let most = if committed.is_some() { held_bytes } else { LANE_BATCH_BYTES };
        Self { live, next, committed, waiting: VecDeque::new(), bytes: 0, most, held }
    }

    /// Items of the channel that were received, or missed.
    pub(super) fn received(&self) -> u64 {
        self.next
    }

    /// The place of the first that is not handed out.
    pub(super) fn oldest(&self) -> u64 {
        self.next - self.waiting.len() as u64
    }

    pub(super) fn holds_back(&self) -> bool {
        self.committed.is_some()
    }

    /// Takes what is in the channel. Publishers wait for this and must never wait for the disk: so
    /// nothing is left in the channel for want of a commit.
    pub(super) fn receive(&mut self) -> Received {
        loop {
            if self.is_full() {
                if self.waiting.front().is_some_and(|item| self.may_be_heard(item)) {
                    return Received::Open;
                }
                return self.miss(0);
            }
            match self.live.try_recv() {
                Ok(item) => {
                    self.next += 1;
                    self.count(item.frames().len());
                    self.waiting.push_back(item);
                }
                Err(TryRecvError::Empty) => return Received::Open,
                Err(TryRecvError::Closed) => return Received::Closed,
                Err(TryRecvError::Lagged(missed)) => return self.miss(missed),
            }
        }
    }

    /// Whether the lane's own part is used up; or what all lanes have together, of which this one
    /// holds something.
    fn is_full(&self) -> bool {
        self.bytes >= self.most || self.holds_back() && self.bytes > 0 && self.held.is_spent()
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.holds_back() {
            self.held.add(bytes);
        }
    }

    fn count_off(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if self.holds_back() {
            self.held.give_back(bytes);
        }
    }

    /// What waits is of no use without what follows it.
    fn miss(&mut self, missed: u64) -> Received {
        self.next += missed;
        self.waiting.clear();
        self.count_off(self.bytes);
        if mutation::is(Mutation::MissForgotten) { Received::Open } else { Received::Missed }
    }

    /// The next that may be heard, one write's worth, and the place of the first in the channel.
    pub(super) fn take(&mut self) -> (u64, Vec<Item>) {
        let first = self.oldest();
        let (mut items, mut bytes) = (Vec::new(), 0);
        while bytes < LANE_BATCH_BYTES
            && self.waiting.front().is_some_and(|item| self.may_be_heard(item))
            && let Some(item) = self.waiting.pop_front()
        {
            bytes += item.frames().len();
            items.push(item);
        }
        self.count_off(bytes);
        if self.waiting.is_empty() {
            // Its room may be quiet from now on.
            self.waiting = VecDeque::new();
        }
        (first, items)
    }

    /// Whether it may go out, if all before it has.
    fn may_be_heard(&self, item: &Item) -> bool {
        match (item, &self.committed) {
            (Item::Events { last, .. }, Some(committed)) => *committed.borrow() >= *last,
            _ => true,
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.count_off(self.bytes);
    }
}
