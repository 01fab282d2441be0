//! What a session does about each frame: one action after the other, each answered before the next
//! is read.

use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;

use super::rooms::LogRead;
use super::session::Session;
use super::state::{Action, Refused, State};
use crate::app::{Caller, Posted};
use crate::domain::limits::{LEAVE_PATIENCE, STORAGE_RETRY};
use crate::domain::{Invalid, MessageBody, MessageId, Refusal, RoomId, RoomRef, Seq};
use crate::hub::{Lane, LaneStep, Member, Room, Subscription};
use crate::protocol::{CloseCode, Echo, JoinRoom, Joined, ServerFrame};

/// What was said to one room in a row.
#[derive(Default)]
struct Said {
    room: Option<RoomId>,
    bodies: Vec<MessageBody>,
    echoes: Vec<Echo>,
}

impl Session {
    pub(super) fn caller(&self) -> MutexGuard<'_, Caller> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acts on text messages that came together, one after the other. What is said to one room in
    /// a row, without ids, is published together. An error: the connection ends.
    pub(super) async fn act(&self, texts: &[impl AsRef<str>]) -> Result<(), CloseCode> {
        let mut said = Said::default();
        for text in texts {
            let (echo, action) = self.state().on_text(text.as_ref(), &self.app.settings.limits);
            match action {
                Action::Post { room, body, id: None } => {
                    if said.room.is_some_and(|before| before != room) {
                        self.say(&mut said).await?;
                    }
                    said.room = Some(room);
                    said.bodies.push(body);
                    said.echoes.push(echo);
                }
                action => {
                    self.say(&mut said).await?;
                    // Each answer may be long. A failed socket shows when it is read.
                    let _ = self.connection.outbound.drain_if_full().await;
                    let outcome = self.perform(&echo, action).await;
                    self.answer(&echo, outcome)?;
                }
            }
        }
        self.say(&mut said).await
    }

    /// Publishes what was said in a row.
    async fn say(&self, said: &mut Said) -> Result<(), CloseCode> {
        let Said { room: Some(room), bodies, echoes } = std::mem::take(said) else { return Ok(()) };
        let caller = self.caller().clone();
        let outcomes = self.app.post_together(&caller, room, bodies).await;
        let mut answers = echoes.iter().zip(outcomes);
        answers.try_for_each(|(echo, outcome)| self.answer(echo, outcome.map_err(Refused::from)))
    }

    fn answer(&self, echo: &Echo, outcome: Result<(), Refused>) -> Result<(), CloseCode> {
        let refused = outcome.err().map(|refused| {
            let Refused { code, message, retry_after, faults } = refused;
            self.send(&ServerFrame::error(code, &message, retry_after, echo, &faults));
            self.app.hub.metrics.refused(code);
            code
        });
        self.state().answered(refused).map_or(Ok(()), Err)
    }

    fn send(&self, frame: &ServerFrame<'_>) {
        self.connection.outbound.send(frame.encode());
    }

    async fn perform(&self, echo: &Echo, action: Action) -> Result<(), Refused> {
        let reference = echo.reference.as_deref();
        match action {
            Action::Refuse(refused) => return Err(refused),
            Action::Pong => self.send(&ServerFrame::Pong { reference }),
            Action::Join(join) => self.join(&join, reference).await?,
            Action::JoinAgain(join) => self.join_again(&join, reference).await?,
            Action::Leave { room } => self.leave(room, reference).await?,
            Action::Post { room, body, id } => self.post(room, body, id).await?,
            Action::Typing { room } => {
                let identity = self.caller().identity.clone();
                if let Some(room) = self.rooms.get(room) {
                    let now = self.app.clock.now();
                    room.typing(identity.user_id, identity.username.as_str(), now);
                }
            }
            Action::NotJoined { room } => {
                self.app.room(RoomRef::Id(room)).await?;
                return Err(Refusal::NotInRoom.into());
            }
            Action::Watch => self.watch(reference).await?,
            Action::Refresh { token } => self.refresh(&token, reference).await?,
        }
        Ok(())
    }

    async fn join(&self, join: &JoinRoom, reference: Option<&str>) -> Result<(), Refused> {
        let caller = self.caller().clone();
        let member = Member {
            connection: Arc::clone(&self.connection),
            user: caller.identity.user_id,
            present_as: Some(caller.identity.username.as_str().into()),
        };
        let (room, cut, people) = self.app.join(join.room, &member).await?;
        let joined = self.joined(&room, join, (cut.head, cut.first, cut.count), reference);
        let subscription = Subscription::new(room, member.connection, member.user, cut, join.after);
        // Who catches up hears who is there when it has.
        let people = if subscription.is_live() { people } else { Bytes::new() };
        self.rooms.enter(subscription, &self.connection.outbound, [joined, people]);
        self.state().joined(join.room);
        self.connection.ring();
        Ok(())
    }

    async fn join_again(&self, join: &JoinRoom, reference: Option<&str>) -> Result<(), Refused> {
        let outbound = &self.connection.outbound;
        let told = if let Some(after) = join.after {
            let room = self.rooms.get(join.room).ok_or(Refusal::NoSuchRoom)?;
            let cut = room.cut(&self.connection).map_err(|_| Refusal::NoSuchRoom)?;
            let joined = self.joined(&room, join, (cut.head, cut.first, cut.count), reference);
            self.rooms.restart(join.room, cut, after, outbound, joined)
        } else {
            let uncounted = match self.rooms.uncounted(join.room) {
                Some((room, cursor)) => self.app.count_at(&room, cursor).await?,
                None => 0,
            };
            self.rooms.tell_position(join.room, outbound, uncounted, |room, head, count| {
                self.joined(room, join, (head, room.first(), count), reference)
            })
        };
        if !told {
            // Its end was told while this frame waited for its turn.
            return Err(Refusal::NoSuchRoom.into());
        }
        self.connection.ring();
        Ok(())
    }

    fn joined(
        &self,
        room: &Room,
        join: &JoinRoom,
        (head, first, count): (Seq, Seq, u64),
        reference: Option<&str>,
    ) -> Bytes {
        let ours = self.app.settings.log.to_string();
        let frame = Joined {
            room_id: room.id().get(),
            head,
            first,
            count,
            delivery: room.info.delivery.as_str(),
            log: None,
            reset: join.log.as_ref().is_some_and(|log| *log != ours),
            reference,
        };
        ServerFrame::Joined(frame).encode()
    }

    async fn leave(&self, room: RoomId, reference: Option<&str>) -> Result<(), Refused> {
        // `left` is the last that is heard of the room: the acks of what was said there go first.
        self.connection.window_below(1).await;
        // So does what was said before, which a lane may still have at hand.
        let _ = tokio::time::timeout(LEAVE_PATIENCE, self.rooms.level(room)).await;
        let frame = ServerFrame::Left { room_id: room.get(), reason: None, reference };
        let left = self.rooms.leave(room, &self.connection.outbound, frame.encode());
        self.connection.outbound.push_out();
        self.state().left(room);
        // The room's end may have been told while this waited; the frame is answered all the same.
        self.app.hub.presence_changed(&left.ok_or(Refusal::NotInRoom)?);
        Ok(())
    }

    async fn post(
        &self,
        room: RoomId,
        body: MessageBody,
        id: Option<MessageId>,
    ) -> Result<(), Refused> {
        let caller = self.caller().clone();
        let posted = self.app.post(&caller, room, body, id.clone()).await?;
        if let (Posted::Duplicate { seq, at }, Some(id)) = (posted, &id) {
            self.send(&ServerFrame::ack(room, id, seq, at, true));
        }
        Ok(())
    }

    /// The connection goes over to the session of a newer token of the same user.
    async fn refresh(&self, token: &str, reference: Option<&str>) -> Result<(), Refused> {
        let of_other = || Invalid::field("token", "must be a valid token of the same user");
        let valid = |refusal| match refusal {
            Refusal::Unauthorized => Refusal::Invalid(of_other()),
            refusal => refusal,
        };
        let identity = self.app.authenticate(token).await.map_err(valid)?;
        let before = self.caller().identity.clone();
        if identity.user_id != before.user_id {
            return Err(Refusal::Invalid(of_other()).into());
        }
        let connections = &self.app.hub.connections;
        connections.rebind(self.connection.id, identity.session);
        // Asked again behind the registration, as at the beginning of a connection.
        if let Err(refusal) = self.app.authenticate(token).await {
            connections.rebind(self.connection.id, before.session);
            return Err(valid(refusal).into());
        }
        let expires_at = identity.expires_at;
        self.caller().identity = identity;
        self.heartbeats.renew(&self.watched, expires_at);
        self.send(&ServerFrame::Refreshed { expires_at, reference });
        Ok(())
    }

    /// Gives every room a turn. `true`: there is more to do.
    pub(super) async fn pump(&self) -> bool {
        let outbound = &self.connection.outbound;
        let turn = self.rooms.turn(outbound);
        outbound.push_out();
        for room in &turn.gone {
            self.state().left(room.id());
        }
        if let Some(read) = &turn.read
            && !self.catch_up(read).await
        {
            // Storage fails, of which the log tells, or the room is gone, of which its members are
            // about to hear. The subscription stays where it is.
            tokio::time::sleep(STORAGE_RETRY).await;
        }
        if turn.full {
            return outbound.drain_if_full().await.is_ok();
        }
        if turn.read.is_none() {
            for lane in self.rooms.board(outbound) {
                tokio::spawn(drive(lane));
            }
        }
        turn.read.is_some()
    }

    /// Hands on a part of the log. `false`: it cannot be read.
    async fn catch_up(&self, read: &LogRead) -> bool {
        let outbound = &self.connection.outbound;
        let _turn = self.app.hub.log.turn().await;
        let part = self.app.log_part(&read.room, read.after, read.upto, outbound.is_short()).await;
        let found = part.map(|part| self.rooms.page(read, part, outbound));
        outbound.push_out();
        found.is_ok()
    }

    pub(super) fn leave_all(&self) {
        for room in self.rooms.leave_all() {
            self.app.hub.presence_changed(&room);
        }
    }
}

/// Runs a lane for as long as its room is live. No session's task: it serves all of them.
async fn drive(mut lane: Lane) {
    loop {
        match lane.step() {
            // Small rooms are not held up by a crowd.
            LaneStep::More => tokio::task::yield_now().await,
            LaneStep::Idle => lane.rung().await,
            LaneStep::Ended => return,
        }
    }
}

impl From<Invalid> for Refused {
    fn from(invalid: Invalid) -> Self {
        Refusal::Invalid(invalid).into()
    }
}
