//! Messages: said once, however often they are sent, and read again.

use std::sync::Arc;
use std::time::Duration;

use super::{App, unreadable};
use crate::domain::limits::POST_TRIES;
use crate::domain::{Identity, MessageBody, MessageId, Millis, Refusal, RoomId, RoomRef, Seq};
use crate::hub::{Connection, Part, Post, PublishError, Reservation, Reserve, Room};
use crate::mutation::{self, Mutation};
use crate::store::{Page, PageRequest, Snapshot};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// Published; its commit follows.
    Published { seq: Seq, at: Millis },
    /// It was stored before, under the same id.
    Duplicate { seq: Seq, at: Millis },
}

/// Who says it, and through which socket.
#[derive(Debug, Clone)]
pub struct Caller {
    pub identity: Identity,
    pub connection: Option<Arc<Connection>>,
}

impl App {
    /// The one way in for messages, from a socket and over HTTP.
    pub async fn post(
        &self,
        caller: &Caller,
        room: RoomId,
        body: MessageBody,
        id: Option<MessageId>,
    ) -> Result<Posted, Refusal> {
        self.rates.messages.check(&caller.identity.user_id)?;
        for _ in 0..POST_TRIES {
            let room = self.live_room(room).await?;
            let reservation = match &id {
                None => None,
                Some(id) => match room.reserve(caller.identity.user_id, id) {
                    Reserve::Closed => continue,
                    Reserve::Busy(outcome) => {
                        // It ends by being dropped, when the other message is stored or given up.
                        // What is found stored needs no reservation: a crowd that waited for it is
                        // answered at once and not one by one.
                        let _ = outcome.await;
                        if let Some(posted) = self.stored_before(caller, &room, id, &body).await? {
                            return Ok(posted);
                        }
                        continue;
                    }
                    Reserve::Mine(reservation) => {
                        if !mutation::is(Mutation::NotLookedUp)
                            && let Some(posted) =
                                self.stored_before(caller, &room, id, &body).await?
                        {
                            return Ok(posted);
                        }
                        Some(reservation)
                    }
                },
            };
            match self.publish(caller, &room, &body, reservation) {
                Err(PublishError::Closed) => {}
                Err(PublishError::Refused(refusal)) => return Err(refusal),
                Ok(posted) => return Ok(posted),
            }
        }
        Err(Refusal::Overloaded)
    }

    fn publish(
        &self,
        caller: &Caller,
        room: &Arc<Room>,
        body: &MessageBody,
        reservation: Option<Reservation>,
    ) -> Result<Posted, PublishError> {
        let post = Post {
            user: caller.identity.user_id,
            username: caller.identity.username.as_str().into(),
            body: body.clone(),
            from: caller.connection.clone(),
        };
        let stamp = room.publish(post, reservation, self.clock.now())?;
        Ok(Posted::Published { seq: stamp.seq, at: stamp.at })
    }

    /// Looks for the id in the table. What is there was stored; that nothing is there tells
    /// something only to whoever held the reservation before the snapshot was taken: until a
    /// message is in the table, its id is reserved.
    async fn stored_before(
        &self,
        caller: &Caller,
        room: &Arc<Room>,
        id: &MessageId,
        body: &MessageBody,
    ) -> Result<Option<Posted>, Refusal> {
        let (user, id, room) = (caller.identity.user_id, id.clone(), room.id());
        let find = move |snapshot: &Snapshot| snapshot.by_client_id(user, &id, room);
        let stored = self.reader.look_up(find).await.map_err(|error| unreadable(&error))?;
        match stored {
            None => Ok(None),
            Some(event) if event.body == *body || mutation::is(Mutation::TextNotCompared) => {
                Ok(Some(Posted::Duplicate { seq: event.stamp.seq, at: event.stamp.at }))
            }
            Some(_) => Err(Refusal::IdConflict),
        }
    }

    /// Posts and waits until the message is on disk.
    pub async fn post_durably(
        &self,
        caller: &Caller,
        room: RoomRef,
        body: MessageBody,
        id: Option<MessageId>,
        patience: Duration,
    ) -> Result<(RoomId, Posted), Refusal> {
        let room_id = self.room_id(room).await?;
        let posted = self.post(caller, room_id, body, id).await?;
        if let Posted::Published { seq, .. } = posted
            && let Some(room) = self.hub.live_room(room_id)
        {
            let durable = tokio::time::timeout(patience, room.durable(seq)).await;
            durable.map_err(|_| Refusal::Unavailable)?;
        }
        Ok((room_id, posted))
    }

    pub async fn room_id(&self, reference: RoomRef) -> Result<RoomId, Refusal> {
        match reference {
            RoomRef::Id(id) => Ok(id),
            slug @ RoomRef::Slug(_) => Ok(self.room(slug).await?.room.room_id),
        }
    }

    /// A page of history, once everything published before is on disk: it never ends short of what
    /// the caller may have heard live.
    pub async fn history(
        &self,
        reference: RoomRef,
        request: PageRequest,
        limit: usize,
        patience: Duration,
    ) -> Result<(RoomId, Page), Refusal> {
        let room_id = self.room_id(reference).await?;
        if let Some(room) = self.hub.live_room(room_id) {
            let head = room.head();
            // While storage fails there is nothing to wait for that will come soon.
            if room.committed_seq() < head && !self.is_storing() {
                return Err(Refusal::Unavailable);
            }
            let durable = tokio::time::timeout(patience, room.durable(head)).await;
            durable.map_err(|_| Refusal::Unavailable)?;
        }
        let page = self.read(move |snapshot| snapshot.page(room_id, request, limit)).await?;
        page.map(|page| (room_id, page)).ok_or(Refusal::NoSuchRoom)
    }

    /// How many messages `room` ever had up to `seq`.
    pub async fn count_at(&self, room: &Room, seq: Seq) -> Result<u64, Refusal> {
        if let Some(count) = room.uncommitted_count(seq) {
            return Ok(count);
        }
        let (id, last) = (room.id(), PageRequest::Before(seq + 1));
        let page = self.read(move |snapshot| snapshot.page(id, last, 1)).await?;
        let event = page.as_ref().and_then(|page| page.events.last());
        Ok(event.map_or(0, |logged| logged.event.stamp.count))
    }

    /// What follows `after` in a room's log, up to `upto`, for a subscription that catches up: as
    /// much as one turn gives. `short`: bytes are scarce, and it shall be little.
    pub async fn log_part(
        &self,
        room: &Room,
        after: Seq,
        upto: Seq,
        short: bool,
    ) -> Result<Part, Refusal> {
        self.hub.log.part(room, after, upto, short).await.map_err(|error| unreadable(&error))
    }
}
