//! One member's place in one room: a cursor that is live or catching up.
//!
//! One mechanism serves the plain join, the join with `after`, the resume after any absence, and
//! the reader that fell behind: the log serves everything up to a cut, the room's channel all that
//! comes after it. A subscription does no I/O and never waits; whoever drives it is told what to do
//! next.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast::{self, error::TryRecvError};

use super::state::{Cut, Item};
use super::{Connection, Part, Room};
use crate::domain::{Seq, UserId};
use crate::mutation::{self, Mutation};

#[derive(Debug)]
pub struct Subscription {
    room: Arc<Room>,
    connection: Arc<Connection>,
    user: UserId,
    live: broadcast::Receiver<Item>,
    /// Received, but not to be heard before its commit; what comes behind it waits with it.
    held: Option<Item>,
    /// Everything up to this seq has been handed out.
    cursor: Seq,
    /// The last event handed out, or where it began; behind the cursor where a crash left a gap.
    position: Position,
    /// The log serves up to here, then the channel; `None`: live.
    catch_up: Option<Seq>,
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
        let catch_up = (after.is_some() || cut.seam > cut.head).then_some(cut.seam);
        let position = begin(&cut, cursor);
        let (live, held) = (cut.live, None);
        Self { room, connection, user, live, held, cursor, position, catch_up }
    }

    /// Begins anew behind `after`, from another cut.
    pub fn restart(&mut self, cut: Cut, after: Seq) {
        self.cursor = after.min(cut.head);
        self.position = begin(&cut, self.cursor);
        self.live = cut.live;
        self.held = None;
        self.catch_up = Some(cut.seam);
    }

    #[must_use]
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    #[must_use]
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// What the member has been handed so far.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// What to do next; call again until it is [`Step::Idle`] or [`Step::Gone`].
    pub fn step(&mut self) -> Step {
        match self.catch_up {
            Some(head) => self.step_behind(head),
            None => self.step_live(),
        }
    }

    /// Whether the log has nothing more to give: the channel does.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.catch_up.is_none()
    }

    fn step_behind(&mut self, seam: Seq) -> Step {
        if self.room.is_deleted() {
            return Step::Gone(Gone::Deleted);
        }
        if self.cursor >= seam {
            self.catch_up = None;
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
        loop {
            let item = self.held.take().map_or_else(|| self.live.try_recv(), Ok);
            match item {
                Ok(Item::Events { last, .. }) if !self.room.may_be_heard(last) => {
                    self.held = item.ok();
                    return Step::Idle;
                }
                Ok(Item::Events { first, last, count, frames }) => {
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

    /// The channel has gone on without this member: a new cut, and the log up to it.
    fn fall_behind(&mut self) -> Step {
        let Ok(cut) = self.room.cut() else { return Step::Gone(Gone::Deleted) };
        self.live = cut.live;
        self.catch_up = Some(cut.seam);
        self.step_behind(cut.seam)
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
        self.room.leave(self.connection.id);
    }
}
