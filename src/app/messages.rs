//! Messages: said once, however often they are sent, and read again.

use std::sync::Arc;
use std::time::Duration;

use super::{App, unreadable};
use crate::clock::Moment;
use crate::domain::limits::POST_TRIES;
use crate::domain::{
    ChatEvent, Identity, MessageBody, MessageId, Millis, Refusal, RoomId, RoomRef, Seq, Stamp,
};
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

/// What came of looking for an id before publishing under it.
enum Once {
    Found(ChatEvent),
    Tried(Result<Stamp, PublishError>),
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
        let mut tries = 0;
        while tries < POST_TRIES {
            tries += 1;
            let room = self.live_room(room).await?;
            if id.is_some() {
                // Before the look-up, which would be in vain.
                room.passable().await;
            }
            let post = post(caller, &body);
            let published = match &id {
                None => room.publish(post, None, self.clock.now()),
                Some(id) => match room.reserve(post.user, id) {
                    Reserve::Closed => continue,
                    Reserve::Busy(outcome) => {
                        // It ends by being dropped, when the other message is stored or given up.
                        // What is found stored needs no reservation: a crowd that waited for it is
                        // answered at once and not one by one.
                        let _ = outcome.await;
                        let (user, id, room) = (post.user, id.clone(), room.id());
                        let find =
                            move |snapshot: &Snapshot| snapshot.by_client_id(user, &id, room);
                        match self.read(find).await? {
                            Some(event) => return stored_before(&event, &body),
                            None => continue,
                        }
                    }
                    Reserve::Mine(reservation) => {
                        match self.publish_once(&room, post, id.clone(), reservation).await? {
                            Once::Found(event) => return stored_before(&event, &body),
                            Once::Tried(published) => published,
                        }
                    }
                },
            };
            match published {
                Err(PublishError::Closed) => {}
                // No try: there is something to wait for.
                Err(PublishError::Crowded) => {
                    room.passable().await;
                    tries -= 1;
                }
                Err(PublishError::Refused(refusal)) => return Err(refusal),
                Ok(Stamp { seq, at, .. }) => return Ok(Posted::Published { seq, at }),
            }
        }
        Err(Refusal::Overloaded)
    }

    /// The same for several without ids in one room, which are published together. One outcome for
    /// each.
    pub async fn post_together(
        &self,
        caller: &Caller,
        room: RoomId,
        bodies: Vec<MessageBody>,
    ) -> Vec<Result<(), Refusal>> {
        let rates = &self.rates.messages;
        let mut outcomes: Vec<Result<(), Refusal>> =
            bodies.iter().map(|_| rates.check(&caller.identity.user_id)).collect();
        let allowed = bodies.into_iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        let bodies: Vec<MessageBody> = allowed.map(|(body, _)| body).collect();
        let (published, refusal) = self.publish_together(caller, room, bodies).await;
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()).skip(published) {
            *outcome = Err(refusal.clone());
        }
        outcomes
    }

    /// How many were published, and why the others were not.
    async fn publish_together(
        &self,
        caller: &Caller,
        room: RoomId,
        bodies: Vec<MessageBody>,
    ) -> (usize, Refusal) {
        if bodies.is_empty() {
            return (0, Refusal::Overloaded);
        }
        let mut tries = 0;
        while tries < POST_TRIES {
            tries += 1;
            let room = match self.live_room(room).await {
                Ok(room) => room,
                Err(refusal) => return (0, refusal),
            };
            let posts = bodies.iter().map(|body| post(caller, body)).collect();
            match room.publish_together(posts, self.clock.now()) {
                (0, Some(PublishError::Closed)) => {}
                // No try: there is something to wait for.
                (0, Some(PublishError::Crowded)) => {
                    room.passable().await;
                    tries -= 1;
                }
                (published, Some(PublishError::Refused(refusal))) => return (published, refusal),
                (published, _) => return (published, Refusal::Overloaded),
            }
        }
        (0, Refusal::Overloaded)
    }

    /// Looks for the id in the table and publishes if it is not there. That nothing is there tells
    /// something only to whoever held the reservation before the snapshot was taken: until a
    /// message is in the table, its id is reserved. Both are done by the thread that reads, so that
    /// the message need not wait for another to wake.
    async fn publish_once(
        &self,
        room: &Arc<Room>,
        post: Post,
        id: MessageId,
        reservation: Reservation,
    ) -> Result<Once, Refusal> {
        let (room, clock) = (Arc::clone(room), self.clock.clone());
        let once = move |snapshot: &Snapshot| {
            let found = snapshot.by_client_id(post.user, &id, room.id())?;
            if let Some(event) = found.filter(|_| !mutation::is(Mutation::NotLookedUp)) {
                return Ok(Once::Found(event));
            }
            Ok(Once::Tried(room.publish(post, Some(reservation), clock.now())))
        };
        self.read(once).await
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
        let post = tokio::time::timeout(patience, self.post(caller, room_id, body, id));
        let posted = post.await.map_err(|_| Refusal::Overloaded)??;
        let published = Moment::now();
        if let Posted::Published { seq, .. } = posted
            && let Some(room) = self.hub.live_room(room_id)
        {
            let durable = tokio::time::timeout(patience, room.durable(seq)).await;
            durable.map_err(|_| Refusal::Unavailable)?;
            self.hub.metrics.publish_to_ack.observe(published.elapsed());
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

fn post(caller: &Caller, body: &MessageBody) -> Post {
    Post {
        user: caller.identity.user_id,
        username: caller.identity.username.as_str().into(),
        body: body.clone(),
        from: caller.connection.clone(),
    }
}

/// The answer to a message whose id is in the table.
fn stored_before(event: &ChatEvent, body: &MessageBody) -> Result<Posted, Refusal> {
    if event.body != *body && !mutation::is(Mutation::TextNotCompared) {
        return Err(Refusal::IdConflict);
    }
    Ok(Posted::Duplicate { seq: event.stamp.seq, at: event.stamp.at })
}
