//! A person's client: what it holds of each room, and what it does about the frames that it reads.

use std::collections::{BTreeMap, BTreeSet};

use parlor::domain::{RoomId, Seq};
use serde_json::Value;

use crate::figures::Figures;
use crate::model::{Got, Model, Text};
use crate::seat::Seat;
use crate::view::View;

pub struct Client {
    pub user: u64,
    pub seat: Option<Seat>,
    pub views: BTreeMap<RoomId, View>,
    /// The rooms that it is in, as far as it has read.
    pub inside: BTreeSet<RoomId>,
    /// Joins that it has asked for, by their `ref`.
    pub asked: BTreeMap<String, Option<Seq>>,
    /// What it published under an id in this process and has no ack for.
    pub unacked: BTreeMap<(RoomId, String), Text>,
    /// What it says under an id just now. The ack may be there before the server's turn is over.
    pub saying: Option<((RoomId, String), Text)>,
    /// A frame of it is being acted upon.
    pub busy: bool,
    /// It reads nothing for so many steps.
    pub asleep: usize,
}

impl Client {
    pub fn new(user: u64) -> Self {
        Self {
            user,
            seat: None,
            views: BTreeMap::new(),
            inside: BTreeSet::new(),
            asked: BTreeMap::new(),
            unacked: BTreeMap::new(),
            saying: None,
            busy: false,
            asleep: 0,
        }
    }

    pub fn disconnect(&mut self) {
        self.seat = None;
        self.inside.clear();
        self.asked.clear();
        self.unacked.clear();
        self.saying = None;
        self.busy = false;
    }

    /// Reads what has come. `false`: nothing.
    pub fn read(&mut self, model: &mut Model, figures: &mut Figures) -> bool {
        let frames = self.seat.as_ref().map(Seat::take_frames).unwrap_or_default();
        for frame in &frames {
            let room = RoomId::new(frame["roomId"].as_u64().expect("a room")).unwrap();
            match frame["type"].as_str().expect("a type") {
                "joined" => self.joined(room, frame, model, figures),
                "chat" => self.chat(room, frame, model, figures),
                "ack" => self.ack(room, frame, model, figures),
                "left" => {
                    self.inside.remove(&room);
                    if frame["reason"] == "deleted" {
                        assert!(model.logs[&room].ending, "room {room} ended by itself");
                        self.views.remove(&room);
                    }
                }
                "presence" => {}
                other => panic!("a frame `{other}`"),
            }
        }
        !frames.is_empty()
    }

    fn joined(&mut self, room: RoomId, frame: &Value, model: &mut Model, figures: &mut Figures) {
        let reference = frame["ref"].as_str().expect("the ref");
        let after = self.asked.remove(reference).expect("asked for");
        let (head, count) = (number(frame, "head"), number(frame, "count"));
        let was_inside = !self.inside.insert(room);
        let view = self.views.entry(room).or_default();
        if was_inside && after.is_none() {
            assert_eq!(head, view.cursor, "joined again, nothing changes");
            return;
        }
        model.counted(room, head, count);
        let discarded = view.joined(after, head);
        view.holds_back = frame["delivery"] == "committed";
        figures.add("ghosts dropped by head", discarded as u64);
        if after.is_some() {
            figures.count("resumed");
        }
    }

    fn chat(&mut self, room: RoomId, frame: &Value, model: &mut Model, figures: &mut Figures) {
        assert!(self.inside.contains(&room), "heard of room {room} without being in it");
        let got = Got::from(frame);
        let text = model.got(room, &got);
        let view = self.views.get_mut(&room).expect("joined before");
        if view.holds_back {
            model.stored(room, got.seq, text);
            figures.count("messages held back");
        }
        let discarded = view.chat(got.seq, got.prev, text);
        figures.add("ghosts dropped by prev", discarded as u64);
        figures.count("messages heard");
    }

    fn ack(&mut self, room: RoomId, frame: &Value, model: &mut Model, figures: &mut Figures) {
        let id = frame["id"].as_str().expect("an id");
        let place = (room, number(frame, "seq"));
        if frame["duplicate"] == true {
            // With which text is checked where the answer was given.
            model.promised(place, (self.user, id), None);
            return;
        }
        let key = (room, id.to_owned());
        let before = self.unacked.remove(&key);
        let saying = || self.saying.take_if(|(said, _)| *said == key).map(|(_, text)| text);
        let text = before.or_else(saying);
        assert!(text.is_some(), "an ack for {id}, which was not sent");
        model.promised(place, (self.user, id), text);
        figures.count("messages acked");
    }
}

pub fn number(frame: &Value, name: &str) -> u64 {
    frame[name].as_u64().unwrap_or_else(|| panic!("`{name}` in {frame}"))
}
