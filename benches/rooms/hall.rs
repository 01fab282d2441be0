//! Connections and the rooms that they are in: they join, leave and talk at set times, and what
//! they hear is counted and timed.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::field::crowd::Crowd;
use super::field::dialect::Dialect;
use super::field::meter::Meter;
use super::field::process::Server;
use super::field::wire::{self, Finder};
use super::figures::{Counts, Figure, Row};
use super::stays::Stay;
use super::{Failure, Stage};

/// Between two looks at what has come: messages have arrived when the kernel had them.
const REST: Duration = Duration::from_millis(2);
/// After everybody has come, and before anything is measured.
const SETTLING: Duration = Duration::from_millis(1_500);
/// What has not come when nothing has come for so long does not come.
const SILENCE: Duration = Duration::from_secs(3);
/// Connections that have joined and were not answered, while nothing is measured.
const JOINING: usize = 500;

/// What a connection does, with the room's place in the list of rooms.
#[derive(Clone, Copy)]
pub enum Act {
    Say { connection: usize, room: usize },
    Join { connection: usize, room: usize },
    Leave { connection: usize, room: usize },
}

struct Room {
    id: u64,
    /// When each of its messages was sent, in nanoseconds since the Unix epoch.
    sent: Vec<u64>,
    /// The seq of its message 0.
    base: Option<u64>,
}

pub struct Hall<'a> {
    pub server: &'a Server,
    crowd: Crowd,
    heard: Ears,
}

/// What is known of who is where, and what has come.
#[derive(Default)]
struct Ears {
    finder: Finder,
    rooms: Vec<Room>,
    by_id: HashMap<u64, usize>,
    /// By connection and room.
    stays: HashMap<(usize, usize), Stay>,
    /// Joins and leaves that were answered.
    answered: usize,
    counts: Counts,
    /// Of what has come, in nanoseconds.
    delays: Vec<u32>,
    failed: Option<String>,
}

impl<'a> Hall<'a> {
    /// So many connections, which are in no room yet.
    pub fn open(stage: &Stage, server: &'a Server, connections: usize) -> Result<Self, Failure> {
        let dialect = Dialect { entry: None, ..stage.house.dialect() };
        let crowd = Crowd::enter(server.addr, &dialect, connections, true)?;
        let room = |id: &u64| Room { id: *id, sent: Vec::new(), base: None };
        let rooms: Vec<Room> = stage.house.rooms.iter().map(room).collect();
        let by_id = rooms.iter().enumerate().map(|(at, room)| (room.id, at)).collect();
        let mut hall = Self { server, crowd, heard: Ears { rooms, by_id, ..Ears::default() } };
        hall.settle()?;
        Ok(hall)
    }

    /// Does each act when its time has come; gives how long it took until joins and leaves were
    /// answered.
    pub fn play(
        &mut self,
        acts: impl IntoIterator<Item = (Duration, Act)>,
    ) -> Result<Duration, Failure> {
        let began = Instant::now();
        let (answered, mut asked) = (self.heard.answered, 0);
        let mut listened = began;
        for (due, act) in acts {
            while let left = due.saturating_sub(began.elapsed())
                && !left.is_zero()
            {
                std::thread::sleep(left.min(REST));
                if listened.elapsed() >= REST {
                    self.listen()?;
                    listened = Instant::now();
                }
            }
            self.act(act)?;
            asked += usize::from(!matches!(act, Act::Say { .. }));
            while asked > self.heard.answered - answered + JOINING {
                self.listen()?;
            }
        }
        let mut last = Instant::now();
        while self.heard.answered - answered < asked && last.elapsed() < SILENCE {
            if self.listen()? {
                last = Instant::now();
            }
        }
        let took = began.elapsed();
        if self.heard.answered - answered < asked {
            return Err("joins or leaves were not answered".into());
        }
        Ok(took)
    }

    /// Does as above and hears all that is said meanwhile; then tells what that cost.
    pub fn measure(
        &mut self,
        name: &'static str,
        acts: impl IntoIterator<Item = (Duration, Act)>,
    ) -> Result<Row, Failure> {
        self.heard.delays.clear();
        let before = (self.heard.counts, self.expected());
        let meter = Meter::start(self.server)?;
        self.play(acts)?;
        let mut last = Instant::now();
        while self.heard.counts.delivered < self.expected() && last.elapsed() < SILENCE {
            std::thread::sleep(REST);
            if self.listen()? {
                last = Instant::now();
            }
        }
        let reading = meter.read(self.server)?;
        let counts = Counts {
            sent: self.heard.counts.sent - before.0.sent,
            expected: self.expected() - before.1,
            delivered: self.heard.counts.delivered - before.0.delivered,
            doubled: self.heard.counts.doubled - before.0.doubled,
            out_of_order: self.heard.counts.out_of_order - before.0.out_of_order,
        };
        let cpu = reading.server.as_secs_f64() * 1e6 / count(counts.delivered).max(1.0);
        let delays = &mut self.heard.delays;
        delays.sort_unstable();
        let at = |hundredths: usize| {
            let rank = (delays.len() * hundredths).div_ceil(100).max(1);
            f64::from(delays.get(rank - 1).copied().unwrap_or_default()) / 1e6
        };
        let figures = vec![
            Figure::new("CPU us/delivery", cpu, 2),
            Figure::new("ms p50", at(50), 2),
            Figure::new("ms p99", at(99), 2),
        ];
        Ok(Row { name, counts: Some(counts), figures })
    }

    pub fn settle(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < SETTLING {
            if !self.listen()? {
                std::thread::sleep(REST);
            }
        }
        Ok(())
    }

    /// KiB in the server's memory.
    pub fn resident(&self) -> Result<f64, Failure> {
        Ok(count(self.server.usage()?.resident))
    }

    fn act(&mut self, act: Act) -> Result<(), Failure> {
        let id = |room: usize| self.heard.rooms[room].id;
        let (connection, text) = match act {
            Act::Say { connection, room } => {
                let number = u32::try_from(self.heard.rooms[room].sent.len())?;
                let (id, text) = (id(room), wire::text(0, number));
                let said = format!(r#"{{"type":"chat","roomId":{id},"message":"{text}"}}"#);
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
                self.heard.rooms[room].sent.push(u64::try_from(now.as_nanos())?);
                self.heard.counts.sent += 1;
                (connection, said)
            }
            Act::Join { connection, room } => {
                (connection, format!(r#"{{"type":"join_room","roomId":{}}}"#, id(room)))
            }
            Act::Leave { connection, room } => {
                (connection, format!(r#"{{"type":"leave_room","roomId":{}}}"#, id(room)))
            }
        };
        let mut frame = Vec::new();
        wire::say(&mut frame, text.as_bytes());
        self.crowd.write(connection, &frame)
    }

    fn listen(&mut self) -> Result<bool, Failure> {
        let heard = &mut self.heard;
        let any = self.crowd.poll_texts(|connection, payload, arrived| {
            heard.take(connection, payload, arrived.unwrap_or_default());
        })?;
        match self.heard.failed.take() {
            Some(failed) => Err(failed.into()),
            None => Ok(any),
        }
    }

    /// Deliveries of all stays, those that ended included.
    fn expected(&self) -> u64 {
        let of = |((_, room), stay): (&(usize, usize), &Stay)| {
            let room = &self.heard.rooms[*room];
            stay.expects(u32::try_from(room.sent.len()).unwrap_or(u32::MAX), room.base)
        };
        self.heard.counts.expected + self.heard.stays.iter().map(of).sum::<u64>()
    }
}

impl Ears {
    fn take(&mut self, connection: usize, payload: &[u8], arrived: u64) {
        if let Some((_, number)) = self.finder.mark(payload) {
            self.take_message(connection, payload, number, arrived);
        } else if is(payload, b"joined") || is(payload, b"left") {
            let frame: Value = serde_json::from_slice(payload).unwrap_or_default();
            let Some(room) = frame["roomId"].as_u64().and_then(|id| self.by_id.get(&id)) else {
                return;
            };
            let stay = self.stays.entry((connection, *room)).or_default();
            match frame["head"].as_u64() {
                Some(head) => stay.begin(head),
                None => stay.end(&mut self.counts),
            }
            self.answered += 1;
        } else if is(payload, b"error") {
            let refused = String::from_utf8_lossy(payload);
            self.failed.get_or_insert_with(|| format!("the server refused something: {refused}"));
        }
    }

    fn take_message(&mut self, connection: usize, payload: &[u8], number: u32, arrived: u64) {
        let (Some(room), Some(seq)) = (room_of(payload), seq_of(payload)) else { return };
        let Some(at) = self.by_id.get(&room).copied() else { return };
        let room = &mut self.rooms[at];
        let base = *room.base.get_or_insert(seq - u64::from(number));
        if seq != base + u64::from(number) {
            self.counts.out_of_order += 1;
        }
        if let Some(sent) = room.sent.get(number as usize) {
            let delay = arrived.saturating_sub(*sent);
            self.delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
        }
        let stay = self.stays.entry((connection, at)).or_default();
        stay.hear(number, base, &mut self.counts);
    }
}

fn is(payload: &[u8], kind: &[u8]) -> bool {
    payload.strip_prefix(b"{\"type\":\"").is_some_and(|rest| rest.starts_with(kind))
}

/// The room's id, which stands behind the type of a `chat` frame.
fn room_of(payload: &[u8]) -> Option<u64> {
    let rest = payload.strip_prefix(b"{\"type\":\"chat\",\"roomId\":")?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// A room's first message after a start has something behind what is sought in all others.
fn seq_of(payload: &[u8]) -> Option<u64> {
    let parse = || serde_json::from_slice::<Value>(payload).ok()?["seq"].as_u64();
    wire::seq(payload).or_else(parse)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
pub fn count(number: u64) -> f64 {
    number as f64
}
