//! How a process begins and ends, and what is looked at when it has begun.

use parlor::domain::RoomId;
use parlor::store::{PageRequest, ReadError, Snapshot};

use crate::client::Client;
use crate::disk::{Access, Fault, Plan};
use crate::server::{LOG, Server};
use crate::world::World;

#[derive(Debug, Clone, Copy)]
pub enum End {
    Kill,
    PowerCut,
}

impl World {
    /// Opens the store; a start may fail or die like anything else, and is tried again.
    pub fn start(&mut self) {
        for attempt in 0.. {
            let opened = Server::open(&self.site);
            self.note_faults();
            match opened {
                Ok((server, opened)) if !self.site.disk.is_dead() => {
                    assert!(!opened.restored && opened.log == LOG, "taken for another database");
                    self.figures.count(if opened.clean { "clean starts" } else { "starts" });
                    self.server = Some(server);
                    break;
                }
                Ok(_) | Err(_) => {
                    assert!(self.troubled, "it does not start");
                    self.figures.count("starts that failed");
                    self.site.disk.kill();
                    self.site.disk.restart();
                    if attempt == 2 {
                        self.site.disk.heal();
                    }
                    assert!(attempt < 4, "it does not start though nothing fails");
                }
            }
        }
        let known: usize = self.model.logs.values().map(|log| log.events.len()).sum();
        self.audit(true);
        let there: usize = self.model.logs.values().map(|log| log.events.len()).sum();
        self.figures.add("messages that landed unanswered", (there - known) as u64);
    }

    /// The process is gone, with everything that it had not stored.
    pub fn crash(&mut self, end: End) {
        if !self.site.disk.is_dead() {
            match end {
                End::Kill => self.site.disk.kill(),
                End::PowerCut => self.site.disk.power_cut(),
            }
        }
        self.end_process();
        self.site.disk.restart();
        // A start under a fault of its own, now and then.
        self.troubled = self.site.disk.is_failing();
        if self.dice.one_in(6) {
            self.arm();
        }
        self.start();
    }

    /// Ends the process as an operator does.
    pub fn stop(&mut self) {
        let mut server = self.server.take().expect("it runs");
        server.close_queue();
        self.site.disk.heal();
        self.tasks.clear();
        for turn in 0.. {
            if server.turn().is_ok_and(|more| !more) {
                break;
            }
            assert!(turn < 100, "the writer does not come to an end");
        }
        while server.tell() {}
        for client in &mut self.clients {
            client.read(&mut self.model, &mut self.figures);
            client.disconnect();
        }
        let clean = server.close();
        assert!(clean, "a stop without any fault is a clean one");
        self.end_process();
        if self.dice.one_in(3) {
            self.site.disk.power_cut();
        }
        self.site.disk.restart();
        self.troubled = false;
        self.start();
    }

    fn end_process(&mut self) {
        self.tasks.clear();
        self.clients.iter_mut().for_each(Client::disconnect);
        self.server = None;
        self.model.process_ended();
    }

    /// Plans a fault.
    pub fn arm(&mut self) {
        let access = self.dice.weighted(&[
            (5, Access::Sync),
            (4, Access::Write),
            (2, Access::SetLen),
            (2, Access::Read),
        ]);
        let soon = match access {
            Access::Sync => 3,
            Access::Write => 25,
            Access::SetLen => 1,
            Access::Read => 30,
        };
        let more = u32::try_from(self.dice.below(6)).unwrap();
        let fault = self.dice.weighted(&[
            (2, Fault::Kill),
            (3, Fault::PowerCut),
            (3, Fault::Fails(0)),
            (3, Fault::Fails(more)),
            (2, Fault::Full),
        ]);
        self.figures.count("faults planned");
        self.troubled = true;
        let after = u32::try_from(self.dice.below(soon)).unwrap();
        self.site.disk.plan(Plan { access, after, fault });
    }

    /// Compares the log with what is known of it: what is new, or `all` of it. Nothing can be read
    /// while storage fails.
    pub fn audit(&mut self, all: bool) {
        if self.site.disk.is_dead() {
            return;
        }
        let Some(server) = self.server.as_ref().filter(|server| !server.failing) else { return };
        let reader = server.reader.clone();
        let disk = self.site.disk.clone();
        let seen = disk.spare(|| reader.read_now(|snapshot| self.look(snapshot, all)));
        match seen {
            Ok(()) => self.figures.count("audits"),
            // A read has failed before, and the writer does not know yet.
            Err(error) => assert!(self.troubled, "the log cannot be read: {error}"),
        }
    }

    fn look(&mut self, snapshot: &Snapshot, all: bool) -> Result<(), ReadError> {
        let (rows, _) = snapshot.rooms(0, 1_000)?;
        for row in &rows {
            let (room, slug) = (row.room.room_id, &row.room.slug);
            if !self.model.logs.contains_key(&room) {
                assert!(self.wanted.contains(slug), "room {room} was not asked for");
                self.wanted.retain(|wanted| wanted != slug);
                self.figures.count("rooms that landed unanswered");
            }
            let log = self.model.logs.entry(room).or_default();
            assert!(!log.gone, "room {room} is back");
            let mut from = if all { 0 } else { log.events.last().map_or(0, |last| last.seq) };
            let mut more = true;
            while more {
                let request = PageRequest::After(from, row.head.seq);
                let page = snapshot.page(room, request, 10_000)?.expect("listed");
                self.model.logged(room, from, &page.events);
                from = page.events.last().map_or(from, |last| last.event.stamp.seq);
                more = page.has_more;
            }
            let log = &self.model.logs[&room];
            let count = log.events.last().map_or(0, |last| last.seq);
            assert_eq!(row.head.seq, count, "the head of room {room}");
            assert_eq!(row.head.count, log.events.len() as u64, "the count of room {room}");
        }
        let there: Vec<RoomId> = rows.iter().map(|row| row.room.room_id).collect();
        for (room, log) in &mut self.model.logs {
            if !there.contains(room) {
                assert!(log.ending, "room {room} is lost");
                log.gone = true;
            }
        }
        Ok(())
    }
}
