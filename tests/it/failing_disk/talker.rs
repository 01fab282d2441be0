//! Someone who says things with ids while the disk fails, and remembers what became of each.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::socket::Socket;
use crate::support::{Person, within};

/// Bytes of a message's text.
const TEXT_BYTES: usize = 8_000;

pub struct Talker {
    pub person: Person,
    pub room: u64,
    socket: Socket,
    said: usize,
    /// The ids of which it has heard neither an ack nor a refusal since it last sent them.
    pub open: BTreeSet<String>,
    /// By id: the seq under which the room heard it, and the one of its ack.
    pub heard: BTreeMap<String, u64>,
    pub acked: BTreeMap<String, u64>,
    pub refused: BTreeSet<String>,
}

impl Talker {
    /// Enters a room of its own making.
    pub async fn new(person: Person) -> Self {
        let room = person.room("General").await;
        let socket = person.enter(room).await;
        let (heard, acked) = (BTreeMap::new(), BTreeMap::new());
        let (open, refused) = (BTreeSet::new(), BTreeSet::new());
        Self { person, room, socket, said: 0, open, heard, acked, refused }
    }

    /// Comes back to a server that was started anew.
    pub async fn at(self, addr: std::net::SocketAddr) -> Self {
        let person = self.person.at(addr);
        let socket = person.enter(self.room).await;
        Self { person, socket, ..self }
    }

    /// Says something new so many times, and waits until the server has acted upon it.
    pub async fn say(&mut self, count: usize) {
        for _ in 0..count {
            self.said += 1;
            self.send(&format!("id-{:06}", self.said)).await;
        }
        for frame in self.socket.settle().await {
            self.take(&frame);
        }
    }

    async fn send(&mut self, id: &str) {
        self.open.insert(id.to_owned());
        self.socket.chat_with_id(self.room, &text(id), id).await;
    }

    /// Waits until it has heard the message of everything that is open.
    pub async fn say_until_refused(&mut self) {
        while self.refused.is_empty() {
            self.say(1).await;
        }
        while !self.open.iter().all(|id| self.heard.contains_key(id)) {
            self.listen().await;
        }
    }

    pub async fn await_acks(&mut self) {
        while !self.open.is_empty() {
            self.listen().await;
        }
    }

    async fn listen(&mut self) {
        let frame = self.socket.recv().await;
        self.take(&frame);
    }

    /// Says all of it again, until it is acknowledged.
    pub async fn say_again(&mut self, ids: impl IntoIterator<Item = String>) {
        for id in ids {
            self.refused.remove(&id);
            self.send(&id).await;
        }
        self.await_acks().await;
        assert!(self.refused.is_empty(), "{:?}", self.refused);
    }

    /// So that a stop need not wait for it.
    pub async fn go(self) {
        self.socket.close().await;
    }

    /// Reads until the connection is gone.
    pub async fn listen_to_the_end(&mut self) {
        while let Some(Ok(message)) = within("the end", self.socket.stream().next()).await {
            if let Message::Text(text) = message {
                self.take(&serde_json::from_str(&text).expect("JSON"));
            }
        }
    }

    fn take(&mut self, frame: &Value) {
        let id = || frame["id"].as_str().expect("an id").to_owned();
        let seq = || frame["seq"].as_u64().expect("a seq");
        match frame["type"].as_str().expect("a type") {
            "chat" => assert_eq!(self.heard.insert(id(), seq()), None, "heard once: {frame}"),
            "ack" => {
                self.open.remove(&id());
                let before = self.acked.insert(id(), seq());
                assert!(before.is_none_or(|before| before == seq()), "{before:?}, {frame}");
            }
            "error" => {
                assert_eq!(frame["code"], "unavailable", "{frame}");
                assert_eq!(frame["retryable"], true, "{frame}");
                assert!(frame["retryAfterMs"].as_u64() > Some(0), "{frame}");
                self.open.remove(&id());
                self.refused.insert(id());
            }
            _ => {}
        }
    }

    /// Everything acknowledged is in the log, once, where its ack said; nothing is there twice, and
    /// nothing that was refused. Gives the number of what is there.
    pub async fn check_log(&self) -> usize {
        let log = self.person.history(self.room).await;
        let mut stored = BTreeMap::new();
        for entry in &log {
            let id = entry["id"].as_str().expect("an id").to_owned();
            assert_eq!(entry["message"], text(&id));
            let seq = entry["seq"].as_u64().expect("a seq");
            assert_eq!(stored.insert(id, seq), None, "twice: {entry}");
        }
        for (id, seq) in &self.acked {
            assert_eq!(stored.get(id), Some(seq), "{id} was acknowledged");
        }
        for id in stored.keys() {
            assert!(!self.refused.contains(id), "{id} was refused and is there");
        }
        stored.len()
    }
}

fn text(id: &str) -> String {
    format!("{id} {}", "x".repeat(TEXT_BYTES))
}
