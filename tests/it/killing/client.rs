//! A client on a socket, which sends again what was not acknowledged, and comes and goes: from
//! rooms, from the server, and behind the others.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::dice::Dice;
use super::shared::{Report, Shared, Stage};
use super::view::{Entry, View};
use crate::support::{Person, within};

/// Messages under way at once.
const WINDOW: usize = 16;
/// Out of so many returns of the server a client misses one, unless someone must talk.
const ABSENCE: u64 = 3;
/// Out of so many messages one is said without an id, and never again.
const UNNUMBERED: u64 = 5;
/// After one of so many frames it joins, leaves or is cut off.
const RESTLESSNESS: u64 = 60;
/// Out of so many joins with `after` one names a log that is not the server's.
const CONFUSION: u64 = 40;
/// The receive buffer, and the longest rest between two frames, of one that reads slowly.
const SLOW_BUFFER: u32 = 4 * 1024;
const SLOW_REST_US: u64 = 4_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Is there whenever the server is.
    Steady,
    Coming,
    /// Enters without `after`: the past does not matter to it.
    Newcomer,
    Slow,
}

/// How a connection ended.
enum End {
    Done,
    /// By the server, or the client itself cut it off.
    Lost,
    CutOff,
}

/// A join that has no answer yet.
struct Joining {
    room: u64,
    after: Option<u64>,
    /// It was in the room and asked for nothing but where it is.
    again: bool,
    confused: bool,
}

pub struct Client {
    habit: Habit,
    token: String,
    dice: Dice,
    shared: Arc<Shared>,
    log: Option<String>,
    /// Room and id, which is the text too.
    unacked: VecDeque<(u64, String)>,
    said: u64,
    settled: bool,
    report: Report,
    /// Of this connection.
    joins: u64,
    joining: HashMap<String, Joining>,
    inside: BTreeMap<u64, bool>,
}

type Stream = WebSocketStream<TcpStream>;

impl Client {
    pub fn new(
        rooms: &[u64],
        person: &Person,
        habit: Habit,
        dice: Dice,
        shared: Arc<Shared>,
    ) -> Self {
        let views = rooms.iter().map(|room| (*room, View::default())).collect();
        let report = Report { name: person.username.clone(), views, ..Report::default() };
        Self {
            habit,
            token: person.token.clone(),
            dice,
            shared,
            log: None,
            unacked: VecDeque::new(),
            said: 0,
            settled: false,
            report,
            joins: 0,
            joining: HashMap::new(),
            inside: BTreeMap::new(),
        }
    }

    /// Comes back whenever the server does, until it holds the whole log.
    pub async fn run(mut self, mut stages: watch::Receiver<Stage>) -> Report {
        loop {
            let stage = stages.borrow_and_update().clone();
            let may_miss = self.habit != Habit::Steady && stage.is_talk();
            let away = may_miss && self.dice.below(ABSENCE) == 0;
            let end = if away { End::Lost } else { self.converse(&mut stages).await };
            match end {
                End::Done => return self.report,
                End::CutOff => {}
                // The server is gone, and perhaps back already elsewhere.
                End::Lost if stages.borrow().addr() != stage.addr() => {}
                End::Lost => {
                    within("the server's return", stages.changed()).await.expect("a test");
                }
            }
        }
    }

    /// One connection to its end.
    async fn converse(&mut self, stages: &mut watch::Receiver<Stage>) -> End {
        let addr = stages.borrow().addr();
        let Some(mut stream) = self.connect(addr).await else { return End::Lost };
        if self.enter(&mut stream).await.is_none() {
            return End::Lost;
        }
        loop {
            let stage = stages.borrow_and_update().clone();
            let Some(end) = self.act(&mut stream, &stage).await else { return End::Lost };
            if let Some(end) = end {
                return end;
            }
            tokio::select! {
                frame = receive(&mut stream) => match frame {
                    None => return End::Lost,
                    Some(frame) => if self.hear(&mut stream, &frame).await.is_none() {
                        return End::Lost;
                    },
                },
                changed = stages.changed() => changed.expect("a test"),
            }
        }
    }

    async fn connect(&self, addr: SocketAddr) -> Option<Stream> {
        let socket = TcpSocket::new_v4().expect("a socket");
        if self.habit == Habit::Slow {
            socket.set_recv_buffer_size(SLOW_BUFFER).expect("an option");
        }
        let tcp = socket.connect(addr).await.ok()?;
        let url = format!("ws://{addr}/ws?token={}", self.token);
        Some(tokio_tungstenite::client_async(url, tcp).await.ok()?.0)
    }

    /// Joins all rooms where it left off, and says again what is open.
    async fn enter(&mut self, stream: &mut Stream) -> Option<()> {
        let hello = receive(stream).await?;
        assert_eq!(hello["type"], "hello");
        let log = hello["log"].as_str().expect("a log").to_owned();
        assert_eq!(*self.log.get_or_insert_with(|| log.clone()), log, "one database");
        self.joining.clear();
        self.inside.clear();
        for room in self.report.views.keys().copied().collect::<Vec<_>>() {
            let first = self.report.views[&room].cursor.is_none();
            self.join(stream, room, first && self.habit == Habit::Newcomer).await?;
        }
        for (room, id) in self.unacked.clone() {
            self.shared.repeated.rise();
            self.say(stream, room, &id, true).await?;
        }
        Some(())
    }

    /// What is to be done before the next frame; `None`: the connection is lost.
    async fn act(&mut self, stream: &mut Stream, stage: &Stage) -> Option<Option<End>> {
        if let Stage::Talk(_) = stage {
            if self.habit == Habit::Slow {
                let rest = Duration::from_micros(self.dice.below(SLOW_REST_US));
                tokio::time::sleep(rest).await;
            }
            self.talk(stream).await?;
            if self.dice.below(RESTLESSNESS) == 0 {
                return self.move_about(stream).await;
            }
            return Some(None);
        }
        if self.unacked.is_empty() && !self.settled {
            self.settled = true;
            self.shared.settled.rise();
        }
        let Stage::Finish(_, heads) = stage else { return Some(None) };
        let whole = |(room, view): (&u64, &View)| view.cursor == heads.get(room).copied();
        let done = self.joining.is_empty() && self.report.views.iter().all(whole);
        Some(done.then_some(End::Done))
    }

    /// Keeps the window full.
    async fn talk(&mut self, stream: &mut Stream) -> Option<()> {
        let window = if self.habit == Habit::Slow { 1 } else { WINDOW };
        while self.unacked.len() < window {
            self.said += 1;
            self.shared.said.rise();
            let text = format!("{}-{:06}", self.report.name, self.said);
            let room = self.some_room();
            let numbered = self.dice.below(UNNUMBERED) > 0;
            if numbered {
                self.unacked.push_back((room, text.clone()));
            }
            self.say(stream, room, &text, numbered).await?;
        }
        Some(())
    }

    async fn move_about(&mut self, stream: &mut Stream) -> Option<Option<End>> {
        let room = self.some_room();
        match self.dice.below(4) {
            // What is under way will be said again while it still is.
            0 => return Some(Some(End::CutOff)),
            1 => {
                send(stream, &json!({"type": "leave_room", "roomId": room})).await?;
                self.join(stream, room, false).await?;
            }
            2 => self.join(stream, room, false).await?,
            // It is in, or is about to be: only told where it is.
            _ => self.join(stream, room, true).await?,
        }
        Some(None)
    }

    fn some_room(&mut self) -> u64 {
        let rooms = self.report.views.len();
        let nth = usize::try_from(self.dice.below(rooms as u64)).expect("few rooms");
        *self.report.views.keys().nth(nth).expect("a room")
    }

    /// Joins behind what it holds, or `plainly`: from here on, if it is not in already.
    async fn join(&mut self, stream: &mut Stream, room: u64, plainly: bool) -> Option<()> {
        self.joins += 1;
        let reference = format!("j{}", self.joins);
        let joining = self.joining.values().any(|joining| joining.room == room);
        let again = plainly && (joining || self.inside.contains_key(&room));
        let after = (!plainly).then(|| self.report.views[&room].after());
        let confused = !plainly && self.dice.below(CONFUSION) == 0;
        let log = if confused { Some("of another database") } else { self.log.as_deref() };
        let frame = json!({"type": "join_room", "roomId": room, "after": after, "log": log,
            "ref": reference});
        self.joining.insert(reference, Joining { room, after, again, confused });
        send(stream, &frame).await
    }

    async fn say(
        &mut self,
        stream: &mut Stream,
        room: u64,
        text: &str,
        numbered: bool,
    ) -> Option<()> {
        let mut frame = json!({"type": "chat", "roomId": room, "message": text});
        if numbered {
            frame["id"] = json!(text);
        }
        send(stream, &frame).await
    }

    async fn hear(&mut self, stream: &mut Stream, frame: &Value) -> Option<()> {
        let room = || frame["roomId"].as_u64().expect("a room");
        match frame["type"].as_str().expect("a type") {
            "joined" => self.hear_joined(stream, frame).await?,
            "left" => {
                let inside = self.inside.insert(room(), false);
                assert_eq!(inside, Some(true), "{frame}");
            }
            "chat" => {
                let entry = Entry::of(frame);
                assert_eq!(self.inside.get(&room()), Some(&true), "not in the room: {frame}");
                self.shared.hear(room(), entry.seq, &entry.text);
                self.report.views.get_mut(&room()).expect("a room of its own").take(&entry);
            }
            "ack" => {
                let id = frame["id"].as_str().expect("an id");
                let seq = frame["seq"].as_u64().expect("a seq");
                self.unacked.retain(|(_, unacked)| unacked != id);
                self.report.ack(&self.shared, id, room(), seq);
            }
            "error" => panic!("{frame}"),
            _ => {}
        }
        Some(())
    }

    async fn hear_joined(&mut self, stream: &mut Stream, frame: &Value) -> Option<()> {
        let reference = frame["ref"].as_str().expect("a ref");
        let joining = self.joining.remove(reference).expect("asked for");
        let Joining { room, after, again, confused } = joining;
        assert_eq!(frame["roomId"].as_u64(), Some(room), "{frame}");
        let head = frame["head"].as_u64().expect("a head");
        self.inside.insert(room, true);
        let view = self.report.views.get_mut(&room).expect("a room of its own");
        if again {
            assert_eq!(view.cursor, Some(head), "everything up to there has come: {frame}");
            return Some(());
        }
        assert_eq!(frame["reset"] == true, confused, "{frame}");
        if confused {
            view.reset();
        }
        view.joined(after, head);
        if confused {
            // What it named meant something elsewhere: from the beginning, once more.
            self.join(stream, room, false).await?;
        }
        Some(())
    }
}

async fn send(stream: &mut Stream, frame: &Value) -> Option<()> {
    within("room to send", stream.send(Message::text(frame.to_string()))).await.ok()
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
