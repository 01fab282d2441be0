//! The rooms of one connection: its subscriptions, and turns in which they put what they have into
//! the outbound. What is written about a room and what is changed in it happen under one lock, so
//! that nothing of an old join can follow its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::domain::{RoomId, Seq};
use crate::hub::{Cut, Lane, Part, Position, Room, Step, Subscription};
use crate::protocol::ServerFrame;
use crate::transport::Outbound;

#[derive(Debug, Default)]
pub(super) struct Rooms(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By id.
    #[expect(clippy::vec_box, reason = "most have one, and a list makes room for four at once")]
    rooms: Vec<Box<Joined>>,
    /// Joins so far: tells a join from an earlier one of the same room.
    joins: u64,
    /// The room that read the log last, or filled the outbound: the next turn begins behind it.
    last: Option<RoomId>,
}

#[derive(Debug)]
struct Joined {
    join: u64,
    subscription: Subscription,
}

/// What a turn left to do.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// A part of the log to read and hand to [`Rooms::page`]. One a turn: each can fill the
    /// outbound by itself, and the room behind it is the first of the next turn.
    pub(super) read: Option<LogRead>,
    /// Rooms that ended without the connection's wish.
    pub(super) gone: Vec<Arc<Room>>,
    /// The outbound is full: there may be more.
    pub(super) full: bool,
}

#[derive(Debug)]
pub(super) struct LogRead {
    pub(super) room: Arc<Room>,
    join: u64,
    pub(super) after: Seq,
    pub(super) upto: Seq,
}

impl Joined {
    fn id(&self) -> RoomId {
        self.subscription.room().id()
    }
}

impl Inner {
    /// Where the room is, or would be.
    fn place(&self, room: RoomId) -> Result<usize, usize> {
        self.rooms.binary_search_by_key(&room, |joined| joined.id())
    }

    fn get(&self, room: RoomId) -> Option<&Joined> {
        self.place(room).ok().map(|place| &*self.rooms[place])
    }

    fn get_mut(&mut self, room: RoomId) -> Option<&mut Joined> {
        self.place(room).ok().map(|place| &mut *self.rooms[place])
    }

    fn remove(&mut self, room: RoomId) -> Option<Box<Joined>> {
        self.place(room).ok().map(|place| self.rooms.remove(place))
    }
}

impl Rooms {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a room, behind the frames that say so.
    pub(super) fn enter(
        &self,
        subscription: Subscription,
        outbound: &Outbound,
        frames: [Bytes; 2],
    ) {
        let mut inner = self.inner();
        for frames in frames {
            outbound.queue(frames);
        }
        inner.joins += 1;
        let joined = Box::new(Joined { join: inner.joins, subscription });
        match inner.place(joined.id()) {
            Ok(place) => inner.rooms[place] = joined,
            Err(place) => inner.rooms.insert(place, joined),
        }
    }

    /// A leave and a join in one step. `false`: the room is not there any more.
    #[must_use]
    pub(super) fn restart(
        &self,
        room: RoomId,
        cut: Cut,
        after: Seq,
        outbound: &Outbound,
        joined: Bytes,
    ) -> bool {
        let mut inner = self.inner();
        inner.joins += 1;
        let join = inner.joins;
        let Some(entry) = inner.get_mut(room) else { return false };
        entry.join = join;
        entry.subscription.restart(cut, after, || outbound.queue(joined));
        true
    }

    /// The room, and the connection's place in it, if only the log knows how many messages there
    /// were up to that.
    pub(super) fn uncounted(&self, room: RoomId) -> Option<(Arc<Room>, Seq)> {
        let inner = self.inner();
        let subscription = &inner.get(room)?.subscription;
        let Position { seq, count } = subscription.at(|position| position);
        count.is_none().then(|| (Arc::clone(subscription.room()), seq))
    }

    /// Says where the connection is in a room; `uncounted`: how many messages there were up to
    /// there, if [`Self::uncounted`] asked for it: it stays true until a message makes it known.
    /// Everything up to there has been queued before. `false`: the room is not there any more.
    #[must_use]
    pub(super) fn tell_position(
        &self,
        room: RoomId,
        outbound: &Outbound,
        uncounted: u64,
        frame: impl FnOnce(&Room, Seq, u64) -> Bytes,
    ) -> bool {
        let mut inner = self.inner();
        let Some(joined) = inner.get_mut(room) else { return false };
        let subscription = &mut joined.subscription;
        hand_over(subscription, outbound);
        subscription.at(|Position { seq, count }| {
            outbound.queue(frame(subscription.room(), seq, count.unwrap_or(uncounted)));
        });
        true
    }

    pub(super) fn get(&self, room: RoomId) -> Option<Arc<Room>> {
        self.inner().get(room).map(|joined| Arc::clone(joined.subscription.room()))
    }

    /// Ends a room behind what it still had at hand, with the frame that says so. `None`: it is not
    /// there any more.
    pub(super) fn leave(
        &self,
        room: RoomId,
        outbound: &Outbound,
        left: Bytes,
    ) -> Option<Arc<Room>> {
        let mut inner = self.inner();
        let mut joined = inner.remove(room)?;
        hand_over(&mut joined.subscription, outbound);
        let room = Arc::clone(joined.subscription.room());
        // With it goes its place on a lane: nothing of the room can follow.
        drop(joined);
        outbound.queue(left);
        Some(room)
    }

    /// Leaves what is live to lanes, if the socket takes bytes directly and has taken all. Gives
    /// lanes that were opened for it and want to be driven.
    pub(super) fn board(&self, outbound: &Outbound) -> Vec<Lane> {
        if !outbound.is_direct_and_idle() {
            return Vec::new();
        }
        let mut inner = self.inner();
        inner.rooms.iter_mut().filter_map(|joined| joined.subscription.board()).collect()
    }

    /// Waits until the connection has been handed what was said in a room before this call.
    pub(super) async fn level(&self, room: RoomId) {
        let Some(live) = self.get(room) else { return };
        let head = live.audible_head();
        loop {
            let handed = live.handed();
            let behind = |joined: &Joined| joined.subscription.waits_for_lane(head);
            if !self.inner().get(room).is_some_and(behind) {
                return;
            }
            handed.await;
        }
    }

    pub(super) fn leave_all(&self) -> Vec<Arc<Room>> {
        let rooms = std::mem::take(&mut self.inner().rooms);
        rooms.into_iter().map(|joined| Arc::clone(joined.subscription.room())).collect()
    }

    /// Gives each room a turn, beginning behind the one that had the last, until the outbound is
    /// full or nobody has anything at hand.
    pub(super) fn turn(&self, outbound: &Outbound) -> Turn {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let mut turn = Turn::default();
        let last = inner.last;
        let first = inner.rooms.partition_point(|joined| Some(joined.id()) <= last);
        let (before, behind) = inner.rooms.split_at_mut(first);
        for joined in behind.iter_mut().chain(before) {
            serve(joined, outbound, &mut turn, &mut inner.last);
        }
        for room in &turn.gone {
            inner.remove(room.id());
        }
        turn
    }

    /// Takes in what was read, unless the room was left or joined anew meanwhile.
    pub(super) fn page(&self, read: &LogRead, part: Part, outbound: &Outbound) {
        let mut inner = self.inner();
        if let Some(joined) = inner.get_mut(read.room.id())
            && joined.join == read.join
        {
            outbound.queue(joined.subscription.page(part));
        }
    }
}

fn serve(joined: &mut Joined, outbound: &Outbound, turn: &mut Turn, last: &mut Option<RoomId>) {
    if turn.full {
        return;
    }
    let id = joined.id();
    match hand_over(&mut joined.subscription, outbound) {
        None => {
            turn.full = true;
            *last = Some(id);
        }
        Some(Step::ReadLog { after, upto }) => {
            if turn.read.is_none() {
                let room = Arc::clone(joined.subscription.room());
                turn.read = Some(LogRead { room, join: joined.join, after, upto });
                *last = Some(id);
            }
        }
        Some(Step::Gone(gone)) => {
            let (room_id, reason) = (id.get(), Some(gone.reason()));
            let left = ServerFrame::Left { room_id, reason, reference: None };
            outbound.queue(left.encode());
            turn.gone.push(Arc::clone(joined.subscription.room()));
        }
        Some(Step::Idle | Step::Send(_) | Step::CaughtUp) => {}
    }
}

/// Queues what the subscription has at hand. Gives the step that is not just something to send;
/// `None`: the outbound is full.
fn hand_over(subscription: &mut Subscription, outbound: &Outbound) -> Option<Step> {
    while !outbound.is_full() {
        match subscription.step() {
            Step::Send(frames) => outbound.queue(frames),
            Step::CaughtUp => outbound.queue(subscription.room().presence_snapshot()),
            step @ (Step::Idle | Step::ReadLog { .. } | Step::Gone(_)) => return Some(step),
        }
    }
    None
}
