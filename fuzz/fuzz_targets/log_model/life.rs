//! One process: the writer, the hub and a room of the real server over the disk in memory.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};

use parlor::domain::{
    Delivery, Limits, LogId, MessageBody, MessageId, RoomId, RoomName, Slug, UserId,
};
use parlor::hub::{BlockLimits, Connection, Hub, LaneOptions, Reservation, Room};
use parlor::metrics::Metrics;
use parlor::store::{
    Command, CommitMode, Committed, CreateRoom, DrivenWriter, Health, Medium, NewDatabase,
    OpenError, Opened, PageSize, Place, ReadError, Reader, Reply, StoreOptions, WriteQueue, Writer,
};

use crate::client::Wire;
use crate::disk::Disk;

/// Messages that fit in the writer's queue.
pub const QUEUE: usize = 100;
/// A few messages make many blocks, of which some are dropped again.
const BLOCKS: BlockLimits = BlockLimits {
    block: PageSize { events: 6, bytes: 300 },
    align: 4,
    kept_bytes: 5_000,
    pinned_bytes: 3_000,
    lone_bytes: 100,
};

/// A message that has the right to be stored.
pub struct Asked {
    pub user: UserId,
    pub body: MessageBody,
    pub reservation: Option<(MessageId, Reservation)>,
}

/// One process.
pub struct Life {
    pub writer: DrivenWriter,
    pub queue: WriteQueue,
    pub health: Health,
    pub reader: Reader,
    pub hub: Arc<Hub>,
    pub wire: Wire,
    pub connection: Arc<Connection>,
    pub asked: Option<Asked>,
    /// Of which the live side has not heard.
    pub commits: VecDeque<Committed>,
}

pub type Start = (Vec<u8>, String);

/// Where each run begins, so that none has to make a database: one room, nothing said.
pub static STARTS: LazyLock<[Start; 2]> = LazyLock::new(|| {
    [Delivery::Immediate, Delivery::Committed].map(|delivery| {
        let (disk, stop_mark) = (Disk::default(), Arc::default());
        let (mut life, _) = Life::open(&disk, &stop_mark, 1 << 16).expect("a new database");
        let (reply, _) = Reply::channel();
        let create = CreateRoom {
            name: RoomName::parse("room").expect("a name"),
            slugs: vec![Slug::parse("room").expect("a slug")],
            created_by: user(1),
            created_at: 1,
            delivery,
            reply,
        };
        life.queue.submit(Command::CreateRoom(create)).expect("room in the queue");
        life.writer.turn(&mut |_| {}).expect("a good disk");
        life.writer.close().expect("a good disk");
        let mark = stop_mark.lock().expect("nothing panics").clone();
        (disk.image(), mark)
    })
});

pub fn room_id() -> RoomId {
    RoomId::new(1).expect("an id")
}

pub fn user(id: u64) -> UserId {
    UserId::new(id).expect("an id")
}

/// Polls to the end what waits for nobody else.
pub fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..10 {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
    panic!("it waits for ever");
}

impl Life {
    pub fn open(
        disk: &Disk,
        stop_mark: &Arc<Mutex<String>>,
        cache_bytes: usize,
    ) -> Result<(Self, Opened), OpenError> {
        let medium = Medium { bytes: Arc::new(disk.clone()), stop_mark: Arc::clone(stop_mark) };
        let commit = CommitMode::default();
        let options = StoreOptions { place: Place::Medium(medium), cache_bytes, commit };
        let new = NewDatabase { log: LogId(1), secret: [0; 32] };
        let (writer, reader, opened) = Writer::open(&options, &new)?;
        let limits = Limits { writer_queue_messages: QUEUE, ..Limits::default() };
        let metrics = Metrics::new();
        let (writer, queue, health) = DrivenWriter::new(writer, &limits, &metrics);
        let reader = reader.driven();
        let lanes = LaneOptions { most: 1, crowd: 1, held_bytes: 3_000, held_bytes_total: 3_000 };
        let (reads, writes) = (reader.clone(), queue.clone());
        let boot = opened.boot;
        let hub = Hub::with_options(reads, writes, boot, &limits, &metrics, BLOCKS, lanes);
        let wire = Wire::default();
        let connection = wire.connection(9);
        let (asked, commits) = (None, VecDeque::new());
        let life = Self { writer, queue, health, reader, hub, wire, connection, asked, commits };
        Ok((life, opened))
    }

    pub fn room(&self) -> Result<Arc<Room>, ReadError> {
        finish(self.hub.room(room_id())).map(|room| room.expect("it is there"))
    }
}
