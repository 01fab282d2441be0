//! A client that knows the protocol's rules: it sends with ids, sends again what was not
//! acknowledged, and keeps one number, its cursor.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::dice::Dice;
use crate::support::{Person, within};

/// Messages under way at once.
const WINDOW: usize = 16;
/// Out of so many restarts a client misses one, unless it is the first of all: someone talks.
const ABSENCE: u64 = 3;
/// Out of so many messages one is said without an id, and never again.
const UNNUMBERED: u64 = 5;

/// What the test wants of all clients.
#[derive(Debug, Clone, Copy)]
pub enum Stage {
    Talk(SocketAddr),
    /// Say nothing new, but get an ack for everything.
    Settle(SocketAddr),
    /// Read on to this seq, the last of the log.
    Finish(SocketAddr, u64),
}

impl Stage {
    fn addr(self) -> SocketAddr {
        match self {
            Self::Talk(addr) | Self::Settle(addr) | Self::Finish(addr, _) => addr,
        }
    }
}

/// What the clients know together.
#[derive(Default)]
pub struct Shared {
    pub acks: Count,
    /// Clients that have nothing left to be acknowledged.
    pub settled: Count,
    /// Every seq that anyone ever heard, and what it stood for.
    heard: Mutex<HashMap<u64, String>>,
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

    pub async fn wait_for_all(&self, enough: u64) {
        let mut receiver = self.0.subscribe();
        receiver.wait_for(|count| *count >= enough).await.expect("the sender is here");
    }

    fn rise(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// What a client holds in the end.
pub struct Report {
    pub name: String,
    /// Seq and text, as the rules have it.
    pub view: Vec<(u64, String)>,
    /// By text, which is the id too.
    pub acked: BTreeMap<String, u64>,
    pub discarded: usize,
}

/// Seq and text of a `chat` frame or of a message on a page.
pub fn message(frame: &Value) -> (u64, String) {
    let seq = frame["seq"].as_u64().expect("a seq");
    (seq, frame["message"].as_str().expect("a text").to_owned())
}

pub struct Client {
    /// Counted from 0.
    number: u64,
    room: u64,
    token: String,
    dice: Dice,
    shared: Arc<Shared>,
    /// `None` until it has joined for the first time.
    cursor: Option<u64>,
    log: Option<String>,
    unacked: VecDeque<String>,
    said: u64,
    settled: bool,
    report: Report,
}

type Stream = WebSocketStream<TcpStream>;

impl Client {
    pub fn new(number: u64, room: u64, person: &Person, dice: Dice, shared: Arc<Shared>) -> Self {
        let (view, acked) = (Vec::new(), BTreeMap::new());
        let report = Report { name: person.username.clone(), view, acked, discarded: 0 };
        Self {
            number,
            room,
            token: person.token.clone(),
            dice,
            shared,
            cursor: None,
            log: None,
            unacked: VecDeque::new(),
            said: 0,
            settled: false,
            report,
        }
    }

    /// Comes back whenever the server does, until it holds the whole log.
    pub async fn run(mut self, mut stages: watch::Receiver<Stage>) -> Report {
        loop {
            let stage = *stages.borrow_and_update();
            let addr = stage.addr();
            let may_miss = self.number > 0 && matches!(stage, Stage::Talk(_));
            let away = may_miss && self.dice.below(ABSENCE) == 0;
            if !away && self.converse(addr, &mut stages).await.is_some() {
                return self.report;
            }
            // The server is gone, and perhaps back already elsewhere.
            if stages.borrow().addr() == addr {
                within("the server's return", stages.changed()).await.expect("a test");
            }
        }
    }

    /// One connection to its end: `Some` when everything is done, `None` when it breaks off.
    async fn converse(
        &mut self,
        addr: SocketAddr,
        stages: &mut watch::Receiver<Stage>,
    ) -> Option<()> {
        let tcp = TcpStream::connect(addr).await.ok()?;
        let url = format!("ws://{addr}/ws?token={}", self.token);
        let (mut stream, _) = tokio_tungstenite::client_async(url, tcp).await.ok()?;
        self.join(&mut stream).await?;
        for id in self.unacked.clone() {
            self.say(&mut stream, &id, true).await?;
        }
        loop {
            let stage = *stages.borrow_and_update();
            match stage {
                Stage::Talk(_) => self.talk(&mut stream).await?,
                Stage::Settle(_) => self.settle(),
                Stage::Finish(_, head) => {
                    self.settle();
                    if self.cursor == Some(head) {
                        return Some(());
                    }
                }
            }
            tokio::select! {
                frame = receive(&mut stream) => self.hear(&frame?),
                changed = stages.changed() => changed.expect("a test"),
            }
        }
    }

    async fn join(&mut self, stream: &mut Stream) -> Option<()> {
        let hello = receive(stream).await?;
        assert_eq!(hello["type"], "hello");
        let log = hello["log"].as_str().expect("a log").to_owned();
        assert_eq!(*self.log.get_or_insert_with(|| log.clone()), log, "one database");
        let after = self.cursor.unwrap_or(0);
        let join = json!({"type": "join_room", "roomId": self.room, "after": after, "log": log});
        stream.send(Message::text(join.to_string())).await.ok()?;
        let joined = receive(stream).await?;
        assert_eq!(joined["type"], "joined", "{joined}");
        assert_eq!(joined["reset"], Value::Null, "{joined}");
        let head = joined["head"].as_u64().expect("a head");
        // What is above was never stored.
        if head < after {
            self.discard_above(head);
        }
        self.cursor = Some(after.min(head));
        Some(())
    }

    /// Keeps the window full.
    async fn talk(&mut self, stream: &mut Stream) -> Option<()> {
        while self.unacked.len() < WINDOW {
            self.said += 1;
            let text = format!("{}-{:06}", self.report.name, self.said);
            let numbered = self.dice.below(UNNUMBERED) > 0;
            if numbered {
                self.unacked.push_back(text.clone());
            }
            self.say(stream, &text, numbered).await?;
        }
        Some(())
    }

    async fn say(&mut self, stream: &mut Stream, text: &str, numbered: bool) -> Option<()> {
        let mut frame = json!({"type": "chat", "roomId": self.room, "message": text});
        if numbered {
            frame["id"] = json!(text);
        }
        stream.send(Message::text(frame.to_string())).await.ok()
    }

    fn settle(&mut self) {
        if self.unacked.is_empty() && !self.settled {
            self.settled = true;
            self.shared.settled.rise();
        }
    }

    fn hear(&mut self, frame: &Value) {
        match frame["type"].as_str().expect("a type") {
            "chat" => self.hear_chat(frame),
            "ack" => self.hear_ack(frame),
            "error" => panic!("{frame}"),
            _ => {}
        }
    }

    fn hear_chat(&mut self, frame: &Value) {
        let (seq, text) = message(frame);
        let cursor = self.cursor.expect("joined");
        assert!(seq > cursor, "{} at {cursor}: {frame}", self.report.name);
        if let Some(prev) = frame["prev"].as_u64() {
            self.discard_above(prev);
        }
        let mut heard = self.shared.heard.lock().expect("no failure elsewhere");
        let before = heard.entry(seq).or_insert_with(|| text.clone());
        assert_eq!(*before, text, "seq {seq} was given twice");
        drop(heard);
        self.report.view.push((seq, text));
        self.cursor = Some(seq);
    }

    fn hear_ack(&mut self, frame: &Value) {
        let id = frame["id"].as_str().expect("an id").to_owned();
        let seq = frame["seq"].as_u64().expect("a seq");
        self.unacked.retain(|unacked| *unacked != id);
        let before = self.report.acked.insert(id, seq);
        assert!(before.is_none_or(|before| before == seq), "{before:?}, then {frame}");
        self.shared.acks.rise();
    }

    fn discard_above(&mut self, last: u64) {
        let kept = self.report.view.partition_point(|(seq, _)| *seq <= last);
        self.report.discarded += self.report.view.len() - kept;
        self.report.view.truncate(kept);
    }
}

/// The next frame; `None` when the connection has broken off.
async fn receive(stream: &mut Stream) -> Option<Value> {
    loop {
        match within("a frame", stream.next()).await?.ok()? {
            Message::Text(text) => return Some(serde_json::from_str(&text).expect("JSON")),
            Message::Close(close) => panic!("closed: {close:?}"),
            _ => {}
        }
    }
}
