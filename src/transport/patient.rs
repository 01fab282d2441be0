//! A socket for plain HTTP, patient within bounds, in two ways.
//!
//! Its writes do not wait for ever: a client that stops reading its answer would otherwise hold the
//! answer in memory for as long as it likes. And when it closes while the client is still sending,
//! say a body that was refused by its length, it first reads on for a moment: the kernel would
//! answer unread bytes with a reset, and the client would never see the answer.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::domain::limits::{CLOSE_LINGER, CLOSE_LINGER_BYTES, HURRIED_STALL, READ_BUFFER_BYTES};

/// Fails a write with `TimedOut` when the socket takes nothing for `stall`, or for a moment once
/// `hurry` is cancelled.
pub struct PatientStream {
    socket: TcpStream,
    stall: Duration,
    hurry: CancellationToken,
    /// Runs while a write waits, and ends with its patience.
    waiting: Option<Waiting>,
    /// Running while it closes and still reads, with the bytes that it may yet read.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

impl fmt::Debug for PatientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatientStream").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl PatientStream {
    #[must_use]
    pub fn new(socket: TcpStream, stall: Duration, hurry: CancellationToken) -> Self {
        Self { socket, stall, hurry, waiting: None, lingering: None }
    }

    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.socket
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| patience(self.stall, self.hurry.clone()));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn patience(stall: Duration, hurry: CancellationToken) -> Waiting {
    Box::pin(async move {
        let long = tokio::time::sleep(stall);
        let short = async {
            hurry.cancelled().await;
            tokio::time::sleep(HURRIED_STALL).await;
        };
        tokio::select! {
            () = long => {}
            () = short => {}
        }
    })
}

impl AsyncRead for PatientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        }
        let mut scratch = [0; READ_BUFFER_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = Pin::new(&mut this.socket).poll_read(cx, &mut buffer);
            let bytes = buffer.filled().len();
            match (&mut this.lingering, read) {
                // A client that is not sending has nothing to lose.
                (None, Poll::Pending) => return Poll::Ready(Ok(())),
                (Some((end, _)), Poll::Pending) => return end.as_mut().poll(cx).map(Ok),
                (_, Poll::Ready(read)) if read.is_err() || bytes == 0 => {
                    return Poll::Ready(Ok(()));
                }
                (lingering, Poll::Ready(_)) => {
                    let (_, left) = lingering.get_or_insert_with(|| {
                        (Box::pin(tokio::time::sleep(CLOSE_LINGER)), CLOSE_LINGER_BYTES)
                    });
                    *left = left.saturating_sub(bytes);
                    if *left == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair(stall: Duration) -> (TcpStream, PatientStream) {
        hurried_pair(stall, CancellationToken::new()).await
    }

    async fn hurried_pair(stall: Duration, hurry: CancellationToken) -> (TcpStream, PatientStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, PatientStream::new(listener.accept().await.unwrap().0, stall, hurry))
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_ends_the_write() {
        let (_client, mut server) = pair(Duration::from_millis(20)).await;
        let chunk = vec![0; 100_000];
        let error = loop {
            if let Err(error) = server.write_all(&chunk).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    /// With the patience of a day the test would not end.
    #[tokio::test]
    async fn in_a_hurry_a_peer_that_takes_nothing_is_not_waited_for() {
        let hurry = CancellationToken::new();
        let (_client, mut server) = hurried_pair(Duration::from_hours(24), hurry.clone()).await;
        let chunk = vec![0; 100_000];
        // The write waits already when the hurry begins.
        let filled = async {
            loop {
                server.write_all(&chunk).await?;
            }
        };
        let mut filled: Pin<Box<dyn Future<Output = io::Result<()>>>> = Box::pin(filled);
        let early = tokio::time::timeout(Duration::from_millis(1), &mut filled).await;
        assert!(early.is_err(), "nobody reads, nobody gives up");
        hurry.cancel();
        assert_eq!(filled.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_something_is_waited_for() {
        let (mut client, mut server) = pair(Duration::from_mins(1)).await;
        let bytes = vec![7; 20_000_000];
        let expected = bytes.clone();
        let writing = tokio::spawn(async move { server.write_all(&bytes).await });
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        writing.await.unwrap().unwrap();
        assert!(received == expected);
    }
}
