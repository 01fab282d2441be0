//! Rooms that may have nobody in them: those asked for, and those that somebody was the last to
//! leave. Only these are looked at when idle rooms are dropped, however many are live.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::RoomId;

/// Each is a live room, or one on its way there, or one that has just been deleted.
#[derive(Debug, Default)]
pub(super) struct Vacant(Mutex<HashSet<RoomId>>);

impl Vacant {
    fn rooms(&self) -> MutexGuard<'_, HashSet<RoomId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, room: RoomId) {
        self.rooms().insert(room);
    }

    pub(super) fn remove(&self, room: RoomId) {
        self.rooms().remove(&room);
    }

    pub(super) fn take(&self) -> HashSet<RoomId> {
        std::mem::take(&mut self.rooms())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rooms().len()
    }
}
