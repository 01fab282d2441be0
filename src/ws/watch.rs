//! What a session does about `watch`: all rooms, a page after the other, and from then on what
//! changes, of which `hub::watch` tells.

use std::sync::{MutexGuard, PoisonError};

use super::session::Session;
use super::state::Refused;
use crate::domain::RoomId;
use crate::hub::{Page, Watching, listed};
use crate::protocol::{RoomsFrame, ServerFrame};

/// What a connection has watched so far.
#[derive(Debug, Default)]
pub(super) struct Watches {
    /// While it is told of changes.
    current: Option<Watching>,
    /// Frames that the last answer took; 0: it never asked.
    frames: u32,
}

impl Session {
    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rooms once are what a page needs; who asks again pays, as for that many messages.
    pub(super) async fn watch(&self, reference: Option<&str>) -> Result<(), Refused> {
        let hub = &self.app.hub;
        let outbound = &self.connection.outbound;
        let again = self.watches().frames;
        self.app.charge_for_list(self.caller().identity.user_id, again)?;
        // Nothing of what it watched before may follow from here on: it can be newer than the
        // rooms as they are now read.
        self.watches().current = None;
        let begun = hub.watchers.begin(&self.connection);
        let (mut after, mut frames) = (None, 0);
        loop {
            // In turns with those who catch up: many that watch come back at once, too.
            let turn = hub.log.turn().await;
            let Page { frame, last, has_more } = self.page(&begun, after, reference).await?;
            outbound.send(frame);
            drop(turn);
            frames += 1;
            self.watches().frames = frames.max(again);
            if !has_more {
                break;
            }
            after = last;
            // A failed socket shows when it is read.
            let _ = outbound.drain_if_full().await;
        }
        begun.listen();
        *self.watches() = Watches { current: Some(begun), frames };
        Ok(())
    }

    /// A frame of the list, perhaps read for another.
    async fn page(
        &self,
        watching: &Watching,
        after: Option<RoomId>,
        reference: Option<&str>,
    ) -> Result<Page, Refused> {
        let key = (after, reference.map(str::to_owned));
        if let Some(page) = watching.page(&key) {
            return Ok(page);
        }
        let begun = watching.begun();
        let (rooms, has_more) = self.app.listed_rooms(after).await?;
        let (snapshot, last) = (after.is_none(), rooms.last().map(|summary| summary.room.room_id));
        let rooms = rooms.iter().map(listed).collect();
        let frame = RoomsFrame { snapshot, has_more, rooms, reference };
        let page = Page { frame: ServerFrame::Rooms(frame).encode(), last, has_more };
        watching.share(key, begun, &page);
        Ok(page)
    }
}
