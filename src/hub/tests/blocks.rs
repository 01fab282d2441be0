//! Blocks of the log: shared, bounded, and never anything but the log.

use std::sync::Arc;

use futures_util::FutureExt;
use proptest::prelude::*;

use super::{House, SMALL_BLOCKS, parse, room_id, seqs, user};
use crate::domain::{DisplayName, Limits, Seq, SessionId, Username};
use crate::hub::{Begin, BlockLimits, Find, Hub, LaneOptions, Part, Room, Ticket};
use crate::metrics::Metrics;
use crate::store::{Command, DeleteUser, ReadError, Reply, SignUp};

impl House {
    fn say_many(&mut self, count: usize) {
        for n in 1..=count {
            self.say(&format!("message {n}"));
        }
        self.commit();
    }

    fn find(&self, after: Seq) -> Find {
        let room = self.room();
        self.hub.log.blocks.find(&room, after, room.committed_seq(), usize::MAX, Begin::Aligned)
    }

    fn found(&self, after: Seq) -> Part {
        let Find::Found(part) = self.find(after) else { panic!("nothing behind {after}") };
        part
    }

    fn ticket(&self, after: Seq) -> Ticket {
        let Find::Read(ticket) = self.find(after) else { panic!("{after} is there, or read") };
        ticket
    }

    fn read(&self, ticket: Ticket) -> Option<Part> {
        self.reader.read_now(|snapshot| ticket.read(snapshot)).unwrap()
    }

    /// Everything behind `after`, part by part.
    fn parts(&self, after: Seq) -> Vec<Part> {
        let room = self.room();
        let (mut cursor, mut parts) = (after, Vec::new());
        while cursor < room.committed_seq() {
            let part = self.hub.log.part_now(&room, cursor, room.committed_seq()).unwrap();
            assert!(part.upto > cursor, "no progress behind {cursor}");
            cursor = part.upto;
            parts.push(part);
        }
        parts
    }

    fn heard(&self, after: Seq) -> Vec<u64> {
        self.parts(after).iter().flat_map(|part| seqs(&parse(&part.frames))).collect()
    }

    fn encoded(&self) -> u64 {
        self.hub.log.blocks.encoded()
    }
}

#[test]
fn members_a_few_messages_apart_share_what_is_encoded_once() {
    let mut house = House::new();
    house.say_many(20);
    for after in [7, 6, 9, 4, 19, 12, 5, 8] {
        let expected: Vec<u64> = (after + 1..=20).collect();
        assert_eq!(house.heard(after), expected);
    }
    assert_eq!(house.encoded(), 17, "from 4, where the first block begins, to 20");
    assert_eq!(house.heard(0).len(), 20);
    assert_eq!(house.encoded(), 20, "and up to where something is known");
}

#[test]
fn who_asks_for_what_is_being_read_waits_for_it() {
    let mut house = House::new();
    house.say_many(20);
    let ticket = house.ticket(9);
    let Find::Busy(mut given_up) = house.find(10) else { panic!("it is read twice") };
    assert!(given_up.changed().now_or_never().is_none());
    assert!(matches!(house.find(0), Find::Read(_)), "nobody reads that");
    assert!(matches!(house.find(15), Find::Read(_)), "a block will hardly come so far");
    drop(ticket);
    assert!(given_up.changed().now_or_never().is_some());

    let ticket = house.ticket(10);
    let Find::Busy(mut done) = house.find(9) else { panic!("it is read twice") };
    let part = house.read(ticket).unwrap();
    assert_eq!(seqs(&parse(&part.frames))[0], 11);
    assert!(done.changed().now_or_never().is_some());
    assert_eq!(seqs(&parse(&house.found(9).frames))[0], 10);
}

#[test]
fn who_may_take_little_gets_at_least_one_event() {
    let mut house = House::new();
    house.say_many(3);
    let whole = house.parts(0)[0].frames.len();
    for (most, upto) in [(0, 1), (whole / 3, 1), (whole - 1, 2), (whole, 3)] {
        let blocks = &house.hub.log.blocks;
        let found = blocks.find(&house.room(), 0, 3, most, Begin::Aligned);
        let Find::Found(part) = found else { panic!("it is kept") };
        assert_eq!((part.upto, part.last), (upto, Some((upto, upto))), "{most}");
        assert_eq!(seqs(&parse(&part.frames)).len() as u64, upto);
    }
}

/// Each read the block before the one it wanted, and had it dropped by the other's before it came
/// back: neither ever got on.
#[test]
fn two_that_drop_each_others_blocks_get_on_all_the_same() {
    let mut house = House::new();
    for _ in 1..=8 {
        // Each takes a block of its own.
        house.say(&"x".repeat(SMALL_BLOCKS.block.bytes));
    }
    house.commit();
    let limits = BlockLimits { kept_bytes: 0, ..SMALL_BLOCKS };
    let (reader, queue) = (house.reader.clone().driven(), house.queue.clone());
    let (lanes, metrics) = (LaneOptions::default(), Metrics::new());
    let hub = Hub::with_options(reader, queue, 1, &Limits::default(), &metrics, limits, lanes);
    let room = house.room();
    let mut waiting = [2, 6].map(|after| Some(Box::pin(hub.log.part(&room, after, 8, false))));
    for _ in 0..100 {
        for part in &mut waiting {
            // Once to look and once to read: the other comes behind it.
            for _ in 0..2 {
                let done = part.as_mut().is_some_and(|part| part.now_or_never().is_some());
                *part = part.take().filter(|_| !done);
            }
        }
    }
    assert!(waiting.iter().all(Option::is_none), "somebody waits for ever");
}

#[test]
fn what_is_committed_later_is_found_in_another_block() {
    let mut house = House::new();
    house.say_many(3);
    assert_eq!(house.heard(0), [1, 2, 3]);
    house.say("on its way");
    assert_eq!(house.heard(0), [1, 2, 3]);
    house.commit();
    assert_eq!(house.heard(2), [3, 4]);
    assert_eq!(house.encoded(), 4);
}

#[test]
fn a_member_gets_nothing_from_behind_its_cut() {
    let mut house = House::new();
    house.say_many(5);
    house.heard(0);
    let blocks = &house.hub.log.blocks;
    let found = blocks.find(&house.room(), 1, 3, usize::MAX, Begin::Aligned);
    let Find::Found(part) = found else { panic!("it was read") };
    assert_eq!(seqs(&parse(&part.frames)), [2, 3]);
    assert_eq!((part.upto, part.last), (3, Some((3, 3))));
}

#[test]
fn a_deleted_rooms_blocks_go_with_it() {
    let mut house = House::new();
    house.say_many(12);
    house.heard(0);
    let room = house.room();
    house.hub.log.blocks.forget_all();
    let (kept, late) = (house.ticket(0), house.ticket(11));
    house.read(kept);
    assert!(house.hub.log.blocks.bytes().0 > 0);
    let before_deletion = house.reader.read_now(|snapshot| {
        room.delete().unwrap();
        house.writer.turn(&mut |committed| house.hub.committed(&committed)).unwrap();
        late.read(snapshot)
    });
    assert_eq!(seqs(&parse(&before_deletion.unwrap().unwrap().frames)), [12]);
    assert_eq!(house.hub.log.blocks.bytes(), (0, 0), "kept, or pinned");
}

/// A room's deletion was committed, and its members had not been told. The log then had nothing for
/// whoever was catching up, which was taken for all there is: the member went on with what was live
/// and had missed what lay between.
#[test]
fn the_log_of_a_deleted_room_is_not_an_empty_one() {
    let mut house = House::new();
    house.say_many(12);
    let room = house.room();
    room.delete().unwrap();
    while house.writer.turn(&mut |_| {}).unwrap() {}
    let part = house.hub.log.part_now(&room, 0, 12);
    assert!(matches!(part, Err(ReadError::NoSuchRoom)), "{part:?}");
}

#[test]
fn a_deleted_account_has_its_name_in_no_block() {
    let mut house = House::new();
    let (reply, _outcome) = Reply::channel();
    let sign_up = SignUp {
        username: Username::parse("ann").unwrap(),
        display_name: DisplayName::from_stored("ann"),
        password_hash: String::new(),
        may_be_first: true,
        session: SessionId(1),
        created_at: 1,
        expires_at: 2,
        reply,
    };
    house.queue.submit(Command::SignUp(sign_up)).unwrap();
    house.say_many(12);
    let name = |part: &Part| parse(&part.frames)[0]["username"].clone();
    let (first, late) = (house.ticket(0), house.ticket(11));
    assert_eq!(name(&house.read(first).unwrap()), "ann");
    let read_before = house.reader.read_now(|snapshot| {
        let (reply, _outcome) = Reply::channel();
        house.queue.submit(Command::DeleteUser(DeleteUser { user: user(1), reply })).unwrap();
        house.writer.turn(&mut |committed| house.hub.committed(&committed)).unwrap();
        late.read(snapshot)
    });
    assert_eq!(name(&read_before.unwrap().unwrap()), "ann", "for who asked before");
    for part in house.parts(0) {
        assert_eq!(name(&part), "deleted user");
    }
}

#[test]
fn what_is_kept_and_what_is_pinned_are_bounded() {
    let mut house = House::new();
    house.say_many(400);
    let block = SMALL_BLOCKS.kept_bytes / 3;
    let mut pinned = house.parts(0);
    let (kept, held) = house.hub.log.blocks.bytes();
    assert!(kept <= SMALL_BLOCKS.kept_bytes, "{kept} bytes are kept");
    assert!(kept + block > SMALL_BLOCKS.kept_bytes, "only {kept} bytes are kept");
    assert!(held < SMALL_BLOCKS.pinned_bytes + block, "{held} bytes are pinned");
    assert!(held >= SMALL_BLOCKS.pinned_bytes, "only {held} bytes are pinned");

    // From then on members got parts of their own, which leave nothing behind.
    let small = pinned.pop().unwrap();
    assert!(small.frames.len() < pinned[0].frames.len());
    let before = house.encoded();
    assert_eq!(house.heard(395), house.heard(395));
    assert_eq!(house.encoded(), before + 10);
    assert_eq!(house.hub.log.blocks.bytes(), (kept, held));

    drop((small, pinned));
    assert_eq!(house.hub.log.blocks.bytes(), (kept, 0));
    let before = house.encoded();
    assert_eq!(house.heard(396), house.heard(396));
    assert_eq!(house.encoded(), before + 5, "shared again");
}

/// Whatever happens to the blocks of one room.
#[derive(Debug, Clone)]
enum Event {
    Say(usize),
    Commit,
    /// Somebody wants everything behind a place in the log, in hundredths of it.
    Want(u64),
    /// Somebody begins to read there, and is interrupted.
    Begin(u64),
    /// The oldest interrupted reading goes on, or is given up.
    End(bool),
    /// The same until now, kept by somebody slow.
    Pin(u64),
    Unpin,
    Forget,
    /// A gap in the seqs.
    Crash,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (1..8usize).prop_map(Event::Say),
        3 => Just(Event::Commit),
        6 => (0..101u64).prop_map(Event::Want),
        3 => (0..101u64).prop_map(Event::Begin),
        3 => any::<bool>().prop_map(Event::End),
        1 => (0..101u64).prop_map(Event::Pin),
        1 => Just(Event::Unpin),
        1 => Just(Event::Forget),
        1 => Just(Event::Crash),
    ];
    proptest::collection::vec(event, 1..120)
}

/// The log as it must be: seq and count of what is committed, and what is not yet.
#[derive(Default)]
struct Model {
    committed: Vec<(Seq, u64)>,
    uncommitted: Vec<(Seq, u64)>,
}

impl Model {
    /// A cursor at, or one before, a place in the log.
    fn cursor(&self, hundredths: u64) -> Seq {
        let at = self.committed.len() as u64 * hundredths / 100;
        let place = self.committed.get(usize::try_from(at).unwrap());
        place.map_or(0, |(seq, _)| seq - hundredths % 2)
    }

    fn check(&self, house: &House, after: Seq) -> Vec<Part> {
        let parts = house.parts(after);
        let mut heard = Vec::new();
        for part in &parts {
            let chats = parse(&part.frames);
            heard.extend(seqs(&chats));
            let count = |seq| self.committed.iter().find(|(known, _)| *known == seq).unwrap().1;
            assert_eq!(part.last, seqs(&chats).last().map(|last| (*last, count(*last))));
        }
        let behind = self.committed.iter().map(|(seq, _)| *seq).filter(|seq| *seq > after);
        assert_eq!(heard, behind.collect::<Vec<_>>(), "behind {after}");
        parts
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whoever_asks_gets_the_log_whatever_happens_to_the_blocks(events in events()) {
        let mut house = House::new();
        let mut model = Model::default();
        let (mut tickets, mut pinned) = (std::collections::VecDeque::new(), Vec::new());
        for event in events {
            match event {
                Event::Say(count) => {
                    for n in 0..count {
                        let stamp = house.say(&"long ".repeat(1 + n * 7));
                        model.uncommitted.push((stamp.seq, stamp.count));
                    }
                }
                Event::Commit => {
                    house.commit();
                    model.committed.append(&mut model.uncommitted);
                }
                Event::Want(place) => drop(model.check(&house, model.cursor(place))),
                Event::Begin(place) => {
                    let (room, after): (Arc<Room>, _) = (house.room(), model.cursor(place));
                    if after < room.committed_seq()
                        && let Find::Read(ticket) = house.find(after)
                    {
                        tickets.push_back(ticket);
                    }
                }
                Event::End(true) => drop(tickets.pop_front().map(|ticket| house.read(ticket))),
                Event::End(false) => drop(tickets.pop_front()),
                Event::Pin(place) => pinned.extend(model.check(&house, model.cursor(place))),
                Event::Unpin => pinned.clear(),
                Event::Forget => house.hub.log.blocks.forget_all(),
                Event::Crash => {
                    tickets.clear();
                    model.uncommitted.clear();
                    house = house.crash();
                }
            }
            let (kept, _) = house.hub.log.blocks.bytes();
            prop_assert!(kept < SMALL_BLOCKS.kept_bytes + 1_000, "{} bytes are kept", kept);
        }
        drop(tickets);
        house.commit();
        model.committed.append(&mut model.uncommitted);
        for place in 0..=100 {
            model.check(&house, model.cursor(place));
        }
        drop(pinned);
        prop_assert_eq!(house.hub.log.blocks.bytes().1, 0, "nothing stays pinned");
        prop_assert!(house.room().id() == room_id());
    }
}
