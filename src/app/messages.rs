//! Messages: said once, however often they are sent, and read again.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use crate::domain::{Identity, MessageBody, MessageId, Millis, Refusal, RoomId, RoomRef, Seq};
use crate::hub::{Connection, Post, PublishError, Reservation, Reserve, Room};
use crate::mutation::{self, Mutation};
use crate::store::{LoggedEvent, Page, PageRequest};

/// Tries before a message gives up on a room that is dropped from memory under its hands, or on an
/// id that others keep reserving.
const TRIES: usize = 64;

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
        for _ in 0..TRIES {
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
        let stored = self.read(move |snapshot| snapshot.by_client_id(user, &id, room)).await?;
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

    /// The events in (`after`, `upto`] for a subscription that catches up: all, or as many as a
    /// page takes, and whether that is all. [`Refusal::NoSuchRoom`]: the room was deleted
    /// meanwhile, of which its members hear in a moment.
    pub async fn log_page(
        &self,
        room: RoomId,
        after: Seq,
        upto: Seq,
        limit: usize,
    ) -> Result<(Vec<LoggedEvent>, bool), Refusal> {
        let request = PageRequest::After(after, upto);
        let page = self.read(move |snapshot| snapshot.page(room, request, limit)).await?;
        let page = page.ok_or(Refusal::NoSuchRoom)?;
        Ok((page.events, !page.has_more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Parts, Settings, Signup};
    use crate::clock::Clock;
    use crate::domain::{Delivery, Limits, LogId};
    use crate::hub::Hub;
    use crate::store::{DrivenWriter, NewDatabase, StoreOptions, Writer};

    fn app(directory: &std::path::Path) -> Arc<App> {
        let options = StoreOptions::directory(directory, 1 << 20);
        let new = NewDatabase { log: LogId(1), secret: [0; 32] };
        let (writer, reader, opened) = Writer::open(&options, &new).unwrap();
        let limits = Limits::default();
        let (_, queue, health) = DrivenWriter::new(writer, &limits);
        let hub = Hub::new(reader.clone(), queue.clone(), opened.boot, &limits);
        let clock = Clock::manual(1);
        let token_secret = opened.secret;
        let parts = Parts { hub, clock, reader, queue, health, token_secret };
        let (signup, delivery) = (Signup::Open, Delivery::Immediate);
        let token_ttl = Duration::from_mins(1);
        let log = opened.log;
        App::new(parts, Settings { limits, log, delivery, signup, token_ttl, setup_code: None })
    }

    /// A room's deletion was committed, and its members had not been told. The log then had nothing
    /// for whoever was catching up, which was taken for all there is: the member went on with what
    /// was live and had missed what lay between.
    #[tokio::test]
    async fn the_log_of_a_deleted_room_is_not_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let page = app(directory.path()).log_page(RoomId::new(1).unwrap(), 0, 5, 10).await;
        assert_eq!(page.unwrap_err(), Refusal::NoSuchRoom);
    }
}
