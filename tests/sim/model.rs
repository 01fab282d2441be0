//! What must be true, in a few lines: what was said, what anybody has heard of it, what is known to
//! be stored, and each room's log, which only ever grows.

use std::collections::{BTreeMap, BTreeSet};

use parlor::domain::{RoomId, Seq};
use parlor::store::{LoggedEvent, Page, PageRequest};
use serde_json::Value;

use crate::client::number;

/// A message's text, by its number. Each attempt to send the same text is the same message.
pub type Text = usize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub room: RoomId,
    pub user: u64,
    pub id: Option<String>,
    /// Attempts of which it is not known that they came to nothing.
    attempts: u64,
}

/// One message as anybody got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    pub seq: Seq,
    pub prev: Option<Seq>,
    pub user: u64,
    pub username: String,
    pub id: Option<String>,
    pub body: String,
    pub at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub seq: Seq,
    pub text: Text,
    count: u64,
    at: u64,
}

#[derive(Debug, Default)]
pub struct Log {
    pub events: Vec<Stored>,
    /// Somebody has asked for its end.
    pub ending: bool,
    /// It has ended; nobody finds it again.
    pub gone: bool,
}

#[derive(Debug, Default)]
pub struct Model {
    pub said: Vec<Said>,
    /// The texts that were sent under an id.
    ids: BTreeMap<(RoomId, u64, String), BTreeSet<Text>>,
    /// Every seq that has left the process.
    heard: BTreeMap<(RoomId, Seq), Text>,
    /// What somebody was told is on disk; `None`: under this id.
    promised: BTreeMap<(RoomId, Seq), (u64, String, Option<Text>)>,
    /// What somebody got that had to be on disk by then.
    stored: BTreeMap<(RoomId, Seq), Text>,
    counts: BTreeMap<(RoomId, Seq), u64>,
    pub logs: BTreeMap<RoomId, Log>,
    /// What this process has published, and the highest seq that it let anybody hear.
    pub published: Vec<(RoomId, Seq, Text)>,
    high: BTreeMap<RoomId, Seq>,
}

pub fn body(text: Text) -> String {
    // Now and then a long one, so that the file has to grow.
    let length = if text % 9 == 4 { 5_000 } else { text * 37 % 101 };
    format!("m{text}:{}", "x".repeat(length))
}

pub fn username(user: u64) -> String {
    format!("user{user}")
}

impl Model {
    pub fn say(&mut self, room: RoomId, user: u64, id: Option<String>) -> Text {
        let text = self.said.len();
        if let Some(id) = &id {
            self.ids.entry((room, user, id.clone())).or_default().insert(text);
        }
        self.said.push(Said { room, user, id, attempts: 1 });
        text
    }

    pub fn say_again(&mut self, text: Text) {
        self.said[text].attempts += 1;
    }

    /// An attempt had no effect.
    pub fn refused(&mut self, text: Text) {
        self.said[text].attempts -= 1;
    }

    pub fn published(&mut self, room: RoomId, seq: Seq, text: Text) {
        self.published.push((room, seq, text));
    }

    /// Whether several texts were sent under the id of this one.
    pub fn may_conflict(&self, text: Text) -> bool {
        let Said { room, user, id, .. } = &self.said[text];
        id.clone().is_some_and(|id| self.ids[&(*room, *user, id)].len() > 1)
    }

    /// Whatever was not stored is lost.
    pub fn process_ended(&mut self) {
        self.published.clear();
        self.high.clear();
    }

    /// Somebody got a message: it is what was said, and no seq is ever another's.
    pub fn got(&mut self, room: RoomId, got: &Got) -> Text {
        let number = got.body.strip_prefix('m').and_then(|rest| rest.split(':').next());
        let text: Text = number.and_then(|number| number.parse().ok()).expect("a text of ours");
        assert_eq!(got.body, body(text), "the text is as it was sent");
        let said = &self.said[text];
        assert_eq!((said.room, said.user), (room, got.user), "who said m{text}, and where");
        assert_eq!(got.username, username(got.user), "m{text}");
        assert_eq!(said.id, got.id, "the id of m{text}");
        assert!(said.attempts > 0, "m{text} was refused, so nobody may have it");
        let before = *self.heard.entry((room, got.seq)).or_insert(text);
        assert_eq!(before, text, "seq {} of room {room} was given twice", got.seq);
        let high = self.high.entry(room).or_default();
        *high = got.seq.max(*high);
        text
    }

    /// Somebody was told that what was sent under an id is on disk.
    pub fn promised(
        &mut self,
        (room, seq): (RoomId, Seq),
        (user, id): (u64, &str),
        text: Option<Text>,
    ) {
        let promise = (user, id.to_owned(), text);
        let before = self.promised.entry((room, seq)).or_insert_with(|| promise.clone());
        assert_eq!((before.0, &*before.1), (user, id), "two ids for seq {seq}");
        if before.2.is_none() {
            before.2 = text;
        }
        assert!(text.is_none() || before.2 == text, "seq {seq} is answered with two texts");
    }

    /// Somebody got what nobody gets before it is on disk.
    pub fn stored(&mut self, room: RoomId, seq: Seq, text: Text) {
        self.stored.insert((room, seq), text);
    }

    /// `joined` said how many events there were up to its head.
    pub fn counted(&mut self, room: RoomId, head: Seq, count: u64) {
        let before = *self.counts.entry((room, head)).or_insert(count);
        assert_eq!(before, count, "the count at seq {head} of room {room}");
    }

    pub fn high(&self, room: RoomId) -> Seq {
        self.high.get(&room).copied().unwrap_or_default()
    }

    /// Takes in what the log holds behind what is known of it: all of it when `from` is 0.
    pub fn logged(&mut self, room: RoomId, from: Seq, events: &[LoggedEvent]) {
        let known = self.logs.entry(room).or_default().events.clone();
        let known_before = known.iter().take_while(|event| event.seq <= from).count();
        let mut last = known[..known_before].last().copied();
        let mut fresh = Vec::new();
        for logged in events {
            let next = self.follows(room, last, logged);
            if let Some(before) = known.get(known_before + fresh.len()) {
                assert_eq!(*before, next, "room {room}: what was stored has changed or is lost");
            }
            fresh.push(next);
            last = Some(next);
        }
        let (there, known) = (known_before + fresh.len(), known.len());
        assert!(there >= known, "room {room}: {} stored events are lost", known - there);
        let log = self.logs.entry(room).or_default();
        log.events.truncate(known_before);
        log.events.extend(fresh);
        let head = last.map_or(0, |last| last.seq);
        self.kept_promises(room, head);
    }

    /// One event behind another: the order, `prev` and `count`.
    fn follows(&mut self, room: RoomId, last: Option<Stored>, logged: &LoggedEvent) -> Stored {
        let stamp = logged.event.stamp;
        let text = self.got(room, &Got::from(logged));
        let (seq, count, at) = last.map_or((0, 0, 0), |last| (last.seq, last.count, last.at));
        let jumped = stamp.seq != seq + 1;
        assert!(stamp.seq > seq, "room {room}: {} behind {seq}", stamp.seq);
        assert_eq!(stamp.prev, jumped.then_some(seq), "room {room}: `prev` of {}", stamp.seq);
        assert_eq!(stamp.count, count + 1, "room {room}: the count at {}", stamp.seq);
        assert!(stamp.at >= at, "room {room}: time goes back at {}", stamp.seq);
        Stored { seq: stamp.seq, text, count: stamp.count, at: stamp.at }
    }

    /// Everything that anybody was told is there, once.
    fn kept_promises(&self, room: RoomId, head: Seq) {
        let events = &self.logs[&room].events;
        let mut texts = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for event in events {
            let said = &self.said[event.text];
            assert!(texts.insert(event.text), "m{} is stored twice", event.text);
            let first = said.id.as_ref().is_none_or(|id| ids.insert((said.user, id)));
            assert!(first, "{:?} of user {} is stored twice", said.id, said.user);
        }
        let find = |seq: Seq| {
            let place = events.binary_search_by_key(&seq, |event| event.seq).ok();
            place.map(|place| events[place])
        };
        for ((_, seq), (user, id, text)) in self.promised.range((room, 0)..=(room, Seq::MAX)) {
            let event = find(*seq).unwrap_or_else(|| {
                panic!("room {room}: {seq} was acknowledged and is lost; the log ends at {head}")
            });
            let said = &self.said[event.text];
            assert_eq!((said.user, said.id.as_ref()), (*user, Some(id)), "acknowledged at {seq}");
            assert!(text.is_none_or(|text| text == event.text), "another text at {seq}");
        }
        for ((_, seq), text) in self.stored.range((room, 0)..=(room, Seq::MAX)) {
            let there = find(*seq).is_some_and(|event| event.text == *text);
            assert!(there, "room {room}: {seq} was read as stored; the log ends at {head}");
        }
        for ((_, seq), count) in self.counts.range((room, 1)..=(room, Seq::MAX)) {
            if let Some(event) = find(*seq) {
                assert_eq!(event.count, *count, "room {room}: the count told at {seq}");
            }
        }
    }

    /// A page of history agrees with the log, and ends not short of `floor`.
    pub fn page(&mut self, room: RoomId, request: PageRequest, page: &Page, floor: Seq) {
        let head = page.head.seq;
        assert!(head >= floor, "a page of room {room} ends at {head}, {floor} was heard before");
        let mut last: Option<Seq> = None;
        for logged in &page.events {
            let (seq, prev) = (logged.event.stamp.seq, logged.event.stamp.prev);
            let text = self.got(room, &Got::from(logged));
            self.stored(room, seq, text);
            let before = prev.unwrap_or(seq - 1);
            assert!(last.is_none_or(|last| last == before), "a page has a gap before {seq}");
            last = Some(seq);
        }
        let first = page.events.first().map(|logged| logged.event.stamp);
        let (from_start, to_end) = (first.is_none_or(|first| first.count == 1), last.is_none());
        match request {
            PageRequest::Newest => assert!(to_end || last == Some(head)),
            PageRequest::Before(end) => assert!(last.is_none_or(|last| last < end)),
            PageRequest::After(after, _) => {
                let gapless =
                    first.is_none_or(|at| at.seq > after && at.prev.unwrap_or(at.seq - 1) <= after);
                assert!(gapless, "a page after {after} leaves something out");
                let ends = last.map_or(head <= after, |last| last == head);
                assert!(page.has_more || ends, "a last page after {after} ends before {head}");
                return;
            }
        }
        assert_eq!(page.has_more, !from_start, "older ones");
    }
}

impl From<&LoggedEvent> for Got {
    fn from(LoggedEvent { event, username }: &LoggedEvent) -> Self {
        Self {
            seq: event.stamp.seq,
            prev: event.stamp.prev,
            user: event.user_id.get(),
            username: username.to_string(),
            id: event.id.as_ref().map(|id| id.as_str().to_owned()),
            body: event.body.as_str().to_owned(),
            at: event.stamp.at,
        }
    }
}

/// A `chat` frame.
impl From<&Value> for Got {
    fn from(frame: &Value) -> Self {
        let text = |name: &str| frame[name].as_str().map(str::to_owned);
        Self {
            seq: number(frame, "seq"),
            prev: frame["prev"].as_u64(),
            user: number(frame, "userId"),
            username: text("username").expect("a name"),
            id: text("id"),
            body: text("message").expect("a message"),
            at: number(frame, "at"),
        }
    }
}
