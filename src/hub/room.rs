//! One live room: stamps, enqueues and broadcasts under one lock, so that the order of seqs is the
//! order in the writer's queue, on every socket, and in history.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};

use super::Connection;
use super::lane::LaneOptions;
use super::state::{Cut, Item, Member, Phase, PublishError, State};
use super::vacant::Vacant;
use crate::clock::Moment;
use crate::domain::limits::TYPING_INTERVAL_MS;
use crate::domain::{self, Delivery, MessageBody, MessageId, Millis, Refusal, RoomId, Seq, UserId};
use crate::metrics::Metrics;
use crate::mutation::{self, Mutation};
use crate::protocol::ServerFrame;
use crate::store::{Command, DeleteRoom, Reply, RoomRow, SubmitError, WriteQueue};
use crate::transport::Budget;

/// The room is not live any more in this object: look it up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// A message that is ready to be published.
#[derive(Debug)]
pub struct Post {
    pub user: UserId,
    pub username: Arc<str>,
    pub body: MessageBody,
    /// The socket it came through, which is told of the commit.
    pub from: Option<Arc<Connection>>,
}

/// The outcome of asking for a client's id.
#[derive(Debug)]
pub enum Reserve {
    Mine(Reservation),
    /// Somebody is storing it: wait for this to end, then ask again.
    Busy(oneshot::Receiver<()>),
    Closed,
}

/// The right to store a message under a client's id; given back when dropped unused.
#[derive(Debug)]
pub struct Reservation {
    room: Arc<Room>,
    user: UserId,
    pub(super) id: Option<MessageId>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.room.state().inflight.release(self.user, &id);
        }
    }
}

#[derive(Debug)]
pub struct Room {
    pub info: domain::Room,
    pub(super) queue: WriteQueue,
    pub(super) metrics: Arc<Metrics>,
    pub(super) state: Mutex<State>,
    /// The last committed seq.
    pub(super) committed: watch::Sender<Seq>,
    pub(super) lanes: LaneOptions,
    /// What waits for its commit in the lanes of all rooms.
    pub(super) held: Arc<Budget>,
    /// Rung when a lane has received something.
    pub(super) progress: Arc<Notify>,
    /// Told when the last member leaves.
    vacant: Arc<Vacant>,
}

/// Who uses a room, as is found when idle ones are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It has members.
    Occupied,
    /// Nobody is there, but something of it is under way.
    Vacant,
    /// Nobody uses it, and it is closed now.
    Evicted,
}

/// An ack for a connection.
pub(super) struct Ack {
    pub(super) connection: Arc<Connection>,
    /// `None` for a message without id, which only opens the window again.
    pub(super) frame: Option<Bytes>,
    /// When its message was, where a frame says so.
    pub(super) published: Option<Moment>,
}

impl Room {
    /// `boot`: this start's number. After a crash the next seq leaves out what the crash may have
    /// lost, so that no seq that anybody heard is given twice.
    pub(super) fn new(
        row: RoomRow,
        boot: u64,
        queue: WriteQueue,
        metrics: Arc<Metrics>,
        (lanes, held): (LaneOptions, Arc<Budget>),
        vacant: Arc<Vacant>,
    ) -> Arc<Self> {
        Arc::new(Self {
            info: row.room,
            queue,
            metrics,
            state: Mutex::new(State::new(&row.head, boot)),
            committed: watch::Sender::new(row.head.seq),
            lanes,
            held,
            progress: Arc::default(),
            vacant,
        })
    }

    #[must_use]
    pub fn id(&self) -> RoomId {
        self.info.room_id
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the right to store a message under `id`; look into the table only after.
    pub fn reserve(self: &Arc<Self>, user: UserId, id: &MessageId) -> Reserve {
        let mut state = self.state();
        // Of a room that is being deleted the publication is refused, for good.
        if state.phase == Phase::Evicted {
            return Reserve::Closed;
        }
        match state.inflight.reserve(user, id) {
            Ok(()) => {
                let (room, id) = (Arc::clone(self), Some(id.clone()));
                Reserve::Mine(Reservation { room, user, id })
            }
            Err(busy) => Reserve::Busy(busy),
        }
    }

    /// Everything up to `seq` is on disk: moves the watermark, frees ids, gives the acks.
    pub(super) fn committed(&self, seq: Seq, acks: &mut Vec<Ack>) {
        let mut state = self.state();
        while let Some(done) = state.uncommitted.pop_front_if(|next| next.seq <= seq) {
            if let Some(id) = &done.id {
                state.inflight.release(done.user, id);
            }
            if let Some(connection) = done.from {
                let frame = done
                    .id
                    .as_ref()
                    .map(|id| ServerFrame::ack(self.id(), id, done.seq, done.at, false).encode());
                acks.push(Ack { connection, frame, published: done.published });
            }
        }
        self.committed.send_replace(seq);
        if self.holds_back() {
            state.ring();
        }
        for (_, connection) in state.awaiting_commit.drain() {
            connection.ring();
        }
    }

    /// Whether nobody hears a message before it is committed.
    pub(super) fn holds_back(&self) -> bool {
        self.info.delivery == Delivery::Committed
    }

    /// Whether members may hear of what has this seq; in a room that holds back, they are rung when
    /// that becomes true.
    pub(super) fn may_be_heard(&self, seq: Seq) -> bool {
        !self.holds_back()
            || self.committed_seq() >= seq
            || mutation::is(Mutation::HeardBeforeCommit)
    }

    /// Waits until everything up to `seq` is on disk.
    pub async fn durable(&self, seq: Seq) {
        // The sender lives in `self`, so that the wait ends only as it should.
        let _ = self.committed.subscribe().wait_for(|committed| *committed >= seq).await;
    }

    #[must_use]
    pub fn committed_seq(&self) -> Seq {
        *self.committed.borrow()
    }

    /// The last seq given, committed or not.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.state().head
    }

    /// How many events there were up to `seq`, unless everything up to there is committed: then the
    /// log knows.
    #[must_use]
    pub fn uncommitted_count(&self, seq: Seq) -> Option<u64> {
        let state = self.state();
        let behind = state.uncommitted.iter().rev().take_while(|event| event.seq > seq).count();
        (self.committed_seq() <= seq).then_some(state.count - behind as u64)
    }

    /// The lowest seq stored, of those that may be heard; 0: none yet.
    #[must_use]
    pub fn first(&self) -> Seq {
        let first = self.state().first;
        if self.may_be_heard(first) { first } else { 0 }
    }

    /// Rings `connection` at the next commit, unless `seq` is committed by now.
    pub(super) fn ring_at_commit(&self, connection: &Arc<Connection>, seq: Seq) {
        let mut state = self.state();
        if self.committed_seq() >= seq {
            connection.ring();
        } else {
            state.awaiting_commit.insert(connection.id, Arc::clone(connection));
        }
    }

    /// Makes `member` one; whatever is published after the cut reaches it through the cut's
    /// receiver.
    pub fn join(&self, member: Member) -> Result<(Cut, Bytes), Closed> {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return Err(Closed);
        }
        if !state.members.contains_key(&member.connection.id) {
            if let Some(username) = &member.present_as {
                state.presence.enter(member.user, username);
            }
            let connection = &member.connection;
            state.listeners.insert(connection.id, Arc::clone(connection));
            state.members.insert(member.connection.id, member);
        }
        Ok((self.cut_in(&state), state.presence.snapshot(self.id())))
    }

    /// Another cut for a member that fell behind or begins anew; `Err`: the room is gone.
    pub fn cut(&self, connection: &Arc<Connection>) -> Result<Cut, Closed> {
        let mut state = self.state();
        if state.phase == Phase::Deleted {
            return Err(Closed);
        }
        if state.members.contains_key(&connection.id) {
            state.listeners.insert(connection.id, Arc::clone(connection));
        }
        Ok(self.cut_in(&state))
    }

    /// What may not be heard yet is not counted either.
    fn cut_in(&self, state: &State) -> Cut {
        let mut cut = state.cut();
        if self.holds_back() {
            cut.head = self.committed_seq();
            cut.first = if cut.head == 0 { 0 } else { cut.first };
            cut.count -= state.uncommitted.len() as u64;
        }
        cut
    }

    pub fn leave(&self, connection: u64) {
        let mut state = self.state();
        let member = state.members.remove(&connection);
        state.listeners.remove(&connection);
        // While storage fails, no commit would take it away.
        state.awaiting_commit.remove(&connection);
        if let Some(member) = member.filter(|member| member.present_as.is_some()) {
            state.presence.leave(member.user);
        }
        if state.members.is_empty() {
            self.vacant.insert(self.id());
        }
    }

    #[must_use]
    pub fn presence_snapshot(&self) -> Bytes {
        self.state().presence.snapshot(self.id())
    }

    #[must_use]
    pub(super) fn has_presence_changes(&self) -> bool {
        self.state().presence.has_changes()
    }

    /// Tells the members who came and went since they were last told.
    pub fn tell_presence(&self) {
        let mut state = self.state();
        if let Some(frame) = state.presence.take_changes(self.id()) {
            state.broadcast(Item::Presence { frame });
        }
    }

    /// Tells the others that somebody types, unless they heard it just now, or have not heard by
    /// far what was said: many who type must not push messages out of the channel.
    pub fn typing(&self, user: UserId, username: &str, now: Millis) {
        let mut state = self.state();
        state.typing.retain(|_, at| now.saturating_sub(*at) < TYPING_INTERVAL_MS);
        if state.typing.contains_key(&user) || state.is_crowded() {
            return;
        }
        state.typing.insert(user, now);
        let (room_id, user_id) = (self.id().get(), user.get());
        let frame = ServerFrame::Typing { room_id, user_id, username }.encode();
        state.broadcast(Item::Typing { user, frame });
    }

    /// Sends the deletion to the writer, behind everything that was published.
    pub fn delete(&self) -> Result<oneshot::Receiver<()>, PublishError> {
        let mut state = self.state();
        state.check_open()?;
        let (reply, receiver) = Reply::channel();
        self.queue
            .submit(Command::DeleteRoom(DeleteRoom { room: self.id(), reply }))
            .map_err(|error| PublishError::Refused(refused(error)))?;
        state.phase = Phase::Deleting;
        Ok(receiver)
    }

    /// The deletion is on disk: the members hear of it.
    pub(super) fn deleted(&self) {
        let mut state = self.state();
        state.phase = Phase::Deleted;
        state.ring();
        state.lanes.iter().for_each(|lane| lane.end());
    }

    #[must_use]
    pub(super) fn is_deleted(&self) -> bool {
        self.state().phase == Phase::Deleted
    }

    /// Closes the room if nobody uses it and nothing of it is on the way to the disk.
    pub(super) fn evict_if_idle(&self) -> Use {
        let mut state = self.state();
        if !state.members.is_empty() {
            return Use::Occupied;
        }
        let idle = state.phase == Phase::Open
            && (state.uncommitted.is_empty() || mutation::is(Mutation::EvictedTooEarly))
            && state.inflight.is_empty()
            && (self.committed_seq() == state.head || mutation::is(Mutation::EvictedTooEarly));
        if !idle {
            return Use::Vacant;
        }
        state.phase = Phase::Evicted;
        Use::Evicted
    }
}

pub(super) fn refused(error: SubmitError) -> Refusal {
    match error {
        SubmitError::Full => Refusal::Overloaded,
        SubmitError::Unavailable => Refusal::Unavailable,
    }
}
