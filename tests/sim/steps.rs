//! What happens next: one step of somebody.

use parlor::domain::{MessageBody, MessageId, RoomId, RoomRef};
use parlor::hub::Member;
use parlor::store::PageRequest;
use std::sync::Arc;
use std::time::Duration;

use crate::client::Client;
use crate::life::End;
use crate::model::{Got, Text, body, username};
use crate::task::Done;
use crate::world::{USERS, World};

/// For ever: a driver gives up by dropping what waits.
pub const PATIENCE: Duration = Duration::from_secs(1_000_000);

#[derive(Debug, Clone, Copy)]
enum Step {
    Client,
    Task,
    Turn,
    Tell,
    Lane,
    Post,
    Page,
    CreateRoom,
    DeleteRoom,
    Presence,
    Evict,
    Rest,
    Clock,
    Storm,
    Arm,
    Heal,
    Crash(End),
    Stop,
}

const STEPS: [(usize, Step); 19] = [
    (420, Step::Client),
    (100, Step::Task),
    (60, Step::Turn),
    (60, Step::Tell),
    (100, Step::Lane),
    (25, Step::Post),
    (25, Step::Page),
    (2, Step::CreateRoom),
    (1, Step::DeleteRoom),
    (10, Step::Presence),
    (25, Step::Evict),
    (5, Step::Rest),
    (20, Step::Clock),
    (4, Step::Storm),
    (12, Step::Arm),
    (12, Step::Heal),
    (3, Step::Crash(End::Kill)),
    (4, Step::Crash(End::PowerCut)),
    (1, Step::Stop),
];

impl World {
    pub fn step(&mut self) {
        let step = self.dice.weighted(&STEPS);
        match step {
            Step::Client => {
                let client = self.dice.below(self.clients.len());
                self.client_step(client);
            }
            Step::Task => {
                if !self.tasks.is_empty() {
                    let task = self.dice.below(self.tasks.len());
                    self.poll(task);
                }
            }
            Step::Turn => {
                if self.turn() {
                    self.audit(false);
                }
            }
            Step::Tell => {
                self.server.as_mut().unwrap().tell();
            }
            Step::Lane => {
                let server = self.server.as_mut().unwrap();
                if !server.lanes.is_empty() {
                    server.step_lane(self.dice.below(server.lanes.len()));
                }
            }
            Step::Post => self.post_over_http(),
            Step::Page => {
                self.audit(false);
                self.page();
            }
            Step::CreateRoom => self.create_room(),
            Step::DeleteRoom => self.delete_room(),
            Step::Presence => {
                for room in self.app().hub.take_restless() {
                    room.tell_presence();
                }
            }
            Step::Evict => self.evict(),
            Step::Rest => self.server.as_mut().unwrap().rest(),
            Step::Clock => self.move_clock(),
            Step::Storm => self.storm(),
            Step::Arm => self.arm(),
            Step::Heal => self.site.disk.heal(),
            Step::Crash(end) => {
                self.count_end(end);
                self.talk_unstored();
                self.crash(end);
            }
            Step::Stop => {
                self.figures.count("stops");
                self.stop();
            }
        }
        self.note_faults();
        if self.site.disk.is_dead() {
            self.figures.count("crashes in the middle of an access");
            self.crash(End::Kill);
        }
        self.note_trace();
    }

    /// Now and then a crash comes when much has been heard that is not stored.
    fn talk_unstored(&mut self) {
        if self.dice.one_in(2) {
            for _ in 0..60 {
                let client = self.dice.below(self.clients.len());
                self.client_step(client);
            }
        }
    }

    fn count_end(&mut self, end: End) {
        self.figures.count("steps that crash");
        self.figures.count(match end {
            End::Kill => "kills",
            End::PowerCut => "power cuts",
        });
    }

    fn note_trace(&mut self) {
        let heard = self.clients.iter().flat_map(|client| client.views.values());
        let heard: u64 = heard.map(|view| view.cursor).sum();
        self.trace = (self.trace ^ self.site.disk.trace() ^ heard).wrapping_mul(0x0100_0000_01B3);
    }

    fn evict(&mut self) {
        let app = self.app();
        let live = || self.model.logs.keys().filter(|room| app.hub.live_room(**room).is_some());
        let before = live().count();
        app.hub.evict_idle();
        let evicted = before - live().count();
        self.figures.add("rooms evicted", evicted as u64);
    }

    fn move_clock(&mut self) {
        // Also backwards.
        let now = 1_000 + self.dice.below(100_000) as u64;
        self.site.clock.set(now);
    }

    fn client_step(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if client.asleep > 0 {
            client.asleep -= 1;
        }
        if client.seat.is_none() {
            let seat = self.new_seat();
            self.clients[number].seat = Some(seat);
            self.come_back(number);
            return;
        }
        match self.dice.below(100) {
            0..25 => {
                self.read(number);
            }
            25..50 => self.pump(number),
            50..52 => {
                self.figures.count("connections lost");
                self.leave_process(number);
            }
            52 => self.clients[number].asleep = 10 + self.dice.below(60),
            _ if self.clients[number].busy => {
                let task = self.tasks.iter().position(|task| task.client == Some(number));
                self.poll(task.expect("its frame"));
            }
            53..85 => self.say(number),
            85..95 => {
                if let Some(room) = self.any_room() {
                    self.join(number, room);
                }
            }
            _ => self.leave(number),
        }
    }

    /// After a lost connection: into the rooms in which it was, mostly.
    fn come_back(&mut self, number: usize) {
        let rooms: Vec<RoomId> = self.clients[number].views.keys().copied().collect();
        if let Some(room) = self.dice.pick(&rooms).copied().or_else(|| self.any_room()) {
            self.join(number, room);
        }
    }

    pub fn read(&mut self, number: usize) -> bool {
        let client = &mut self.clients[number];
        client.asleep == 0 && client.read(&mut self.model, &mut self.figures)
    }

    pub fn pump(&mut self, number: usize) {
        let app = self.app();
        let Some(seat) = &mut self.clients[number].seat else { return };
        let seen = seat.pump(&app);
        self.server.as_mut().unwrap().lanes.extend(seat.board());
        self.figures.add("subscriptions that lagged", std::mem::take(&mut seat.lagged));
        self.figures.add("members that boarded a lane", std::mem::take(&mut seat.boarded));
        self.figures.add("members that a lane put off", std::mem::take(&mut seat.put_off));
        for (room, frame) in &seen {
            let got = Got::from(frame);
            let text = self.model.got(*room, &got);
            self.model.stored(*room, got.seq, text);
        }
        self.figures.add("messages caught up", seen.len() as u64);
    }

    /// The connection is gone, with what was under way; nothing that was published is.
    fn leave_process(&mut self, number: usize) {
        self.tasks.retain(|task| task.client != Some(number));
        self.clients[number].disconnect();
    }

    pub fn any_room(&mut self) -> Option<RoomId> {
        let there = |(_, log): &(&RoomId, &crate::model::Log)| !log.gone;
        let rooms: Vec<RoomId> =
            self.model.logs.iter().filter(there).map(|(room, _)| *room).collect();
        self.dice.pick(&rooms).copied()
    }

    /// What to say, and under which id: something new, or what was said before.
    fn draft(&mut self, user: u64) -> Option<(RoomId, Text, Option<MessageId>)> {
        let known: Vec<_> = self.ids.iter().filter(|used| used.0 == user).cloned().collect();
        if self.dice.one_in(3) && !known.is_empty() {
            let recent = known.len().saturating_sub(6);
            let (_, room, id, text) = self.dice.pick(&known[recent..])?.clone();
            self.figures.count("messages sent again");
            let id_parsed = MessageId::parse(&id).ok();
            if self.dice.one_in(6) {
                return Some((room, self.model.say(room, user, Some(id)), id_parsed));
            }
            self.model.say_again(text);
            return Some((room, text, id_parsed));
        }
        let room = self.any_room()?;
        self.figures.count("messages sent");
        if self.dice.one_in(3) {
            return Some((room, self.model.say(room, user, None), None));
        }
        let id = format!("c{}", self.number());
        let text = self.model.say(room, user, Some(id.clone()));
        let parsed = MessageId::parse(&id).ok();
        self.ids.push((user, room, id, text));
        Some((room, text, parsed))
    }

    pub fn say(&mut self, number: usize) {
        let user = self.clients[number].user;
        let Some((room, text, id)) = self.draft(user) else { return };
        let (app, caller) = (self.app(), self.caller(user, Some(number)));
        let message = message(text);
        let said = id.as_ref().map(|id| ((room, id.as_str().to_owned()), text));
        self.clients[number].saying = said;
        self.begin(Some(number), async move {
            let result = app.post(&caller, room, message, id).await;
            Done::Posted { room, text, result }
        });
    }

    fn post_over_http(&mut self) {
        let user = self.dice.below(usize::try_from(USERS).unwrap()) as u64 + 1;
        let Some((room, text, id)) = self.draft(user) else { return };
        let (app, caller) = (self.app(), self.caller(user, None));
        let message = message(text);
        self.begin(None, async move {
            let post = app.post_durably(&caller, RoomRef::Id(room), message, id, PATIENCE);
            Done::Stored { room, text, result: post.await }
        });
    }

    /// Many at once, so that whoever does not read falls behind.
    fn storm(&mut self) {
        self.figures.count("storms");
        let Some(room) = self.any_room() else { return };
        for _ in 0..20 + self.dice.below(40) {
            let text = self.model.say(room, 1, None);
            let (app, caller) = (self.app(), self.caller(1, None));
            let message = message(text);
            self.begin(None, async move {
                let result = app.post(&caller, room, message, None).await;
                Done::Posted { room, text, result }
            });
            if self.dice.one_in(2) {
                self.turn();
                self.server.as_mut().unwrap().tell();
            }
            if self.site.disk.is_dead() {
                return;
            }
        }
    }

    fn page(&mut self) {
        let Some(room) = self.any_room() else { return };
        let heard: Vec<u64> = self.model.logs[&room].events.iter().map(|event| event.seq).collect();
        let seq = self.dice.pick(&heard).copied().unwrap_or(1);
        let request = match self.dice.below(3) {
            0 => PageRequest::Newest,
            1 => PageRequest::Before(seq),
            _ => PageRequest::After(seq, u64::MAX),
        };
        let (limit, floor) = (1 + self.dice.below(20), self.model.high(room));
        let app = self.app();
        self.begin(None, async move {
            let result = app.history(RoomRef::Id(room), request, limit, PATIENCE).await;
            Done::Page { room, request, floor, result }
        });
    }

    fn delete_room(&mut self) {
        // One stays, so that there is always something to say.
        let there = self.model.logs.values().filter(|log| !log.ending).count();
        let Some(room) = self.any_room().filter(|_| there > 1) else { return };
        self.model.logs.get_mut(&room).unwrap().ending = true;
        let (app, identity) = (self.app(), self.caller(1, None).identity);
        self.begin(None, async move {
            Done::Deleted { room, result: app.delete_room(&identity, RoomRef::Id(room)).await }
        });
    }

    /// Joins, with what it holds or without; anew if it is in the room.
    pub fn join(&mut self, number: usize, room: RoomId) {
        let resume = !self.dice.one_in(4);
        let Client { views, .. } = &self.clients[number];
        let known = views.get(&room).map(|view| view.cursor);
        // Who does not know the room yet may want all of it.
        let after = known.filter(|_| resume).or_else(|| (resume && known.is_none()).then_some(0));
        self.join_after(number, room, after);
    }

    pub fn join_after(&mut self, number: usize, room: RoomId, after: Option<u64>) {
        let reference = format!("j{}", self.number());
        let Client { seat, asked, user, .. } = &mut self.clients[number];
        let Some(seat) = seat else { return };
        if seat.room(room).is_some() {
            if seat.enter_again(room, after, &reference) {
                asked.insert(reference, after);
                self.figures.count("joined again");
            }
            return;
        }
        let user = *user;
        let member = Member {
            connection: Arc::clone(&seat.connection),
            user: self.caller(user, None).identity.user_id,
            present_as: Some(username(user).into()),
        };
        let app = self.app();
        self.begin(Some(number), async move {
            let result = app.join(room, &member).await;
            Done::Joined { after, reference, result }
        });
    }

    fn leave(&mut self, number: usize) {
        let Some(room) = self.any_room() else { return };
        let Some(seat) = &self.clients[number].seat else { return };
        if seat.room(room).is_none() {
            return;
        }
        let connection = Arc::clone(&seat.connection);
        self.begin(Some(number), async move {
            connection.window_below(1).await;
            Done::MayLeave(room)
        });
    }
}

pub fn message(text: Text) -> MessageBody {
    MessageBody::parse(&body(text), 10_000).unwrap()
}
