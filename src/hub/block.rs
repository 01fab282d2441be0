//! A stretch of a room's log, encoded once for everybody who wants a part of it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::domain::{ChatEvent, RoomId, Seq};
use crate::mutation::{self, Mutation};
use crate::protocol::ChatDraft;
use crate::store::LoggedEvent;
use crate::transport::Budget;

/// What a block takes beside its frames and its index: its place in the map, and so on.
const OVERHEAD_BYTES: usize = 256;

/// All events of a room with a seq in `first..=last`; all of them are committed, so that it stays
/// true for as long as the room is there.
#[derive(Debug)]
pub(super) struct Block {
    first: Seq,
    last: Seq,
    frames: Bytes,
    index: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    seq: Seq,
    /// How many events the room had with this one.
    count: u64,
    /// Where its frame ends.
    end: usize,
}

/// What one member gets of a block, in answer to [`super::Step::ReadLog`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// A slice of what others share.
    pub(super) frames: Bytes,
    /// Everything up to this seq is in it; there may be more behind it.
    pub(super) upto: Seq,
    /// The seq of its last event, and how many the room had with it; `None`: it has none, as in a
    /// gap that a crash has left.
    pub(super) last: Option<(Seq, u64)>,
}

impl Block {
    /// `events`: all of `room` with a seq in `first..=last`.
    pub(super) fn encode(room: RoomId, first: Seq, last: Seq, events: &[LoggedEvent]) -> Self {
        let frame = |LoggedEvent { event, username }: &LoggedEvent| {
            let ChatEvent { stamp, user_id, id, body } = event;
            ChatDraft::new(room, *user_id, username, body, id.as_ref()).stamp(stamp)
        };
        let each: Vec<Bytes> = events.iter().map(frame).collect();
        let mut frames = BytesMut::with_capacity(each.iter().map(Bytes::len).sum());
        let mut index = Vec::with_capacity(events.len());
        for (LoggedEvent { event, .. }, frame) in events.iter().zip(&each) {
            frames.extend_from_slice(frame);
            let (seq, count) = (event.stamp.seq, event.stamp.count);
            index.push(Entry { seq, count, end: frames.len() });
        }
        Self { first, last, frames: frames.freeze(), index }
    }

    /// Has `held` count it until the last slice of its frames is gone.
    pub(super) fn counted(mut self, held: &Arc<Budget>) -> Self {
        let bytes = self.bytes();
        held.add(bytes);
        let held = Arc::clone(held);
        self.frames = Bytes::from_owner(Counted { frames: self.frames, bytes, held });
        self
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.frames.len() + self.index.len() * size_of::<Entry>() + OVERHEAD_BYTES
    }

    pub(super) fn first(&self) -> Seq {
        self.first
    }

    pub(super) fn last(&self) -> Seq {
        self.last
    }

    /// What it has of (`after`, `upto`] for a member that holds everything up to `after`, at most
    /// `most` bytes of frames; one event is always given. `None`: what comes next is not in here.
    pub(super) fn part(&self, after: Seq, upto: Seq, most: usize) -> Option<Part> {
        let next = after + 1;
        if !(self.first..=self.last).contains(&next) || upto < next {
            return None;
        }
        let upto = upto.min(self.last);
        let from = self.index.partition_point(|entry| entry.seq <= after);
        let end_of = |events: usize| events.checked_sub(1).map_or(0, |last| self.index[last].end);
        let wanted = self.index.partition_point(|entry| entry.seq <= upto);
        let end = end_of(from).saturating_add(most);
        let fitting = self.index.partition_point(|entry| entry.end <= end);
        let to = wanted.min(fitting.max(from + 1));
        let upto = if to < wanted { self.index[to - 1].seq } else { upto };
        let skipped = usize::from(mutation::is(Mutation::LastOfPageSkipped));
        let to = to.saturating_sub(skipped).max(from);
        let last = self.index[from..to].last().map(|entry| (entry.seq, entry.count));
        Some(Part { frames: self.frames.slice(end_of(from)..end_of(to)), upto, last })
    }
}

/// Frames that are counted as long as anybody has a slice of them.
struct Counted {
    frames: Bytes,
    bytes: usize,
    held: Arc<Budget>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.frames
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.give_back(self.bytes);
    }
}
