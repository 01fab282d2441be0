//! The server's side of one connection, moved by hand: its subscriptions and their turns. What
//! `ws::rooms` and `ws::act` do on a socket's task, without the socket and the task.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use parlor::app::App;
use parlor::domain::{Limits, Refusal, RoomId, Seq, UserId};
use parlor::hub::{Connection, Cut, Lane, Part, Position, Room, Step, Subscription};
use parlor::protocol::{Joined as JoinedFrame, ServerFrame};
use parlor::transport::{Budget, Outbound};
use serde_json::Value;

use crate::wire::{self, Wire};

pub struct Seat {
    pub connection: Arc<Connection>,
    wire: Wire,
    /// Its socket takes bytes directly, as many as its buffer holds.
    direct: bool,
    rooms: BTreeMap<RoomId, Joined>,
    joins: u64,
    read: Option<Read>,
    /// How often a room that was live had to go back to the log.
    pub lagged: u64,
    /// How often a room was left to a lane, and how often the lane gave it up.
    pub boarded: u64,
    pub put_off: u64,
}

struct Joined {
    join: u64,
    live: bool,
    subscription: Subscription,
}

/// A part of the log that is being read.
struct Read {
    room: RoomId,
    join: u64,
    part: Pin<Box<dyn Future<Output = Result<Part, Refusal>>>>,
}

impl Seat {
    /// `buffer`: of a socket that takes bytes directly.
    pub fn new(number: u64, limits: &Limits, budget: Arc<Budget>, buffer: Option<usize>) -> Self {
        let (wire, limit, direct) = (Wire::default(), limits.waiting_bytes, buffer.is_some());
        let outbound = match buffer {
            Some(buffer) => wire.outbound(buffer, limit, budget),
            None => Outbound::stream(wire.clone(), limit, budget),
        };
        let connection = Connection::new(number, outbound);
        let (rooms, read) = (BTreeMap::new(), None);
        let (joins, lagged, boarded, put_off) = (0, 0, 0, 0);
        Self { connection, wire, direct, rooms, joins, read, lagged, boarded, put_off }
    }

    pub fn outbound(&self) -> &Arc<Outbound> {
        &self.connection.outbound
    }

    pub fn room(&self, room: RoomId) -> Option<Arc<Room>> {
        self.rooms.get(&room).map(|joined| Arc::clone(joined.subscription.room()))
    }

    /// What the client reads.
    pub fn take_frames(&self) -> Vec<Value> {
        let mut bytes = Vec::new();
        if self.direct {
            while self.outbound().waiting_bytes() > 0 {
                bytes.append(&mut self.wire.take());
                self.outbound().push_out();
            }
        } else {
            let _ = self.outbound().drain_to(0).now_or_never();
        }
        bytes.append(&mut self.wire.take());
        wire::frames(&bytes)
    }

    pub fn enter(
        &mut self,
        room: Arc<Room>,
        user: UserId,
        cut: Cut,
        after: Option<Seq>,
        reference: &str,
    ) {
        self.queue_joined(&room, (cut.head, cut.first, cut.count), reference);
        self.joins += 1;
        let connection = Arc::clone(&self.connection);
        let id = room.id();
        let subscription = Subscription::new(room, connection, user, cut, after);
        let live = subscription.is_live();
        self.rooms.insert(id, Joined { join: self.joins, live, subscription });
    }

    /// A join of a room that it is in. `false`: the room is gone.
    pub fn enter_again(&mut self, room: RoomId, after: Option<Seq>, reference: &str) -> bool {
        let Some(live) = self.room(room) else { return false };
        let Some(after) = after else {
            self.hand_over(room);
            self.rooms[&room].subscription.at(|Position { seq, count }| {
                // Where only the log knows the count, a session asks it; nobody here looks at it.
                let count = count.unwrap_or_default();
                self.queue_joined(&live, (seq, live.first(), count), reference);
            });
            return true;
        };
        let Ok(cut) = live.cut(&self.connection) else { return false };
        let stands = (cut.head, cut.first, cut.count);
        let mut joined = self.rooms.remove(&room).unwrap();
        self.joins += 1;
        (joined.join, joined.live) = (self.joins, false);
        joined.subscription.restart(cut, after, || self.queue_joined(&live, stands, reference));
        self.rooms.insert(room, joined);
        true
    }

    fn queue_joined(&self, room: &Room, (head, first, count): (Seq, Seq, u64), reference: &str) {
        let frame = JoinedFrame {
            room_id: room.id().get(),
            head,
            first,
            count,
            delivery: room.info.delivery.as_str(),
            log: None,
            reset: false,
            reference: Some(reference),
        };
        self.outbound().queue(ServerFrame::Joined(frame).encode());
    }

    pub fn leave(&mut self, room: RoomId) {
        self.hand_over(room);
        if self.rooms.remove(&room).is_some() {
            self.queue_left(room, None);
        }
    }

    /// Leaves what is live to lanes; gives those that were opened for it.
    pub fn board(&mut self) -> Vec<Lane> {
        if self.read.is_some() || !self.outbound().is_direct_and_idle() {
            return Vec::new();
        }
        let mut opened = Vec::new();
        for Joined { subscription, .. } in self.rooms.values_mut() {
            let before = subscription.rides();
            opened.extend(subscription.board());
            self.boarded += u64::from(!before && subscription.rides());
        }
        opened
    }

    fn queue_left(&self, room: RoomId, reason: Option<&'static str>) {
        let frame = ServerFrame::Left { room_id: room.get(), reason, reference: None };
        self.outbound().queue(frame.encode());
    }

    /// Gives every room a turn, and the log that is being read one. Gives the frames of what was
    /// read of it.
    pub fn pump(&mut self, app: &Arc<App>) -> Vec<(RoomId, Value)> {
        let mut seen = Vec::new();
        if let Some(read) = &mut self.read {
            let Some(part) = read.part.as_mut().now_or_never() else { return seen };
            seen = self.take_part(part);
        }
        for room in self.rooms.keys().copied().collect::<Vec<_>>() {
            match self.hand_over(room) {
                Some(Step::ReadLog { after, upto }) if self.read.is_none() => {
                    let Joined { join, subscription, .. } = &self.rooms[&room];
                    let (app, live) = (Arc::clone(app), Arc::clone(subscription.room()));
                    let part = async move { app.log_part(&live, after, upto, false).await };
                    self.read = Some(Read { room, join: *join, part: Box::pin(part) });
                }
                Some(Step::Gone(gone)) => {
                    self.rooms.remove(&room);
                    self.queue_left(room, Some(gone.reason()));
                }
                _ => {}
            }
        }
        seen
    }

    fn take_part(&mut self, part: Result<Part, Refusal>) -> Vec<(RoomId, Value)> {
        let Some(Read { room, join, .. }) = self.read.take() else { return Vec::new() };
        let Ok(part) = part else { return Vec::new() };
        let joined = self.rooms.get_mut(&room).filter(|joined| joined.join == join);
        if let Some(joined) = joined {
            let frames = joined.subscription.page(part);
            self.connection.outbound.queue(frames.clone());
            return wire::frames(&frames).into_iter().map(|frame| (room, frame)).collect();
        }
        Vec::new()
    }

    /// Queues what a room has at hand; gives the step that is more than something to send.
    fn hand_over(&mut self, room: RoomId) -> Option<Step> {
        let Joined { subscription, live, .. } = self.rooms.get_mut(&room)?;
        let outbound = &self.connection.outbound;
        self.put_off += u64::from(subscription.was_put_off());
        while !outbound.is_full() {
            match subscription.step() {
                Step::Send(frames) => outbound.queue(frames),
                Step::CaughtUp => {
                    *live = true;
                    outbound.queue(subscription.room().presence_snapshot());
                }
                step => {
                    let lagged = *live && matches!(step, Step::ReadLog { .. });
                    self.lagged += u64::from(lagged);
                    *live &= !lagged;
                    return Some(step);
                }
            }
        }
        None
    }

    /// Whether it has nothing under way.
    pub fn is_quiet(&self) -> bool {
        self.read.is_none() && self.outbound().waiting_bytes() == 0
    }
}
