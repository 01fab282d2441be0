//! The read side of one connection: bytes after the upgrade become text messages.
//!
//! tungstenite parses; what it answers by itself (pongs, the echo of a close) goes out through the
//! connection's [`Outbound`] like everything else. Generic over the stream, so that a test or a
//! fuzzer feeds the very code that serves sockets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::{Budget, Outbound};
use crate::domain::limits::{CONTROL_WRITE_BYTES, READ_BUFFER_BYTES};

/// A control frame's header with its mask.
const CONTROL_HEADER_BYTES: usize = 6;

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
    /// A ping or a pong; a ping has been answered. Or a goodbye, which the next call answers, so
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
    socket: WebSocketStream<Io<R>>,
    /// The peer has said goodbye.
    closing: bool,
}

impl<R: AsyncRead + Unpin> MessageReader<R> {
    /// `read_already`: what came behind the upgrade request.
    pub async fn new(
        stream: R,
        read_already: Vec<u8>,
        outbound: Arc<Outbound>,
        options: ReaderOptions,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_WRITE_BYTES)
            .max_message_size(Some(options.message_bytes))
            .max_frame_size(Some(options.message_bytes));
        let io = Io { stream, outbound, options, partial: 0, charged: 0 };
        let socket =
            WebSocketStream::from_partially_read(io, read_already, Role::Server, Some(config))
                .await;
        Self { socket, closing: false }
    }

    /// The next message. Cancel-safe: a message half read stays half read.
    pub async fn next(&mut self) -> Result<Inbound, ReadEnd> {
        loop {
            let message = match self.socket.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(read_end(&error)),
                None if self.closing => return Err(ReadEnd::Closed),
                None => return Err(ReadEnd::Gone),
            };
            let io = self.socket.get_mut();
            match &message {
                Message::Text(_) | Message::Binary(_) => io.message_complete(),
                // A fragmented message may be around it, and stays charged.
                Message::Ping(payload) | Message::Pong(payload) => {
                    io.forget(payload.len() + CONTROL_HEADER_BYTES);
                }
                Message::Close(_) | Message::Frame(_) => {}
            }
            match message {
                Message::Text(text) => return Ok(Inbound::Text(text)),
                Message::Binary(_) => return Err(ReadEnd::Binary),
                Message::Ping(_) | Message::Pong(_) => return Ok(Inbound::Control),
                // The next read sends the echo and ends.
                Message::Close(_) => {
                    self.closing = true;
                    return Ok(Inbound::Control);
                }
                Message::Frame(_) => {}
            }
        }
    }

    /// Reads and throws away, until the peer closes or `max` bytes have come: a peer that is still
    /// sending when the socket closes would see a reset in place of the close frame.
    pub async fn discard(&mut self, max: usize) {
        use tokio::io::AsyncReadExt;

        let mut buffer = vec![0; READ_BUFFER_BYTES];
        let mut total = 0;
        while total < max {
            match self.socket.get_mut().stream.read(&mut buffer).await {
                Ok(read @ 1..) => total += read,
                Ok(0) | Err(_) => return,
            }
        }
    }
}

fn read_end(error: &Error) -> ReadEnd {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => ReadEnd::Closed,
        Error::Utf8(_) => ReadEnd::NotUtf8,
        Error::Capacity(_) => ReadEnd::TooBig,
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => ReadEnd::Gone,
        Error::Protocol(_) => ReadEnd::Protocol,
        Error::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => ReadEnd::NoInputBudget,
        _ => ReadEnd::Gone,
    }
}

/// The stream as tungstenite sees it: reads come from the socket, writes go to the outbound.
#[derive(Debug)]
struct Io<R> {
    stream: R,
    outbound: Arc<Outbound>,
    options: ReaderOptions,
    /// Bytes read since the last whole message.
    partial: usize,
    /// How many of them are charged to the budget: those beyond one buffer.
    charged: usize,
}

impl<R> Io<R> {
    fn message_complete(&mut self) {
        self.forget(self.partial);
    }

    /// `bytes` of those read are no longer held.
    fn forget(&mut self, bytes: usize) {
        self.partial = self.partial.saturating_sub(bytes);
        let charged = self.charged.min(self.partial.saturating_sub(READ_BUFFER_BYTES));
        self.options.input.give_back(self.charged - charged);
        self.charged = charged;
    }

    fn received(&mut self, bytes: usize) -> io::Result<()> {
        self.options.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.partial += bytes;
        let beyond = self.partial.saturating_sub(READ_BUFFER_BYTES);
        if beyond > self.charged {
            if self.options.input.is_spent() {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            self.options.input.add(beyond - self.charged);
            self.charged = beyond;
        }
        Ok(())
    }
}

impl<R> Drop for Io<R> {
    fn drop(&mut self) {
        self.options.input.give_back(self.charged);
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Io<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.received(buffer.filled().len() - before))
    }
}

impl<R: Unpin> AsyncWrite for Io<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        frames: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outbound.send(Bytes::copy_from_slice(frames));
        Poll::Ready(Ok(frames.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::Data::{Binary, Continue, Text};
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

    fn data(kind: Data, payload: &[u8], fin: bool) -> Vec<u8> {
        masked(Frame::message(payload.to_vec(), OpCode::Data(kind), fin))
    }

    fn masked(mut frame: Frame) -> Vec<u8> {
        *frame.header_mut() = FrameHeader { mask: Some([1, 2, 3, 4]), ..frame.header().clone() };
        let mut bytes = Vec::new();
        frame.format(&mut bytes).unwrap();
        bytes
    }

    fn text(payload: &[u8]) -> Vec<u8> {
        data(Text, payload, true)
    }

    fn options() -> ReaderOptions {
        ReaderOptions {
            message_bytes: 10_000,
            input: Budget::new(6_000),
            received: Arc::new(AtomicU64::new(0)),
        }
    }

    async fn read_all(input: Vec<u8>, options: ReaderOptions) -> (Vec<String>, ReadEnd, u64) {
        let outbound = Outbound::stream(tokio::io::sink(), 1_000, Budget::new(1_000));
        let mut reader =
            MessageReader::new(input.as_slice(), Vec::new(), Arc::clone(&outbound), options).await;
        let mut texts = Vec::new();
        loop {
            match reader.next().await {
                Ok(Inbound::Text(text)) => texts.push(text.to_string()),
                Ok(Inbound::Control) => {}
                Err(end) => return (texts, end, outbound.queued()),
            }
        }
    }

    #[tokio::test]
    async fn messages_whole_and_in_fragments() {
        let input = [
            text(b"one"),
            data(Text, b"tw", false),
            masked(Frame::ping(b"x".to_vec())),
            data(Continue, b"o", true),
        ];
        let (texts, end, answered) = read_all(input.concat(), options()).await;
        assert_eq!(texts, ["one", "two"]);
        assert_eq!(end, ReadEnd::Gone);
        assert_eq!(answered, 3, "a pong with its payload");
    }

    /// The echo went out as soon as the goodbye was seen, before the answers to what had come with
    /// it.
    #[tokio::test]
    async fn a_goodbye_is_answered_by_the_next_call() {
        let outbound = Outbound::stream(tokio::io::sink(), 1_000, Budget::new(1_000));
        let input = [text(b"one"), vec![0x88, 0x80, 0, 0, 0, 0]].concat();
        let stream = input.as_slice();
        let mut reader =
            MessageReader::new(stream, Vec::new(), Arc::clone(&outbound), options()).await;
        assert_eq!(reader.next().await, Ok(Inbound::Text("one".into())));
        assert_eq!(reader.next().await, Ok(Inbound::Control));
        assert_eq!(outbound.queued(), 0);
        assert_eq!(reader.next().await, Err(ReadEnd::Closed));
        assert!(outbound.queued() > 0);
    }

    #[tokio::test]
    async fn each_violation_has_its_own_end() {
        let cases = [
            (text(b"\xff"), ReadEnd::NotUtf8),
            (text(&[b'x'; 10_001]), ReadEnd::TooBig),
            (data(Binary, b"x", true), ReadEnd::Binary),
            (vec![0x81, 1, b'x'], ReadEnd::Protocol),
            (vec![0xf1, 0x80, 0, 0, 0, 0], ReadEnd::Protocol),
            (data(Continue, b"x", true), ReadEnd::Protocol),
            (vec![0x88, 0x80, 0, 0, 0, 0], ReadEnd::Closed),
            (vec![], ReadEnd::Gone),
            (vec![0x81], ReadEnd::Gone),
        ];
        for (input, expected) in cases {
            let (texts, end, _) = read_all(input.clone(), options()).await;
            assert_eq!((texts.len(), end), (0, expected), "{input:?}");
        }
    }

    /// A ping between two fragments once gave back what the message was charged.
    #[tokio::test]
    async fn a_ping_does_not_free_the_message_around_it() {
        let options = options();
        let input = [
            data(Text, &[b'x'; 9_000], false),
            masked(Frame::ping(b"x".to_vec())),
            data(Continue, b"x", false),
        ];
        let outbound = Outbound::stream(tokio::io::sink(), 1_000, Budget::new(1_000));
        let input = input.concat();
        let stream = tokio::io::AsyncReadExt::chain(input.as_slice(), tokio::io::empty());
        let mut reader = MessageReader::new(stream, Vec::new(), outbound, options.clone()).await;
        assert_eq!(reader.next().await, Ok(Inbound::Control));
        assert!(options.input.used() >= 9_000 - 2 * READ_BUFFER_BYTES, "{}", options.input.used());
        assert_eq!(reader.next().await, Err(ReadEnd::Gone));
        drop(reader);
        assert_eq!(options.input.used(), 0);
    }

    #[tokio::test]
    async fn unfinished_messages_share_a_budget_that_comes_back() {
        let options = options();
        let input = text(&[b'x'; 9_000]);
        let (texts, ..) = read_all(input.clone(), options.clone()).await;
        assert_eq!((texts.len(), options.input.used()), (1, 0));
        options.input.add(6_000);
        let (texts, end, _) = read_all(input, options.clone()).await;
        assert_eq!((texts.len(), end), (0, ReadEnd::NoInputBudget));
        assert_eq!(options.input.used(), 6_000);
    }
}
