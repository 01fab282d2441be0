//! One member's place in one room: a cursor that is live or catching up.
//!
//! One mechanism serves the plain join, the join with `after`, the resume after any absence, and
//! the reader that fell behind: the log serves everything up to a cut, the room's channel all that
//! comes after it. A subscription does no I/O and never waits; whoever drives it is told what to do
//! next.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast::{self, error::TryRecvError};

use super::rider::Rider;
use super::state::{Cut, Item};
use super::{Connection, Lane, Part, Room};
use crate::domain::limits::BROADCAST_SLOTS;
use crate::domain::{Seq, UserId};
use crate::mutation::{self, Mutation};

#[derive(Debug)]
pub struct Subscription {
    room: Arc<Room>,
    connection: Arc<Connection>,
    user: UserId,
    way: Way,
    /// Everything up to this seq has been handed out, but for what a lane has handed out since.
    cursor: Seq,
    /// The last event handed out, or where it began; behind the cursor where a crash left a gap.
    position: Position,
}

/// How what is said reaches the member.
#[derive(Debug)]
enum Way {
    /// By a receiver of its own.
    Own(Own),
    /// By a lane of the room.
    Lane(Arc<Rider>),
}

#[derive(Debug)]
struct Own {
    live: broadcast::Receiver<Item>,
    /// The log serves up to here, then the channel; `None`: live.
    seam: Option<Seq>,
    /// Received, but not to be heard before its commit; what comes behind it waits with it.
    held: Option<Item>,
}

/// A place in a room's log, as a member is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub seq: Seq,
    /// How many events there were up to it; `None`: only the log knows.
    pub count: Option<u64>,
}

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these frames.
    Send(Bytes),
    /// Have [`super::Log`] look for what follows `after`, up to `upto`, and hand it to
    /// [`Subscription::page`].
    ReadLog { after: Seq, upto: Seq },
    /// Send a presence snapshot: it is live (again).
    CaughtUp,
    /// Nothing until the connection's bell rings.
    Idle,
    /// No more of this room; drop the subscription.
    Gone(Gone),
}

/// Why a room ended for a member without its wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    Deleted,
}

impl Gone {
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
        }
    }
}

impl Subscription {
    /// `after`: the last seq the member holds; `None`: it wants only what comes.
    #[must_use]
    pub fn new(
        room: Arc<Room>,
        connection: Arc<Connection>,
        user: UserId,
        cut: Cut,
        after: Option<Seq>,
    ) -> Self {
        let cursor = after.map_or(cut.head, |after| after.min(cut.head));
        // Also who wants only what comes finds it in the log where it lies between head and seam.
        let seam = (after.is_some() || cut.seam > cut.head).then_some(cut.seam);
        let position = begin(&cut, cursor);
        let way = Way::Own(Own { live: cut.live, seam, held: None });
        room.metrics.member_came(seam.is_none());
        room.metrics.resumes.inc_by(u64::from(after.is_some()));
        Self { room, connection, user, way, cursor, position }
    }

    /// Begins anew behind `after`, from another cut. `told`: runs when nothing more of what was
    /// before can come.
    pub fn restart(&mut self, cut: Cut, after: Seq, told: impl FnOnce()) {
        self.get_off();
        told();
        self.cursor = after.min(cut.head);
        self.position = begin(&cut, self.cursor);
        self.room.metrics.resumes.inc();
        self.catch_up(cut);
    }

    /// The log up to the cut, then what comes after it.
    fn catch_up(&mut self, cut: Cut) {
        self.room.metrics.member_moved(self.is_live(), false);
        self.way = Way::Own(Own { live: cut.live, seam: Some(cut.seam), held: None });
    }

    /// Nothing comes any more but by [`Self::step`].
    fn get_off(&self) {
        if let Way::Lane(rider) = &self.way {
            rider.leave();
        }
    }

    /// Leaves it to a lane of the room to hand on what is said, if it is live and has nothing at
    /// hand that may be heard. A lane that is given was opened for it and wants to be driven.
    pub fn board(&mut self) -> Option<Lane> {
        let Way::Own(Own { live, seam: None, held }) = &self.way else { return None };
        let at_hand = (live, held.as_ref());
        let (rider, opened) =
            self.room.board(at_hand, self.user, &self.connection, self.position)?;
        self.way = Way::Lane(rider);
        opened
    }

    #[must_use]
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    #[must_use]
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// What the member has been handed so far. Nothing is handed to it while `look` runs.
    pub fn at<T>(&self, look: impl FnOnce(Position) -> T) -> T {
        match &self.way {
            Way::Lane(rider) => rider.at(look),
            Way::Own(_) => look(self.position),
        }
    }

    /// What to do next; call again until it is [`Step::Idle`] or [`Step::Gone`].
    pub fn step(&mut self) -> Step {
        match &mut self.way {
            Way::Own(Own { seam: Some(seam), .. }) => {
                let seam = *seam;
                self.step_behind(seam)
            }
            Way::Own(_) => self.step_live(),
            Way::Lane(rider) => match rider.landed() {
                None => Step::Idle,
                Some(position) => {
                    self.position = position;
                    self.cursor = self.cursor.max(position.seq);
                    self.fall_behind()
                }
            },
        }
    }

    /// Whether a lane has still to hand over what there is up to `seq`.
    #[must_use]
    pub fn waits_for_lane(&self, seq: Seq) -> bool {
        matches!(&self.way, Way::Lane(rider) if rider.is_aboard() && rider.at(|at| at.seq < seq))
    }

    /// Whether a lane hands on what is said.
    #[must_use]
    pub fn rides(&self) -> bool {
        matches!(&self.way, Way::Lane(rider) if rider.is_aboard())
    }

    /// Whether a lane did and has given it up, which the next step looks into.
    #[must_use]
    pub fn was_put_off(&self) -> bool {
        matches!(&self.way, Way::Lane(rider) if !rider.is_aboard())
    }

    /// Whether the log has nothing more to give: the channel does.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.way, Way::Own(Own { seam: Some(_), .. }))
    }

    fn step_behind(&mut self, seam: Seq) -> Step {
        if self.room.is_deleted() {
            return Step::Gone(Gone::Deleted);
        }
        if self.cursor >= seam {
            if let Way::Own(own) = &mut self.way {
                // More has passed than its receiver holds: it has not caught up yet.
                if own.live.len() > BROADCAST_SLOTS {
                    return self.fall_behind();
                }
                own.seam = None;
                self.room.metrics.member_moved(false, true);
            }
            return Step::CaughtUp;
        }
        let upto = self.room.committed_seq().min(seam);
        if upto <= self.cursor {
            self.room.ring_at_commit(&self.connection, self.cursor + 1);
            return Step::Idle;
        }
        Step::ReadLog { after: self.cursor, upto }
    }

    fn step_live(&mut self) -> Step {
        let Way::Own(Own { live, held, .. }) = &mut self.way else { return Step::Idle };
        loop {
            let item = held.take().map_or_else(|| live.try_recv(), Ok);
            match item {
                Ok(Item::Events { last, .. }) if !self.room.may_be_heard(last) => {
                    *held = item.ok();
                    return Step::Idle;
                }
                Ok(Item::Events { first, last, count, frames, .. }) => {
                    // The channel of a cut begins right behind it.
                    debug_assert!(first > self.cursor);
                    self.cursor = last;
                    self.position = Position { seq: last, count: Some(count) };
                    return Step::Send(frames);
                }
                Ok(Item::Typing { user, .. }) if user == self.user => {}
                Ok(Item::Typing { frame, .. } | Item::Presence { frame }) => {
                    return Step::Send(frame);
                }
                Err(TryRecvError::Empty) if self.room.is_deleted() => {
                    return Step::Gone(Gone::Deleted);
                }
                Err(TryRecvError::Empty) => return Step::Idle,
                Err(TryRecvError::Lagged(_)) if mutation::is(Mutation::LagIgnored) => {}
                Err(TryRecvError::Lagged(_)) => return self.fall_behind(),
                Err(TryRecvError::Closed) => return Step::Gone(Gone::Deleted),
            }
        }
    }

    /// The channel has gone on without this member, or its lane has: a new cut, and the log up to
    /// it.
    fn fall_behind(&mut self) -> Step {
        let Ok(cut) = self.room.cut(&self.connection) else { return Step::Gone(Gone::Deleted) };
        let seam = cut.seam;
        self.room.metrics.fallen_behind.inc();
        self.catch_up(cut);
        self.step_behind(seam)
    }

    /// Takes what was found for [`Step::ReadLog`] and gives the frames to send.
    pub fn page(&mut self, part: Part) -> Bytes {
        debug_assert!(part.upto > self.cursor);
        self.cursor = part.upto;
        if let Some((seq, count)) = part.last {
            self.position = Position { seq, count: Some(count) };
        }
        part.frames
    }
}

/// A beginning at `cursor`, with as much as the cut tells of it.
fn begin(cut: &Cut, cursor: Seq) -> Position {
    let count = if cursor == cut.head { Some(cut.count) } else { (cursor == 0).then_some(0) };
    Position { seq: cursor, count }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.get_off();
        self.room.metrics.member_left(self.is_live());
        self.room.leave(self.connection.id);
    }
}
