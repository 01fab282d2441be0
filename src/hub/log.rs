//! Catching up: parts of rooms' logs, from the blocks that are kept or from the store.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Room;
use super::block::Part;
use super::blocks::{Begin, BlockLimits, Blocks, Find};
use crate::domain::Seq;
use crate::domain::limits::{CATCH_UP_READS, CATCH_UP_TURNS, LONE_PART_BYTES};
use crate::store::{ReadError, Reader};

#[derive(Debug)]
pub struct Log {
    pub blocks: Blocks,
    reader: Reader,
    /// Catching up leaves threads to those who look something up.
    reads: Semaphore,
    turns: Semaphore,
}

/// Lets the next one have its turn when dropped.
#[derive(Debug)]
pub struct Turn<'a>(#[expect(dead_code, reason = "held")] Option<SemaphorePermit<'a>>);

impl Log {
    #[must_use]
    pub(super) fn new(reader: Reader, limits: BlockLimits) -> Self {
        let blocks = Blocks::new(limits);
        let (reads, turns) = (Semaphore::new(CATCH_UP_READS), Semaphore::new(CATCH_UP_TURNS));
        Self { blocks, reader, reads, turns }
    }

    /// Waits for a member's turn to catch up by one part, which ends once that part is queued: a
    /// thousand that do so at once would otherwise all stand before whatever else there is to do.
    pub async fn turn(&self) -> Turn<'_> {
        // It is never closed.
        Turn(self.turns.acquire().await.ok())
    }

    /// The beginning of (`after`, `upto`] of `room`, or all of it: the answer to
    /// [`super::Step::ReadLog`]. A crowd that asks for the same is answered by one read.
    /// `short`: bytes are scarce, and it shall be little.
    pub async fn part(
        &self,
        room: &Room,
        after: Seq,
        upto: Seq,
        short: bool,
    ) -> Result<Part, ReadError> {
        let most = if short { LONE_PART_BYTES } else { usize::MAX };
        let mut begin = Begin::Aligned;
        loop {
            match self.blocks.find(room, after, upto, most, begin) {
                Find::Found(part) => return Ok(part),
                Find::Busy(mut reading) => {
                    // Nothing is ever sent: it fails when the reading is over.
                    let _ = reading.changed().await;
                }
                Find::Read(ticket) => {
                    let _one_of_few = self.reads.acquire().await.map_err(|_| ReadError::Closed)?;
                    let read = self.reader.read(move |snapshot| ticket.read(snapshot)).await?;
                    if let Some(part) = read {
                        return Ok(part);
                    }
                    begin = Begin::Here;
                }
            }
        }
    }

    /// The same on the caller's thread, for drivers that have no runtime.
    pub fn part_now(&self, room: &Room, after: Seq, upto: Seq) -> Result<Part, ReadError> {
        let mut begin = Begin::Aligned;
        loop {
            let ticket = match self.blocks.find(room, after, upto, usize::MAX, begin) {
                Find::Found(part) => return Ok(part),
                Find::Read(ticket) => ticket,
                // Whoever reads it cannot go on before this does.
                Find::Busy(_) => self.blocks.alone(room, after, upto),
            };
            let read = self.reader.read_now(|snapshot| ticket.read(snapshot))?;
            if let Some(part) = read {
                return Ok(part);
            }
            begin = Begin::Here;
        }
    }
}
