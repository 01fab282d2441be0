//! Rooms and subscriptions over a real store, stepped by hand on one thread.

use std::cell::Cell;
use std::sync::Arc;

use futures_util::FutureExt;
use tempfile::TempDir;

use super::{
    BlockLimits, Connection, Gone, Hub, LaneOptions, Member, Position, Post, PublishError, Reserve,
    Room, Step, Subscription,
};
use crate::domain::limits::SEQ_JUMP;
use crate::domain::{
    Delivery, Limits, LogId, MessageBody, MessageId, Refusal, RoomId, RoomName, Seq, Slug, Stamp,
    UserId,
};
use crate::metrics::Metrics;
use crate::store::{
    Command, CreateRoom, DrivenWriter, NewDatabase, PageSize, Reader, Reply, StoreOptions,
    WriteQueue, Writer,
};
use crate::transport::{Budget, Outbound};

mod blocks;
mod clients;
mod committed;
mod lanes;
mod stage;
mod twins;
mod vacant;
mod watch;

/// A few messages make many blocks.
const SMALL_BLOCKS: BlockLimits = BlockLimits {
    block: PageSize { events: 6, bytes: 300 },
    align: 4,
    kept_bytes: 5_000,
    pinned_bytes: 3_000,
    lone_bytes: 100,
};

/// A crowd of three has two lanes.
const SMALL_LANES: LaneOptions =
    LaneOptions { most: 2, crowd: 3, held_bytes: 100_000, held_bytes_total: 200_000 };

pub(super) struct House {
    directory: TempDir,
    writer: DrivenWriter,
    queue: WriteQueue,
    reader: Reader,
    pub(super) hub: Arc<Hub>,
    pub(super) runtime: tokio::runtime::Runtime,
    /// The next connection's number.
    connections: Cell<u64>,
}

impl House {
    pub(super) fn new() -> Self {
        Self::with(Delivery::Immediate)
    }

    fn with(delivery: Delivery) -> Self {
        Self::with_lanes(delivery, SMALL_LANES)
    }

    fn with_lanes(delivery: Delivery, lanes: LaneOptions) -> Self {
        let mut house = Self::open_with(tempfile::tempdir().unwrap(), &Limits::default(), lanes);
        assert_eq!(house.create_room("room", delivery), room_id());
        house
    }

    fn create_room(&mut self, name: &str, delivery: Delivery) -> RoomId {
        let (reply, mut outcome) = Reply::channel();
        let create = CreateRoom {
            name: RoomName::parse(name).unwrap(),
            slugs: vec![Slug::parse(name).unwrap()],
            created_by: user(1),
            created_at: 1,
            delivery,
            reply,
        };
        self.queue.submit(Command::CreateRoom(create)).unwrap();
        self.commit();
        outcome.try_recv().unwrap().unwrap().room_id
    }

    fn open(directory: TempDir) -> Self {
        Self::open_with(directory, &Limits::default(), SMALL_LANES)
    }

    fn open_with(directory: TempDir, limits: &Limits, lanes: LaneOptions) -> Self {
        let options = StoreOptions::directory(directory.path(), 1 << 20);
        let new = NewDatabase { log: LogId(1), secret: [0; 32] };
        let (writer, reader, opened) = Writer::open(&options, &new).unwrap();
        let metrics = Metrics::new();
        let (writer, queue, _) = DrivenWriter::new(writer, limits, &metrics);
        let (log, queued, boot) = (reader.clone(), queue.clone(), opened.boot);
        let hub = Hub::with_options(log, queued, boot, limits, &metrics, SMALL_BLOCKS, lanes);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { directory, writer, queue, reader, hub, runtime, connections: Cell::new(1) }
    }

    /// What is not committed is lost, what was broadcast stays heard.
    fn crash(self) -> Self {
        let Self { directory, writer, queue, reader, hub, runtime, .. } = self;
        drop((writer, queue, reader, hub, runtime));
        Self::open(directory)
    }

    fn commit(&mut self) {
        let hub = Arc::clone(&self.hub);
        while self.writer.turn(&mut |committed| hub.committed(&committed)).unwrap() {}
    }

    pub(super) fn room(&self) -> Arc<Room> {
        self.runtime.block_on(self.hub.room(room_id())).unwrap().unwrap()
    }

    pub(super) fn say(&self, text: &str) -> Stamp {
        self.room().publish(post(text), None, 1_000).unwrap()
    }

    fn subscribe(&self, after: Option<Seq>) -> (Subscription, Seq) {
        let connection = connection(self.connections.replace(self.connections.get() + 1));
        let member = Member {
            connection: Arc::clone(&connection),
            user: user(2),
            present_as: Some("someone".into()),
        };
        let (cut, _) = self.room().join(member).unwrap();
        let head = cut.head;
        (Subscription::new(self.room(), connection, user(2), cut, after), head)
    }

    /// Steps a subscription until it has nothing at hand; gives what it would send.
    fn hear(&self, subscription: &mut Subscription) -> Vec<serde_json::Value> {
        let mut heard = Vec::new();
        loop {
            match subscription.step() {
                Step::Send(frames) => heard.extend(parse(&frames)),
                Step::CaughtUp => {}
                Step::ReadLog { after, upto } => {
                    let part = self.hub.log.part_now(subscription.room(), after, upto).unwrap();
                    heard.extend(parse(&subscription.page(part)));
                }
                Step::Idle | Step::Gone(_) => return heard,
            }
        }
    }
}

pub(super) fn room_id() -> RoomId {
    RoomId::new(1).unwrap()
}

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn connection(id: u64) -> Arc<Connection> {
    Connection::new(id, Outbound::stream(tokio::io::sink(), 1_000, Budget::new(1_000)))
}

fn post(text: &str) -> Post {
    let body = MessageBody::parse(text, 1_000).unwrap();
    Post { user: user(1), username: "ann".into(), body, from: None }
}

/// The JSON of the text frames in `frames`, presence left out.
fn parse(mut frames: &[u8]) -> Vec<serde_json::Value> {
    let mut parsed = Vec::new();
    while !frames.is_empty() {
        let (header, length) = match frames[1] {
            126 => (4, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
            short => (2, usize::from(short)),
        };
        let json: serde_json::Value =
            serde_json::from_slice(&frames[header..header + length]).unwrap();
        if json["type"] == "chat" {
            parsed.push(json);
        }
        frames = &frames[header + length..];
    }
    parsed
}

fn seqs(heard: &[serde_json::Value]) -> Vec<u64> {
    heard.iter().map(|chat| chat["seq"].as_u64().unwrap()).collect()
}

#[test]
fn a_member_hears_what_comes_and_with_after_what_came() {
    let mut house = House::new();
    house.say("one");
    let (mut plain, head) = house.subscribe(None);
    assert_eq!(head, 1);
    let (mut resuming, _) = house.subscribe(Some(0));
    assert_eq!(house.hear(&mut resuming), [] as [serde_json::Value; 0], "not committed yet");
    house.say("two");
    assert_eq!(seqs(&house.hear(&mut plain)), [2]);
    house.commit();
    assert_eq!(seqs(&house.hear(&mut resuming)), [1, 2]);
    assert_eq!(resuming.at(|position| position), Position { seq: 2, count: Some(2) });
}

#[test]
fn a_commit_rings_who_waits_for_it() {
    let mut house = House::new();
    house.say("one");
    let (mut resuming, _) = house.subscribe(Some(0));
    let connection = Arc::clone(resuming.connection());
    let _ = connection.rung().now_or_never();
    house.hear(&mut resuming);
    assert!(connection.rung().now_or_never().is_none());
    house.commit();
    assert!(connection.rung().now_or_never().is_some());
}

/// While storage failed, each connection that came, waited for a commit and went stayed in memory.
#[test]
fn who_leaves_waits_for_no_commit() {
    let house = House::new();
    house.say("never committed");
    let (mut resuming, _) = house.subscribe(Some(0));
    let connection = Arc::downgrade(resuming.connection());
    assert_eq!(resuming.step(), Step::Idle);
    drop(resuming);
    assert!(connection.upgrade().is_none());
}

/// `joined` told the cursor with the count of the whole room.
#[test]
fn the_count_told_belongs_to_the_cursor() {
    let mut house = House::new();
    for text in ["one", "two", "three"] {
        house.say(text);
    }
    let (resuming, _) = house.subscribe(Some(1));
    assert_eq!(resuming.at(|position| position), Position { seq: 1, count: None });
    assert_eq!(house.room().uncommitted_count(1), Some(1));
    house.commit();
    assert_eq!(house.room().uncommitted_count(1), None, "the log knows");
    let (mut again, _) = house.subscribe(None);
    assert_eq!(again.at(|position| position), Position { seq: 3, count: Some(3) });
    stage::begin_anew(&house, &mut again);
    assert_eq!(again.at(|position| position), Position { seq: 0, count: Some(0) });
    house.hear(&mut again);
    assert_eq!(again.at(|position| position), Position { seq: 3, count: Some(3) });
}

/// A block of the log that ended in the gap that a crash had left carried the position with it:
/// `joined`, asked for again, told a head that no event has and nobody heard of.
#[test]
fn a_position_is_that_of_an_event_also_where_a_gap_is_read() {
    let mut house = House::new();
    house.say("one");
    house.commit();
    let mut house = house.crash();
    let last = house.say("behind the gap").seq;
    house.commit();
    // Somebody wants only the end of it: what comes before is a block of its own, without events.
    house.hub.log.part_now(&house.room(), last - 1, last).unwrap();
    let (mut resuming, _) = house.subscribe(Some(1));
    let Step::ReadLog { after, upto } = resuming.step() else { panic!("behind") };
    let part = house.hub.log.part_now(resuming.room(), after, upto).unwrap();
    assert!(resuming.page(part).is_empty());
    assert_eq!(resuming.at(|position| position), Position { seq: 1, count: None });
    assert_eq!(seqs(&house.hear(&mut resuming)), [last]);
    assert_eq!(resuming.at(|position| position), Position { seq: last, count: Some(2) });
}

#[test]
fn after_a_crash_seqs_jump_and_the_first_event_names_the_one_before() {
    let mut house = House::new();
    house.say("kept");
    house.commit();
    assert_eq!(house.say("lost").seq, 2);
    let house = house.crash();
    let stamp = house.say("next");
    assert_eq!((stamp.seq, stamp.prev, stamp.count), (1 + SEQ_JUMP + 1, Some(1), 2));
    let stamp = house.say("and on");
    assert_eq!((stamp.seq, stamp.prev), (1 + SEQ_JUMP + 2, None));
}

#[test]
fn times_never_go_back() {
    let house = House::new();
    let room = house.room();
    assert_eq!(room.publish(post("a"), None, 5_000).unwrap().at, 5_000);
    assert_eq!(room.publish(post("b"), None, 4_000).unwrap().at, 5_000);
}

#[test]
fn an_id_is_free_again_only_behind_its_commit() {
    let mut house = House::new();
    let room = house.room();
    let id = MessageId::parse("c1").unwrap();
    let Reserve::Mine(given_back) = room.reserve(user(1), &id) else { panic!("taken") };
    assert!(matches!(room.reserve(user(1), &id), Reserve::Busy(_)));
    drop(given_back);
    let Reserve::Mine(used) = room.reserve(user(1), &id) else { panic!("taken") };
    room.publish(post("a"), Some(used), 1).unwrap();
    let Reserve::Busy(mut outcome) = room.reserve(user(1), &id) else { panic!("free") };
    assert!((&mut outcome).now_or_never().is_none());
    house.commit();
    assert!((&mut outcome).now_or_never().is_some());
    let find = |snapshot: &crate::store::Snapshot| snapshot.by_client_id(user(1), &id, room_id());
    assert_eq!(house.reader.read_now(find).unwrap().unwrap().stamp.seq, 1);
}

#[test]
fn a_deleted_room_ends_for_its_members_behind_its_last_message() {
    let mut house = House::new();
    let (mut live, _) = house.subscribe(None);
    house.say("last");
    let mut deleted = house.room().delete().unwrap();
    let refused = PublishError::Refused(Refusal::NoSuchRoom);
    assert_eq!(house.room().publish(post("no"), None, 1), Err(refused.clone()));
    let id = MessageId::parse("c1").unwrap();
    let Reserve::Mine(reservation) = house.room().reserve(user(1), &id) else { panic!("closed") };
    let published = house.room().publish(post("no"), Some(reservation), 1);
    assert_eq!(published, Err(refused.clone()), "not to be tried again");
    assert_eq!(house.room().delete().unwrap_err(), refused);
    assert!(matches!(live.step(), Step::Send(_)));
    assert_eq!(live.step(), Step::Idle);
    house.commit();
    assert!(deleted.try_recv().is_ok());
    assert_eq!(live.step(), Step::Gone(Gone::Deleted));
    assert!(house.runtime.block_on(house.hub.room(room_id())).unwrap().is_none());
}

/// The writer is not driven: its queue fills up.
#[test]
fn what_the_queue_does_not_take_has_no_effect_at_all() {
    let limits = Limits { writer_queue_messages: 3, ..Limits::default() };
    let mut house = House::open_with(tempfile::tempdir().unwrap(), &limits, SMALL_LANES);
    house.create_room("room", Delivery::Immediate);
    let (mut member, _) = house.subscribe(None);
    let (room, from) = (house.room(), connection(99));
    let post_from = || Post { from: Some(Arc::clone(&from)), ..post("refused") };
    for n in 1..=3 {
        assert_eq!(house.say("fits").seq, n);
    }
    let id = MessageId::parse("c1").unwrap();
    for _ in 0..2 {
        let Reserve::Mine(reservation) = room.reserve(user(1), &id) else { panic!("taken") };
        let published = room.publish(post_from(), Some(reservation), 9_000);
        assert_eq!(published, Err(PublishError::Refused(Refusal::Overloaded)));
    }
    assert_eq!(room.delete().unwrap_err(), PublishError::Refused(Refusal::Overloaded));
    assert_eq!(from.uncommitted(), 0);
    assert_eq!(seqs(&house.hear(&mut member)), [1, 2, 3]);
    house.commit();
    let Reserve::Mine(reservation) = room.reserve(user(1), &id) else { panic!("taken") };
    let stamp = room.publish(post_from(), Some(reservation), 1).unwrap();
    assert_eq!((stamp.seq, stamp.count, stamp.prev, stamp.at), (4, 4, None, 1_000));
    assert_eq!(seqs(&house.hear(&mut member)), [4]);
    house.commit();
    assert_eq!(house.room().committed_seq(), 4);
}

/// Two ask for a room that is not there, and while the first one's look-up is under way the room is
/// made. The first found nothing and took away the slot into which the second then loaded the room;
/// whoever came next loaded it again, and both rooms gave out the same seqs.
#[test]
fn a_room_is_never_live_twice() {
    let mut house = House::new();
    let second = RoomId::new(2).unwrap();
    let hub = Arc::clone(&house.hub);
    let (mut a, mut b) = (Box::pin(hub.room(second)), Box::pin(hub.room(second)));
    {
        let _context = house.runtime.enter();
        assert!(a.as_mut().now_or_never().is_none());
        assert!(b.as_mut().now_or_never().is_none());
    }
    // The first one's look-up ends and has seen nothing.
    while !house.reader.is_idle() {
        std::thread::yield_now();
    }
    assert_eq!(house.create_room("second", Delivery::Immediate), second);
    assert!(house.runtime.block_on(a).unwrap().is_none());
    let one = house.runtime.block_on(b).unwrap().unwrap();
    let other = house.runtime.block_on(hub.room(second)).unwrap().unwrap();
    assert!(Arc::ptr_eq(&one, &other));
}
