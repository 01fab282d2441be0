//! The bytes of one connection, and the frames in them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use parlor::transport::{Budget, Outbound};
use serde_json::Value;
use tokio::io::AsyncWrite;

/// What the server has written and the client has not read. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<Mutex<Vec<u8>>>);

impl Wire {
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// A socket whose buffer holds so many bytes.
    pub fn outbound(&self, buffer: usize, limit: usize, budget: Arc<Budget>) -> Arc<Outbound> {
        let wire = self.clone();
        let take = move |slices: &[IoSlice<'_>]| {
            let mut bytes = wire.0.lock().unwrap();
            let before = bytes.len();
            for slice in slices {
                let free = buffer.saturating_sub(bytes.len());
                bytes.extend_from_slice(&slice[..slice.len().min(free)]);
            }
            let taken = bytes.len() - before;
            if taken > 0 { Ok(taken) } else { Err(io::ErrorKind::WouldBlock.into()) }
        };
        Outbound::driven(take, limit, budget)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The JSON of the text frames in `bytes`, which must be whole.
pub fn frames(mut bytes: &[u8]) -> Vec<Value> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[0], 0x81, "a whole text message begins here");
        let (header, length) = match bytes[1] {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            short => (2, usize::from(short)),
        };
        frames.push(serde_json::from_slice(&bytes[header..header + length]).unwrap());
        bytes = &bytes[header + length..];
    }
    frames
}
