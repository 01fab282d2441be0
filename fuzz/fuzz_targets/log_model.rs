//! Whatever is done to a room, its disk and its process, the log is what a model of a few lines
//! says: what is acknowledged is there for ever and once, no seq is given twice, pages and
//! subscriptions are the log.
//!
//! Each byte of an input is an operation (`World::act`), or a detail that one asks for.

#![no_main]

#[path = "log_model/client.rs"]
mod client;
#[path = "log_model/disk.rs"]
mod disk;
#[path = "log_model/life.rs"]
mod life;
#[path = "log_model/members.rs"]
mod members;
#[path = "log_model/model.rs"]
mod model;

use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use parlor::domain::{ChatEvent, Delivery, MessageBody, MessageId, Refusal, Seq};
use parlor::hub::{Post, PublishError, Reserve};
use parlor::store::PageRequest;

use client::Client;
use disk::{Access, Disk, Fault};
use life::{Asked, Life, QUEUE, STARTS, room_id, user};
use model::Model;

const OPERATIONS: usize = 200;
const MESSAGES: usize = 300;
/// Processes, one after the other; starting one is what takes longest.
const LIVES: usize = 12;

fuzz_target!(|input: &[u8]| {
    let Some((&kind, input)) = input.split_first() else { return };
    let mut world = World::new(kind);
    let mut input = input.iter().copied().take(OPERATIONS);
    while let Some(byte) = input.next() {
        world.act(byte, &mut input);
        if world.disk.is_dead() {
            world.crash(byte % 8);
        }
    }
    world.settle();
});

struct World {
    disk: Disk,
    stop_mark: Arc<Mutex<String>>,
    cache_bytes: usize,
    delivery: Delivery,
    life: Option<Life>,
    model: Model,
    clients: [Client; 2],
    clock: u64,
    boot: u64,
    lives: usize,
    /// How many there ever were.
    connections: u64,
}

impl World {
    fn new(kind: u8) -> Self {
        let committed = usize::from(kind & 1);
        let (image, mark) = &STARTS[committed];
        let mut world = Self {
            disk: Disk::holding(image),
            stop_mark: Arc::new(Mutex::new(mark.clone())),
            cache_bytes: [0, 1 << 16][usize::from(kind >> 1 & 1)],
            delivery: [Delivery::Immediate, Delivery::Committed][committed],
            life: None,
            model: Model::default(),
            clients: <[Client; 2]>::default(),
            clock: 1,
            boot: 0,
            lives: 0,
            connections: 0,
        };
        world.start(Some(true));
        world
    }

    fn life(&mut self) -> &mut Life {
        self.life.as_mut().expect("a process runs")
    }

    /// The upper half of `byte` says what, the lower half how.
    fn act(&mut self, byte: u8, details: &mut impl Iterator<Item = u8>) {
        let mut detail = || details.next().unwrap_or_default();
        let n = byte & 15;
        match byte >> 4 {
            8 | 14 | 15 if self.lives >= LIVES => {}
            0 => self.publish_many(n),
            1 => {
                if let Some(asked) = self.ask(n) {
                    self.say(asked);
                }
            }
            2 => {
                let asked = self.ask(n);
                self.life().asked = asked;
            }
            3 => {
                // Or it is given up.
                if let Some(asked) = self.life().asked.take().filter(|_| n > 3) {
                    self.say(asked);
                }
            }
            4 | 5 => {
                self.turn();
                if n > 3 {
                    self.tell();
                }
            }
            6 if n < 8 => self.rest(),
            6 => self.tell(),
            7 => self.disk.plan(access(n), detail() % 64, Fault::Fails(1 + (n >> 2))),
            8 => self.disk.plan(access(n), detail() % 64, Fault::Dies),
            9 => {
                let (start, end) = (self.seq(detail()), self.seq(detail()));
                let request = match n & 3 {
                    0 => PageRequest::Newest,
                    1 => PageRequest::Before(start),
                    _ => PageRequest::After(start, end),
                };
                self.page(request, usize::from(n));
            }
            10 => {
                let after = (n & 2 > 0).then(|| self.seq(detail()));
                self.join(usize::from(n & 1), after, n & 8 > 0);
            }
            11 => {
                self.join(usize::from(n & 1), Some(self.clients[usize::from(n & 1)].cursor), false)
            }
            12 => {
                self.pump(usize::from(n & 1), usize::from(n >> 1) + 1);
            }
            13 if n < 4 => self.clients[usize::from(n & 1)].subscription = None,
            13 => self.life().hub.evict_idle(),
            14 => self.crash(n),
            _ => self.stop(n),
        }
    }

    /// A seq that somebody may know, or none that exists.
    fn seq(&self, choice: u8) -> Seq {
        match self.model.given.len() {
            0 => choice.into(),
            _ if choice == 255 => Seq::MAX,
            _ if choice == 254 => 0,
            many => self.model.given[usize::from(choice) % many] - u64::from(choice & 1),
        }
    }

    /// An error is one of the disk's making.
    fn excused<T, E: std::fmt::Debug>(&self, result: Result<T, E>) -> Option<T> {
        assert!(result.is_ok() || self.disk.is_troubled(), "{:?} on a good disk", result.err());
        result.ok()
    }

    fn publish_many(&mut self, n: u8) {
        let times = if n < 8 { 1 } else { 1 + 8 * (n - 8) };
        for number in 0..times {
            let body = MessageBody::parse(&format!("{n} {number}"), 100).expect("a text");
            self.say(Asked { user: user(1 + u64::from(n & 1)), body, reservation: None });
        }
    }

    /// As the server does with a message that has an id: reserve it first, look for it after.
    fn ask(&mut self, n: u8) -> Option<Asked> {
        let (user, text) = (user(1 + u64::from(n & 1)), format!("text {}", n >> 1 & 1));
        let (id, body) = (format!("c{}", n >> 2), MessageBody::parse(&text, 100).expect("a text"));
        let id = MessageId::parse(&id).expect("an id");
        let life = self.life.as_ref().expect("a process runs");
        let room = self.excused(life.room())?;
        let held = life.asked.as_ref().is_some_and(|asked| {
            asked.user == user && asked.reservation.as_ref().is_some_and(|(held, _)| *held == id)
        });
        let taken = held || self.model.is_in_flight(user, &id);
        let reservation = match room.reserve(user, &id) {
            Reserve::Mine(reservation) => reservation,
            Reserve::Busy(_) => {
                assert!(taken, "{id:?} is reserved for nobody");
                return None;
            }
            Reserve::Closed => panic!("a room that was just looked up is closed"),
        };
        assert!(!taken, "{id:?} is reserved twice");
        let found = life.reader.read_now(|snapshot| snapshot.by_client_id(user, &id, room_id()));
        let found = self.excused(found)?;
        assert_eq!(found.as_ref(), self.model.find(user, &id));
        found.is_none().then_some(Asked { user, body, reservation: Some((id, reservation)) })
    }

    fn say(&mut self, asked: Asked) {
        if self.model.len() >= MESSAGES {
            return;
        }
        let life = self.life.as_ref().expect("a process runs");
        let Some(room) = self.excused(life.room()) else { return };
        let Asked { user, body, reservation } = asked;
        let (id, reservation) = reservation.unzip();
        let from = Some(Arc::clone(&life.connection));
        let post = Post { user, username: "ann".into(), body: body.clone(), from };
        self.clock += u64::from(user.get() == 1);
        // Sometimes the clock of the day goes back.
        let now = self.clock ^ 2;
        match room.publish(post, reservation, now) {
            Ok(stamp) => {
                assert!(life.health.is_good(), "published while storage fails");
                let event = ChatEvent { stamp, user_id: user, id, body };
                self.model.published(event, self.boot);
            }
            Err(PublishError::Refused(Refusal::Overloaded)) => {
                assert!(self.model.len() - self.model.committed >= QUEUE, "the queue has room");
            }
            Err(error) => {
                assert_eq!(error, PublishError::Refused(Refusal::Unavailable));
                assert!(!life.health.is_good(), "refused while storage is well");
            }
        }
        self.check_live();
    }

    fn rest(&mut self) {
        let life = self.life();
        if life.health.is_good() {
            let rested = life.writer.rest();
            self.excused(rested);
        }
    }

    /// The writer commits, or opens the database again. Whether it did something, or failed.
    fn turn(&mut self) -> Option<bool> {
        let Life { writer, health, commits, .. } = self.life.as_mut().expect("a process runs");
        let (before, mut told) = (commits.len(), |committed| commits.push_back(committed));
        let turned = if health.is_good() {
            writer.turn(&mut told)
        } else {
            let recovered = writer.recover(&mut told).map(|()| true);
            if recovered.is_ok() && !self.disk.is_dead() {
                self.disk.forget_trouble();
            }
            recovered
        };
        for (_, head) in commits.iter().skip(before).flat_map(|committed| &committed.heads) {
            self.model.commit(*head);
        }
        let turned = self.excused(turned)?;
        self.page(PageRequest::Newest, MESSAGES);
        Some(turned)
    }

    /// The live side hears of a commit; the acks say the same.
    fn tell(&mut self) {
        let life = self.life.as_mut().expect("a process runs");
        let Some(committed) = life.commits.pop_front() else { return };
        life.hub.committed(&committed);
        let heads = committed.heads.iter().map(|(_, head)| *head);
        let expected: Vec<_> = heads.flat_map(|head| self.model.tell(head)).collect();
        let acks = life.wire.take(&life.connection);
        let acks = acks.iter().map(|ack| {
            assert_eq!(ack["type"], "ack");
            (ack["id"].as_str().expect("an id").to_owned(), ack["seq"].as_u64().expect("a seq"))
        });
        assert_eq!(acks.collect::<Vec<_>>(), expected);
        self.check_live();
    }

    /// Where the live room stands.
    fn check_live(&self) {
        let life = self.life.as_ref().expect("a process runs");
        let (all, told) = (self.model.len(), self.model.told);
        assert_eq!(life.connection.uncommitted(), all - told, "the window");
        if let Some(room) = life.hub.live_room(room_id()) {
            assert_eq!(
                (room.head(), room.committed_seq()),
                (self.model.seq(all), self.model.seq(told))
            );
        }
    }

    fn page(&mut self, request: PageRequest, limit: usize) -> Option<usize> {
        let reader = &self.life.as_ref().expect("a process runs").reader;
        let page = reader.read_now(|snapshot| snapshot.page(room_id(), request, limit));
        let page = self.excused(page)?.expect("the room");
        Some(self.model.check_page(&page, request, limit))
    }

    /// The next process. `closed`: whether the one before could say that it lost nothing.
    fn start(&mut self, closed: Option<bool>) {
        let mut tries = 0;
        let (life, opened) = loop {
            match Life::open(&self.disk, &self.stop_mark, self.cache_bytes) {
                Ok(open) => break open,
                Err(error) => assert!(self.disk.is_troubled(), "{error} on a good disk"),
            }
            tries += 1;
            self.disk.restart(tries);
        };
        assert!(!opened.restored, "our own database is taken for a copy");
        assert!(!opened.clean || closed.is_some(), "a crash is taken for a stop");
        assert!(opened.clean || closed != Some(true) || tries > 0, "the stop is forgotten");
        assert!(opened.boot > self.boot || (opened.boot == self.boot && opened.clean));
        self.boot = opened.boot;
        self.lives += 1;
        self.life = Some(life);
        match self.page(PageRequest::Newest, MESSAGES) {
            Some(found) => self.model.restarted(found),
            None => self.crash(1),
        }
    }

    fn crash(&mut self, survivors: u8) {
        self.disk.die();
        self.clients.iter_mut().for_each(|client| client.subscription = None);
        self.life = None;
        self.disk.restart(survivors);
        self.start(None);
    }

    /// Takes nothing more, commits what it has, and goes; after that the power may.
    fn stop(&mut self, survivors: u8) {
        self.life().queue.close();
        if !self.commit_all() {
            return self.crash(survivors);
        }
        self.clients.iter_mut().for_each(|client| client.subscription = None);
        let closed = self.life.take().map(|life| life.writer.close());
        let closed = closed.and_then(|closed| self.excused(closed)).is_some();
        self.disk.die();
        self.disk.restart(survivors);
        self.start(Some(closed));
    }

    /// `false`: the disk would not have it.
    fn commit_all(&mut self) -> bool {
        let done = (0..6).any(|_| self.turn() == Some(false));
        while !self.life().commits.is_empty() {
            self.tell();
        }
        assert!(!done || self.model.told == self.model.len(), "something was not committed");
        done
    }

    /// With a good disk all goes on by itself, and in the end everybody holds the log.
    fn settle(&mut self) {
        self.disk.heal();
        assert!(self.commit_all(), "the disk is well again and the server is not");
        self.disk.forget_trouble();
        for number in 0..self.clients.len() {
            self.join(number, Some(self.clients[number].cursor), false);
            assert!(self.pump(number, 2 * MESSAGES), "it does not catch up");
            let log = self.model.log().map(|event| (event.stamp.seq, event.body.as_str()));
            self.clients[number].check(log);
        }
        self.crash(0);
    }
}

fn access(n: u8) -> Access {
    [Access::Read, Access::Write, Access::Sync, Access::SetLen][usize::from(n & 3)]
}
