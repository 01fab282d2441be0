//! Sockets and bytes: knows no rooms and no JSON.

mod outbound;
mod reader;

pub use outbound::{Budget, Outbound};
pub use reader::{Inbound, MessageReader, ReadEnd, ReaderOptions};
