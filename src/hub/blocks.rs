//! Blocks of rooms' logs that are kept for a while: a thousand members that come back at once all
//! want the same tail, and it is read and encoded once.
//!
//! A block is found by the seq that a member needs next, wherever in the block that stands, so that
//! members with different cursors share it. What is not there is read by the first who asks; the
//! others wait for it. A block holds committed events alone and says from which seq to which it
//! knows them all, so it is never wrong later: events are never changed, and what is committed
//! after it is in another block. Two things make blocks invalid. A deleted room's go with it. And
//! because a block holds its authors' names, all blocks go when an account is deleted: that is rare
//! and what is still wanted is read again.
//!
//! Nothing here waits or reads: whoever drives it is told what to do next.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Room;
use super::block::{Block, Part};
use crate::domain::limits::{
    BLOCK_ALIGN, BLOCK_BYTES, BLOCK_EVENTS, BLOCKS_KEPT_BYTES, BLOCKS_PINNED_BYTES, LONE_PART_BYTES,
};
use crate::domain::{RoomId, Seq};
use crate::store::{LogPage, PageSize, ReadError, Snapshot};
use crate::transport::Budget;

/// The bounds of [`Blocks`]; by default those in `domain::limits`.
#[derive(Debug, Clone, Copy)]
pub struct BlockLimits {
    /// Events and bytes of records in one block.
    pub block: PageSize,
    /// A block begins at a multiple of this, if nothing else is in the way.
    pub align: Seq,
    /// Bytes of blocks that are kept for whoever comes next.
    pub kept_bytes: usize,
    /// Bytes of blocks that are not kept but of which some connection still holds a slice; past it,
    /// members get parts of their own.
    pub pinned_bytes: usize,
    /// Bytes of records in such a part; one event is always taken.
    pub lone_bytes: usize,
}

impl Default for BlockLimits {
    fn default() -> Self {
        Self {
            block: PageSize { events: BLOCK_EVENTS, bytes: BLOCK_BYTES },
            align: BLOCK_ALIGN,
            kept_bytes: BLOCKS_KEPT_BYTES,
            pinned_bytes: BLOCKS_PINNED_BYTES,
            lone_bytes: LONE_PART_BYTES,
        }
    }
}

/// All rooms' blocks. Clones are the same.
#[derive(Debug, Clone)]
pub struct Blocks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: BlockLimits,
    state: Mutex<State>,
    /// Bytes of all blocks, kept or only pinned.
    held: Arc<Budget>,
    /// Events encoded so far.
    encoded: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<RoomId, BTreeMap<Seq, Slot>>,
    /// By when each was used last.
    by_use: BTreeMap<u64, (RoomId, Seq)>,
    /// Counts uses, and numbers tickets.
    clock: u64,
    /// Bytes of the blocks in `rooms`.
    kept: usize,
}

/// Where a block begins that has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Where others a few messages behind find what they want in it too.
    Aligned,
    /// With what the member wants next. Who has read a block in vain reads this one: what it read
    /// may be dropped for another's before it comes again, and so on without end.
    Here,
}

/// Stands at the first seq that it knows about.
#[derive(Debug)]
enum Slot {
    Kept {
        block: Arc<Block>,
        used: u64,
    },
    /// Somebody reads it. The sender's end wakes those who wait.
    Reading {
        ticket: u64,
        over: watch::Sender<()>,
    },
}

/// What the driver does next.
#[derive(Debug)]
pub enum Find {
    Found(Part),
    /// Read it, for everybody.
    Read(Ticket),
    /// Somebody reads it: wait until this fails, then ask again.
    Busy(watch::Receiver<()>),
}

/// The duty to read a block; without effect when dropped.
#[derive(Debug)]
pub struct Ticket {
    blocks: Blocks,
    /// 0: of one member alone, kept for nobody.
    number: u64,
    room: RoomId,
    /// What is to be read: `first..=last`, as much as `size` allows.
    first: Seq,
    last: Seq,
    size: PageSize,
    /// What the member wants that got it.
    after: Seq,
    upto: Seq,
    most: usize,
}

impl Blocks {
    #[must_use]
    pub fn new(limits: BlockLimits) -> Self {
        // Never spent: what is over the limit is kept from growing in `find`.
        let held = Budget::new(usize::MAX);
        let state = Mutex::default();
        Self(Arc::new(Shared { limits, state, held, encoded: AtomicU64::new(0) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for what comes behind `after`, up to `upto`, which is committed and greater; of that
    /// the member gets `most` bytes, or one event.
    #[must_use]
    pub fn find(&self, room: &Room, after: Seq, upto: Seq, most: usize, begin: Begin) -> Find {
        let mut state = self.state();
        match state.look(room.id(), after, begin, &self.0.limits) {
            Look::Found(block) => match block.part(after, upto, most) {
                Some(part) => Find::Found(part),
                // It was looked up by what it has.
                None => Find::Read(self.alone(room, after, upto)),
            },
            Look::Busy(over) => Find::Busy(over),
            Look::Nothing { .. } if self.pinned(&state) >= self.0.limits.pinned_bytes => {
                drop(state);
                Find::Read(self.alone(room, after, upto))
            }
            Look::Nothing { first, before } => {
                let number = state.next();
                let slots = state.rooms.entry(room.id()).or_default();
                let over = watch::Sender::new(());
                slots.insert(first, Slot::Reading { ticket: number, over });
                // The more of the log it knows, the more members need nothing else.
                let last = room.committed_seq().max(upto).min(before - 1);
                let blocks = self.clone();
                let (room, size) = (room.id(), self.0.limits.block);
                Find::Read(Ticket { blocks, number, room, first, last, size, after, upto, most })
            }
        }
    }

    /// A small part of a member's own, shared with nobody.
    #[must_use]
    pub fn alone(&self, room: &Room, after: Seq, upto: Seq) -> Ticket {
        let PageSize { events, .. } = self.0.limits.block;
        Ticket {
            blocks: self.clone(),
            number: 0,
            room: room.id(),
            first: after + 1,
            last: upto,
            size: PageSize { events, bytes: self.0.limits.lone_bytes },
            after,
            upto,
            most: usize::MAX,
        }
    }

    /// A room is gone.
    pub fn forget_room(&self, room: RoomId) {
        self.state().forget(room);
    }

    /// A name has changed: whatever was encoded, or is being read, may hold the old one.
    pub fn forget_all(&self) {
        let mut state = self.state();
        // Tickets go on being numbered, so that none of before is taken for one of after.
        *state = State { clock: state.clock, ..State::default() };
    }

    /// Events encoded since the start, for whomever.
    #[must_use]
    pub fn encoded(&self) -> u64 {
        self.0.encoded.load(Ordering::Relaxed)
    }

    /// Bytes of blocks that are kept, and of those that some connection alone still holds.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let state = self.state();
        (state.kept, self.pinned(&state))
    }

    fn pinned(&self, state: &State) -> usize {
        self.0.held.used().saturating_sub(state.kept)
    }
}

/// What [`State::look`] sees.
enum Look {
    Found(Arc<Block>),
    Busy(watch::Receiver<()>),
    /// To be read from `first` on; something else begins at `before`.
    Nothing {
        first: Seq,
        before: Seq,
    },
}

impl State {
    fn next(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn look(&mut self, room: RoomId, after: Seq, begin: Begin, limits: &BlockLimits) -> Look {
        let next = after + 1;
        let now = self.next();
        let start = match begin {
            // From 1: 0 is no seq.
            Begin::Aligned => (next - next % limits.align).max(1),
            Begin::Here => next,
        };
        let Some(slots) = self.rooms.get_mut(&room) else {
            return Look::Nothing { first: start, before: Seq::MAX };
        };
        let before = slots.range(next + 1..).next().map_or(Seq::MAX, |(first, _)| *first);
        let first = match slots.range_mut(..=next).next_back() {
            None => start,
            Some((first, Slot::Kept { block, used })) => {
                if (block.first()..=block.last()).contains(&next) {
                    let block = Arc::clone(block);
                    self.by_use.remove(used);
                    *used = now;
                    self.by_use.insert(now, (room, *first));
                    return Look::Found(block);
                }
                start.max(block.last() + 1)
            }
            Some((first, Slot::Reading { over, .. })) => {
                // How far it will come is not known yet; as far as this if the seqs have no gap.
                let expected = first + limits.block.events as Seq;
                if next < expected {
                    return Look::Busy(over.subscribe());
                }
                start.max(expected)
            }
        };
        Look::Nothing { first, before }
    }

    /// Whether the ticket still stands where it was given out.
    fn is_awaited(&self, ticket: &Ticket) -> bool {
        let slot = self.rooms.get(&ticket.room).and_then(|slots| slots.get(&ticket.first));
        matches!(slot, Some(Slot::Reading { ticket: number, .. }) if *number == ticket.number)
    }

    fn keep(&mut self, room: RoomId, block: Arc<Block>, most: usize) {
        let (first, used) = (block.first(), self.next());
        self.kept += block.bytes();
        self.by_use.insert(used, (room, first));
        self.rooms.entry(room).or_default().insert(first, Slot::Kept { block, used });
        // The newest stays, whatever its size: who read it may need what comes behind it.
        while self.kept > most && self.by_use.len() > 1 {
            let Some((_, (room, first))) = self.by_use.pop_first() else { return };
            self.remove(room, first);
        }
    }

    fn remove(&mut self, room: RoomId, first: Seq) {
        let Some(slots) = self.rooms.get_mut(&room) else { return };
        if let Some(Slot::Kept { block, used }) = slots.remove(&first) {
            self.kept -= block.bytes();
            self.by_use.remove(&used);
        }
        if slots.is_empty() {
            self.rooms.remove(&room);
        }
    }

    fn forget(&mut self, room: RoomId) {
        let slots = self.rooms.get(&room);
        let firsts: Vec<Seq> = slots.into_iter().flat_map(|slots| slots.keys().copied()).collect();
        for first in firsts {
            self.remove(room, first);
        }
    }
}

impl Ticket {
    /// Reads the block and keeps it, if it is still wanted. Gives the part of the member that got
    /// the ticket; `None`: the block ends before it, ask again for one that begins there.
    pub fn read(self, snapshot: &Snapshot) -> Result<Option<Part>, ReadError> {
        let page = snapshot.log(self.room, self.first, self.last, self.size)?;
        Ok(self.fill(page))
    }

    /// The same with what was read.
    fn fill(self, page: LogPage) -> Option<Part> {
        let LogPage { events, complete } = page;
        let last = events.last().map_or(self.last, |last| last.event.stamp.seq);
        let last = if complete { self.last } else { last };
        let block = Block::encode(self.room, self.first, last, &events);
        let Shared { encoded, held, state: _, limits } = &*self.blocks.0;
        encoded.fetch_add(events.len() as u64, Ordering::Relaxed);
        if self.number == 0 {
            return block.part(self.after, self.upto, self.most);
        }
        let block = block.counted(held);
        let part = block.part(self.after, self.upto, self.most);
        let mut state = self.blocks.state();
        if state.is_awaited(&self) {
            state.keep(self.room, Arc::new(block), limits.kept_bytes);
        }
        drop(state);
        part
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.blocks.state();
        if state.is_awaited(self) {
            state.remove(self.room, self.first);
        }
    }
}
