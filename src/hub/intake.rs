//! What a lane has taken out of its room's channel and not handed out yet.
//!
//! In a room where nobody hears a message before its commit, one commit covers far more than the
//! channel holds. The lane takes it in here meanwhile, once for all its members.

use std::collections::VecDeque;

use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::sync::watch;

use super::state::Item;
use crate::domain::Seq;
use crate::domain::limits::LANE_BATCH_BYTES;
use crate::mutation::{self, Mutation};

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
    /// their commit, and one item more.
    pub(super) fn new(
        live: broadcast::Receiver<Item>,
        next: u64,
        committed: Option<watch::Receiver<Seq>>,
        held_bytes: usize,
    ) -> Self {
        let most = if committed.is_some() { held_bytes } else { LANE_BATCH_BYTES };
        Self { live, next, committed, waiting: VecDeque::new(), bytes: 0, most }
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
            if self.bytes >= self.most {
                if self.waiting.front().is_some_and(|item| self.may_be_heard(item)) {
                    return Received::Open;
                }
                return self.miss(0);
            }
            match self.live.try_recv() {
                Ok(item) => {
                    self.next += 1;
                    self.bytes += item.frames().len();
                    self.waiting.push_back(item);
                }
                Err(TryRecvError::Empty) => return Received::Open,
                Err(TryRecvError::Closed) => return Received::Closed,
                Err(TryRecvError::Lagged(missed)) => return self.miss(missed),
            }
        }
    }

    /// What waits is of no use without what follows it.
    fn miss(&mut self, missed: u64) -> Received {
        self.next += missed;
        self.waiting.clear();
        self.bytes = 0;
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
        self.bytes -= bytes;
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
