//! A client for streams of events. It speaks HTTP/1.0, whose answers end with the connection, so
//! that what it reads is the stream itself.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Person, within};

/// One block of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Event { name: String, id: Option<u64>, data: Value },
    Retry(u64),
    Comment,
}

pub struct EventSource {
    tcp: TcpStream,
    buffer: Vec<u8>,
}

impl EventSource {
    /// A stream behind its head, which must be a good one.
    pub async fn open(person: &Person, room: u64, query: &str) -> Self {
        Self::open_with(person, room, query, "", None).await.expect("a stream")
    }

    /// Comes back as a browser does; gives the status of an answer that is no stream.
    pub async fn resume(person: &Person, room: u64, last: u64) -> Result<Self, u16> {
        let header = format!("Last-Event-ID: {last}\r\n");
        Self::open_with(person, room, "", &header, None).await
    }

    /// `headers`: further lines, each with its line end. `receive_buffer`: about what the kernel
    /// holds of bytes that were not read.
    pub async fn open_with(
        person: &Person,
        room: u64,
        query: &str,
        headers: &str,
        receive_buffer: Option<u32>,
    ) -> Result<Self, u16> {
        let path = format!("/api/v1/rooms/{room}/events{query}");
        let headers = format!("Authorization: Bearer {}\r\n{headers}", person.token);
        Self::request(person.addr, &path, &headers, receive_buffer).await
    }

    pub async fn request(
        addr: SocketAddr,
        path: &str,
        headers: &str,
        receive_buffer: Option<u32>,
    ) -> Result<Self, u16> {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).expect("an option");
        }
        let mut tcp = socket.connect(addr).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\n{headers}\r\n");
        tcp.write_all(request.as_bytes()).await.expect("an open socket");
        let mut stream = Self { tcp, buffer: Vec::new() };
        let head = within("an answer", stream.until(b"\r\n\r\n")).await.expect("an answer");
        let head = String::from_utf8(head).expect("a head").to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        if status != Some(200) {
            return Err(status.expect("a status"));
        }
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        Ok(stream)
    }

    /// What stands before the next `end`; `None`: the stream has ended.
    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..].windows(end.len()).position(|at| at == end);
            if let Some(at) = found {
                let rest = self.buffer.split_off(searched + at + end.len());
                let mut block = std::mem::replace(&mut self.buffer, rest);
                block.truncate(searched + at);
                return Some(block);
            }
            searched = self.buffer.len().saturating_sub(end.len());
            if !matches!(self.tcp.read_buf(&mut self.buffer).await, Ok(1..)) {
                assert!(self.buffer.is_empty(), "it ends within a block");
                return None;
            }
        }
    }

    /// `None` at the end.
    pub async fn next(&mut self) -> Option<Block> {
        within("a block or the end", self.until(b"\n\n")).await.map(|block| parse(&block))
    }

    /// The next event; comments may come before it.
    pub async fn event(&mut self) -> (String, Option<u64>, Value) {
        loop {
            match self.next().await {
                Some(Block::Event { name, id, data }) => return (name, id, data),
                Some(Block::Comment) => {}
                other => panic!("no event: {other:?}"),
            }
        }
    }

    /// `joined`, and the id that it has.
    pub async fn joined(&mut self) -> (Value, u64) {
        let (name, id, data) = self.event().await;
        assert_eq!((name.as_str(), &data["type"]), ("joined", &Value::from("joined")));
        (data, id.expect("an id"))
    }

    /// The next messages.
    pub async fn chats(&mut self, count: usize) -> Vec<Value> {
        let mut chats = Vec::with_capacity(count);
        while chats.len() < count {
            let (name, id, data) = self.event().await;
            assert_eq!((name.as_str(), &data["type"]), ("message", &Value::from("chat")));
            assert_eq!(id, data["seq"].as_u64());
            chats.push(data);
        }
        chats
    }

    /// Reads to the end; gives what comes but comments.
    pub async fn rest(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        while let Some(block) = self.next().await {
            if block != Block::Comment {
                blocks.push(block);
            }
        }
        blocks
    }
}

fn parse(block: &[u8]) -> Block {
    let text = std::str::from_utf8(block).expect("UTF-8");
    let (mut name, mut id, mut data) = ("message".to_owned(), None, None);
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("event", value)) => value.clone_into(&mut name),
            Some(("id", value)) => id = Some(value.parse().expect("a number")),
            Some(("data", value)) => data = Some(serde_json::from_str(value).expect("JSON")),
            Some(("retry", value)) => return Block::Retry(value.parse().expect("a number")),
            _ if line == ":" => return Block::Comment,
            _ => panic!("not a line of a stream: {line}"),
        }
    }
    Block::Event { name, id, data: data.expect("data") }
}
