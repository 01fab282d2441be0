//! Who watches the list of all rooms, and what each has still to be told of it.
//!
//! What is told is what is on disk, read from the store at the moment of telling: so it is never
//! taken back, tells nothing that may not be heard yet, and needs nothing from the way of a
//! message. The only ones to report here are commits ([`Hub::committed`]), and where nobody watches
//! they look at one flag.
//!
//! Changes are numbered, and of each room only the last one is kept. A watcher is a cursor: the
//! last change that it was told of. From second to second one task makes a [`Round`]: it takes the
//! list of what has changed, once, and goes over it from the watcher furthest behind to the newest,
//! a frame's worth of rooms at a time. Each frame is read when its turn comes, encoded once, and
//! given to all who want something of it. So a round costs what has changed, and one write for each
//! watcher; and a room that never rests is told in every round, since changing again does not take
//! it off the list. Whoever has too much waiting is left where it is, and its next frame tells how
//! things are by then: it costs a cursor, not a queue.
//!
//! A watcher begins with all rooms, page by page, while its cursor waits where the changes stood
//! before the first page was read; nothing can be missing in between. It then takes part from the
//! next round on, not in one that is under way, whose frames can be older than its pages: so what
//! it is told of a room never goes back. Of many that begin together, one reads a page for all.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::watch_pages::{Page, PageKey, Pages};
use super::{Connection, Hub};
use crate::domain::RoomId;
use crate::domain::limits::{WATCH_CHANGES, WATCH_ROOMS, WATCH_TURN};
use crate::protocol::{CloseCode, ListedRoom, RoomsFrame, ServerFrame};
use crate::store::RoomSummary;

/// The number of a change; 0: none.
type Change = u64;

#[derive(Debug)]
pub struct Watchers {
    /// Whether there is one.
    any: AtomicBool,
    state: Mutex<State>,
    /// Rung when there is something to tell.
    bell: Notify,
    /// Changed rooms that are kept.
    most: usize,
    /// Rooms in one frame.
    frame: usize,
}

#[derive(Debug, Default)]
struct State {
    /// The last change so far.
    last: Change,
    /// The rooms that changed, each with its last change, as far as somebody has to be told.
    by_change: BTreeMap<Change, RoomId>,
    by_room: HashMap<RoomId, Change>,
    /// The last change that was dropped untold because there were too many.
    dropped: Change,
    /// By their numbers.
    watchers: BTreeMap<u64, Arc<Watcher>>,
    next: u64,
    /// How many of them are still being told all rooms, and what they can share of that.
    listing: usize,
    pages: Pages,
}

impl State {
    /// One more has been told all rooms, or will not be.
    fn listed(&mut self) {
        self.listing -= 1;
        if self.listing == 0 {
            self.pages = Pages::default();
        }
    }
}

#[derive(Debug)]
struct Watcher {
    connection: Arc<Connection>,
    place: Mutex<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    told: Change,
    /// Whether it has got all rooms and wants to hear of changes.
    listening: bool,
}

impl Watcher {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it a frame about the changes in (`after`, `upto`], unless it wants none of it, or has
    /// not been told what came before.
    fn give(&self, after: Change, upto: Change, frame: &Bytes) {
        // Under the lock: nothing follows the end of the watching.
        let mut place = self.place();
        let wants = place.listening && (after..upto).contains(&place.told);
        if wants && !self.connection.outbound.is_full() {
            self.connection.outbound.send(frame.clone());
            place.told = upto;
        }
    }
}

/// One connection's watching; dropped, it ends, and nothing of it follows.
#[derive(Debug)]
pub struct Watching {
    watchers: Arc<Watchers>,
    number: u64,
    watcher: Arc<Watcher>,
}

impl Watching {
    /// A frame of the list that has been read since this began, for another.
    #[must_use]
    pub fn page(&self, key: &PageKey) -> Option<Page> {
        self.watchers.state().pages.get(key, self.number)
    }

    /// How many have begun: what is read from here on is new enough for all of them.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.watchers.state().next
    }

    /// Keeps a frame for the others that are being told the list; `begun`: what [`Self::begun`]
    /// said before it was read.
    pub fn share(&self, key: PageKey, begun: u64, page: &Page) {
        let mut state = self.watchers.state();
        if state.listing > 1 {
            state.pages.keep(key, begun, page.clone());
        }
    }

    /// All rooms have been told: from here on it is told of changes.
    pub fn listen(&self) {
        let before = std::mem::replace(&mut self.watcher.place().listening, true);
        if !before {
            self.watchers.state().listed();
        }
        self.watchers.bell.notify_one();
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let listened = std::mem::replace(&mut self.watcher.place().listening, false);
        let mut state = self.watchers.state();
        state.watchers.remove(&self.number);
        if !listened {
            state.listed();
        }
        if state.watchers.is_empty() {
            self.watchers.any.store(false, Ordering::Relaxed);
            let State { last, next, .. } = *state;
            *state = State { last, next, ..State::default() };
        }
    }
}

/// One telling of those who were listening at its beginning, of everything up to then.
#[derive(Debug)]
struct Round {
    watchers: Vec<Arc<Watcher>>,
    /// What there is to tell, each room once.
    changes: Vec<(Change, RoomId)>,
    upto: Change,
    /// Where it is.
    at: Change,
}

impl Round {
    /// What is next for the one furthest behind of those that have room, in `frame` rooms.
    fn next(&self, frame: usize) -> Option<Batch> {
        let wanting = self.watchers.iter().filter_map(|watcher| {
            let Place { told, listening } = *watcher.place();
            let wants = listening && (self.at..self.upto).contains(&told);
            (wants && !watcher.connection.outbound.is_full()).then_some(told)
        });
        let after = wanting.min()?;
        let behind = self.changes.partition_point(|(change, _)| *change <= after);
        let rest = &self.changes[behind..];
        let batch = &rest[..frame.min(rest.len())];
        // Behind the last one there is nothing but what had changed again since.
        let last = batch.last().filter(|_| batch.len() < rest.len());
        let upto = last.map_or(self.upto, |(change, _)| *change);
        Some(Batch { after, upto, rooms: batch.iter().map(|(_, room)| *room).collect() })
    }
}

/// Rooms for one frame: those that changed last in (`after`, `upto`].
#[derive(Debug)]
struct Batch {
    after: Change,
    upto: Change,
    rooms: Vec<RoomId>,
}

impl Default for Watchers {
    fn default() -> Self {
        let (any, state, bell) = Default::default();
        Self { any, state, bell, most: WATCH_CHANGES, frame: WATCH_ROOMS }
    }
}

impl Watchers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever is to watch reads the first rooms *after* this: then what changes meanwhile is
    /// either among them or told later.
    #[must_use]
    pub fn begin(self: &Arc<Self>, connection: &Arc<Connection>) -> Watching {
        let mut state = self.state();
        self.any.store(true, Ordering::Relaxed);
        // One of two comes first, this or a commit's look at the flag: then the commit is reported,
        // or else the rooms are read behind it.
        fence(Ordering::SeqCst);
        let place = Mutex::new(Place { told: state.last, listening: false });
        let watcher = Arc::new(Watcher { connection: Arc::clone(connection), place });
        let number = state.next;
        state.next += 1;
        state.listing += 1;
        state.watchers.insert(number, Arc::clone(&watcher));
        Watching { watchers: Arc::clone(self), number, watcher }
    }

    /// Whether to report changes that can be read by now.
    pub(super) fn are_there(&self) -> bool {
        fence(Ordering::SeqCst);
        self.any.load(Ordering::Relaxed)
    }

    /// These rooms were made, went on or went; it is on disk.
    pub(super) fn changed(&self, rooms: impl Iterator<Item = RoomId>) {
        let mut state = self.state();
        let state = &mut *state;
        if state.watchers.is_empty() {
            return;
        }
        let before = state.last;
        for room in rooms {
            state.last += 1;
            if let Some(earlier) = state.by_room.insert(room, state.last) {
                state.by_change.remove(&earlier);
            }
            state.by_change.insert(state.last, room);
        }
        while state.by_change.len() > self.most
            && let Some((change, room)) = state.by_change.pop_first()
        {
            state.by_room.remove(&room);
            state.dropped = change;
        }
        if state.last > before {
            self.bell.notify_one();
        }
    }

    /// Waits until there is something to tell.
    pub async fn restless(&self) {
        self.bell.notified().await;
    }

    fn begin_round(&self) -> Round {
        let state = self.state();
        let State { last: upto, dropped, .. } = *state;
        let (mut watchers, mut furthest) = (Vec::new(), upto);
        for watcher in state.watchers.values() {
            let Place { told, listening } = *watcher.place();
            if told < dropped {
                // What it has not taken is too much to be remembered.
                watcher.connection.close(CloseCode::Stalled);
            } else if listening {
                furthest = furthest.min(told);
                watchers.push(Arc::clone(watcher));
            }
        }
        let changes = state.by_change.range(furthest + 1..);
        let changes = changes.map(|(change, room)| (*change, *room)).collect();
        Round { watchers, changes, upto, at: 0 }
    }

    /// Forgets what everybody knows; if somebody does not, another round is to follow.
    fn end_round(&self, round: &Round) {
        let mut state = self.state();
        let furthest = state.watchers.values().map(|watcher| watcher.place().told).min();
        let furthest = furthest.unwrap_or(state.last);
        let rest = state.by_change.split_off(&(furthest + 1));
        for (_, room) in std::mem::replace(&mut state.by_change, rest) {
            state.by_room.remove(&room);
        }
        drop(state);
        let behind = |watcher: &Arc<Watcher>| {
            let Place { told, listening } = *watcher.place();
            listening && told < round.upto
        };
        if round.watchers.iter().any(behind) {
            self.bell.notify_one();
        }
    }
}

impl Hub {
    /// Tells whoever watches what has changed. What cannot be read now is told another time.
    pub async fn tell_watchers(&self) {
        let watchers = &self.watchers;
        let mut round = watchers.begin_round();
        while let Some(Batch { after, upto, rooms }) = round.next(watchers.frame) {
            let frame = if rooms.is_empty() {
                Bytes::new()
            } else {
                let ids = rooms.clone();
                match self.reader.read(move |snapshot| snapshot.summaries_of(&ids)).await {
                    Ok(found) => changes(&rooms, &found),
                    Err(error) => {
                        tracing::debug!(%error, "changes of rooms cannot be told");
                        break;
                    }
                }
            };
            for some in round.watchers.chunks(WATCH_TURN) {
                for watcher in some {
                    watcher.give(after, upto, &frame);
                }
                tokio::task::yield_now().await;
            }
            round.at = upto;
        }
        watchers.end_round(&round);
    }
}

fn changes(rooms: &[RoomId], found: &[Option<RoomSummary>]) -> Bytes {
    let rooms = rooms.iter().zip(found).map(|(room, found)| match found {
        Some(summary) => listed(summary),
        None => ListedRoom::gone(room.get()),
    });
    let rooms = rooms.collect();
    ServerFrame::Rooms(RoomsFrame { snapshot: false, has_more: false, rooms, reference: None })
        .encode()
}

/// A room as `rooms` tells of it.
#[must_use]
pub fn listed(summary: &RoomSummary) -> ListedRoom<'_> {
    let RoomSummary { room, head, count } = summary;
    ListedRoom {
        room_id: room.room_id.get(),
        slug: Some(room.slug.as_str()),
        name: Some(room.name.as_str()),
        head: Some(*head),
        count: Some(*count),
        gone: false,
    }
}

#[cfg(test)]
#[path = "watch_interleaved.rs"]
mod interleaved;
#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
