//! Catching up: parts of rooms' logs, from the blocks that are kept or from the store.

use tokio::sync::Semaphore;

use super::Room;
use super::block::Part;
use super::blocks::{BlockLimits, Blocks, Find};
use crate::domain::Seq;
use crate::domain::limits::CATCH_UP_READS;
use crate::store::{ReadError, Reader};

#[derive(Debug)]
pub struct Log {
    pub blocks: Blocks,
    reader: Reader,
    /// Catching up leaves threads to those who look something up.
    reads: Semaphore,
}

impl Log {
    #[must_use]
    pub(super) fn new(reader: Reader, limits: BlockLimits) -> Self {
        let blocks = Blocks::new(limits);
        Self { blocks, reader, reads: Semaphore::new(CATCH_UP_READS) }
    }

    /// The beginning of (`after`, `upto`] of `room`, or all of it: the answer to
    /// [`super::Step::ReadLog`]. A crowd that asks for the same is answered by one read.
    pub async fn part(&self, room: &Room, after: Seq, upto: Seq) -> Result<Part, ReadError> {
        loop {
            match self.blocks.find(room, after, upto) {
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
                }
            }
        }
    }

    /// The same on the caller's thread, for drivers that have no runtime.
    pub fn part_now(&self, room: &Room, after: Seq, upto: Seq) -> Result<Part, ReadError> {
        loop {
            let ticket = match self.blocks.find(room, after, upto) {
                Find::Found(part) => return Ok(part),
                Find::Read(ticket) => ticket,
                // Whoever reads it cannot go on before this does.
                Find::Busy(_) => self.blocks.alone(room, after, upto),
            };
            let read = self.reader.read_now(|snapshot| ticket.read(snapshot))?;
            if let Some(part) = read {
                return Ok(part);
            }
        }
    }
}
