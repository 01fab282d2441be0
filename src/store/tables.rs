//! The tables. A table's name and types are for ever: a change is a new table and a migration.

use redb::TableDefinition;

/// Facts about the database itself; the keys are the constants below.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// user id -> [`super::record::UserRecord`].
pub(super) const USERS: TableDefinition<u64, &[u8]> = TableDefinition::new("users");
/// Folded name -> user id.
pub(super) const USER_BY_NAME: TableDefinition<&str, u64> = TableDefinition::new("user_by_name");
/// (user id, session id) -> [`super::record::SessionRecord`].
pub(super) const SESSIONS: TableDefinition<(u64, u128), &[u8]> = TableDefinition::new("sessions");
/// room id -> [`super::record::RoomRecord`].
pub(super) const ROOMS: TableDefinition<u64, &[u8]> = TableDefinition::new("rooms");
/// slug -> room id.
pub(super) const ROOM_BY_SLUG: TableDefinition<&str, u64> = TableDefinition::new("room_by_slug");
/// room id -> (seq, boot, count) of its last event.
pub(super) const HEADS: TableDefinition<u64, (u64, u64, u64)> = TableDefinition::new("heads");
/// (room id, seq) -> [`super::record::EventRecord`].
pub(super) const EVENTS: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("events");
/// (user id, the client's own id, room id) -> seq. In this order: rising ids of one user stay
/// neighbours, which is several times cheaper to write than to scatter them over rooms.
pub(super) const BY_CLIENT_ID: TableDefinition<(u64, &str, u64), u64> =
    TableDefinition::new("by_client_id");
/// Deleted rooms whose events are still being removed.
pub(super) const PURGES: TableDefinition<u64, ()> = TableDefinition::new("purges");

/// u64, little-endian: the version of all of the above.
pub(super) const META_SCHEMA: &str = "schema";
/// u128, little-endian: the name of this database, for ever.
pub(super) const META_LOG: &str = "log";
/// u64: how many starts followed a stop that was not clean.
pub(super) const META_BOOT: &str = "boot";
/// u64: 1 between a clean stop and the next start.
pub(super) const META_CLEAN: &str = "clean";
/// u64: the number of the last batch that was committed.
pub(super) const META_BATCH: &str = "batch";
/// The bytes that sign tokens, unless the configuration has a secret.
pub(super) const META_SECRET: &str = "secret";
/// u64: the last user id given.
pub(super) const META_LAST_USER: &str = "last_user";
/// u64: the last room id given.
pub(super) const META_LAST_ROOM: &str = "last_room";
