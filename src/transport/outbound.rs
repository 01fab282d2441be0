//! The one place that writes to a connection.
//!
//! Whoever has bytes for it queues them whole and tries the socket at once; what the socket does
//! not take stays behind as slices of the shared buffers and is written by the connection's own
//! task when the socket is ready again. So no writer ever waits for a reader.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::Budget;
use crate::domain::limits::WRITE_SLICES;

/// The write side of one connection.
#[derive(Debug)]
pub struct Outbound {
    state: Mutex<State>,
    sink: Sink,
    /// Rung when something waits that the socket did not take at once.
    waiting: Notify,
    /// Past this many waiting bytes the connection is full.
    limit: usize,
    budget: Arc<Budget>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// Bytes in `queue`.
    waiting: usize,
    /// Bytes ever queued and ever taken by the socket.
    queued: u64,
    written: u64,
    /// Nothing more is written: the socket failed, or the connection said its last word.
    closed: bool,
}

enum Sink {
    /// Takes bytes from any thread.
    Tcp(OwnedWriteHalf),
    /// Anything else (TLS, a test's pipe): only the connection's own task writes.
    Stream(Mutex<Pin<Box<dyn AsyncWrite + Send>>>),
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Stream(_) => "Stream",
        })
    }
}

impl Outbound {
    #[must_use]
    pub fn tcp(socket: OwnedWriteHalf, limit: usize, budget: Arc<Budget>) -> Arc<Self> {
        Self::new(Sink::Tcp(socket), limit, budget)
    }

    #[must_use]
    pub fn stream(
        stream: impl AsyncWrite + Send + 'static,
        limit: usize,
        budget: Arc<Budget>,
    ) -> Arc<Self> {
        Self::new(Sink::Stream(Mutex::new(Box::pin(stream))), limit, budget)
    }

    /// Of a connection that is not served by frames: whatever is queued here is ignored.
    #[must_use]
    pub fn closed() -> Arc<Self> {
        let outbound = Self::stream(tokio::io::sink(), 0, Budget::new(0));
        outbound.state().closed = true;
        outbound
    }

    fn new(sink: Sink, limit: usize, budget: Arc<Budget>) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { state, sink, waiting: Notify::new(), limit, budget })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues whole frames without trying the socket. Ignored once closed.
    pub fn queue(&self, frames: Bytes) {
        self.push(&mut self.state(), frames);
    }

    /// Queues whole frames and tries the socket.
    pub fn send(&self, frames: Bytes) {
        let mut state = self.state();
        self.push(&mut state, frames);
        self.try_write(&mut state);
    }

    /// Tries the socket with what is queued.
    pub fn push_out(&self) {
        self.try_write(&mut self.state());
    }

    /// The last frames: what is queued after them is ignored.
    pub fn send_last(&self, frames: Bytes) {
        let mut state = self.state();
        self.push(&mut state, frames);
        state.closed = true;
        self.try_write(&mut state);
    }

    fn push(&self, state: &mut State, frames: Bytes) {
        if state.closed || frames.is_empty() {
            return;
        }
        self.budget.add(frames.len());
        state.waiting += frames.len();
        state.queued += frames.len() as u64;
        state.queue.push_back(frames);
    }

    fn try_write(&self, state: &mut State) {
        if let Sink::Tcp(socket) = &self.sink {
            while !state.queue.is_empty() {
                match with_slices(&state.queue, |slices| socket.try_write_vectored(slices)) {
                    Ok(written @ 1..) => self.advance(state, written),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Ok(0) | Err(_) => self.fail(state),
                }
            }
        }
        if !state.queue.is_empty() {
            self.waiting.notify_one();
        }
    }

    fn advance(&self, state: &mut State, mut written: usize) {
        self.budget.give_back(written);
        state.waiting -= written;
        state.written += written as u64;
        while let Some(front) = state.queue.front_mut() {
            if front.len() > written {
                front.advance(written);
                return;
            }
            written -= front.len();
            state.queue.pop_front();
        }
    }

    /// The peer is gone: the reader will hear of it and end the connection.
    fn fail(&self, state: &mut State) {
        self.budget.give_back(state.waiting);
        state.waiting = 0;
        state.queue.clear();
        state.closed = true;
    }

    /// Bytes that the socket has not taken.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.state().waiting
    }

    /// Waits until the connection is no longer full, with some room to spare.
    ///
    /// # Errors
    /// As [`Self::drain_to`].
    pub async fn drain_if_full(&self) -> io::Result<()> {
        if self.waiting_bytes() >= self.limit {
            self.drain_to(self.limit / 2).await?;
        }
        // With the process's budget spent, only a connection with nothing waiting has room.
        if self.is_full() { self.drain_to(0).await } else { Ok(()) }
    }

    /// Whether live frames should wait in the log instead of here.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let waiting = self.waiting_bytes();
        // With the process's budget spent, a connection that has nothing waiting goes on.
        waiting >= self.limit || (waiting > 0 && self.budget.is_spent())
    }

    /// Whether all connections together hold too much, and each takes only little at a time.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.budget.is_spent()
    }

    /// Bytes ever queued: what is queued next begins here.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.state().queued
    }

    /// Bytes that the socket has taken.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.state().written
    }

    /// Writes whatever waits, for ever; run by the connection's own task. Ends when the stream
    /// fails.
    pub async fn drive(&self) {
        loop {
            self.waiting.notified().await;
            if self.drain_to(0).await.is_err() {
                return;
            }
        }
    }

    /// Waits until at most `bytes` wait; run by the connection's own task.
    ///
    /// # Errors
    /// When the socket fails; what waited is dropped.
    pub async fn drain_to(&self, bytes: usize) -> io::Result<()> {
        while self.waiting_bytes() > bytes {
            let result = match &self.sink {
                Sink::Tcp(socket) => socket.writable().await.map(|()| self.push_out()),
                Sink::Stream(stream) => {
                    std::future::poll_fn(|cx| self.poll_stream(stream, cx)).await
                }
            };
            if let Err(error) = result {
                self.fail(&mut self.state());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Tells the peer that nothing follows, once everything is written.
    pub fn end(&self) {
        if let Sink::Tcp(socket) = &self.sink {
            // An error says that the peer has gone already.
            let _ = socket2::SockRef::from(socket.as_ref()).shutdown(std::net::Shutdown::Write);
        }
    }

    fn poll_stream(
        &self,
        stream: &Mutex<Pin<Box<dyn AsyncWrite + Send>>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut state = self.state();
            let Some(front) = state.queue.front().cloned() else { break };
            match ready!(stream.as_mut().poll_write(cx, &front))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.advance(&mut state, written),
            }
        }
        stream.as_mut().poll_flush(cx)
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.budget.give_back(self.waiting_bytes());
    }
}

fn with_slices<T>(queue: &VecDeque<Bytes>, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_slow_reader_gets_every_byte_in_order_and_the_budget_comes_back() {
        let (mut client, server) = pair().await;
        let budget = Budget::new(1 << 30);
        let (_read, write) = server.into_split();
        let outbound = Outbound::tcp(write, 1_000, Arc::clone(&budget));
        let frame = |index: u32| Bytes::from(vec![index.to_le_bytes()[0]; 10_000]);
        let mut sent = 0;
        while !outbound.is_full() {
            outbound.send(frame(sent));
            sent += 1;
        }
        assert!(budget.used() >= 1_000);
        let reading = tokio::spawn(async move {
            let mut received = vec![0; 10_000 * sent as usize];
            client.read_exact(&mut received).await.unwrap();
            received
        });
        outbound.drain_to(0).await.unwrap();
        let received = reading.await.unwrap();
        let expected: Vec<u8> = (0..sent).flat_map(|index| frame(index).to_vec()).collect();
        assert!(received == expected);
        assert_eq!((outbound.waiting_bytes(), budget.used()), (0, 0));
        assert_eq!(outbound.queued(), outbound.written());
    }

    #[tokio::test]
    async fn nothing_follows_the_last_word_and_a_dead_peer_costs_nothing() {
        let (client, server) = tokio::io::duplex(4);
        let budget = Budget::new(100);
        let outbound = Outbound::stream(server, 50, Arc::clone(&budget));
        outbound.send_last(Bytes::from_static(b"bye and more"));
        outbound.send(Bytes::from_static(b"late"));
        assert_eq!(outbound.waiting_bytes(), 12);
        drop(client);
        assert!(outbound.drain_to(0).await.is_err());
        assert_eq!(budget.used(), 0);
    }

    /// Once it came back at once while the connection stayed full, and whoever asked went round in
    /// circles.
    #[tokio::test]
    async fn with_the_budget_spent_a_connection_is_drained_to_the_last_byte() {
        let (mut client, server) = tokio::io::duplex(4);
        let budget = Budget::new(20);
        let outbound = Outbound::stream(server, 1_000, Arc::clone(&budget));
        budget.add(20);
        outbound.queue(Bytes::from_static(b"a few bytes"));
        assert!(outbound.is_full());
        let mut received = [0; 11];
        let read = async { client.read_exact(&mut received).await.map(|_| ()) };
        let (drained, read) = tokio::join!(outbound.drain_if_full(), read);
        drained.and(read).unwrap();
        assert!(!outbound.is_full());
    }

    #[test]
    fn what_waits_is_given_back_when_the_connection_goes() {
        let (_client, server) = tokio::io::duplex(4);
        let budget = Budget::new(10);
        let outbound = Outbound::stream(server, 50, Arc::clone(&budget));
        assert!(!outbound.is_full());
        outbound.queue(Bytes::from_static(b"0123456789"));
        assert!(budget.is_spent() && outbound.is_full());
        drop(outbound);
        assert_eq!(budget.used(), 0);
    }

    proptest! {
        #[test]
        fn a_stream_gets_what_was_queued_however_it_is_cut(
            frames in vec(vec(any::<u8>(), 0..50), 0..90),
            pipe in 1..40usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let expected = frames.concat();
            let received = runtime.block_on(async move {
                let (mut client, server) = tokio::io::duplex(pipe);
                let outbound = Outbound::stream(server, 10, Budget::new(10));
                for frame in frames {
                    outbound.queue(frame.into());
                }
                let mut received = Vec::new();
                let write = async move { outbound.drain_to(0).await.unwrap() };
                tokio::join!(write, async { client.read_to_end(&mut received).await.unwrap() });
                received
            });
            prop_assert_eq!(received, expected);
        }
    }
}
