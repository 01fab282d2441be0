//! Applying what makes and removes rooms. Slugs are decided here, where nothing can race.

use redb::{ReadableTable, WriteTransaction};

use super::ReadError;
use super::command::{CreateRoom, DeleteRoom, SlugTaken};
use super::record::{self, RecordError, RoomRecord};
use super::schema::{read_u64, write_u64};
use super::tables::{HEADS, META, META_LAST_ROOM, PURGES, ROOM_BY_SLUG, ROOMS};
use crate::domain::{Room, RoomId};

/// The room that is made; `None`: its slug is taken.
pub(super) fn create(
    transaction: &WriteTransaction,
    command: &mut CreateRoom,
    boot: u64,
) -> Result<Option<RoomId>, ReadError> {
    let mut by_slug = transaction.open_table(ROOM_BY_SLUG)?;
    let mut free = None;
    for slug in &command.slugs {
        if by_slug.get(slug.as_str())?.is_none() {
            free = Some(slug.clone());
            break;
        }
    }
    let Some(slug) = free else {
        command.reply.settle(Err(SlugTaken));
        return Ok(None);
    };
    let mut meta = transaction.open_table(META)?;
    let number = read_u64(&meta, META_LAST_ROOM)? + 1;
    let room_id = RoomId::new(number).map_err(|_| RecordError::Impossible("room id"))?;
    let room = Room {
        room_id,
        slug,
        name: command.name.clone(),
        created_by: command.created_by,
        created_at: command.created_at,
        delivery: command.delivery,
    };
    write_u64(&mut meta, META_LAST_ROOM, number)?;
    by_slug.insert(room.slug.as_str(), number)?;
    let record = record::encode(&RoomRecord::new(&room))?;
    transaction.open_table(ROOMS)?.insert(number, record.as_slice())?;
    // From the beginning a room knows in which boot its next seq continues.
    transaction.open_table(HEADS)?.insert(number, (0, boot, 0))?;
    command.reply.settle(Ok(room));
    Ok(Some(room_id))
}

/// The room is gone at once; its events go bit by bit, by [`super::events::purge`].
pub(super) fn delete(
    transaction: &WriteTransaction,
    command: &mut DeleteRoom,
) -> Result<(), ReadError> {
    let room_id = command.room.get();
    let mut rooms = transaction.open_table(ROOMS)?;
    let record = match rooms.remove(room_id)? {
        Some(value) => Some(record::decode::<RoomRecord>(value.value())?),
        None => None,
    };
    if let Some(record) = record {
        transaction.open_table(ROOM_BY_SLUG)?.remove(record.slug.as_str())?;
        transaction.open_table(HEADS)?.remove(room_id)?;
        transaction.open_table(PURGES)?.insert(room_id, ())?;
    }
    command.reply.settle(());
    Ok(())
}
