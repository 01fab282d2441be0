//! The log and everything else that must survive: the only place that knows redb and bincode.
//!
//! Writes go through one bounded queue to one OS thread that commits them in groups. Reads run on a
//! small pool over snapshots. A name or slug is decided by the writer,
//! so there is no check before the write that could be raced.

mod accounts;
mod command;
mod directory;
mod disk;
mod error;
mod events;
mod handle;
mod pool;
mod queue;
mod reader;
pub mod record;
mod rooms;
mod schema;
mod snapshot;
mod summary;
mod tables;
#[cfg(test)]
mod tests;
mod thread;
mod unsynced;
mod writer;

pub use command::{
    ChangePassword, Command, CreateRoom, DeleteRoom, DeleteUser, NewEvent, Reply, SignUp,
    SignUpRefused, SlugTaken, StartSession,
};
pub use error::{OpenError, ReadError, SubmitError};
pub use handle::{Health, Medium, Opened, Place, StoreOptions};
pub use queue::WriteQueue;
pub use reader::Reader;
pub use schema::NewDatabase;
pub use snapshot::{
    Account, Head, LogPage, LoggedEvent, Page, PageRequest, PageSize, RoomRow, Session, Snapshot,
};
pub use summary::RoomSummary;
pub use thread::{DrivenWriter, WriterEnd, WriterThread};
pub use writer::{CommitMode, Committed, EndedSessions, Writer};
