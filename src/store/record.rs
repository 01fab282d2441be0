//! What a value in a table looks like: one version byte, then the fields in the order written
//! below. The only user of bincode.
//!
//! bincode 2 is pinned: it is no longer maintained and 3.0.0 is an empty release. What it writes
//! with its standard configuration is simple and held by golden bytes in the tests: an integer
//! below 251 is one byte; 251, 252, 253 announce two, four, eight bytes, little-endian; a string is
//! its length as such an integer and its bytes; an option is one byte, 0 or 1, and the value; an
//! enum is its variant's number and the fields. Another codec would be this file and a migration.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

use crate::domain::{
    ChatEvent, Delivery, DisplayName, MessageBody, MessageId, Role, Room, RoomId, RoomName, Seq,
    Slug, Stamp, User, UserId, Username,
};

/// The version that every record is written with. A reader knows all versions up to its own.
const VERSION: u8 = 1;
/// No record is longer, so that a damaged length cannot make the decoder reserve gigabytes.
const RECORD_BYTES: usize = 4 * 1024 * 1024;

const CONFIG: Configuration<LittleEndian, Varint, Limit<RECORD_BYTES>> =
    bincode::config::standard().with_limit::<RECORD_BYTES>();

/// A value that no version of this program wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the record is empty")]
    Empty,
    #[error("the record has version {0}, this program knows versions up to {VERSION}")]
    Version(u8),
    #[error("the record cannot be decoded: {0}")]
    Malformed(String),
    #[error("{0} bytes follow the record")]
    Trailing(usize),
    #[error("the record holds an impossible {0}")]
    Impossible(&'static str),
}

/// What this file alone can make a record; the bound by which others name one.
pub trait Record: Encode + Decode<()> {}

impl Record for UserRecord {}
impl Record for SessionRecord {}
impl Record for RoomRecord {}
impl Record for EventRecord {}

/// Version byte and fields.
pub fn encode<T: Record>(record: &T) -> Result<Vec<u8>, RecordError> {
    let mut bytes = vec![VERSION];
    bincode::encode_into_std_write(record, &mut bytes, CONFIG)
        .map_err(|error| RecordError::Malformed(error.to_string()))?;
    Ok(bytes)
}

pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, RecordError> {
    let (&version, rest) = bytes.split_first().ok_or(RecordError::Empty)?;
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    let (record, read) = bincode::decode_from_slice(rest, CONFIG)
        .map_err(|error| RecordError::Malformed(error.to_string()))?;
    if read == rest.len() { Ok(record) } else { Err(RecordError::Trailing(rest.len() - read)) }
}

/// An account. Its row stays when the account is deleted, without what it said of the person.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UserRecord {
    /// `None`: deleted.
    pub username: Option<String>,
    pub display_name: String,
    /// A PHC string; empty once deleted.
    pub password_hash: String,
    /// 0 member, 1 admin.
    pub role: u8,
    pub created_at: u64,
}

/// One sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SessionRecord {
    pub created_at: u64,
    /// When its newest token ends.
    pub expires_at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RoomRecord {
    pub slug: String,
    pub name: String,
    pub created_by: u64,
    pub created_at: u64,
    /// 0 immediate, 1 committed.
    pub delivery: u8,
}

/// One event of a room's log: what every kind has, and the kind.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EventRecord {
    pub at: u64,
    /// How many events the room has had, this one included.
    pub count: u64,
    /// The seq before this one, where seqs jump.
    pub prev: Option<u64>,
    pub kind: EventKind,
}

/// Edits, deletions and reactions will be further kinds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum EventKind {
    Chat { user_id: u64, id: Option<String>, body: String },
}

impl UserRecord {
    /// `None` for a deleted account.
    pub(super) fn user(&self, user_id: u64) -> Result<Option<User>, RecordError> {
        let Some(username) = &self.username else { return Ok(None) };
        Ok(Some(User {
            user_id: UserId::new(user_id).map_err(|_| RecordError::Impossible("user id"))?,
            username: Username::from_stored(username),
            display_name: DisplayName::from_stored(&self.display_name),
            role: match self.role {
                0 => Role::Member,
                1 => Role::Admin,
                _ => return Err(RecordError::Impossible("role")),
            },
            created_at: self.created_at,
        }))
    }
}

impl RoomRecord {
    pub(super) fn new(room: &Room) -> Self {
        Self {
            slug: room.slug.as_str().to_owned(),
            name: room.name.as_str().to_owned(),
            created_by: room.created_by.get(),
            created_at: room.created_at,
            delivery: match room.delivery {
                Delivery::Immediate => 0,
                Delivery::Committed => 1,
            },
        }
    }

    pub(super) fn room(&self, room_id: u64) -> Result<Room, RecordError> {
        Ok(Room {
            room_id: RoomId::new(room_id).map_err(|_| RecordError::Impossible("room id"))?,
            slug: Slug::from_stored(&self.slug),
            name: RoomName::from_stored(&self.name),
            created_by: UserId::new(self.created_by)
                .map_err(|_| RecordError::Impossible("creator"))?,
            created_at: self.created_at,
            delivery: match self.delivery {
                0 => Delivery::Immediate,
                1 => Delivery::Committed,
                _ => return Err(RecordError::Impossible("delivery")),
            },
        })
    }
}

impl EventRecord {
    pub(super) fn new(event: &ChatEvent) -> Self {
        Self {
            at: event.stamp.at,
            count: event.stamp.count,
            prev: event.stamp.prev,
            kind: EventKind::Chat {
                user_id: event.user_id.get(),
                id: event.id.as_ref().map(|id| id.as_str().to_owned()),
                body: event.body.as_str().to_owned(),
            },
        }
    }

    pub(super) fn event(&self, seq: Seq) -> Result<ChatEvent, RecordError> {
        let EventKind::Chat { user_id, id, body } = &self.kind;
        Ok(ChatEvent {
            stamp: Stamp { seq, at: self.at, count: self.count, prev: self.prev },
            user_id: UserId::new(*user_id).map_err(|_| RecordError::Impossible("user id"))?,
            id: id.as_deref().map(MessageId::from_stored),
            body: MessageBody::from_stored(body),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event_record() -> EventRecord {
        EventRecord {
            at: 1_700_000_000_000,
            count: 250,
            prev: Some(251),
            kind: EventKind::Chat {
                user_id: 70_000,
                id: Some("c1".to_owned()),
                body: "hi".to_owned(),
            },
        }
    }

    /// The layout is the file format: these bytes never change for version 1.
    #[test]
    fn golden_bytes() {
        let event = [
            1, // version
            253, 0, 104, 229, 207, 139, 1, 0, 0,   // at
            250, // count
            1, 251, 251, 0, // prev
            0, // chat
            252, 112, 17, 1, 0, // user id
            1, 2, b'c', b'1', // id
            2, b'h', b'i', // body
        ];
        assert_eq!(encode(&event_record()).unwrap(), event);
        assert_eq!(decode::<EventRecord>(&event).unwrap(), event_record());

        let user = UserRecord {
            username: Some("ann".to_owned()),
            display_name: "Ann".to_owned(),
            password_hash: "$x".to_owned(),
            role: 1,
            created_at: 9,
        };
        let bytes = [1, 1, 3, b'a', b'n', b'n', 3, b'A', b'n', b'n', 2, b'$', b'x', 1, 9];
        assert_eq!(encode(&user).unwrap(), bytes);

        let session = SessionRecord { created_at: 1, expires_at: 2 };
        assert_eq!(encode(&session).unwrap(), [1, 1, 2]);

        let room = RoomRecord {
            slug: "a".to_owned(),
            name: "A".to_owned(),
            created_by: 1,
            created_at: 2,
            delivery: 0,
        };
        assert_eq!(encode(&room).unwrap(), [1, 1, b'a', 1, b'A', 1, 2, 0]);
        let committed = RoomRecord { delivery: 1, ..room };
        let committed = committed.room(1).unwrap();
        assert_eq!(committed.delivery, Delivery::Committed);
        assert_eq!(RoomRecord::new(&committed).delivery, 1);
    }

    #[test]
    fn damage_is_an_error_never_a_panic() {
        let good = encode(&event_record()).unwrap();
        assert_eq!(decode::<EventRecord>(&[]), Err(RecordError::Empty));
        assert_eq!(decode::<EventRecord>(&[2, 0]), Err(RecordError::Version(2)));
        for cut in 1..good.len() {
            assert!(decode::<EventRecord>(&good[..cut]).is_err(), "cut at {cut}");
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert_eq!(decode::<EventRecord>(&longer), Err(RecordError::Trailing(1)));
        // A string that claims to have four gigabytes.
        assert!(
            decode::<SessionRecord>(&[1, 253, 255, 255, 255, 255, 255, 255, 255, 255]).is_err()
        );
        let greedy = [1, 1, 252, 255, 255, 255, 255];
        assert!(decode::<UserRecord>(&greedy).is_err());
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_went(
            at: u64, count: u64, prev: Option<u64>, user_id: u64, id: Option<String>, body: String,
        ) {
            let kind = EventKind::Chat { user_id, id, body };
            let record = EventRecord { at, count, prev, kind };
            prop_assert_eq!(decode::<EventRecord>(&encode(&record).unwrap()).unwrap(), record);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode::<EventRecord>(&bytes);
            let _ = decode::<UserRecord>(&bytes);
            let _ = decode::<RoomRecord>(&bytes);
            let _ = decode::<SessionRecord>(&bytes);
        }
    }
}
