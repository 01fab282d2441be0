//! What is under way in a process, and what comes of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use parlor::app::{Posted, RoomView};
use parlor::domain::{Refusal, RoomId, Seq, Slug};
use parlor::hub::{Cut, Room};
use parlor::store::{Page, PageRequest};

use crate::model::Text;

/// Something that takes more than one poll; for a client's frame, by its number.
pub struct Task {
    pub client: Option<usize>,
    /// Storage was failing when it was polled last. What it did then is told with the next poll.
    pub failing: bool,
    pub future: Pin<Box<dyn Future<Output = Done>>>,
}

pub enum Done {
    Posted {
        room: RoomId,
        text: Text,
        result: Result<Posted, Refusal>,
    },
    /// Over HTTP, answered when durable.
    Stored {
        room: RoomId,
        text: Text,
        result: Result<(RoomId, Posted), Refusal>,
    },
    Joined {
        after: Option<Seq>,
        reference: String,
        result: Result<Entered, Refusal>,
    },
    MayLeave(RoomId),
    Page {
        room: RoomId,
        request: PageRequest,
        floor: Seq,
        result: Result<(RoomId, Page), Refusal>,
    },
    Created {
        slug: Slug,
        result: Result<RoomView, Refusal>,
    },
    Deleted {
        room: RoomId,
        result: Result<(), Refusal>,
    },
}

pub type Entered = (Arc<Room>, Cut, Bytes);
