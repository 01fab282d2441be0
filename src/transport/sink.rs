//! Where a connection's bytes go.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

use crate::domain::limits::WRITE_SLICES;

pub(super) enum Sink {
    /// Takes bytes from any thread.
    Tcp(OwnedWriteHalf),
    /// Anything else (TLS, a test's pipe): only the connection's own task writes.
    Stream(Mutex<Pin<Box<dyn AsyncWrite + Send>>>),
    /// A driver's socket: takes bytes from any thread, and never says when it is ready again.
    Driven(Take),
}

pub(super) type Take = Box<dyn Fn(&[IoSlice<'_>]) -> io::Result<usize> + Send + Sync>;

impl Sink {
    pub(super) fn is_direct(&self) -> bool {
        !matches!(self, Self::Stream(_))
    }

    /// Takes what it can without waiting.
    pub(super) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => match slices {
                // The kernel's shorter way.
                [only] => socket.try_write(only),
                slices => socket.try_write_vectored(slices),
            },
            Self::Driven(take) => take(slices),
            Self::Stream(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Driven(_) => "Driven",
            Self::Stream(_) => "Stream",
        })
    }
}

pub(super) fn with_slices<T>(
    queue: &VecDeque<Bytes>,
    write: impl FnOnce(&[IoSlice<'_>]) -> T,
) -> T {
    if let [only] = queue.as_slices().0
        && queue.len() == 1
    {
        return write(&[IoSlice::new(only)]);
    }
    let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
    let mut used = 0;
    for (slice, bytes) in slices.iter_mut().zip(queue) {
        *slice = IoSlice::new(bytes);
        used += 1;
    }
    write(&slices[..used])
}
