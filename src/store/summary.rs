//! Rooms as a list of them shows them: less of each than whoever enters it needs, so cheaper.

use redb::ReadableTable;

use super::record::{self, RoomRecord};
use super::tables::{HEADS, ROOMS};
use super::{ReadError, Snapshot};
use crate::domain::{Room, RoomId, Seq};

/// A room and how far its log has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSummary {
    pub room: Room,
    /// The last seq; 0: none.
    pub head: Seq,
    pub count: u64,
}

impl Snapshot {
    /// Rooms by rising id after `after`, and whether there are more.
    pub fn summaries(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<RoomSummary>, bool), ReadError> {
        let rooms = self.transaction.open_table(ROOMS)?;
        let heads = self.transaction.open_table(HEADS)?;
        let mut summaries = Vec::new();
        for entry in rooms.range(after.saturating_add(1)..)? {
            if summaries.len() == limit {
                return Ok((summaries, true));
            }
            let (id, record) = entry?;
            summaries.push(summary(id.value(), record.value(), &heads)?);
        }
        Ok((summaries, false))
    }

    /// Each of these rooms; `None`: it is gone.
    pub fn summaries_of(&self, ids: &[RoomId]) -> Result<Vec<Option<RoomSummary>>, ReadError> {
        let rooms = self.transaction.open_table(ROOMS)?;
        let heads = self.transaction.open_table(HEADS)?;
        let find = |id: &RoomId| match rooms.get(id.get())? {
            Some(record) => summary(id.get(), record.value(), &heads).map(Some),
            None => Ok(None),
        };
        ids.iter().map(find).collect()
    }
}

fn summary(
    id: u64,
    record: &[u8],
    heads: &impl ReadableTable<u64, (u64, u64, u64)>,
) -> Result<RoomSummary, ReadError> {
    let room = record::decode::<RoomRecord>(record)?.room(id)?;
    let head = heads.get(id)?.ok_or(ReadError::Inconsistent("a room has no head"))?;
    let (head, _, count) = head.value();
    Ok(RoomSummary { room, head, count })
}
