//! A lane: one task that hands what a room says to many members, instead of a task each.
//!
//! Who is live, has nothing at hand and a socket that takes bytes directly boards the lane of its
//! room: from then on its subscription has no receiver of its own and is not rung. Each round the
//! lane takes what its own receiver holds, puts together once what may be heard of it, and gives it
//! to one rider after the other, each with one call to its socket. A rider whose socket falls too
//! far behind is put off: its subscription finds its way back through the log, as after an absence.
//!
//! Publishers wait for a lane that is behind with receiving, and a lane receives whether or not the
//! disk takes anything: what waits for its commit waits in the lane. Past a bound of bytes, its own
//! or that of all lanes together, the lane gives that up and puts everybody off.
//!
//! A lane knows no task: whoever drives it calls [`Lane::step`].

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::intake::{Intake, Received};
use super::rider::Rider;
use super::state::Item;
use crate::domain::limits::{
    HELD_BYTES_TOTAL, LANE_CROWD, LANE_HELD_BYTES, LANE_SLACK, LANE_TURN, LANES_PER_THREAD,
};
use crate::domain::{Seq, UserId};
use crate::metrics::Metrics;
use crate::mutation::{self, Mutation};

/// When a room opens lanes, and how much they hold.
#[derive(Debug, Clone, Copy)]
pub struct LaneOptions {
    /// Lanes of a crowded room.
    pub most: usize,
    /// Riders of each, before there is one more.
    pub crowd: usize,
    /// Bytes of frames that may wait for their commit in one lane, and one item more.
    pub held_bytes: usize,
    /// The same in all lanes of the process.
    pub held_bytes_total: usize,
}

impl Default for LaneOptions {
    /// Some for each thread that can run one: a thread that is done with its own takes over from
    /// one that something else holds up.
    fn default() -> Self {
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            most: most * LANES_PER_THREAD,
            crowd: LANE_CROWD,
            held_bytes: LANE_HELD_BYTES,
            held_bytes_total: HELD_BYTES_TOTAL,
        }
    }
}

/// Said of a lane that was dropped, in place of what it has received.
const ABANDONED: u64 = u64::MAX;

/// What a room and its lane share.
#[derive(Debug, Default)]
pub(super) struct Door {
    bell: Notify,
    newcomers: Mutex<Vec<Boarding>>,
    /// How many items of the room's channel the lane has received.
    received: AtomicU64,
    /// Riders that boarded and have not left.
    riders: AtomicUsize,
    /// Riders that left, whose places are not cleared yet.
    left: AtomicUsize,
    /// The room is deleted: its riders get off behind all that was said.
    ending: AtomicBool,
    /// Rung when the lane has received something, for publishers that wait for it.
    progress: Arc<Notify>,
}

#[derive(Debug)]
struct Boarding {
    rider: Arc<Rider>,
    /// It has had everything before this place in the room's channel.
    from: u64,
}

impl Door {
    pub(super) fn new(received: u64, progress: &Arc<Notify>) -> Arc<Self> {
        let (received, progress) = (AtomicU64::new(received), Arc::clone(progress));
        Arc::new(Self { received, progress, ..Self::default() })
    }

    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.ring();
    }

    /// Whether nobody drives the lane any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.received() == ABANDONED
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    pub(super) fn riders(&self) -> usize {
        self.riders.load(Ordering::Relaxed)
    }

    /// Under the room's lock, so that what is said from `from` on reaches the lane behind it.
    pub(super) fn board(&self, rider: Arc<Rider>, from: u64) {
        self.riders.fetch_add(1, Ordering::Relaxed);
        let mut newcomers = self.newcomers.lock().unwrap_or_else(PoisonError::into_inner);
        newcomers.push(Boarding { rider, from });
    }

    /// A rider has left. What it leaves behind is little, and is cleared now and then.
    pub(super) fn left(&self) {
        self.riders.fetch_sub(1, Ordering::Relaxed);
        if self.left.fetch_add(1, Ordering::Relaxed) >= LANE_SLACK + self.riders() {
            self.ring();
        }
    }

    fn cleared(&self, places: usize) {
        self.left.fetch_sub(places, Ordering::Relaxed);
    }

    fn take_newcomers(&self) -> Vec<Boarding> {
        mem::take(&mut *self.newcomers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One lane of one room.
#[derive(Debug)]
pub struct Lane {
    door: Arc<Door>,
    intake: Intake,
    riders: Vec<Boarding>,
    round: Round,
    metrics: Arc<Metrics>,
}

/// What is being handed out.
#[derive(Debug, Default)]
struct Round {
    items: Vec<Item>,
    /// The place of the first of them.
    first: u64,
    /// All of them, put together.
    parts: Vec<Part>,
    /// Who is next; from here to the end of the list nobody has had anything of it.
    at: usize,
}

impl Drop for Lane {
    /// Nobody waits for a lane that is not driven to its end, and nobody is left on it.
    fn drop(&mut self) {
        self.put_everybody_off();
        self.door.received.store(ABANDONED, Ordering::Release);
        self.door.progress.notify_waiters();
    }
}

/// Frames that go out together.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) frames: Bytes,
    /// The last event in it, and how many events there were up to that.
    pub(super) last: Option<(Seq, u64)>,
    /// Who does not get it.
    pub(super) except: Option<UserId>,
}

/// What the driver does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneStep {
    /// Let others have a turn and call again.
    More,
    /// Nothing until [`Lane::rung`] returns.
    Idle,
    /// The room is gone; drop the lane.
    Ended,
}

impl Lane {
    pub(super) fn new(door: Arc<Door>, intake: Intake, metrics: Arc<Metrics>) -> Self {
        Self { door, intake, riders: Vec::new(), round: Round::default(), metrics }
    }

    /// Waits until there may be something to do.
    pub async fn rung(&self) {
        self.door.bell.notified().await;
    }

    /// Hands on what there is, to some members at a time.
    pub fn step(&mut self) -> LaneStep {
        if self.round.at >= self.riders.len() {
            match self.begin_round() {
                LaneStep::More => {}
                step => return step,
            }
        } else if self.intake.holds_back() && self.receive() == Received::Missed {
            // Not only between two rounds, of which a commit can make many.
            self.put_everybody_off();
            return LaneStep::More;
        }
        let end = self.round.at + (LANE_TURN / self.round.parts.len().max(1)).max(1);
        while self.round.at < self.riders.len().min(end) {
            if self.serve(self.round.at) {
                self.round.at += 1;
            } else {
                self.riders.swap_remove(self.round.at);
                self.door.cleared(1);
            }
        }
        if self.round.at >= self.riders.len() {
            self.end_round();
        }
        LaneStep::More
    }

    /// The last member has been given the round.
    fn end_round(&self) {
        self.door.progress.notify_waiters();
        let first = self.round.items.iter().find_map(|item| match item {
            Item::Events { published, .. } => Some(*published),
            Item::Typing { .. } | Item::Presence { .. } => None,
        });
        if let Some(published) = first.filter(|_| !self.riders.is_empty()) {
            self.metrics.publish_to_last_send.observe(published.elapsed());
        }
    }

    /// Takes what has come. [`LaneStep::More`]: there is something to hand out.
    fn begin_round(&mut self) -> LaneStep {
        // Seen before the channel is emptied: what was said before the end is handed out.
        let ending = self.door.ending.load(Ordering::Acquire);
        let received = self.receive();
        if received == Received::Missed {
            self.put_everybody_off();
            return LaneStep::More;
        }
        // Behind the channel: whoever boarded before something was said is in time to hear it.
        self.let_in();
        let (first, items) = self.intake.take();
        let (parts, at) = (put_together(&items), 0);
        self.round = Round { items, first, parts, at };
        if !self.round.items.is_empty() {
            return LaneStep::More;
        }
        let closed = received == Received::Closed;
        if ending || closed {
            self.put_everybody_off();
        }
        if closed {
            return LaneStep::Ended;
        }
        self.clear_left();
        self.round.at = self.riders.len();
        LaneStep::Idle
    }

    /// Lets newcomers in. Who waits for something that the lane never had, because it was opened
    /// or gave things up in between, finds it in the log.
    fn let_in(&mut self) {
        let oldest = self.intake.oldest();
        for newcomer in self.door.take_newcomers() {
            if newcomer.from < oldest {
                newcomer.rider.put_off();
                self.door.cleared(1);
            } else {
                self.riders.push(newcomer);
            }
        }
    }

    fn receive(&mut self) -> Received {
        let received = self.intake.receive();
        self.door.received.store(self.intake.received(), Ordering::Release);
        self.door.progress.notify_waiters();
        received
    }

    /// Gives one rider what is its part of the round. `false`: it rides no more.
    fn serve(&self, rider: usize) -> bool {
        let Boarding { rider, from } = &self.riders[rider];
        let Round { items, first, parts, .. } = &self.round;
        let twice = mutation::is(Mutation::HandedTwice);
        let Some(had) = from.checked_sub(*first).filter(|had| *had > 0 && !twice) else {
            return rider.hand(parts);
        };
        let had = usize::try_from(had).unwrap_or(usize::MAX).min(items.len());
        let rest: Vec<Part> = items[had..].iter().map(Part::of).collect();
        rider.hand(&rest)
    }

    /// Places of riders, those that left among them.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.riders.len() + self.door.newcomers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Also who has just boarded, and whatever there is at hand.
    fn put_everybody_off(&mut self) {
        self.round = Round::default();
        let mut riders = mem::take(&mut self.riders);
        riders.append(&mut self.door.take_newcomers());
        for Boarding { rider, .. } in &riders {
            rider.put_off();
        }
        self.door.cleared(riders.len());
    }

    fn clear_left(&mut self) {
        if self.door.left.load(Ordering::Relaxed) > LANE_SLACK {
            let before = self.riders.len();
            self.riders.retain(|Boarding { rider, .. }| rider.is_aboard());
            self.door.cleared(before - self.riders.len());
        }
    }
}

impl Part {
    fn of(item: &Item) -> Self {
        let frames = item.frames().clone();
        match item {
            Item::Events { last, count, .. } => {
                Self { frames, last: Some((*last, *count)), except: None }
            }
            Item::Typing { user, .. } => Self { frames, last: None, except: Some(*user) },
            Item::Presence { .. } => Self { frames, last: None, except: None },
        }
    }
}

/// What everybody gets in one piece; what somebody does not get stands alone.
fn put_together(items: &[Item]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for run in items.chunk_by(|one, next| !one.is_typing() && !next.is_typing()) {
        if let [only] = run {
            parts.push(Part::of(only));
            continue;
        }
        let mut frames = BytesMut::with_capacity(run.iter().map(|item| item.frames().len()).sum());
        let mut last = None;
        for item in run {
            let part = Part::of(item);
            frames.extend_from_slice(&part.frames);
            last = part.last.or(last);
        }
        parts.push(Part { frames: frames.freeze(), last, except: None });
    }
    parts
}
