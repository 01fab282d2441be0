//! Sockets and bytes: knows no rooms and no JSON.

mod boundary;
mod budget;
mod outbound;
mod patient;
mod reader;
mod sink;

pub use budget::{Budget, Share};
pub use outbound::Outbound;
pub use patient::PatientStream;
pub use reader::{Inbound, MessageReader, ReadEnd, ReaderOptions};
