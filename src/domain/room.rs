//! Rooms.

use super::{Millis, RoomId, RoomName, Slug, UserId};

/// When a room hears a message: at once, or only after it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Immediate,
}

impl Delivery {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "immediate",
        }
    }
}

/// What is fixed about a room when it is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub room_id: RoomId,
    pub slug: Slug,
    pub name: RoomName,
    pub created_by: UserId,
    pub created_at: Millis,
    pub delivery: Delivery,
}
