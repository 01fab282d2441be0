//! The wire, pure: what clients may send, what the server says, and how each becomes bytes. The
//! page for users is `protocol.md` beside this file; its tables are held against this code.

mod chat;
mod client;
mod code;
mod event_stream;
mod frame;
mod json;
#[cfg(test)]
mod page;
mod server;

pub use chat::ChatDraft;
pub use client::{ClientFrame, DecodeError, Decoded, Echo, JoinRoom, decode};
pub use code::{CloseCode, ErrorCode};
pub use event_stream::{COMMENT_LINE, append_log_events, named_event, retry_line};
pub use frame::{close_frame, ping_frame, text_frame, texts};
pub use json::{Fields, NotAnObject, Value};
pub use server::{
    Hello, HelloLimits, Joined, ListedRoom, Person, Presence, RoomsFrame, ServerFrame, chat_json,
};
