//! Sockets and bytes: knows no rooms and no JSON.

mod outbound;
mod patient;
mod reader;

pub use outbound::{Budget, Outbound};
pub use patient::PatientStream;
pub use reader::{Inbound, MessageReader, ReadEnd, ReaderOptions};
