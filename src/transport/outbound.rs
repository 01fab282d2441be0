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
use super::sink::{Sink, with_slices};

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

    /// For a driver, which pushes out what waits when its socket can take more. `take` is a write
    /// that does not block.
    #[must_use]
    pub fn driven(
        take: impl Fn(&[IoSlice<'_>]) -> io::Result<usize> + Send + Sync + 'static,
        limit: usize,
        budget: Arc<Budget>,
    ) -> Arc<Self> {
        Self::new(Sink::Driven(Box::new(take)), limit, budget)
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

    /// Sends whole frames; what the socket does not take at once waits.
    pub fn send(&self, frames: Bytes) {
        let mut state = self.state();
        if state.queue.is_empty() {
            self.write_first(&mut state, &frames);
        } else {
            self.push(&mut state, frames);
            self.try_write(&mut state);
        }
    }

    /// Whether the socket takes bytes from any thread, and has taken all that there were.
    #[must_use]
    pub fn is_direct_and_idle(&self) -> bool {
        self.sink.is_direct() && self.state().queue.is_empty()
    }

    /// Sends whole frames or nothing of them, for whoever serves many connections and can leave
    /// this one to its own task. `false`: too much waits already, nothing was taken.
    #[must_use]
    pub fn offer(&self, frames: &Bytes) -> bool {
        let mut state = self.state();
        if state.closed {
            return true;
        }
        if !state.queue.is_empty() {
            let fits = state.waiting + frames.len() <= self.limit && !self.budget.is_spent();
            if fits {
                // Its own task is waiting for the socket, or about to try it.
                self.push(&mut state, frames.clone());
            }
            return fits;
        }
        self.write_first(&mut state, frames);
        true
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

    /// With nothing waiting: what the socket takes at once is never queued.
    fn write_first(&self, state: &mut State, frames: &Bytes) {
        if state.closed || frames.is_empty() {
            return;
        }
        let written = match self.sink.try_write(&[IoSlice::new(frames)]) {
            Ok(written @ 1..) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Ok(0) | Err(_) => return self.fail(state),
        };
        state.queued += written as u64;
        state.written += written as u64;
        if written < frames.len() {
            self.push(state, frames.slice(written..));
            self.waiting.notify_one();
        }
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
        if self.sink.is_direct() {
            while !state.queue.is_empty() {
                match with_slices(&state.queue, |slices| self.sink.try_write(slices)) {
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
        // An idle connection keeps no room for what may wait one day.
        state.queue = VecDeque::new();
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
            // Boxed: rare, and a part of every connection's task otherwise.
            if Box::pin(self.drain_to(0)).await.is_err() {
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
                Sink::Driven(_) => std::future::pending().await,
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

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
