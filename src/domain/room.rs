//! Rooms.

use super::{Millis, RoomId, RoomName, Slug, UserId};

/// When a room hears a message: at once, or only after it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Immediate,
    Committed,
}

impl Delivery {
    pub const ALL: [Self; 2] = [Self::Immediate, Self::Committed];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "immediate",
            Self::Committed => "committed",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|delivery| delivery.as_str() == text)
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
