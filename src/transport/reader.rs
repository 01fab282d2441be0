//! The read side of one connection: bytes after the upgrade become text messages.
//!
//! tungstenite parses; what it answers by itself (pongs, the echo of a close) goes out through the
//! connection's [`Outbound`] like everything else. A connection that says nothing holds no parser
//! and no buffer: bytes are read into one buffer of the thread's, and a parser is there while there
//! are whole frames, or parts of a message, for it. Generic over the stream, so that a test or a
//! fuzzer feeds the very code that serves sockets.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::boundary::Boundary;
use super::{Budget, Outbound};
use crate::domain::limits::{CONTROL_WRITE_BYTES, READ_BUFFER_BYTES};

thread_local! {
    static BUFFER: RefCell<[u8; READ_BUFFER_BYTES]> =
        const { RefCell::new([0; READ_BUFFER_BYTES]) };
}

/// What a reader needs besides its stream.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// The longest message.
    pub message_bytes: usize,
    /// Bytes of unfinished messages of all connections.
    pub input: Arc<Budget>,
    /// Counts every byte received: any of them is a sign of life.
    pub received: Arc<AtomicU64>,
}

/// Something a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    Text(Utf8Bytes),
    /// A ping or a pong; a ping is answered by the next call. Or a goodbye, answered likewise, so
    /// that whatever is to be said before it can be.
    Control,
}

/// Why there is nothing more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEnd {
    /// The peer said goodbye; its close frame has been answered.
    Closed,
    /// The stream ended or failed without a goodbye.
    Gone,
    /// A violation of RFC 6455.
    Protocol,
    NotUtf8,
    TooBig,
    Binary,
    /// All connections together hold too many unfinished messages.
    NoInputBudget,
}

/// Reads messages.
#[derive(Debug)]
pub struct MessageReader<R> {
    stream: R,
    outbound: Arc<Outbound>,
    options: ReaderOptions,
    boundary: Boundary,
    /// The beginning of a frame whose end has not come.
    cut: Vec<u8>,
    parser: Option<Box<Parser>>,
    /// Bytes of unfinished messages that are charged to the budget: those beyond one buffer.
    charged: usize,
}

impl<R> MessageReader<R> {
    /// `read_already`: what came behind the upgrade request.
    pub fn new(
        stream: R,
        read_already: &[u8],
        outbound: Arc<Outbound>,
        options: ReaderOptions,
    ) -> Self {
        let mut reader = Self {
            stream,
            outbound,
            options,
            boundary: Boundary::default(),
            cut: Vec::new(),
            parser: None,
            charged: 0,
        };
        reader.sort(read_already);
        reader
    }

    /// The next message of what has been read already; `None`: there is none.
    pub fn at_hand(&mut self) -> Option<Result<Inbound, ReadEnd>> {
        let message = match self.parser.as_mut()?.next(&self.outbound) {
            Ok(message) => message,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if !self.boundary.is_within_message() {
                    self.parser = None;
                }
                return None;
            }
            Err(error) => return Some(Err(read_end(&error))),
        };
        Some(match message {
            Message::Text(text) => Ok(Inbound::Text(text)),
            Message::Binary(_) => Err(ReadEnd::Binary),
            // The next call sends what there is to answer. No raw frame is ever read.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                Ok(Inbound::Control)
            }
        })
    }

    /// Charges what is held of unfinished messages; refused if all connections hold too much.
    fn charge(&mut self) -> Result<(), ReadEnd> {
        let held = self.boundary.unfinished() + self.cut.capacity();
        let beyond = held.saturating_sub(READ_BUFFER_BYTES);
        if beyond > self.charged {
            if self.options.input.is_spent() {
                return Err(ReadEnd::NoInputBudget);
            }
            self.options.input.add(beyond - self.charged);
        } else {
            self.options.input.give_back(self.charged - beyond);
        }
        self.charged = beyond;
        Ok(())
    }

    /// Gives the parser what it can take and keeps the rest.
    fn sort(&mut self, bytes: &[u8]) {
        let longest = self.options.message_bytes;
        if self.cut.is_empty() {
            let (whole, cut) = bytes.split_at(self.boundary.whole_frames(bytes, longest));
            self.cut.extend_from_slice(cut);
            if !whole.is_empty() {
                // With room for what the parser keeps, which would allocate it otherwise.
                let mut frames = Vec::with_capacity(READ_BUFFER_BYTES.max(whole.len()));
                frames.extend_from_slice(whole);
                self.parse(frames);
            }
            return;
        }
        self.cut.extend_from_slice(bytes);
        let whole = self.boundary.whole_frames(&self.cut, longest);
        if whole > 0 {
            let cut = self.cut.split_off(whole);
            let frames = std::mem::replace(&mut self.cut, cut);
            self.parse(frames);
        }
    }

    /// Only once the parser has dealt with all that it had.
    fn parse(&mut self, frames: Vec<u8>) {
        match &mut self.parser {
            Some(parser) => parser.more = frames.into(),
            None => self.parser = Some(Parser::new(frames, self.options.message_bytes)),
        }
    }
}

impl<R: AsyncRead + Unpin> MessageReader<R> {
    /// The next message. Cancel-safe: a message half read stays half read.
    pub async fn next(&mut self) -> Result<Inbound, ReadEnd> {
        loop {
            if let Some(message) = self.at_hand() {
                return message;
            }
            poll_fn(|cx| self.poll_read(cx)).await?;
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ReadEnd>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            let bytes = buffer.filled();
            if read.is_err() || bytes.is_empty() {
                return Poll::Ready(Err(ReadEnd::Gone));
            }
            self.options.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.sort(bytes);
            Poll::Ready(self.charge())
        })
    }

    /// Reads and throws away, until the peer closes or `max` bytes have come: a peer that is still
    /// sending when the socket closes would see a reset in place of the close frame.
    pub async fn discard(&mut self, max: usize) {
        use tokio::io::AsyncReadExt;

        let mut buffer = vec![0; READ_BUFFER_BYTES];
        let mut total = 0;
        while total < max {
            match self.stream.read(&mut buffer).await {
                Ok(read @ 1..) => total += read,
                Ok(0) | Err(_) => return,
            }
        }
    }
}

impl<R> Drop for MessageReader<R> {
    fn drop(&mut self) {
        self.options.input.give_back(self.charged);
    }
}

/// At work on whole frames, or within a message of several.
#[derive(Debug)]
struct Parser {
    context: WebSocketContext,
    /// Frames that came while it was within a message.
    more: Bytes,
}

impl Parser {
    fn new(frames: Vec<u8>, message_bytes: usize) -> Box<Self> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_WRITE_BYTES)
            .max_message_size(Some(message_bytes))
            .max_frame_size(Some(message_bytes));
        let context = WebSocketContext::from_partially_read(frames, Role::Server, Some(config));
        Box::new(Self { context, more: Bytes::new() })
    }

    fn next(&mut self, outbound: &Outbound) -> Result<Message, Error> {
        self.context.read(&mut Duplex { more: &mut self.more, outbound })
    }
}

/// The connection as the parser sees it: it reads what has come and writes to the outbound.
struct Duplex<'a> {
    more: &'a mut Bytes,
    outbound: &'a Outbound,
}

impl Read for Duplex<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.more.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = buffer.len().min(self.more.len());
        self.more.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl Write for Duplex<'_> {
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.outbound.send(Bytes::copy_from_slice(frames));
        Ok(frames.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_end(error: &Error) -> ReadEnd {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => ReadEnd::Closed,
        Error::Utf8(_) => ReadEnd::NotUtf8,
        Error::Capacity(_) => ReadEnd::TooBig,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => ReadEnd::Gone,
        Error::Protocol(_) => ReadEnd::Protocol,
        _ => ReadEnd::Gone,
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
