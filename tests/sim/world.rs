//! One run: the disk, one process after the other on it, people's clients, and the model.

use std::future::Future;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use parlor::app::{App, Caller, CreateRoomRequest, Posted, RoomView};
use parlor::clock::Clock;
use parlor::domain::{
    Delivery, DisplayName, Identity, Limits, MessageId, Refusal, Role, RoomId, RoomName, Seq,
    SessionId, Slug, UserId, Username,
};
use parlor::protocol::ServerFrame;
use parlor::store::{Command, Reply, SignUp};
use parlor::transport::Budget;

use crate::client::Client;
use crate::dice::Dice;
use crate::disk::{Access, Disk};
use crate::figures::Figures;
use crate::model::{Model, Text, username};
use crate::seat::Seat;
use crate::server::{Server, Site};
use crate::task::{Done, Entered, Task};

pub const USERS: u64 = 3;

pub struct World {
    pub dice: Dice,
    pub site: Site,
    pub server: Option<Server>,
    pub clients: Vec<Client>,
    pub tasks: Vec<Task>,
    pub model: Model,
    pub figures: Figures,
    pub budget: Arc<Budget>,
    /// Ids that were used: who, where, which, and the last text under it.
    pub ids: Vec<(u64, RoomId, String, Text)>,
    /// Slugs of rooms that were asked for and may be there or not.
    pub wanted: Vec<Slug>,
    pub numbers: u64,
    /// Whether anything has failed in this process.
    pub troubled: bool,
    last_fault: Access,
    /// Everything that could differ between two runs of one seed.
    pub trace: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let limits = Limits {
            messages_per_second: 0,
            sign_ins_per_minute: 0,
            writer_queue_messages: 3 + dice.below(10),
            waiting_bytes: 600 + dice.below(3_000),
            ..Limits::default()
        };
        let site = Site {
            disk: Disk::new(dice.fork()),
            stop_mark: Arc::new(Mutex::default()),
            cache_bytes: dice.weighted(&[(2, 0), (1, 64 << 10), (1, 1 << 20)]),
            limits,
            clock: Clock::manual(1_000),
        };
        let clients = (0..3 + dice.below(3)).map(|n| Client::new(n as u64 % USERS + 1)).collect();
        Self {
            dice,
            site,
            server: None,
            clients,
            tasks: Vec::new(),
            model: Model::default(),
            figures: Figures::default(),
            budget: Budget::new(1 << 20),
            ids: Vec::new(),
            wanted: Vec::new(),
            numbers: 0,
            troubled: false,
            last_fault: Access::Read,
            trace: 0,
        }
    }

    /// Accounts and two rooms, before anything fails.
    pub fn furnish(&mut self) {
        self.start();
        for user in 1..=USERS {
            let (reply, _) = Reply::channel();
            let sign_up = SignUp {
                username: Username::parse(&username(user)).unwrap(),
                display_name: DisplayName::parse("Somebody").unwrap(),
                password_hash: "none".to_owned(),
                may_be_first: true,
                session: SessionId(u128::from(user)),
                created_at: 1,
                expires_at: u64::MAX,
                reply,
            };
            let server = self.server.as_mut().unwrap();
            server.submit(Command::SignUp(sign_up));
            assert!(server.turn().unwrap());
        }
        for _ in 0..2 {
            self.create_room();
            while !self.tasks.is_empty() {
                self.turn();
                self.poll(0);
            }
        }
    }

    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.server.as_ref().expect("it runs").app)
    }

    pub fn caller(&self, user: u64, client: Option<usize>) -> Caller {
        let seat = client.and_then(|client| self.clients[client].seat.as_ref());
        Caller {
            identity: Identity {
                user_id: UserId::new(user).unwrap(),
                username: Username::parse(&username(user)).unwrap(),
                role: Role::Admin,
                session: SessionId(u128::from(user)),
                expires_at: u64::MAX,
            },
            connection: seat.map(|seat| Arc::clone(&seat.connection)),
        }
    }

    /// Begins something, which is polled at once.
    pub fn begin(&mut self, client: Option<usize>, future: impl Future<Output = Done> + 'static) {
        if let Some(client) = client {
            self.clients[client].busy = true;
        }
        self.tasks.push(Task { client, failing: false, future: Box::pin(future) });
        self.poll(self.tasks.len() - 1);
    }

    /// One poll of a task. Whatever comes of it is lost if the process ended under it.
    pub fn poll(&mut self, task: usize) {
        if self.site.disk.is_dead() {
            return;
        }
        let failing = self.server.as_ref().is_some_and(|server| server.failing);
        let done = self.tasks[task].future.as_mut().now_or_never();
        let failed_before = std::mem::replace(&mut self.tasks[task].failing, failing);
        let Some(done) = done.filter(|_| !self.site.disk.is_dead()) else { return };
        let Task { client, .. } = self.tasks.swap_remove(task);
        if let Some(client) = client {
            self.clients[client].busy = false;
        }
        if let Done::Posted { text, result: Ok(Posted::Published { .. }), .. } = &done {
            assert!(!(failed_before && failing), "m{text} was taken while storage fails");
        }
        self.done(client, done);
    }

    fn done(&mut self, client: Option<usize>, done: Done) {
        match done {
            Done::Posted { room, text, result } => self.posted(client, room, text, result),
            Done::Stored { room, text, result } => {
                if let Ok((_, Posted::Published { seq, .. })) = &result {
                    self.promise(room, *seq, text);
                    self.figures.count("messages acked");
                }
                self.posted(None, room, text, result.map(|(_, posted)| posted));
            }
            Done::Joined { after, reference, result } => {
                let client = client.expect("only clients join");
                self.entered(client, after, reference, result);
            }
            Done::MayLeave(room) => {
                let left = client.and_then(|client| self.clients[client].seat.as_mut());
                let live = left.and_then(|seat| {
                    let live = seat.room(room);
                    seat.leave(room);
                    live
                });
                if let Some(room) = live {
                    self.app().hub.presence_changed(&room);
                }
            }
            Done::Page { room, request, floor, result } => match result {
                Ok((_, page)) => {
                    self.model.page(room, request, &page, floor);
                    self.figures.count("pages");
                }
                Err(refusal) => self.refused(room, &refusal),
            },
            Done::Created { slug, result } => self.created(&slug, result),
            Done::Deleted { room, result } => match result {
                Ok(()) => {
                    self.model.logs.get_mut(&room).unwrap().gone = true;
                    self.figures.count("rooms deleted");
                }
                Err(refusal) => self.refused(room, &refusal),
            },
        }
    }

    fn promise(&mut self, room: RoomId, seq: Seq, text: Text) {
        let said = self.model.said[text].clone();
        if let Some(id) = said.id {
            self.model.promised((room, seq), (said.user, &id), Some(text));
        }
    }

    fn posted(
        &mut self,
        client: Option<usize>,
        room: RoomId,
        text: Text,
        result: Result<Posted, Refusal>,
    ) {
        match result {
            Ok(Posted::Published { seq, .. }) => {
                self.model.published(room, seq, text);
                let client = client.map(|client| &mut self.clients[client]);
                if let Some(Client { unacked, saying, .. }) = client
                    && let Some((said, text)) = saying.take()
                {
                    let before = unacked.insert(said, text);
                    assert_eq!(before, None, "published again before the first was stored");
                }
            }
            Ok(Posted::Duplicate { seq, at }) => {
                self.figures.count("duplicates answered");
                self.promise(room, seq, text);
                let id = self.model.said[text].id.clone().expect("known by its id");
                if let Some(client) = client {
                    self.clients[client].saying = None;
                }
                let seat = client.and_then(|client| self.clients[client].seat.as_ref());
                if let Some(seat) = seat {
                    let id = MessageId::parse(&id).unwrap();
                    let ack = ServerFrame::ack(room, &id, seq, at, true);
                    seat.outbound().send(ack.encode());
                }
            }
            Err(refusal) => {
                if let Some(client) = client {
                    self.clients[client].saying = None;
                }
                self.model.refused(text);
                if refusal == Refusal::IdConflict {
                    assert!(self.model.may_conflict(text), "m{text} has the only text of its id");
                    self.figures.count("id conflicts");
                    return;
                }
                self.refused(room, &refusal);
            }
        }
    }

    fn entered(
        &mut self,
        client: usize,
        after: Option<Seq>,
        reference: String,
        result: Result<Entered, Refusal>,
    ) {
        match result {
            Ok((room, cut, _)) => {
                let Client { user, seat, asked, .. } = &mut self.clients[client];
                let user = UserId::new(*user).unwrap();
                let seat = seat.as_mut().expect("its frames end with it");
                seat.enter(room, user, cut, after, &reference);
                asked.insert(reference, after);
            }
            // The only room of which nobody says which it is: any may be gone.
            Err(Refusal::NoSuchRoom) => {}
            Err(refusal) => self.refused(RoomId::new(1).unwrap(), &refusal),
        }
    }

    fn created(&mut self, slug: &Slug, result: Result<RoomView, Refusal>) {
        match result {
            Ok(view) => {
                self.model.logs.entry(view.room.room_id).or_default();
                self.wanted.retain(|wanted| wanted != slug);
                self.figures.count("rooms created");
            }
            Err(refusal) => {
                assert_ne!(refusal, Refusal::SlugTaken, "told of its own success as another's");
                // Without an answer it may be there all the same.
                self.refused(RoomId::new(1).unwrap(), &refusal);
            }
        }
    }

    /// What may be refused, and when.
    fn refused(&mut self, room: RoomId, refusal: &Refusal) {
        match refusal {
            Refusal::Overloaded => self.figures.count("overloaded"),
            Refusal::Unavailable => {
                assert!(self.troubled, "unavailable though nothing fails");
                self.figures.count("unavailable");
            }
            Refusal::NoSuchRoom => {
                assert!(self.model.logs[&room].ending, "room {room} is not found");
            }
            other => panic!("refused: {other:?}"),
        }
    }

    /// The writer's turn.
    pub fn turn(&mut self) -> bool {
        let Some(server) = &mut self.server else { return false };
        let was_failing = server.failing;
        let did = server.turn();
        self.note_faults();
        if did.is_ok() && was_failing {
            self.figures.count(match self.last_fault {
                Access::Read => "recoveries from reads",
                Access::Write => "recoveries from writes",
                Access::Sync => "recoveries from syncs",
                Access::SetLen => "recoveries from lengths",
            });
        }
        self.troubled |= did.is_err();
        did.unwrap_or_default() && !self.site.disk.is_dead()
    }

    pub fn note_faults(&mut self) {
        for fault in self.site.disk.take_faults() {
            self.troubled = true;
            self.last_fault = fault;
            self.figures.count(match fault {
                Access::Read => "read faults",
                Access::Write => "write faults",
                Access::Sync => "sync faults",
                Access::SetLen => "length faults",
            });
        }
    }

    pub fn create_room(&mut self) {
        let number = self.number();
        let slug = Slug::parse(&format!("room-{number}")).unwrap();
        self.wanted.push(slug.clone());
        let name = RoomName::parse(slug.as_str()).unwrap();
        let delivery = *self.dice.pick(&Delivery::ALL).unwrap();
        let request =
            CreateRoomRequest { name, slug: Some(slug.clone()), delivery: Some(delivery) };
        let (app, identity) = (self.app(), self.caller(1, None).identity);
        self.begin(None, async move {
            Done::Created { slug, result: app.create_room(&identity, request).await }
        });
    }

    pub fn new_seat(&mut self) -> Seat {
        let number = self.number();
        let buffer = self.dice.weighted(&[(1, None), (2, Some(400)), (2, Some(4_000))]);
        Seat::new(number, &self.site.limits, Arc::clone(&self.budget), buffer)
    }
}
