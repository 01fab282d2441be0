//! Rooms: made, found, listed, deleted.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::{App, no_randomness, unreadable};
use crate::auth::random;
use crate::domain::limits::{RANDOM_SLUGS, ROOM_LOOKUPS, SLUG_SUFFIXES, WATCH_ROOMS};
use crate::domain::{
    Delivery, Identity, Refusal, Role, Room, RoomId, RoomName, RoomRef, Seq, Slug, UserId,
};
use crate::hub::{self, Cut, Member, PublishError};
use crate::store::{Command, CreateRoom, Reply, RoomRow, RoomSummary};

#[derive(Debug)]
pub struct CreateRoomRequest {
    pub name: RoomName,
    pub slug: Option<Slug>,
    /// `None`: the server's default.
    pub delivery: Option<Delivery>,
}

/// A room as it is shown: what is fixed, and where its committed log stands.
#[derive(Debug, Clone)]
pub struct RoomView {
    pub room: Room,
    pub first: Seq,
    pub head: Seq,
    pub count: u64,
}

impl From<RoomRow> for RoomView {
    fn from(row: RoomRow) -> Self {
        Self { room: row.room, first: row.head.first, head: row.head.seq, count: row.head.count }
    }
}

impl App {
    pub async fn create_room(
        &self,
        identity: &Identity,
        request: CreateRoomRequest,
    ) -> Result<RoomView, Refusal> {
        self.rates.messages.check(&identity.user_id)?;
        let slugs = match request.slug {
            Some(slug) => vec![slug],
            None => suggested_slugs(&request.name)?,
        };
        let (reply, outcome) = Reply::channel();
        let command = CreateRoom {
            name: request.name,
            slugs,
            created_by: identity.user_id,
            created_at: self.clock.now(),
            delivery: request.delivery.unwrap_or(self.settings.delivery),
            reply,
        };
        let room = self
            .write(Command::CreateRoom(command), outcome)
            .await?
            .map_err(|_| Refusal::SlugTaken)?;
        Ok(RoomView { room, first: 0, head: 0, count: 0 })
    }

    pub async fn rooms(&self, after: u64, limit: usize) -> Result<(Vec<RoomView>, bool), Refusal> {
        let (rows, has_more) = self.read(move |snapshot| snapshot.rooms(after, limit)).await?;
        Ok((rows.into_iter().map(RoomView::from).collect(), has_more))
    }

    /// A frame's worth of all rooms, by rising id after `after`, and whether there are more.
    pub async fn listed_rooms(
        &self,
        after: Option<RoomId>,
    ) -> Result<(Vec<RoomSummary>, bool), Refusal> {
        let after = after.map_or(0, RoomId::get);
        self.read(move |snapshot| snapshot.summaries(after, WATCH_ROOMS)).await
    }

    /// Charges somebody who has been told the list before for so many frames of it, each as a
    /// message.
    pub fn charge_for_list(&self, user: UserId, frames: u32) -> Result<(), Refusal> {
        let Some(frames) = NonZeroU32::new(frames) else { return Ok(()) };
        self.rates.messages.check_all(&user, frames)
    }

    pub async fn room(&self, reference: RoomRef) -> Result<RoomView, Refusal> {
        let row = self
            .read(move |snapshot| match reference {
                RoomRef::Id(id) => snapshot.room(id),
                RoomRef::Slug(slug) => snapshot.room_by_slug(&slug),
            })
            .await?;
        row.map(RoomView::from).ok_or(Refusal::NoSuchRoom)
    }

    pub async fn delete_room(
        &self,
        identity: &Identity,
        reference: RoomRef,
    ) -> Result<(), Refusal> {
        let RoomView { room, .. } = self.room(reference).await?;
        if room.created_by != identity.user_id && identity.role != Role::Admin {
            return Err(Refusal::Forbidden("only its creator or an admin may delete a room"));
        }
        for _ in 0..ROOM_LOOKUPS {
            match self.live_room(room.room_id).await?.delete() {
                Err(PublishError::Closed | PublishError::Crowded) => {}
                Err(PublishError::Refused(refusal)) => return Err(refusal),
                Ok(outcome) => {
                    outcome.await.map_err(|_| Refusal::Unavailable)?;
                    tracing::info!(room = %room.room_id, user = %identity.user_id, "deleted");
                    return Ok(());
                }
            }
        }
        Err(Refusal::Overloaded)
    }

    pub async fn live_room(&self, room: RoomId) -> Result<Arc<hub::Room>, Refusal> {
        let room = self.hub.room(room).await.map_err(|error| unreadable(&error))?;
        room.ok_or(Refusal::NoSuchRoom)
    }

    /// Makes `member` one of `room`: the room, the cut at which it came in, and who is there.
    pub async fn join(
        &self,
        room: RoomId,
        member: &Member,
    ) -> Result<(Arc<hub::Room>, Cut, bytes::Bytes), Refusal> {
        for _ in 0..ROOM_LOOKUPS {
            let room = self.live_room(room).await?;
            if let Ok((cut, people)) = room.join(member.clone()) {
                self.hub.presence_changed(&room);
                return Ok((room, cut, people));
            }
        }
        Err(Refusal::NoSuchRoom)
    }
}

/// What the name suggests, the same with numbers behind it, and random ones.
fn suggested_slugs(name: &RoomName) -> Result<Vec<Slug>, Refusal> {
    let mut slugs = Vec::new();
    if let Some(slug) = Slug::from_name(name) {
        let numbered = (SLUG_SUFFIXES).map(|number| format!("{slug}-{number}"));
        let numbered: Vec<_> = numbered.filter_map(|text| Slug::parse(&text).ok()).collect();
        slugs.push(slug);
        slugs.extend(numbered);
    }
    for _ in 0..RANDOM_SLUGS {
        slugs.push(Slug::from_random(random::six_bytes().map_err(no_randomness)?));
    }
    Ok(slugs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_suggests_its_slug_first_and_something_free_at_last() {
        let slugs = suggested_slugs(&RoomName::parse("General").unwrap()).unwrap();
        assert_eq!(slugs[0].as_str(), "general");
        assert_eq!(slugs[1].as_str(), "general-2");
        assert!(slugs.last().unwrap().as_str().starts_with("room-"));
        let slugs = suggested_slugs(&RoomName::parse("日本").unwrap()).unwrap();
        assert!(slugs.iter().all(|slug| slug.as_str().starts_with("room-")));
    }
}
