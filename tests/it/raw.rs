//! A WebSocket client that may break every rule, and that sees how its TCP connection ends.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Person, within};

pub const TEXT: u8 = 0x81;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;

/// One frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

pub struct Raw {
    tcp: TcpStream,
    /// Read but not yet a frame.
    buffer: Vec<u8>,
    used: usize,
}

impl Raw {
    /// A socket behind its `hello`.
    pub async fn connect(person: &Person) -> Self {
        Self::connect_narrow(person, None).await
    }

    /// A socket in `room`, behind the snapshot of who is there.
    pub async fn enter(person: &Person, room: u64) -> Self {
        let mut raw = Self::connect(person).await;
        raw.text(&json!({"type": "join_room", "roomId": room})).await;
        raw.find("presence").await;
        raw
    }

    /// The kernel holds about `receive_buffer` bytes that were not read.
    pub async fn connect_narrow(person: &Person, receive_buffer: Option<u32>) -> Self {
        let path = format!("/ws?token={}", person.token);
        let mut raw = Self::open(person.addr, &path, "", receive_buffer).await;
        assert_eq!(raw.recv_json().await["type"], "hello");
        raw
    }

    /// A connection without handshake, behind its `hello`.
    pub async fn over(tcp: TcpStream) -> Self {
        let mut raw = Self { tcp, buffer: Vec::new(), used: 0 };
        assert_eq!(raw.recv_json().await["type"], "hello");
        raw
    }

    /// `headers`: further lines of the handshake, each with its line end.
    pub async fn open(
        addr: SocketAddr,
        path: &str,
        headers: &str,
        receive_buffer: Option<u32>,
    ) -> Self {
        Self::open_with(addr, path, headers, receive_buffer, b"").await
    }

    /// `early`: bytes sent in one write with the handshake, before its answer is seen.
    pub async fn open_with(
        addr: SocketAddr,
        path: &str,
        headers: &str,
        receive_buffer: Option<u32>,
        early: &[u8],
    ) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).expect("an option");
        }
        let tcp = socket.connect(addr).await.expect("a connection");
        tcp.set_nodelay(true).expect("an option");
        let mut raw = Self { tcp, buffer: Vec::new(), used: 0 };
        let handshake = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {headers}\r\n"
        );
        raw.write(&[handshake.as_bytes(), early].concat()).await;
        let end = loop {
            let end = raw.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                break end;
            }
            assert!(raw.read_more().await, "an answer to the handshake");
        };
        assert!(raw.buffer.starts_with(b"HTTP/1.1 101"), "the upgrade");
        raw.used = end + 4;
        raw
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        within("room to send", self.tcp.write_all(bytes)).await.expect("an open socket");
    }

    /// Sends whatever the socket still takes; a peer that has closed is no fault.
    pub async fn write_in_vain(&mut self, bytes: &[u8]) {
        let _ = within("room to send", self.tcp.write_all(bytes)).await;
    }

    /// Sends a masked frame with this first byte.
    pub async fn frame(&mut self, first: u8, payload: &[u8]) {
        self.write(&masked(first, payload)).await;
    }

    pub async fn text(&mut self, text: &Value) {
        self.frame(TEXT, text.to_string().as_bytes()).await;
    }

    /// `false`: the stream has ended in good order. A reset fails the test.
    async fn read_more(&mut self) -> bool {
        self.buffer.drain(..self.used);
        self.used = 0;
        let read = within("bytes", self.tcp.read_buf(&mut self.buffer)).await;
        read.expect("an end without a reset") > 0
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn recv(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, length)) = parse(&self.buffer[self.used..]) {
                self.used += length;
                return Some(frame);
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    /// The next text, as JSON; pings are left unanswered.
    pub async fn recv_json(&mut self) -> Value {
        let text = async {
            loop {
                let frame = self.recv().await.expect("a frame");
                assert_ne!(frame.first, CLOSE, "closed with {:?}", code(&frame));
                if frame.first == TEXT {
                    return frame.payload;
                }
            }
        };
        serde_json::from_slice(&within("a text", text).await).expect("a frame is JSON")
    }

    /// The next text of this type, whatever comes before it.
    pub async fn find(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.recv_json().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Reads to the end of the stream; gives the close code, which must be the last thing said.
    pub async fn close_code(&mut self) -> Option<u16> {
        let mut last = None;
        let end = async {
            while let Some(frame) = self.recv().await {
                assert!(last.is_none(), "something behind the close: {frame:?}");
                if frame.first == CLOSE {
                    last = code(&frame);
                }
            }
        };
        within("the end", end).await;
        last
    }

    /// The same of a connection that may have been cut in the middle of a frame.
    pub async fn last_code_of_broken_stream(&mut self) -> Option<u16> {
        let mut last = None;
        loop {
            while let Some((frame, length)) = parse(&self.buffer[self.used..]) {
                self.used += length;
                last = if frame.first == CLOSE { code(&frame) } else { last };
            }
            self.buffer.drain(..self.used);
            self.used = 0;
            match within("bytes", self.tcp.read_buf(&mut self.buffer)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return last,
            }
        }
    }
}

fn code(frame: &Frame) -> Option<u16> {
    frame.payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(0x80 | u8::try_from(length).expect("fits")),
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(KEY);
    bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The first frame of `bytes` and how long it is, if it is whole.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, length) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(length & 0x80, 0, "a server does not mask");
    let (start, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => {
            let length = u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
            (10, usize::try_from(length).expect("fits"))
        }
        short => (2, usize::from(short)),
    };
    let payload = bytes.get(start..start + length)?.to_vec();
    Some((Frame { first, payload }, start + length))
}
