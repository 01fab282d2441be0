//! The end of all faults: the server must come back by itself, commit what it published, and bring
//! every client to hold exactly the log.

use parlor::domain::{MessageId, RoomId, RoomRef};

use crate::life::End;
use crate::seat::Seat;
use crate::steps::{PATIENCE, message};
use crate::task::Done;
use crate::world::World;

/// Rounds in which everything that is under way must come to its end.
const ROUNDS: usize = 2_000;

impl World {
    pub fn settle(&mut self) {
        self.site.disk.heal();
        if self.site.disk.is_dead() {
            self.crash(End::Kill);
            self.site.disk.heal();
        }
        for attempt in 0.. {
            self.turn();
            if !self.server.as_ref().unwrap().failing {
                break;
            }
            assert!(attempt < 3, "the disk is well and the server does not come back");
        }
        for client in &mut self.clients {
            client.asleep = 0;
        }
        self.run_until_quiet();
        self.everybody_comes_back();
        self.run_until_quiet();
        self.app().hub.evict_idle();
        self.audit(true);
        self.compare();
        self.troubled = false;
        self.figures.count("settled");
    }

    fn run_until_quiet(&mut self) {
        for round in 0.. {
            let mut moved = false;
            moved |= self.turn();
            moved |= self.server.as_mut().unwrap().tell();
            for task in (0..self.tasks.len()).rev() {
                let before = self.tasks.len();
                self.poll(task);
                moved |= self.tasks.len() < before;
            }
            let server = self.server.as_mut().unwrap();
            for lane in (0..server.lanes.len()).rev() {
                while lane < server.lanes.len() && server.step_lane(lane) {
                    moved = true;
                }
            }
            for number in 0..self.clients.len() {
                self.pump(number);
                moved |= self.read(number);
                let quiet = self.clients[number].seat.as_ref().is_none_or(Seat::is_quiet);
                moved |= !quiet;
            }
            let idle = !moved && self.tasks.is_empty();
            if idle {
                return;
            }
            assert!(round < ROUNDS, "{} things never end", self.tasks.len());
        }
    }

    fn everybody_comes_back(&mut self) {
        for number in 0..self.clients.len() {
            if self.clients[number].seat.is_none() {
                let seat = self.new_seat();
                self.clients[number].seat = Some(seat);
            }
            let rooms: Vec<RoomId> = self.clients[number].views.keys().copied().collect();
            for room in rooms {
                let view = &self.clients[number].views[&room];
                let after = Some(view.cursor);
                if !self.clients[number].inside.contains(&room) {
                    self.join_after(number, room, after);
                    self.run_until_quiet();
                }
            }
        }
    }

    fn compare(&mut self) {
        for (room, seq, text) in &self.model.published {
            let log = &self.model.logs[room];
            let stored = log.events.iter().any(|event| event.seq == *seq && event.text == *text);
            assert!(stored || log.gone, "room {room}: m{text} was published at {seq} and is lost");
        }
        for (number, client) in self.clients.iter().enumerate() {
            let seat = client.seat.as_ref().expect("everybody is here");
            assert_eq!(seat.connection.uncommitted(), 0, "the window of client {number}");
            assert!(client.unacked.is_empty(), "client {number} waits for an ack");
            for (room, view) in &client.views {
                let log = &self.model.logs[room];
                if log.gone {
                    continue;
                }
                let behind = log.events.iter().filter(|event| event.seq > view.from);
                let expected: Vec<_> = behind.map(|event| (event.seq, event.text)).collect();
                let held: Vec<_> = view.held.iter().map(|(seq, text)| (*seq, *text)).collect();
                assert_eq!(held, expected, "client {number} in room {room}, from {}", view.from);
                self.figures.count("views compared");
            }
        }
    }

    /// It takes messages again.
    pub fn probe(&mut self) {
        let Some(room) = self.any_room().filter(|room| !self.model.logs[room].ending) else {
            return;
        };
        let before = self.figures.of("messages acked");
        let id = format!("probe{}", self.number());
        let text = self.model.say(room, 1, Some(id.clone()));
        let (app, caller, id) = (self.app(), self.caller(1, None), MessageId::parse(&id).ok());
        self.begin(None, async move {
            let post = app.post_durably(&caller, RoomRef::Id(room), message(text), id, PATIENCE);
            Done::Stored { room, text, result: post.await }
        });
        self.run_until_quiet();
        assert!(self.figures.of("messages acked") > before, "it takes nothing any more");
    }
}
