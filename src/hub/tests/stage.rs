//! A room with people, whose sockets and sessions are moved by hand, and its lanes.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;

use super::{House, LaneOptions, SMALL_LANES, parse, post, seqs, user};
use crate::domain::{Delivery, Seq};
use crate::hub::{Connection, Lane, LaneStep, Member, PublishError, Step, Subscription};
use crate::transport::{Budget, Outbound};

/// Bytes that may wait for one member, and that a small socket's buffer holds.
pub(super) const WAITING: usize = 700;
pub(super) const SMALL: usize = 300;

/// A member with a socket, as a session serves it.
pub(super) struct Person {
    pub(super) connection: Arc<Connection>,
    pub(super) subscription: Option<Subscription>,
    /// What its socket holds.
    wire: Arc<Mutex<Vec<u8>>>,
    pub(super) heard: Vec<u8>,
}

impl Person {
    /// `buffer`: of a socket that takes bytes directly.
    pub(super) fn new(number: u64, buffer: Option<usize>) -> Self {
        let wire: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (socket, budget) = (Arc::clone(&wire), Budget::new(1 << 20));
        let take = move |slices: &[IoSlice<'_>]| {
            let mut held = socket.lock().unwrap();
            let free = buffer.unwrap_or(usize::MAX).saturating_sub(held.len());
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            held.extend_from_slice(&bytes[..bytes.len().min(free)]);
            let taken = bytes.len().min(free);
            if taken > 0 { Ok(taken) } else { Err(io::ErrorKind::WouldBlock.into()) }
        };
        let outbound = match buffer {
            Some(_) => Outbound::driven(take, WAITING, budget),
            None => Outbound::stream(Wire(Arc::clone(&wire)), WAITING, budget),
        };
        let connection = Connection::new(number, outbound);
        Self { connection, subscription: None, wire, heard: Vec::new() }
    }

    pub(super) fn enter(&mut self, house: &House, after: Option<Seq>) {
        self.subscription = None;
        let member = Member {
            connection: Arc::clone(&self.connection),
            user: user(self.connection.id),
            present_as: None,
        };
        let (cut, _) = house.room().join(member).unwrap();
        let (connection, user) = (Arc::clone(&self.connection), user(self.connection.id));
        self.subscription = Some(Subscription::new(house.room(), connection, user, cut, after));
    }

    /// One turn of its session; gives lanes that were opened.
    pub(super) fn serve(&mut self, house: &House) -> Option<Lane> {
        let subscription = self.subscription.as_mut()?;
        let outbound = &self.connection.outbound;
        while !outbound.is_full() {
            match subscription.step() {
                Step::Send(frames) => outbound.queue(frames),
                Step::CaughtUp => {}
                Step::ReadLog { after, upto } => {
                    let part = house.hub.log.part_now(subscription.room(), after, upto).unwrap();
                    outbound.queue(subscription.page(part));
                }
                Step::Idle => break,
                Step::Gone(_) => {
                    self.subscription = None;
                    return None;
                }
            }
        }
        outbound.push_out();
        let idle = outbound.is_direct_and_idle();
        self.subscription.as_mut().filter(|_| idle)?.board()
    }

    /// The client reads what its socket holds.
    pub(super) fn read(&mut self) {
        let outbound = &self.connection.outbound;
        let _ = outbound.drain_to(0).now_or_never();
        self.heard.append(&mut self.wire.lock().unwrap());
        outbound.push_out();
    }

    /// Goes, and reads what was sent to it before.
    pub(super) fn leave(&mut self) {
        self.subscription = None;
        self.read();
        while self.connection.outbound.waiting_bytes() > 0 {
            self.read();
        }
        self.read();
    }

    pub(super) fn seqs(&self) -> Vec<Seq> {
        seqs(&parse(&self.heard))
    }

    pub(super) fn rides(&self) -> bool {
        self.subscription.as_ref().is_some_and(Subscription::rides)
    }
}

struct Wire(Arc<Mutex<Vec<u8>>>);

impl tokio::io::AsyncWrite for Wire {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

/// A room with people and its lanes.
pub(super) struct Stage {
    pub(super) house: House,
    pub(super) people: Vec<Person>,
    pub(super) lanes: Vec<Lane>,
}

impl Stage {
    pub(super) fn new(delivery: Delivery, lanes: LaneOptions, buffers: &[Option<usize>]) -> Self {
        let people = buffers.iter().zip(1..).map(|(buffer, number)| Person::new(number, *buffer));
        let people = people.collect();
        let house = House::with_lanes(delivery, lanes);
        Self { house, people, lanes: Vec::new() }
    }

    /// Everybody comes in, for what comes, and boards if it can.
    pub(super) fn filled(buffers: &[Option<usize>]) -> Self {
        Self::new(Delivery::Immediate, SMALL_LANES, buffers).enter_all()
    }

    /// The same in a room that delivers what is committed.
    pub(super) fn holding_back(held_bytes: usize, buffers: &[Option<usize>]) -> Self {
        let lanes = LaneOptions { held_bytes, ..SMALL_LANES };
        Self::new(Delivery::Committed, lanes, buffers).enter_all()
    }

    pub(super) fn enter_all(mut self) -> Self {
        for person in 0..self.people.len() {
            self.people[person].enter(&self.house, None);
            self.serve(person);
        }
        self
    }

    pub(super) fn serve(&mut self, person: usize) {
        self.lanes.extend(self.people[person].serve(&self.house));
    }

    pub(super) fn step(&mut self, lane: usize) -> Option<LaneStep> {
        let step = self.lanes.get_mut(lane)?.step();
        if step == LaneStep::Ended {
            self.lanes.remove(lane);
        }
        Some(step)
    }

    pub(super) fn run_lanes(&mut self) {
        for lane in (0..self.lanes.len()).rev() {
            while self.step(lane) == Some(LaneStep::More) {}
        }
    }

    /// As drivers do it: who is not rung does nothing.
    pub(super) fn run_rung_lanes(&mut self) {
        for lane in (0..self.lanes.len()).rev() {
            if self.lanes[lane].rung().now_or_never().is_some() {
                while self.step(lane) == Some(LaneStep::More) {}
            }
        }
    }

    /// How often a member had to go back to the log.
    pub(super) fn fallen_behind(&self) -> u64 {
        self.house.hub.metrics.fallen_behind.get()
    }

    /// `false`: the lanes did not let it through.
    pub(super) fn say(&mut self, text: &str) -> bool {
        match self.house.room().publish(post(text), None, 1_000) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error, PublishError::Crowded);
                false
            }
        }
    }

    /// Until everybody has everything.
    pub(super) fn settle(&mut self) {
        self.house.commit();
        for _ in 0..200 {
            self.run_lanes();
            for person in 0..self.people.len() {
                self.people[person].read();
                self.serve(person);
            }
        }
    }
}

pub(super) fn begin_anew(house: &House, subscription: &mut Subscription) {
    let cut = house.room().cut(subscription.connection()).unwrap();
    subscription.restart(cut, 0, || {});
}
