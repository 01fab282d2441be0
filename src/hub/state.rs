//! What a room's lock guards: where its log stands, who hears it, what is on its way to the disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast;

use super::Connection;
use super::inflight::InFlight;
use super::lane::Door;
use super::presence::Presence;
use crate::clock::Moment;
use crate::domain::limits::{BROADCAST_SLOTS, LANE_INTAKE, LANE_LEAD, SEQ_JUMP};
use crate::domain::{MessageId, Millis, Refusal, SAFE_INTEGER_END, Seq, Stamp, UserId};
use crate::mutation::{self, Mutation};
use crate::store::Head;

/// What a room's channel carries: frames ready for every member's socket.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Events {
        first: Seq,
        last: Seq,
        count: u64,
        frames: Bytes,
        published: Moment,
    },
    /// For everyone but the one who types.
    Typing {
        user: UserId,
        frame: Bytes,
    },
    Presence {
        frame: Bytes,
    },
}

impl Item {
    pub(super) fn frames(&self) -> &Bytes {
        match self {
            Self::Events { frames, .. } => frames,
            Self::Typing { frame, .. } | Self::Presence { frame } => frame,
        }
    }

    pub(super) fn is_typing(&self) -> bool {
        matches!(self, Self::Typing { .. })
    }
}

/// Why a message was not published; it has had no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishError {
    Closed,
    /// The lanes have not taken what was said before: wait for [`super::Room::passable`].
    Crowded,
    Refused(Refusal),
}

/// Someone who hears a room.
#[derive(Debug, Clone)]
pub struct Member {
    pub connection: Arc<Connection>,
    pub user: UserId,
    /// The name under which it is present; `None`: it listens, and nobody is told.
    pub present_as: Option<Arc<str>>,
}

/// A moment in a room: the log serves everything up to `seam`, the receiver everything after.
#[derive(Debug)]
pub struct Cut {
    pub(super) live: broadcast::Receiver<Item>,
    pub(super) seam: Seq,
    /// Where the room stands for who comes in here: at the seam or, where nobody hears what is not
    /// committed, at the last committed seq.
    pub head: Seq,
    pub first: Seq,
    pub count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Its deletion is on the way to the disk.
    Deleting,
    Deleted,
    /// Dropped from memory because nobody used it.
    Evicted,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// The last seq given, and the lowest stored; 0: none.
    pub(super) head: Seq,
    pub(super) first: Seq,
    pub(super) count: u64,
    pub(super) at: Millis,
    /// How far the next seq jumps, once, after a start that followed a crash.
    pub(super) jump: u64,
    pub(super) live: broadcast::Sender<Item>,
    /// Items that were put into the channel so far.
    pub(super) sent: u64,
    pub(super) members: HashMap<u64, Member>,
    /// Members with a receiver of their own, which are rung for each item; the others ride a lane.
    pub(super) listeners: HashMap<u64, Arc<Connection>>,
    pub(super) lanes: Vec<Arc<Door>>,
    pub(super) presence: Presence,
    /// When each person was last passed on as typing, within the last interval.
    pub(super) typing: HashMap<UserId, Millis>,
    pub(super) inflight: InFlight,
    pub(super) uncommitted: VecDeque<Uncommitted>,
    /// To be rung at the next commit.
    pub(super) awaiting_commit: HashMap<u64, Arc<Connection>>,
}

#[derive(Debug)]
pub(super) struct Uncommitted {
    pub(super) seq: Seq,
    pub(super) at: Millis,
    pub(super) user: UserId,
    pub(super) id: Option<MessageId>,
    pub(super) from: Option<Arc<Connection>>,
    /// When, if its sender waits for an ack.
    pub(super) published: Option<Moment>,
}

impl State {
    pub(super) fn new(head: &Head, boot: u64) -> Self {
        Self {
            phase: Phase::Open,
            head: head.seq,
            first: head.first,
            count: head.count,
            at: head.at,
            jump: if mutation::is(Mutation::NoJump) {
                0
            } else {
                boot.saturating_sub(head.boot).saturating_mul(SEQ_JUMP)
            },
            live: broadcast::Sender::new(BROADCAST_SLOTS),
            sent: 0,
            members: HashMap::new(),
            listeners: HashMap::new(),
            lanes: Vec::new(),
            presence: Presence::default(),
            typing: HashMap::new(),
            inflight: InFlight::default(),
            uncommitted: VecDeque::new(),
            awaiting_commit: HashMap::new(),
        }
    }

    /// `Closed`: look the room up again.
    pub(super) fn check_open(&self) -> Result<(), PublishError> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Evicted => Err(PublishError::Closed),
            Phase::Deleting | Phase::Deleted => Err(PublishError::Refused(Refusal::NoSuchRoom)),
        }
    }

    pub(super) fn next_stamp(&self, now: Millis) -> Result<Stamp, PublishError> {
        self.check_open()?;
        let seq = self.head.saturating_add(self.jump).saturating_add(1);
        if seq >= SAFE_INTEGER_END {
            return Err(PublishError::Refused(Refusal::Internal));
        }
        Ok(Stamp {
            seq,
            at: now.max(self.at),
            count: self.count + 1,
            prev: (self.jump > 0 && !mutation::is(Mutation::NoPrev)).then_some(self.head),
        })
    }

    pub(super) fn advance(&mut self, stamp: Stamp) {
        if self.first == 0 {
            self.first = stamp.seq;
        }
        self.head = stamp.seq;
        self.at = stamp.at;
        if !mutation::is(Mutation::NotCounted) {
            self.count = stamp.count;
        }
        self.jump = 0;
    }

    pub(super) fn cut(&self) -> Cut {
        let live = self.live.subscribe();
        let head = self.head.saturating_sub(u64::from(mutation::is(Mutation::HeadTooLow)));
        Cut { live, seam: head, head, first: self.first, count: self.count }
    }

    pub(super) fn broadcast(&mut self, item: Item) {
        self.put(item);
        self.ring();
    }

    /// For what nobody may hear yet: whoever makes it heard rings. Only a lane that has room of its
    /// own for it is rung before, when the channel's is half used up.
    pub(super) fn broadcast_held(&mut self, item: Item) {
        self.put(item);
        let lanes = self.lanes.iter();
        lanes.filter(|lane| self.ahead_of(lane) >= LANE_INTAKE).for_each(|lane| lane.ring());
    }

    fn put(&mut self, item: Item) {
        self.sent += 1;
        // An error says that nobody listens.
        let _ = self.live.send(item);
    }

    pub(super) fn ring(&self) {
        self.listeners.values().for_each(|connection| connection.ring());
        self.lanes.iter().for_each(|lane| lane.ring());
    }

    pub(super) fn check_lanes(&self) -> Result<(), PublishError> {
        if self.is_crowded() { Err(PublishError::Crowded) } else { Ok(()) }
    }

    /// Whether one more item could push out of the channel what a lane has not received.
    pub(super) fn is_crowded(&self) -> bool {
        self.lanes.iter().any(|lane| self.ahead_of(lane) >= LANE_LEAD)
    }

    /// Items that a lane has not received.
    fn ahead_of(&self, lane: &Door) -> u64 {
        self.sent.saturating_sub(lane.received())
    }
}
