//! How a message gets its place: stamped, queued for the writer and broadcast under one lock.

use bytes::{Bytes, BytesMut};

use super::room::refused;
use super::state::{Item, PublishError, State, Uncommitted};
use super::{Post, Reservation, Room};
use crate::clock::Moment;
use crate::domain::{ChatEvent, MessageId, Millis, Stamp};
use crate::mutation::{self, Mutation};
use crate::protocol::ChatDraft;
use crate::store::{Command, NewEvent};

impl Room {
    /// Gives `post` its place, hands it to the writer and to every member. From here on it no
    /// longer depends on its connection.
    pub fn publish(
        &self,
        post: Post,
        reservation: Option<Reservation>,
        now: Millis,
    ) -> Result<Stamp, PublishError> {
        let id = reservation.as_ref().and_then(|reservation| reservation.id.clone());
        let draft = self.draft(&post, id.as_ref());
        let published = Moment::now();
        let mut state = self.state();
        state.check_lanes()?;
        let (stamp, frames) = self.enter(&mut state, draft, post, id, now, published)?;
        let (first, last, count) = (stamp.seq, stamp.seq, stamp.count);
        self.pass_on(&mut state, Item::Events { first, last, count, frames, published });
        drop(state);
        // The commit gives the id free, not the end of this call.
        if let Some(mut reservation) = reservation
            && !mutation::is(Mutation::ReservationEndsEarly)
        {
            reservation.id = None;
        }
        Ok(stamp)
    }

    /// The same for several without ids, under one lock and as one item. Gives how many were
    /// published, and why the next one was not; whatever is behind it was not tried.
    pub fn publish_together(&self, posts: Vec<Post>, now: Millis) -> (usize, Option<PublishError>) {
        let drafted = posts.into_iter().map(|post| (self.draft(&post, None), post));
        let drafted: Vec<_> = drafted.collect();
        let published = Moment::now();
        let mut state = self.state();
        if let Err(error) = state.check_lanes() {
            return (0, Some(error));
        }
        let (mut stamps, mut failed) = (Vec::with_capacity(drafted.len()), None);
        let mut frames =
            BytesMut::with_capacity(drafted.iter().map(|(draft, _)| draft.len()).sum());
        for (draft, post) in drafted {
            match self.enter(&mut state, draft, post, None, now, published) {
                Ok((stamp, frame)) => {
                    stamps.push(stamp);
                    frames.extend_from_slice(&frame);
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if let (Some(first), Some(last)) = (stamps.first(), stamps.last()) {
            let (first, last, count) = (first.seq, last.seq, last.count);
            let frames = frames.freeze();
            self.pass_on(&mut state, Item::Events { first, last, count, frames, published });
        }
        (stamps.len(), failed)
    }

    fn draft(&self, post: &Post, id: Option<&MessageId>) -> ChatDraft {
        ChatDraft::new(self.id(), post.user, &post.username, &post.body, id)
    }

    /// The next place for a message, in the room and in the writer's queue. Without effect on an
    /// error. Its frame goes out under the same lock.
    fn enter(
        &self,
        state: &mut State,
        draft: ChatDraft,
        post: Post,
        id: Option<MessageId>,
        now: Millis,
        published: Moment,
    ) -> Result<(Stamp, Bytes), PublishError> {
        let stamp = state.next_stamp(now)?;
        let frame = draft.stamp(&stamp);
        if mutation::is(Mutation::BroadcastFirst) {
            let (first, last, count) = (stamp.seq, stamp.seq, stamp.count);
            let frames = frame.clone();
            self.pass_on(state, Item::Events { first, last, count, frames, published });
        }
        if mutation::is(Mutation::RefusedUsesSeq) {
            state.advance(stamp);
        }
        // Only who waits for an ack is measured.
        let published = id.as_ref().and(post.from.as_ref()).map(|_| published);
        let event = ChatEvent { stamp, user_id: post.user, id: id.clone(), body: post.body };
        self.queue
            .submit(Command::Event(NewEvent { room: self.id(), event }))
            .map_err(|error| PublishError::Refused(refused(error)))?;
        state.advance(stamp);
        if let Some(connection) = &post.from {
            connection.published();
        }
        let Stamp { seq, at, .. } = stamp;
        let uncommitted = Uncommitted { seq, at, user: post.user, id, from: post.from, published };
        state.uncommitted.push_back(uncommitted);
        if mutation::is(Mutation::WatermarkFirst) {
            self.committed.send_replace(stamp.seq);
        }
        Ok((stamp, frame))
    }

    /// To every member, now or at the commit.
    fn pass_on(&self, state: &mut State, item: Item) {
        if self.holds_back() {
            state.broadcast_held(item);
        } else {
            state.broadcast(item);
        }
    }
}
