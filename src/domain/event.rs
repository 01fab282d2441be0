//! What a room's log holds.

use super::{MessageBody, MessageId, Millis, Seq, UserId};

/// The place in a room's log that an event got when it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub seq: Seq,
    pub at: Millis,
    /// How many events the room has had, this one included.
    pub count: u64,
    /// The seq of the event before, where the seqs jump after a crash.
    pub prev: Option<Seq>,
}

/// One message, stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatEvent {
    pub stamp: Stamp,
    pub user_id: UserId,
    pub id: Option<MessageId>,
    pub body: MessageBody,
}
