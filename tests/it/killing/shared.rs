//! What the clients of one run know together, and what the run wants of them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::view::View;

/// What the test wants of all clients.
#[derive(Debug, Clone)]
pub enum Stage {
    Talk(SocketAddr),
    /// Say nothing new, but get an ack for everything.
    Settle(SocketAddr),
    /// Read on to these heads, by room.
    Finish(SocketAddr, Arc<BTreeMap<u64, u64>>),
}

impl Stage {
    pub fn addr(&self) -> SocketAddr {
        match self {
            Self::Talk(addr) | Self::Settle(addr) | Self::Finish(addr, _) => *addr,
        }
    }

    pub fn is_talk(&self) -> bool {
        matches!(self, Self::Talk(_))
    }
}

#[derive(Default)]
pub struct Shared {
    /// Messages said, each counted once, and how often one was sent again.
    pub said: Count,
    pub repeated: Count,
    pub acks: Count,
    /// Clients that have nothing left to be acknowledged.
    pub settled: Count,
    /// Every seq that anyone ever heard of, by room, and what it stood for.
    heard: Mutex<HashMap<(u64, u64), String>>,
}

impl Shared {
    /// Notes that a seq stands for this text, which it does for ever.
    pub fn hear(&self, room: u64, seq: u64, text: &str) {
        let mut heard = self.heard.lock().expect("no failure elsewhere");
        let before = heard.entry((room, seq)).or_insert_with(|| text.to_owned());
        assert_eq!(before, text, "seq {seq} of room {room} was given twice");
    }
}

/// A number that only rises.
pub struct Count(watch::Sender<u64>);

impl Default for Count {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Count {
    pub fn current(&self) -> u64 {
        *self.0.borrow()
    }

    pub async fn wait_for(&self, enough: u64) {
        let mut receiver = self.0.subscribe();
        receiver.wait_for(|count| *count >= enough).await.expect("the sender is here");
    }

    pub fn rise(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// What a client holds in the end.
#[derive(Debug, Default)]
pub struct Report {
    pub name: String,
    /// By room; of one that only posts, none.
    pub views: BTreeMap<u64, View>,
    /// Room and seq by text, which is the id too.
    pub acked: BTreeMap<String, (u64, u64)>,
}

impl Report {
    /// Notes an ack, or an answer that says as much.
    pub fn ack(&mut self, shared: &Shared, id: &str, room: u64, seq: u64) {
        shared.hear(room, seq, id);
        let before = self.acked.insert(id.to_owned(), (room, seq));
        assert!(before.is_none_or(|before| before == (room, seq)), "{before:?}, then {seq}: {id}");
        shared.acks.rise();
    }
}
