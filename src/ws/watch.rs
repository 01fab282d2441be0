//! What a session does about `watch`: all rooms, a page after the other, and from then on what
//! changes, of which `hub::watch` tells.

use std::sync::{MutexGuard, PoisonError};

use super::session::Session;
use super::state::Refused;
use crate::hub::{Watching, listed};
use crate::protocol::{RoomsFrame, ServerFrame};

impl Session {
    fn watching(&self) -> MutexGuard<'_, Option<Watching>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn watch(&self, reference: Option<&str>) -> Result<(), Refused> {
        let hub = &self.app.hub;
        let outbound = &self.connection.outbound;
        let begun = hub.watchers.begin(&self.connection);
        let (mut after, mut snapshot) = (None, true);
        loop {
            // In turns with those who catch up: many that watch come back at once, too.
            let turn = hub.log.turn().await;
            let (rooms, has_more) = self.app.listed_rooms(after).await?;
            if snapshot {
                // Nothing of what it watched before may follow what replaces it.
                *self.watching() = None;
            }
            let listed = rooms.iter().map(listed).collect();
            let frame = RoomsFrame { snapshot, has_more, rooms: listed, reference };
            outbound.send(ServerFrame::Rooms(frame).encode());
            drop(turn);
            if !has_more {
                break;
            }
            after = rooms.last().map(|summary| summary.room.room_id);
            snapshot = false;
            // A failed socket shows when it is read.
            let _ = outbound.drain_if_full().await;
        }
        begun.listen();
        *self.watching() = Some(begun);
        Ok(())
    }
}
