//! Pure values: what the product talks about, valid once built. No I/O, no clock, no randomness.

mod event;
mod ids;
mod invalid;
pub mod limits;
mod refusal;
mod room;
mod text;
mod user;
mod web_origin;

pub use event::{ChatEvent, Stamp};
pub use ids::{IdError, LogId, Millis, RoomId, RoomRef, SAFE_INTEGER_END, Seq, SessionId, UserId};
pub use invalid::{FieldError, Invalid};
pub use limits::Limits;
pub use refusal::Refusal;
pub use room::{Delivery, Room};
pub use text::{
    DisplayName, MessageBody, MessageId, Password, RoomName, Slug, TextError, Username,
};
pub use user::{DELETED_USERNAME, Identity, Role, User};
pub use web_origin::{WebOrigin, is_loopback_host};
