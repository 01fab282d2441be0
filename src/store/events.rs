//! Applying events, and removing those of deleted rooms.

use std::collections::BTreeMap;

use redb::{ReadableTable, WriteTransaction};

use super::command::NewEvent;
use super::record::{self, EventKind, EventRecord};
use super::tables::{BY_CLIENT_ID, EVENTS, HEADS, PURGES};
use super::{Command, ReadError};
use crate::domain::limits::PURGE_EVENTS;
use crate::domain::{RoomId, Seq, Stamp};

/// Writes events in the order in which they were published. Writing one again changes nothing.
/// Gives each room's last stamp. Rooms are written in the order of their ids, so that what happens
/// to the disk follows from the events alone.
pub(super) fn apply<'a>(
    transaction: &WriteTransaction,
    events: impl Iterator<Item = &'a NewEvent>,
    boot: u64,
) -> Result<BTreeMap<RoomId, Stamp>, ReadError> {
    let mut table = transaction.open_table(EVENTS)?;
    let mut by_client_id = transaction.open_table(BY_CLIENT_ID)?;
    let mut last: BTreeMap<RoomId, Stamp> = BTreeMap::new();
    for NewEvent { room, event } in events {
        let record = record::encode(&EventRecord::new(event))?;
        table.insert((room.get(), event.stamp.seq), record.as_slice())?;
        if let Some(id) = &event.id {
            let key = (event.user_id.get(), id.as_str(), room.get());
            by_client_id.insert(key, event.stamp.seq)?;
        }
        let before = last.insert(*room, event.stamp);
        debug_assert!(before.is_none_or(|before| before.seq < event.stamp.seq));
    }
    let mut heads = transaction.open_table(HEADS)?;
    for (room, stamp) in &last {
        heads.insert(room.get(), (stamp.seq, boot, stamp.count))?;
    }
    Ok(last)
}

/// The event that a command is, if it is one.
pub(super) fn as_event(command: &Command) -> Option<&NewEvent> {
    if let Command::Event(event) = command { Some(event) } else { None }
}

pub(super) fn purge_pending(transaction: &WriteTransaction) -> Result<bool, ReadError> {
    Ok(transaction.open_table(PURGES)?.first()?.is_some())
}

/// Removes some events of one deleted room.
pub(super) fn purge(transaction: &WriteTransaction) -> Result<(), ReadError> {
    let mut purges = transaction.open_table(PURGES)?;
    let Some(room) = purges.first()?.map(|(room, _)| room.value()) else { return Ok(()) };
    let mut events = transaction.open_table(EVENTS)?;
    let mut by_client_id = transaction.open_table(BY_CLIENT_ID)?;
    let mut removed: Vec<(Seq, Option<(u64, String)>)> = Vec::new();
    for entry in events.range((room, 0)..=(room, Seq::MAX))?.take(PURGE_EVENTS) {
        let (key, value) = entry?;
        // A damaged record goes too; its client's id then leads nowhere, in a room that is gone.
        let client_id = record::decode::<EventRecord>(value.value()).ok().and_then(|record| {
            let EventKind::Chat { user_id, id, .. } = record.kind;
            id.map(|id| (user_id, id))
        });
        removed.push((key.value().1, client_id));
    }
    for (seq, client_id) in &removed {
        events.remove((room, *seq))?;
        if let Some((user, id)) = client_id {
            by_client_id.remove((*user, id.as_str(), room))?;
        }
    }
    if removed.len() < PURGE_EVENTS {
        purges.remove(room)?;
    }
    Ok(())
}
