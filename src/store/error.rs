//! What can go wrong with the store, one enum for each kind of operation.

use std::path::{Path, PathBuf};

/// The database cannot be opened; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot create the data directory {path}: {source}")]
    CreateDirectory { path: PathBuf, source: std::io::Error },
    #[error("another server is using the data directory {0}")]
    InUse(PathBuf),
    #[error("cannot write in the data directory {path}: {source}")]
    NotWritable { path: PathBuf, source: std::io::Error },
    /// The system refuses an access, which says nothing about what is in the file.
    #[error("cannot read or write the database {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(
        "{0} is empty, which no database of ours ever is. Restore it from a backup, or move it \
         away to begin a new one"
    )]
    Empty(PathBuf),
    #[error("{path} is not a database of this server, or it is damaged: {reason}")]
    Foreign { path: PathBuf, reason: String },
    #[error(
        "{path} has schema {found}, this program knows schemas up to {known}: start a newer \
         program, it was written by one"
    )]
    NewerSchema { path: PathBuf, found: u64, known: u64 },
    #[error("cannot get random bytes for a new database: {0}")]
    Random(String),
}

impl OpenError {
    /// Tells a system that refuses an access, as a full disk does, from a file that is wrong.
    pub(super) fn of(path: &Path, error: ReadError) -> Self {
        let path = path.to_owned();
        match error {
            ReadError::Storage(redb::Error::Io(source)) if source.raw_os_error().is_some() => {
                Self::Unreadable { path, source }
            }
            error => Self::Foreign { path, reason: error.to_string() },
        }
    }
}

/// A read failed. The reason is for the log, never for a client.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("storage: {0}")]
    Storage(#[from] redb::Error),
    #[error("record: {0}")]
    Record(#[from] super::record::RecordError),
    #[error("the room is gone")]
    NoSuchRoom,
    #[error("the store is closed or being reopened")]
    Closed,
    #[error("a read did not end: {0}")]
    Aborted(String),
    /// What a reader reported to the writer.
    #[error("a read failed: {0}")]
    Failed(String),
    #[error("the database contradicts itself: {0}")]
    Inconsistent(&'static str),
}

impl ReadError {
    /// Whether storage did not do what it was asked, which opening the database again may mend. The
    /// writer is told and tells the log, once.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Storage(redb::Error::Io(_) | redb::Error::PreviousIo))
    }

    /// Whether the database was closed, or opened again, before the read was done.
    #[must_use]
    pub fn is_too_late(&self) -> bool {
        matches!(self, Self::Closed | Self::Storage(redb::Error::DatabaseClosed))
    }

    /// Whether storage gave back something else than was put into it.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Record(_) | Self::Inconsistent(_))
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for ReadError {
            fn from(error: $error) -> Self {
                Self::Storage(error.into())
            }
        }
    )*};
}

from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// A write was not accepted; it has had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue is full.
    #[error("the writer's queue is full")]
    Full,
    /// Storage is failing, or the store is closed.
    #[error("the store accepts no writes")]
    Unavailable,
}
