//! A database with rooms and messages in it, for the benchmarks of the store.

use std::path::Path;

use parlor::domain::{
    ChatEvent, Delivery, LogId, MessageBody, MessageId, RoomId, RoomName, Slug, Stamp, UserId,
};
use parlor::store::{
    Command, CommitMode, CreateRoom, NewDatabase, NewEvent, Reply, StoreOptions, Writer,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The message that everybody sends: 100 bytes.
const TEXT: &str = "0123456789012345678901234567890123456789012345678901234567890123456789\
                    012345678901234567890123456789";
/// What a server has unless it is told otherwise.
pub const CACHE_BYTES: usize = 64 * 1024 * 1024;
/// Events in one commit.
const BATCH: u64 = 4_096;

pub fn options(directory: &Path, commit: CommitMode) -> StoreOptions {
    StoreOptions { commit, ..StoreOptions::directory(directory, CACHE_BYTES) }
}

pub fn new_database() -> NewDatabase {
    NewDatabase { log: LogId(1), secret: [1; 32] }
}

pub fn user() -> Result<UserId, Failure> {
    UserId::new(1).map_err(|error| error.to_string().into())
}

pub fn room_id(id: u64) -> Result<RoomId, Failure> {
    RoomId::new(id).map_err(|error| error.to_string().into())
}

/// Makes `rooms` rooms, numbered from 1, that hold `rows` messages together, each with an id.
pub fn fill(
    directory: &Path,
    commit: CommitMode,
    rooms: u64,
    rows: u64,
) -> Result<Writer, Failure> {
    let (mut writer, _, _) = Writer::open(&options(directory, commit), &new_database())?;
    for number in 1..=rooms {
        let create = CreateRoom {
            name: RoomName::parse("Room").map_err(|error| error.to_string())?,
            slugs: vec![Slug::parse(&format!("room-{number}")).map_err(|e| e.to_string())?],
            created_by: user()?,
            created_at: 1,
            delivery: Delivery::Immediate,
            reply: Reply::channel().0,
        };
        writer.step(&mut [Command::CreateRoom(create)])?;
    }
    let each = rows / rooms;
    let mut row = 0;
    while row < each * rooms {
        let end = (row + BATCH).min(each * rooms);
        let batch: Result<Vec<Command>, Failure> =
            (row..end).map(|row| event(row, rooms)).collect();
        writer.step(&mut batch?)?;
        row = end;
    }
    Ok(writer)
}

/// A message that has its place in the sequence of `rows`.
pub fn event(row: u64, rooms: u64) -> Result<Command, Failure> {
    let seq = row / rooms + 1;
    let id = format!("filled{row:016}");
    Ok(Command::Event(NewEvent {
        room: room_id(row % rooms + 1)?,
        event: ChatEvent {
            stamp: Stamp { seq, at: 1, count: seq, prev: None },
            user_id: user()?,
            id: Some(MessageId::parse(&id).map_err(|error| error.to_string())?),
            body: body()?,
        },
    }))
}

pub fn body() -> Result<MessageBody, Failure> {
    MessageBody::parse(TEXT, TEXT.len()).map_err(|error| error.to_string().into())
}
